"""When to wait: taking turns at the one row that every commit changes, and leaving a storage in trouble alone.

A process that has just committed knows the newest tally, so it wins again, and again: that is efficient, since
nobody reads, and unfair. So the losers wait a flat random time (exponential back-off starves whoever loses first),
long enough that most of their attempts do not meet the winner's; and the winner, when it has met others lately,
stands back after a short turn. Alone, nobody waits for anything.

All waits grow with the time that a commit takes: on a storage that is busy, or far away, a flat 100 ms would be shorter
than a turn, and nearly every attempt would meet another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

#: Where a commit takes no longer than this, the waits below are as they stand.
USUAL_COMMIT_SECONDS: Final = 0.02
#: Waits grow to so many times that; a delivery has 15 s in all.
MAX_SCALE: Final = 8.0
#: After a lost commit. Measured with 4 processes x 8 writers: 0.04 takes a quarter more attempts; 0.2, with turns of
#: 0.25, a tenth fewer, and lets the slowest process fall behind to a third of the fastest.
LOST_PAUSE_SECONDS: Final = 0.1
#: A turn: while it lasts, commits follow each other without a pause. Halves the wait of the others' unluckiest.
TURN_SECONDS: Final = 0.15
BETWEEN_TURNS_SECONDS: Final = 0.05
#: After a request without an answer, at first, and at most: doubled each time.
UNANSWERED_PAUSE_SECONDS: Final = 0.1
MAX_UNANSWERED_PAUSE_SECONDS: Final = 2.0
#: Others count as contending for so long after the last lost commit.
CONTENDED_SECONDS: Final = 1.0


class Turns:
    """When to wait, and for how long; all times by the monotonic clock.

    Args:
        random: Jitter.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._contended_until = float("-inf")
        self._began = float("-inf")
        self._scale = 1.0
        self._unanswered = 0

    def took(self, seconds: float) -> None:
        """Note how long a lost commit took."""
        scale = min(max(seconds / USUAL_COMMIT_SECONDS, 1.0), MAX_SCALE)
        self._scale += (scale - self._scale) / 5

    def unanswered(self, retry_after_seconds: float) -> float:
        """Return the seconds to wait after a request that was not answered, or was answered "busy"."""
        longest = min(UNANSWERED_PAUSE_SECONDS * 2**self._unanswered, MAX_UNANSWERED_PAUSE_SECONDS)
        self._unanswered += 1
        return max(retry_after_seconds, self._random.uniform(longest / 2, longest))

    def answered(self) -> None:
        """Note that storage answers."""
        self._unanswered = 0

    def lost(self, now: float) -> float:
        """Return the seconds to wait after a commit that somebody else's overtook.

        None for the first in a while: a tally that was merely old is no contention.
        """
        pause = self._random.uniform(0, LOST_PAUSE_SECONDS * self._scale) if now < self._contended_until else 0.0
        self._contended_until = now + pause + CONTENDED_SECONDS
        self._began = now + pause
        return pause

    def stand_back(self, now: float) -> float:
        """Return the seconds to wait before the next commit: 0 alone, and while the turn lasts."""
        if now >= self._contended_until or now < self._began + TURN_SECONDS * self._scale:
            return 0.0
        pause = self._random.uniform(BETWEEN_TURNS_SECONDS / 2, BETWEEN_TURNS_SECONDS) * self._scale
        self._began = now + pause
        return pause
