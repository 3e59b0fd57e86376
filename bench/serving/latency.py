"""From an upload to the answer of a phone that holds a long poll.

``make bench-latency`` starts the whole stack (Azurite, bridge, runtime host) at the default poll interval and uploads
images one after the other by the Azure SDK; ``make bench-serve`` has the same, and events on one host with clients on
another. Not measured: any network, and Event Grid's own delay, which the bridge does not have (it posts at once).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load.driver import get, percentile
from bench.report import surroundings
from localdev.testbed import STATUS, container, running_stack

if TYPE_CHECKING:
    from localdev.testbed import Stack

ETAG = re.compile(rb"\r\netag: (\S+)", re.IGNORECASE)


def latencies(folder: Path, uploads: int) -> dict[str, float]:
    """Measure, in milliseconds from the return of the SDK's upload call to the answer of the held poll."""
    with running_stack(folder) as stack:
        _, one = asyncio.run(_measure(stack, stack.host_port, uploads))
        stack.start_host(stack.second_host_port, RECONCILE_ON_START="false")
        _, two = asyncio.run(_measure(stack, stack.second_host_port, uploads))
    return percentiles("commit_to_client", one) | percentiles("commit_to_client_two_hosts", two)


def percentiles(name: str, taken_ms: list[float]) -> dict[str, float]:
    """Return the middle and the last but one of a hundred."""
    return {f"{name}_p{percent}_ms": percentile(taken_ms, percent) for percent in (50, 99)}


async def _measure(stack: Stack, port: int, uploads: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds since each upload call began, and since it returned."""
    queued = container(stack, "queued")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    since_begin, since_return = [], []
    etag = ""
    for number in range(uploads + 1):
        writer.write(get(STATUS, f"If-None-Match: {etag}" if etag else "Accept: */*", "Prefer: wait=50").encode())
        if not etag:
            etag, _ = await _answer(reader)
            continue
        held = asyncio.create_task(_answer(reader))
        await asyncio.sleep(0.05 + 0.013 * (number % 40))  # hit every phase of the poll interval
        assert not held.done()
        began = time.monotonic()
        await asyncio.to_thread(queued.upload_blob, f"{time.time_ns()}.jpg", b"x" * 2000)
        returned = time.monotonic()
        etag, answered = await held
        since_begin.append((answered - began) * 1000)
        since_return.append((answered - returned) * 1000)
    writer.close()
    return since_begin, since_return


async def _answer(reader: asyncio.StreamReader) -> tuple[str, float]:
    head = await reader.readuntil(b"\r\n\r\n")
    at = time.monotonic()
    assert head.startswith(b"HTTP/1.1 200"), head
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    etag = ETAG.search(head)
    assert length is not None
    assert etag is not None
    await reader.readexactly(int(length[1]))
    return etag[1].decode(), at


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=50)
    uploads = parser.parse_args().uploads
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        since_begin, since_return = asyncio.run(_measure(stack, stack.host_port, uploads))
    found = percentiles("from_upload_begin", since_begin) | percentiles("from_upload_end", since_return)
    print(json.dumps(surroundings() | {name: round(value, 1) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
