"""The running stack: the order of its start, when it is ready, how it stops.

Start: the bridge, then Azurite and the functions host side by side, then the page. The bridge comes first because its
journal can be opened only once: a second stack on the same folder ends there, before a second Azurite touches the
data. The host comes up while Azurite does, so it must not reconcile by itself at its start; `up` asks it to.

Stop: functions host, bridge, Azurite, so that no part loses another that it needs. Undelivered events stay in the
journal.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, Self, TextIO

import aiohttp

from localdev.azurite import Azurite
from localdev.plan import PAGE, Plan, without_storage
from localdev.ports import free_port
from localdev.processes import Process, ProcessError, bridge_command, host_command

if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_SECONDS: Final = 0.1
NOTE_SECONDS: Final = 10.0
REQUEST_SECONDS: Final = 10.0
PREFIX_WIDTH: Final = 9

_COLOURS: Final = {"bridge": 36, "functions": 35}  # cyan, magenta
_TIMER_OFF: Final = dict.fromkeys(("AzureWebJobs.reconcile.Disabled", "AzureWebJobs__reconcile__Disabled"), "true")


class Output:
    """The terminal that all parts share: one line at a time, each with the part's name in front.

    Args:
        stream: Where to write; coloured when it is a terminal, unless NO_COLOR is set (https://no-color.org).
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str = "") -> None:
        """Write a line of `up` itself, without a prefix."""
        with suppress(BrokenPipeError):
            print(f"{text}\n", end="", file=self._stream, flush=True)  # in one piece: each part has a thread

    def line(self, name: str, text: str) -> None:
        """Write a line of one part."""
        prefix = f"{name:<{PREFIX_WIDTH}} |"
        if self._coloured and name in _COLOURS:
            prefix = f"\x1b[{_COLOURS[name]}m{prefix}\x1b[0m"
        self.say(f"{prefix} {text}")


class Stack:
    """Everything that `up` runs, as an async context manager that stops it all.

    Attributes:
        ended: A future that fails with ProcessError when a part ends by itself.
        connection_string: For any Azure SDK, through the bridge.
    """

    def __init__(self, plan: Plan, output: Output) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._plan = plan
        self._output = output
        self._azurite = Azurite(
            blob_port=free_port(),
            queue_port=plan.ports.queue,
            table_port=plan.ports.table,
            location=plan.data / "azurite",
            on_end=self._fail,
        )
        self.connection_string = self._azurite.connection_string_through(plan.blob_url)
        self._parts = AsyncExitStack()

    async def start(self) -> None:
        """Start all parts; return when an upload would be counted and the counts are served.

        Raises:
            AzuriteError: Azurite is not installed, or refuses.
            ProcessError: Azurite does not start.
        """
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
            sdk = asyncio.create_task(asyncio.to_thread(import_module, "localdev.page"))  # takes a second
            self._parts.push_async_callback(asyncio.to_thread, self._azurite.close)
            self._start_part("bridge", self._bridge_command(), os.environ)
            await _until_answers(session, f"{self._plan.blob_url}/__bridge__/stats")
            if self._plan.host:
                host = host_command(self._plan.ports.functions, core_tools=self._plan.host == "func")
                self._start_part("functions", host, self._app_environ())
            await asyncio.to_thread(self._azurite.start)
            await sdk
            await self._prepare()
            if self._plan.host:
                await self._until_ready(session)

    async def _prepare(self) -> None:
        from localdev import page, storage  # noqa: PLC0415  # imported by `start`, while others start

        plan, folders = self._plan, self._plan.settings.folders
        await asyncio.to_thread(storage.prepare, self._azurite.connection_string, folders)
        if plan.page:
            config = partial(page.config, plan.functions_url, plan.blob_url, folders)
            self._parts.push_async_callback((await page.serve(plan.ports.page, config, PAGE)).cleanup)

    def _start_part(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        part = Process(name, command, output=partial(self._output.line, name), env=env, on_end=self._fail)
        self._parts.push_async_callback(asyncio.to_thread, part.stop)

    def _fail(self, error: ProcessError) -> None:
        """Note the end of a part; called in that part's thread."""
        self._loop.call_soon_threadsafe(self._note_end, error)

    def _note_end(self, error: ProcessError) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def _bridge_command(self) -> list[str]:
        plan = self._plan
        journal, schema = plan.data / "bridge.sqlite", ("--schema", plan.schema.value)
        return bridge_command(plan.ports.blob, self._azurite.blob_url, plan.functions_url, journal, *schema)

    def _app_environ(self) -> dict[str, str]:
        """Return the app's environment: this process's, with the storage that runs here."""
        environ = without_storage(os.environ) | {
            "STORAGE": self.connection_string,
            "AzureWebJobsStorage": self.connection_string,
            "RECONCILE_ON_START": "false",  # at that moment Azurite may not be there yet
            "FUNCTIONS_WORKER_RUNTIME": "python",
            # Core Tools choose the worker's Python by what is on PATH.
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),  # noqa: PTH120
            "languageWorkers__python__defaultExecutablePath": sys.executable,
        }
        environ.setdefault("CORS_ORIGINS", "*")  # the live page, or an app's development server
        return environ if self._plan.timer else environ | _TIMER_OFF

    async def _until_ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until the app is ready, without a limit: the first listing of a big account takes time.

        The reconciliation at the start is requested by the admin call of the platform's host, which also runs a
        function whose timer is switched off. Without the timer only an account that has never been reconciled gets
        one, because it has no counts before.
        """
        wanted = self._plan.timer and self._plan.settings.reconcile_on_start
        asked = False
        note_at = time.monotonic() + NOTE_SECONDS
        while (status := await _health(session, self._plan.functions_url)) != "ok" or (wanted and not asked):
            if not asked and status in {"ok", "not-ready"}:
                asked = await _post(session, f"{self._plan.functions_url}/admin/functions/reconcile")
                continue
            if time.monotonic() > note_at:
                note_at += NOTE_SECONDS
                self._output.say(f"waiting: the functions host's health is {status}")
            await asyncio.sleep(POLL_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()
        self.ended.cancel()


async def _until_answers(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with session.get(url):
                return
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(POLL_SECONDS)


async def _post(session: aiohttp.ClientSession, url: str) -> bool:
    """Send the request; return whether it was accepted."""
    try:
        async with session.post(url, json={}) as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _health(session: aiohttp.ClientSession, functions_url: str) -> str:
    """Return the status that the app reports, or why there is none."""
    try:
        async with session.get(f"{functions_url}/api/health") as answer:
            return str((await answer.json(content_type=None))["status"])
    except (aiohttp.ClientError, TimeoutError):
        return "not answering yet"
    except (ValueError, LookupError, TypeError):
        return "not known yet"  # the platform's host answers 404 or an empty body while it starts
