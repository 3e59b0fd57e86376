"""What is closed leaves nothing running, and lets nothing happen any more."""

from __future__ import annotations

import asyncio

import pytest

from shared.clock import SystemClock
from shared.model.snapshot import StatusSnapshot
from shared.watching import waiters
from shared.watching.own_commits import Offers
from shared.watching.watch import Watch
from shared.writing.tally_row import Counts
from tests.fakes.world import FINGERPRINT, World

OWN_TASKS = {"status poller", "status read", "sweep of departed clients"}


def running() -> set[str]:
    """Return the names of the watch's tasks that run."""
    return {task.get_name() for task in asyncio.all_tasks()} & OWN_TASKS


async def until(condition: object) -> None:
    """Let others run until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0)


async def test_a_watch_that_is_closed_runs_nothing(world: World) -> None:
    """Neither poller nor sweep nor the read that was on its way."""
    on_its_way = asyncio.Event()

    async def hold() -> None:
        on_its_way.set()
        await asyncio.Event().wait()

    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 0.01)
    version = (await watch.latest()).version
    waiting = asyncio.create_task(watch.changed(version, 60, lambda: False))
    world.table.pause = hold
    await until(on_its_way.is_set)
    assert running() == OWN_TASKS
    watch.close()
    await until(lambda: not running())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_watch_can_be_closed_before_anybody_came(world: World) -> None:
    """There is nothing to stop."""
    Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 0.01).close()
    assert not running()


async def test_the_poller_goes_with_the_last_who_waits(world: World) -> None:
    """And comes again with the next."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 30)
    for _ in range(2):
        with watch.held():
            with watch.held():
                assert watch.waiters == 2
            await asyncio.sleep(0)
            assert "status poller" in running()
        await until(lambda: not running())
        assert watch.waiters == 0


async def test_an_offer_that_was_not_passed_on_is_forgotten_when_closed(world: World) -> None:
    """Its timer is off."""
    taken: list[StatusSnapshot] = []
    offers = Offers(SystemClock(), taken.append)
    tally = world.stored_tally()
    offers.close()
    offers.offer(tally)
    await until(lambda: taken)
    offers.offer(tally)
    assert offers._pending is not None
    assert not offers._pending[1].cancelled()
    offers.close()
    assert offers._pending[1].cancelled()


async def test_a_registry_that_is_closed_asks_nobody_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its waits end in their time."""
    monkeypatch.setattr(waiters, "SWEEP_SECONDS", 0.0)
    asked: list[None] = []
    registry = waiters.Waiters()
    registry.close()
    waiter = registry.join(60, lambda: bool(asked.append(None)))
    await until(lambda: asked)
    registry.close()
    await until(lambda: not running())
    waiters.end(waiter, waiters.End.CHANGED)
    registry.leave(waiter)
