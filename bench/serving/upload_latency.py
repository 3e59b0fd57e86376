"""How long it takes from an uploaded blob to the answer of a phone that holds a long poll.

``make bench-latency`` starts the whole stack (Azurite, bridge, runtime host) at the default poll interval, uploads
images one after the other by the Azure SDK, and measures for each the time from the moment the SDK's upload call
returns, and from the moment it began, to the moment the held request is answered. Not measured: any network, and
Event Grid's own delay, which the bridge does not have (it posts at once).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from localdev.testbed import App, Stack, container, running_stack


async def measure(stack: Stack, uploads: int) -> dict[str, float]:
    """Upload and wait, one by one; return milliseconds."""
    since_start, since_return = [], []
    queued = container(stack, "queued")
    async with httpx.AsyncClient(base_url=stack.host_url, timeout=60) as http:
        app = App(http)
        for number in range(uploads):
            etag = (await app.status()).headers["etag"]
            held = asyncio.create_task(_answered_at(app, etag))
            await asyncio.sleep(0.05 + 0.01 * (number % 50))  # hit every phase of the poll interval
            started = time.perf_counter()
            await asyncio.to_thread(queued.upload_blob, f"{time.time_ns()}.jpg", b"x" * 2000)
            returned = time.perf_counter()
            answered = await held
            since_start.append((answered - started) * 1000)
            since_return.append((answered - returned) * 1000)
    return {
        "uploads": uploads,
        "from_upload_begin_p50_ms": round(statistics.median(since_start), 1),
        "from_upload_begin_p99_ms": round(_percentile(since_start, 99), 1),
        "from_upload_end_p50_ms": round(statistics.median(since_return), 1),
        "from_upload_end_p99_ms": round(_percentile(since_return, 99), 1),
    }


async def _answered_at(app: App, etag: str) -> float:
    response = await app.held(etag, 50)
    assert response.status_code == 200, response.status_code
    return time.perf_counter()


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(len(ordered) * percent / 100))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        result = asyncio.run(measure(stack, options.uploads))
    print(json.dumps({"machine": platform.platform(), "python": platform.python_version(), **result}, indent=2))


if __name__ == "__main__":
    main()
