"""A hundred thousand requests, half of whose clients vanish in the middle of their wait: what is left of them?

``make soak``. Five hundred clients at a time, long polls and streams in turn: all are held, half of them hang up, the
others are woken by a change. Memory is weighed after the first 20,000 requests and after the last.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.load.driver import Driver, get
from bench.report import Claim, finish
from bench.serving.hosts import Ours, our_host
from localdev.testbed import Stack

CLIENTS = 500
WARM_REQUESTS = 20_000
#: A report of health is up to a second old.
HEALTH_SECONDS = 1.0

CLAIMS = [
    Claim("requests", "Requests, half of whose clients vanish", at_least=100_000),
    Claim("memory_growth_mb", "Memory after the last over that after 20,000, MB", at_most=5),
    Claim("asyncio_tasks_left", "asyncio tasks more than before the first", at_most=0),
    Claim("slowest_departure_seconds", "Slowest until 250 that vanished at once were forgotten, s", at_most=2),
]


def soak(served: Ours, driver: Driver, requests: int) -> dict[str, float]:
    """Hold, lose and wake clients."""
    before = _idle(served)["asyncio_tasks"]
    warm_kb = slowest = 0.0
    for cycle in range(requests // CLIENTS):
        stream = bool(cycle % 2)
        path, headers = (served.stream, []) if stream else served.poll
        request = get(path, *headers)
        driver.ask("park", name="held", port=served.port, count=CLIENTS, request=request, stream=stream)
        _until(served, CLIENTS)
        driver.ask("close", name="held", part=0.5)
        slowest = max(slowest, _until(served, CLIENTS // 2))
        driver.tell("woken", name="held", stream=stream)
        time.sleep(0.1)
        served.wake()
        driver.answer()
        driver.ask("close", name="held")
        done = (cycle + 1) * CLIENTS
        if done % WARM_REQUESTS == 0:
            _idle(served)
            warm_kb = warm_kb or served.rss_kb()
            print(f"{done:,} requests, {served.rss_kb() / 1024:.1f} MB", flush=True)
    tasks = _idle(served)["asyncio_tasks"]
    return {
        "requests": requests,
        "memory_growth_mb": (served.rss_kb() - warm_kb) / 1024,
        "asyncio_tasks_left": max(0, tasks - before),
        "slowest_departure_seconds": max(0.0, slowest - HEALTH_SECONDS),
    }


def _until(served: Ours, waiters: int) -> float:
    started = time.monotonic()
    while served.health()["waiters"] != waiters:
        assert time.monotonic() - started < 60, f"{served.health()['waiters']} wait, not {waiters}"
        time.sleep(0.05)
    return time.monotonic() - started


def _idle(served: Ours) -> dict[str, float]:
    _until(served, 0)
    served.settle()
    time.sleep(7)  # uvicorn keeps idle connections for five seconds
    return served.health()


def main() -> None:
    """Soak and say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Driver() as driver, Stack(Path(folder)) as stack:
        stack.start_reconciled()
        with our_host(stack) as served:
            found = soak(served, driver, options.requests)
    finish("soak", CLAIMS, found)


if __name__ == "__main__":
    main()
