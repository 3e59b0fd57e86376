"""The rows of deleted names: kept as long as an event of theirs may come, then dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from shared.model.ports import Entity, Write
from shared.reconciling.lease import Lease
from shared.reconciling.report import Progress
from shared.reconciling.tombstones import collect
from shared.writing.tally_row import PARTITION
from tests.fakes import memory_table
from tests.fakes.memory_blobs import SkewedClock
from tests.fakes.world import World


async def test_tombstones_go_after_the_horizon_and_not_before(world: World) -> None:
    """A deleted name's row is kept for 14 days and one more; afterwards an event of that age is looked at."""
    created = world.blobs.put("queued/a.jpg")
    deleted = world.blobs.delete("queued/a.jpg")
    for event in (deleted, created):
        await world.process.delivery.take(event)
    await world.process.delivery.take(world.blobs.put("queued/b.jpg"))
    for days, rows in ((13, 2), (1, 2), (1.5, 1)):
        world.clock.advance(days * 86_400)
        await world.process.reconciler.run()
        assert len(world.stored_rows()) == rows
    assert world.blobs.heads == 0
    await world.new_process().delivery.take(created)
    assert world.blobs.heads == 1
    assert world.stored_tally().sums == world.truth()


async def test_a_clock_that_is_ahead_keeps_nobody_from_collecting(world: World) -> None:
    """Its machine has noted that it did it next year."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    await world.process.delivery.take(world.blobs.delete("queued/a.jpg"))
    lease = Lease(world.table, world.clock, 60.0, {})
    await lease.take()
    lease.collected_at = SkewedClock(world.clock, 400 * 86_400).now()
    await lease.release(None)
    world.clock.advance(20 * 86_400)
    await world.process.reconciler.run()
    assert world.stored_rows() == []


async def test_a_tombstone_that_changes_while_it_is_collected_stays(world: World) -> None:
    """Collection is conditional: a name that comes back in that moment keeps its row."""
    for number in range(4):
        world.blobs.put(f"queued/{number}.jpg")
        await world.process.delivery.take(world.blobs.delete(f"queued/{number}.jpg"))
    world.clock.advance(16 * 86_400)
    commit, again = world.table.commit, world.blobs.put("queued/2.jpg")

    async def commit_after_an_event(partition: str, writes: Sequence[Write]) -> list[str]:
        if any(write.properties is None for write in writes):
            world.table.commit = commit  # type: ignore[method-assign]
            await world.process.delivery.take(again)
        return await commit(partition, writes)

    world.table.commit = commit_after_an_event  # type: ignore[method-assign]
    collected = [dropped async for dropped, _ in collect(world.table, PARTITION, world.clock.now())]
    assert collected == [3]
    assert [row.path for row in world.stored_rows()] == ["queued/2.jpg"]
    assert world.stored_tally().sums == world.truth()


async def test_a_collection_that_is_cut_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is read twice; what was dropped is in the report, and the next collection is a day away."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 5)
    for number in range(20):
        world.blobs.put(f"queued/{number}.jpg")
        await world.process.delivery.take(world.blobs.delete(f"queued/{number}.jpg"))
        await world.process.delivery.take(world.blobs.put(f"output/{number}.jpg"))
    await world.process.reconciler.run()  # from now on a day is counted
    world.clock.advance(16 * 86_400)
    scan, read, done = world.table.scan, list[str](), list[int]()

    async def watched(partition: str, select: Sequence[str], **options: Any) -> AsyncIterator[list[Entity]]:
        async for page in scan(partition, select, **options):
            read.extend(entity.row_key for entity in page)
            yield page

    def slow(progress: Progress) -> None:
        if progress.stage == "collecting tombstones":
            done.append(progress.done)
            world.clock.advance(40)

    world.table.scan = watched  # type: ignore[method-assign]
    while not (report := await world.new_process().reconciler.run(slice_seconds=60, on_progress=slow)).finished:
        assert report.tombstones_collected == done[-1]
    assert (report.tombstones_collected, report.slices, len(world.stored_rows())) == (20, 5, 20)
    assert (len(read), len(set(read)), done) == (41, 41, sorted(done))
    read.clear()
    assert (await world.process.reconciler.run()).clean
    assert not read
