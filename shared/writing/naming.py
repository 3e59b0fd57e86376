"""Who commits for everybody: the one process that the tally names.

Every commit changes the tally on condition of its ETag, so two processes that commit at once cost each other attempts.
That is met by *combining* (Hendler, Incze, Shavit, Tzafrir: Flat Combining, SPAA 2010): a process that has lost a
commit to the tally twice within a second names itself in the tally, for three seconds; the others hand over to it what
they have, instead of contending (``shared/writing/handover.py``). Whoever never lost a commit names nobody. It does so
with its next commit; if that is overtaken too, on no condition, because a process that commits one batch after the
other is never overtaken by anybody who has to read the tally first, and would not hear of them.

Being named is a hint. Any process may commit at any moment, two may believe that they are named, and one that was
frozen may wake: the ETags alone keep the ledger right.

A process names itself, and goes on to be named, only while one of its deliveries runs: an instance without a running
invocation may be suspended or taken away.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from shared.model.tally import NamedWriter

if TYPE_CHECKING:
    from datetime import datetime

    from shared.writing.tally_row import StoredTally

#: The format in which intents are handed over; a process that is named with another one is not handed anything.
FORMAT: Final = 2
#: A name is good for so long; whoever dies with it holds the others up for as long, and a little more.
LIFE_SECONDS: Final = 3.0
#: A name is renewed when so much of it is left. The table's clock is told in whole seconds.
RENEWED_SECONDS: Final = 1.75
#: While others have handed over something within this time, the name is renewed …
WANTED_SECONDS: Final = 10.0
#: … and within this time, batches wait for more of it.
FOLLOWED_SECONDS: Final = 1.0
#: Longest time that a delivery stays for what others hand over …
STAY_SECONDS: Final = 10.0
#: … and when so much of it is left, it names one of those who wait in its place.
HANDS_ON_SECONDS: Final = 1.0
#: Whoever has been named for as long as so many commits take names one of those who wait, because its own deliveries
#: are quicker than theirs; sooner where only the delivery that stays still runs, and not while batches are full,
#: because following takes some commits' time.
TERM_COMMITS: Final = 20
TERM_COMMITS_IF_ALONE: Final = 8
#: The turn of one that waits for another commit than this is waited for until so many terms are over.
MAX_TERMS: Final = 2


class Naming:
    """Who is named, as far as this process knows; times by its monotonic clock.

    Args:
        process: The id of this process's start; "" where it never is to be named.

    Attributes:
        deliveries: How many deliveries of this process run.
        claims: Whether the next commit is to name this process.
        leaves_at: When the delivery leaves that stays for what others hand over.
        is_leaving: Whether this process is about to end, and is not to be named any more.
    """

    def __init__(self, process: str) -> None:
        self.process = process
        self.deliveries = 0
        self.claims = False
        self._was_overtaken = False
        self.leaves_at = float("inf")
        self.is_leaving = False
        self._named: NamedWriter | None = None
        self._partition = ""
        self._over_at = float("-inf")
        self._since = float("-inf")
        self._have_waited: set[str] = set()
        self._told_at = float("-inf")
        self._date: tuple[datetime, float] | None = None
        self._drained_at = float("-inf")

    # Who is named

    def read(self, stored: StoredTally, asked_at: float) -> None:
        """Note whom the tally names, as just read or written; a name is as old as the question."""
        if stored.read_at is not None:
            self._date = (stored.read_at, asked_at)
        named, self._partition = stored.tally.writer, stored.partition
        if named != self._named:
            self._believe(named, asked_at)
        if self.other(asked_at) is not None:
            self.claims = False

    def told(self, named: NamedWriter, date: datetime, asked_at: float) -> None:
        """Note who is named by now, as told with an outcome; the tally says the same, or will."""
        self._date = (date, asked_at)
        if self._named is not None and named.until <= self._named.until:
            return
        if self._believe(named, asked_at):
            self._told_at = asked_at

    def _believe(self, named: NamedWriter | None, asked_at: float) -> bool:
        """Take this for the name. Returns whether it is another process than before."""
        is_other = self._named is None or named is None or named.process != self._named.process
        if is_other:
            self._since, self._have_waited = asked_at, set()
        self._named, self._over_at = named, asked_at + self._left(named, asked_at)
        return is_other

    def _left(self, named: NamedWriter | None, asked_at: float) -> float:
        """Return how long a name holds: never longer than a name lives, whatever the clocks say."""
        now = self._table_time(asked_at)
        if named is None or now is None:
            return 0.0
        return min(max((named.until - now).total_seconds(), 0.0), LIFE_SECONDS)

    def _table_time(self, now: float) -> datetime | None:
        if self._date is None:
            return None
        date, asked_at = self._date
        return date + timedelta(seconds=now - asked_at)

    def living(self, now: float) -> NamedWriter | None:
        """Return who is named now."""
        return self._named if now < self._over_at else None

    def other(self, now: float) -> NamedWriter | None:
        """Return the other process that is named now, if it is to be handed anything."""
        named = self.living(now)
        return named if named is not None and named.process != self.process and named.format == FORMAT else None

    def is_mine(self, now: float) -> bool:
        """Tell whether this process is named now."""
        named = self.living(now)
        return named is not None and named.process == self.process

    def is_newer(self, asked_at: float, now: float) -> bool:
        """Tell whether the tally has changed since it was read, perhaps.

        This process was told of a name that it has not read there; or another's time has ended, and somebody followed.
        """
        if asked_at < self._told_at:
            return True
        return self._named is not None and self._named.process != self.process and asked_at < self._over_at <= now

    @property
    def partition(self) -> str:
        """The generation whose tally names somebody."""
        return self._partition

    # Whom the next commit names

    def next(
        self, now: float, waiting: set[str], commit_seconds: float, *, is_full: bool = False
    ) -> tuple[NamedWriter | None, bool]:
        """Return whom the tally is to name after the next commit, and whether it is written for that alone.

        Args:
            now: The time.
            waiting: The processes that wait for this commit: one of them follows when this one is about to leave, or
                has been named for long enough.
            commit_seconds: How long a commit takes.
            is_full: Whether the batch is as large as one can be: more waits than is committed.
        """
        named, time = self.living(now), self._table_time(now)
        is_mine = named is not None and named.process == self.process
        if (named is not None and not is_mine) or time is None:
            return named, False
        left = min(LIFE_SECONDS, self.leaves_at - now) if self._is_alone else LIFE_SECONDS
        if named is not None and (successor := self._successor(waiting, now, commit_seconds, is_full)):
            # Whoever is told of two names believes the later one, and the two may have been dated by different clocks.
            until = max(time + timedelta(seconds=LIFE_SECONDS), named.until + timedelta(milliseconds=1))
            return NamedWriter(successor, FORMAT, until), True
        may_be_named = self.deliveries > 0 and left > 0 and not self.is_leaving
        if not may_be_named or not (self.claims or (is_mine and self._is_wanted(now))):
            return named, False
        until = time + timedelta(seconds=left)
        if named is not None and until <= named.until:
            return named, False
        return NamedWriter(self.process, FORMAT, until), not is_mine or self._over_at - now < RENEWED_SECONDS

    def _successor(self, waiting: set[str], now: float, commit_seconds: float, is_full: bool) -> str:
        """Return which of those who wait for a commit follows, each in its turn; "" for none yet."""

        def turn(process: str) -> tuple[bool, str]:
            return process <= self.process, process

        self._have_waited |= waiting
        first = min(waiting, key=turn, default="")
        if self.is_leaving or self.leaves_at - now < HANDS_ON_SECONDS:
            return first
        served_seconds = now - self._since
        term_seconds = commit_seconds * (TERM_COMMITS_IF_ALONE if self._is_alone else TERM_COMMITS)
        may_overtake = self._is_alone or served_seconds > MAX_TERMS * term_seconds
        is_in_turn = may_overtake or first == min(self._have_waited, key=turn, default="")
        return first if served_seconds >= term_seconds and is_in_turn and not is_full else ""

    @property
    def _is_alone(self) -> bool:
        """Tell whether all that still runs is the delivery that stays."""
        return self.deliveries == 1 and self.leaves_at < float("inf")

    def _is_wanted(self, now: float) -> bool:
        return now - self._drained_at < WANTED_SECONDS

    def is_on_duty(self, now: float) -> bool:
        """Tell whether to look into the inbox: named, and running for longer than the delivery that stays."""
        return self.is_mine(now) and not self.is_leaving and (now < self.leaves_at or not self._is_alone)

    def drained(self, now: float) -> None:
        """Note that others have handed over something."""
        self._drained_at = now

    def is_followed(self, now: float) -> bool:
        """Tell whether others have handed over something lately: they are at it, and their next is on its way."""
        return now - self._drained_at < FOLLOWED_SECONDS

    def lost_again(self) -> None:
        """Note the second commit within a second that somebody else's overtook: the next one names this process."""
        self._was_overtaken = self.claims
        self.claims = bool(self.process and self.deliveries)

    def outright(self, now: float) -> NamedWriter | None:
        """Return the name of this process, to be written on no condition; None while a commit may do it."""
        time = self._table_time(now)
        if not (self.claims and self._was_overtaken) or self.living(now) is not None or time is None:
            return None
        self.claims = False
        return NamedWriter(self.process, FORMAT, time + timedelta(seconds=LIFE_SECONDS))
