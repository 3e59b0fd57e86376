"""The watch: one poller in each process turns the tally's row into snapshots, and wakes the clients that wait.

The contract:

1. Storage is read at most once a poll interval: by one loop while clients wait, else on request. All requests within
   the interval, or while a read runs, share its result, also when it is an error. Clients that have, or claim to have,
   a later version than this process share one more read an interval; further ones wait for the next, and no client is
   shown older counts than it has.
2. A waiter registers before it compares, so a change between the two is not lost.
3. A waiter is woken when the version *differs* from its own: versions are compared by inequality only, because a
   rebuilt table may go backwards.
4. The table carries the signal. The commits of this process are offered as well, without a read, as an optimisation:
   in Azure the events arrive in other instances than those that hold the clients.
5. A failed read wakes no client. When reads have failed for a while no client is told "unchanged" any more.
6. The number of waiting clients is limited; further clients are refused before the process is overloaded.
7. When the process stops, waiting clients are answered over the next second, and no further client is held.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from shared.errors import CountsNotReady, StorageError, TooManyWaiters, Unavailable
from shared.model.snapshot import StatusSnapshot
from shared.model.tally import Tally
from shared.process import telemetry
from shared.watching.cases import CaseTopics
from shared.watching.own_commits import Offers
from shared.watching.topic import Topic
from shared.watching.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.clock import Clock
    from shared.watching.topic import Hub
    from shared.writing.tally_row import Counts

log = logging.getLogger(__name__)

#: Counts that could not be confirmed for this long are unknown, not "unchanged".
UNCONFIRMED_SECONDS: Final = 5.0


def _unreadable() -> Unavailable:
    return Unavailable("the counts cannot be read right now; try again")


class Watch(Topic):
    """Serves snapshots of the tally, now or when they change.

    Args:
        counts: Reads the tally.
        clock: Time.
        poll_interval_seconds: The poller's period, and the greatest age of what is shared without another read.
        max_waiters: How many clients may be held at a time.

    Attributes:
        waiters: How many clients are held.
        reads: How often the tally has been read.
        is_stopping: The process ends; no client is held any more.
    """

    def __init__(
        self, counts: Counts, clock: Clock, poll_interval_seconds: float, max_waiters: int = sys.maxsize
    ) -> None:
        super().__init__("")
        self._counts = counts
        self.clock = clock
        self.interval_seconds = poll_interval_seconds
        self.max_waiters = max_waiters
        self._failure: Callable[[], Unavailable] | None = None  # makes a new error for each request
        self._ended = 0  # reads; they follow each other
        self._started_at = float("-inf")  # of the last read that ended
        self._extra_from = float("-inf")  # when another extra read may be made
        self._confirmed_at = float("-inf")  # of the last read that succeeded
        self._offers = Offers(clock, self._take_offer)
        self._fetch: asyncio.Task[None] | None = None
        self.waiting = Waiters()
        self._cases = CaseTopics(self, counts)
        self._poller: asyncio.Task[None] | None = None
        self.waiters = 0
        self.reads = 0
        self.is_stopping = False

    @property
    def hub(self) -> Hub:
        """The watch itself."""
        return self

    async def latest(self, *, newer_than: frozenset[str] = frozenset()) -> StatusSnapshot:
        """Return the current counts: see :meth:`Topic.latest`."""
        return await self.latest_as_of(partial(self._is_behind, newer_than))

    async def latest_as_of(self, is_behind: Callable[[], bool]) -> StatusSnapshot:
        """Return the current counts, from a read that began after this call if what is shared is behind."""
        enough = self.reads + 1  # a running read began before, and may not have seen that version
        if self._age_seconds() > self.interval_seconds:
            await self._shared_fetch()
        while self._ended < enough and is_behind():
            await self._extra_fetch()
        return self._current()

    @property
    def rows_read(self) -> int:
        """How many rows have been read: the tally's each time, and those of cases."""
        return self.reads + self._cases.reads

    def of(self, case: str) -> Topic:
        """Return the counts of a case, to be followed like those of everything."""
        return self._cases.of(case)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Give a client a place, for one wait or many; the tally is polled while one is taken.

        Raises:
            Unavailable: The process stops.
            TooManyWaiters: There is no room.
        """
        if self.is_stopping:
            raise Unavailable("this instance is about to stop; try again")
        if self.waiters >= self.max_waiters:
            raise TooManyWaiters("too many clients wait here already; try again, or ask without a wait")
        self.waiters += 1
        telemetry.WAITERS.add(1)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="status poller")
        try:
            yield
        finally:
            self.waiters -= 1
            telemetry.WAITERS.add(-1)
            if not self.waiters and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    def offer(self, tally: Tally) -> None:
        """Take a tally that this process has just committed, which saves a read."""
        self._offers.offer(tally)

    def drain(self) -> None:
        """End all waits, because the process stops."""
        if not self.is_stopping:
            self.is_stopping = True
            log.info("stopping: %d clients are let go", self.waiters)
            self.waiting.drain()

    def close(self) -> None:
        """Stop the loop and the timers; waits end in their time."""
        self.waiting.close()
        for task in (self._poller, self._fetch):
            if task is not None:
                task.cancel()
        self._offers.close()
        self._cases.close()

    def _take_offer(self, snapshot: StatusSnapshot) -> None:
        self._confirmed_at = self._offers.taken_at
        self._failure = None  # storage has just taken a commit
        known = self.snapshot
        self._publish_cases(snapshot)
        if known is None or known.is_behind(snapshot.version):
            self._publish(snapshot)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self.interval_seconds - self._age_seconds()))
            await self._shared_fetch()

    async def _shared_fetch(self) -> None:
        """Read the tally, once for all requests while the read runs. Keep the outcome, also an error."""
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._read(), name="status read")
        await asyncio.shield(self._fetch)

    async def _extra_fetch(self) -> None:
        """Join the running read, or begin one; when it is too early for that, only wait until it may begin."""
        if self._fetch is None:
            now = self.clock.monotonic()
            if now < self._extra_from:
                await self.clock.sleep(self._extra_from - now)
                return
            self._extra_from = now + self.interval_seconds
        await self._shared_fetch()

    async def _read(self) -> None:
        self.reads += 1
        read_at, started_at = self.clock.now(), self.clock.monotonic()
        failure: Callable[[], Unavailable] | None = None
        try:
            stored = await self._counts.glance()
            if stored is None:
                failure = partial(CountsNotReady, "the storage account has not been reconciled yet; try again")
            elif not stored.tally.ready:
                failure = partial(
                    CountsNotReady,
                    "the first reconciliation of the storage account has not been completed; try again. If this lasts, "
                    "the app's log says why",
                )
        except StorageError as error:
            log.warning("the tally cannot be read: %s", error)
            failure = _unreadable
        except Exception:  # the loop must outlive whatever is in the table
            log.exception("the tally cannot be understood")
            failure = _unreadable
        finally:
            self._fetch = None
            self._ended += 1
        seconds = self.clock.monotonic() - started_at
        telemetry.POLL_DURATION.record(seconds, {"result": "read" if failure is None else "failed"})
        self._failure, self._started_at = failure, started_at
        if failure is not None or stored is None:
            return
        self._confirmed_at = started_at
        snapshot, known = StatusSnapshot(stored.tally, read_at, stored.written_at), self.snapshot
        self._publish_cases(snapshot, stored.partition)
        if known is not None and started_at <= self._offers.taken_at and snapshot.is_behind(known.version):
            return  # the read began before a commit of this process that is served already
        self._publish(snapshot)

    def _publish(self, snapshot: StatusSnapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if before is None or before.version != snapshot.version:
            telemetry.WAKES.add(self.waiting.wake())

    def _publish_cases(self, snapshot: StatusSnapshot, partition: str | None = None) -> None:
        if isinstance(snapshot.tally, Tally):
            self._cases.publish(snapshot.tally, snapshot.read_at, snapshot.written_at, partition)

    def _current(self) -> StatusSnapshot:
        if self._failure is not None:
            raise self._failure()
        if self.snapshot is None:
            raise _unreadable()
        return self.snapshot

    def require_all_confirmed(self) -> None:
        """Check that the tally was read, or committed, lately.

        Raises:
            Unavailable: It was not.
        """
        if self.clock.monotonic() - self._confirmed_at > UNCONFIRMED_SECONDS + self.interval_seconds:
            self._current()  # says why, when there is a reason
            raise Unavailable("the counts could not be confirmed for a while; try again")

    def _is_behind(self, tags: frozenset[str]) -> bool:
        return self.snapshot is not None and any(map(self.snapshot.is_behind, tags))

    def _age_seconds(self) -> float:
        return self.clock.monotonic() - self._started_at
