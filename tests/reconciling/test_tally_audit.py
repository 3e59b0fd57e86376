"""The cases against their own rows, while the app goes on counting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.model.cases import ROW_PREFIX, key_of
from shared.model.ports import Entity, PropertyRange, Write
from shared.writing.tally_row import PARTITION
from tests.fakes.memory_table import MemoryTable
from tests.fakes.world import CASES_MAP, World


@pytest.fixture
async def counted() -> World:
    """Count a case of one image, and one that is gone."""
    world = await World(folders=CASES_MAP).bootstrap()
    for event in (world.blobs.put("queued/a/1.jpg"), world.blobs.put("queued/b/1.jpg")):
        await world.process.delivery.take(event)
    await world.process.delivery.take(world.blobs.delete("queued/b/1.jpg"))
    world.clock.advance(60)
    return world


def interrupt_scans(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[object]]) -> None:
    """Have something happen once the rows of the cases have been read, and those of blobs have not."""
    scan = MemoryTable.scan
    pending = [do]

    async def scanning(
        table: MemoryTable,
        partition: str,
        select: object = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        async for page in scan(table, partition, select, after=after, within=within):  # type: ignore[arg-type]
            if after == ROW_PREFIX and pending:
                await pending.pop()()
            yield page

    monkeypatch.setattr(MemoryTable, "scan", scanning)


async def test_verify_leaves_alone_what_changes_meanwhile(counted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with a case because an event was counted while its rows were read."""
    event = counted.blobs.put("queued/a/2.jpg")
    interrupt_scans(monkeypatch, lambda: counted.new_process().delivery.take(event))
    report = await counted.process.reconciler.verify()
    assert (report.miscounted_cases, report.corrected) == (0, 0)


async def test_i4_verify_counts_the_cases_that_are_wrong(counted: World) -> None:
    """Those whose row counts something else than their blobs' rows, and those of which the row is gone."""
    assert (await counted.process.reconciler.verify()).is_exact
    rows = counted.table.entities(PARTITION)
    gone, wrong = (rows[f"{ROW_PREFIX}{key_of(case)}"] for case in "ab")
    await counted.table.commit(PARTITION, [Write(gone.row_key, None, gone.etag)])
    await counted.table.commit(PARTITION, [Write(wrong.row_key, {**wrong.properties, "input_count": 2}, wrong.etag)])
    before = counted.table.entities(PARTITION)
    report = await counted.process.reconciler.verify()
    assert (report.miscounted_cases, report.is_exact) == (2, False)
    assert counted.table.entities(PARTITION) == before
    assert (await counted.process.reconciler.run(full=True)).miscounted_cases == 2
    assert (await counted.process.reconciler.verify()).is_exact
