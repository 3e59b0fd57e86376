"""Reconciliations that are cut short, cut into slices or ranges, or run twice at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from shared.errors import Refused
from shared.model import sketch
from shared.model.ports import Entity, Head, Page, Write
from shared.model.tally import Sum
from shared.reconciling import comparison
from shared.reconciling.lease import AlreadyRunning
from shared.reconciling.report import Progress
from shared.reconciling.run import Stage
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes import memory_table
from tests.fakes.world import World
from tests.reconciling.listings import Killed, killed_at, slow_down


@pytest.fixture(autouse=True)
def more_differs_than_a_sketch_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever differs, everything is compared."""
    monkeypatch.setattr(sketch, "CELLS", 4)


def during_the_first_look(world: World, step: Callable[[], Awaitable[object]]) -> None:
    """Have something happen in the middle of a comparison: before the first HEAD is answered."""
    head, steps = world.blobs.head, [step]

    async def head_with_a_step(container: str, name: str) -> Head:
        if steps:
            await steps.pop()()
        return await head(container, name)

    world.blobs.head = head_with_a_step  # type: ignore[method-assign]


async def test_a_second_process_leaves_it_to_the_first(world: World) -> None:
    """While one reconciles the other refuses, and says who is at it; the timer takes that calmly."""
    world.blobs.put("queued/a.jpg")
    world.clock.advance(5)
    other = world.new_process()

    async def try_too() -> None:
        with pytest.raises(AlreadyRunning, match="running in"):
            await other.reconciler.run()
        await other.reconciler.run_scheduled(60)

    during_the_first_look(world, try_too)
    assert (await world.process.reconciler.run()).added == {"queued": 1}


async def test_two_processes_reconcile_at_once(world: World) -> None:
    """Correctness leans on no lease: two runs at the same time end at the truth, once."""
    for number in range(40):
        world.blobs.put(f"queued/{number}.jpg")
    world.clock.advance(5)
    other = world.new_process()

    async def overtake() -> None:
        world.clock.advance(61)  # the lease is over, and its holder does not know
        assert (await other.reconciler.run(full=True)).corrected > 20

    during_the_first_look(world, overtake)
    with pytest.raises(AlreadyRunning):
        await world.process.reconciler.run()
    assert world.stored_tally().sums["queued"] == world.truth()["queued"] != Sum()
    world.check_rows_and_tally_agree()


@pytest.mark.parametrize("page_number", range(1, 9))
async def test_a_pass_that_is_killed_at_any_page_goes_on_where_it_was(world: World, page_number: int) -> None:
    """A clean pass over eight pages, killed at any of them, goes on where it was."""
    for folder, blobs in (("queued", 45), ("input", 15), ("output", 5)):
        for number in range(blobs):
            await world.process.delivery.take(world.blobs.put(f"{folder}/{number:02}.jpg"))
    listed = killed_at(world, page_number)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert (report.clean, report.listed, report.slices) == (True, 65, 1 if page_number == 1 else 2)
    assert len(listed) - len(set(listed)) <= 1
    assert len(set(listed)) == 8


@pytest.mark.parametrize("page_number", range(9, 18, 2))
async def test_i4_a_comparison_that_is_killed_goes_on(world: World, page_number: int) -> None:
    """Drift of every kind, the process killed in the second listing: another one goes on and repairs all of it."""
    for number in range(65):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    for number in range(0, 65, 5):
        world.blobs.delete(f"queued/{number:02}.jpg")  # event lost
        world.blobs.put(f"queued/{number:02}-new.jpg")  # event lost
    world.clock.advance(5)
    listed = killed_at(world, page_number)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert world.stored_tally().sums == world.truth()
    assert (report.added, report.removed) == ({"queued": 13}, {"queued": 13})
    assert len(listed) <= 2 * len(set(listed)) + 1


@pytest.mark.parametrize("full", [True, False])
async def test_i4_a_container_that_vanished_is_named_once_by_who_goes_on(world: World, full: bool) -> None:
    """The process dies at the page after it: what was found stands in the checkpoint."""
    for path in ("queued/a.jpg", "input/b.jpg", "output/c.jpg"):
        await world.process.delivery.take(world.blobs.put(path))
    world.blobs.delete_container("input")
    world.clock.advance(60)
    killed_at(world, 2)
    with pytest.raises(Killed):
        await world.process.reconciler.run(full=full)
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert (report.slices, report.removed, report.vanished) == (2, {"input": 1}, ["input"])


async def test_a_slice_ends_in_time_and_the_next_one_goes_on(world: World) -> None:
    """A run that may not take longer than its slice is done in several; each lists its last page again at most."""
    for number in range(95):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    pages, before = world.blobs.pages, world.blobs.listed_pages

    async def slow(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            world.clock.advance(4)
            yield page

    world.blobs.pages = slow  # type: ignore[method-assign]
    slices = 0
    while not (report := await world.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
    assert report.clean
    assert report.slices == slices + 1 > 3
    assert report.listed == 95
    assert world.blobs.listed_pages - before <= 10 + 2 + slices


@pytest.mark.parametrize("slice_seconds", [10, 30, 100])
async def test_i4_a_second_listing_that_is_longer_than_a_slice_comes_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch, slice_seconds: int
) -> None:
    """One name without a row is looked for in the listing; where a slice does not suffice everything is compared."""
    monkeypatch.setattr(sketch, "CELLS", 512)
    await world.process.reconciler.run(full=True)
    for number in range(100):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:03}.jpg"))
    world.blobs.put("queued/zzz.jpg")  # event lost
    world.clock.advance(60)
    slow_down(world, 4)
    slices = 0
    while not (report := await world.new_process().reconciler.run(slice_seconds=slice_seconds)).finished:
        slices += 1
        assert slices < 30
        world.clock.advance(600)
    assert (report.added, report.corrected) == ({"queued": 1}, 1)
    assert world.stored_tally().sums == world.truth()


async def test_an_unfinished_run_of_yesterday_is_not_resumed(world: World) -> None:
    """What changed since its start would be left alone, for a day."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    killed_at(world, 2)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(90_000)
    assert (await world.new_process().reconciler.run()).slices == 1


async def test_a_refused_token_begins_anew(world: World) -> None:
    """A continuation token that storage does not take any more does not stop reconciliation for ever."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    killed_at(world, 2)
    pages = world.blobs.pages
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)

    async def refusing(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        if token:
            raise Refused("400 OutOfRangeQueryParameterValue")
        async for page in pages(container, prefix, token):
            yield page

    world.blobs.pages = refusing  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await world.process.reconciler.run()
    assert (await world.process.reconciler.run()).clean


async def test_a_cancelled_run_gives_its_lease_back(world: World) -> None:
    """An operator's Ctrl-C keeps nobody waiting, and the next run goes on."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    pages, given = world.blobs.pages, 0

    async def endless(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        nonlocal given
        async for page in pages(container, prefix, token):
            given += 1
            if given == 2:
                await asyncio.Event().wait()
            yield page

    world.blobs.pages = endless  # type: ignore[method-assign]
    running = asyncio.create_task(world.process.reconciler.run())
    while given < 2:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    report = await world.new_process().reconciler.run()
    assert (report.clean, report.slices) == (True, 2)


@pytest.mark.parametrize("turns", range(1, 60))
async def test_a_run_that_is_cancelled_anywhere_gives_its_lease_back(world: World, turns: int) -> None:
    """Also when that comes while a checkpoint is written, whose answer then nobody reads."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    running = asyncio.create_task(world.process.reconciler.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await world.new_process().reconciler.run()).clean


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a ledger of a hundred rows compared in several ranges (a page of the fake's scan is 100 rows)."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 30)


async def drift(world: World) -> None:
    """Count 100 blobs, and lose the events of 20 deletions and 15 creations."""
    for number in range(100):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:03}.jpg"))
    for number in range(0, 100, 5):
        world.blobs.delete(f"queued/{number:03}.jpg")
    for number in range(15):
        world.blobs.put(f"output/{number}.jpg")
    world.clock.advance(5)


@pytest.mark.usefixtures("small_ranges")
async def test_i4_a_large_ledger_is_compared_range_by_range(world: World) -> None:
    """What is held at once is bounded: each range of row keys is compared with a listing of its own."""
    await drift(world)
    report = await world.process.reconciler.run()
    assert (report.removed, report.added, report.listed) == ({"queued": 20}, {"output": 15}, 95)
    assert world.stored_tally().sums == world.truth()
    world.check_rows_and_tally_agree()
    assert world.blobs.heads == 35


@pytest.mark.usefixtures("small_ranges")
async def test_i4_ranges_are_resumed(world: World) -> None:
    """Slices so short that a run takes many, through several ranges: each gets on, and the end is exact."""
    await drift(world)
    slow_down(world, 4)
    slices = 1
    while not (report := await world.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
        assert slices < 100
    assert slices > 10
    assert (report.removed, report.added) == ({"queued": 20}, {"output": 15})
    assert world.stored_tally().sums == world.truth()


async def test_a_first_count_says_after_each_slice_that_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """The alert on reconciliations that do not end takes that line for one; later runs in slices say nothing."""
    caplog.set_level(logging.INFO, "shared.reconciling.reconciler")
    world = World()
    for number in range(95):
        world.blobs.put(f"queued/{number:02}.jpg")
    slow_down(world, 4)
    slices = 1
    while not (await world.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
    said = [each for each in caplog.messages if each.startswith("counting for the first time: ")]
    assert len(said) == slices - 1 > 0
    while not (await world.new_process().reconciler.run(slice_seconds=10)).finished:
        pass
    assert len([each for each in caplog.messages if each.startswith("counting for the first time: ")]) == len(said)


async def test_i4_a_range_does_not_end_before_its_first_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the scan may hold the tally alone, which no range can end with."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 1)
    for number in range(3):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    world.clock.advance(60)
    report = await world.process.reconciler.run(full=True)
    assert (report.corrected, report.listed, world.blobs.heads) == (0, 3, 1)  # the look asks for the time


@pytest.mark.usefixtures("small_ranges")
async def test_a_directory_is_compared_range_by_range_too(world: World) -> None:
    """The same for a prefix, without a checkpoint."""
    await drift(world)
    report = await world.process.reconciler.run_prefix("queued", "")
    assert report.removed == {"queued": 20}
    assert (await world.process.reconciler.verify()).added == {"output": 15}


@pytest.mark.parametrize("growth", ["a row", "a page that the service has split", "nothing"])
@pytest.mark.parametrize("page_number", range(2, 18, 2))
async def test_i4_a_range_that_has_grown_meanwhile_makes_no_right_count_wrong(
    world: World, monkeypatch: pytest.MonkeyPatch, growth: str, page_number: int
) -> None:
    """Killed while it compares; the next one reads the range anew, and it holds other rows, or they come otherwise."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", 20)
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 33)
    for number in range(60):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    world.clock.advance(60)
    killed_at(world, page_number)
    with pytest.raises(Killed):
        await world.process.reconciler.run(full=True)
    if growth == "a row":
        for number in range(9):  # tombstones of names that nobody has heard of: no count changes
            world.blobs.put(f"queued/gone-{number}.jpg")
            await world.process.delivery.take(world.blobs.delete(f"queued/gone-{number}.jpg"))
    elif growth != "nothing":
        monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert (report.corrected, world.stored_tally().sums) == (0, world.truth())
    world.check_rows_and_tally_agree()


async def test_i4_an_audit_that_is_cut_goes_on_and_one_that_was_overtaken_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tally is corrected from rows read in several slices, if it has not moved between them."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    for number in range(60):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    world.clock.advance(60)
    for overtaken in (True, False):
        entity = world.table.entities(PARTITION)[TALLY_KEY]
        await world.table.commit(PARTITION, [Write(TALLY_KEY, {**entity.properties, "input_count": 5}, entity.etag)])

        def slow(progress: Progress) -> None:
            world.clock.advance(100 if progress.stage == Stage.AUDITING else 0)

        assert not (await world.process.reconciler.run(slice_seconds=150, on_progress=slow)).finished
        if overtaken:
            await world.new_process().delivery.take(world.blobs.put("output/new.jpg"))
        report = await world.new_process().reconciler.run()
        assert report.miscounted == ({} if overtaken else {"input": 5})
        world.clock.advance(60)
    assert world.stored_tally().sums == world.truth()


async def test_i4_what_is_counted_between_the_last_row_and_the_repair_stays_counted(world: World) -> None:
    """The tally is set to the sum of rows that were read before: then it must be the tally of that moment."""
    for number in range(5):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    world.clock.advance(60)
    entity = world.table.entities(PARTITION)[TALLY_KEY]
    await world.table.commit(PARTITION, [Write(TALLY_KEY, {**entity.properties, "input_count": 5}, entity.etag)])
    scan, other, stages = world.table.scan, world.new_process(), [""]

    async def overtaken(partition: str, select: Sequence[str], **options: Any) -> AsyncIterator[list[Entity]]:
        async for page in scan(partition, select, **options):
            yield page
        if stages[-1] == Stage.AUDITING:
            await other.delivery.take(world.blobs.put("output/new.jpg"))

    world.table.scan = overtaken  # type: ignore[method-assign]
    report = await world.new_process().reconciler.run(on_progress=lambda progress: stages.append(progress.stage))
    world.table.scan = scan  # type: ignore[method-assign]
    assert report.miscounted == {}
    assert world.stored_tally().counts() == {"queued": 5, "input": 5, "output": 1}
    world.clock.advance(60)
    assert (await world.new_process().reconciler.run()).miscounted == {"input": 5}
    assert world.stored_tally().sums == world.truth()
