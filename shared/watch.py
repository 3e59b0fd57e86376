"""The watch: one poller a process turns the tally's row into snapshots, and wakes everyone who waits for a change.

The contract:

1. Storage is read at most once a poll interval: by one loop while somebody waits, else when somebody asks. All who
   ask within the interval, or while a read runs, share its result, also when it is an error.
2. A waiter takes the signal before it compares, so a change between the two is not lost.
3. A waiter is woken when the version *differs* from its own: versions are compared by inequality only, because a
   rebuilt table may go backwards.
4. What wakes is the table. The commits of this very process are offered as well, without a read, as an optimisation:
   in Azure the events arrive in other instances than those that hold the clients.
5. A read that fails wakes nobody. When reads have failed for a while nobody is told "unchanged" any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from shared.errors import CountsNotReady, RequestError, ServiceUnavailable, StorageError
from shared.status import StatusSnapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from shared.clock import Clock
    from shared.counts import Counts
    from shared.tally import Tally

log = logging.getLogger(__name__)

#: How often it is checked whether a waiting client is still there.
GONE_CHECK_SECONDS: Final = 1.0
#: Commits of this process wake at most this often; a burst of them is one wake.
OFFER_GAP_SECONDS: Final = 0.1
#: Counts that could not be confirmed for so long are not "unchanged": they are unknown.
UNCONFIRMED_SECONDS: Final = 5.0


class ClientGone(Exception):  # noqa: N818
    """The client that waited has gone; there is nobody to answer."""


class Watch:
    """Serves snapshots of the tally, now or when they change.

    Args:
        counts: Reads the tally.
        clock: Time.
        poll_interval_seconds: The poller's period, and the greatest age of a shared snapshot.
    """

    def __init__(self, counts: Counts, clock: Clock, poll_interval_seconds: float) -> None:
        self._counts = counts
        self._clock = clock
        self._interval_seconds = poll_interval_seconds
        self._snapshot: StatusSnapshot | None = None
        self._failure: RequestError | None = None
        self._started_at = float("-inf")  # of the last read that ended
        self._confirmed_at = float("-inf")  # of the last read that succeeded
        self._offered_at = float("-inf")
        self._offer: tuple[StatusSnapshot, asyncio.TimerHandle] | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self.waiters = 0
        self.reads = 0

    async def latest(self, *, newer_than: str = "") -> StatusSnapshot:
        """Return the current counts.

        Args:
            newer_than: A version that the client has. When it is *ahead* of the shared snapshot (another instance
                has served it), the tally is read anew, so that a client does not see the counts go back.

        Raises:
            CountsNotReady: The account has never been reconciled.
            ServiceUnavailable: The table cannot be read.
        """
        if self._age_seconds() > self._interval_seconds * (2 if self._poller else 1):
            await self._shared_fetch()
        if self._snapshot is not None and _is_ahead(newer_than, self._snapshot):
            await self._shared_fetch()
        return self._current()

    async def changed(
        self, version: str, timeout_seconds: float, is_gone: Callable[[], Awaitable[bool]] | None = None
    ) -> StatusSnapshot | None:
        """Wait until the version differs from this one.

        Args:
            version: The version that the client has.
            timeout_seconds: How long at most.
            is_gone: Tells whether the client has left; asked every second.

        Returns:
            The snapshot that differs, or None when the time is up and the version still holds.

        Raises:
            ClientGone: The client left while it waited.
            ServiceUnavailable: The time is up and nobody knows whether the version still holds.
        """
        deadline = self._clock.monotonic() + timeout_seconds
        with self._registered():
            while True:
                signal = self._changed  # a change from here on sets this very event
                if self._snapshot is not None and self._snapshot.version != version:
                    return self._snapshot
                left_seconds = deadline - self._clock.monotonic()
                if left_seconds <= 0:
                    self._require_confirmed()
                    return None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(signal.wait(), min(left_seconds, GONE_CHECK_SECONDS))
                    continue
                if is_gone is not None and await is_gone():
                    raise ClientGone

    def offer(self, tally: Tally) -> None:
        """Take a tally that this process has just committed: a read that need not be made."""
        now = self._clock.monotonic()
        landed_by = self._clock.now()
        snapshot = StatusSnapshot(tally, landed_by, landed_by)
        if self._offer is not None:
            self._offer = (snapshot, self._offer[1])
            return
        delay_seconds = max(0.0, self._offered_at + OFFER_GAP_SECONDS - now)
        self._offer = (snapshot, asyncio.get_running_loop().call_later(delay_seconds, self._take_offer))

    def close(self) -> None:
        """Stop the loop and the timers; who waits is answered in its time."""
        for task in (self._poller, self._fetch):
            if task is not None:
                task.cancel()
        if self._offer is not None:
            self._offer[1].cancel()

    def _take_offer(self) -> None:
        if self._offer is None:
            return
        (snapshot, _), self._offer = self._offer, None
        self._offered_at = self._confirmed_at = self._clock.monotonic()
        self._failure = None  # storage has just taken a commit
        known = self._snapshot
        if known is None or _is_ahead(snapshot.version, known):
            self._publish(snapshot)

    @contextlib.contextmanager
    def _registered(self) -> Iterator[None]:
        self.waiters += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="status poller")
        try:
            yield
        finally:
            self.waiters -= 1
            if not self.waiters and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._interval_seconds - self._age_seconds()))
            await self._shared_fetch()

    async def _shared_fetch(self) -> None:
        """Read the tally, once for all who ask while the read runs. The outcome is kept, error or not."""
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._read(), name="status read")
        await asyncio.shield(self._fetch)

    async def _read(self) -> None:
        self.reads += 1
        read_at, started_at = self._clock.now(), self._clock.monotonic()
        failure: RequestError | None = None
        try:
            stored = await self._counts.read()
            if stored is None:
                failure = CountsNotReady("the storage account has not been reconciled yet; try again")
            elif not stored.tally.ready:
                failure = CountsNotReady("the first reconciliation of the storage account is running; try again")
        except StorageError as error:
            log.warning("the tally cannot be read: %s", error)
            failure = ServiceUnavailable("the counts cannot be read right now; try again")
        except Exception:  # the loop must outlive whatever is in the table
            log.exception("the tally cannot be understood")
            failure = ServiceUnavailable("the counts cannot be read right now; try again")
        finally:
            self._fetch = None
        self._failure, self._started_at = failure, started_at
        if failure is not None or stored is None:
            return
        self._confirmed_at = started_at
        snapshot, known = StatusSnapshot(stored.tally, read_at, stored.written_at), self._snapshot
        if known is not None and started_at <= self._offered_at and _is_ahead(known.version, snapshot):
            return  # the read began before a commit of ours that is served already
        self._publish(snapshot)

    def _publish(self, snapshot: StatusSnapshot) -> None:
        before, self._snapshot = self._snapshot, snapshot
        if before is None or before.version != snapshot.version:
            signal, self._changed = self._changed, asyncio.Event()
            signal.set()

    def _current(self) -> StatusSnapshot:
        if self._failure is not None:
            raise type(self._failure)(self._failure.detail)
        if self._snapshot is None:
            raise ServiceUnavailable("the counts cannot be read right now; try again")
        return self._snapshot

    def _require_confirmed(self) -> None:
        if self._clock.monotonic() - self._confirmed_at > UNCONFIRMED_SECONDS + self._interval_seconds:
            self._current()  # says why, when there is a reason
            raise ServiceUnavailable("the counts could not be confirmed for a while; try again")

    def _age_seconds(self) -> float:
        return self._clock.monotonic() - self._started_at


def _is_ahead(version: str, snapshot: StatusSnapshot) -> bool:
    """Tell whether a version is of the same tally as the snapshot, and of a later revision."""
    epoch, _, revision = version.rpartition("-")
    if epoch != snapshot.tally.epoch or not revision.isdecimal() or len(revision) > 18:  # noqa: PLR2004
        return False
    return int(revision) > snapshot.tally.revision
