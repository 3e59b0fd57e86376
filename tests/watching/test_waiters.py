"""The registry of those who wait: one end each, a wake in parts, one sweep for all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from localdev import virtual_time
from shared.watching import waiters
from shared.watching.waiters import End, Waiters


@pytest.fixture
def registry() -> Waiters:
    """Return an empty registry."""
    return Waiters()


async def wait(registry: Waiters, seconds: float = 60, is_gone: Callable[[], bool] | None = None) -> End:
    """Wait as the watch does."""
    waiter = registry.join(seconds, is_gone)
    try:
        return await waiter
    finally:
        registry.leave(waiter)


async def test_a_wake_ends_all_waits_the_longest_first(registry: Waiters) -> None:
    """Those who have waited longest are freed first."""
    order: list[int] = []

    async def one(number: int) -> None:
        assert await wait(registry) is End.CHANGED
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(500)]
    await asyncio.sleep(0)
    registry.wake()
    await asyncio.gather(*tasks)
    assert order == list(range(500))


async def test_others_have_their_turn_during_a_wake(registry: Waiters) -> None:
    """A wake of many does not hold up the loop: the first answers are given before the last waiter is freed."""
    tasks = [asyncio.create_task(wait(registry)) for _ in range(1000)]
    await asyncio.sleep(0)
    registry.wake()
    turns = 0
    while not tasks[-1].done():
        turns += 1
        await asyncio.sleep(0)
        if turns == 3:
            assert tasks[0].done()
            assert not tasks[-1].done()
    assert 1000 / waiters.WAKE_CHUNK <= turns <= 1000 / waiters.WAKE_CHUNK + 5


async def test_a_second_wake_during_the_first_frees_everybody_once(registry: Waiters) -> None:
    """Who came in between is freed as well."""
    tasks = [asyncio.create_task(wait(registry)) for _ in range(300)]
    await asyncio.sleep(0)
    registry.wake()
    tasks += [asyncio.create_task(wait(registry)) for _ in range(300)]
    await asyncio.sleep(0)
    registry.wake()
    async with asyncio.timeout(5):
        assert set(await asyncio.gather(*tasks)) == {End.CHANGED}


async def test_a_second_wake_during_the_first_is_no_second_pace(registry: Waiters) -> None:
    """Who has just been freed answers first."""
    tasks = [asyncio.create_task(wait(registry)) for _ in range(5 * waiters.WAKE_CHUNK)]
    await asyncio.sleep(0)
    registry.wake()
    registry.wake("another")
    for chunks in (1, 2, 3):
        await asyncio.sleep(0)
        freed = sum(waiter.done() for waiter in registry._places)
        assert freed + sum(task.done() for task in tasks) <= (chunks + 1) * waiters.WAKE_CHUNK
    await asyncio.gather(*tasks)


async def test_a_topic_goes_with_the_last_who_waits_for_it(registry: Waiters) -> None:
    """What is waited for is what is read."""
    waiter = registry.join(60, None, "a")
    assert registry.topics() == ["a"]
    registry.leave(waiter)
    assert registry.topics() == []


async def test_the_time_is_up(registry: Waiters) -> None:
    """Each wait has its own end."""
    ends = await asyncio.gather(wait(registry, 0.01), wait(registry, 0.0), wait(registry, -1))
    assert set(ends) == {End.TIME_UP}


async def test_one_sweep_for_all_goes_with_the_last(registry: Waiters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are gone are let go, the others stay; without waiters that can be asked nothing runs."""
    monkeypatch.setattr(waiters, "SWEEP_SECONDS", 0.01)
    idle = len(asyncio.all_tasks())
    for _ in range(2):  # the first client after a while without any is asked about as well
        gone = asyncio.Event()
        staying = [asyncio.create_task(wait(registry))]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == idle + 1
        staying += [asyncio.create_task(wait(registry, is_gone=lambda: False)) for _ in range(300)]
        leaving = [asyncio.create_task(wait(registry, is_gone=gone.is_set)) for _ in range(500)]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == idle + 801 + 1
        gone.set()
        async with asyncio.timeout(5):
            assert set(await asyncio.gather(*leaving)) == {End.GONE}
        assert not any(task.done() for task in staying)
        registry.wake()
        assert set(await asyncio.gather(*staying)) == {End.CHANGED}
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == idle


@pytest.mark.parametrize("changes_a_second", [0.01, 0.3, 0.9, 1.0, 1.1, 3.0, 30.0, 1000.0])
@pytest.mark.parametrize("clients", [1, 2])
def test_i9_who_has_left_is_noticed_however_often_the_counts_change(changes_a_second: float, clients: int) -> None:
    """Within two seconds, also of a stream that is the only one."""
    assert virtual_time.run(seconds_to_notice(1 / changes_a_second, clients)) <= 2


async def seconds_to_notice(pause_seconds: float, clients: int) -> float:
    """Have clients follow changes, and leave; return how long after that the last of them is let go."""
    loop, registry, left_at = asyncio.get_running_loop(), Waiters(), 7.25

    async def follow() -> float:
        while await wait(registry, is_gone=lambda: loop.time() >= left_at) is End.CHANGED:
            pass
        return loop.time() - left_at

    async def change() -> None:
        while True:
            await asyncio.sleep(pause_seconds)
            registry.wake()

    changing = asyncio.create_task(change())
    async with asyncio.timeout(20):
        noticed = max(await asyncio.gather(*(follow() for _ in range(clients))))
    changing.cancel()
    return noticed


async def test_closing_ends_the_sweep_and_no_wait(registry: Waiters) -> None:
    """Those who wait are drained before; what closes an empty registry does no harm."""
    registry.close()
    idle = len(asyncio.all_tasks())
    gone = asyncio.Event()
    waiting = asyncio.create_task(wait(registry, is_gone=gone.is_set))
    await asyncio.sleep(0)
    gone.set()
    registry.close()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == idle + 1
    registry.wake()
    assert await waiting is End.CHANGED


async def test_a_sweep_lets_others_have_their_turn(registry: Waiters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than a chunk is asked at once."""
    monkeypatch.setattr(waiters, "SWEEP_SECONDS", 0.0)
    asked: list[int] = []
    turn = 0

    def is_gone() -> bool:
        asked.append(turn)
        return False

    tasks = [asyncio.create_task(wait(registry, is_gone=is_gone)) for _ in range(1000)]
    await asyncio.sleep(0)
    asked.clear()  # as they joined
    while len(asked) < 3000:
        turn += 1
        await asyncio.sleep(0)
    assert max(asked.count(each) for each in set(asked)) <= waiters.SWEEP_CHUNK
    registry.wake()
    await asyncio.gather(*tasks)


async def test_a_drain_ends_waits_one_after_the_other(registry: Waiters, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, spread over the time that there is."""
    monkeypatch.setattr(waiters, "DRAIN_SECONDS", 0.2)
    ended: list[float] = []
    loop = asyncio.get_running_loop()

    async def one() -> None:
        assert await wait(registry) is End.STOPPING
        ended.append(loop.time())

    tasks = [asyncio.create_task(one()) for _ in range(200)]
    await asyncio.sleep(0)
    started = loop.time()
    registry.drain()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert ended[-1] - started >= 0.15
    assert sum(moment - started < 0.1 for moment in ended) < 150


async def test_a_parked_client_is_small(registry: Waiters) -> None:
    """What the registry keeps for a waiter: a future, a timer, a place."""
    waiter = registry.join(60, lambda: False)
    place = registry._places[waiter]
    assert sys.getsizeof(waiter) + sys.getsizeof(place) + sys.getsizeof(place.timer) < 600
    registry.leave(waiter)
    assert not registry._places
    assert place.timer.cancelled()  # or it would keep the waiter until its time is up
