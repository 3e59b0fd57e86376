"""When to wait: after a commit that another process's overtook, and while storage is in trouble. Alone, nobody waits.

Who keeps losing is soon spared it by ``shared/writing/naming.py``; until then losers wait a flat random time
(exponential back-off starves whoever loses first). The waits grow with the time that a commit takes: on a storage that
is busy, or far away, nearly every attempt would meet another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

#: Where a commit takes no longer than this, the pause after a lost one is as it stands.
USUAL_COMMIT_SECONDS: Final = 0.02
#: It grows to so many times that; a delivery has 15 s in all.
MAX_SCALE: Final = 8.0
LOST_PAUSE_SECONDS: Final = 0.1
#: Others count as contending for so long after the last lost commit.
CONTENDED_SECONDS: Final = 1.0
#: Who commits for others stands back so often, for those who must write the tally themselves (the first count, a
#: recount, an audit) …
BETWEEN_PAUSES_SECONDS: Final = 1.0
#: … and for this share of the time of its commits: they hold up to 99 rows, and the others' need a read and one row.
STOOD_BACK_SHARE: Final = 0.6
#: After a request without an answer, at first, and at most: doubled each time.
UNANSWERED_PAUSE_SECONDS: Final = 0.1
MAX_UNANSWERED_PAUSE_SECONDS: Final = 2.0


class Pauses:
    """For how long to wait; all times by the monotonic clock.

    Args:
        random: Jitter.

    Attributes:
        commit_seconds: How long a commit takes, lately.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._contended_until = float("-inf")
        self._stood_back_at = float("-inf")
        self.commit_seconds = USUAL_COMMIT_SECONDS
        self._unanswered = 0

    def took(self, seconds: float) -> None:
        """Note how long a commit took."""
        longest = MAX_SCALE * USUAL_COMMIT_SECONDS
        self.commit_seconds += (min(seconds, longest) - self.commit_seconds) / 5

    @property
    def _scale(self) -> float:
        return max(self.commit_seconds / USUAL_COMMIT_SECONDS, 1.0)

    def jitter(self, seconds: float) -> float:
        """Return a random time up to this."""
        return self._random.uniform(0, seconds)

    def is_contended(self, now: float) -> bool:
        """Tell whether a commit was lost lately."""
        return now < self._contended_until

    def lost(self, now: float) -> float:
        """Return the seconds to wait after a commit that somebody else's overtook.

        None for the first in a while: a tally that was merely old is no contention.
        """
        pause = self.jitter(LOST_PAUSE_SECONDS * self._scale) if self.is_contended(now) else 0.0
        self._contended_until = now + pause + CONTENDED_SECONDS
        return pause

    def stand_back(self, now: float) -> float:
        """Return the seconds to wait before the next commit, where others may want to commit too."""
        if now - self._stood_back_at < BETWEEN_PAUSES_SECONDS:
            return 0.0
        pause = STOOD_BACK_SHARE * self.commit_seconds
        self._stood_back_at = now + pause
        return pause

    def unanswered(self, retry_after_seconds: float) -> float:
        """Return the seconds to wait after a request that was not answered, or was answered "busy"."""
        longest = min(UNANSWERED_PAUSE_SECONDS * 2**self._unanswered, MAX_UNANSWERED_PAUSE_SECONDS)
        self._unanswered += 1
        return max(retry_after_seconds, self._random.uniform(longest / 2, longest))

    def answered(self) -> None:
        """Note that storage answers."""
        self._unanswered = 0
