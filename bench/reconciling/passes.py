"""Reconciliation: what a pass costs above the listing that it has to do anyway, and what it writes.

``make bench-reconcile``, on an Azurite with 50,000 blobs and their ledger (``bench/load/mass.py``):

- *clean*: passes of the app's reconciler and bare ``list_blob_names`` loops over the same containers with the same
  page size, reading all names; in turn, and the median of the pairs;
- *folding*: a clean pass over 200,000 names that are in memory already: all of our own work for a name;
- *traffic*: passes while 20 and 100 events a second arrive (uploads and deletions, each told to the writer after a
  random time of up to 2 s), in turn with bare listings under the same traffic, in virtual time: a page takes what one
  took above, a name our own work what *folding* says, the table what Azure's takes (:mod:`bench.load.virtual_table`).
  On Azurite, one thread, uploads beside listings of 50,000 blobs time out at 20 events a second. A correction is
  *false* when it concerns a blob that nothing happened to, or is wrong when all events have arrived; one that comes
  before its event is *early*;
- *planted*: 60 creations and 40 deletions of which no event came, repaired in one pass;
- *memory*: a million names against a million rows in a process of its own (``bench/reconciling/memory.py``).

Not measured: Azure's own listing, which is five times faster than Azurite's, so that our share is larger there; nor a
network, which makes it smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

from bench.load.generated import FOLDER_MAP, GeneratedBlobs, SqliteTable, name_of
from bench.load.ledgers import FINGERPRINT, FOLDER, connected, open_ledger
from bench.load.mass import TABLE, fill
from bench.reconciling import memory
from bench.reconciling.traffic import LIVE, Account, under_traffic
from bench.reconciling.virtual import VirtualAccount
from bench.report import Claim, finish
from localdev import virtual_time
from localdev.azurite import Azurite
from shared.azure.clients import connections
from shared.azure.heads import BlobHeads
from shared.azure.listing import PAGE_SIZE, BlobListing
from shared.clock import SystemClock
from shared.model.folders import FOLDERS
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.load.ledgers import Tables
    from shared.model.ports import Page

BLOBS = 50_000
FOLDED = 200_000
EVENTS_A_SECOND = {20: 1.3, 100: 1.6}
MAX_DELAY_SECONDS = 2.0
PLANTED_CREATIONS, PLANTED_DELETIONS = 60, 40
#: What happened in the second in which a pass begins is live.
MARGIN_SECONDS = 2.0


def _under_traffic(a_second: int, most: float) -> list[Claim]:
    """Return what is shown of passes under traffic."""
    suffix = f"_at_{a_second}_per_second"
    return [
        Claim(
            f"times_listing{suffix}", f"{a_second} events a second: time of a pass over a bare listing's", at_most=most
        ),
        Claim(f"times_clean{suffix}", "… over that of a pass without traffic"),
        Claim(f"differences{suffix}", "… names by which listing and ledger differed, at most"),
        Claim(f"early_corrections{suffix}", "… corrections that came before their event"),
    ]


CLAIMS = [
    Claim("bare_listing_names_per_second", "Bare `list_blob_names` of 50,000 blobs: names a second"),
    Claim("names_per_second", "Clean reconciliation of them: names a second"),
    Claim("clean_pass_over_bare_listing", "… speed of the pass over that of the bare listing", at_least=0.95),
    Claim("ledger_writes", "… writes to the ledger", at_most=0),
    Claim("folding_us_a_name", "Our own work for a name, µs", at_most=4),
    *(claim for a_second, most in EVENTS_A_SECOND.items() for claim in _under_traffic(a_second, most)),
    Claim("false_corrections", "All of these passes: false corrections", at_most=0),
    Claim("ledger_scans_under_traffic", "… scans of the ledger", at_most=0),
    Claim("listings_for_100_differences", "100 lost events: listings", at_most=2),
    Claim("table_reads_per_difference", "… table reads a difference", at_most=5),
    Claim("ledger_scans_for_100_differences", "… scans of the ledger", at_most=0),
    Claim("listings_for_100_differences_1m_names", "… and among 1,000,000 names in virtual time: listings", at_most=2),
    Claim("table_reads_per_difference_1m_names", "… table reads a difference", at_most=5),
    Claim("ledger_scans_for_100_differences_1m_names", "… scans of the ledger", at_most=0),
    Claim("peak_mb_1m_names", "1,000,000 names against 1,000,000 rows: peak of the process, MB", at_most=150),
    Claim("import_mb", "… of which the interpreter, the app and the SDK, before the pass, MB"),
    Claim("seconds_1m_names", "… seconds"),
]


class AzuriteAccount(Account):
    """50,000 blobs on Azurite, and their ledger."""

    def __init__(self, tables: Tables, blobs: BlobServiceClient) -> None:
        listing = BlobListing(blobs)
        super().__init__(tables.table(TABLE), BlobHeads(blobs), listing, SystemClock())
        self._blobs = blobs
        self.container = blobs.get_container_client(FOLDER)

    async def bare_seconds(self) -> float:
        """List all names, and do nothing with them."""
        started = time.perf_counter()
        listed = 0
        for folder in FOLDERS:
            names = self._blobs.get_container_client(folder).list_blob_names(results_per_page=PAGE_SIZE)
            async for page in names.by_page():
                listed += len([name async for name in page])
        assert listed >= BLOBS
        return time.perf_counter() - started

    async def upload(self, name: str) -> None:
        """Upload a blob."""
        await self.container.upload_blob(name, b"x", overwrite=True)

    async def delete(self, name: str) -> None:
        """Delete a blob."""
        with suppress(ResourceNotFoundError):  # the SDK has tried again after an answer that it waited for too long
            await self.container.delete_blob(name)


async def clean(account: AzuriteAccount, pairs: int) -> dict[str, float]:
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
        "ledger_writes": account.table.rows_written,
    }


async def planted(account: Account) -> dict[str, float]:
    """Upload and delete behind the app's back, and reconcile."""
    for number in range(PLANTED_CREATIONS):
        await account.upload(f"planted-{number}{LIVE}")
    for number in range(PLANTED_DELETIONS):
        await account.delete(name_of(number))
    await account.clock.sleep(MARGIN_SECONDS)
    listing, table = account.listing, account.table
    before = listing.listings, table.reads, table.scans
    _, report = await account.passed()
    assert report.corrected == PLANTED_CREATIONS + PLANTED_DELETIONS, report
    return {
        "listings_for_100_differences": listing.listings - before[0],
        "table_reads_per_difference": (table.reads - before[1]) / report.corrected,
        "ledger_scans_for_100_differences": table.scans - before[2],
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
        account = AzuriteAccount(tables, blobs)
        print("clean passes and bare listings …", flush=True)
        results = await clean(account, options.pairs)
        print("what was lost …", flush=True)
        return results | await planted(account)


async def in_virtual_time(account: VirtualAccount, a_second: int, pairs: int) -> dict[str, float]:
    """Run passes under traffic, and hold them against one without."""
    await account.fill()
    seconds, report = await account.passed()
    assert report.clean
    found = await under_traffic(account, a_second, MAX_DELAY_SECONDS, pairs)
    return found | {"times_clean": found["pass_seconds"] / seconds}


async def planted_in_virtual_time(account: VirtualAccount) -> dict[str, float]:
    """Repair what was lost, among many names."""
    await account.fill()
    return await planted(account)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="of a clean pass and a bare listing")
    parser.add_argument("--live-pairs", type=int, default=21, help="of a pass and a bare listing under traffic")
    parser.add_argument("--names", type=int, default=1_000_000, help="of the process whose memory is measured")
    options = parser.parse_args()
    with Azurite() as azurite:
        azurite.stop()
        fill(azurite, [name_of(number) for number in range(BLOBS)], FINGERPRINT)
        azurite.start()
        results = asyncio.run(on_azurite(azurite.connection_string, options))
    print("folding …", flush=True)
    results["folding_us_a_name"] = asyncio.run(folding(5))
    print("passes under traffic …", flush=True)
    page_seconds = PAGE_SIZE / results["bare_listing_names_per_second"]
    for a_second in EVENTS_A_SECOND:
        account = VirtualAccount(BLOBS, page_seconds, results["folding_us_a_name"] / 1e6)
        found = virtual_time.run(in_virtual_time(account, a_second, options.live_pairs))
        results |= {f"{name}_at_{a_second}_per_second": value for name, value in found.items()}
    for name, summed in (("ledger_scans_under_traffic", "scans_at"), ("false_corrections", "false_corrections_at")):
        results[name] = sum(value for each, value in results.items() if each.startswith(summed))
    account = VirtualAccount(options.names, page_seconds, 0.0)
    found = virtual_time.run(planted_in_virtual_time(account))
    results |= {f"{name}_1m_names": value for name, value in found.items()}
    print("a million names …", flush=True)
    heavy = memory.measure(options.names)
    results |= {"peak_mb_1m_names": heavy["peak_mb"], "import_mb": heavy["before_mb"]}
    results["seconds_1m_names"] = heavy["seconds"]
    finish("reconcile", CLAIMS, results)


if __name__ == "__main__":
    main()
