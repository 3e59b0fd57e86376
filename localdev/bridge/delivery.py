"""Delivers journalled events to a webhook as Event Grid does: at least once, in no order, retried, dead-lettered.

Source of the behaviour: https://learn.microsoft.com/azure/event-grid/delivery-and-retry
Deliberate differences, for a machine at a desk: the schedule is scaled and capped; there is no separate, longer
wait after 404, 408 and 503; while nothing listens at the webhook a single probe goes out at a time instead of every
queued event; there is no limit on the number of attempts, only on the time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from localdev.bridge import chaos
from localdev.bridge.journal import Entry, Journal
from localdev.bridge.webhook import Verdict, Webhook

if TYPE_CHECKING:
    from localdev.bridge.events import Event
    from localdev.bridge.settings import DeliverySettings

_log = logging.getLogger(__name__)

# Seconds: 10 s, 30 s, 1, 5, 10, 30 min, 1, 3, 6 h, then every 12 h (source above).
RETRY_SCHEDULE: Final = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
HISTORY: Final = 1000  # delivered events kept for `redeliver`


@dataclass(slots=True)
class Counts:
    """What happened since the start; `dropped` and `dead_lettered` count what the journal keeps."""

    emitted: int = 0
    delivered: int = 0
    duplicated: int = 0
    dropped: int = 0
    dead_lettered: int = 0
    retried: int = 0


@dataclass(order=True, slots=True)
class _Due:
    """A planned delivery. A duplicate carries its event, because the journal no longer has it."""

    at: float = field(init=False)
    order: int = field(init=False)
    number: int = field(compare=False, default=0)
    attempt: int = field(compare=False, default=0)
    duplicate_after: float | None = field(compare=False, default=None)
    duplicate_of: Event | None = field(compare=False, default=None)


class Delivery:
    """Takes events through the journal to the webhook."""

    def __init__(
        self, journal: Journal, settings: DeliverySettings, misbehaviour: chaos.Chaos, rng: random.Random
    ) -> None:
        self.chaos = misbehaviour
        self.counts = Counts(dropped=journal.count("dropped"), dead_lettered=journal.count("dead"))
        self._journal = journal
        self._settings = settings
        self._rng = rng
        self._jitter = random.Random()  # apart from the seeded one: the number of retries varies from run to run
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._in_flight = 0  # events, not requests
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._webhook = Webhook(settings)
        self._scheduler: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start delivering, first what an earlier process left behind."""
        for number in self._journal.queued():
            self._plan(_Due(number))
        self._scheduler = asyncio.create_task(self._schedule())

    async def stop(self, grace_seconds: float) -> None:
        """Start no more requests, let those in flight end, and leave the rest in the journal."""
        if self._scheduler is not None:
            self._scheduler.cancel()
            await asyncio.gather(self._scheduler, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=grace_seconds)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._webhook.close()

    def accept(self, events: list[Event]) -> None:
        """Journal events, all or none, and plan their delivery. When it returns they survive this process."""
        plans = [chaos.plan(self.chaos, self._rng) for _ in events]
        states = ["dropped" if plan.drop else "queued" for plan in plans]
        for entry, plan in zip(self._journal.append(events, states=states), plans, strict=True):
            self.counts.emitted += 1
            if plan.drop:
                self.counts.dropped += 1
            else:
                self._plan(_Due(entry.number, duplicate_after=plan.duplicate_after_seconds), plan.hold_seconds)

    def redeliver(self, last: int) -> int:
        """Deliver the last events that were delivered once more; return how many."""
        again = list(self._history)[-last:] if last > 0 else []
        for event in again:
            self._plan(_Due(duplicate_of=event))
        return len(again)

    def stats(self) -> dict[str, int]:
        """Return the counts, and how many events are `queued` and `in_flight` now."""
        return {"queued": len(self._due), "in_flight": self._in_flight, **asdict(self.counts)}

    def _plan(self, due: _Due, wait_seconds: float = 0.0) -> None:
        due.at, due.order = time.monotonic() + wait_seconds, next(self._order)
        heapq.heappush(self._due, due)
        self._wake.set()

    async def _schedule(self) -> None:
        while True:
            self._wake.clear()
            wait_seconds = self._send_what_is_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._wake.wait()

    def _send_what_is_due(self) -> float | None:
        """Start requests; return the seconds until the next can start, None when something else will wake us."""
        webhook = self._webhook
        while self._due and len(self._sending) < (1 if webhook.down else self._settings.parallel):
            now = time.monotonic()
            at = max(self._due[0].at, webhook.probe_at if webhook.down else 0.0)
            if at > now:
                return at - now
            ready: list[_Due] = []
            while self._due and self._due[0].at <= now and len(ready) < self._settings.max_events:
                ready.append(heapq.heappop(self._due))
            self._in_flight += len(ready)
            task = asyncio.create_task(self._send(ready))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        return None

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a delivery failed; its events stay in the journal until the next start", exc_info=error)

    async def _send(self, ready: list[_Due]) -> None:
        try:
            pairs = [(due, entry) for due in ready if (entry := self._load(due)) is not None]
            if pairs:
                events = [entry.event for _, entry in pairs]
                verdict, problem = await self._webhook.post(events, pairs[0][0].attempt)
                for due, entry in pairs:
                    self._settle(due, entry, verdict, problem)
        finally:
            self._in_flight -= len(ready)

    def _load(self, due: _Due) -> Entry | None:
        if due.duplicate_of is not None:
            return Entry(0, time.time(), due.duplicate_of)
        return self._journal.entry(due.number)

    def _settle(self, due: _Due, entry: Entry, verdict: Verdict, problem: str) -> None:
        """Decide what an answer means for one event."""
        age_seconds = time.time() - entry.created_at
        if verdict is Verdict.TAKEN:
            self._succeed(due, entry)
        elif verdict is Verdict.REFUSED:
            self._bury(due, entry, f"{problem} is not retried")
        elif age_seconds > self._settings.ttl_seconds:
            self._bury(due, entry, f"undelivered after {age_seconds:.0f} s, last {problem}")
        else:
            self.counts.retried += 1
            wait_seconds = self._retry_seconds(due.attempt)
            due.attempt += 1
            self._plan(due, wait_seconds)

    def _succeed(self, due: _Due, entry: Entry) -> None:
        if due.duplicate_of is not None:
            self.counts.duplicated += 1
            return
        self._journal.delivered(due.number)
        self._history.append(entry.event)
        self.counts.delivered += 1
        if due.duplicate_after is not None:
            self._plan(_Due(duplicate_of=entry.event), due.duplicate_after)

    def _bury(self, due: _Due, entry: Entry, reason: str) -> None:
        if due.duplicate_of is not None:
            return  # the event itself was delivered
        self._journal.dead_letter(due.number, reason)
        self.counts.dead_lettered += 1
        _log.error("dead letter %s %s: %s", entry.event["id"], entry.event["subject"], reason)

    def _retry_seconds(self, attempt: int) -> float:
        scheduled = RETRY_SCHEDULE[min(attempt, len(RETRY_SCHEDULE) - 1)] * self._settings.retry_scale
        return min(scheduled, self._settings.max_retry_seconds) * self._jitter.uniform(0.9, 1.1)
