"""Being told that the process is to end, in time to let its clients go.

Who ends a worker in order sends it SIGTERM. Its HTTP server (uvicorn) takes that signal for itself: it stops listening
and waits until every request has been answered, which parked ones are not. So whoever parks them has to hear the
signal too. The handler that was there is kept and called.

Azure's host is not that orderly: it sends ``WorkerTerminate`` to workers that say they handle it, which
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
    """Have a function called on this loop when the process gets SIGTERM or SIGINT, inside of this context.

    Yields:
        Whether it will be: not outside of the main thread, and not where nobody handles the signal (then it ends the
        process at once, and so it should).
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
        if signal.getsignal(number) is handle:  # else somebody has put their own in its place, and calls it perhaps
            signal.signal(number, before)

    signal.signal(number, handle)
    undone.callback(undo)
    return True
