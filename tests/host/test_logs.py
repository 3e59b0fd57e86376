"""What the runtime host prints of an app's log: all of it, and beside it what the platform would drop."""

from __future__ import annotations

from pathlib import Path

import httpx

from localdev.host.logs import MARK
from tests.host.support import app, running
from tests.waiting import eventually


async def test_what_the_platform_drops_is_marked(tmp_path: Path) -> None:
    """Kept: the lines of a running invocation and of the tasks that it has made. Everything else is dropped there."""
    with running(app("late", tmp_path)) as host:
        async with httpx.AsyncClient(base_url=host.url, timeout=10) as client:
            headers = {"aeg-event-type": "Notification"}
            path = "/runtime/webhooks/EventGrid?functionName=on_event"
            assert (await client.post(path, headers=headers, content="[{}]")).status_code == 202

        async def is_said() -> bool:
            return "the last" in host.said

        await eventually(is_said)
        lines = [line for line in host.said.splitlines() if " late: " in line]
    marked = {line.partition(" late: ")[2].removesuffix(f" {MARK}"): line.endswith(MARK) for line in lines}
    assert marked == {
        "at the import": True,
        "by the invocation": False,
        "by a task, meanwhile": False,
        "by a callback": True,
        "by a task, afterwards": True,
        "by its task, afterwards": True,
        "the last": True,
    }
    assert MARK not in "".join(line for line in host.said.splitlines() if " localdev." in line)
