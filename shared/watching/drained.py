"""Tells other backends that a case is drained: nothing of it is queued or in process any more.

Each is announced at least once, because the commit that drains a case marks its row, and the mark goes only after the
topic has taken the event. The process that has committed publishes at once; what it could not, or did not live to, the
timer finds by the marks. An event tells of one version of the case, at which it was drained whatever came later.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from shared.errors import NotPublished, StorageError
from shared.watching.announcer import GAP_SECONDS, RETRY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from shared.clock import Clock
    from shared.model.cases import StoredCase
    from shared.model.ports import Topic

log = logging.getLogger(__name__)

#: Events in a request.
AT_ONCE: Final = 100
#: Cases that wait for their request; the timer finds the others.
MAX_PENDING: Final = 4096
#: What was drained so lately is left by the timer to the process that has done it.
FRESH: Final = timedelta(minutes=1)
#: After so long the timer begins no further request; the next tick goes on.
SWEEP_SECONDS: Final = 30.0


class DrainedCases:
    """Publishes the cases that are drained, and has their marks removed.

    Args:
        topic: The topic to publish to.
        unmark: Takes the mark off a case, unless its row has changed.
        clock: Time.
    """

    def __init__(self, topic: Topic, unmark: Callable[[StoredCase], Awaitable[None]], clock: Clock) -> None:
        self._topic = topic
        self._unmark = unmark
        self._clock = clock
        self._pending: dict[str, StoredCase] = {}
        self._task: asyncio.Task[None] | None = None

    def offer(self, written: Iterable[StoredCase]) -> None:
        """Take the cases that a commit has written, drained or not. Return at once: the commit must not wait."""
        for row in written:
            if not row.tally.drained:
                self._pending.pop(row.case, None)
            elif row.case in self._pending or len(self._pending) < MAX_PENDING:
                self._pending[row.case] = row
        if self._pending and self._task is None:
            self._task = asyncio.create_task(self._announce(), name="announce drained cases")

    async def sweep(self, marked: AsyncIterator[StoredCase]) -> None:
        """Publish those of the marked cases that nobody is publishing any more."""
        deadline, fresh_from = self._clock.monotonic() + SWEEP_SECONDS, self._clock.now() - FRESH
        some: list[StoredCase] = []
        try:
            async for row in marked:
                if row.tally.changed_at is None or row.tally.changed_at < fresh_from:
                    some.append(row)
                if len(some) == AT_ONCE:
                    await self._publish(some)
                    some = []
                    if self._clock.monotonic() > deadline:
                        return
            if some:
                await self._publish(some)
        except (NotPublished, StorageError) as error:
            log.warning("drained cases were not announced: %s; the next run of the timer tries again", error)

    def close(self) -> None:
        """Stop; what is not published yet is marked."""
        if self._task is not None:
            self._task.cancel()

    async def _announce(self) -> None:
        try:
            while self._pending:
                await self._publish_pending()
                await self._clock.sleep(GAP_SECONDS)
        finally:
            self._task = None

    async def _publish_pending(self) -> None:
        for pause_seconds in (*RETRY_SECONDS, None):
            some = list(islice(self._pending.values(), AT_ONCE))
            if not some:
                return
            try:
                await self._publish(some)
            except NotPublished as error:
                if pause_seconds is None:
                    log.warning("drained cases were not announced: %s; the timer tries again", error)
                    self._pending.clear()
                    return
                await self._clock.sleep(pause_seconds)
            except StorageError as error:
                log.warning("drained cases are still marked, and will be announced again: %s", error)
                return
            else:
                return

    async def _publish(self, some: Sequence[StoredCase]) -> None:
        await self._topic.publish_drained(some)
        for row in some:
            if self._pending.get(row.case) == row:
                del self._pending[row.case]
        for row in some:
            await self._unmark(row)
