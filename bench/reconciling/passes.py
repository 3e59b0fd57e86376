"""Reconciliation: what a pass costs above the listing that it has to do anyway, and what it writes.

``make bench-reconcile``, on an Azurite with 50,000 blobs and their ledger (``bench/load/mass.py``):

- *clean*: passes of the app's reconciler and bare ``list_blob_names`` loops over the same containers with the same
  page size, reading all names; in turn, and the median of the pairs;
- *folding*: a clean pass over 200,000 names that are in memory already: all of our own work for a name;
- *live*: passes while 20 events a second arrive (uploads and deletions, each told to the writer after a random time
  of up to 2 s). A correction is *false* when it concerns a blob that nothing happened to, or is wrong when all events
  have arrived; one that comes before its event is *early*;
- *memory*: a million names against a million rows in a process of its own (``bench/reconciling/memory.py``).

Not measured: Azure's own listing, which is five times faster than Azurite's, so that our share is larger there; nor a
network, which makes it smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

from bench.load.generated import FOLDER_MAP, GeneratedBlobs, SqliteTable, name_of
from bench.load.ledgers import FINGERPRINT, FOLDER, connected, created, deleted, open_ledger
from bench.load.mass import TABLE, fill
from bench.reconciling import memory
from bench.report import Claim, finish
from localdev.azurite import Azurite
from shared.azure.clients import connections
from shared.azure.heads import BlobHeads
from shared.azure.listing import PAGE_SIZE, BlobListing
from shared.azure.table import AzureTable
from shared.clock import SystemClock
from shared.errors import StorageError
from shared.model.folders import FOLDERS
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.writing.tally_row import PARTITION, Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.load.ledgers import Tables
    from shared.model.changes import BlobChange
    from shared.model.ledger import Observation, Transition
    from shared.model.ports import Page, Write
    from shared.reconciling.report import Report
    from shared.writing.cache import Remembered

BLOBS = 50_000
FOLDED = 200_000
LIVE = "live"
LIVE_A_SECOND = 20
MAX_DELAY_SECONDS = 2.0
REDELIVERY_SECONDS = 1.0
#: Images between their upload and the event of their deletion; a storage that is far too slow gets fewer events.
MAX_UNDER_WAY = 120
#: Delivered before the pass begins, so that the traffic is steady by then.
DELIVERED_BEFORE = 60

CLAIMS = [
    Claim("bare_listing_names_per_second", "Bare `list_blob_names` of 50,000 blobs: names a second"),
    Claim("names_per_second", "Clean reconciliation of them: names a second"),
    Claim("clean_pass_over_bare_listing", "… speed of the pass over that of the bare listing", at_least=0.95),
    Claim("ledger_writes", "… writes to the ledger", at_most=0),
    Claim("folding_us_a_name", "Our own work for a name, µs", at_most=6),
    Claim("live_events_per_second", "Live events during a pass: a second"),
    Claim("false_corrections", "… false corrections", at_most=0),
    Claim("early_corrections", "… corrections that came before their event"),
    Claim("live_pass_seconds", "… seconds of the pass"),
    Claim("live_pass_interruptions", "… times that storage did not answer for 15 s, and the pass went on"),
    Claim("live_pass_over_clean_pass", "… time of such a pass over that of a clean one"),
    Claim("peak_mb_1m_names", "1,000,000 names against 1,000,000 rows: peak of the process, MB", at_most=150),
    Claim("import_mb", "… of which the interpreter, the app and the SDK, before the pass, MB"),
    Claim("seconds_1m_names", "… seconds"),
]


class WatchedTable(AzureTable):
    """A table that counts what is written to the ledger."""

    ledger_writes = 0

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        self.ledger_writes += len(writes) if partition == PARTITION else 0
        return await super().commit(partition, writes)


class WatchedWriter(Writer):
    """A writer that tells corrections of what moves from those of what does not."""

    early = false = 0

    async def observe(self, seen: Observation, base: Remembered) -> Transition:
        """Commit what a look found."""
        transition = await super().observe(seen, base)
        if transition.delta and seen.path.startswith(f"{FOLDER}/{LIVE}/"):
            self.early += 1
        elif transition.delta:
            self.false += 1
        return transition


class Account:
    """The storage account, its ledger, and a process of the app."""

    def __init__(self, tables: Tables, blobs: BlobServiceClient) -> None:
        clock = SystemClock()
        self.blobs = blobs
        self.table = tables.table(TABLE, WatchedTable)
        counts = Counts(self.table, FINGERPRINT, clock)
        heads = BlobHeads(blobs)
        self.writer = WatchedWriter(self.table, counts, heads, clock, Random(1))
        parts = Parts(self.table, counts, self.writer, heads, BlobListing(blobs), FOLDER_MAP, clock)
        self.reconciler = Reconciler(parts)

    async def bare_seconds(self) -> float:
        """List all names, and do nothing with them."""
        started = time.perf_counter()
        listed = 0
        for folder in FOLDERS:
            names = self.blobs.get_container_client(folder).list_blob_names(results_per_page=PAGE_SIZE)
            async for page in names.by_page():
                listed += len([name async for name in page])
        assert listed == BLOBS
        return time.perf_counter() - started

    async def passed(self) -> tuple[float, Report]:
        """Reconcile."""
        started = time.perf_counter()
        report = await self.reconciler.run()
        return time.perf_counter() - started, report


async def clean(account: Account, pairs: int) -> dict[str, float]:
    """Pair passes with bare listings, the order changing from pair to pair."""
    ratios, ours, bare = [], [], []
    for number in range(pairs):
        listed = await account.bare_seconds() if number % 2 else 0.0
        seconds, report = await account.passed()
        listed = listed or await account.bare_seconds()
        assert report.clean, f"not clean: {report}"
        assert report.listed == BLOBS
        ratios.append(listed / seconds)
        ours.append(BLOBS / seconds)
        bare.append(BLOBS / listed)
    return {
        "names_per_second": statistics.median(ours),
        "bare_listing_names_per_second": statistics.median(bare),
        "clean_pass_over_bare_listing": statistics.median(ratios),
        "ledger_writes": account.table.ledger_writes,
    }


@asynccontextmanager
async def live_events(account: Account, delivered: list[float]) -> AsyncIterator[None]:
    """Upload and delete images at a steady rate, and deliver their events late and in any order."""
    random = Random(3)
    container = account.blobs.get_container_client(FOLDER)

    async def deliver(event: BlobChange) -> None:
        """Deliver late, and again after a failure, as Event Grid does."""
        await asyncio.sleep(random.uniform(0, MAX_DELAY_SECONDS))
        while True:
            with suppress(StorageError):
                await account.writer.apply(event, FOLDER)
                delivered.append(time.perf_counter())
                if len(delivered) == DELIVERED_BEFORE:
                    steady.set()
                return
            await asyncio.sleep(REDELIVERY_SECONDS)

    async def one(number: int) -> None:
        name = f"{LIVE}/{number}.jpg"
        await container.upload_blob(name, b"x", overwrite=True)
        await deliver(created(name))
        with suppress(ResourceNotFoundError):  # the SDK has tried again after an answer that it waited for too long
            await container.delete_blob(name)
        await deliver(deleted(name))

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as running:
            number, began = 0, time.perf_counter()
            while not ended.is_set():
                await room.acquire()
                running.create_task(one(number)).add_done_callback(lambda _: room.release())
                number += 1
                due = began + number * 2 / LIVE_A_SECOND  # by the clock: what came late is made up for
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), max(0.0, due - time.perf_counter()))

    steady, ended, room = asyncio.Event(), asyncio.Event(), asyncio.Semaphore(MAX_UNDER_WAY)
    uploading = asyncio.create_task(all_of_them())
    try:
        await steady.wait()
        yield
    finally:
        ended.set()
        await uploading


async def passed_at_last(account: Account, interrupted: list[StorageError]) -> float:
    """Reconcile as the timer does: what storage has cut short goes on. Returns the seconds of it all."""
    started = time.perf_counter()
    while True:
        try:
            await account.passed()
        except StorageError as error:
            interrupted.append(error)
        else:
            return time.perf_counter() - started


async def live(account: Account, passes: int, clean_names_per_second: float) -> dict[str, float]:
    """Reconcile while events arrive; afterwards everything must still be right."""
    delivered: list[float] = []
    interrupted: list[StorageError] = []
    async with live_events(account, delivered):
        began, before = time.perf_counter(), len(delivered)
        seconds = [await passed_at_last(account, interrupted) for _ in range(passes)]
        rate = (len(delivered) - before) / (time.perf_counter() - began)
    early, false = account.writer.early, account.writer.false
    _, report = await account.passed()
    assert report.corrected == 0, f"the ledger differs from the account after the live events: {report}"
    return {
        "live_events_per_second": rate,
        "live_pass_interruptions": len(interrupted),
        "false_corrections": false,
        "early_corrections": early,
        "live_pass_seconds": statistics.median(seconds),
        "live_pass_over_clean_pass": statistics.median(seconds) * clean_names_per_second / BLOBS,
    }


class _InMemory:
    """A listing whose pages are there already."""

    def __init__(self, pages: list[Page]) -> None:
        self._pages = pages

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        assert not prefix
        assert not token
        for page in self._pages if container == FOLDER else []:
            yield page


async def folding(rounds: int) -> float:
    """Return the microseconds that a name takes in a clean pass, when listing it takes nothing."""
    table, clock, blobs = SqliteTable(":memory:"), SystemClock(), GeneratedBlobs(FOLDED)
    names = [name_of(number) for number in range(FOLDED)]
    counts = await open_ledger(table, names)
    writer = Writer(table, counts, blobs, clock, Random(1))
    listing = _InMemory([page async for page in blobs.pages(FOLDER, "")])
    reconciler = Reconciler(Parts(table, counts, writer, blobs, listing, FOLDER_MAP, clock))
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        report = await reconciler.run()
        seconds.append(time.perf_counter() - started)
        assert report.clean
        assert report.listed == FOLDED
    return statistics.median(seconds) / FOLDED * 1e6


async def on_azurite(connection_string: str, options: argparse.Namespace) -> dict[str, float]:
    """Run what needs a storage account."""
    async with (
        connected(connection_string) as tables,
        BlobServiceClient.from_connection_string(connection_string, transport=connections(), retry_total=2) as blobs,
    ):
        account = Account(tables, blobs)
        print("clean passes and bare listings …", flush=True)
        results = await clean(account, options.pairs)
        print("passes under traffic …", flush=True)
        return results | await live(account, options.live_passes, results["names_per_second"])


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="of a clean pass and a bare listing")
    parser.add_argument("--live-passes", type=int, default=1, help="under traffic")
    parser.add_argument("--names", type=int, default=1_000_000, help="of the process whose memory is measured")
    options = parser.parse_args()
    with Azurite() as azurite:
        azurite.stop()
        fill(azurite, [name_of(number) for number in range(BLOBS)], FINGERPRINT)
        azurite.start()
        results = asyncio.run(on_azurite(azurite.connection_string, options))
    print("folding …", flush=True)
    results["folding_us_a_name"] = asyncio.run(folding(5))
    print("a million names …", flush=True)
    heavy = memory.measure(options.names)
    results |= {"peak_mb_1m_names": heavy["peak_mb"], "import_mb": heavy["before_mb"]}
    results["seconds_1m_names"] = heavy["seconds"]
    finish("reconcile", CLAIMS, results)


if __name__ == "__main__":
    main()
