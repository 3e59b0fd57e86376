"""The one way into the ledger.

Concurrent invocations of one process put their intents in a queue and await. One flush at a time takes what is queued
(at most 99 distinct blobs) and brings it into the ledger, by itself or through the process that is named to commit::

    invocation 1 ──► ┐                    ┌─► nobody else is named: commit (group_commit)
    invocation 2 ──► ├─ queue ─► flush ───┤
    invocation 3 ──► ┘                    └─► somebody is: hand over (handover), and wait for the outcomes

Idle: a flush starts at once, no delay is added. Busy: batches form by themselves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from shared.errors import OutcomeUnknown, StorageError
from shared.model.ledger import Observation, Outcome
from shared.process import telemetry
from shared.writing.batch import BUDGET_SECONDS, Group, Intent, fail, grouped, take_batch
from shared.writing.contention import Pauses
from shared.writing.group_commit import GroupCommit
from shared.writing.handover import Handover
from shared.writing.inbox import Inbox
from shared.writing.naming import STAY_SECONDS, Naming
from shared.writing.plan import RowChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from shared.clock import Clock
    from shared.model.cases import StoredCase
    from shared.model.changes import BlobChange
    from shared.model.ledger import Transition
    from shared.model.ports import Heads, InboxTable, Table
    from shared.model.tally import Tally
    from shared.writing.cache import Remembered
    from shared.writing.tally_row import Counts

MAX_LOOKS: Final = 20


class Writer:
    """Applies changes and observations to the ledger.

    Args:
        table: The table.
        counts: Its tally.
        heads: Looks at blobs.
        clock: Time.
        random: Jitter.
        on_change: Called with the new tally after a commit that changed a count.
        inbox: Where processes hand over to each other; None: this one always commits by itself, as a tool does.
        on_cases: Called with the cases that a commit has written, where those that are drained are marked.
    """

    def __init__(
        self,
        table: Table,
        counts: Counts,
        heads: Heads,
        clock: Clock,
        random: Random,
        on_change: Callable[[Tally], None] = lambda _: None,
        inbox: InboxTable | None = None,
        on_cases: Callable[[list[StoredCase]], None] = lambda _: None,
    ) -> None:
        self._counts = counts
        self._heads = heads
        self._clock = clock
        process = secrets.token_hex(16)
        self._naming = Naming(process if inbox is not None else "")
        pauses = Pauses(random)
        self._commits = GroupCommit(table, counts, self._naming, clock, pauses, on_change, on_cases)
        self._handover = (
            Handover(
                Inbox(inbox, process, counts.folders),
                self._naming,
                self._commits,
                clock,
                pauses,
                self._enqueue,
                self._claim,
            )
            if inbox is not None
            else None
        )
        self._queue: deque[Intent] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self.stats = self._commits.stats

    async def apply(self, change: BlobChange, folder: str) -> Outcome:
        """Bring the ledger to where this event says, whatever came before.

        Args:
            change: The event.
            folder: The folder that its name counts in.

        Raises:
            Rejected: Storage will never take this row; it belongs in quarantine.
            StorageError: An outage: nothing is known to be written, the delivery must fail and come again.
        """
        deadline = self._clock.monotonic() + BUDGET_SECONDS
        with self._delivery():
            try:
                async with asyncio.timeout(BUDGET_SECONDS):
                    outcome = (
                        await self._submit(Intent(change.path, folder, change=change, deadline=deadline))
                    ).outcome
                    if outcome is Outcome.LOOK:
                        await self._look(change.container, change.name, folder, change.sequencer or "", deadline)
            except TimeoutError:
                raise OutcomeUnknown("storage has not answered within the time of a delivery") from None
            self.stats.events[outcome] = self.stats.events.get(outcome, 0) + 1
            if self._handover is not None and self._naming.deliveries == 1:
                await self._handover.stay(STAY_SECONDS, deadline + STAY_SECONDS)
        return outcome

    @contextmanager
    def _delivery(self) -> Iterator[None]:
        self._naming.deliveries += 1
        try:
            yield
        finally:
            self._naming.deliveries -= 1

    async def health(self) -> dict[str, object]:
        """Return what the health report says of this part."""
        now = self._clock.monotonic()
        named = "this" if self._naming.is_mine(now) else "another" if self._naming.living(now) is not None else "none"
        return {"events": dict(self.stats.events), "named_writer": named}

    async def waiting_paths(self) -> set[str]:
        """Return the names about which something was handed over and is not committed yet: they are live."""
        return await self._handover.waiting_paths() if self._handover is not None else set()

    async def clear_inbox(self) -> None:
        """Remove what processes that are gone have handed over; their deliveries have come again."""
        if self._handover is not None:
            await self._handover.clear()

    def leave(self) -> None:
        """Have another process named: this one is about to end."""
        self._naming.is_leaving = True

    def close(self) -> None:
        """Give up what is handed over, and what others have handed over."""
        if self._handover is not None:
            self._handover.close()

    async def look(self, container: str, name: str, folder: str) -> Transition:
        """Look at the blob and bring its row to what was found.

        The order is row, then HEAD, then a commit on condition that the row is still the one read; a row that
        changed meanwhile is looked at again.
        """
        return await self._look(container, name, folder, "", self._clock.monotonic() + BUDGET_SECONDS)

    async def _look(self, container: str, name: str, folder: str, sequencer: str, deadline: float) -> Transition:
        path = f"{container}/{name}"
        for _ in range(MAX_LOOKS):
            self.stats.looks += 1
            base = await self.read_row(path)
            head = await self._heads.head(container, name)
            seen = Observation(path, folder, head.present, head.date, head.etag, sequencer)
            with suppress(RowChanged):
                return await self._submit(Intent(path, folder, seen=seen, base=base, deadline=deadline))
        raise OutcomeUnknown(f"the row of {path!r} kept changing while its blob was looked at")

    async def read_row(self, path: str) -> Remembered:
        """Read the row of a path: what :meth:`observe` takes as its condition."""
        return await self._commits.read_row(path)

    async def observe(self, seen: Observation, base: Remembered) -> Transition:
        """Commit what a look found, on condition that the row is still ``base``.

        Raises:
            RowChanged: It is not.
        """
        deadline = self._clock.monotonic() + BUDGET_SECONDS
        return await self._submit(Intent(seen.path, seen.folder, seen=seen, base=base, deadline=deadline))

    async def unmark(self, drained: StoredCase) -> None:
        """Take the mark off a case that is announced, unless its row has changed since.

        Raises:
            StorageError: An outage; it may still be marked.
        """
        await self._commits.cases.unmark(drained)

    async def _submit(self, intent: Intent) -> Transition:
        intent.origin = telemetry.here()
        self._enqueue([intent])
        return await intent.done

    def _enqueue(self, intents: Sequence[Intent]) -> None:
        self._queue.extend(intents)
        self._start_flush()

    def _start_flush(self) -> asyncio.Task[None]:
        if self._flushing is None:
            # A task of its own: an invocation that is cancelled must not cancel the commit others wait for.
            self._flushing = asyncio.create_task(self._flush_all(), name="ledger flush")
        return self._flushing

    async def _claim(self) -> None:
        """Have this process named, unless somebody else is by then."""
        self._naming.claims = True
        await asyncio.shield(self._start_flush())

    async def _flush_all(self) -> None:
        try:
            while self._queue or self._naming.claims:
                batch: list[Group] = []
                try:
                    await self._commits.let_others()
                    if self._handover is not None:
                        await self._handover.gather(self._queue)
                    batch = take_batch(self._queue, self._counts.case_of)
                    await self._flush(batch)
                except StorageError as error:
                    self._fail_all(batch, error)
                except BaseException as error:
                    self._fail_all(batch, OutcomeUnknown(f"the flush ended with {error!r}"))
                    raise
        finally:
            self._flushing = None

    async def _flush(self, batch: list[Group]) -> None:
        if not batch:
            await self._commits.claim()
        left = await self._commits.commit(batch)
        if self._handover is None:
            return
        if left:
            generation = (self._naming.partition, self._counts.fingerprint)
            await self._handover.hand_over(generation, [intent for group in left for intent in group.intents])
        if self._naming.other(self._clock.monotonic()) is not None:
            self._leave_to_successor()
        self._handover.drain()

    def _leave_to_successor(self) -> None:
        """Leave what others have handed over, and is not begun, to whoever is named by now: not both commit it."""
        for intent in self._queue:
            if intent.owner:
                intent.done.cancel()
        self._queue = deque(intent for intent in self._queue if not intent.owner)

    def _fail_all(self, batch: list[Group], error: StorageError) -> None:
        fail([*batch, *grouped(self._queue)], error)
        self._queue.clear()
        self._naming.claims = False
