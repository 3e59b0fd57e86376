"""What one flush will write: which row each intent is decided from, and who is told what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.clock import Clock
from shared.errors import StorageError
from shared.model.ledger import Observation, Outcome, Transition, decide_observed, row_key, to_properties
from shared.model.tally import NamedWriter
from shared.writing.batch import Group, Intent
from shared.writing.cache import Remembered, RowMemory
from shared.writing.plan import OtherGeneration, Plan, RowChanged, plan_batch
from shared.writing.tally_row import TRUSTED_SECONDS, StoredTally
from tests.builders import PATH, START, at, change, row, tally

NAMED = NamedWriter("p1", 1, START)
STORED = StoredTally(tally(queued=3, doubt="d1"), "0x7")
KNOWN = Remembered(row(1), "0x1", 0.0, "g1", "d1")
GONE = Observation(PATH, "queued", present=False, observed_at=at(2000))


def clock_at(monotonic_seconds: float) -> Clock:
    """Return a clock that stands still, shortly after the events."""
    return SimpleNamespace(now=lambda: at(1600), monotonic=lambda: monotonic_seconds)  # type: ignore[return-value]


def event(number: int = 2, **fields: Any) -> Intent:
    """Return an event's intent: by default one that deletes what is known."""
    return Intent(PATH, "queued", change=change(number, **{"present": False, "seconds": 1500} | fields))


def look(base: Remembered = KNOWN, *, is_listed: bool = False, **fields: Any) -> Intent:
    """Return a look's intent: by default one that has found nothing where a blob is known."""
    return Intent(PATH, "queued", seen=replace(GONE, is_listed=is_listed), base=base, **fields)


def planned(*intents: Intent, known: Remembered | None = KNOWN, stored: StoredTally = STORED, **options: Any) -> Plan:
    """Plan a batch of one path, whose row is remembered like this."""
    rows = RowMemory()
    if known is not None:
        rows.remember(PATH, known)
    must_read = options.pop("must_read", False)
    return plan_batch([Group(PATH, list(intents), must_read=must_read)], stored, rows, clock_at(0.0), **options)


def answers(plan: Plan) -> list[object]:
    """Return what the callers are told: an outcome, or the kind of an error."""
    return [each.outcome if isinstance(each, Transition) else type(each) for _, each in plan.answers]


async def test_every_caller_gets_its_own_answer() -> None:
    """An outcome or an error; one that was cancelled is passed over."""
    intents = [event(), event(), event(), event()]
    intents[1].done.cancel()
    told: list[Transition | StorageError] = [Transition(Outcome.STALE)] * 2
    told += [RowChanged("x"), Transition(Outcome.APPLIED)]
    Plan(STORED.tally, answers=list(zip(intents, told, strict=True))).resolve()
    assert intents[0].done.result() == told[0]
    assert intents[2].done.exception() is told[2]
    assert intents[3].done.result() == told[3]


async def test_a_look_that_nothing_has_overtaken_is_committed_on_its_row() -> None:
    """Row and tally together, each on condition of what was read."""
    plan = planned(look())
    assert answers(plan) == [Outcome.APPLIED]
    assert [plan.path_at(index) for index in range(3)] == ["", PATH, ""]
    assert [write.etag for write in plan.writes] == ["0x7", "0x1"]
    assert plan.writes[1].row_key == row_key(PATH)
    assert plan.writes[1].properties == to_properties(plan.rows[PATH])
    assert plan.tally.counts()["queued"] == 2


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"base": replace(KNOWN, etag="0x2")}, STORED),
        ({"base": replace(KNOWN, partition="g2")}, STORED),
        ({}, replace(STORED, tally=replace(STORED.tally, doubt="d2"))),
        ({"is_listed": True}, STORED),
    ],
)
async def test_i4_a_look_that_was_overtaken_is_not_committed(fields: dict[str, Any], stored: StoredTally) -> None:
    """By another row, a generation, a directory that came or went, or the end of the first run that listed it."""
    plan = planned(look(**fields), stored=stored)
    assert (answers(plan), plan.writes) == ([RowChanged], [])


async def test_what_a_first_run_has_listed_counts_until_it_is_complete() -> None:
    """While the tally is not ready."""
    stored = replace(STORED, tally=replace(STORED.tally, ready=False))
    assert answers(planned(look(is_listed=True), stored=stored)) == [Outcome.APPLIED]


async def test_i4_a_look_is_overtaken_by_an_event_of_the_same_batch() -> None:
    """The row that it started from is still the one in the table, but not the one that will be written."""
    plan = planned(event(present=True), look())
    assert answers(plan) == [Outcome.UNCHANGED, RowChanged]
    assert plan.rows[PATH].present


SEEN = decide_observed(KNOWN.row, GONE).row
assert SEEN is not None
assert SEEN.observed_at is not None
A_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("generation", [None, ("g1", "f")])
@pytest.mark.parametrize(
    ("known", "doubt", "told"),
    [
        (SEEN, "d1", Outcome.UNCHANGED),
        (replace(SEEN, observed_at=SEEN.observed_at + A_SECOND), "d1", Outcome.UNCHANGED),
        (replace(SEEN, observed_at=SEEN.observed_at - A_SECOND), "d1", RowChanged),
        (replace(SEEN, present=True), "d1", RowChanged),
        (replace(SEEN, folder="output"), "d1", RowChanged),
        (replace(SEEN, is_sound=False), "d1", RowChanged),
        (SEEN, "d2", RowChanged),
        (row(1), "d1", RowChanged),
    ],
)
async def test_a_look_is_done_where_one_at_least_as_new_has_found_the_same(
    known: Any, doubt: str, told: object, generation: tuple[str, str] | None
) -> None:
    """Another one's, or its own, committed by whoever was named before; unless a directory puts it in doubt."""
    stored = replace(STORED, tally=replace(STORED.tally, doubt=doubt))
    plan = planned(look(generation=generation), known=replace(KNOWN, row=known, etag="0x2"), stored=stored)
    assert (answers(plan), plan.writes) == ([told], [])


@pytest.mark.parametrize("generation", [("g2", "f"), ("g1", "other")])
async def test_what_was_handed_over_for_another_generation_is_not_decided(generation: tuple[str, str]) -> None:
    """Another partition, or another folder map."""
    assert answers(planned(replace(event(), generation=generation))) == [OtherGeneration]
    assert answers(planned(replace(event(), generation=("g1", "f")))) == [Outcome.APPLIED]


async def test_a_look_needs_no_second_read_of_its_row() -> None:
    """When nothing is remembered it is decided on the row that it started from, whoever else is in the batch."""
    plan = planned(event(present=True), look(), known=None)
    assert (answers(plan), plan.unread) == ([Outcome.UNCHANGED, RowChanged], [])
    assert [write.etag for write in plan.writes] == ["0x1"]


@pytest.mark.parametrize("intent", ["of another generation", "handed over"])
async def test_a_look_s_row_is_read_again_when_it_may_be_another(intent: str) -> None:
    """Of another generation than the tally; or as another process has described it, which sends no row."""
    made = look(replace(KNOWN, partition="g2")) if intent == "of another generation" else look(generation=("g1", "f"))
    plan = planned(made, known=None)
    assert (plan.unread, plan.answers) == ([PATH], [])
    assert planned(look(), known=None, must_read=True).unread == [PATH]


NEW = {"present": True, "seconds": 1550}


@pytest.mark.parametrize(
    ("intents", "options", "is_guessed"),
    [
        (["creation"], {}, True),
        (["creation", "creation"], {}, True),
        (["creation"], {"may_guess": False}, False),
        (["creation"], {"must_read": True}, False),
        (["creation", "deletion"], {}, False),
        (["deletion"], {}, False),
        (["look first"], {}, False),
        (["creation", "repeated"], {}, False),
    ],
)
async def test_only_a_new_name_is_assumed_to_have_no_row(
    intents: list[str], options: dict[str, Any], is_guessed: bool
) -> None:
    """A wrong guess costs a conflict: so it is made for creations, while guesses are good, and by the first to try."""
    made = {
        "creation": lambda: event(**NEW),
        "deletion": event,
        "look first": lambda: event(**NEW, look=True),
        "repeated": lambda: replace(event(**NEW), is_repeated=True),
    }
    plan = planned(*(made[each]() for each in intents), known=None, **options)
    assert plan.unread == ([] if is_guessed else [PATH])
    assert [write.etag for write in plan.writes] == (["0x7", None] if is_guessed else [])


async def test_nothing_to_do_is_believed_of_a_memory_of_half_a_minute() -> None:
    """An older one is forgotten, and read; what writes something is held to its ETag anyway."""
    rows = RowMemory()
    for at_seconds, unread in ((0.0, []), (-0.1, [PATH])):
        rows.remember(PATH, replace(KNOWN, at=at_seconds))
        plan = plan_batch([Group(PATH, [event(1, present=True)])], STORED, rows, clock_at(TRUSTED_SECONDS))
        assert (answers(plan), plan.unread) == ([] if unread else [Outcome.DUPLICATE], unread)
        assert (rows.get(PATH, "g1") is None) == bool(unread)
    assert answers(planned(event(), known=replace(KNOWN, at=-1000.0))) == [Outcome.APPLIED]


async def test_a_deletion_of_what_is_in_another_folder_leaves_that_one() -> None:
    """Where a blob counted is what its row says; where it counts now, what the folder map says."""
    known = replace(KNOWN, row=row(1, folder="input"))
    stored = replace(STORED, tally=tally(queued=3, processing=5))
    assert planned(event(), known=known, stored=stored).tally.counts() == {"queued": 3, "input": 4, "output": 0}
    moved = planned(event(present=True), known=known, stored=stored)
    assert moved.tally.counts() == {"queued": 4, "input": 4, "output": 0}
    back = planned(event(present=True), known=replace(KNOWN, row=row(1, present=False)), stored=stored)
    assert back.tally.counts() == {"queued": 4, "input": 5, "output": 0}


@pytest.mark.parametrize("is_due", [True, False])
@pytest.mark.parametrize(
    ("paths", "present"), [([], True), ([PATH, "queued/b.jpg"], True), ([PATH, "queued/b.jpg"], False)]
)
async def test_the_tally_names_a_process_with_what_is_written_anyway(
    paths: list[str], present: bool, *, is_due: bool
) -> None:
    """Or for that alone, when it is due; the tally comes first, and is written once."""
    rows = RowMemory()
    for path in paths:
        rows.remember(path, replace(KNOWN, row=row(1, path=path)))
    batch = [Group(path, [replace(event(present=present, name=path.partition("/")[2]), path=path)]) for path in paths]
    plan = plan_batch(batch, STORED, rows, clock_at(0.0))
    assert plan.writes_rows_only == (present and bool(paths))
    assert [plan.path_at(index) for index in range(len(plan.writes))] == [*[""] * (not present), *paths]
    plan.name(STORED, NAMED, is_due)
    is_named = is_due or not present
    assert [plan.path_at(index) for index in range(len(plan.writes))] == [*[""] * is_named, *paths]
    assert [write.row_key for write in plan.writes] == [*["!tally"] * is_named, *map(row_key, paths)]
    assert plan.tally.writer == (NAMED if is_named else None)
    if is_named:
        assert plan.writes[0] == STORED.write(plan.tally)
    assert plan.tally.counts()["queued"] == (3 if present else 1)


async def test_rows_that_are_made_are_counted() -> None:
    """And those that are replaced are not."""
    assert [planned(event(**NEW), known=None).new_rows, planned(event()).new_rows] == [1, 0]
