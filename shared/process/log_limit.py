"""What anybody can cause any number of times is logged once a minute, with how often it was.

Each line of a log is stored, and paid for: the host's sampling leaves the app's own lines out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.clock import Clock

SECONDS: Final = 60.0


class LogLimit:
    """Counts what happens, and tells when to say so.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unsaid = 0
        self._said_at = float("-inf")

    def count(self) -> int:
        """Count once more. Returns how often it was since the last line; 0: that was less than a minute ago."""
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said_at < SECONDS:
            return 0
        times, self._unsaid, self._said_at = self._unsaid, 0, now
        return times
