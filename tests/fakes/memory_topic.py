"""A topic in memory: keeps what was published, and when; fails while told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.clock import Clock
from shared.errors import NotPublished
from shared.model.cases import StoredCase
from shared.model.tally import Tally


class MemoryTopic:
    """A topic.

    Args:
        clock: Time.

    Attributes:
        published: When, and how many were queued.
        drained: The cases that were published, in order.
        requests: How many cases each request had that was taken.
        failing: So many requests fail.
        hangs: No request is answered.
    """

    def __init__(self, clock: Clock) -> None:
        self.published: list[tuple[float, int]] = []
        self.drained: list[StoredCase] = []
        self.requests: list[int] = []
        self.failing = 0
        self.hangs = False
        self._clock = clock

    async def publish(self, tally: Tally) -> None:
        """Publish."""
        await self._take()
        self.published.append((self._clock.monotonic(), tally.counts()["queued"]))

    async def publish_drained(self, drained: Sequence[StoredCase]) -> None:
        """Publish."""
        await self._take()
        self.drained += drained
        self.requests.append(len(drained))

    async def _take(self) -> None:
        await asyncio.sleep(0)
        while self.hangs:
            await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise NotPublished("no")
