"""The commits of this process: served without a read, a burst of them as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from shared.model.snapshot import StatusSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock
    from shared.model.tally import Tally

#: Commits of this process wake at most this often; a burst of them is one wake.
OFFER_GAP_SECONDS: Final = 0.1


class Offers:
    """Passes the newest offer on, at once or when the gap is over.

    Args:
        clock: Time.
        take: Called with the snapshot.

    Attributes:
        taken_at: When it was last called.
    """

    def __init__(self, clock: Clock, take: Callable[[StatusSnapshot], None]) -> None:
        self._clock = clock
        self._take = take
        self._pending: tuple[StatusSnapshot, asyncio.TimerHandle] | None = None
        self.taken_at = float("-inf")

    def offer(self, tally: Tally) -> None:
        """Take a tally that has just been committed."""
        landed_by = self._clock.now()
        snapshot = StatusSnapshot(tally, landed_by, landed_by)
        if self._pending is not None:
            self._pending = (snapshot, self._pending[1])
            return
        delay_seconds = max(0.0, self.taken_at + OFFER_GAP_SECONDS - self._clock.monotonic())
        self._pending = (snapshot, asyncio.get_running_loop().call_later(delay_seconds, self._pass_on))

    def close(self) -> None:
        """Drop a pending offer."""
        if self._pending is not None:
            self._pending[1].cancel()

    def _pass_on(self) -> None:
        if self._pending is None:
            return
        (snapshot, _), self._pending = self._pending, None
        self.taken_at = self._clock.monotonic()
        self._take(snapshot)
