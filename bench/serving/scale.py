"""Thousands of phones on one functions host, against the floor, a peer in C, and the endpoint that lists.

``make bench-serve``. In each round, one after the other and each in a fresh process: the app with its table on
Azurite, the floor (``floor_app``: the least that any Functions app has to do) on the same host and runtime, and Nchan
on nginx. Clients are raw sockets in a process of their own (:mod:`bench.load.clients`). Figures are medians of the
rounds.

- A *wake* is timed from the change: for the floor and Nchan from the POST that makes it, for the app from the moment
  that the commit has landed, which a relay in front of Azurite sees; *from the event* it includes the delivery of the
  event and Azurite's commit.
- *Memory* is what the host's process grew by when 1,000 clients parked, in a process that had served before.
- *Storage reads* are counted outside of the app, by the same relay.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.load.driver import Driver, get, percentile
from bench.report import RESULTS, Claim, finish
from bench.serving.hosts import Floor, Nchan, Ours, Served, app_host, nchan, nchan_version, our_host
from bench.serving.latency import latencies
from bench.serving.listing import status_times
from bench.serving.storm import storm
from localdev.testbed import STATUS, Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    type Measured = dict[str, list[float]]

POLL_INTERVAL_SECONDS = 0.5
MOST_PARKED = 5000
WAKES = [("wake", 1000, False), ("wake_2000", 2000, False), ("sse_wake", 1000, True)]
LOAD_CONNECTIONS = 20
LOAD_SECONDS = 3.0
WATCHED_SECONDS = 10.0
SIZES = (0, 1_000, 10_000, 50_000)
BURST = 5000
CLIENTS = 1000
STORMS = [
    ("crash", "long-poll", signal.SIGKILL, "SIGKILL and restart with 1,000 clients of ours on long poll"),
    ("stop", "long-poll", signal.SIGTERM, "SIGTERM and restart with 1,000 on long poll"),
    ("crash_sse", "sse", signal.SIGKILL, "SIGKILL and restart with 1,000 on SSE"),
    ("stop_sse", "sse", signal.SIGTERM, "SIGTERM and restart with 1,000 on SSE"),
]
HOW_TO_INSTALL = "not installed; apt-get install nginx libnginx-mod-nchan"

CLAIMS = [
    Claim("parked_waiters", "Long polls parked on one host at a time", at_least=MOST_PARKED),
    Claim("parked_errors", "… not answered 200 by one change", at_most=0),
    Claim("storage_reads_per_interval", "Storage reads a poll interval with 1,000 of them", at_most=1),
    Claim("storage_reads_idle", "… when nobody waits or asks, in 10 s", at_most=0),
    Claim("storage_reads_a_second_of_gets", "… a second under 5,000 plain GETs", at_most=3),
    Claim("memory_kb_per_waiter", "Memory a waiter, KB"),
    Claim("floor_memory_kb_per_waiter", "… floor"),
    Claim("memory_over_floor", "… of the floor's", at_most=1.15),
    Claim("nchan_memory_kb_per_waiter", "… Nchan"),
    *(
        claim
        for metric, what in [
            ("wake", "Wake of 1,000 long polls"),
            ("wake_2000", "Wake of 2,000 long polls"),
            ("sse_wake", "Wake of 1,000 SSE streams"),
        ]
        for claim in (
            Claim(f"{metric}_p50_ms", f"{what}: p50, ms"),
            Claim(f"{metric}_p99_ms", "… p99, ms"),
            Claim(f"{metric}_from_event_p99_ms", "… p99 from the event, ms"),
            Claim(f"floor_{metric}_p50_ms", "… floor p50, ms"),
            Claim(f"floor_{metric}_p99_ms", "… floor p99, ms"),
            Claim(f"{metric}_p99_over_floor", "… p99 of the floor's", at_most=1.2),
            Claim(f"nchan_{metric}_p99_ms", "… Nchan p99, ms"),
            Claim(f"{metric}_cpu_us", "… processor time a client, µs"),
            Claim(f"floor_{metric}_cpu_us", "… floor"),
        )
    ),
    Claim("wake_5000_p99_ms", "Wake of 5,000 long polls: p99, ms"),
    Claim("floor_wake_5000_p99_ms", "… floor p99, ms"),
    Claim("requests_per_second_304", "Answers 304 a second"),
    Claim("floor_requests_per_second", "… floor"),
    Claim("requests_over_floor", "… of the floor's", at_least=0.8),
    Claim("cpu_us_per_304", "… processor time each, µs"),
    Claim("floor_cpu_us_per_304", "… floor"),
    Claim("requests_per_second_200", "Answers 200 a second"),
    Claim("floor_requests_per_second_200", "… floor"),
    Claim("status_ms_at_0", "One status without a blob, ms"),
    Claim("status_ms_at_1k", "… 1,000 blobs"),
    Claim("status_ms_at_10k", "… 10,000 blobs"),
    Claim("status_ms_at_50k", "… 50,000 blobs"),
    Claim("status_at_50k_over_0", "… 50,000 over none", at_most=1.5),
    Claim("status_with_read_ms_at_50k", "… when the table has to be read, 50,000 blobs, ms"),
    Claim("naive_status_ms_at_1k", "The same by listing: 1,000 blobs, ms"),
    Claim("naive_status_ms_at_10k", "… 10,000 blobs"),
    Claim("naive_status_ms_at_50k", "… 50,000 blobs"),
    Claim("naive_over_ours_at_50k", "… times ours", at_least=500),
    *(
        claim
        for name, _, _, what in STORMS
        for claim in (
            Claim(f"reconnects_busiest_second_after_{name}", f"{what}: busiest second"),
            Claim(f"reconnect_window_seconds_after_{name}", "… from the first to the last that is back, s"),
            Claim(f"reconnect_peak_over_mean_after_{name}", "… busiest second over the mean of that", at_most=2),
        )
    ),
    Claim("commit_to_client_p50_ms", "From an upload to a parked client, one host: p50, ms"),
    Claim("commit_to_client_p99_ms", "… p99, ms", at_most=600),
    Claim("commit_to_client_two_hosts_p50_ms", "… events on one host, clients on another: p50, ms"),
    Claim("commit_to_client_two_hosts_p99_ms", "… p99, ms", at_most=600),
]


class Round:
    """One round's measurements of one server.

    Args:
        driver: The clients.
        served: The server.
        found: Metric → one value a round; ours has no prefix, the others their name's.
    """

    def __init__(self, driver: Driver, served: Served, found: Measured) -> None:
        self._driver = driver
        self._served = served
        self._found = found
        self._prefix = "" if isinstance(served, Ours) else f"{served.name}_"

    def note(self, metric: str, value: float) -> None:
        """Keep a value."""
        self._found.setdefault(f"{self._prefix}{metric}", []).append(value)

    def wakes(self) -> None:
        """Park and wake; the first time also weigh."""
        for metric, count, stream in WAKES:
            before = self._served.rss_kb()
            self.park(count, stream=stream)
            if metric == "wake":
                self.note("memory_kb_per_waiter", (self._served.rss_kb() - before) / count)
            self.wake(metric, count, stream=stream)

    def park(self, count: int, *, stream: bool = False) -> None:
        """Have clients wait, until nothing else is going on."""
        if stream:
            request = get(self._served.stream, "Accept: text/event-stream")
        else:
            path, headers = self._served.poll
            request = get(path, *headers)
        self._driver.ask("park", name="held", port=self._served.port, count=count, request=request, stream=stream)
        self._served.settle()

    def wake(self, metric: str, count: int, *, stream: bool = False) -> int:
        """Make one change; return how many were not answered as they should be."""
        self._driver.tell("woken", name="held", stream=stream)
        time.sleep(0.2)  # the other process is at its epoll
        started, before = time.monotonic(), self._served.cpu_us()
        self._served.wake()
        answer = self._driver.answer()
        self.note(f"{metric}_cpu_us", (self._served.cpu_us() - before) / count)
        if isinstance(self._served, Ours):
            self.note(
                f"{metric}_from_event_p99_ms", percentile([(seen - started) * 1000 for seen in answer["seen"]], 99)
            )
            started = self._served.storage.written_at
        taken = [(seen - started) * 1000 for seen in answer["seen"]]
        self.note(f"{metric}_p50_ms", percentile(taken, 50))
        self.note(f"{metric}_p99_ms", percentile(taken, 99))
        self._driver.ask("close", name="held")
        self._served.settle()
        return 0 if answer["statuses"] == ([0] if stream else [200]) and len(taken) == count else count

    def loads(self) -> None:
        """Ask as fast as answers come."""
        path, headers = self._served.plain
        metric = "requests_per_second_304" if not self._prefix else "requests_per_second"
        self.note(metric, self._load(get(path, *headers), "304"))
        self.note("requests_per_second_200", self._load(get(path), "200"))

    def warm_up(self) -> None:
        """Serve before anything is weighed."""
        request = get(self._served.plain[0])
        self._driver.ask("load", port=self._served.port, connections=10, request=request, count=1000)
        self._served.wake()
        self._served.settle()

    def _load(self, request: str, status: str) -> float:
        port, before = self._served.port, self._served.cpu_us()
        found = self._driver.ask("load", port=port, connections=LOAD_CONNECTIONS, request=request, seconds=LOAD_SECONDS)
        assert set(found["statuses"]) == {status}, found
        answers = found["statuses"][status]
        self.note(f"cpu_us_per_{status}", (self._served.cpu_us() - before) / answers)
        return float(answers / found["seconds"])


def rounds(driver: Driver, stack: Stack, folder: Path, count: int) -> Measured:
    """Measure one after the other, beginning with another one each time."""
    found: Measured = {}
    servers: list[Callable[[], AbstractContextManager[Served]]] = [lambda: our_host(stack)]
    servers += [lambda: app_host(Floor, folder), *([lambda: nchan(folder)] if nchan_version() else [])]
    for number in range(count):
        for start in servers:
            with start() as served:
                one = Round(driver, served, found)
                if not isinstance(served, Nchan):
                    one.warm_up()
                one.wakes()
                if not isinstance(served, Nchan):
                    one.loads()
        servers.append(servers.pop(0))
        print(f"round {number + 1} of {count} done", flush=True)
    return found


def most(driver: Driver, stack: Stack, folder: Path) -> dict[str, float]:
    """Park as many as are claimed, and wake them all."""
    found: Measured = {}
    with app_host(Floor, folder) as served:
        _park_most(driver, served, found)
    with our_host(stack) as served:
        waiters, errors = _park_most(driver, served, found)
    return {metric: values[0] for metric, values in found.items()} | {
        "parked_waiters": waiters,
        "parked_errors": errors,
    }


def _park_most(driver: Driver, served: Served, found: Measured) -> tuple[float, int]:
    """Return how many the server says that it holds, and how many were not answered as they should be."""
    one = Round(driver, served, found)
    one.warm_up()
    one.park(MOST_PARKED)
    waiters = served.health()["waiters"] if isinstance(served, Ours) else 0
    return waiters, one.wake("wake_5000", MOST_PARKED)


def storage_reads(driver: Driver, stack: Stack) -> dict[str, float]:
    """Count what storage is asked while nobody waits, while 1,000 wait, and under plain requests."""
    with our_host(stack) as served:
        counter, request = served.storage, get(STATUS)
        driver.ask("load", port=served.port, connections=10, request=request, count=10)
        idle = _watched(served, lambda: counter.reads)[0]
        Round(driver, served, {}).park(1000)
        held, seconds = _watched(served, lambda: counter.reads)
        driver.ask("close", name="held")
        served.settle()
        before = counter.reads
        burst = driver.ask("load", port=served.port, connections=100, request=request, count=BURST)
        asked = counter.reads - before
    return {
        "storage_reads_idle": idle,
        "storage_reads_per_second": held / seconds,
        "storage_reads_per_interval": held / seconds * POLL_INTERVAL_SECONDS,
        "storage_reads_a_second_of_gets": asked / max(burst["seconds"], 1),
    }


def _watched(served: Ours, count: Callable[[], int]) -> tuple[int, float]:
    served.settle()
    time.sleep(2 * POLL_INTERVAL_SECONDS)  # a read that was due
    before, started = count(), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    return count() - before, time.monotonic() - started


def measured(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measure everything."""
    found: dict[str, float] = {}
    with Driver() as driver, Stack(folder) as stack:
        stack.start_reconciled()
        found |= {metric: median(values) for metric, values in rounds(driver, stack, folder, options.rounds).items()}
        found |= most(driver, stack, folder)
        found |= storage_reads(driver, stack)
    for name, transport, number, _ in STORMS:
        with running_stack(folder / name) as storming:
            storms = storm(storming, storming.programs[0], CLIENTS, transport, number)
        found |= {f"{metric}_after_{name}": value for metric, value in storms.items()}
    found |= latencies(folder / "latency", options.uploads)
    for size in SIZES:
        found |= status_times(folder / f"blobs-{size}", size, options.rounds)
    return found | compared(found)


def compared(found: dict[str, float]) -> dict[str, float]:
    """Hold ours against the others."""
    return {
        **{
            f"{metric}_p99_over_floor": found[f"{metric}_p99_ms"] / found[f"floor_{metric}_p99_ms"]
            for metric, *_ in WAKES
        },
        "memory_over_floor": found["memory_kb_per_waiter"] / found["floor_memory_kb_per_waiter"],
        "requests_over_floor": found["requests_per_second_304"] / found["floor_requests_per_second"],
        "status_at_50k_over_0": found["status_ms_at_50k"] / found["status_ms_at_0"],
        "naive_over_ours_at_50k": found["naive_status_ms_at_50k"] / found["status_ms_at_50k"],
    }


def claims_of(results: dict[str, float | str]) -> list[Claim]:
    """Return what can be shown: a peer that is not installed is left out."""
    return [claim for claim in CLAIMS if claim.metric in results]


def main() -> None:
    """Measure, print, store, quote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uploads", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), options)
    finish("serve", claims_of(dict(found)), found)
    path = RESULTS / "serve.json"
    peer = {"rounds": options.rounds, "nginx_with_nchan": nchan_version() or HOW_TO_INSTALL}
    path.write_text(json.dumps(json.loads(path.read_text()) | peer, indent=2) + "\n")
    if not nchan_version():
        print(f"Nchan was left out: {HOW_TO_INSTALL}")


if __name__ == "__main__":
    main()
