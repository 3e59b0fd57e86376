"""What one flush will write: a batch of intents, decided against what is remembered of their rows.

Pure apart from the futures that it resolves: no storage, no waiting. A row that is not remembered and cannot be
assumed absent is reported in ``unread``; the writer reads it and plans again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from shared.errors import StorageError
from shared.model import ledger
from shared.model.cases import ROW_PREFIX, Changed, Recent, key_of, nothing, to_properties
from shared.model.ledger import Outcome, Row, Transition, row_key
from shared.model.ports import Write
from shared.model.tally import Change
from shared.writing.cache import CaseMemory, Guesses, Remembered, RememberedCase
from shared.writing.tally_row import TRUSTED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from shared.clock import Clock
    from shared.model.cases import CaseTally
    from shared.model.changes import BlobChange
    from shared.model.ledger import Observation
    from shared.model.tally import NamedWriter, Tally
    from shared.writing.cache import RowMemory
    from shared.writing.tally_row import StoredTally


#: From a delivery's start, looks included. Event Grid waits 30 s for an answer; one that comes later counts as a
#: failure and is redelivered.
BUDGET_SECONDS: Final = 15.0
#: A transaction holds 100 operations; one is the tally. The cases of the blobs need room too.
MAX_BLOBS: Final = 99
#: So many wrong guesses that a case has no row yet, and rows of cases are read first, until most are new again.
MAX_WRONG_CASES: Final = 2


class RowChanged(StorageError):  # noqa: N818
    """The row that a look started from is not the row any more."""


class OtherGeneration(StorageError):  # noqa: N818
    """What was handed over is of another generation than the tally that the commit would have been conditional on."""


@dataclass(slots=True)
class Intent:
    """One caller's wish, and where its answer goes.

    Either ``change`` (an event) or ``seen`` with ``base`` (a look that started from that row) is given.

    Attributes:
        path: Of the blob.
        folder: The folder that it counts in.
        deadline: When its caller gives up, by the monotonic clock.
        origin: The caller's place in a trace.
        is_bound: It is not to be handed over to another process, whoever is named.
        owner: The process that has handed it over, "" for this one.
        since: When this process came to know of it, by its monotonic clock.
        is_repeated: Another process may have committed it already: its row is read, and not guessed.
        generation: The partition and fingerprint that it was handed over for, or None: whatever this process counts.
        done: Where the answer goes.
    """

    path: str
    folder: str
    change: BlobChange | None = None
    seen: Observation | None = None
    base: Remembered | None = None
    deadline: float = float("inf")
    origin: object = None
    is_bound: bool = False
    owner: str = ""
    since: float = float("-inf")
    is_repeated: bool = False
    generation: tuple[str, str] | None = None
    done: asyncio.Future[Transition] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class Group:
    """All intents of a batch that concern one path, in order of arrival."""

    path: str
    intents: list[Intent] = field(default_factory=list)
    must_read: bool = False

    @property
    def is_bound(self) -> bool:
        """Tell whether this process has to commit it."""
        return any(intent.is_bound for intent in self.intents)

    def split_late(self, at: float) -> Group:
        """Take out the intents whose callers will have given up by then."""
        late = Group(self.path, [intent for intent in self.intents if intent.deadline < at])
        self.intents = [intent for intent in self.intents if intent.deadline >= at]
        return late

    @property
    def may_be_new(self) -> bool:
        """Tell whether it is worth assuming that no row exists: a wrong guess costs a conflict, never a count."""
        return all(
            intent.change is not None and intent.change.present and not intent.is_repeated for intent in self.intents
        )


@dataclass(frozen=True, slots=True)
class Cases:
    """What is known of cases.

    Attributes:
        case_of: Returns the case of a path, or "".
        memory: The cases last seen, by key.
        marks_drained: Whether a case that is drained is marked.
        guesses: Whether one that is not among them may be taken to have no row.
        doubted: Those of which that has turned out to be wrong: they are read.
    """

    case_of: Callable[[str], str]
    marks_drained: bool = False
    memory: CaseMemory = field(default_factory=CaseMemory)
    guesses: Guesses = field(default_factory=lambda: Guesses(MAX_WRONG_CASES))
    doubted: set[str] = field(default_factory=set)

    def doubt(self, keys: Iterable[str]) -> None:
        """Have these cases read before they are written again."""
        for key in keys:
            self.memory.forget(key)
            self.doubted.add(key)

    def remember(self, key: str, seen: RememberedCase) -> None:
        """Remember a case as just read or written."""
        self.memory.remember(key, seen)
        self.doubted.discard(key)


@dataclass(slots=True)
class Plan:
    """What to write, and what to tell whom once it is written.

    Attributes:
        tally: The tally afterwards.
        writes: The transaction; the tally, when it changes, comes first.
        paths: The path of each write ("" for the tally and for cases).
        rows: Path → the row that is written.
        cases: Key of a case → its counts that are written.
        unread: Paths whose rows must be read before this can be decided.
        unread_cases: Cases whose rows must be.
        answers: What each intent's caller gets.
    """

    tally: Tally
    writes: list[Write] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    cases: dict[str, CaseTally] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    unread_cases: list[str] = field(default_factory=list)
    answers: list[tuple[Intent, Transition | StorageError]] = field(default_factory=list)

    @property
    def new_rows(self) -> int:
        """How many of the writes make a blob's row."""
        return sum(write.etag is None and bool(path) for write, path in zip(self.writes, self.paths, strict=True))

    @property
    def new_cases(self) -> int:
        """How many of the writes make a case's row."""
        return sum(write.etag is None and not path for write, path in zip(self.writes, self.paths, strict=True))

    @property
    def writes_rows_only(self) -> bool:
        """Whether rows are written and no count changes: overwrites, and looks that found what was known."""
        return bool(self.paths) and bool(self.paths[0])

    def name(self, stored: StoredTally, named: NamedWriter | None, is_due: bool) -> None:
        """Have the tally name this process afterwards: with what is written anyway, or, when it is due, for that alone.

        Whatever writes the tally drops a name whose time is over.
        """
        writes_tally = bool(self.paths) and not self.writes_rows_only
        if not is_due and (not writes_tally or named == self.tally.writer):
            return
        self.tally = replace(self.tally, writer=named)
        if not writes_tally:
            self.paths.insert(0, "")
            self.writes.insert(0, stored.write(self.tally))
        else:
            self.writes[0] = stored.write(self.tally)

    def resolve(self) -> None:
        """Answer every caller; one that was cancelled meanwhile is passed over."""
        for intent, answer in self.answers:
            if intent.done.done():
                continue
            if isinstance(answer, StorageError):
                intent.done.set_exception(answer)
            else:
                intent.done.set_result(answer)


def take_batch(queue: deque[Intent], case_of: Callable[[str], str] | None = None) -> list[Group]:
    """Take what one transaction can hold off the queue, in order; intents of one path go together.

    Args:
        queue: The queue.
        case_of: Returns the case of a path, which needs room of its own, so that intents of the cases that have waited
            longest go together; None where there are no counts of cases.
    """
    groups: dict[str, Group] = {}
    cases: set[str] = set()
    waiting = deque(_by_case(queue, case_of)) if case_of is not None else queue
    while waiting:
        intent = waiting[0]
        if intent.path not in groups:
            needed = cases | _cases_of([intent.path], case_of)
            if len(groups) + 1 + len(needed) > MAX_BLOBS:
                break
            cases = needed
        groups.setdefault(intent.path, Group(intent.path)).intents.append(waiting.popleft())
    if waiting is not queue:
        left = set(map(id, waiting))
        kept = [intent for intent in queue if id(intent) in left]
        queue.clear()
        queue.extend(kept)
    return list(groups.values())


def _by_case(queue: deque[Intent], case_of: Callable[[str], str]) -> list[Intent]:
    found: dict[str, list[Intent]] = {}
    for intent in queue:
        found.setdefault(case_of(intent.path), []).append(intent)
    return [intent for intents in found.values() for intent in intents]


def is_full(batch: list[Group], case_of: Callable[[str], str] | None) -> bool:
    """Tell whether a batch has no room for another blob of a case of its own."""
    cases = _cases_of([group.path for group in batch], case_of)
    return len(batch) + len(cases) >= MAX_BLOBS - (case_of is not None)


def _cases_of(paths: list[str], case_of: Callable[[str], str] | None) -> set[str]:
    return {case_of(path) for path in paths} - {""} if case_of is not None else set()


def grouped(queue: deque[Intent]) -> list[Group]:
    """Return all that is queued, each intent alone."""
    return [Group(intent.path, [intent]) for intent in queue]


def origins(groups: list[Group]) -> list[object]:
    """Return where in traces the intents came from."""
    return [intent.origin for group in groups for intent in group.intents]


def fail(groups: list[Group], error: BaseException) -> None:
    """Tell every caller that it failed."""
    for group in groups:
        for intent in group.intents:
            if not intent.done.done():
                intent.done.set_exception(error)


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
        cases: The cases; None where there are no counts of them.
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
            plan.writes.append(Write(row_key(group.path), ledger.to_properties(row), base.etag))
            plan.paths.append(group.path)
            changes += _changes(base.row, row)
    if changes:
        plan.tally = stored.tally.apply(changes, now)
        if cases is not None:
            _plan_cases(plan, stored, cases, changes, now)
        plan.writes.insert(0, stored.write(plan.tally))
        plan.paths.insert(0, "")
    return plan


def _plan_cases(plan: Plan, stored: StoredTally, cases: Cases, changes: list[Change], now: datetime) -> None:
    """Add to a plan what its changes make of the cases, each with a number of its own, and note them in the tally."""
    moves: dict[str, Counter[str]] = {}
    for folder, path, delta in changes:
        moves.setdefault(cases.case_of(path), Counter())[folder] += delta
    recent = plan.tally.recent or Recent()
    changed: list[Changed] = []
    marks = cases.marks_drained and stored.tally.ready  # before that, what is missing may be there, and not listed
    for case, by in moves.items():
        if not case:
            continue
        key = key_of(case)
        base = cases.memory.get(key, stored.partition)
        if base is None and cases.guesses.are_good and key not in cases.doubted:
            base = RememberedCase(nothing(stored.tally.epoch, stored.tally.sums), None, stored.partition)
        if base is None:
            plan.unread_cases.append(case)
            continue
        tally = base.tally
        if any(by.values()):
            tally = tally.moved(by, recent.revision + len(changed) + 1, now, marks=marks)
            changed.append(Changed(key, tally))
        plan.cases[key] = tally  # also when one name has replaced another: its ETag stands for the names
        plan.writes.insert(0, Write(f"{ROW_PREFIX}{key}", to_properties(case, tally), base.etag))
        plan.paths.insert(0, "")
    plan.tally = replace(plan.tally, recent=recent.adding(changed))


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
