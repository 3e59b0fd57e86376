"""The language worker: the official runtime package, driven as the platform's host drives it.

The package is the one the platform loads on Python 3.13. Its entry points are those of the worker protocol:
`worker_init_request` imports and indexes `function_app.py`; `invocation_request` runs an HTTP function, whose request
the host proxies to the worker's own HTTP server (capability `HttpUri`) under the same invocation id;
`invocation_request_native` runs every other function.
"""

import asyncio
import builtins
import json
import logging
import os
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import azure_functions_runtime as runtime
import uvicorn.config
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.http_v2 import http_coordinator
from azure_functions_runtime.native_invocation import invocation_request_native

from localdev.host.errors import AppError
from localdev.host.logs import start_invocation
from localdev.host.protos import PROTOS, HttpInput, HttpInvocation, StatusResult
from localdev.host.settings import is_disabled

SERVE_TIMEOUT_SECONDS = 20.0
"""How long the worker's HTTP server may take to accept its first connection."""

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Function:
    """An indexed function.

    Attributes:
        trigger: the trigger's binding as in `function.json`: `type`, `name`, and what the type adds to them.
        disabled: switched off by an app setting: it is not triggered, only the admin call runs it.
    """

    name: str
    function_id: str
    trigger: dict[str, Any]
    disabled: bool

    @property
    def kind(self) -> str:
        """The trigger's type, such as `httpTrigger`."""
        return str(self.trigger["type"])


class Worker:
    """The worker of one function app.

    Attributes:
        functions: the app's functions by lower-case name (the admin call finds them in any case).
        http_port: port of the worker's HTTP server on loopback, None without HTTP functions.
        overran: a function has overrun `functionTimeout`, which ends the worker.
    """

    def __init__(self, app_dir: Path, timeout_seconds: float | None) -> None:
        self.functions: dict[str, Function] = {}
        self.http_port: int | None = None
        self.timeout_seconds = timeout_seconds
        self.overran = asyncio.Event()
        self._app_dir = app_dir
        self._running: set[asyncio.Task[Any]] = set()
        self._server: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Index the app and wait until its HTTP server accepts.

        Raises:
            AppError: the app does not import, has no functions, or uses what this host does not support.
        """
        quieten_uvicorn()
        sys.path.insert(0, str(self._app_dir))
        os.chdir(self._app_dir)
        runtime.start_threadpool_executor()
        response = await runtime.worker_init_request(self._message())
        if response.result.status != StatusResult.Success:
            raise _indexing_error(response.result.exception)
        metadata = (await runtime.functions_metadata_request(self._message())).function_metadata_results
        if not metadata:
            raise AppError(f"No functions: {self._app_dir} has no function_app.py, or it declares none.")
        for entry in metadata:
            self.functions[entry.name.lower()] = _function(entry)
        uri = response.capabilities.get("HttpUri")
        if uri:
            self.http_port = urlsplit(uri).port
            # The runtime does not hand its server's task out.
            self._server = {task for task in asyncio.all_tasks() if "WebServer.serve" in repr(task.get_coro())}
            await self._until_serving()
        elif any(function.kind == "httpTrigger" for function in self.functions.values()):
            raise AppError(
                "HTTP functions need azurefunctions-extensions-http-fastapi (its Request and Response types) here."
            )

    def start_http(self, function: Function, params: dict[str, str], invocation_id: str) -> asyncio.Task[Any]:
        """Start the invocation of an HTTP function; the request itself goes to `http_port` under the same id."""
        message = HttpInvocation(invocation_id, function.function_id, [HttpInput(function.trigger["name"], params)])
        task = self._track(start_invocation(runtime.invocation_request(message)))
        task.add_done_callback(lambda task: _release(invocation_id) if task.cancelled() else None)
        return task

    def invoke(self, function: Function, *texts: str) -> asyncio.Task[bool]:
        """Run a function that has no HTTP trigger, once for each text, all at once.

        Args:
            function: the function.
            texts: JSON texts of what triggered it, passed on as they are.

        Returns:
            Whether all invocations succeeded. A failure is logged; an overrun of `functionTimeout` ends the worker.
        """
        return self._track(asyncio.create_task(self._invoke_all(function, texts)))

    def note_overrun(self, function: Function) -> None:
        """End the worker: nothing else ends a function that took too long for certain."""
        log.error(
            "%s overran functionTimeout (%s s): the worker ends, and every client that it holds",
            function.name,
            self.timeout_seconds,
        )
        self.overran.set()

    async def stop(self, grace_seconds: float) -> None:
        """Wait for running invocations, cancel those that outlast the grace, stop the worker's HTTP server."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)
        if self._running:
            log.warning("invocations cancelled: %d", len(self._running))
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=1)

    async def http_stopped(self) -> bool:
        """Wait for the end of the worker's HTTP server, which has been told to stop; tell whether it came."""
        if self._server:
            await asyncio.wait(self._server, timeout=0.5)
        return all(task.done() for task in self._server)

    async def _invoke_all(self, function: Function, texts: tuple[str, ...]) -> bool:
        """Run them under one time limit: there may be thousands, and each has begun by now."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return all(await asyncio.gather(*(start_invocation(_invoke(function, text)) for text in texts)))
        except TimeoutError:
            self.note_overrun(function)
            return False

    def _track(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _message(self) -> SimpleNamespace:
        init = SimpleNamespace(capabilities={}, function_app_directory=str(self._app_dir))
        return SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init), properties={"host": LOOPBACK, "protos": PROTOS}
        )

    async def _until_serving(self) -> None:
        try:
            async with asyncio.timeout(SERVE_TIMEOUT_SECONDS):
                while not await self._accepts():  # noqa: ASYNC110 - uvicorn tells nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AppError(f"The worker's HTTP server did not start within {SERVE_TIMEOUT_SECONDS:g} s.") from None

    async def _accepts(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, self.http_port)
            writer.close()
            await writer.wait_closed()
            return True
        return False


async def _invoke(function: Function, text: str) -> bool:
    inputs = [(function.trigger["name"], Datum(text, "json"))]
    succeeded, _, _, error, _ = await invocation_request_native(str(uuid.uuid4()), function.function_id, inputs, {})
    if not succeeded:  # the runtime has logged the traceback
        log.error("%s failed: %s", function.name, error)
    return bool(succeeded)


def _release(invocation_id: str) -> None:
    """Let the worker's HTTP server go that waits for a cancelled invocation; the runtime forgets to."""
    with suppress(KeyError):  # it has not got the request yet
        http_coordinator.set_http_response(invocation_id, RuntimeError("the invocation was cancelled"))


def quieten_uvicorn() -> None:
    """Let uvicorn's warnings and errors through to our handlers, and no access log.

    The extension builds `uvicorn.Config` without arguments; this default of it is the one knob that it leaves.
    """
    uvicorn.config.LOGGING_CONFIG["loggers"] = {
        "uvicorn": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING", "propagate": False},
    }
    logging.getLogger("uvicorn.error").addFilter(_not_from_an_invocation)


def _not_from_an_invocation(record: logging.LogRecord) -> bool:
    """Drop what the runtime raises in uvicorn because an invocation failed: the relay logs that, with its name."""
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "catch_all":
            return False
        traceback = traceback.tb_next
    return True


def _function(entry: Any) -> Function:
    bindings = [json.loads(binding) for binding in entry.raw_bindings]
    trigger = next((binding for binding in bindings if str(binding["type"]).lower().endswith("trigger")), None)
    if trigger is None:
        raise AppError(f"The function {entry.name} has no trigger.")
    return Function(entry.name, entry.function_id, trigger, is_disabled(entry.name))


def _indexing_error(exception: Any) -> AppError:
    """Return what stopped the app, with the traceback of Python's own errors (the app's speak for themselves)."""
    kind = str(exception.message).partition(":")[0]
    details = exception.stack_trace if hasattr(builtins, kind) else ""
    return AppError(f"The function app does not start.\n{exception.message}", details)
