"""Our client behind real nginx and real Varnish, kind and unkind: it shows the truth in time, and asks seldom.

All clients run at once, each behind an intermediary of its own, on real time: a client's waits are the server's. The
quiet part takes 20 s, or ``INTERMEDIARIES_SECONDS`` (``make bench-intermediaries``: 60).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from localdev.processes import ROOT
from localdev.testbed import Stack
from tests.e2e.stack import running_stack
from tests.intermediaries import proxies
from tests.intermediaries.conftest import INSTALL_SECONDS
from tests.intermediaries.settings import NGINX, TTL, VARNISH

TRANSPORTS = ("long-poll", "sse", "poll")
CASES = [(name, transport) for name in [*NGINX, *VARNISH] for transport in TRANSPORTS]
QUIET_SECONDS = float(os.environ.get("INTERMEDIARIES_SECONDS", "20"))
#: The client's own default, and what a server's poll, an event and a busy machine add.
POLL_INTERVAL_SECONDS = 3.0
SLACK_SECONDS = 3.0
SETTLE_SECONDS = 40
LIMIT_SECONDS = 240 + QUIET_SECONDS

pytestmark = pytest.mark.timeout(LIMIT_SECONDS + INSTALL_SECONDS)


@dataclass
class Shown:
    """What one client shows, and since when."""

    queued: int | None = None
    state: str = ""
    transport: str = ""
    at: float = field(default_factory=time.time)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Run:
    """What was seen, by client."""

    after_change: list[dict[str, float]]
    requests: Counter[str]
    shown: dict[str, Shown]


class Clients:
    """Our clients in Node, as one process.

    Args:
        clients: Name, address and transport of each.
    """

    def __init__(self, clients: list[dict[str, str]]) -> None:
        command = ["node", str(ROOT / "client" / "test" / "support" / "follow.mjs"), json.dumps(clients)]
        self._process = subprocess.Popen(
            command, cwd=ROOT / "client", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.shown = {client["name"]: Shown() for client in clients}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            shown = self.shown[said["name"]]
            shown.state, shown.transport, shown.at = said["state"], said["transport"], said["at"]
            shown.queued = said["status"]["queued"] if said["status"] else None
            shown.history.append(said)

    def first_shown(self, name: str, queued: int, since: float) -> float:
        """Return how many seconds after a moment a client first showed a number; infinite when it has not."""
        found = (
            said["at"] - since
            for said in self.shown[name].history
            if said["at"] >= since - 1 and said["status"] and said["status"]["queued"] == queued
        )
        return next(found, float("inf"))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture(scope="module")
def run(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Let all clients follow: a change, nothing for a while, another change."""
    del installed
    folder = tmp_path_factory.mktemp("intermediaries")
    with running_stack(folder) as stack:
        nginx = {f"{name}, {transport}": NGINX[name] for name in NGINX for transport in TRANSPORTS}
        varnish = {f"{name}, {transport}": VARNISH[name] for name in VARNISH for transport in TRANSPORTS}
        (folder / "proxies").mkdir()
        upstream = f"127.0.0.1:{stack.host_port}"
        with proxies.running(folder / "proxies", upstream, nginx, varnish) as between:
            found = follow(stack, between)
            sys.stdout.write(f"\n{table(found)}\n")
            yield found


def follow(stack: Stack, between: proxies.Proxies) -> Run:
    """Run the clients and change the counts twice."""
    named = [
        {"name": name, "baseUrl": f"http://127.0.0.1:{port}/api", "transport": name.rpartition(", ")[2]}
        for name, port in between.ports.items()
    ]
    clients = Clients(named)
    try:
        until(lambda: all(shown.queued == 0 for shown in clients.shown.values()), SETTLE_SECONDS)
        first = change(stack, clients, 1)
        before = between.requests()
        time.sleep(QUIET_SECONDS)
        requests = between.requests() - before
        second = change(stack, clients, 2)
        return Run([first, second], requests, clients.shown)
    finally:
        clients.close()


def change(stack: Stack, clients: Clients, queued: int) -> dict[str, float]:
    """Upload an image; return after how many seconds each client showed it."""
    with stack.blobs() as blobs:
        blobs.get_container_client("queued").upload_blob(f"{queued}.jpg", b"x")
    since = time.time()
    until(lambda: all(shown.queued == queued for shown in clients.shown.values()), 3 * TTL)
    return {name: clients.first_shown(name, queued, since) for name in clients.shown}


def table(run: Run) -> str:
    """Return what was measured, for who runs this with ``-s``."""
    rows = [f"{'':40} {'first':>6} {'second':>6}  requests in {QUIET_SECONDS:g} s"]
    for name in run.shown:
        first, second = (seconds[name] for seconds in run.after_change)
        rows.append(f"{name:40} {first:6.2f} {second:6.2f}  {run.requests[name]}")
    return "\n".join(rows)


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something, not for ever."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def limit_seconds(name: str) -> float:
    """Return when the truth must be shown at the latest: after the poll interval, and after what a cache keeps.

    A cache with grace serves what it has kept once more, while it asks for the next.
    """
    kept = TTL if "caches" in name else 0
    again = POLL_INTERVAL_SECONDS if "grace" in name else 0
    return kept + again + POLL_INTERVAL_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize(("name", "transport"), CASES)
def test_the_client_shows_the_truth_in_time(run: Run, name: str, transport: str) -> None:
    """After each change the new number is shown within the poll interval, or the cache's time and that."""
    client = f"{name}, {transport}"
    took = [seconds[client] for seconds in run.after_change]
    assert max(took) <= limit_seconds(name), (took, run.shown[client].history[-5:])


@pytest.mark.parametrize(("name", "transport"), CASES)
def test_an_unchanged_client_asks_at_most_once_a_second(run: Run, name: str, transport: str) -> None:
    """While nothing changes, the intermediary's log has at most a request a second."""
    client = f"{name}, {transport}"
    assert run.requests[client] <= QUIET_SECONDS, run.shown[client].history[-5:]
