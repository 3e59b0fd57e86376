"""Cases: what a thousand of them cost to follow, whom a change wakes and how soon, and what counting them costs.

``make bench-cases``:

- *followed*: 1,000 clients wait for a case each, while 30 events a second come, of 60 s in virtual time over a table
  whose reads and commits take what Azure's take; what the instance reads that holds the clients, and whom it wakes;
- *5,000 changed*: so many cases change between two polls; how long until the last of 1,000 clients is woken;
- *wake*: from the tally that says so to the client's answer, one client alone and beside 5,000 of other cases;
- *burst*: 2,000 creations of 100 cases at once on Azurite, with and without counts of cases, interleaved; medians;
- *status*: one point read of a case's row on Azurite, with one case in the ledger and with 10,000.

Not measured: HTTP, Event Grid, Azure's own Table Storage.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from bench.load.driver import percentile
from bench.load.generated import SqliteTable
from bench.load.ledgers import FINGERPRINT, FOLDER, NoHeads, connected, created, new_table
from bench.load.virtual_table import VirtualTable
from bench.load.watched_table import WatchedTable
from bench.report import Claim, finish
from bench.writing.throughput import BURST, burst
from localdev import virtual_time
from localdev.azurite import Azurite
from shared.clock import SystemClock
from shared.model import cases
from shared.model.folders import first_segment
from shared.model.ports import Write
from shared.watching.own_commits import OFFER_GAP_SECONDS
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.load.ledgers import Tables
    from shared.clock import Clock
    from shared.model.changes import BlobChange
    from shared.model.ports import Table

    type Numbers = dict[str, float]

CLIENTS, EVENTS_A_SECOND, SECONDS, INTERVAL_SECONDS = 1000, 30, 60, 0.5
OTHERS, WAKES = 5000, 50
ROUNDS, BURST_CASES = 7, 100
MANY_CASES, READS = 10_000, 300

CLAIMS = [
    Claim("reads_per_second_1000_cases", "1,000 clients on 1,000 cases, 30 events/s: reads a second", at_most=2),
    Claim("reads_per_second_nobody", "… when nobody waits", at_most=0),
    Claim("false_wakes", "… clients woken without a change of their case", at_most=0),
    Claim("wake_p99_seconds", "… event to client, p99, s", at_most=1.5),
    Claim(
        "last_wake_intervals_5000_changed", "5,000 cases changed at once: poll intervals to the last wake", at_most=2
    ),
    Claim("wake_alone_ms", "Tally to answer, one client alone, ms"),
    Claim("wake_among_5000_ms", "… beside 5,000 clients of other cases, ms"),
    Claim("wake_among_5000_over_alone", "… over alone", at_most=2),
    Claim("burst_events_per_second", "Burst of 2,000 creations of 100 cases: events a second"),
    Claim("burst_over_off", "… over the same without counts of cases", at_least=0.7),
    Claim("status_ms_1_case", "Row of a case, one case in the ledger, ms"),
    Claim("status_ms_10000_cases", "… 10,000 cases, ms"),
]


def case_of(path: str) -> str:
    """Return the case of a path: what comes after the container."""
    return first_segment(path.partition("/")[2])


def _created(name: str, clock: Clock) -> BlobChange:
    return replace(created(name), event_time=clock.now())


async def open_ledger(table: Table, clock: Clock, finds_case: Callable[[str], str] | None = case_of) -> Counts:
    """Make a ledger that is an hour old and ready."""
    counts = Counts(table, FINGERPRINT, clock, case_of=finds_case)
    stored = await counts.open()
    aged = replace(stored.tally, ready=True, known_since=clock.now() - timedelta(hours=1))
    await table.commit(PARTITION, [stored.write(aged)])
    return counts


def new_writer(table: Table, clock: Clock, finds_case: Callable[[str], str] | None = case_of) -> Writer:
    """Return the writer of a process that remembers nothing."""
    return Writer(table, Counts(table, FINGERPRINT, clock, case_of=finds_case), NoHeads(), clock, Random(1))


class Client:
    """Waits for one case, again and again, and notes how soon it heard of each change."""

    def __init__(self, watch: Watch, case: str, clock: Clock) -> None:
        self._topic = watch.of(case)
        self._clock = clock
        self.expected: list[float] = []
        self.late: list[float] = []
        self.false_wakes = self.heard = 0

    async def follow(self) -> None:
        """Wait until cancelled."""
        snapshot = await self._topic.latest()
        while True:
            changed = await self._topic.changed(snapshot.version, 25)
            if changed is None:
                continue
            arrived = sum(changed.tally.counts().values()) - sum(snapshot.tally.counts().values())
            self.false_wakes += arrived == 0
            now = self._clock.monotonic()
            self.late += [now - at for at in self.expected[self.heard : self.heard + arrived]]
            self.heard, snapshot = self.heard + arrived, changed


async def followed() -> Numbers:
    """Let clients wait while events come, in virtual time."""
    clock, random = virtual_time.VirtualClock(), Random(1)
    table = VirtualTable(random, clock)
    await open_ledger(table, clock)
    writer, seen = new_writer(table, clock), WatchedTable(table)
    watch = Watch(Counts(seen, FINGERPRINT, clock, case_of=case_of), clock, INTERVAL_SECONDS)
    await watch.latest()
    await asyncio.sleep(10)
    idle = seen.reads
    await asyncio.sleep(10)
    nobody = (seen.reads - idle) / 10
    clients = {f"case {number}": Client(watch, f"case {number}", clock) for number in range(CLIENTS)}
    waits = [asyncio.create_task(client.follow()) for client in clients.values()]
    await asyncio.sleep(10)  # each case is read once
    reads, events = [seen.reads], []
    asyncio.get_running_loop().call_later(SECONDS, lambda: reads.append(seen.reads))
    for number in range(EVENTS_A_SECOND * SECONDS + 2 * EVENTS_A_SECOND):
        case = f"case {random.randrange(CLIENTS)}"
        clients[case].expected.append(clock.monotonic())
        events.append(asyncio.create_task(writer.apply(_created(f"{case}/{number}.jpg", clock), FOLDER)))
        await asyncio.sleep(random.expovariate(EVENTS_A_SECOND))
    await asyncio.gather(*events)
    await asyncio.sleep(5)
    late = [seconds for client in clients.values() for seconds in client.late]
    assert len(late) == len(events), "a change was not heard of"
    for wait in waits:
        wait.cancel()
    watch.close()
    return {
        "reads_per_second_1000_cases": (reads[1] - reads[0]) / SECONDS,
        "reads_per_second_nobody": nobody,
        "false_wakes": sum(client.false_wakes for client in clients.values()),
        "wake_p99_seconds": percentile(late, 99),
    }


async def many_changed() -> Numbers:
    """Change 5,000 cases between two polls."""
    clock = virtual_time.VirtualClock()
    table = VirtualTable(Random(1), clock)
    counts = await open_ledger(table, clock)
    watch = Watch(Counts(table, FINGERPRINT, clock, case_of=case_of), clock, INTERVAL_SECONDS)
    topics = [watch.of(f"case {number}") for number in range(0, OTHERS, OTHERS // CLIENTS)]
    versions = [(await topic.latest()).version for topic in topics]
    waits = [asyncio.create_task(topic.changed(version, 60)) for topic, version in zip(topics, versions, strict=True)]
    await asyncio.sleep(3 * INTERVAL_SECONDS)
    stored = await counts.open()
    empty = cases.nothing(stored.tally.epoch)
    changed = [
        cases.Changed(cases.key_of(f"case {number}"), empty.moved({FOLDER: 1}, number + 1, clock.now()))
        for number in range(OTHERS)
    ]
    rows = (
        (f"{cases.ROW_PREFIX}{each.key}", cases.to_properties(f"case {number}", each.tally))
        for number, each in enumerate(changed)
    )
    table.fill(PARTITION, rows)
    tally = replace(stored.tally, recent=cases.Recent().adding(changed), revision=stored.tally.revision + 1)
    await table.commit(PARTITION, [stored.write(tally)])
    began = clock.monotonic()
    assert all(await asyncio.gather(*waits)), "a client was not woken"
    seconds = clock.monotonic() - began
    watch.close()
    return {"last_wake_intervals_5000_changed": seconds / INTERVAL_SECONDS}


async def wakes(others: int) -> float:
    """Return the median time from a published tally to the answer of the one client it concerns, in ms."""
    clock = SystemClock()
    table = SqliteTable(":memory:")
    counts = await open_ledger(table, clock)
    writer = new_writer(table, clock)
    watch = Watch(counts, clock, 3600)
    mine = watch.of("mine")
    version = (await mine.latest()).version
    topics = [watch.of(f"other {number}") for number in range(others)]
    for topic in topics:
        topic.is_current = True  # so that nothing is read for them
    waits = [asyncio.create_task(topic.next("", 3600)) for topic in topics]
    took = []
    for number in range(WAKES):
        waiting = asyncio.create_task(mine.next(version, 60))
        await asyncio.sleep(2 * OFFER_GAP_SECONDS)  # then an offer is taken at once
        await writer.apply(created(f"mine/{number}.jpg"), FOLDER)
        stored = await counts.open()
        started = time.perf_counter()
        watch.offer(stored.tally)
        changed = await waiting
        took.append((time.perf_counter() - started) * 1000)
        assert changed is not None
        version = changed.version
    for wait in waits:
        wait.cancel()
    watch.close()
    return statistics.median(took)


async def bursts(tables: Tables) -> Numbers:
    """Run bursts with and without counts of cases, in turn."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for has_cases in (True, False) if number % 2 else (False, True):
            finds_case = case_of if has_cases else None
            table, clock = WatchedTable(await new_table(tables)), SystemClock()
            counts = await open_ledger(table, clock, finds_case)
            changes = [created(f"case {each % BURST_CASES}/{each}.jpg") for each in range(BURST)]
            writer = new_writer(table, clock, finds_case)
            found[has_cases].append((await burst(writer, table, changes))["events_per_second"])
            assert (await counts.open()).tally.counts()[FOLDER] == BURST, "the count is wrong"
    on, off = (statistics.median(found[has_cases]) for has_cases in (True, False))
    return {"burst_events_per_second": on, "burst_over_off": on / off}


async def status_ms(tables: Tables, count: int) -> float:
    """Return the median time of reading a case among so many."""
    table, clock = await new_table(tables), SystemClock()
    counts = await open_ledger(table, clock)
    stored = await counts.open()
    tally = cases.nothing(stored.tally.epoch).moved({FOLDER: 1}, 1, clock.now())
    for start in range(0, count, 100):
        some = range(start, min(start + 100, count))
        keys = [(f"case {number}", f"{cases.ROW_PREFIX}{cases.key_of(f'case {number}')}") for number in some]
        await table.commit(PARTITION, [Write(key, cases.to_properties(case, tally), None) for case, key in keys])
    took = []
    for number in range(READS):
        started = time.perf_counter()
        found, _ = await counts.read_case(f"case {number % count}", PARTITION, stored.tally.epoch)
        took.append((time.perf_counter() - started) * 1000)
        assert found.counts()[FOLDER] == 1
    return statistics.median(took)


async def on_azurite(connection_string: str) -> Numbers:
    """Measure what real storage takes part in."""
    async with connected(connection_string) as tables:
        return {
            **await bursts(tables),
            "status_ms_1_case": await status_ms(tables, 1),
            "status_ms_10000_cases": await status_ms(tables, MANY_CASES),
        }


def main() -> None:
    """Measure all of it."""
    found = virtual_time.run(followed()) | virtual_time.run(many_changed())
    alone, among = asyncio.run(wakes(0)), asyncio.run(wakes(OTHERS))
    found |= {"wake_alone_ms": alone, "wake_among_5000_ms": among, "wake_among_5000_over_alone": among / alone}
    with Azurite() as azurite:
        found |= asyncio.run(on_azurite(azurite.connection_string))
    finish("cases", CLAIMS, found)


if __name__ == "__main__":
    main()
