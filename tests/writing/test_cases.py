"""What a process knows of the rows of cases: remembered, guessed, or read because either was wrong."""

from __future__ import annotations

from random import Random

import pytest

from shared.model.cases import ROW_PREFIX, StoredCase, key_of
from shared.model.ports import Write
from shared.writing.cases import MAX_WRONG_CASES
from shared.writing.tally_row import PARTITION
from tests.fakes.world import CASES_MAP, Process, World

CASES = [f"case {number}" for number in range(6)]


@pytest.fixture
async def world() -> World:
    """Count an image of each case."""
    made = await World(folders=CASES_MAP).bootstrap()
    for case in CASES:
        await made.process.delivery.take(made.blobs.put(f"queued/{case}/1.jpg"))
    return made


async def upload(world: World, process: Process, case: str, name: str) -> int:
    """Have a process count an image; return how many reads that took."""
    before = process.writer.stats.reads
    await process.delivery.take(world.blobs.put(f"queued/{case}/{name}.jpg"))
    return process.writer.stats.reads - before


def other(world: World) -> Process:
    """Return another process, which remembers nothing."""
    return Process(world.table, world.blobs, Random(2), folders=CASES_MAP)


async def test_a_case_that_is_remembered_is_not_read(world: World) -> None:
    """And one that nobody has heard of is taken to have no row, which costs nothing either."""
    assert await upload(world, world.process, CASES[0], "2") == 0
    assert await upload(world, world.process, "new", "1") == 0


async def test_a_wrong_guess_costs_reads_until_cases_are_read_first(world: World) -> None:
    """A guess that a case is new, and is wrong, conflicts: never a count."""
    process = other(world)
    for case in CASES:
        await upload(world, process, case, "2")
    assert process.writer.stats.conflicts == MAX_WRONG_CASES
    for case in CASES:
        tally, _ = await process.counts.read_case(case, PARTITION, "")
        assert tally.sums["queued"] == 2


async def test_guesses_come_back_when_cases_are_new_again(world: World) -> None:
    """Read first, until nearly all of a batch were new."""
    process = other(world)
    for case in CASES:
        await upload(world, process, case, "2")
    assert await upload(world, process, "new", "1") > 0
    assert await upload(world, process, "newer", "1") == 0


async def test_cases_that_others_have_changed_are_read_again(world: World) -> None:
    """The ring of the tally says which; the others are remembered still."""
    process = other(world)
    for case in CASES:
        await upload(world, process, case, "2")
    await upload(world, world.process, CASES[0], "3")
    conflicts = process.writer.stats.conflicts
    await process.writer._commits.read_tally()
    assert await upload(world, process, CASES[1], "4") == 0
    assert await upload(world, process, CASES[0], "4") == 1
    assert process.writer.stats.conflicts == conflicts


async def test_a_case_is_unmarked_only_as_it_was_announced(world: World) -> None:
    """Somebody who has changed it since has seen the mark."""
    tally, entity = await world.process.counts.read_case(CASES[0], PARTITION, "")
    assert entity is not None
    await upload(world, world.process, CASES[0], "2")
    await world.process.writer.unmark(StoredCase(CASES[0], tally, entity.etag, PARTITION))
    after, _ = await world.process.counts.read_case(CASES[0], PARTITION, "")
    assert after.sums["queued"] == 2


@pytest.mark.parametrize("name", ["another", "", None])
async def test_i5_the_row_of_a_case_that_somebody_has_edited_keeps_no_event_back(
    world: World, name: str | None
) -> None:
    """Whatever case it is said to be of: the event is counted, and a comparison of everything puts the case right."""
    key = f"{ROW_PREFIX}{key_of(CASES[0])}"
    row = world.table.entities(PARTITION)[key]
    edited = {each: value for each, value in row.properties.items() if each != "case"}
    await world.table.commit(PARTITION, [Write(key, edited | ({"case": name} if name is not None else {}), row.etag)])
    process = other(world)
    await upload(world, process, CASES[0], "2")
    assert process.quarantine.kept == []
    assert world.stored_tally().counts()["queued"] == len(CASES) + 1
    world.clock.advance(60)
    await process.reconciler.run(full=True)
    tally, _ = await process.counts.read_case(CASES[0], PARTITION, "")
    assert tally.sums["queued"] == 2
