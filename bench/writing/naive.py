"""The counter that everybody writes first: read the row, add one, write it back with If-Match, retry on conflict.

It is wrong after the first overwrite, duplicate or reordering; here only its speed counts.
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

from shared.errors import Conflict
from shared.model.ports import Write

if TYPE_CHECKING:
    from shared.model.ports import Table

PARTITION, KEY = "naive", "counter"


async def count(table: Table, events: int, workers: int, pause_seconds: float = 0.0) -> dict[str, float]:
    """Count events with concurrent workers.

    Args:
        table: A table without such a counter.
        events: How many.
        workers: How many at once.
        pause_seconds: After a conflict a worker waits a random time of up to this.
    """
    await table.commit(PARTITION, [Write(KEY, {"count": 0}, None)])
    left = iter(range(events))
    random = Random(2)
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        for _ in left:
            attempts += 1
            while not await _add_one(table):
                attempts += 1
                await asyncio.sleep(random.uniform(0, pause_seconds))

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    seconds = time.perf_counter() - started
    found = await table.read(PARTITION, KEY)
    assert found is not None
    assert found.properties["count"] == events, "the naive counter lost events"
    return {"events_per_second": events / seconds, "attempts_per_event": attempts / events}


async def _add_one(table: Table) -> bool:
    found = await table.read(PARTITION, KEY)
    assert found is not None
    try:
        await table.commit(PARTITION, [Write(KEY, {"count": int(found.properties["count"]) + 1}, found.etag)])
    except Conflict:
        return False
    return True
