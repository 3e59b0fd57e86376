"""`python -m localdev.up`: run the whole stack in one terminal, until Ctrl-C. `--help` lists the options.

Environment: FUNCTIONS_PORT, BLOB_PORT, QUEUE_PORT, TABLE_PORT, PAGE_PORT, STATE_DIR; EVENT_CHAOS and EVENT_SCHEMA for
the bridge; FUNCTIONS_HOST (`func` or `bundled`; default: `func` when Core Tools are on PATH); NO_COLOR; and every
setting of the app (docs/configuration.md).

It prints a line that begins with `ready` once an upload would be counted. The exit code is 0 after a stop, 1 when it
could not start or when a part ended by itself, which it names. No process that it started outlives it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from localdev.azurite import AzuriteError
from localdev.plan import Plan, PlanError, make_plan
from localdev.ports import PortInUseError, reach_directly
from localdev.processes import ProcessError, told_to_stop
from localdev.stack import Output, Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_PATH = "/api/cases/storage/status"


async def run(plan: Plan, output: Output) -> None:
    """Run the stack until a signal comes.

    Raises:
        AzuriteError: Azurite is not installed, or refuses.
        ProcessError: A part did not start, or ended by itself.
    """
    stop = told_to_stop()
    async with Stack(plan, output) as stack:
        starting: asyncio.Future[Any] = asyncio.ensure_future(stack.start())
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({starting, stopping, stack.ended}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await _check(starting, stack)
                output.say(banner(plan, stack.connection_string))
                await asyncio.wait({stopping, stack.ended}, return_when=asyncio.FIRST_COMPLETED)
            if stack.ended.done():
                stack.ended.result()
            output.say("stopping")
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
    output.say("stopped")


async def _check(starting: asyncio.Future[Any], stack: Stack) -> None:
    """Raise the error of the start; if a part ended, raise that error instead."""
    if starting.exception() is not None:
        await asyncio.wait({stack.ended}, timeout=1)
        if stack.ended.done():
            stack.ended.result()
    starting.result()


def banner(plan: Plan, connection_string: str) -> str:
    """Return the text that is printed when the stack is ready: addresses and first commands."""
    storage = "UseDevelopmentStorage=true" if plan.ports.are_development_storage else connection_string
    lines = [f"  storage  {storage}", f"  blobs    {plan.blob_url}/devstoreaccount1 (counted, whatever SDK uploads)"]
    if plan.page:
        lines.append(f"  page     {plan.page_url}")
    if str(plan.chaos) != "none":
        lines.append(f"  chaos    {plan.chaos}")
    if not plan.host:
        return "\n".join([f"storage ready {plan.blob_url}", "", *lines, f"  events   to {plan.functions_url}", ""])
    queued = plan.settings.folders.locations["queued"].container
    status = f"{plan.functions_url}{STATUS_PATH}"
    token = '-H "Authorization: Bearer $TOKEN" ' if plan.settings.auth_mode == "jwt" else ""
    return "\n".join(
        [
            "",
            f"ready {plan.functions_url}",
            "",
            f"  status   {status}",
            f"  stream   {status}/stream",
            f"  health   {plan.functions_url}/api/health",
            *lines,
            "",
            "  The counts now, the next change (held for up to 30 s), every change:",
            f"    curl -i {token}{status}",
            f"    curl -i {token}-H 'If-None-Match: *' -H 'Prefer: wait=30' {status}",
            f"    curl -N {token}{status}/stream",
            f"  Upload a .jpg to the container {queued} with any Azure SDK, or run: make demo",
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    output = Output()
    reach_directly(os.environ)
    try:
        asyncio.run(run(make_plan(sys.argv[1:] if arguments is None else arguments), output))
    except (PlanError, AzuriteError, PortInUseError, ProcessError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
