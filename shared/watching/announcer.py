"""Tells other backends that the counts have changed, so that they need not ask: at most once a second, latest wins.

It is a hint, not a log: a failed publication is tried a few times and then left to the next change, because listeners
can always read the status. Every instance announces its own commits.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from shared.errors import NotPublished

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.model.ports import Topic
    from shared.model.tally import Tally

log = logging.getLogger(__name__)

GAP_SECONDS: Final = 1.0
#: Pauses after failed attempts; after the last one the next change is awaited.
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0)


class Announcer:
    """Publishes the counts after they changed.

    Args:
        topic: The topic to publish to.
        clock: Time.
    """

    def __init__(self, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._clock = clock
        self._latest: Tally | None = None
        self._task: asyncio.Task[None] | None = None

    def offer(self, tally: Tally) -> None:
        """Take the counts of a commit that changed them. Return at once: the commit must not wait."""
        self._latest = tally
        if self._task is None:
            self._task = asyncio.create_task(self._announce(), name="announce")

    def close(self) -> None:
        """Stop; an unpublished change is dropped."""
        if self._task is not None:
            self._task.cancel()

    async def _announce(self) -> None:
        try:
            while self._latest is not None:
                await self._publish_latest()
                await self._clock.sleep(GAP_SECONDS)
        finally:
            self._task = None

    async def _publish_latest(self) -> None:
        for pause_seconds in (*RETRY_SECONDS, None):
            tally, self._latest = self._latest, None
            if tally is None:
                return
            try:
                await self._topic.publish(tally)
            except NotPublished as error:
                if pause_seconds is None:
                    log.warning("a change of the counts was not announced: %s", error)
                    return
                self._latest = self._latest or tally
                await self._clock.sleep(pause_seconds)
            else:
                return
