"""The counts started anew after the folder map has changed: old writers stopped, nothing lost, never a wrong count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from shared.errors import CountsNotReady, OutcomeUnknown, StorageError, Unavailable
from shared.model import tally as tallies
from shared.model.folders import FOLDERS
from shared.model.ports import Entity, Page, Write
from shared.model.tally import Sum, Tally
from shared.reconciling.lease import Lease
from shared.reconciling.recount import recount
from shared.reconciling.report import Progress
from shared.writing.tally_row import TALLY_KEY, ForeignTally
from tests.fakes import memory_table
from tests.fakes.memory_blobs import SkewedClock
from tests.fakes.memory_table import Fault
from tests.fakes.world import CASES_MAP, NEW_MAP, Process, World
from tests.reconciling.listings import slow_down


def new_process(world: World) -> Process:
    """Start a process with the new folder map."""
    return Process(world.table, world.blobs, Random(1), folders=NEW_MAP)


def truth(world: World, stored: Tally) -> dict[str, Sum]:
    """Return what the tally must be by the new map."""
    found = {}
    for folder, location in NEW_MAP.locations.items():
        paths = [p for p in world.blobs.blobs if p.startswith(f"{location.container}/") and NEW_MAP.is_image(p)]
        found[folder] = tallies.fold(stored.digest_key, paths)
    return found


async def fill(world: World) -> None:
    """Have blobs in the old and in the new folders."""
    for path in ("queued/a.jpg", "queued/b.jpg", "input/c.jpg", "input/d.gif", "inbox/e.jpg", "output/f.png"):
        await world.process.delivery.take(world.blobs.put(path))


async def start_anew(world: World, process: Process) -> None:
    """Run the operator's command."""
    await recount(world.table, process.counts, process.reconciler, world.clock)


async def test_a_process_with_other_folders_refuses_until_it_is_told(world: World) -> None:
    """New settings alone serve nothing and count nothing; the error says what to do."""
    await fill(world)
    process = new_process(world)
    with pytest.raises(Unavailable):
        await process.watch.latest()
    with pytest.raises(ForeignTally, match="ops recount"):
        await process.delivery.take(world.blobs.put("inbox/g.jpg"))
    assert (await world.process.watch.latest()).tally.counts() == {"queued": 2, "input": 1, "output": 1}


async def test_recount_counts_what_the_new_map_says(world: World) -> None:
    """Another partition, another epoch, exact; the old rows are gone, the old tally says where to look."""
    await fill(world)
    before = world.stored_tally()
    process = new_process(world)
    await start_anew(world, process)
    stored = await process.counts.read()
    assert stored is not None
    assert stored.tally.counts() == {"queued": 1, "input": 2, "output": 1}
    assert dict(stored.tally.sums) == truth(world, stored.tally)
    assert stored.tally.ready
    assert stored.tally.epoch != before.epoch
    assert list(world.table.entities("g1")) == [TALLY_KEY]
    assert (await new_process(world).watch.latest()).tally == replace(stored.tally, sketch=None)


async def test_a_recount_waits_for_a_run_that_is_at_work(world: World) -> None:
    """It asks once a second whether it has ended."""
    await fill(world)
    lease = Lease(world.table, world.clock, 60.0, {})
    await lease.take()
    began, reads = world.clock.monotonic(), world.table.reads
    anew = asyncio.create_task(start_anew(world, new_process(world)))
    while world.clock.monotonic() - began < 10:
        await asyncio.sleep(0)
        assert world.table.reads - reads < 200
    await lease.release(None)
    await anew
    assert (await new_process(world).watch.latest()).tally.ready


@pytest.mark.parametrize("page_size", [100, 1000])
async def test_the_rows_of_all_former_generations_are_dropped(
    world: World, page_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: pages of them, and what an earlier recount has left when it was cut."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", page_size)
    for number in range(450):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    left = dict(world.table.entities("g1"))
    await start_anew(world, world.new_process())
    for key, entity in left.items():
        if key != TALLY_KEY:
            await world.table.commit("g1", [Write(key, dict(entity.properties), None)])
    said: list[int] = []
    process = world.new_process()
    await recount(
        world.table,
        process.counts,
        process.reconciler,
        world.clock,
        lambda progress: said.append(progress.done) if progress.stage == "dropping the old rows" else None,
    )
    assert [list(world.table.entities(partition)) for partition in ("g1", "g2")] == [[TALLY_KEY], [TALLY_KEY]]
    assert said == sorted(said)
    assert said[-1] == 900
    assert (await world.new_process().watch.latest()).tally.counts()["queued"] == 450


async def test_a_tally_that_was_deleted_while_it_is_moved(world: World) -> None:
    """There is nothing left to move: the counts begin as on an account that was never counted."""
    await fill(world)
    process = new_process(world)
    commit = world.table.commit

    async def deleting(partition: str, writes: Sequence[Write]) -> list[str]:
        if any((write.properties or {}).get("moved_to") for write in writes):
            world.table.commit = commit  # type: ignore[method-assign]
            del world.table.state.partitions["g1"][TALLY_KEY]
        return await commit(partition, writes)

    world.table.commit = deleting  # type: ignore[method-assign]
    world.clock.advance(60)
    stored = await process.counts.start_anew()
    assert (stored.partition, stored.tally.ready) == ("g1", False)
    await process.reconciler.run()
    assert (await process.watch.latest()).tally.counts() == {"queued": 1, "input": 2, "output": 1}


async def test_until_it_is_reconciled_nobody_is_told_a_number(world: World) -> None:
    """Between the start and the end of a recount the answer is "not ready", to old and new processes."""
    await fill(world)
    old, process = world.process, new_process(world)
    await process.counts.start_anew()
    world.clock.advance(1)
    with pytest.raises(CountsNotReady):
        await process.watch.latest()
    with pytest.raises(Unavailable):
        await old.watch.latest()


OF_NO_CONCERN, OVERWRITE, COUNTED = "inbox/y.jpg", "queued/a.jpg", "queued/new.jpg"


@pytest.mark.parametrize("path", [OF_NO_CONCERN, OVERWRITE, COUNTED])
@pytest.mark.parametrize("knows_of_it", [True, False])
async def test_an_old_process_cannot_take_an_event(world: World, path: str, *, knows_of_it: bool) -> None:
    """At once when it changes a count; after 30 s when it changes none, or is of no concern. Each by its own rule.

    Each kind of event meets a process that has met no other one since: an earlier conflict would have told it.
    """
    await fill(world)
    old = world.process
    if knows_of_it:
        await old.delivery.take(world.blobs.put(path))
    await new_process(world).counts.start_anew()
    world.clock.advance(0 if path == COUNTED and not knows_of_it else 31)
    for event in (world.blobs.put(path), world.blobs.put(path)):
        with pytest.raises(ForeignTally):
            await old.delivery.take(event)


async def test_a_commit_remembers_the_tally_of_its_generation(world: World) -> None:
    """Otherwise each event after a recount reads the tally before it is counted."""
    process = new_process(world)
    await start_anew(world, process)
    world.clock.advance(300)  # what happens sooner is looked at
    reads = []
    for path in ("inbox/g.jpg", "inbox/h.jpg", "inbox/i.jpg"):
        before = process.writer.stats.reads
        await process.delivery.take(world.blobs.put(path))
        reads.append(process.writer.stats.reads - before)
    assert reads[1:] == [0, 0]


async def test_a_plan_takes_rows_of_the_generation_of_its_tally(world: World) -> None:
    """A process with the same settings learns of the new generation by an event of no concern, in mid-flight."""
    await fill(world)
    other = world.new_process()
    await other.delivery.take(world.blobs.put("queued/a.jpg"))  # remembers row and tally of the old generation
    await world.new_process().counts.start_anew()
    world.clock.advance(31)
    await other.counts.confirm()
    base = await other.writer.read_row("queued/a.jpg")
    assert base.partition == "g2"  # what is remembered of the old one is forgotten by now
    await asyncio.gather(
        other.delivery.take(world.blobs.put("queued/a.jpg")), other.delivery.take(world.blobs.delete("queued/b.jpg"))
    )
    await world.new_process().reconciler.run()
    stored = await world.new_process().counts.read()
    assert stored is not None
    assert stored.partition == "g2"
    assert stored.tally.counts() == {"queued": 1, "input": 1, "output": 1}


async def test_what_a_paused_process_knows_is_as_old_as_its_question(world: World) -> None:
    """It slept for a minute in the middle of a commit: when it wakes, its tally is a minute old, not new."""
    await fill(world)
    old = world.process
    slept = 0

    async def sleep_a_minute() -> None:
        nonlocal slept
        await asyncio.sleep(0)
        slept += 1
        if slept == 2:  # the commit has landed, its answer is on its way
            await new_process(world).counts.start_anew()
            world.clock.advance(60)

    world.table.pause = sleep_a_minute
    await old.delivery.take(world.blobs.put("queued/new.jpg"))
    assert slept > 1
    with pytest.raises(ForeignTally):
        await old.delivery.take(world.blobs.put("queued/new.jpg"))  # an overwrite: no condition would stop it


async def test_what_a_paused_process_reads_is_as_old_as_its_question(world: World) -> None:
    """It slept for a minute while the tally's answer was on its way: what it has read then is a minute old."""
    await fill(world)
    old = world.process
    await old.delivery.take(world.blobs.put("queued/new.jpg"))
    world.clock.advance(31)  # it asks for the tally before it writes a row alone
    slept = 0

    async def sleep_a_minute() -> None:
        nonlocal slept
        await asyncio.sleep(0)
        slept += 1
        if slept == 2:
            await new_process(world).counts.start_anew()
            world.clock.advance(60)

    world.table.pause = sleep_a_minute
    await old.delivery.take(world.blobs.put("queued/new.jpg"))  # it happened before the new generation is listed
    assert slept > 2
    with pytest.raises(ForeignTally):
        await old.delivery.take(world.blobs.put("queued/new.jpg"))


async def test_what_a_paused_process_has_confirmed_is_as_old_as_its_question(world: World) -> None:
    """The same for what costs no commit: it slept while it was told that its generation is the one that counts."""
    await fill(world)
    old, read = world.process.counts, world.table.read
    world.clock.advance(31)

    async def slow(*args: Any) -> Entity | None:
        found = await read(*args)
        world.table.read = read  # type: ignore[method-assign]
        await new_process(world).counts.start_anew()
        world.clock.advance(60)
        return found

    world.table.read = slow  # type: ignore[method-assign]
    await old.confirm()
    with pytest.raises(ForeignTally):
        await old.confirm()


@pytest.mark.parametrize("skew", [-3600, -60, 0, 60, 3600])
async def test_the_wait_for_old_writers_leans_on_nobody_s_clock(world: World, skew: float) -> None:
    """An operator's laptop may be an hour slow: it waits 45 s from when the old tally was closed."""
    await fill(world)
    clock = SkewedClock(world.clock, skew)
    process = Process(world.table, world.blobs, Random(1), folders=NEW_MAP, clock=clock)
    closed_at, listed_at = [], []
    commit, pages = world.table.commit, world.blobs.pages

    async def watched(partition: str, writes: Sequence[Write]) -> list[str]:
        etags = await commit(partition, writes)
        if any((write.properties or {}).get("moved_to") for write in writes):
            closed_at.append(world.clock.monotonic())
            world.clock.advance(0)
        elif partition == "g2" and not closed_at:
            world.clock.advance(50)  # the move takes its time under load
        return etags

    async def listing(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        listed_at.append(world.clock.monotonic())
        async for page in pages(container, prefix, token):
            yield page

    world.table.commit, world.blobs.pages = watched, listing  # type: ignore[method-assign]
    await recount(world.table, process.counts, process.reconciler, clock)
    assert listed_at[0] - closed_at[0] >= 45


@pytest.mark.parametrize("skew", [-3600, -60, 0, 60])
@pytest.mark.parametrize("comes_early", [True, False])
async def test_i2_an_event_taken_by_an_old_process_does_not_come_back_as_a_new_one(
    world: World, skew: float, *, comes_early: bool
) -> None:
    """Created and deleted before the new listing, acknowledged by old processes; a late duplicate counts nothing."""
    await fill(world)
    clock = SkewedClock(world.clock, skew)
    process = Process(world.table, world.blobs, Random(1), folders=NEW_MAP, clock=clock)
    created = world.blobs.put("inbox/gone.jpg")
    await world.process.delivery.take(created)  # of no concern to the old map
    await process.counts.start_anew()
    world.clock.advance(20)
    await world.process.delivery.take(world.blobs.delete("inbox/gone.jpg"))
    if comes_early:
        await new_process(world).delivery.take(created)
    await process.reconciler.run()
    await new_process(world).delivery.take(created)
    stored = await process.counts.read()
    assert stored is not None
    assert dict(stored.tally.sums) == truth(world, stored.tally)


async def test_recount_waits_for_old_writers(world: World) -> None:
    """The listing begins when no old process can acknowledge an event any more, also when the timer is first."""
    await fill(world)
    process = new_process(world)
    await process.counts.start_anew()
    began = world.clock.monotonic()
    await process.reconciler.run_scheduled(60)
    assert world.clock.monotonic() - began >= 45
    assert (await process.watch.latest()).tally.ready


async def test_the_wait_for_old_writers_is_a_part_of_the_slice(world: World) -> None:
    """A function that overruns its time takes its worker down with it."""
    await world.process.counts.start_anew()
    for number in range(200):
        world.blobs.put(f"queued/{number:03}.jpg")
    slow_down(world, 4)
    began = world.clock.monotonic()
    await world.new_process().reconciler.run_scheduled(60)
    assert 60 <= world.clock.monotonic() - began <= 60 + 4


async def test_a_first_count_under_traffic_that_never_rests_comes_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come, and move, before and behind where it reads are no rows of another tally: nothing is audited."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    for number in range(50):
        world.blobs.put(f"queued/{number:02}.jpg")
    await world.process.counts.start_anew()
    pages, scan, take = world.blobs.pages, world.table.scan, world.new_process().delivery.take
    numbers, stages = iter(range(100)), set[str]()

    async def move() -> None:
        if (number := next(numbers, None)) is not None:
            await take(world.blobs.put(f"output/{number}.jpg"))
            await take(world.blobs.put(f"input/{number}.jpg"))
            await take(world.blobs.delete(f"output/{number}.jpg"))

    async def scanned(*args: Any, **options: Any) -> AsyncIterator[list[Entity]]:
        async for page in scan(*args, **options):
            await move()
            yield page

    async def listed(*args: str) -> AsyncIterator[Page]:
        async for page in pages(*args):
            yield page
            await move()

    for _ in range(20):  # while it waits for old writers
        await move()
    world.table.scan, world.blobs.pages = scanned, listed  # type: ignore[method-assign, assignment]
    reconciler = world.new_process().reconciler
    report = await reconciler.run(on_progress=lambda progress: stages.add(progress.stage))
    assert (report.bootstrap, "auditing the tally" in stages, next(numbers) > 30) == (True, False, True)


async def test_a_recount_says_how_long_it_has_waited(world: World) -> None:
    """Of the 45 s, once a second."""
    await fill(world)
    process, said = new_process(world), []
    await process.counts.start_anew()
    began = world.clock.monotonic()

    def note(progress: Progress) -> None:
        if progress.stage == "waiting for old instances to stop":
            said.append((world.clock.monotonic() - began, progress.done, progress.expected))

    await process.reconciler.run(on_progress=note)
    assert said == [(seconds, seconds, 45) for seconds in range(45)]


async def test_events_are_counted_while_it_runs(world: World) -> None:
    """Uploads and deletions during the recount end up in it, whoever was asked first."""
    await fill(world)
    old, process = world.process, new_process(world)
    undelivered: list[str] = []

    async def traffic() -> None:
        for number in range(60):
            path = f"inbox/{number % 20}.jpg"
            undelivered.append(world.blobs.delete(path) if path in world.blobs.blobs else world.blobs.put(path))
            for event in [*undelivered]:
                target = old if number % 2 else process
                try:
                    await target.delivery.take(event)
                except ForeignTally:
                    continue
                undelivered.remove(event)
            await asyncio.sleep(0)

    await asyncio.gather(start_anew(world, process), traffic())
    for event in undelivered:
        await process.delivery.take(event)
    stored = await process.counts.read()
    assert stored is not None
    await process.reconciler.run()
    assert dict(stored.tally.sums) == truth(world, stored.tally)


async def test_the_same_settings_can_be_counted_anew_too(world: World) -> None:
    """Processes that go on with the same settings move to the new generation and forget the old rows."""
    await fill(world)
    await start_anew(world, world.new_process())
    await world.process.delivery.take(world.blobs.put("queued/new.jpg"))
    await world.process.delivery.take(world.blobs.delete("queued/a.jpg"))
    stored = await world.process.counts.read()
    assert stored is not None
    assert stored.partition == "g2"
    assert stored.tally.counts() == {"queued": 2, "input": 1, "output": 1}


async def test_a_recount_that_was_cut_short_can_be_run_again(world: World) -> None:
    """An unknown outcome in the middle leaves at most an orphan; the next attempt passes it by."""
    await fill(world)
    process = new_process(world)
    faults = [None, Fault.LOST_ANSWER]
    world.table.fault = lambda method: faults.pop() if faults and method == "commit" else None
    with pytest.raises(OutcomeUnknown):
        await start_anew(world, process)
    world.table.fault = lambda _: None
    await start_anew(world, process)
    stored = await process.counts.read()
    assert stored is not None
    assert (stored.partition, stored.tally.ready) == ("g3", True)
    assert dict(stored.tally.sums) == truth(world, stored.tally)


NONSENSE = [None, "?", "", "-1", -1, 1.5, True, "9" * 40, "2026-13-01", "g1", "g0"]


@pytest.mark.parametrize("name", [*sorted(tallies.without_sketch(FOLDERS, has_cases=True)), "sketch000", "sketch031"])
async def test_a_tally_that_something_else_has_written_to_can_be_counted_anew(name: str) -> None:
    """Whatever one of its properties says, or if it is gone: it is read, or refused with what to do about it."""
    for value in NONSENSE:
        world = await World(folders=CASES_MAP).bootstrap()
        for path in ("queued/1/a.jpg", "queued/2/b.jpg", "input/1/c.jpg"):
            await world.process.delivery.take(world.blobs.put(path))
        tally = world.table.entities("g1")[TALLY_KEY]
        properties = {each: old for each, old in tally.properties.items() if each != name}
        await world.table.commit(
            "g1", [Write(TALLY_KEY, properties | ({name: value} if value is not None else {}), tally.etag)]
        )
        process, event = world.new_process(), world.blobs.put("queued/2/d.jpg")
        with suppress(StorageError):
            await process.delivery.take(event)
        with suppress(StorageError):
            await world.new_process().reconciler.run(full=True)
        await start_anew(world, process)
        await process.delivery.take(event)
        stored = await process.counts.read()
        assert stored is not None
        assert (stored.tally.counts(), stored.tally.ready) == ({"queued": 3, "input": 1, "output": 0}, True), value


async def test_two_recounts_at_once(world: World) -> None:
    """Two operators: one generation after the other, the last one counts."""
    await fill(world)
    await asyncio.gather(*(start_anew(world, new_process(world)) for _ in range(2)))
    stored = await new_process(world).counts.read()
    assert stored is not None
    await new_process(world).reconciler.run()
    stored = await new_process(world).counts.read()
    assert stored is not None
    assert stored.tally.ready
    assert dict(stored.tally.sums) == truth(world, stored.tally)


async def test_an_idle_process_compares_a_directory_in_the_new_generation(world: World) -> None:
    """All that it remembers is of the old one, and its settings are the same: nobody refuses it anything."""
    idle = world.new_process()
    await idle.delivery.take(world.blobs.put("queued/case/a.jpg"))
    await start_anew(world, world.new_process())
    world.clock.advance(60)
    await idle.delivery.take(world.blobs.delete_directory("queued/case"))
    stored = await world.new_process().counts.read()
    assert stored is not None
    assert (stored.partition, stored.tally.counts()["queued"]) == ("g2", 0)
