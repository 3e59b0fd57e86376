"""What one flush will write: a batch of intents, decided against what is remembered of their rows.

Pure apart from the futures that it resolves: no storage, no waiting. A row that is not remembered and cannot be
assumed absent is reported in ``unread``; the writer reads it and plans again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.errors import StorageError
from shared.model import ledger
from shared.model.ledger import Outcome, Row, Transition, row_key
from shared.model.ports import Write
from shared.model.tally import Change
from shared.writing.cache import Remembered
from shared.writing.cases import CaseWrites
from shared.writing.tally_row import TRUSTED_SECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock
    from shared.model.ledger import Observation
    from shared.model.tally import NamedWriter, Tally
    from shared.writing.batch import Group, Intent
    from shared.writing.cache import RowMemory
    from shared.writing.cases import Cases
    from shared.writing.tally_row import StoredTally


class RowChanged(StorageError):  # noqa: N818
    """The row that a look started from is not the row any more."""


class OtherGeneration(StorageError):  # noqa: N818
    """What was handed over is of another generation than the tally that the commit would have been conditional on."""


@dataclass(slots=True)
class Plan:
    """What to write, and what to tell whom once it is written.

    Attributes:
        tally: The tally afterwards.
        tally_write: What writes it, or None when it stays as it is.
        cases: What becomes of the cases.
        rows: Path → the row that is written.
        row_writes: What writes them, in the same order.
        unread: Paths whose rows must be read before this can be decided.
        answers: What each intent's caller gets.
    """

    tally: Tally
    tally_write: Write | None = None
    cases: CaseWrites = field(default_factory=CaseWrites)
    rows: dict[str, Row] = field(default_factory=dict)
    row_writes: list[Write] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    answers: list[tuple[Intent, Transition | StorageError]] = field(default_factory=list)

    @property
    def writes(self) -> list[Write]:
        """The transaction: the tally, when it changes, then the cases, then the blobs."""
        return [*([self.tally_write] if self.tally_write is not None else ()), *self.cases.writes, *self.row_writes]

    @property
    def new_rows(self) -> int:
        """How many of the writes make a blob's row."""
        return sum(write.etag is None for write in self.row_writes)

    @property
    def writes_rows_only(self) -> bool:
        """Whether rows are written and no count changes: overwrites, and looks that found what was known."""
        return bool(self.rows) and self.tally_write is None

    def path_at(self, index: int) -> str:
        """Return the path of the blob whose row is written at this place of the transaction, or ""."""
        place = index - (len(self.writes) - len(self.row_writes))
        return list(self.rows)[place] if 0 <= place < len(self.rows) else ""

    def name(self, stored: StoredTally, named: NamedWriter | None, is_due: bool) -> None:
        """Have the tally name this process afterwards: with what is written anyway, or, when it is due, for that alone.

        Whatever writes the tally drops a name whose time is over.
        """
        if is_due or (self.tally_write is not None and named != self.tally.writer):
            self.tally = replace(self.tally, writer=named)
            self.tally_write = stored.write(self.tally)

    def resolve(self) -> None:
        """Answer every caller; one that was cancelled meanwhile is passed over."""
        for intent, answer in self.answers:
            if intent.done.done():
                continue
            if isinstance(answer, StorageError):
                intent.done.set_exception(answer)
            else:
                intent.done.set_result(answer)


def plan_batch(
    batch: list[Group],
    stored: StoredTally,
    rows: RowMemory,
    clock: Clock,
    *,
    may_guess: bool = True,
    cases: Cases | None = None,
) -> Plan:
    """Decide a batch against the tally and what is remembered.

    Args:
        batch: The batch.
        stored: The tally.
        rows: The remembered rows.
        clock: Time.
        may_guess: Whether names never seen may be taken to have no row.
        cases: What is known of the cases; None: they are not counted.
    """
    now = clock.now()
    plan = Plan(stored.tally)
    changes: list[Change] = []
    for group in batch:
        base = _base(group, rows, stored.partition, may_guess=may_guess)
        if base is None:
            plan.unread.append(group.path)
            continue
        answers, row = _fold(group, base, stored.tally, now)
        if row is None and clock.monotonic() - base.at > TRUSTED_SECONDS:
            rows.forget(group.path)
            plan.unread.append(group.path)  # never "nothing to do" on an old memory or on a guess
            continue
        plan.answers += answers
        if row is not None:
            plan.rows[group.path] = row
            plan.row_writes.append(Write(row_key(group.path), ledger.to_properties(row), base.etag))
            changes += _changes(base.row, row)
    if changes:
        plan.tally = stored.tally.apply(changes, now)
        if cases is not None:
            plan.cases = cases.decide(stored, changes, now)
            plan.tally = replace(plan.tally, recent=plan.cases.recent or plan.tally.recent)
        plan.tally_write = stored.write(plan.tally)
    return plan


def _changes(before: Row | None, after: Row) -> list[Change]:
    """Return what a row that is written changes in the tally."""
    was_in = before.folder if before is not None and before.present else ""
    is_in = after.folder if after.present else ""
    if was_in == is_in:
        return []
    moves = ((was_in, -1), (is_in, 1))
    return [Change(folder, after.path, delta) for folder, delta in moves if folder]


def _base(group: Group, rows: RowMemory, partition: str, *, may_guess: bool) -> Remembered | None:
    """Return the row to decide from, as remembered, looked at or guessed; None when it has to be read.

    It is always a row of the generation whose tally the plan begins with.
    """
    remembered = rows.get(group.path, partition)
    if remembered is not None:
        return None if any(_is_newer(intent, remembered) for intent in group.intents) else remembered
    if group.must_read:
        return None
    looked = next((each.base for each in group.intents if each.base is not None and each.generation is None), None)
    if looked is not None:
        return looked if looked.partition == partition else None
    return Remembered(None, None, float("-inf"), partition) if may_guess and group.may_be_new else None


def _is_newer(intent: Intent, remembered: Remembered) -> bool:
    """Tell whether a look that was handed over started from a row that this process has not seen, perhaps."""
    has_other_base = intent.generation is not None and intent.base is not None and intent.base.etag != remembered.etag
    return has_other_base and remembered.at < intent.since


def _fold(
    group: Group, base: Remembered, tally: Tally, now: datetime
) -> tuple[list[tuple[Intent, Transition | StorageError]], Row | None]:
    """Apply the group's intents one after the other; return the answers and the row to write, if any."""
    answers: list[tuple[Intent, Transition | StorageError]] = []
    current, written = base.row, None
    for intent in group.intents:
        answer = _decide(intent, current, base, tally, now, is_first_write=written is None)
        answers.append((intent, answer))
        if isinstance(answer, Transition) and answer.row is not None:
            current = written = answer.row
    return answers, written


def _decide(
    intent: Intent, row: Row | None, base: Remembered, tally: Tally, now: datetime, *, is_first_write: bool
) -> Transition | StorageError:
    if intent.generation not in {None, (base.partition, tally.fingerprint)}:
        return OtherGeneration(intent.path)
    if intent.change is not None:
        return ledger.decide(row, intent.change, intent.folder, tally.known_since, now, is_ready=tally.ready)
    if intent.seen is None or intent.base is None:
        return Transition(Outcome.STALE)
    is_too_old = (
        (intent.seen.is_listed and tally.ready)  # by a first run that has outlived its time: it was listed long ago
        or intent.base.doubt != tally.doubt  # what was seen may have come or gone since, and left no row
    )
    if is_too_old:
        return RowChanged(intent.path)
    if is_first_write and (intent.base.partition, intent.base.etag) == (base.partition, base.etag):
        return ledger.decide_observed(row, intent.seen)
    return Transition(Outcome.UNCHANGED) if _has_been_seen(row, intent.seen) else RowChanged(intent.path)


def _has_been_seen(row: Row | None, seen: Observation) -> bool:
    """Tell whether a look at least as new has found the same: another one, or this one, committed before."""
    return (
        row is not None
        and row.is_sound
        and row.observed_at is not None
        and row.observed_at >= seen.observed_at
        and (row.present, row.folder) == (seen.present, seen.folder)
    )
