"""Passes under traffic: images come and go at a steady rate, and each of their events arrives late."""

from __future__ import annotations

import asyncio
import statistics
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from bench.load.generated import FOLDER_MAP
from bench.load.ledgers import FINGERPRINT, FOLDER, created, deleted
from bench.load.watched_table import WatchedTable
from shared.errors import StorageError
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.clock import Clock
    from shared.model.changes import BlobChange
    from shared.model.ledger import Observation, Transition
    from shared.model.ports import Heads, Listing, Page, Table
    from shared.reconciling.report import Report
    from shared.writing.cache import Remembered

#: What comes and goes ends like this; nothing happens to other names.
LIVE = "-live.jpg"
REDELIVERY_SECONDS = 1.0
#: Images between their upload and the event of their deletion; a storage that is far too slow gets fewer events.
MAX_UNDER_WAY = 400
#: Delivered before the pass begins, so that the traffic is steady by then.
DELIVERED_BEFORE = 60
DIFFERENT_CASES = 100


class WatchedListing:
    """A listing that counts how often it is begun."""

    def __init__(self, listing: Listing) -> None:
        self.listings = 0
        self._listing = listing

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """List."""
        self.listings += container == FOLDER and not token
        async for page in self._listing.pages(container, prefix, token):
            yield page


class WatchedWriter(Writer):
    """A writer that tells corrections of what moves from those of what does not."""

    early = false = 0

    async def observe(self, seen: Observation, base: Remembered) -> Transition:
        """Commit what a look found."""
        transition = await super().observe(seen, base)
        if transition.delta and seen.path.endswith(LIVE):
            self.early += 1
        elif transition.delta:
            self.false += 1
        return transition


class Account(ABC):
    """A storage account, its ledger, and a process of the app.

    Args:
        table: The ledger's table.
        heads: Looks at its blobs.
        listing: Lists them.
        clock: Time.
    """

    def __init__(self, table: Table, heads: Heads, listing: Listing, clock: Clock) -> None:
        self.clock = clock
        self.table = WatchedTable(table)
        self.listing = WatchedListing(listing)
        self.counts = Counts(self.table, FINGERPRINT, clock)
        self.writer = WatchedWriter(self.table, self.counts, heads, clock, Random(1))
        parts = Parts(self.table, self.counts, self.writer, heads, self.listing, FOLDER_MAP, clock)
        self._reconciler = Reconciler(parts)

    @abstractmethod
    async def bare_seconds(self) -> float:
        """List all names, and do nothing with them; return the seconds."""

    @abstractmethod
    async def upload(self, name: str) -> None:
        """Upload a blob."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Delete a blob."""

    async def passed(self) -> tuple[float, Report]:
        """Reconcile; return the seconds too."""
        started = self.clock.monotonic()
        report = await self._reconciler.run()
        return self.clock.monotonic() - started, report


@asynccontextmanager
async def live_events(
    account: Account, delivered: list[float], a_second: float, max_delay_seconds: float
) -> AsyncIterator[None]:
    """Upload and delete images at a steady rate, and deliver their events late and in any order."""
    random, clock = Random(3), account.clock

    async def deliver(event: BlobChange) -> None:
        """Deliver late, and again after a failure, as Event Grid does."""
        await clock.sleep(random.uniform(0, max_delay_seconds))
        while True:
            with suppress(StorageError):
                await account.writer.apply(event, FOLDER)
                delivered.append(clock.monotonic())
                if len(delivered) == DELIVERED_BEFORE:
                    steady.set()
                return
            await clock.sleep(REDELIVERY_SECONDS)

    async def one(number: int) -> None:
        name = f"case-{random.randrange(DIFFERENT_CASES):06}/{number:08}{LIVE}"
        await account.upload(name)
        await deliver(replace(created(name), event_time=clock.now()))
        await account.delete(name)
        await deliver(replace(deleted(name), event_time=clock.now()))

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as running:
            number, began = 0, clock.monotonic()
            while not ended.is_set():
                await room.acquire()
                running.create_task(one(number)).add_done_callback(lambda _: room.release())
                number += 1
                due = began + number * 2 / a_second  # by the clock: what came late is made up for
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), max(0.0, due - clock.monotonic()))

    steady, ended, room = asyncio.Event(), asyncio.Event(), asyncio.Semaphore(MAX_UNDER_WAY)
    uploading = asyncio.create_task(all_of_them())
    try:
        await steady.wait()
        yield
    finally:
        ended.set()
        await uploading


async def passed_at_last(account: Account, interrupted: list[StorageError]) -> tuple[float, Report]:
    """Reconcile as the timer does: what storage has cut short goes on. Returns the seconds of it all."""
    started = account.clock.monotonic()
    while True:
        try:
            _, report = await account.passed()
        except StorageError as error:
            interrupted.append(error)
        else:
            return account.clock.monotonic() - started, report


async def under_traffic(account: Account, a_second: float, max_delay_seconds: float, pairs: int) -> dict[str, float]:
    """Pair passes with bare listings while events arrive; afterwards everything must still be right."""
    delivered: list[float] = []
    interrupted: list[StorageError] = []
    seconds, ratios, differences = [], [], []
    table, writer, clock = account.table, account.writer, account.clock
    scans, early, false = table.scans, writer.early, writer.false
    async with live_events(account, delivered, a_second, max_delay_seconds):
        began, before = clock.monotonic(), len(delivered)
        for number in range(pairs):
            listed = await account.bare_seconds() if number % 2 else 0.0
            took, report = await passed_at_last(account, interrupted)
            listed = listed or await account.bare_seconds()
            seconds.append(took)
            ratios.append(took / listed)
            differences.append(report.differences)
        rate = (len(delivered) - before) / (clock.monotonic() - began)
    scans = table.scans - scans
    _, report = await account.passed()
    assert report.corrected == 0, f"the ledger differs from the account after the live events: {report}"
    return {
        "live_events": rate,
        "times_listing": statistics.median(ratios),
        "pass_seconds": statistics.median(seconds),
        "differences": max(differences),
        "scans": scans,
        "early_corrections": writer.early - early,
        "false_corrections": writer.false - false,
        "interruptions": len(interrupted),
    }
