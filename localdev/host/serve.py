"""The host's life: start, serve, stop.

Stopping: no new connections; timers fire no more; what is being answered may finish within `GRACE_SECONDS`; then
parked requests get a 503, streams are cut and invocations cancelled. The process ends well within five seconds.

Overrun: a function that takes longer than `functionTimeout` ends its worker on the platform, and with it every client
that the worker holds. Worker and host are one process here, which then begins anew in its place, on the same port.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from localdev.host.connection import ClientConnection
from localdev.host.dispatch import Dispatcher, Keys
from localdev.host.endpoint import Endpoint
from localdev.host.errors import SetupError
from localdev.host.routes import ALL_METHODS, Router
from localdev.host.settings import load_local_settings, read_host_json
from localdev.host.timers import Timers
from localdev.host.worker import Worker

GRACE_SECONDS = 2.0
"""What is in flight at a SIGTERM may take this long."""

BACKLOG = 4096
"""Connections that may wait to be accepted: thousands of clients come back at once after a restart."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line.

    Attributes:
        port: the port to listen on, 0 for a free one.
        address: a loopback address.
        enable_auth: whether function keys are required.
    """

    app_dir: Path
    port: int
    address: str
    enable_auth: bool


class Signals:
    """SIGINT and SIGTERM: before the host serves they end the process, afterwards they set an event.

    The worker's uvicorn installs handlers of its own when it starts, and would stop only itself. `take_over` puts ours
    in front again; `pass_on` gives uvicorn the signal when its turn has come.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._serving = False
        self._theirs: Any = None
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def take_over(self) -> None:
        """Have signals set `stop` from now on."""
        self._serving = True
        for number in SIGNALS:
            self._theirs = signal.signal(number, self._handle)

    def pass_on(self, number: signal.Signals) -> None:
        """Let uvicorn stop as it does on a signal. It then raises the signal again, for us: a second `stop`."""
        if callable(self._theirs) and self._theirs != self._handle:
            self._theirs(number, None)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._serving:
            raise SystemExit(128 + number)
        self._loop.call_soon_threadsafe(self.stop.set)


async def serve(options: Options) -> None:
    """Run the host until a signal ends it.

    Raises:
        HostError: it cannot start.
    """
    signals = Signals()
    started_in = Path.cwd()
    load_local_settings(options.app_dir)
    settings = read_host_json(options.app_dir)
    with bound_socket(options.address, options.port) as listener:
        worker = Worker(options.app_dir, settings.function_timeout_seconds)
        await worker.start()
        functions = worker.functions.values()
        timers = Timers(functions, worker)
        router = Router(functions, settings.route_prefix)
        dispatcher = Dispatcher(worker, router, timers, _keys() if options.enable_auth else None)
        signals.take_over()
        server = await _listen(dispatcher, listener)
        timers.start()
        url = _url(listener)
        print("\n".join(["Functions:", *_listing(router, timers, worker, url), f"ready {url}"]), flush=True)
        await _first(signals.stop, worker.overran)
        if not signals.stop.is_set():
            _begin_anew(started_in, listener.getsockname()[1])
        server.close()
        await _shut_down(dispatcher, timers, worker, signals)


def bound_socket(address: str, port: int) -> socket.socket:
    """Return a bound socket, taken before the app is loaded: a port in use is known at once, clients are refused still.

    Raises:
        SetupError: the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere this option means something else
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise _port_error(address, port, error) from error
    return listener


async def _listen(dispatcher: Dispatcher, listener: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(lambda: ClientConnection(dispatcher), sock=listener, backlog=BACKLOG)
    except OSError as error:
        address, port = listener.getsockname()[:2]
        raise _port_error(address, port, error) from error


def _port_error(address: str, port: int, error: Exception) -> SetupError:
    reason = getattr(error, "strerror", None) or str(error)
    return SetupError(f"Port {port} on {address} cannot be used: {reason}. Choose another with --port.")


async def _shut_down(dispatcher: Dispatcher, timers: Timers, worker: Worker, signals: Signals) -> None:
    log.info("stopping")
    timers.stop()
    dispatcher.draining = True
    for connection in list(dispatcher.connections):
        connection.close_when_idle()
    await _until(lambda: not dispatcher.connections, GRACE_SECONDS)
    for connection in list(dispatcher.connections):
        connection.terminate()
    dispatcher.pool.close()
    await worker.stop(GRACE_SECONDS if not dispatcher.connections else 0)
    if Endpoint.running:
        await asyncio.wait(Endpoint.running, timeout=0.5)
    signals.pass_on(signal.SIGTERM)
    if not await worker.http_stopped():
        signals.pass_on(signal.SIGINT)  # the second signal makes uvicorn wait for nobody
        await worker.http_stopped()


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _begin_anew(started_in: Path, port: int) -> NoReturn:
    """Replace this process by another like it: no connection outlives that, and no function, whatever it does."""
    sys.stdout.flush()
    os.chdir(started_in)
    os.execv(sys.executable, [*sys.orig_argv, "--port", str(port)])  # noqa: S606 - our own command line


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - once, at the end
                await asyncio.sleep(0.01)


def _keys() -> Keys:
    keys = Keys(os.environ.get("HOST_FUNCTION_KEY", ""), os.environ.get("HOST_MASTER_KEY", ""))
    if not any(keys):
        raise SetupError("--enable-auth needs keys: set HOST_FUNCTION_KEY, HOST_MASTER_KEY or both.")
    return keys


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _listing(router: Router, timers: Timers, worker: Worker, url: str) -> Iterable[str]:
    """Return a line for each function, as `func start` prints them."""
    routes = {route.function.name: route for route in router.routes}
    for function in worker.functions.values():
        note = " (disabled)" if function.disabled else ""
        if route := routes.get(function.name):
            methods = "ALL" if route.methods == ALL_METHODS else ",".join(sorted(route.methods))
            yield f"  {function.name}: [{methods}] {url}/{route.template}{note}"
        elif timer := timers.by_name.get(function.name):
            yield f"  {function.name}: timerTrigger {timer.schedule}{note}"
        else:
            yield f"  {function.name}: {function.kind}{note}"
