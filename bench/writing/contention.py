"""Several processes at one ledger: how often a commit has to be tried, and whether everybody gets a turn.

Real processes, each with its own connections, memory and writer, and eight workers that apply one event after the
other; they start together at a barrier. An *attempt* is a transaction sent, a *transaction* one that was committed.
With ``cold_share``, that share of the events is one that the ledger already holds and the process does not remember.

Not measured: several machines; here the processes share two cores with Azurite, so that a turn is longer than a
network would make it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from bench.load.driver import percentile
from bench.load.ledgers import FINGERPRINT, FOLDER, NoHeads, connected, created, new_name, new_table, open_ledger
from shared.azure.inbox import AzureInbox
from shared.clock import SystemClock
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

READY_SECONDS = 60
RUN_SECONDS = 300

_start: Barrier


@dataclass(frozen=True, slots=True)
class Load:
    """What each process does.

    Attributes:
        connection_string: Azurite's.
        table: The ledger's.
        processes: How many processes there are.
        workers: Concurrent workers of each.
        events: Events of each worker.
        cold_share: Share of events that the ledger already holds.
    """

    connection_string: str
    table: str
    processes: int = 4
    workers: int = 8
    events: int = 300
    cold_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one process saw."""

    seconds: float
    events: int
    attempts: int
    conflicts: int
    reads: int
    latencies: list[float]


def known_name(process: int, worker: int, number: int) -> str:
    """Return a name whose creation the ledger may hold before the start."""
    return f"{process}/{worker}/{number}.jpg"


async def _run(load: Load, process: int, start: Barrier) -> Share:
    clock, random = SystemClock(), Random(process)
    latencies: list[float] = []
    ended_at: list[float] = []
    async with connected(load.connection_string) as tables:
        table = tables.table(load.table)
        inbox = tables.table(f"{load.table}inbox", AzureInbox)
        writer = Writer(table, Counts(table, FINGERPRINT, clock), NoHeads(), clock, random, inbox=inbox)
        await table.read("warm", "up")
        await asyncio.to_thread(start.wait, READY_SECONDS)

        async def work(worker: int) -> None:
            for number in range(load.events):
                began = time.perf_counter()
                await writer.apply(created(known_name(process, worker, number)), FOLDER)
                ended_at.append(time.perf_counter() - started)
                latencies.append(time.perf_counter() - began)

        started = time.perf_counter()
        await asyncio.gather(*(work(worker) for worker in range(load.workers)))
    seconds = ended_at[-2]  # the last delivery may stay for others, as long as its process is named
    stats = writer.stats
    return Share(seconds, len(latencies), stats.transactions, stats.conflicts, stats.reads, latencies)


def _take_barrier(start: Barrier) -> None:
    """Keep in a process of the pool what can only be inherited."""
    global _start  # noqa: PLW0603
    _start = start


def _share(load: Load, process: int) -> Share:
    return asyncio.run(_run(load, process, _start))


def _all_shares(load: Load) -> list[Share]:
    """Run the processes to their end."""
    context = multiprocessing.get_context("spawn")
    start = (context.Barrier(load.processes),)
    with ProcessPoolExecutor(load.processes, context, initializer=_take_barrier, initargs=start) as pool:
        return list(pool.map(partial(_share, load), range(load.processes), timeout=RUN_SECONDS))


async def contend(connection_string: str, **options: Any) -> dict[str, float]:
    """Make a ledger and let processes contend for it.

    Returns:
        ``attempts_per_transaction``, ``reads_per_event``, ``events_per_second``, ``fairness`` (rate of the slowest
        process over that of the fastest), ``p99_seconds`` and ``p50_seconds`` of one event.
    """
    async with connected(connection_string) as tables:
        load = Load(connection_string, new_name(), **options)
        table = await new_table(tables, load.table)
        await new_table(tables, f"{load.table}inbox")
        names = [
            known_name(process, worker, number)
            for process in range(load.processes)
            for worker in range(load.workers)
            for number in range(load.events)
        ]
        counts = await open_ledger(table, Random(4).sample(names, round(len(names) * load.cold_share)))
        shares = await asyncio.to_thread(_all_shares, load)
        stored = await counts.read()
        assert stored is not None
        assert stored.tally.counts()[FOLDER] == len(names), "the count is wrong"
    events = sum(share.events for share in shares)
    attempts = sum(share.attempts for share in shares)
    rates = [share.events / share.seconds for share in shares]
    latencies = [latency for share in shares for latency in share.latencies]
    return {
        "attempts_per_transaction": attempts / (attempts - sum(share.conflicts for share in shares)),
        "reads_per_event": sum(share.reads for share in shares) / events,
        "events_per_second": events / max(share.seconds for share in shares),
        "fairness": min(rates) / max(rates),
        "p50_seconds": statistics.median(latencies),
        "p99_seconds": percentile(latencies, 99),
    }
