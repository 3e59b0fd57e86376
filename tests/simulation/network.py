"""The way between a process and storage: latency, and everything that can go wrong on it.

What a request does and what its sender is told are two things. A request that its sender has given up on may land
later; one that was answered 503 may have been done; one that "was never sent" may have been.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from azure.core.exceptions import (
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.data.tables import TableTransactionError

from tests.fakes.memory_blobs import START
from tests.simulation.checker import Checker
from tests.simulation.loop import ProcessLoop, Scheduler
from tests.simulation.sdk import storage_error

#: The clocks of the service's front ends differ by so much from the true time.
FRONT_END_SKEW_SECONDS = 2.0
#: How long a request may be on its way after its sender has given up on it.
LATEST_LANDING_SECONDS = 40.0
#: Definite answers that say no, without any effect.
_REFUSALS = {
    "commit": [
        (403, "AuthorizationFailure"),
        (404, "TableNotFound"),
        (409, "TableBeingDeleted"),
        (412, "UpdateConditionNotSatisfied"),
        (413, "RequestBodyTooLarge"),
        (413, ""),
        (404, ""),
    ],
    "read": [(403, "AuthorizationFailure"), (404, "TableNotFound")],
    "scan": [(403, "AuthorizationFailure"), (404, "TableNotFound")],
    "head": [(403, "AuthorizationFailure"), (404, "ResourceNotFound"), (409, "BlobBeingRehydrated")],
    "list": [(403, "AuthorizationFailure"), (404, "ResourceNotFound"), (409, "ContainerBeingDeleted")],
}
_NO_ANSWERS = [
    lambda: ServiceRequestError("Server disconnected"),
    lambda: ServiceResponseError("Response payload is not completed"),
    lambda: ConnectionResetError("Connection reset by peer"),
    lambda: ValueError("the answer cannot be decoded"),
]


@dataclass(slots=True)
class Faults:
    """How often what goes wrong.

    Attributes:
        unknown: Share of requests whose sender does not learn what became of them.
        refused: Share of requests that are answered no.
        slow: Share of requests that take seconds.
        lost_acknowledgements: Share of invocations that end well without Event Grid learning of it.
        cancelled: Share of invocations that the host cancels.
    """

    unknown: float = 0.0
    refused: float = 0.0
    slow: float = 0.0
    lost_acknowledgements: float = 0.0
    cancelled: float = 0.0


class Network:
    """What lies between all processes and the storage service.

    Args:
        scheduler: Time.
        random: Of latencies and faults.
        stats: Where is counted what happened.
    """

    def __init__(self, scheduler: Scheduler, random: Random, stats: Counter[str]) -> None:
        self.scheduler = scheduler
        self.random = random
        self.stats = stats
        self.faults = Faults()
        self.service = ProcessLoop(scheduler, "storage service")
        self._front_ends = [random.uniform(-FRONT_END_SKEW_SECONDS, FRONT_END_SKEW_SECONDS) for _ in range(3)]

    def date(self) -> datetime:
        """Return the time by the clock of some front end of the service."""
        return START + timedelta(seconds=self.scheduler.now + self.random.choice(self._front_ends))

    def latency(self) -> float:
        """Return the seconds of one way."""
        random = self.random.random
        dice = random()
        if dice < self.faults.slow:
            self.stats["slow requests"] += 1
            return 0.2 + 9 * random()
        if dice < 0.75:
            return 0.001 + 0.01 * random()
        return 0.01 + 0.05 * random()


class ProcessWire:
    """One process's way to storage.

    Args:
        network: What lies between.
        loop: The process's.
        checker: Told what blobs are said to be.
    """

    def __init__(self, network: Network, loop: ProcessLoop, checker: Checker) -> None:
        self._network = network
        self._loop = loop
        self.date = network.date
        self.looked, self.listed = checker.looked, checker.listed

    async def call(self, what: str, execute: Callable[[], Any], timeout_seconds: float) -> Any:
        """Send a request; return or raise what its sender is told."""
        network, stats = self._network, self._network.stats
        answer = self._loop.create_future()
        stats[what] += 1
        there, told, told_after = self._fate(what, timeout_seconds)

        def land() -> None:
            result: Any = None
            failure: HttpResponseError | None = None
            try:
                result = execute()
            except HttpResponseError as error:
                failure = error
            if told is None:
                network.service.call_later(network.latency(), tell, result, failure)
            elif self._loop.scheduler.now > sent_at + told_after:
                stats["late landings"] += 1

        def tell(result: Any, failure: BaseException | None) -> None:
            if answer.done():
                return
            if failure is not None:
                answer.set_exception(failure)
            else:
                answer.set_result(result)

        sent_at = self._loop.scheduler.now
        if there is not None:
            network.service.call_later(there, land)
        if told is not None:
            network.service.call_later(told_after, tell, None, told)
        else:
            self._loop.call_later(timeout_seconds, tell, None, ServiceResponseTimeoutError("Timeout on reading data"))
        return await answer

    def _fate(self, what: str, timeout_seconds: float) -> tuple[float | None, Exception | None, float]:
        """Return when the request lands (None: never), what is told instead of its answer, and when; in seconds."""
        network, faults = self._network, self._network.faults
        random = network.random
        dice = random.random()
        there = network.latency()
        if dice < faults.unknown:
            return self._unknown(what, there, timeout_seconds)
        if dice < faults.unknown + faults.refused and what in _REFUSALS:
            status, code = random.choice(_REFUSALS[what])
            network.stats[f"{what} refused"] += 1
            network.stats[f"answers {status}"] += 1
            kind = ResourceNotFoundError if status == 404 and what != "commit" else HttpResponseError
            if status == 413 and not code:  # a page of something in between, as the app's own transactions take it
                kind = TableTransactionError
            return None, storage_error(status, code, kind, date=network.date()), there
        return there, None, 0.0

    def _unknown(self, what: str, there: float, timeout_seconds: float) -> tuple[float | None, Exception | None, float]:
        network = self._network
        random = network.random
        network.stats[f"{what} unknown"] += 1
        told, told_after = self._no_answer(what), there + network.latency()
        if random.random() < 0.2:
            told, told_after = ServiceResponseTimeoutError("Timeout on reading data"), timeout_seconds
        dice = random.random()
        if dice < 0.4:
            network.stats["lost requests"] += 1
            return None, told, told_after
        if dice < 0.7:
            network.stats["lost answers"] += 1
            return there, told, max(told_after, there)
        return told_after + random.random() * random.choice([0.1, 2.0, LATEST_LANDING_SECONDS]), told, told_after

    def _no_answer(self, what: str) -> Exception:
        """Return an exception that says nothing of what became of the request."""
        network = self._network
        random = network.random
        dice = random.random()
        if dice < 0.5:
            return random.choice(_NO_ANSWERS if what in {"commit", "read", "scan"} else _NO_ANSWERS[:3])()
        status, code = random.choice(
            [(408, "RequestTimeout"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServerBusy")]
        )
        network.stats[f"answers {status}"] += 1
        if what == "commit" and random.random() < 0.5:
            network.stats[f"answers {status} inside a batch"] += 1
            return storage_error(status, code, TableTransactionError, index=0)
        return storage_error(status, code)
