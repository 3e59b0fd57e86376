"""The commits of this process reach its clients without a read, and not too many of them at once."""

from __future__ import annotations

import asyncio

from shared.clock import SystemClock
from shared.model.snapshot import StatusSnapshot
from shared.watching.own_commits import OFFER_GAP_SECONDS, Offers
from tests.fakes.world import World


async def test_the_first_is_passed_on_at_once_and_the_last_of_more_when_the_gap_is_over(world: World) -> None:
    """A burst of commits is a wake in 0.1 s."""
    clock, taken = SystemClock(), list[StatusSnapshot]()
    offers, tally = Offers(clock, taken.append), world.stored_tally()
    began = clock.monotonic()
    async with asyncio.timeout(30):
        for expected in (1, 2):
            for _ in range(5):
                offers.offer(tally)
            while len(taken) < expected:
                await asyncio.sleep(0.001)
    assert len(taken) == 2
    assert clock.monotonic() - began >= OFFER_GAP_SECONDS
    offers.close()
