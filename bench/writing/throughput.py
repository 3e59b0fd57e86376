"""The write path: events a second into the ledger, what each costs, and the same beside a naive counter.

``make bench-write``, all on one Azurite:

- *burst*: 2,000 creations at once, as the platform delivers them, on an empty ledger and at 10,000 rows, and 500 at
  50,000 (Azurite is slower there, and a delivery has 15 s); each round interleaved with the naive counter
  (``bench/writing/naive.py``) in its four configurations; medians;
- *cold*: processes that remember nothing delete 2,000 names, get 2,000 duplicates, or a burst with 2 % of them;
- *at rest*: one event after the other, each alone; what is ours of the time is that of ``apply`` less that of the
  calls of the table (the SDK's work included in those);
- *contention*: four processes with eight workers each (``bench/writing/contention.py``).

Not measured: Event Grid, the Functions runtime, a network, and Azure's own Table Storage, which is not Azurite:
Azurite's time for an operation grows with the rows of the partition.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from bench.load.ledgers import FINGERPRINT, FOLDER, NoHeads, connected, created, deleted, new_table, open_ledger
from bench.load.mass import TABLE, fill
from bench.load.watched_table import WatchedTable
from bench.report import Claim, finish
from bench.writing import naive
from bench.writing.contention import contend
from localdev.azurite import Azurite
from shared.clock import SystemClock
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from bench.load.ledgers import Tables
    from shared.model.changes import BlobChange
    from shared.model.ports import Table

    type Numbers = dict[str, float]

BURST = 2000
AT_REST = 200
#: Rows, and creations at once.
SIZES = {"": (0, BURST), "_10k_rows": (10_000, BURST), "_50k_rows": (50_000, BURST // 4)}
NAIVE = {
    "naive_1_worker": (1, 0.0),
    "naive_4_workers": (4, 0.0),
    "naive_8_workers": (8, 0.0),
    "naive_8_workers_back_off": (8, 0.05),
}

CLAIMS = [
    Claim("events_per_second", "Burst of 2,000 creations, empty ledger: events a second"),
    Claim("transactions_per_event", "… transactions an event", at_most=0.015),
    Claim("reads_per_event", "… reads an event", at_most=0.01),
    Claim("naive_events_per_second", "Naive counter at its best, in the same rounds: events a second"),
    Claim("naive_8_workers_events_per_second", "Naive counter, 8 workers: events a second"),
    Claim("naive_8_workers_attempts_per_event", "… attempts an event"),
    Claim("times_naive_8_workers", "Ours over the naive counter with 8 workers", at_least=20),
    Claim("times_naive", "Ours over the naive counter at its best (aim: 10)", at_least=5),
    Claim("events_per_second_10k_rows", "The burst at 10,000 rows: events a second"),
    Claim("times_naive_10k_rows", "… over the naive counter at its best, which has one row"),
    Claim("events_per_second_50k_rows", "A burst of 500 at 50,000 rows: events a second"),
    Claim("times_naive_50k_rows", "… over the naive counter at its best, which has one row"),
    Claim("cold_deletes_per_second", "Cold deletes: events a second"),
    Claim("reads_per_cold_delete", "… reads an event", at_most=1),
    Claim("reads_per_cold_duplicate", "Cold duplicates: reads an event", at_most=1),
    Claim("rows_written_by_duplicates", "… rows written", at_most=0),
    Claim("reads_per_warm_duplicate", "Duplicates of remembered events: reads an event", at_most=0),
    Claim("reads_per_event_2_percent_cold", "Burst with 2 % cold duplicates: reads an event", at_most=0.05),
    Claim("transactions_per_event_2_percent_cold", "… transactions an event, failed ones included"),
    Claim("transactions_at_rest", "One event at rest: transactions, at most", at_most=1),
    Claim("reads_at_rest", "… reads, at most", at_most=1),
    Claim("added_ms_at_rest", "… added by us, median ms", at_most=1),
    Claim("apply_ms_at_rest", "… from event to committed, median ms"),
    Claim("attempts_per_transaction_contended", "4 processes x 8 workers: attempts a transaction", at_most=1.1),
    Claim("fairness_contended", "… slowest process over the fastest", at_least=0.8),
    Claim("p99_seconds_contended", "… p99 of one event, s", at_most=0.5),
    Claim("p50_seconds_contended", "… p50 of one event, s"),
    Claim("events_per_second_contended", "… events a second, all together"),
    Claim("reads_per_event_contended", "… reads an event"),
    Claim("reads_per_event_contended_2_percent_cold", "… reads an event with 2 % cold duplicates"),
]


class Ledger:
    """A ledger and the fresh processes that write to it."""

    def __init__(self, table: Table, counts: Counts, held: int) -> None:
        self.table = table
        self.counts = counts
        self.held = held

    @classmethod
    async def made(cls, tables: Tables, names: Sequence[str] = ()) -> Ledger:
        """Make one that holds these names."""
        table = await new_table(tables)
        return cls(table, await open_ledger(table, names), len(names))

    @classmethod
    async def filled(cls, tables: Tables) -> Ledger:
        """Return the large one."""
        table = tables.table(TABLE)
        counts = Counts(table, FINGERPRINT, SystemClock())
        return cls(table, counts, (await counts.open()).tally.counts()[FOLDER])

    def writer(self) -> tuple[Writer, WatchedTable]:
        """Return a writer that remembers nothing, as a fresh process does, and the table it sees."""
        table = WatchedTable(self.table)
        clock = SystemClock()
        return Writer(table, Counts(table, FINGERPRINT, clock), NoHeads(), clock, Random(1)), table

    async def check(self, moved: int) -> None:
        """Check the count after the events that moved it."""
        self.held += moved
        stored = await self.counts.read()
        assert stored is not None
        assert stored.tally.counts()[FOLDER] == self.held, "the count is wrong"


def names_of(kind: str, count: int) -> list[str]:
    """Return names that nothing else uses."""
    return [f"{kind}/{number}.jpg" for number in range(count)]


async def burst(writer: Writer, table: WatchedTable, changes: list[BlobChange]) -> Numbers:
    """Apply all at once."""
    started = time.perf_counter()
    await asyncio.gather(*(writer.apply(each, FOLDER) for each in changes))
    seconds = time.perf_counter() - started
    return {
        "events_per_second": len(changes) / seconds,
        "transactions_per_event": table.commits / len(changes),
        "reads_per_event": table.reads / len(changes),
    }


async def against_naive(tables: Tables, rows: int, creations: int, options: argparse.Namespace) -> Numbers:
    """Run bursts on a ledger of this size and the naive counters, interleaved; return medians."""
    found: dict[str, list[Numbers]] = {name: [] for name in ("ours", *NAIVE)}
    for number in range(options.rounds):
        ledger = await (Ledger.filled(tables) if rows else Ledger.made(tables))
        changes = [created(name) for name in names_of(f"burst{number}", creations)]
        found["ours"].append(await burst(*ledger.writer(), changes))
        await ledger.check(moved=creations)
        for name, (workers, pause) in NAIVE.items():
            found[name].append(await naive.count(await new_table(tables), options.naive_events, workers, pause))
    medians = {name: _medians(runs) for name, runs in found.items()}
    best = max(medians[name]["events_per_second"] for name in NAIVE)
    eight = medians["naive_8_workers"]
    return {
        **medians["ours"],
        "naive_events_per_second": best,
        "naive_8_workers_events_per_second": eight["events_per_second"],
        "naive_8_workers_attempts_per_event": eight["attempts_per_event"],
        "times_naive": medians["ours"]["events_per_second"] / best,
        "times_naive_8_workers": medians["ours"]["events_per_second"] / eight["events_per_second"],
    }


async def cold(tables: Tables) -> Numbers:
    """Let fresh processes delete what they do not remember, and get events that are in the ledger already."""
    held = names_of("held", BURST)
    ledger = await Ledger.made(tables, held)
    duplicates = [created(name) for name in held]

    writer, table = ledger.writer()
    cold_duplicates = await burst(writer, table, duplicates)
    written = table.rows_written
    reads = table.reads
    await burst(writer, table, duplicates)
    warm_reads = (table.reads - reads) / BURST

    mixed = [created(name) for name in names_of("new", BURST)]
    mixed[::50] = duplicates[::50]
    with_some_cold = await burst(*ledger.writer(), mixed)
    await ledger.check(moved=BURST - BURST // 50)

    cold_deletes = await burst(*ledger.writer(), [deleted(name) for name in held])
    await ledger.check(moved=-BURST)
    return {
        "cold_deletes_per_second": cold_deletes["events_per_second"],
        "reads_per_cold_delete": cold_deletes["reads_per_event"],
        "reads_per_cold_duplicate": cold_duplicates["reads_per_event"],
        "rows_written_by_duplicates": written,
        "reads_per_warm_duplicate": warm_reads,
        "reads_per_event_2_percent_cold": with_some_cold["reads_per_event"],
        "transactions_per_event_2_percent_cold": with_some_cold["transactions_per_event"],
    }


async def at_rest(tables: Tables) -> Numbers:
    """Apply one event after the other."""
    ledger = await Ledger.made(tables)
    writer, table = ledger.writer()
    added, whole, reads, commits = [], [], [], []
    for name in names_of("rest", AT_REST):
        before = (table.reads, table.commits, table.seconds)
        started = time.perf_counter()
        await writer.apply(created(name), FOLDER)
        seconds = time.perf_counter() - started
        whole.append(seconds * 1000)
        added.append((seconds - (table.seconds - before[2])) * 1000)
        reads.append(table.reads - before[0])
        commits.append(table.commits - before[1])
    await ledger.check(moved=AT_REST)
    return {
        "added_ms_at_rest": statistics.median(added),
        "apply_ms_at_rest": statistics.median(whole),
        "reads_at_rest": max(reads),
        "transactions_at_rest": max(commits),
    }


async def contended(connection_string: str, rounds: int) -> Numbers:
    """Run the processes that contend, without and with cold duplicates; return medians."""
    plain = _medians([await contend(connection_string) for _ in range(rounds)])
    with_cold = _medians([await contend(connection_string, cold_share=0.02) for _ in range(rounds)])
    return {
        **{f"{name}_contended": value for name, value in plain.items()},
        "reads_per_event_contended_2_percent_cold": with_cold["reads_per_event"],
    }


def _medians(runs: Sequence[Numbers]) -> Numbers:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def measure(options: argparse.Namespace) -> Numbers:
    """Run everything, for each size of the ledger on an Azurite of its own."""
    results: Numbers = {}
    for suffix, (rows, creations) in SIZES.items():
        print(f"bursts at {rows:,} rows …", flush=True)
        with Azurite() as azurite:
            if rows:
                azurite.stop()
                fill(azurite, names_of("held", rows), FINGERPRINT)
                azurite.start()
            bursts = partial(against_naive, rows=rows, creations=creations, options=options)
            sized = asyncio.run(_on(azurite, bursts))
            results |= {f"{name}{suffix}": value for name, value in sized.items()}
            if not rows:
                print("events at rest, cold processes …", flush=True)
                results |= asyncio.run(_on(azurite, at_rest)) | asyncio.run(_on(azurite, cold))
                print("contention …", flush=True)
                results |= asyncio.run(contended(azurite.connection_string, options.rounds))
    return results


async def _on(azurite: Azurite, step: Callable[[Tables], Coroutine[None, None, Numbers]]) -> Numbers:
    async with connected(azurite.connection_string) as tables:
        return await step(tables)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--naive-events", type=int, default=200, help="of the naive counters, which are slow")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    finish("write", CLAIMS, measure(options))


if __name__ == "__main__":
    main()
