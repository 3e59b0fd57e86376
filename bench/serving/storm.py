"""A functions host is killed with a thousand clients of ours attached, and comes back: do they come back all at once?

The clients are the real client package, many instances in one Node process. A *reconnect* is the first request of a
client that the new host answers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from bench.serving.hosts import health
from localdev.processes import ROOT, Process
from shared.serving.endpoints import STOPPING_RETRY_MS

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from localdev.testbed import Stack

CLIENT = ROOT / "client"
SCRIPT = ROOT / "bench" / "serving" / "storm.mjs"
#: The host that stops is started again after so long.
DOWN_SECONDS = 2.0
#: A stream that ends before it is as old as its last ``retry:`` is not followed before that time is over. Where streams
#: live for minutes hardly any is so young when a host stops; here all would be.
YOUNG_SECONDS = STOPPING_RETRY_MS[1] / 1000


def bundled_client(folder: Path) -> Path:
    """Bundle the client package into one file that Node runs."""
    bundle = folder / "client.mjs"
    rolldown = CLIENT / "node_modules" / ".bin" / "rolldown"
    command = [str(rolldown), str(CLIENT / "src" / "index.ts"), "--file", str(bundle), "--format", "esm"]
    subprocess.run(command, check=True, capture_output=True, cwd=CLIENT)
    return bundle


def storm(stack: Stack, host: Process, clients: int, transport: str, number: signal.Signals) -> dict[str, float]:
    """End the host, start it again, and say how the clients came back.

    Args:
        stack: With the host.
        host: The host on the stack's own port.
        clients: How many.
        transport: Of the clients: ``long-poll`` or ``sse``.
        number: SIGKILL is a crash, SIGTERM a deployment.
    """
    node = shutil.which("node")
    assert node is not None
    url = f"{stack.host_url}/api"
    command = [node, str(SCRIPT), str(bundled_client(stack.folder)), url, str(clients), transport]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "attached"
            _until_held(stack, clients)
            if transport == "sse":
                time.sleep(YOUNG_SECONDS)
            host.send_signal(number)
            host.wait(20)
            print("gone", file=process.stdin, flush=True)
            time.sleep(DOWN_SECONDS)
            stack.start_host(None)
            found = json.loads(process.stdout.readline())
        finally:
            process.kill()
    return spread([moment / 1000 for moment in found])


def spread(moments: list[float]) -> dict[str, float]:
    """Say how evenly something happened: the busiest second over the mean from the first to the last."""
    moments = sorted(moments)
    busiest = max(bisect_left(moments, moment + 1) - number for number, moment in enumerate(moments))
    window = max(moments[-1] - moments[0], 1.0)
    return {
        "reconnects_busiest_second": busiest,
        "reconnect_window_seconds": window,
        "reconnect_peak_over_mean": busiest / (len(moments) / window),
    }


def _until_held(stack: Stack, clients: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if health(stack.host_url)["waiters"] >= clients:
            return
        time.sleep(0.1)
    raise AssertionError("the clients were not all held")
