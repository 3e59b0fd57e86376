"""The one way into the ledger: group commit of events, each row together with the tally that counts it.

Concurrent invocations of one process put their intents in a queue and await. One flush at a time takes what is
queued (at most 99 distinct blobs), commits one transaction, and resolves them::

    invocation 1 ──► ┐                    ┌─► [tally, row a, row b, …] conditional, all or nothing
    invocation 2 ──► ├─ queue ─► flush ───┤     committed   resolve everyone
    invocation 3 ──► ┘                    │     conflict    forget what was wrong, read it, decide again
                                          │     rejected    halve the batch until the one row is found
                                          └─    unknown     forget everything, read, decide again

Idle: a flush starts at once, no delay is added. Busy: batches form by themselves. The rows and the tally just
written are remembered with their ETags, so that an upload usually costs one transaction and no read. Nothing that
is remembered is ever trusted for a write: every operation carries its condition.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError
from shared.model import ledger
from shared.model.ledger import Observation, Outcome, row_key
from shared.process import telemetry
from shared.writing.cache import Guesses, Remembered, RowMemory, TallyMemory
from shared.writing.contention import Turns
from shared.writing.plan import Group, Intent, Plan, RowChanged, fail, grouped, origins, plan_batch, take_batch
from shared.writing.tally_row import PARTITION, TALLY_KEY, StoredTally

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from shared.clock import Clock
    from shared.model.changes import BlobChange
    from shared.model.ports import Heads, Table
    from shared.model.tally import Tally
    from shared.writing.tally_row import Counts

log = logging.getLogger(__name__)

#: Event Grid waits 30 s for an answer; an answer that comes later counts as a failure and is redelivered.
BUDGET_SECONDS: Final = 15.0
MAX_LOOKS: Final = 20


@dataclass(slots=True)
class WriterStats:
    """What the writer has done since it was made."""

    events: dict[str, int] = field(default_factory=dict)
    transactions: int = 0
    conflicts: int = 0
    reads: int = 0
    looks: int = 0


class Writer:
    """Applies changes and observations to the ledger.

    Args:
        table: The table.
        counts: Its tally.
        heads: Looks at blobs.
        clock: Time.
        random: Jitter.
        on_change: Called with the new tally after a commit that changed a count.
    """

    def __init__(
        self,
        table: Table,
        counts: Counts,
        heads: Heads,
        clock: Clock,
        random: Random,
        on_change: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._table = table
        self._counts = counts
        self._heads = heads
        self._clock = clock
        self._on_change = on_change
        self._queue: deque[Intent] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._tally = TallyMemory()
        self._rows = RowMemory()
        self._guesses = Guesses()
        self._turns = Turns(random)
        self.stats = WriterStats()

    async def apply(self, change: BlobChange, folder: str) -> Outcome:
        """Bring the ledger to where this event says, whatever came before.

        Args:
            change: The event.
            folder: The folder that its name counts in.

        Raises:
            Rejected: Storage will never take this row; it belongs in quarantine.
            StorageError: An outage: nothing is known to be written, the delivery must fail and come again.
        """
        outcome = (await self._submit(Intent(change.path, folder, change=change))).outcome
        if outcome is Outcome.LOOK:
            await self.look(change.container, change.name, folder, change.sequencer or "")
        self.stats.events[outcome] = self.stats.events.get(outcome, 0) + 1
        return outcome

    async def health(self) -> dict[str, object]:
        """Return what the health report says of this part."""
        return {"events": dict(self.stats.events)}

    async def look(self, container: str, name: str, folder: str, sequencer: str = "") -> ledger.Transition:
        """Look at the blob and bring its row to what was found.

        The order is row, then HEAD, then a commit on condition that the row is still the one read; a row that
        changed meanwhile is looked at again.
        """
        path = f"{container}/{name}"
        for _ in range(MAX_LOOKS):
            self.stats.looks += 1
            base = await self.read_row(path)
            head = await self._heads.head(container, name)
            seen = Observation(path, folder, head.present, head.date, head.etag, sequencer)
            try:
                return await self.observe(seen, base)
            except RowChanged:
                continue
        raise OutcomeUnknown(f"the row of {path!r} kept changing while its blob was looked at")

    async def observe(self, seen: Observation, base: Remembered) -> ledger.Transition:
        """Commit what a look found, on condition that the row is still ``base``.

        Raises:
            RowChanged: It is not.
        """
        return await self._submit(Intent(seen.path, seen.folder, seen=seen, base=base))

    async def _submit(self, intent: Intent) -> ledger.Transition:
        intent.origin = telemetry.here()
        self._queue.append(intent)
        if self._flushing is None:
            # A task of its own: an invocation that is cancelled must not cancel the commit others wait for.
            self._flushing = asyncio.create_task(self._flush_all(), name="ledger flush")
        return await intent.done

    async def _flush_all(self) -> None:
        try:
            while self._queue:
                batch: list[Group] = []
                try:
                    await self._let_others()
                    batch = take_batch(self._queue)
                    await self._commit(batch)
                except StorageError as error:
                    fail([*batch, *grouped(self._queue)], error)
                    self._queue.clear()
                except BaseException as error:
                    fail([*batch, *grouped(self._queue)], OutcomeUnknown(f"the flush ended with {error!r}"))
                    self._queue.clear()
                    raise
        finally:
            self._flushing = None

    async def _let_others(self) -> None:
        """Stand back after a turn, while other processes contend; what they commit meanwhile has to be read."""
        pause = self._turns.stand_back(self._clock.monotonic())
        if pause:
            self._tally.forget()
            await self._clock.sleep(pause)

    async def _commit(self, batch: list[Group]) -> None:
        deadline = self._clock.monotonic() + BUDGET_SECONDS
        conflicting_etag: str | None = None
        while True:
            plan: Plan | None = None
            try:
                stored = self._known_tally() or await self._read_tally()
                if stored.etag == conflicting_etag:  # the tally was not what conflicted: the index is only a hint
                    self._distrust(batch)
                plan = await self._plan(batch, stored)
                if plan.writes_rows_only and not self._tally.is_fresh(self._clock.monotonic()):
                    stored = await self._read_tally()  # no condition on it would stop a writer of an old generation
                    plan = await self._plan(batch, stored)
                if plan.writes:
                    asked_at = self._clock.monotonic()
                    self._remember(plan, stored, await self._transact(plan, stored.partition, batch), asked_at)
            except Rejected as rejected:
                await self._isolate(batch, rejected)
                return
            except Conflict as conflict:
                error: StorageError = conflict
                pause, conflicting_etag = self._after_conflict(conflict, plan, batch)
            except OutcomeUnknown as unknown:
                error = unknown
                self._tally.forget()
                self._rows.clear()
                pause = self._turns.unanswered(unknown.retry_after_seconds)
            else:
                self._turns.answered()
                self._guesses.note_batch(len(batch), plan.new_rows)
                plan.resolve()
                return
            if self._clock.monotonic() + pause > deadline:
                raise error
            await self._clock.sleep(pause)

    async def _transact(self, plan: Plan, partition: str, batch: list[Group]) -> list[str]:
        self.stats.transactions += 1
        began = self._clock.monotonic()
        result = "failed"
        try:
            with telemetry.span("commit", links=origins(batch), blobs=len(plan.rows)):
                etags = await self._table.commit(partition, plan.writes)
            result = "committed"
        except Conflict as conflict:
            result = "conflict"
            self.stats.conflicts += 1
            self._guesses.note_conflict(plan.writes, conflict.index)
            self._turns.took(self._clock.monotonic() - began)
            raise
        finally:
            telemetry.COMMIT_DURATION.record(self._clock.monotonic() - began, {"result": result})
        telemetry.COMMIT_BLOBS.record(len(plan.rows))
        return etags

    async def _plan(self, batch: list[Group], stored: StoredTally) -> Plan:
        """Decide the batch, reading the rows that cannot be decided from memory."""
        while True:
            plan = plan_batch(batch, stored, self._rows, self._clock, may_guess=self._guesses.are_good)
            if not plan.unread:
                return plan
            unread = (self._read_row(path, stored.partition, stored.tally.doubt) for path in plan.unread)
            reads = await asyncio.gather(*unread, return_exceptions=True)
            for result in reads:
                if isinstance(result, BaseException):
                    raise result

    async def read_row(self, path: str) -> Remembered:
        """Read the row of a path: what :meth:`observe` takes as its condition."""
        stored = self._known_tally() or await self._counts.read()
        where = (stored.partition, stored.tally.doubt) if stored is not None else (PARTITION, "")
        return await self._read_row(path, *where)

    async def _read_row(self, path: str, partition: str, doubt: str) -> Remembered:
        self.stats.reads += 1
        asked_at = self._clock.monotonic()
        entity = await self._table.read(partition, row_key(path))
        if entity is None:
            return self._rows.remember(path, Remembered(None, None, asked_at, partition, doubt))
        row = ledger.from_entity(entity.row_key, entity.properties)
        if row.path and row.path != path:
            raise Rejected(f"the paths {path!r} and {row.path!r} share a 128-bit row key")
        return self._rows.remember(path, Remembered(replace(row, path=path), entity.etag, asked_at, partition, doubt))

    def _known_tally(self) -> StoredTally | None:
        """Return the tally as remembered, unless this process has learnt of a newer generation since."""
        stored = self._tally.get()
        return stored if stored is not None and stored.partition == self._counts.partition else None

    async def _read_tally(self) -> StoredTally:
        self.stats.reads += 1
        asked_at = self._clock.monotonic()
        stored = await self._counts.open()
        self._tally.remember(stored, asked_at)
        return stored

    def _remember(self, plan: Plan, stored: StoredTally, etags: list[str], asked_at: float) -> None:
        for write, path, etag in zip(plan.writes, plan.paths, etags, strict=True):
            if write.row_key == TALLY_KEY:
                self._tally.remember(replace(stored, tally=plan.tally, etag=etag, written_at=None), asked_at)
            else:
                self._rows.remember(path, Remembered(plan.rows[path], etag, asked_at, stored.partition))
        if plan.tally.revision != stored.tally.revision:
            self._on_change(plan.tally)

    def _after_conflict(self, conflict: Conflict, plan: Plan | None, batch: list[Group]) -> tuple[float, str | None]:
        """Forget what was wrong. Returns the seconds to wait, and the tally's ETag when it is the tally's fault."""
        path = plan.paths[conflict.index] if plan and conflict.index < len(plan.paths) else ""
        if path:
            blamed = [group for group in batch if group.path == path]
            was_read = all(group.must_read for group in blamed)  # then it is another row: the index is only a hint
            self._distrust(batch if was_read else blamed)
            return 0.0, None
        used = self._tally.forget()
        return self._turns.lost(self._clock.monotonic()), used.etag if used else None

    def _distrust(self, groups: list[Group]) -> None:
        """Have these rows read before they are decided again."""
        for group in groups:
            self._rows.forget(group.path)
            group.must_read = True

    async def _isolate(self, batch: list[Group], error: Rejected) -> None:
        """One row that storage will not take must not fail its neighbours: halve until it stands alone."""
        if len(batch) == 1:
            fail(batch, error if error.by_service else Refused(str(error)))
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])
