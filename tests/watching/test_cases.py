"""The cases that are followed: each client is woken by its own case, and the tally's one read serves them all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from random import Random

import pytest

from localdev import virtual_time
from shared.clock import Clock, SystemClock
from shared.errors import CountsNotReady, OutcomeUnknown, StorageError, Unavailable
from shared.model.cases import RING
from shared.model.ports import Write
from shared.watching import cases
from shared.watching.topic import Topic
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts
from tests.fakes.memory_table import Fault
from tests.fakes.world import CASES_MAP, World

INTERVAL_SECONDS = 0.05
#: Longer than a test may take: whoever waits so long, and is answered, was woken.
LONG_SECONDS = 600


@pytest.fixture
async def world() -> World:
    """Return a world in which cases are counted."""
    return await World(folders=CASES_MAP).bootstrap()


@pytest.fixture
async def watch(world: World) -> AsyncIterator[Watch]:
    """Return a watch on real time, of another process than the one that commits."""
    made = new_watch(world)
    yield made
    made.close()


def new_watch(world: World, clock: Clock | None = None) -> Watch:
    """Return another watch."""
    clock, fingerprint = clock or SystemClock(), CASES_MAP.fingerprint("memory")
    counts = Counts(world.table, fingerprint, clock, CASES_MAP.locations, CASES_MAP.cases_of_paths)
    return Watch(counts, clock, INTERVAL_SECONDS)


async def upload(world: World, *paths: str) -> None:
    """Have blobs counted by a process."""
    await asyncio.gather(*(world.process.delivery.take(world.blobs.put(path)) for path in paths))


def counts_of(topic: Topic) -> dict[str, int]:
    """Return what was published last."""
    assert topic.snapshot is not None
    return topic.snapshot.tally.counts()


async def test_a_case_that_nobody_has_heard_of_is_zeros_with_a_version(world: World, watch: Watch) -> None:
    """A phone parks before its first upload has landed, and is woken by it; the bytes are the same everywhere."""
    topic = watch.of("a")
    snapshot = await topic.latest()
    assert snapshot.data["timestamp"] is None
    assert b'"queued_count":0' in snapshot.body
    assert snapshot.body == (await new_watch(world).of("a").latest()).body
    waiting = asyncio.create_task(topic.changed(snapshot.version, LONG_SECONDS))
    await asyncio.sleep(0)
    await upload(world, "queued/a/1.jpg")
    woken = await waiting
    assert woken is not None
    assert woken.tally.counts() == {"queued": 1, "input": 0, "output": 0}
    assert woken.data["timestamp"] is not None


async def test_i6_whoever_serves_a_version_serves_the_same_bytes(world: World, watch: Watch) -> None:
    """Told by the ring here, read from the row there, and by a third that has seen both."""
    random = Random(1)
    names = [
        f"{folder}/{case}/{number}.jpg" for folder in ("queued", "output") for case in "abc" for number in range(9)
    ]
    served: dict[tuple[str, str], bytes] = {}
    for _ in range(40):
        await upload(world, *random.sample(names, random.randint(1, 4)))
        for path in random.sample(sorted(world.blobs.blobs), 1):
            await world.process.delivery.take(world.blobs.delete(path))
        await asyncio.sleep(INTERVAL_SECONDS)
        for each in (watch, new_watch(world)):
            for case in "abc":
                found = await each.of(case).latest()
                assert served.setdefault((case, found.version), found.body) == found.body
                held = [path for path in world.blobs.blobs if path.split("/")[1] == case]
                assert sum(found.tally.counts().values()) == len(held)
    assert len(served) > 60


async def test_i6_a_table_that_is_deleted_shows_nobody_zeros(world: World, watch: Watch) -> None:
    """A client that has seen counts of the case is told that there are none, by a process that has not seen them."""
    await upload(world, "queued/a/1.jpg")
    known = (await new_watch(world).of("a").latest()).version
    await watch.latest()
    world.table.state.partitions.clear()
    with pytest.raises(CountsNotReady):
        await watch.of("a").latest(newer_than=frozenset({known}))


async def test_i8_a_made_up_version_costs_one_shared_read(world: World, watch: Watch) -> None:
    """However many claim it: it is of the tally that counts, and of no revision that the case has had."""
    await upload(world, "queued/b/1.jpg", "queued/b/2.jpg")
    made_up = (await watch.of("b").latest()).version
    before = watch.reads
    answers = await asyncio.gather(*(watch.of("a").latest(newer_than=frozenset({made_up})) for _ in range(50)))
    assert {answer.version.partition("-")[2] for answer in answers} == {"0"}
    assert watch.reads - before <= 2


async def test_i9_counts_of_a_case_that_are_not_current_when_a_wait_ends_are_read(world: World, watch: Watch) -> None:
    """They were not read in time, although storage is well: the client is answered, and not refused."""
    topic = watch.of("a")
    known = (await topic.latest()).version
    with watch.held():
        waiting = asyncio.create_task(topic.next(known, INTERVAL_SECONDS))
        await asyncio.sleep(0)
        topic.is_current = False  # type: ignore[attr-defined]
        assert await waiting is None
        await upload(world, "queued/b/1.jpg")
        world.table.fault = lambda what: Fault.LOST_REQUEST if what == "read" else None
        topic.is_current = False  # type: ignore[attr-defined]
        with pytest.raises(Unavailable):
            await topic.next(known, INTERVAL_SECONDS)


async def test_i7_a_change_wakes_who_follows_that_case_and_nobody_else(world: World, watch: Watch) -> None:
    """Nor is who follows a case woken by images without one, or by one that replaces another."""
    await upload(world, "queued/mine/1.jpg", "queued/other/1.jpg")
    mine, other = watch.of("mine"), watch.of("other")
    versions = [(await each.latest()).version for each in (mine, other)]
    waits = [
        asyncio.create_task(each.changed(version, seconds))
        for each, version, seconds in zip((mine, other), versions, (LONG_SECONDS, 1), strict=True)
    ]
    await asyncio.sleep(0)
    await upload(world, "queued/0.jpg")
    deleted, put = world.blobs.delete("queued/other/1.jpg"), world.blobs.put("queued/other/2.jpg")
    await asyncio.gather(*map(world.process.delivery.take, (deleted, put)))
    await upload(world, "queued/mine/2.jpg")
    woken, untouched = await asyncio.gather(*waits)
    assert woken is not None
    assert woken.tally.counts()["queued"] == 2
    assert untouched is None


async def test_i8_a_thousand_cases_cost_one_read_an_interval(world: World, watch: Watch) -> None:
    """Once each has been read; and nobody waiting means none."""
    for start in range(0, 1000, 45):
        await upload(world, *(f"queued/{number}/1.jpg" for number in range(start, min(start + 45, 1000))))
    topics = [watch.of(str(number)) for number in range(1000)]
    cases_read = asyncio.gather(*(each.latest() for each in topics))
    versions = [each.version for each in await cases_read]
    reads, began = world.table.reads, asyncio.get_running_loop().time()
    waits = [asyncio.create_task(t.changed(v, 2)) for t, v in zip(topics, versions, strict=True)]
    for number in range(30):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}/2.jpg"))
        await asyncio.sleep(INTERVAL_SECONDS / 2)
    woken = await asyncio.gather(*waits)
    seconds = asyncio.get_running_loop().time() - began
    assert [each is not None for each in woken] == [number < 30 for number in range(1000)]
    own = world.process.writer.stats.reads
    assert world.table.reads - reads <= seconds / INTERVAL_SECONDS + 2 + own
    reads = world.table.reads
    await asyncio.sleep(5 * INTERVAL_SECONDS)
    assert world.table.reads == reads


async def test_more_changes_than_the_ring_holds_wake_everybody_who_waits(world: World, watch: Watch) -> None:
    """Their rows are read, once each, and nothing else of the ledger."""
    topics = [watch.of(str(number)) for number in range(0, 2 * RING, 8)]
    for times in (1, 2):
        versions = [(await each.latest()).version for each in topics]
        waits = [asyncio.create_task(t.changed(v, LONG_SECONDS)) for t, v in zip(topics, versions, strict=True)]
        await asyncio.sleep(0)
        reads = watch._cases.reads
        await upload(world, *(f"queued/{number}/{times}.jpg" for number in range(2 * RING)))
        woken = await asyncio.gather(*waits)
        assert all(each is not None and each.tally.counts()["queued"] == times for each in woken)
        assert watch._cases.reads - reads <= 2 * len(topics)


async def test_a_row_that_is_read_while_the_ring_goes_on_too_far_is_not_current(world: World, watch: Watch) -> None:
    """Nobody can say whether what has fallen out of the ring was of this case."""
    await watch.latest()
    topics, held, gate = watch._cases, asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await gate.wait()

    world.table.pause = hold
    topic = topics.of("a")
    reading = asyncio.create_task(topics.read(topic))
    await held.wait()
    stored = world.stored_tally()
    assert stored.recent is not None
    missed = dataclasses.replace(stored.recent, revision=stored.recent.revision + RING + 1)
    now = SystemClock().now()
    topics.publish(dataclasses.replace(stored, recent=missed), now, now, PARTITION)
    gate.set()
    await reading
    assert not topic.is_current


@pytest.mark.parametrize("seed", range(12))
def test_i7_a_change_is_told_whatever_becomes_of_the_reads(seed: int) -> None:
    """The ring goes on too far, also while a row is read; reads are slow, and fail; others ask for the same case."""
    virtual_time.run(told_in_the_end(seed))


async def told_in_the_end(seed: int) -> None:
    """Let a case change between others, on a table that is slow and fails; when it is well the change is told."""
    random, clock = Random(seed), virtual_time.VirtualClock()
    world = await World(seed, folders=CASES_MAP).bootstrap()
    watch = new_watch(world, clock)
    await upload(world, "queued/a/1.jpg")
    topic = watch.of("a")
    version, asking = (await topic.latest()).version, []
    waiting = asyncio.create_task(topic.changed(version, LONG_SECONDS))
    await asyncio.sleep(0)
    read_case = watch._counts.read_case

    async def read_late(*which: str) -> object:
        found = await read_case(*which)
        await asyncio.sleep(random.choice([0.0, 3.0, 5.0]) * INTERVAL_SECONDS)
        if random.random() < 0.3:
            raise OutcomeUnknown("lost")
        return found

    watch._counts.read_case = read_late  # type: ignore[assignment, method-assign]
    rounds = random.randint(2, 4)
    for others in range(rounds):
        await upload(world, *(f"queued/{others}-{number}/1.jpg" for number in range(RING + 1)))
        if random.random() < 0.2:
            asking.append(asyncio.create_task(topic.latest()))
        await asyncio.sleep(random.choice([0.0, 1.5, 1.5, 2.5]) * INTERVAL_SECONDS)
        if others == rounds - 2:
            await upload(world, "queued/a/2.jpg")
    await asyncio.gather(*asking, return_exceptions=True)
    watch._counts.read_case = read_case  # type: ignore[method-assign]
    async with asyncio.timeout(10 * INTERVAL_SECONDS):
        assert await waiting is not None
    watch.close()


async def test_i6_a_case_has_the_counts_of_the_generation_that_its_version_is_of(world: World) -> None:
    """Where a recount has begun, and this process has heard of it by an event before the watch reads the tally."""
    await upload(world, "queued/a/1.jpg", "queued/a/2.jpg")
    process = world.process
    before = await process.watch.latest()
    await world.new_process().counts.start_anew()
    await process.counts.open()
    assert process.counts.partition != PARTITION
    found = await process.watch.of("a").latest()
    assert found.tally.epoch == before.tally.epoch
    assert found.tally.counts()["queued"] == 2
    world.clock.advance(INTERVAL_SECONDS + 1)
    with pytest.raises(CountsNotReady):
        await process.watch.of("a").latest()


async def test_i6_a_commit_alone_does_not_say_where_the_rows_are(world: World, watch: Watch) -> None:
    """One of the next generation goes on from nothing that was read: its cases wait for the next read."""
    await upload(world, "queued/a/1.jpg")
    watch.interval_seconds = 30
    first = await watch.latest()
    other = world.new_process()
    await other.counts.start_anew()
    await other.reconciler.run()
    await other.delivery.take(world.blobs.put("queued/a/2.jpg"))
    second = await other.counts.open()
    assert second.tally.epoch != first.tally.epoch
    watch.offer(second.tally)
    await asyncio.sleep(0)
    for queued, epoch in ((1, first.tally.epoch), (2, second.tally.epoch)):
        found = await watch.of("a").latest()
        assert (found.tally.counts()["queued"], found.tally.epoch) == (queued, epoch)
        watch.interval_seconds = 0


async def test_i6_without_a_ring_a_case_has_no_version(world: World, watch: Watch) -> None:
    """Somebody has edited the tally: 503, and not a version that another process would give to other counts."""
    await upload(world, "queued/a/1.jpg")
    stored = world.table.entities(PARTITION)[TALLY_KEY]
    properties = {name: value for name, value in stored.properties.items() if name != "case_revision"}
    await world.table.commit(PARTITION, [Write(TALLY_KEY, properties, stored.etag)])
    with pytest.raises(Unavailable):
        await watch.of("a").latest()


@pytest.mark.parametrize("seed", range(8))
def test_i8_rows_for_who_asks_are_limited(seed: int) -> None:
    """Whatever is asked for and when: so many reads in an interval, first come, first served, or refused in time."""
    random, interval_seconds = Random(seed), 0.5

    async def within() -> None:
        world = await World(folders=CASES_MAP).bootstrap()
        watch = Watch(world.process.counts, virtual_time.VirtualClock(), poll_interval_seconds=interval_seconds)
        await watch.latest()
        loop, answered = asyncio.get_running_loop(), []
        refused = 0

        async def ask(number: int) -> None:
            nonlocal refused
            began = loop.time()
            try:
                await watch.of(f"made up {number}").latest()
            except Unavailable:
                refused += 1
                assert loop.time() == began, "at once"
            else:
                answered.append((round(loop.time(), 6), number))
                assert loop.time() - began <= cases.LONGEST_TURN_SECONDS + interval_seconds

        asking = []
        for number in range(3000):
            asking.append(asyncio.create_task(ask(number)))
            await asyncio.sleep(random.choice([0, 0, 0, 0.01]))
        await asyncio.gather(*asking)
        served = [number for _, number in sorted(answered)]
        places = zip(served, sorted(served), strict=True)
        assert all(abs(number - place) < 10 for number, place in places), "first come, first served"
        assert refused > 0
        moments = [moment for moment, _ in answered]
        for place, moment in enumerate(moments[2 * cases.READS_AN_INTERVAL :]):
            assert moment - moments[place] > interval_seconds - 1e-5, "at most so many in each interval"
        await asyncio.sleep(60)
        await asyncio.gather(*(watch.of(f"later {number}").latest() for number in range(cases.READS_AN_INTERVAL)))
        watch.close()

    virtual_time.run(within())


async def test_a_row_that_cannot_be_read_is_an_error_and_not_zeros(world: World, watch: Watch) -> None:
    """Also where the tally can be."""
    await upload(world, "queued/a/1.jpg")
    await watch.latest()
    world.table.fault = lambda what: Fault.LOST_REQUEST if what == "read" else None
    with pytest.raises((StorageError, Unavailable)):
        await watch.of("a").latest()
    world.table.fault = lambda _: None
    await asyncio.sleep(INTERVAL_SECONDS)
    assert (await watch.of("a").latest()).tally.counts()["queued"] == 1


async def test_the_commits_of_this_process_are_served_without_a_read(world: World) -> None:
    """The wake comes with the commit."""
    watch = world.process.watch
    world.process.writer._commits._on_change = watch.offer
    try:
        topic = watch.of("a")
        version = (await topic.latest()).version
        waiting = asyncio.create_task(topic.changed(version, LONG_SECONDS))
        await asyncio.sleep(0)
        await upload(world, "queued/a/1.jpg")
        assert await waiting is not None
    finally:
        watch.close()


async def test_a_table_that_begins_anew_has_other_versions(world: World, watch: Watch) -> None:
    """Who waits is woken: the counts are others."""
    await upload(world, "queued/a/1.jpg")
    topic = watch.of("a")
    snapshot = await topic.latest()
    waiting = asyncio.create_task(topic.changed(snapshot.version, LONG_SECONDS))
    await asyncio.sleep(0)
    del world.table.state.partitions[PARTITION]
    process = world.new_process()
    await process.reconciler.run()
    assert TALLY_KEY in world.table.entities(PARTITION)
    woken = await waiting
    assert woken is not None
    assert woken.tally.epoch != snapshot.tally.epoch
    assert woken.tally.counts() == snapshot.tally.counts()


async def test_a_claim_is_held_against_the_last_revision_of_a_case_that_was_heard_of(
    world: World, watch: Watch
) -> None:
    """One of another epoch says nothing."""
    await upload(world, "queued/a/1.jpg")
    await watch.latest()
    stored = world.stored_tally()
    assert stored.recent is not None
    revision = stored.recent.revision
    for claim, is_behind in ((f"{stored.epoch}-{revision + 1}", True), (f"{stored.epoch}-{revision}", False)):
        assert watch._cases.is_behind(frozenset({claim, f"other-{revision + 9}", "x"})) is is_behind


async def test_counts_are_as_young_as_the_row_that_they_were_read_from(world: World, watch: Watch) -> None:
    """Also where the tally was read before."""
    await upload(world, "queued/a/1.jpg")
    await watch.latest()
    asked_at = SystemClock().now()
    assert (await watch.of("a").latest()).read_at >= asked_at


async def test_a_watch_that_is_closed_reads_no_case(world: World) -> None:
    """Neither for those who wait nor for who asks."""
    watch, held = new_watch(world), asyncio.Event()
    version = (await watch.of("a").latest()).version
    topics = watch._cases
    waiting = asyncio.create_task(watch.of("a").changed(version, LONG_SECONDS))
    await asyncio.sleep(0)

    async def hold() -> None:
        held.set()
        await asyncio.Event().wait()

    world.table.pause = hold
    topics.of("a").is_current = False
    topics.refresh([topics.of("a")])
    await held.wait()
    names = {"refresh of cases", "status read of a case"}
    assert names <= {task.get_name() for task in asyncio.all_tasks()}
    watch.close()
    waiting.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not names & {task.get_name() for task in asyncio.all_tasks()}


async def test_a_row_that_is_read_late_does_not_replace_newer_counts(world: World, watch: Watch) -> None:
    """The ring has told more meanwhile."""
    await upload(world, "queued/a/1.jpg")
    await watch.latest()
    calls, gate = 0, asyncio.Event()

    async def pause() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # after the row was found
            await gate.wait()

    world.table.pause = pause
    reading = asyncio.create_task(watch.of("a").latest())
    while calls < 2:
        await asyncio.sleep(0)
    await upload(world, "queued/a/2.jpg")
    await asyncio.sleep(2 * INTERVAL_SECONDS)
    assert (await watch.latest()).tally.counts()["queued"] == 2
    gate.set()
    assert (await reading).tally.counts()["queued"] == 2


@pytest.mark.parametrize("changes", [1, RING + 1])
async def test_who_asks_after_a_while_is_shown_what_is_there(world: World, watch: Watch, changes: int) -> None:
    """Nobody has waited, so nothing was read meanwhile: the ring says what has changed, or the row is read again."""
    await upload(world, "queued/a/1.jpg")
    assert (await watch.of("a").latest()).tally.counts()["queued"] == 1
    await upload(world, "queued/a/2.jpg")
    await upload(world, *(f"queued/{number}/1.jpg" for number in range(changes - 1)))
    await asyncio.sleep(2 * INTERVAL_SECONDS)
    reads, read = world.table.reads, watch.rows_read
    assert (await watch.of("a").latest()).tally.counts()["queued"] == 2
    assert watch._cases.reads == 1 + (changes > RING)
    assert world.table.reads - reads == watch.rows_read - read == 1 + (changes > RING)
