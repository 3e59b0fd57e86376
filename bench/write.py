"""The write path: events a second into the ledger, against the counter that everybody writes first.

``make bench-write``: a burst of creations on an empty ledger on one Azurite, interleaved rounds, medians:

- *ours*: the app's own writer, all events at once as the platform delivers a burst;
- *naive*: read the counter, add one, write it back with If-Match, retry on conflict, with 8 workers;
- *naive with back-off*: the same with a random pause after a conflict;
- *naive, one worker*: no conflicts at all, its best case.

Not measured: Event Grid, the Functions runtime, a network, and Azure's own Table Storage, which is not Azurite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
import uuid
from datetime import UTC, datetime, timedelta
from random import Random

from azure.data.tables.aio import TableServiceClient

from localdev.azurite import Azurite
from shared.azure_table import AzureTable
from shared.clock import SystemClock
from shared.counts import PARTITION, Counts
from shared.errors import Conflict
from shared.events import BlobChange
from shared.ports import Head, Write
from shared.writer import Writer


class _NoHeads:
    async def head(self, container: str, name: str) -> Head:
        raise AssertionError(f"a burst of creations looks at nothing: {container}/{name}")


async def ours(table: AzureTable, events: int) -> dict[str, float]:
    """Apply a burst through the writer; the ledger is an hour old, so that nothing has to be looked at."""
    clock = SystemClock()
    counts = Counts(table, "bench", clock)
    await counts.open()
    found = await table.read(PARTITION, "!tally")
    assert found is not None
    old = found.properties | {"known_since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    await table.commit(PARTITION, [Write("!tally", old, found.etag)])
    writer = Writer(table, counts, _NoHeads(), clock, Random(1))
    now = datetime.now(UTC)
    changes = [
        BlobChange("queued", f"{number}.jpg", present=True, sequencer=f"{number:048x}", event_time=now)
        for number in range(events)
    ]
    started = time.perf_counter()
    await asyncio.gather(*(writer.apply(change, "queued") for change in changes))
    seconds = time.perf_counter() - started
    stored = await counts.read()
    assert stored is not None
    assert stored.tally.counts()["queued"] == events
    return {
        "per_second": events / seconds,
        "transactions_per_event": writer.stats.transactions / events,
        "reads_per_event": writer.stats.reads / events,
    }


async def naive(table: AzureTable, events: int, workers: int, pause_seconds: float) -> dict[str, float]:
    """Count with read, add, conditional write, retry."""
    await table.commit("naive", [Write("counter", {"count": 0}, None)])
    left = iter(range(events))
    attempts = 0
    random = Random(2)

    async def work() -> None:
        nonlocal attempts
        for _ in left:
            while True:
                attempts += 1
                found = await table.read("naive", "counter")
                assert found is not None
                try:
                    await table.commit(
                        "naive", [Write("counter", {"count": int(found.properties["count"]) + 1}, found.etag)]
                    )
                except Conflict:
                    await asyncio.sleep(random.uniform(0, pause_seconds))
                    continue
                break

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    return {"per_second": events / (time.perf_counter() - started), "attempts_per_event": attempts / events}


async def run(azurite: Azurite, events: int, naive_events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Run all contenders, interleaved; return medians."""
    contenders = {
        "ours": lambda table: ours(table, events),
        "naive_8_workers": lambda table: naive(table, naive_events, 8, 0.0),
        "naive_8_workers_back_off": lambda table: naive(table, naive_events, 8, 0.05),
        "naive_1_worker": lambda table: naive(table, naive_events, 1, 0.0),
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    async with TableServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        for _ in range(rounds):
            for name, contender in contenders.items():
                table = AzureTable(service.get_table_client(f"b{uuid.uuid4().hex[:16]}"))
                await table.create()
                results[name].append(await contender(table))
    return {
        name: {key: round(statistics.median(each[key] for each in found), 4) for key in found[0]}
        for name, found in results.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2000, help="of ours")
    parser.add_argument("--naive-events", type=int, default=200, help="of the naive counters, which are slow")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with Azurite() as azurite:
        found = asyncio.run(run(azurite, options.events, options.naive_events, options.rounds))
    rates = {name: values["per_second"] for name, values in found.items()}
    ratios = {f"ours_over_{name}": round(rates["ours"] / rate, 1) for name, rate in rates.items() if name != "ours"}
    print(json.dumps({"machine": platform.platform(), "azurite": "3.35.0", **found, **ratios}, indent=2))


if __name__ == "__main__":
    main()
