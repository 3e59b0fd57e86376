"""Hears that the process is to end, in time to let its clients go.

A worker is stopped by SIGTERM. Its HTTP server (uvicorn) handles that signal: it stops listening and waits until every
request has been answered, which parked ones are not. So the watch has to hear the signal too. The former handler is
kept and called.

Azure's host is less orderly: it sends ``WorkerTerminate`` to workers that say they handle it, which
``azure-functions-runtime`` 1.3.0 does not, and kills the others (azure-functions-host #2308). Nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

log = logging.getLogger(__name__)


@contextmanager
def heard(callback: Callable[[], None]) -> Iterator[bool]:
    """Call a function on this loop when the process gets SIGTERM or SIGINT inside this context.

    Yields:
        Whether it will be called: not outside the main thread, and not where the signal has no handler (then it ends
        the process at once, as it should).
    """
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    loop = asyncio.get_running_loop()
    with ExitStack() as undone:
        is_heard = _hear(signal.SIGTERM, loop, callback, undone)
        _hear(signal.SIGINT, loop, callback, undone)
        yield is_heard


def _hear(
    number: signal.Signals, loop: asyncio.AbstractEventLoop, callback: Callable[[], None], undone: ExitStack
) -> bool:
    before = signal.getsignal(number)
    if not callable(before) or before is signal.default_int_handler:
        return False

    def handle(received: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        before(received, frame)

    def undo() -> None:
        if signal.getsignal(number) is handle:  # else another handler is installed, which may call this one
            signal.signal(number, before)

    signal.signal(number, handle)
    undone.callback(undo)
    return True
