"""Virtual time: hours of waiting in milliseconds, and every moment exact."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

START = datetime(2026, 11, 22, 18, 20, 31, 123456, tzinfo=UTC)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that, when nothing is ready, is at the moment of its next timer."""

    now = 0.0

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class VirtualClock:
    """The app's clock on the running loop's time.

    Args:
        start: What the wall clock shows when the loop begins.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start

    def now(self) -> datetime:
        """Return the wall clock."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def run[T](main: Coroutine[Any, Any, T]) -> T:
    """Run a test in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
