"""Measures the cells of the comparison: phones of one method on one host, watched for some windows of time.

The windows of one method and number of clients follow each other on the same phones: a quiet one, without a change;
one with a change every 5 s; one with a change every 0.5 s. Changes come at a random moment of each interval.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from bench.comparing.methods import STREAM_SECONDS, figure
from bench.load.driver import percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.comparing.methods import Method
    from bench.load.counting import Counter
    from bench.load.driver import Driver
    from bench.serving.hosts import Served

#: Until everybody has been answered, or shows the last change.
PATIENCE_SECONDS = 60.0
HOUR = 3600.0


@dataclass(slots=True)
class Rates:
    """What a window came to.

    Attributes:
        requests: A client and hour.
        bytes_up: A client and hour.
        bytes_down: A client and hour.
        cpu_seconds: Of the functions host, an hour.
        storage: Requests to storage, an hour.
        changes: How many there were.
        delays_ms: From each commit to each client.
    """

    requests: float
    bytes_up: float
    bytes_down: float
    cpu_seconds: float
    storage: float
    changes: int = 0
    delays_ms: list[float] = field(default_factory=list)

    def plus(self, other: Rates, times: float = 1.0) -> Rates:
        """Add the rates of another one, so many times."""
        names = ("requests", "bytes_up", "bytes_down", "cpu_seconds", "storage")
        sums = {name: getattr(self, name) + getattr(other, name) * times for name in names}
        return Rates(**sums, changes=self.changes, delays_ms=self.delays_ms)

    def figures(self, method: Method, clients: int, every_seconds: float) -> dict[str, float]:
        """Return them by the names of the results."""
        values = {
            "requests": self.requests,
            "kb": (self.bytes_up + self.bytes_down) / 1e3,
            "kb_down": self.bytes_down / 1e3,
            "cpu_percent": self.cpu_seconds / HOUR * 100,
            "storage": self.storage,
        }
        if self.delays_ms:
            values |= {
                "p50_ms": percentile(self.delays_ms, 50),
                "p99_ms": percentile(self.delays_ms, 99),
                "samples": len(self.delays_ms),
            }
        return {figure(method, clients, every_seconds, what): value for what, value in values.items()}


def composed(quiet: Rates, with_changes: Rates, change_seconds: float, every_seconds: float) -> Rates:
    """Return the rates of rarer changes: a change and its time as in the one window, the rest as in the quiet one."""
    share = change_seconds / every_seconds
    nothing = Rates(0, 0, 0, 0, 0, with_changes.changes, with_changes.delays_ms)
    return nothing.plus(with_changes, share).plus(quiet, 1 - share)


def moments(seconds: float, every_seconds: float, random: Random) -> list[float]:
    """Return when changes happen: once in each interval, at a random moment of it."""
    return [(number + random.random()) * every_seconds for number in range(int(seconds / every_seconds))]


class Cell:
    """So many phones of one method.

    Args:
        driver: The phones' process.
        served: Their server.
        storage: What it asks of storage.
        change: Makes a change; returns when it was committed.
        clients: How many phones.
    """

    def __init__(
        self, driver: Driver, served: Served, storage: Counter, change: Callable[[], float], clients: int
    ) -> None:
        self._driver = driver
        self._served = served
        self._storage = storage
        self._change = change
        self._clients = clients
        self._random = Random(clients)

    def start(self, method: Method, path: str) -> None:
        """Open the phones, and wait until each has been answered and nothing else is going on."""
        self._driver.ask(
            "start",
            kind=method.kind,
            port=self._served.port,
            path=path,
            count=self._clients,
            interval_seconds=method.interval_seconds,
        )
        self._wait("answered")
        self._settle()

    def stop(self) -> None:
        """Put the phones away."""
        self._driver.ask("stop")
        self._settle()

    def window(self, seconds: float, every_seconds: float = 0.0) -> Rates:
        """Watch for so long, with a change so often; then wait until everybody has seen the last one."""
        return self.watched(seconds, moments(seconds, every_seconds, self._random) if every_seconds else [])

    def watched(self, seconds: float, changes: list[float]) -> Rates:
        """Watch for so long, with changes at these moments."""
        shown = self._driver.ask("caught_up", count=0, seconds=0)["shown"]
        self._driver.ask("seen")
        if len(changes) > seconds:
            self._driver.ask("spend")
        commits: list[float] = []
        before, started = self._taken(), time.monotonic()
        for moment in changes:
            time.sleep(max(0.0, started + moment - time.monotonic()))
            if time.monotonic() < started + seconds:  # a server that is behind gets fewer of them
                commits.append(self._change())
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        after, ended = self._taken(), time.monotonic()
        if commits:
            self._wait("caught_up", count=shown + len(commits))
        found = _rates(before, after, ended - started, self._clients)
        found.changes = len(commits)
        found.delays_ms = delays_ms(commits, shown, self._driver.ask("seen")["seen"])
        assert not after["errors"], f"{after['errors']} errors"
        return found

    def reconnection(self) -> Rates:
        """Have all streams end and be opened again; return what that adds to an hour of a stream."""
        before = self._taken()
        self._driver.ask("reconnect")
        self._wait("answered")
        self._settle()
        idle_seconds = STREAM_SECONDS  # as if it had been spread over the life of a stream
        return _rates(before, self._taken(), idle_seconds, self._clients)

    def _taken(self) -> dict[str, float]:
        storage = self._storage.reads + self._storage.writes
        totals: dict[str, float] = self._driver.ask("totals")
        return totals | {"cpu_seconds": self._served.cpu_us() / 1e6, "storage": storage}

    def _wait(self, what: str, **arguments: int) -> None:
        left = self._driver.ask(what, seconds=PATIENCE_SECONDS, **arguments)["left"]
        assert not left, f"{left} of {self._clients} clients wait for ever ({what})"

    def _settle(self) -> None:
        self._served.settle(3)  # polls never do


def _rates(before: dict[str, float], after: dict[str, float], seconds: float, clients: int) -> Rates:
    def an_hour(name: str) -> float:
        return float(after[name] - before[name]) / seconds * HOUR

    return Rates(
        requests=an_hour("requests") / clients,
        bytes_up=an_hour("up") / clients,
        bytes_down=an_hour("down") / clients,
        cpu_seconds=an_hour("cpu_seconds"),
        storage=an_hour("storage"),
    )


def delays_ms(commits: list[float], shown: int, seen: list[list[tuple[float, int]]]) -> list[float]:
    """Return one delay a change and client: from the commit to the first answer that shows this change, or a later one.

    Args:
        commits: When each change landed; each adds a blob.
        shown: How many blobs there were before.
        seen: For each client when it first showed how many.

    Raises:
        AssertionError: A client has not seen the last change.
    """
    delays = []
    for client in seen:
        answers = iter(client)
        at, count = 0.0, 0
        for number, commit in enumerate(commits, shown + 1):
            while count < number:
                answer = next(answers, None)
                assert answer is not None, f"a client has not seen change {number - shown}"
                at, count = answer
            delays.append((at - commit) * 1000)
    return delays
