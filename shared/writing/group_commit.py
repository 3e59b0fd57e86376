"""Group commit: a batch of intents, each row together with the tally that counts it, in one conditional transaction.

One attempt reads what it must know, decides the batch, and sends it. Its outcome is one of::

    committed    resolve everyone
    conflict     forget what was wrong, read it, decide again
    unknown      forget everything, read, decide again
    rejected     halve the batch until the one row is found
    left         another process is named to commit for all: it is handed the batch

The rows and the tally just written are remembered with their ETags, so that an upload usually costs one transaction
and no read. Nothing that is remembered is ever trusted for a write: every operation carries its condition.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError
from shared.model import ledger
from shared.model.ledger import row_key
from shared.model.ports import ANY_VERSION, Write
from shared.model.tally import name_properties
from shared.process import telemetry
from shared.writing.batch import Group, fail, is_full, origins
from shared.writing.cache import Guesses, Remembered, RowMemory, TallyMemory
from shared.writing.cases import Cases
from shared.writing.plan import Plan, plan_batch
from shared.writing.tally_row import PARTITION, TALLY_KEY, StoredTally

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock
    from shared.model.cases import StoredCase
    from shared.model.ports import Table
    from shared.model.tally import NamedWriter, Tally
    from shared.writing.contention import Pauses
    from shared.writing.naming import Naming
    from shared.writing.tally_row import Counts


@dataclass(slots=True)
class CommitStats:
    """What has been sent to storage."""

    events: dict[str, int] = field(default_factory=dict)
    transactions: int = 0
    conflicts: int = 0
    reads: int = 0
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """An attempt of which nothing is known to be written: to be made again.

    Attributes:
        error: What those are told whose time is over.
        pause_seconds: How long to wait before the next one.
    """

    error: StorageError
    pause_seconds: float = 0.0


class GroupCommit:
    """Commits batches, one at a time.

    Args:
        table: The table.
        counts: Its tally.
        naming: Who is named to commit for all.
        clock: Time.
        pauses: When to wait.
        on_change: Called with the new tally after a commit that changed a count.
        on_cases: Called with the cases that a commit has written, where those that are drained are marked.

    Attributes:
        cases: What is known of the rows of cases.
        stats: What has been sent to storage.
    """

    def __init__(
        self,
        table: Table,
        counts: Counts,
        naming: Naming,
        clock: Clock,
        pauses: Pauses,
        on_change: Callable[[Tally], None],
        on_cases: Callable[[list[StoredCase]], None] = lambda _: None,
    ) -> None:
        self._table = table
        self._counts = counts
        self._naming = naming
        self._clock = clock
        self._on_change = on_change
        self._on_cases = on_cases
        self._pauses = pauses
        self._tally = TallyMemory()
        self._rows = RowMemory()
        self.cases = Cases(table, counts)
        self._guesses = Guesses()
        #: The tally that a commit was conditional on which failed by it.
        self._conflicting_etag = ""
        self.stats = CommitStats()

    async def commit(self, batch: list[Group]) -> list[Group]:
        """Bring a batch to its end, in as many attempts as its time allows.

        Args:
            batch: The batch.

        Returns:
            What is left, because another process is named, which is to be handed it.

        Raises:
            StorageError: An outage; nobody in the batch has been told yet.
        """
        is_bound = any(group.is_bound for group in batch)
        again: Again | None = None
        while batch := self._in_time(batch, again):
            if again is not None and again.pause_seconds:
                await self._clock.sleep(again.pause_seconds)
            if not is_bound and self._naming.other(self._clock.monotonic()) is not None:
                return batch
            try:
                again = await self._attempt(batch, is_bound=is_bound)
            except Rejected as rejected:
                return await self._isolate(batch, rejected)
            if again is None:
                return []
        return []

    async def claim(self) -> None:
        """Write the tally, to name this process in it, unless somebody is named by then."""
        while self._naming.claims:
            again = await self._attempt([], is_bound=True)
            if again is None or not isinstance(again.error, Conflict):
                self._naming.claims = False
            elif again.pause_seconds:
                await self._clock.sleep(again.pause_seconds)

    def _in_time(self, batch: list[Group], again: Again | None) -> list[Group]:
        """Return what there is time left for; tell the others why it did not suffice."""
        at = self._clock.monotonic() + (again.pause_seconds if again is not None else 0.0)
        error = again.error if again is not None else OutcomeUnknown("there was no time left to commit this")
        fail([late for group in batch if (late := group.split_late(at)).intents], error)
        return [group for group in batch if group.intents]

    async def _attempt(self, batch: list[Group], *, is_bound: bool) -> Again | None:
        """Try once. Returns None when the batch was committed, and everybody in it was told."""
        plan: Plan | None = None
        try:
            stored = await self._tally_to_build_on(batch)
            if (name := self._naming.outright(self._clock.monotonic())) is not None:
                stored = await self._name_outright(name, stored.partition)
            if not is_bound and self._naming.other(self._clock.monotonic()) is not None:
                return Again(Conflict("another process is named to commit this"))
            plan = await self._plan(batch, stored)
            if plan.writes_rows_only and not self._tally.is_fresh(self._clock.monotonic()):
                stored = await self.read_tally()  # no condition on it would stop a writer of an old generation
                plan = await self._plan(batch, stored)
            plan.name(stored, *self._next_name(batch))
            if plan.writes:
                asked_at = self._clock.monotonic()
                self._remember(plan, stored, await self._transact(plan, stored.partition, batch), asked_at)
        except Conflict as conflict:
            return Again(conflict, self._blame(conflict, plan, batch))
        except OutcomeUnknown as unknown:
            self._tally.forget()
            self._rows.clear()
            self.cases.forget(plan.cases if plan is not None else None)
            return Again(unknown, self._pauses.unanswered(unknown.retry_after_seconds))
        self._pauses.answered()
        self._guesses.note_batch(len(batch), plan.new_rows)
        self.cases.note_batch(plan.cases)
        plan.resolve()
        return None

    async def _name_outright(self, name: NamedWriter, partition: str) -> StoredTally:
        """Write a name and nothing else, on no condition: it protects nothing, and whoever commits must hear of it."""
        self._tally.forget()
        await self._table.commit(partition, [Write(TALLY_KEY, name_properties(name), ANY_VERSION, merges=True)])
        return await self.read_tally()

    def _next_name(self, batch: list[Group]) -> tuple[NamedWriter | None, bool]:
        waiting = {intent.owner for group in batch for intent in group.intents if intent.owner}
        full = is_full(batch, self._counts.case_of)
        return self._naming.next(self._clock.monotonic(), waiting, self._pauses.commit_seconds, is_full=full)

    async def _tally_to_build_on(self, batch: list[Group]) -> StoredTally:
        if self._naming.is_newer(self._tally.asked_at, self._clock.monotonic()):
            self._tally.forget()
        stored = self._known_tally() or await self.read_tally()
        if stored.etag == self._conflicting_etag:  # the tally was not what conflicted: the index is only a hint
            self._distrust(batch)
        self._conflicting_etag = ""
        return stored

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
            guesses = self._guesses if plan.path_at(conflict.index) else self.cases.guesses
            guesses.note_conflict(plan.writes, conflict.index)
            raise
        finally:
            took = self._clock.monotonic() - began
            self._pauses.took(took)
            telemetry.COMMIT_DURATION.record(took, {"result": result})
        telemetry.COMMIT_BLOBS.record(len(plan.rows))
        return etags

    async def _plan(self, batch: list[Group], stored: StoredTally) -> Plan:
        """Decide the batch, reading the rows that cannot be decided from memory."""
        while True:
            may_guess = self._guesses.are_good
            plan = plan_batch(batch, stored, self._rows, self._clock, may_guess=may_guess, cases=self.cases)
            if not plan.unread and not plan.cases.unread:
                return plan
            unread = (self._read_row(path, stored.partition, stored.tally.doubt) for path in plan.unread)
            unread_cases = (self._read_case(case, stored) for case in plan.cases.unread)
            reads = await asyncio.gather(*unread, *unread_cases, return_exceptions=True)
            for result in reads:
                if isinstance(result, BaseException):
                    raise result

    async def read_row(self, path: str) -> Remembered:
        """Read the row of a path: the condition of what a look finds."""
        stored = self._known_tally() or await self._counts.read()
        where = (stored.partition, stored.tally.doubt) if stored is not None else (PARTITION, "")
        return await self._read_row(path, *where)

    async def _read_row(self, path: str, partition: str, doubt: str) -> Remembered:
        self.stats.reads += 1
        asked_at = self._clock.monotonic()
        entity = await self._table.read(partition, row_key(path))
        if entity is None:
            return self._rows.remember(path, Remembered(None, None, asked_at, partition, doubt))
        row = ledger.from_entity(entity.row_key, entity.properties, self._counts.folders)
        if row.path and row.path != path:
            raise Rejected(f"the paths {path!r} and {row.path!r} share a 128-bit row key")
        return self._rows.remember(path, Remembered(replace(row, path=path), entity.etag, asked_at, partition, doubt))

    async def _read_case(self, case: str, stored: StoredTally) -> None:
        self.stats.reads += 1
        await self.cases.read(case, stored)

    def _known_tally(self) -> StoredTally | None:
        """Return the tally as remembered, unless this process has learnt of a newer generation since."""
        stored = self._tally.get()
        return stored if stored is not None and stored.partition == self._counts.partition else None

    async def read_tally(self) -> StoredTally:
        """Read the tally, whomever it names."""
        self.stats.reads += 1
        asked_at = self._clock.monotonic()
        stored = await self._counts.open()
        self._learn(stored, asked_at)
        self.cases.learn(stored.tally)
        return stored

    def _learn(self, stored: StoredTally, asked_at: float) -> None:
        self._tally.remember(stored, asked_at)
        self._naming.read(stored, asked_at)

    def _remember(self, plan: Plan, stored: StoredTally, etags: list[str], asked_at: float) -> None:
        left = iter(etags)
        if plan.tally_write is not None:
            self._learn(StoredTally(plan.tally, next(left), partition=stored.partition), asked_at)
        written = self.cases.written(plan.cases, left, stored.partition)
        for path, row in plan.rows.items():
            self._rows.remember(path, Remembered(row, next(left), asked_at, stored.partition))
        if (plan.tally.revision, plan.tally.recent) != (stored.tally.revision, stored.tally.recent):
            self._on_change(plan.tally)
        if written and self._counts.marks_drained:
            self._on_cases(written)

    def _blame(self, conflict: Conflict, plan: Plan | None, batch: list[Group]) -> float:
        """Forget what was wrong. Returns the seconds to wait."""
        path = plan.path_at(conflict.index) if plan is not None else ""
        if path:
            blamed = [group for group in batch if group.path == path]
            was_read = all(group.must_read for group in blamed)  # then it is another row: the index is only a hint
            self._distrust(batch if was_read else blamed)
            return 0.0
        if plan is not None:
            self.cases.doubt(plan.cases)
        used = self._tally.forget()
        self._conflicting_etag = used.etag if used is not None else ""
        now = self._clock.monotonic()
        if self._pauses.is_contended(now):
            self._naming.lost_again()
        return self._pauses.lost(now)

    def _distrust(self, groups: list[Group]) -> None:
        """Have these rows read before they are decided again."""
        for group in groups:
            self._rows.forget(group.path)
            group.must_read = True

    async def _isolate(self, batch: list[Group], error: Rejected) -> list[Group]:
        """One row that storage will not take must not fail its neighbours: halve until it stands alone."""
        if len(batch) == 1:
            fail(batch, error if error.by_service else Refused(str(error)))
            return []
        middle = len(batch) // 2
        return [*await self.commit(batch[:middle]), *await self.commit(batch[middle:])]

    async def let_others(self) -> None:
        """Stand back now and then, where others contend or hand over; what they commit meanwhile has to be read."""
        now = self._clock.monotonic()
        is_mine = self._naming.is_mine(now)  # then few others commit, and the tally is most likely as it was
        if is_mine or self._pauses.is_contended(now):
            pause = self._pauses.stand_back(now)
            if pause:
                if not is_mine:
                    self._tally.forget()
                await self._clock.sleep(pause)
