"""What a reconciliation does with one name that differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model.ledger import Observation, Outcome, Transition, row_key, to_properties
from shared.model.ports import Write
from shared.reconciling.repair import Repair
from shared.reconciling.report import Report
from shared.writing.cache import Remembered
from shared.writing.tally_row import PARTITION
from tests.fakes.world import World


async def no_news(what: str, done: int) -> None:
    """Hear of progress."""


@pytest.fixture
def repair(world: World) -> Repair:
    """Return a repair of a world, which leaves nothing to events."""
    report = Report(started_at=world.clock.now())
    return Repair(world.process.reconciler._parts, PARTITION, report, None, no_news, commits=True)


async def move_by_hand(world: World, folder: str) -> str:
    """Have a manual edit say that the one row counts in another folder; return its key."""
    (row,) = world.stored_rows()
    key = row_key(row.path)
    etag = world.table.entities(PARTITION)[key].etag
    await world.table.commit(PARTITION, [Write(key, to_properties(replace(row, folder=folder)), etag)])
    return key


async def test_a_row_that_a_manual_edit_has_moved_is_put_back(world: World, repair: Repair) -> None:
    """The name is counted, but in another folder than the one that it is listed in."""
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    await move_by_hand(world, "output")
    await repair.add(["queued/1.jpg"], "queued")
    assert [row.folder for row in world.stored_rows()] == ["queued"]
    assert (repair.report.added, repair.report.removed) == ({"queued": 1}, {"output": 1})


async def test_what_is_there_after_all_is_left_as_it_is(world: World, repair: Repair) -> None:
    """The listing has missed it; a look finds it where its row says."""
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    before = world.table.commits
    assert await repair.remove([int(row_key("queued/1.jpg"), 16)])
    assert (world.table.commits - before, repair.report.looks, repair.report.corrected) == (0, 1, 0)


async def test_what_is_there_after_all_is_moved_to_where_it_belongs(world: World, repair: Repair) -> None:
    """A manual edit has moved its row."""
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    await repair.remove([int(await move_by_hand(world, "output"), 16)])
    assert [row.folder for row in world.stored_rows()] == ["queued"]


async def test_a_row_that_makes_no_sense_and_is_right_is_written_anew(world: World, repair: Repair) -> None:
    """Nothing has moved, and nothing is reported."""
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    ((key, entity),) = ((key, row) for key, row in world.table.entities(PARTITION).items() if "path" in row.properties)
    await world.table.commit(PARTITION, [Write(key, {**entity.properties, "event_time": "noon"}, entity.etag)])
    await repair.add(["queued/1.jpg"], "queued")
    assert world.table.entities(PARTITION)[key].properties.get("event_time") != "noon"
    assert (repair.report.added, repair.report.removed, repair.report.looks) == ({}, {}, 1)


async def test_a_removal_that_another_process_has_made_is_no_move(
    world: World, repair: Repair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over twice changes nothing the second time: nothing was added where the blob would belong."""
    take = world.process.delivery.take
    await take(world.blobs.put("queued/1.jpg"))
    key = await move_by_hand(world, "output")
    await take(world.blobs.delete("queued/1.jpg"))

    async def done_before(seen: Observation, base: Remembered) -> Transition:
        assert not seen.present
        assert base.row is not None
        return Transition(Outcome.UNCHANGED, base.row, 0)

    monkeypatch.setattr(repair.parts.writer, "observe", done_before)
    await repair.remove([int(key, 16)])
    assert (repair.report.added, repair.report.removed) == ({}, {})
