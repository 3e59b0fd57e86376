"""What a status costs with this many blobs: ours, and that of an endpoint that lists."""

from __future__ import annotations

import http.client
import statistics
import time
from typing import TYPE_CHECKING

from bench.load.generated import name_of
from bench.load.mass import TABLE, fill
from bench.serving.hosts import Naive, app_host
from localdev.azurite import ACCOUNT
from localdev.testbed import STATUS, Stack
from shared.settings.app import Settings

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = 200
#: A listing of 50,000 blobs takes its time.
MOST_ROUNDS = 3


def status_times(folder: Path, blobs: int, rounds: int) -> dict[str, float]:
    """Measure single requests, one after the other, in milliseconds; our own also when the table has to be read."""
    ours, reading, naive = [], [], []
    with account(folder, blobs) as stack:
        stack.start_host()
        with app_host(Naive, folder, STORAGE=stack.environ["STORAGE"]) as listing:
            for _ in range(min(rounds, MOST_ROUNDS)):
                ours += _times(stack.host_port, STATUS, REQUESTS, pause_seconds=0)
                reading += _times(stack.host_port, STATUS, 5, pause_seconds=0.6)
                naive += _times(listing.port, "/api/naive", 1 if blobs > 1000 else 5, pause_seconds=0)
    return {
        f"status_ms_at_{_short(blobs)}": statistics.median(ours),
        f"status_with_read_ms_at_{_short(blobs)}": statistics.median(reading),
        f"naive_status_ms_at_{_short(blobs)}": statistics.median(naive),
    }


def account(folder: Path, blobs: int) -> Stack:
    """Start an Azurite that holds so many blobs and their ledger."""
    folder.mkdir()
    stack = Stack(folder, COUNTS_TABLE=TABLE, RECONCILE_ON_START="false")
    names = [name_of(number) for number in range(blobs)]
    fill(stack.azurite, names, Settings.from_environ({}).folders.fingerprint(ACCOUNT))
    stack.azurite.start()
    return stack


def _short(blobs: int) -> str:
    return f"{blobs // 1000}k" if blobs >= 1000 else str(blobs)


def _times(port: int, path: str, requests: int, pause_seconds: float) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.connect()
    taken = []
    for _ in range(requests):
        time.sleep(pause_seconds)
        started = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        taken.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, body
    connection.close()
    return taken
