"""From an upload to the answer of a phone that holds a long poll.

A part of ``make bench-serve``: the whole stack (Azurite, bridge, runtime host) at the default poll interval; images are
uploaded one after the other by the Azure SDK; clients are on the host that gets the events, then on another one. Not
measured: any network, and Event Grid's own delay, which the bridge does not have (it posts at once).
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from bench.load.driver import get, percentile
from localdev.testbed import STATUS, container, running_stack

if TYPE_CHECKING:
    from pathlib import Path

    from localdev.testbed import Stack

ETAG = re.compile(rb"\r\netag: (\S+)", re.IGNORECASE)


def latencies(folder: Path, uploads: int) -> dict[str, float]:
    """Measure, in milliseconds from the return of the SDK's upload call to the answer of the held poll."""
    with running_stack(folder) as stack:
        taken_ms = {"commit_to_client": asyncio.run(_measure(stack, stack.host_port, uploads))}
        stack.start_host(stack.second_host_port, RECONCILE_ON_START="false")
        taken_ms["commit_to_client_two_hosts"] = asyncio.run(_measure(stack, stack.second_host_port, uploads))
    return {f"{name}_p{p}_ms": percentile(values, p) for name, values in taken_ms.items() for p in (50, 99)}


async def _measure(stack: Stack, port: int, uploads: int) -> list[float]:
    """Return the milliseconds since each upload call returned."""
    queued = container(stack, "queued")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken_ms = []
    etag = ""
    for number in range(uploads + 1):
        writer.write(get(STATUS, f"If-None-Match: {etag}" if etag else "Accept: */*", "Prefer: wait=50").encode())
        if not etag:
            etag, _ = await _answer(reader)
            continue
        held = asyncio.create_task(_answer(reader))
        await asyncio.sleep(0.05 + 0.013 * (number % 40))  # hit every phase of the poll interval
        assert not held.done()
        await asyncio.to_thread(queued.upload_blob, f"{time.time_ns()}.jpg", b"x" * 2000)
        returned = time.monotonic()
        etag, answered = await held
        taken_ms.append((answered - returned) * 1000)
    writer.close()
    return taken_ms


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
