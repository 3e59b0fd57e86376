"""The watch: who waits is woken by every visible change, by nothing else, and storage is read once for all."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator

import pytest

from localdev import virtual_time
from shared.clock import SystemClock
from shared.errors import TooManyWaiters, Unavailable
from shared.model.ports import Write
from shared.model.snapshot import StatusSnapshot
from shared.model.tally import to_properties
from shared.watching.topic import ClientGone
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts, StoredTally
from tests.fakes.memory_table import Fault
from tests.fakes.world import FINGERPRINT, World

INTERVAL_SECONDS = 0.05


@pytest.fixture
async def watch(world: World) -> AsyncIterator[Watch]:
    """Return a watch on real time, on the world's table."""
    counts = Counts(world.table, FINGERPRINT, SystemClock())
    watching = Watch(counts, SystemClock(), INTERVAL_SECONDS)
    yield watching
    watching.close()


def ahead_of(snapshot: StatusSnapshot, revisions: int = 1) -> frozenset[str]:
    """Return the claim of a client that has a later version."""
    return frozenset({f"{snapshot.tally.epoch}-{snapshot.tally.revision + revisions}"})


async def upload(world: World, name: str = "a.jpg") -> None:
    """Have one more blob counted by another process."""
    await world.process.delivery.take(world.blobs.put(f"queued/{name}"))


async def test_i7_a_change_wakes_every_waiter_with_the_same_bytes(world: World, watch: Watch) -> None:
    """A hundred waiters, one commit: a hundred answers, one body object."""
    version = (await watch.latest()).version
    waiting = [asyncio.create_task(watch.changed(version, 10)) for _ in range(100)]
    await asyncio.sleep(0)
    await upload(world)
    woken = await asyncio.gather(*waiting)
    assert {id(snapshot.body) for snapshot in woken if snapshot} == {id(woken[0].body)}  # type: ignore[union-attr]
    assert woken[0] is not None
    assert b'"queued_count":1' in woken[0].body


async def test_i7_a_change_between_the_answer_and_the_wait_is_not_lost(world: World, watch: Watch) -> None:
    """Whoever comes with the older version is answered at once."""
    version = (await watch.latest()).version
    await upload(world)
    snapshot = await watch.changed(version, 10)
    assert snapshot is not None
    assert snapshot.version != version


async def test_i7_a_commit_that_moves_no_count_wakes_nobody(world: World, watch: Watch) -> None:
    """An overwrite and a replacement of one name by another: the waiter is told "unchanged" in its time."""
    await upload(world, "a.jpg")
    version = (await watch.latest()).version
    waiting = asyncio.create_task(watch.changed(version, 5 * INTERVAL_SECONDS))
    await upload(world, "a.jpg")
    events = world.blobs.delete("queued/a.jpg"), world.blobs.put("queued/b.jpg")
    await asyncio.gather(*(world.process.delivery.take(event) for event in events))
    assert await waiting is None


async def test_versions_are_compared_by_inequality(world: World, watch: Watch) -> None:
    """A rebuilt table goes back to a lower revision: that is a change too."""
    await upload(world, "a.jpg")
    await upload(world, "b.jpg")
    snapshot = await watch.latest()
    waiting = asyncio.create_task(watch.changed(snapshot.version, 10))
    await asyncio.sleep(0)
    stored = world.table.entities(PARTITION)[TALLY_KEY]
    rebuilt = dataclasses.replace(snapshot.tally, revision=1)
    await world.table.commit(PARTITION, [Write(TALLY_KEY, to_properties(rebuilt), stored.etag)])
    woken = await waiting
    assert woken is not None
    assert woken.tally.revision == 1


async def test_i8_many_readers_share_one_read(world: World, watch: Watch) -> None:
    """A thousand plain requests at once: one point read."""
    reads = world.table.reads
    await asyncio.gather(*(watch.latest() for _ in range(1000)))
    assert world.table.reads - reads == 1


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("read_seconds", [0.0, 0.1, 0.4, 0.9])
def test_what_is_shared_is_no_older_than_an_interval_or_its_read(*, waits: bool, read_seconds: float) -> None:
    """Whether or not a client waits, and whenever another asks; and reads begin no sooner than an interval apart."""
    virtual_time.run(ages(waits=waits, read_seconds=read_seconds))


async def ages(*, waits: bool, read_seconds: float) -> None:
    """Ask for 20 s, at an interval of 0.5 s, and look how old each answer is when it comes."""
    world, clock = await World().bootstrap(), virtual_time.VirtualClock()
    watch = Watch(Counts(world.table, FINGERPRINT, clock), clock, 0.5)
    glance, began = watch._counts.glance, []

    async def slow() -> StoredTally | None:
        began.append(clock.monotonic())
        await clock.sleep(read_seconds)
        return await glance()

    watch._counts.glance = slow  # type: ignore[method-assign]
    first = await watch.latest()
    waiting = asyncio.create_task(watch.changed(first.version, 60)) if waits else None

    async def ask(pause_seconds: float) -> None:
        while clock.monotonic() < 20:
            found = await watch.latest()
            assert (clock.now() - found.read_at).total_seconds() <= max(0.5, read_seconds) + 1e-5
            await clock.sleep(pause_seconds)

    await asyncio.gather(*map(ask, (0.013, 0.07, 0.5, 0.7)))
    assert all(later - earlier >= 0.5 - 1e-9 for earlier, later in itertools.pairwise(began))
    watch.close()
    if waiting is not None:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_i8_errors_are_shared_like_answers(world: World, watch: Watch) -> None:
    """While storage is down, requests do not become reads either."""
    world.table.fault = lambda _: Fault.LOST_REQUEST
    reads = world.table.reads
    for _ in range(20):
        with pytest.raises(Unavailable):
            await watch.latest()
    assert world.table.reads - reads == 1


async def test_i8_waiters_do_not_add_reads_and_nobody_waiting_means_none(world: World, watch: Watch) -> None:
    """Two hundred waiters read as often as the clock says; when they are gone nothing reads."""
    version = (await watch.latest()).version
    reads = world.table.reads
    rounds = 6
    await asyncio.gather(*(watch.changed(version, rounds * INTERVAL_SECONDS) for _ in range(200)))
    assert 1 <= world.table.reads - reads <= rounds + 1
    reads = world.table.reads
    await asyncio.sleep(3 * INTERVAL_SECONDS)
    assert world.table.reads == reads
    assert watch.waiters == 0


async def test_a_client_that_left_is_forgotten(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends when its client is found gone, long before its time."""
    monkeypatch.setattr("shared.watching.waiters.SWEEP_SECONDS", 0.01)
    version = (await watch.latest()).version
    gone = asyncio.Event()
    waiting = asyncio.create_task(watch.changed(version, 60, gone.is_set))
    await asyncio.sleep(0)
    assert watch.waiters == 1
    gone.set()
    async with asyncio.timeout(2):
        with pytest.raises(ClientGone):
            await waiting
    assert watch.waiters == 0


async def test_a_cancelled_waiter_is_forgotten(watch: Watch) -> None:
    """Cancelling a wait leaves nothing behind, the poller included."""
    version = (await watch.latest()).version
    waiting = asyncio.create_task(watch.changed(version, 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert watch.waiters == 0
    assert watch._poller is None


async def test_an_outage_wakes_nobody_and_the_change_after_it_does(world: World, watch: Watch) -> None:
    """The poller outlives failing reads."""
    version = (await watch.latest()).version
    waiting = asyncio.create_task(watch.changed(version, 10))
    world.table.fault = lambda called: Fault.LOST_REQUEST if called == "read" else None
    reads = world.table.reads
    while world.table.reads < reads + 3:
        await asyncio.sleep(INTERVAL_SECONDS / 5)
    assert not waiting.done()
    world.table.fault = lambda _: None
    await upload(world)
    assert await waiting is not None


async def test_unchanged_is_not_claimed_of_counts_that_cannot_be_read(
    world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is up in the middle of an outage, the answer is 503, not 304."""
    monkeypatch.setattr("shared.watching.watch.UNCONFIRMED_SECONDS", 0.0)
    version = (await watch.latest()).version
    world.table.fault = lambda _: Fault.LOST_REQUEST
    with pytest.raises(Unavailable):
        await watch.changed(version, 5 * INTERVAL_SECONDS)


async def test_a_client_that_is_ahead_never_sees_the_counts_go_back(world: World) -> None:
    """Another instance has served a newer version: this one reads again instead of answering with its older one."""
    counts = Counts(world.table, FINGERPRINT, SystemClock())
    behind = Watch(counts, SystemClock(), poll_interval_seconds=30)
    await behind.latest()
    await upload(world)
    newer = world.stored_tally().version
    assert (await behind.latest()).version != newer
    assert (await behind.latest(newer_than=frozenset({"another-1", newer}))).version == newer


async def test_a_client_that_is_ahead_waits_for_a_read_that_may_be_made(world: World) -> None:
    """The extra read of an interval is spent: who comes then with a newer version is not shown the older one."""
    behind = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), poll_interval_seconds=0.3)
    started = time.monotonic()
    await behind.latest(newer_than=ahead_of(await behind.latest()))
    await upload(world)
    newer = world.stored_tally().version
    found = await asyncio.gather(*(behind.latest(newer_than=frozenset({newer})) for _ in range(50)))
    assert {snapshot.version for snapshot in found} == {newer}
    assert time.monotonic() - started >= 0.3
    assert behind.reads == 3


async def test_a_client_that_is_ahead_during_an_outage_is_not_shown_older_counts(world: World, watch: Watch) -> None:
    """The read that would tell fails: the answer is 503."""
    ahead = ahead_of(await watch.latest())
    world.table.fault = lambda _: Fault.LOST_REQUEST
    for _ in range(3):
        with pytest.raises(Unavailable):
            await watch.latest(newer_than=ahead)


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("is_down", [False, True])
@pytest.mark.parametrize("gap_seconds", [0.001, 0.07, 0.3])
def test_i8_claims_to_be_ahead_share_one_more_read_an_interval(
    *, holds: bool, is_down: bool, gap_seconds: float
) -> None:
    """Whatever versions clients claim to have: two reads an interval at most, the poller's and the one they share."""
    began = virtual_time.run(reads_for_claims(holds=holds, is_down=is_down, gap_seconds=gap_seconds))
    assert len(began) >= 60
    for first, third in zip(began, began[2:], strict=False):
        assert third - first >= 0.5 - 1e-9


async def reads_for_claims(*, holds: bool, is_down: bool, gap_seconds: float) -> list[float]:
    """Let sixty clients claim false versions for 30 s, at an interval of 0.5 s; return when storage was read."""
    world, clock = await World().bootstrap(), virtual_time.VirtualClock()
    watch = Watch(Counts(world.table, FINGERPRINT, clock), clock, 0.5)
    first = await watch.latest()
    waiting = asyncio.create_task(watch.changed(first.version, 60)) if holds else None
    began: list[float] = []

    async def read_begins() -> None:
        if watch.reads > 1 + len(began):
            began.append(clock.monotonic())
        await asyncio.sleep(0.01)

    world.table.pause = read_begins
    world.table.fault = lambda _: Fault.LOST_REQUEST if is_down else None

    async def insist(claim: frozenset[str]) -> None:
        while clock.monotonic() < 30:
            with contextlib.suppress(Unavailable):
                await watch.latest(newer_than=claim)
            await asyncio.sleep(gap_seconds)

    claims = [ahead_of(first), ahead_of(first, 10**17), ahead_of(first) | {"another-99"}]
    await asyncio.gather(*(insist(claim) for claim in claims * 20))
    watch.close()
    if waiting is not None:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    return began


@pytest.mark.parametrize("tag", ["c0ffee-9", "{epoch}--9", "{epoch}-" + "9" * 19, "{epoch}-x9", "{epoch}-0", "\u0669"])
async def test_i8_what_is_no_version_ahead_costs_no_read(world: World, tag: str) -> None:
    """Another epoch, a revision that no tally has, or none at all: nothing to look up."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), poll_interval_seconds=30)
    epoch = (await watch.latest()).tally.epoch
    await watch.latest(newer_than=frozenset({tag.replace("{epoch}", epoch)}))
    assert watch.reads == 1


async def test_own_commits_are_served_without_a_read_and_in_bursts_as_one(world: World) -> None:
    """A commit of this process is offered to the watch: waiters wake before the next poll, once for a burst."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), poll_interval_seconds=30)
    first = await watch.latest()
    reads = world.table.reads
    waiting = asyncio.create_task(watch.changed(first.version, 10))
    await asyncio.sleep(0)
    for revision in range(1, 6):
        watch.offer(dataclasses.replace(first.tally, revision=first.tally.revision + revision))
    woken = await waiting
    assert woken is not None
    assert woken.tally.revision == first.tally.revision + 5
    assert world.table.reads == reads
    watch.close()


async def test_an_offer_ends_an_outage(world: World) -> None:
    """Storage that has just taken a commit is there: nobody is told otherwise until the next read."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), poll_interval_seconds=30)
    tally = world.stored_tally()
    world.table.fault = lambda _: Fault.LOST_REQUEST
    with pytest.raises(Unavailable):
        await watch.latest()
    watch.offer(tally)
    async with asyncio.timeout(5):
        assert await watch.changed("another", 5) is not None
    assert (await watch.latest()).version == tally.version
    watch.close()


async def test_an_offer_never_goes_back(world: World) -> None:
    """An offer that is older than what is served already is dropped."""
    await upload(world)
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), poll_interval_seconds=30)
    now = await watch.latest()
    watch.offer(dataclasses.replace(now.tally, revision=now.tally.revision - 1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await watch.changed(now.version, 10)
    assert isinstance(await watch.latest(), StatusSnapshot)
    assert (await watch.latest()).version == now.version
    watch.close()


async def test_there_is_room_for_so_many_and_no_more(world: World) -> None:
    """One too many is refused at once, what is not held is served, and who leaves makes room."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 30, max_waiters=2)
    version = (await watch.latest()).version
    waiting = [asyncio.create_task(watch.changed(version, 60)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaiters):
        await watch.changed(version, 60)
    assert (await watch.latest()).version == version
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    again = asyncio.create_task(watch.changed(version, 60))
    await asyncio.sleep(0)
    assert watch.waiters == 2
    for task in (waiting[1], again):
        task.cancel()
    await asyncio.gather(waiting[1], again, return_exceptions=True)
    watch.close()


async def test_a_process_that_stops_lets_go_whom_it_holds_and_holds_nobody_more(watch: Watch) -> None:
    """Waits end as if their time were up; who comes then is told to try elsewhere; counts are still served."""
    version = (await watch.latest()).version
    waiting = [asyncio.create_task(watch.changed(version, 60)) for _ in range(10)]
    await asyncio.sleep(0)
    watch.drain()
    watch.drain()
    with pytest.raises(Unavailable):
        await watch.changed(version, 60)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [None] * 10
    assert (await watch.latest()).version == version


async def test_a_wait_before_anything_could_be_read_ends_as_an_outage(world: World, watch: Watch) -> None:
    """There is no version yet that it could be unchanged from."""
    world.table.fault = lambda _: Fault.LOST_REQUEST
    with pytest.raises(Unavailable):
        await watch.changed("any", 3 * INTERVAL_SECONDS)
