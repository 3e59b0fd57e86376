"""The cases that are followed: brought up to date by the tally's ring, for the one read that everybody shares.

1. A case's row is read once, when somebody first asks for it. From then on the ring of each tally that is read, or that
   this process commits, says whether it has changed, and to what.
2. When the ring has gone on by more than it holds, or the counts have begun anew, the rows of the cases that are waited
   for are read again, some at a time; those of others when somebody asks.
3. Reads for those who ask are limited to :data:`READS_AN_INTERVAL`; who comes later waits for a later interval, and
   is refused where that would take longer than :data:`LONGEST_TURN_SECONDS`.
4. A change of one case wakes nobody who follows another.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from shared.errors import StorageError, Unavailable
from shared.model.cases import key_of
from shared.model.snapshot import StatusSnapshot, claimed_revision
from shared.process import telemetry
from shared.watching.topic import Topic

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.model.tally import Tally
    from shared.watching.topic import Hub
    from shared.writing.tally_row import Counts

log = logging.getLogger(__name__)

#: Rows of cases that are read in a poll interval for those who ask.
READS_AN_INTERVAL: Final = 100
#: How long they wait for their turn; at least for one interval.
LONGEST_TURN_SECONDS: Final = 5.0
#: Rows that are read at the same time for those who wait already.
READS_AT_ONCE: Final = 32
#: Cases that are remembered after the last client has left, those used longest ago out first.
MAX_REMEMBERED: Final = 4096


class CaseTopic(Topic):
    """The counts of one case.

    Args:
        cases: All that are followed.
        case: The case.
        key: Its key.

    Attributes:
        is_current: Its snapshot is that of the last tally that was seen.
    """

    def __init__(self, cases: CaseTopics, case: str, key: str) -> None:
        super().__init__(key)
        self._cases = cases
        self.case = case
        self.is_current = False
        self.reading: asyncio.Task[None] | None = None

    @property
    def hub(self) -> Hub:
        """What brings the changes."""
        return self._cases.hub

    async def latest(self, *, newer_than: frozenset[str] = frozenset()) -> StatusSnapshot:
        """Return the current counts: see :meth:`Topic.latest`."""
        await self.hub.latest_as_of(lambda: self._cases.is_behind(newer_than))
        await self._bring_up_to_date()
        if self.snapshot is not None and any(map(self.snapshot.is_behind, newer_than)):
            # Its row has gone, perhaps with the whole table: the tally says.
            await self.hub.latest_as_of(lambda: True)
            await self._bring_up_to_date()
        return self._cases.dated(self)

    async def _bring_up_to_date(self) -> None:
        for _ in range(2):  # a read that is under way may have begun before this call; the next one has not
            if not self.is_current:
                await self._cases.read(self)

    async def next(
        self, version: str, timeout_seconds: float, is_gone: Callable[[], bool] | None = None
    ) -> StatusSnapshot | None:
        """Wait: see :meth:`Topic.next`."""
        self._cases.refresh([self])
        return await super().next(version, timeout_seconds, is_gone)

    async def confirm(self) -> None:
        """Make sure that the counts were confirmed lately: see :meth:`Topic.confirm`."""
        await super().confirm()
        if not self.is_current and not self.hub.is_stopping:
            with suppress(TimeoutError, StorageError):
                async with asyncio.timeout(self.hub.interval_seconds):
                    await self._cases.read(self)
        if not self.is_current:
            raise Unavailable("the counts of the case could not be confirmed for a while; try again")

    def take(self, snapshot: StatusSnapshot) -> None:
        """Take newer counts, and wake who waits for them."""
        known = self.snapshot
        is_same = known is not None and known.tally.epoch == snapshot.tally.epoch
        if known is None or not is_same or known.tally.revision < snapshot.tally.revision:
            self.snapshot = snapshot
            telemetry.WAKES.add(self.hub.waiting.wake(self.key))


class CaseTopics:
    """All cases that are followed in this process.

    Args:
        hub: What brings the tallies.
        counts: Reads the rows of cases.

    Attributes:
        reads: How many rows of cases have been read.
    """

    def __init__(self, hub: Hub, counts: Counts) -> None:
        self.hub = hub
        self._counts = counts
        self._topics: WeakValueDictionary[str, CaseTopic] = WeakValueDictionary()
        self._remembered: OrderedDict[str, CaseTopic] = OrderedDict()
        self._epoch = ""
        self._partition = ""
        self._revision = 0
        self._read_at: datetime | None = None
        self._era = 0  # of the snapshots that are current
        self._at_once = asyncio.Semaphore(READS_AT_ONCE)
        self._turns_from = float("-inf")
        self._turns = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._is_refresh_due = False  # with the next tally: somebody may wait for a case that is not current
        self.reads = 0

    def of(self, case: str) -> CaseTopic:
        """Return the topic of a case."""
        key = key_of(case)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = CaseTopic(self, case, key)
        self._remembered[key] = topic
        self._remembered.move_to_end(key)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return topic

    def publish(
        self, tally: Tally, read_at: datetime, written_at: datetime | None, partition: str | None = None
    ) -> None:
        """Take a tally that was read or committed.

        Args:
            tally: The tally.
            read_at: When the read began.
            written_at: When the tally was last written.
            partition: Where it stands, with the rows of its cases; None: of one that was committed this is not known,
                so it only goes on from one of the same epoch that was read.
        """
        recent = tally.recent
        if recent is None or (partition is None and tally.epoch != self._epoch):
            return
        changes = recent.after(self._revision, tally.epoch, tally.sums) if tally.epoch == self._epoch else None
        if changes is None and tally.epoch == self._epoch and recent.revision < self._revision:
            return  # an older one than was seen before
        self._epoch, self._revision, self._read_at = tally.epoch, recent.revision, read_at
        if partition is not None:
            self._partition = partition
        for key, counts in changes or ():
            if (topic := self._topics.get(key)) is not None:
                topic.take(StatusSnapshot(counts, read_at, written_at))
        if changes is None:
            self._era += 1
            for topic in self._topics.values():
                topic.is_current = False
        if changes is None or self._is_refresh_due:
            self._is_refresh_due = False
            waited_for = (self._topics.get(key) for key in self.hub.waiting.topics())
            self.refresh([topic for topic in waited_for if topic is not None])

    def is_behind(self, tags: frozenset[str]) -> bool:
        """Tell whether one of these versions is later than the tally that was seen last."""
        claimed = (claimed_revision(tag, self._epoch) for tag in tags)
        return any(revision is not None and revision > self._revision for revision in claimed)

    def dated(self, topic: CaseTopic) -> StatusSnapshot:
        """Return a topic's snapshot, as of the last read: what it says of its age may be final by now."""
        snapshot = topic.snapshot
        if snapshot is None:
            raise Unavailable("the counts of the case cannot be read right now; try again")
        if topic.is_current and self._read_at is not None and snapshot.read_at < min(self._read_at, snapshot.dated_at):
            topic.snapshot = snapshot = replace(snapshot, read_at=self._read_at)
        return snapshot

    async def read(self, topic: CaseTopic) -> None:
        """Read the row of a case, once for all who ask, when it is its turn.

        Raises:
            Unavailable: Too many ask.
            StorageError: As the table raises it.
        """
        if not self._epoch:
            return  # no tally has been read that it could be a case of
        if topic.reading is None:
            await self._take_turn()
        if topic.reading is None:
            topic.reading = asyncio.create_task(self._read(topic), name="status read of a case")
        await asyncio.shield(topic.reading)

    async def _take_turn(self) -> None:
        """Wait for a read of this interval or a later one: first come, first served.

        Raises:
            Unavailable: Too many wait.
        """
        now, interval_seconds = self.hub.clock.monotonic(), self.hub.interval_seconds
        turn_at = self._turns_from + self._turns // READS_AN_INTERVAL * interval_seconds
        if turn_at + interval_seconds <= now:
            turn_at, self._turns_from, self._turns = now, now, 0
        if turn_at - now > max(LONGEST_TURN_SECONDS, interval_seconds):
            raise Unavailable("too many cases are asked for at once; try again")
        self._turns += 1
        await self.hub.clock.sleep(max(0.0, turn_at - now))

    async def _read(self, topic: CaseTopic) -> None:
        self.reads += 1
        era, epoch, read_at = self._era, self._epoch, self.hub.clock.now()
        try:
            tally, entity = await self._counts.read_case(topic.case, self._partition, epoch)
            if epoch == self._epoch:  # else the counts have begun anew meanwhile
                topic.take(StatusSnapshot(tally, read_at, entity.written_at if entity is not None else None))
            topic.is_current = era == self._era  # else the ring has gone on too far meanwhile
        finally:
            topic.reading = None
            if not topic.is_current:
                self._is_refresh_due = True

    def refresh(self, topics: list[CaseTopic]) -> None:
        """Read the rows of cases that are waited for, and are not current, in the background."""
        stale = [topic for topic in topics if not topic.is_current and topic.reading is None]
        if stale and (not self._epoch or self._refreshing is not None):
            self._is_refresh_due = True
        elif stale:
            self._refreshing = asyncio.create_task(self._refresh(stale), name="refresh of cases")

    async def _refresh(self, topics: list[CaseTopic]) -> None:
        try:
            results = await asyncio.gather(*map(self._refresh_one, topics), return_exceptions=True)
        finally:
            self._refreshing = None
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            log.warning(
                "%d of %d cases that are waited for cannot be read: %r", len(failures), len(topics), failures[0]
            )

    async def _refresh_one(self, topic: CaseTopic) -> None:
        async with self._at_once:
            if topic.reading is None:
                topic.reading = asyncio.create_task(self._read(topic), name="status read of a case")
            await asyncio.shield(topic.reading)

    def close(self) -> None:
        """Stop reading."""
        for task in (self._refreshing, *(topic.reading for topic in self._topics.values())):
            if task is not None:
                task.cancel()
