"""Random histories under everything that can go wrong, replayable from the printed seed.

Uploads, overwrites, deletions, moves and deleted containers; deliveries duplicated, reordered, lost; commits that
fail before or after they took effect; processes that crash in the middle. After every commit the tally is the fold
of its rows, and at the end the counts are the truth.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from shared.errors import StorageError
from tests.fakes.memory_table import Fault
from tests.fakes.world import World

SEEDS = range(60)
STEPS = 60


class History:
    """One random history.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.random = self.world.random
        self.undelivered: list[str] = []

    async def run(self, *, loss: float = 0.0) -> None:
        """Let it happen: changes and deliveries in any order, until every event that is not lost has been taken."""
        await self.world.bootstrap()
        self.world.table.fault = self._fault
        self.world.table.pause = self.world.blobs.pause = self._pause
        for _ in range(STEPS):
            self._change(loss)
            self.world.clock.advance(self.random.choice([0.01, 0.5, 40.0]))
            if self.random.random() < 0.5:
                await self._deliver_some()
        while self.undelivered:
            await self._deliver_some()
            self.world.clock.advance(1)
        self.world.table.fault = lambda _: None

    def _change(self, loss: float) -> None:
        path = f"{self.random.choice(['queued', 'input', 'output'])}/{self.random.randrange(6)}.jpg"
        blobs = self.world.blobs
        event = blobs.delete(path) if path in blobs.blobs and self.random.random() < 0.5 else blobs.put(path)
        if self.random.random() >= loss:
            self.undelivered += [event] * self.random.choice([1, 1, 2, 3])
        if loss and self.random.random() < 0.02:
            blobs.delete_container(self.random.choice(["queued", "input", "output"]))

    async def _deliver_some(self) -> None:
        self.random.shuffle(self.undelivered)
        count = self.random.randint(1, 12)
        batch, self.undelivered = self.undelivered[:count], self.undelivered[count:]
        processes = [self.world.process, self.world.new_process()]
        tasks = [asyncio.create_task(self.random.choice(processes).delivery.take(event)) for event in batch]
        if self.random.random() < 0.1:
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()  # the process dies: whoever was waiting gets no answer
        for task, event in zip(tasks, batch, strict=True):
            try:
                await task
            except (StorageError, asyncio.CancelledError):
                self.undelivered.append(event)  # Event Grid delivers it again
            self.world.check_rows_and_tally_agree()

    async def _pause(self) -> None:
        for _ in range(self.random.choice([1, 1, 2, 8])):
            await asyncio.sleep(0)

    def _fault(self, method: str) -> Fault | None:
        if self.random.random() > 0.05 or method == "scan":
            return None
        return self.random.choice(list(Fault))


@pytest.mark.parametrize("seed", SEEDS)
async def test_i2_any_order_and_number_of_deliveries_ends_at_the_truth(seed: int) -> None:
    """Nothing lost: the counts are exact without any reconciliation."""
    history = History(seed)
    await history.run()
    assert history.world.stored_tally().sums == history.world.truth()


@pytest.mark.parametrize("seed", SEEDS)
async def test_i4_lost_events_are_exact_after_one_reconciliation(seed: int) -> None:
    """A tenth of the events lost, containers deleted: one reconciliation ends at the truth, a second one is clean."""
    history = History(seed)
    await history.run(loss=0.1)
    world = history.world
    world.clock.advance(5)
    await world.process.reconciler.run()
    assert world.stored_tally().sums == world.truth()
    assert (await world.process.reconciler.run()).clean
    world.check_rows_and_tally_agree()


@pytest.mark.parametrize("seed", SEEDS)
async def test_i4_reconciling_in_the_middle_of_traffic_breaks_nothing(seed: int) -> None:
    """Reconciliations that run while events are delivered leave the end exact."""
    history = History(seed)

    async def reconcile_forever() -> None:
        while True:
            with contextlib.suppress(StorageError):
                await history.world.new_process().reconciler.run()
            await asyncio.sleep(0)

    running = asyncio.create_task(history.run())
    reconciling = asyncio.create_task(reconcile_forever())
    await running
    reconciling.cancel()
    await asyncio.gather(reconciling, return_exceptions=True)
    assert history.world.stored_tally().sums == history.world.truth()
