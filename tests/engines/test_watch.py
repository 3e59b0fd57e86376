"""The watch: who waits is woken by every visible change, by nothing else, and storage is read once for all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from shared.clock import SystemClock
from shared.counts import PARTITION, TALLY_KEY, Counts
from shared.errors import ServiceUnavailable, TooManyWaiters
from shared.ports import Write
from shared.status import StatusSnapshot
from shared.tally import to_properties
from shared.watch import ClientGone, Watch
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


async def test_i8_errors_are_shared_like_answers(world: World, watch: Watch) -> None:
    """While storage is down, requests do not become reads either."""
    world.table.fault = lambda _: Fault.LOST_REQUEST
    reads = world.table.reads
    for _ in range(20):
        with pytest.raises(ServiceUnavailable):
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
    monkeypatch.setattr("shared.waiters.SWEEP_SECONDS", 0.01)
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
    monkeypatch.setattr("shared.watch.UNCONFIRMED_SECONDS", 0.0)
    version = (await watch.latest()).version
    world.table.fault = lambda _: Fault.LOST_REQUEST
    with pytest.raises(ServiceUnavailable):
        await watch.changed(version, 5 * INTERVAL_SECONDS)


async def test_a_client_that_is_ahead_never_sees_the_counts_go_back(world: World) -> None:
    """Another instance has served a newer version: this one reads again instead of answering with its older one."""
    counts = Counts(world.table, FINGERPRINT, SystemClock())
    behind = Watch(counts, SystemClock(), poll_interval_seconds=30)
    await behind.latest()
    await upload(world)
    newer = world.stored_tally().version
    assert (await behind.latest()).version != newer
    assert (await behind.latest(newer_than=newer)).version == newer


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
    with pytest.raises(ServiceUnavailable):
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
    with pytest.raises(ServiceUnavailable):
        await watch.changed(version, 60)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [None] * 10
    assert (await watch.latest()).version == version
