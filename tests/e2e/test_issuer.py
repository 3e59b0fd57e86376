"""An issuer whose key set has no end, or drips, on real processes: memory, threads, names, and SIGTERM."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import httpx

from localdev.processes import Process
from localdev.testbed import STATUS, Stack
from tests.e2e.issuer import LocalIssuer, endless, local_issuer, settings_of, token

ENDLESS_BYTES = 2 * 1024**3
MOST_GROWTH_KB = 20 * 1024
DRIP_SECONDS = 1.0
ANSWERED_SECONDS = 5.0
STOPPED_SECONDS = 5.0


def processes(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(each for child in children for each in processes(child))]


def usage(pid: int, what: str) -> int:
    """Return a figure of /proc/…/status (kB, or a number), of a process and all that it has started."""
    lines = [line for each in processes(pid) for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def ask(client: httpx.Client, issuer: LocalIssuer) -> float:
    """Ask with a token whose key is not known until the issuer is asked for it; return how long that answer took."""
    before = len(issuer.asked)
    authorization = f"Bearer {token(kid='new')}"
    while True:
        began = time.monotonic()
        assert client.get(STATUS, headers={"Authorization": authorization}).status_code == 503
        if len(issuer.asked) > before:
            return time.monotonic() - began
        time.sleep(0.2)


def stopped_while_fetching(client: httpx.Client, issuer: LocalIssuer, host: Process) -> float:
    """End the host while it asks the issuer; return how long that took."""
    before = len(issuer.asked)

    def ask_in_vain() -> None:
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            ask(client, issuer)

    asking = threading.Thread(target=ask_in_vain)
    asking.start()
    while len(issuer.asked) == before:
        time.sleep(0.01)
    began = time.monotonic()
    assert host.stop() == 0
    seconds = time.monotonic() - began
    asking.join()
    return seconds


def test_an_issuer_without_end(tmp_path: Path) -> None:
    """Two gigabytes cost no memory; a drip holds no thread, names are resolved, and the process ends when told to."""
    with local_issuer() as issuer, Stack(tmp_path, **settings_of(issuer)) as stack:
        stack.azurite.start()
        storage = stack.azurite.connection_string.replace("127.0.0.1", "localhost")
        host = stack.start_host(STORAGE=storage)
        with httpx.Client(base_url=stack.host_url, timeout=20) as client:
            pid = host.pid
            issuer.pages["/keys"] = endless(b"\0" * 65536, total_bytes=ENDLESS_BYTES)
            before_kb = usage(pid, "VmRSS")
            assert ask(client, issuer) < ANSWERED_SECONDS
            assert usage(pid, "VmHWM") - before_kb < MOST_GROWTH_KB  # at the peak

            issuer.pages["/keys"] = endless(b" ", DRIP_SECONDS)
            before = usage(pid, "Threads")
            assert ask(client, issuer) < ANSWERED_SECONDS
            assert usage(pid, "Threads") <= before
            assert client.get("/api/health").json() == {"status": "ok"}

            assert stopped_while_fetching(client, issuer, host) < STOPPED_SECONDS
