"""What events cost, counted: transactions and reads. The benchmarks state times; what can be counted is a test."""

from __future__ import annotations

import asyncio
import json

import pytest

from shared.errors import Conflict
from shared.model.ports import Write
from shared.writing.cache import MAX_WRONG_GUESSES
from shared.writing.tally_row import PARTITION
from tests.fakes.world import Process, World

BURST = 2000


class Meter:
    """Counts the calls of the ledger since it was made: reads of rows and of the tally, transactions, rows written."""

    def __init__(self, world: World) -> None:
        self._table = world.table
        self._before = (world.table.reads, world.table.commits, world.table.entities_written)

    @property
    def reads(self) -> int:
        """How many reads."""
        return self._table.reads - self._before[0]

    @property
    def transactions(self) -> int:
        """How many transactions, failed ones included."""
        return self._table.commits - self._before[1]

    @property
    def rows_written(self) -> int:
        """How many entities."""
        return self._table.entities_written - self._before[2]


async def take_all(process: Process, events: list[str]) -> None:
    """Deliver events at the same time."""
    await asyncio.gather(*(process.delivery.take(event) for event in events))


def puts(world: World, count: int, folder: str = "queued") -> list[str]:
    """Upload images; return their events."""
    return [world.blobs.put(f"{folder}/{number}.jpg") for number in range(count)]


async def test_a_burst_of_creations_costs_a_hundredth_of_a_transaction_each(world: World) -> None:
    """2,000 creations on an empty ledger: at most 0.015 transactions and 0.01 reads an event."""
    meter = Meter(world)
    await take_all(world.new_process(), puts(world, BURST))
    assert meter.transactions <= 0.015 * BURST
    assert meter.reads <= 0.01 * BURST
    assert world.stored_tally().counts()["queued"] == BURST


async def test_cold_deletions_read_each_row_once(world: World) -> None:
    """A process that remembers nothing deletes 2,000 names: one read each, and one of the tally."""
    await take_all(world.process, puts(world, BURST))
    deletions = [world.blobs.delete(f"queued/{number}.jpg") for number in range(BURST)]
    meter = Meter(world)
    await take_all(world.new_process(), deletions)
    assert meter.reads <= BURST + 1
    assert meter.transactions <= 0.015 * BURST
    assert world.stored_tally().counts()["queued"] == 0


async def test_i2_duplicates_commit_nothing_and_read_at_most_once(world: World) -> None:
    """Remembered, a duplicate costs nothing at all; to a process that remembers nothing, one read."""
    events = puts(world, BURST)
    await take_all(world.process, events)
    meter = Meter(world)
    await take_all(world.process, events)
    assert (meter.reads, meter.transactions) == (0, 0)
    await take_all(world.new_process(), events)
    assert meter.reads <= BURST + 1
    assert meter.rows_written == 0


async def test_a_burst_of_cold_duplicates_does_not_try_them_one_by_one(world: World) -> None:
    """Each wrong guess costs a failed transaction; after a few, rows are read first, until names are new again."""
    events = puts(world, BURST)
    await take_all(world.process, events)
    process = world.new_process()
    meter = Meter(world)
    await take_all(process, events)
    assert meter.transactions <= MAX_WRONG_GUESSES
    await take_all(process, puts(world, 99, "input"))  # reads first, and learns that they are new
    meter = Meter(world)
    await take_all(process, puts(world, 99, "output"))
    assert (meter.reads, meter.transactions) == (0, 1)


async def test_two_percent_of_cold_duplicates_read_little_more_than_themselves(world: World) -> None:
    """At most 0.05 reads an event."""
    duplicates = puts(world, BURST)[::50]
    await take_all(world.process, duplicates)
    mixed = puts(world, BURST, "input")
    mixed[::50] = duplicates
    meter = Meter(world)
    await take_all(world.new_process(), mixed)
    assert meter.reads <= 0.05 * BURST
    assert meter.transactions <= 0.05 * BURST


async def test_an_event_at_rest_is_one_transaction_and_at_most_one_read(world: World) -> None:
    """The first event of a process reads the tally; the ones after it read nothing."""
    process = world.new_process()
    for expected_reads in (1, 0, 0):
        meter = Meter(world)
        await process.delivery.take(world.blobs.put(f"queued/{world.table.commits}.jpg"))
        assert (meter.reads, meter.transactions) == (expected_reads, 1)


async def test_an_upload_that_replaces_another_is_one_transaction_without_a_read(world: World) -> None:
    """It changes a row and no count: the tally, which is no part of it, is not read while it is young."""
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    meter = Meter(world)
    await world.process.delivery.take(world.blobs.put("queued/1.jpg"))
    assert (meter.reads, meter.transactions, meter.rows_written) == (0, 1, 1)


async def test_a_clean_reconciliation_writes_nothing_to_the_ledger(world: World) -> None:
    """Neither rows nor the tally: nobody wakes, and nobody's memory of an ETag becomes wrong."""
    await take_all(world.process, puts(world, 500))
    world.clock.advance(60)
    before = world.table.entities(PARTITION)
    report = await world.new_process().reconciler.run()
    assert (report.clean, report.listed, report.corrected) == (True, 500, 0)
    assert world.table.entities(PARTITION) == before


async def test_an_old_memory_of_the_tally_costs_no_pause(world: World) -> None:
    """Another process has committed since: read, and commit, without waiting for anybody."""
    other = world.new_process()
    await take_all(world.process, puts(world, 1))
    await take_all(other, puts(world, 1, "input"))
    meter, before = Meter(world), world.clock.monotonic()
    await take_all(world.process, puts(world, 1, "output"))
    assert (meter.reads, meter.transactions) == (1, 2)
    assert world.clock.monotonic() == before


async def test_a_first_run_reads_no_row_of_what_it_lists() -> None:
    """It counts 2,000 blobs, a page at a time, as if they were new."""
    world = World()
    world.blobs.page_size = 500
    puts(world, BURST)
    meter = Meter(world)
    assert (await world.process.reconciler.run()).added == {"queued": BURST}
    assert meter.reads <= 0.01 * BURST
    assert meter.transactions <= 0.02 * BURST


async def test_i3_a_conflict_commits_nothing_of_a_batch(world: World) -> None:
    """What the costs above rest on: the failed transaction of a wrong guess has written no row."""
    event = json.loads(world.blobs.put("queued/a.jpg"))
    await take_all(world.process, [json.dumps(event)])
    before = world.table.entities(PARTITION)
    held = next(key for key in before if not key.startswith("!"))
    writes = [Write(key, {"path": "x"}, None) for key in ("new", held)]
    with pytest.raises(Conflict):
        await world.table.commit(PARTITION, writes)
    assert world.table.entities(PARTITION) == before
