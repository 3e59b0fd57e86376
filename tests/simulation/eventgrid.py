"""The simulated Event Grid: at least once, in no order, and again until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from shared.errors import StorageError
from tests.simulation.app import App
from tests.simulation.checker import Checker
from tests.simulation.loop import ProcessLoop
from tests.simulation.network import Network

#: Seconds from one delivery that failed to the next.
RETRY_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200)
ANSWER_SECONDS = 30.0


@dataclass(slots=True)
class Event:
    """One event.

    Attributes:
        text: Its JSON.
        paths: The names that it is about.
        number: Its place in the order in which things happened.
        deliveries: How often it was delivered.
        is_acknowledged: Whether some delivery has been acknowledged.
        is_countable: False for what no process can count: it has to be kept.
    """

    text: str
    paths: list[str]
    number: int = 0
    deliveries: int = 0
    is_acknowledged: bool = False
    is_countable: bool = True


@dataclass(slots=True)
class Habits:
    """How Event Grid delivers.

    Attributes:
        duplicates: Share of events that are delivered more than once although nothing failed.
        lost: Share of events that are never delivered.
        delay: Returns seconds between an event and a delivery.
    """

    duplicates: float = 0.0
    lost: float = 0.0
    delay: Callable[[], float] = field(default=lambda: 0.0)


class EventGrid:
    """Delivers events to whichever process is there.

    Args:
        network: Time and chance.
        checker: Told what is on its way and what is acknowledged.
        apps: The processes that are alive.
    """

    def __init__(self, network: Network, checker: Checker, apps: list[App]) -> None:
        self._network = network
        self._checker = checker
        self._apps = apps
        self._random: Random = network.random
        self._loop = ProcessLoop(network.scheduler, "event grid")
        self._latest_first_delivery = 0
        self.stats: Counter[str] = network.stats
        self.habits = Habits()
        self.outstanding = 0
        self.events: list[Event] = []
        self.unexpected: BaseException | None = None
        #: Which process gets a delivery.
        self.choose: Callable[[list[App]], App] = lambda apps: apps[int(self._random.random() * len(apps))]
        #: From this time on storage is well, and so a delivery must not fail. Seconds.
        self.must_succeed_from = float("inf")

    def take(self, text: str, paths: list[str], *, is_countable: bool = True) -> None:
        """Take an event that was raised, and deliver it in time."""
        is_countable = is_countable and not any("poison" in path for path in paths)
        event = Event(text, paths, len(self.events), is_countable=is_countable)
        self.events.append(event)
        self.stats["events"] += 1
        if self._random.random() < self.habits.lost:
            self.stats["events lost"] += 1
            event.is_acknowledged = True
            self._checker.drifting.update(paths)
            return
        for path in paths:
            self._checker.raised(path)
        self.deliver(event)
        while self._random.random() < self.habits.duplicates:
            self.deliver(event)

    def deliver(self, event: Event, delay: float | None = None) -> None:
        """Have an event delivered, once more perhaps."""
        self.outstanding += 1
        self._loop.call_later(self.habits.delay() if delay is None else delay, self._attempt, event, 0)

    def _attempt(self, event: Event, failures: int) -> None:
        stats, random = self.stats, self._random
        if not self._apps:
            self._again(event, failures)
            return
        app = self.choose(self._apps)
        stats["deliveries"] += 1
        if event.deliveries:
            stats["duplicates"] += 1
        elif event.number < self._latest_first_delivery:
            stats["reordered"] += 1
        self._latest_first_delivery = max(event.number, self._latest_first_delivery)
        event.deliveries += 1
        settled = False

        def settle(error: BaseException | None) -> None:
            nonlocal settled
            if settled:
                return
            settled = True
            if error is None:
                self._acknowledged(event)
            else:
                self._failed(event, failures, error)

        task = app.loop.spawn(app.delivery.take(event.text))
        lost = random.random() < self._network.faults.lost_acknowledgements

        def ended(task: asyncio.Task[None]) -> None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if lost:
                stats["acknowledgements lost"] += 1
                return
            self._loop.call_later(0.001 + 0.01 * random.random(), settle, error)

        task.add_done_callback(ended)
        if random.random() < self._network.faults.cancelled:
            app.loop.call_later(random.random() * random.choice([0.002, 0.05, 5.0]), task.cancel)
        app.loop.on_death.append(lambda: self._loop.call_later(0.01, settle, ConnectionError("the process died")))
        self._loop.call_later(ANSWER_SECONDS, settle, TimeoutError("no answer within 30 s"))

    def _acknowledged(self, event: Event) -> None:
        self.outstanding -= 1
        self._checker.note("acknowledged", event.number)
        if not event.is_acknowledged:
            event.is_acknowledged = True
            for path in event.paths:
                self._checker.acknowledged(path)

    def _failed(self, event: Event, failures: int, error: BaseException) -> None:
        self.stats["deliveries failed"] += 1
        self._checker.note("failed", event.number, type(error).__name__)
        expected = (StorageError, asyncio.CancelledError, ConnectionError, TimeoutError)
        if not isinstance(error, expected) and self.unexpected is None:
            self.unexpected = error
            self._checker.is_over = True
            self._network.scheduler.stopped = True
        if self._network.scheduler.now > self.must_succeed_from:
            self._checker.fail("I5", f"a delivery failed with {error!r} although storage was well")
        self._again(event, failures)

    def _again(self, event: Event, failures: int) -> None:
        seconds = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
        self._loop.call_later(seconds * (1 + 0.1 * self._random.random()), self._attempt, event, failures + 1)
