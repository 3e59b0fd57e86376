"""An account in virtual time: its pages take what they are said to take, and our own work on them too."""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from bench.load.generated import LONG_AGO, name_of
from bench.load.ledgers import CREATED, ETAG, FOLDER
from bench.load.virtual_table import VirtualTable
from bench.reconciling.traffic import Account
from localdev.virtual_time import VirtualClock
from shared.azure.listing import PAGE_SIZE
from shared.model import ledger
from shared.model.folders import FOLDERS
from shared.model.ledger import Row, path_hashes, row_key
from shared.model.ports import Head, Page
from shared.model.sketch import Sketch
from shared.model.tally import fold
from shared.writing.tally_row import PARTITION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAD_SECONDS = 0.012


class VirtualBlobs:
    """Blobs whose listing and looks take virtual time.

    Args:
        names: What is there.
        clock: Virtual time.
        page_seconds: How long a page takes.
        own_seconds_a_name: How long the reader of a page works on each of its names.
    """

    def __init__(self, names: list[str], clock: VirtualClock, page_seconds: float, own_seconds_a_name: float) -> None:
        self.names = sorted(names)
        self._clock = clock
        self._page_seconds = page_seconds
        self._own_seconds_a_name = own_seconds_a_name

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """List, page by page; what is there as a page is answered is in it."""
        assert not prefix
        while True:
            await asyncio.sleep(self._page_seconds)
            names = self.names if container == FOLDER else []
            start = bisect_right(names, token)
            found = names[start : start + PAGE_SIZE]
            token = found[-1] if start + PAGE_SIZE < len(names) else ""
            yield Page(found, self._clock.now().replace(microsecond=0), token)
            await asyncio.sleep(len(found) * self._own_seconds_a_name)
            if not token:
                return

    async def head(self, container: str, name: str) -> Head:
        """Look at a blob."""
        assert container == FOLDER
        await asyncio.sleep(HEAD_SECONDS)
        present = name in self.names[bisect_right(self.names, name) - 1 :][:1]
        date = self._clock.now().replace(microsecond=0)
        return Head(present, date, ETAG if present else "", LONG_AGO if present else None)


class VirtualAccount(Account):
    """An account in virtual time, whose ledger is right.

    Args:
        count: Its blobs.
        page_seconds: How long a page of its listing takes.
        own_seconds_a_name: How long a reconciliation works on each name.
    """

    def __init__(self, count: int, page_seconds: float, own_seconds_a_name: float) -> None:
        clock = VirtualClock(datetime.now(UTC))
        self._names = [name_of(number) for number in range(count)]
        self._storage = VirtualTable(Random(2), clock)
        self._blobs = VirtualBlobs(self._names, clock, page_seconds, own_seconds_a_name)
        self._bare = VirtualBlobs(self._names, clock, page_seconds, 0.0)
        self._bare.names = self._blobs.names
        super().__init__(self._storage, self._blobs, self._blobs, clock)

    async def fill(self) -> None:
        """Write the ledger."""
        stored = await self.counts.open()
        paths = [f"{FOLDER}/{name}" for name in self._names]
        rows = (Row(path, FOLDER, present=True, sequencer=CREATED, etag=ETAG, event_time=LONG_AGO) for path in paths)
        self._storage.fill(PARTITION, ((row_key(row.path), ledger.to_properties(row)) for row in rows))
        sketch = Sketch(stored.tally.digest_key)
        sketch.add(list(path_hashes(paths)))
        held = {**stored.tally.sums, FOLDER: fold(stored.tally.digest_key, paths)}
        await self.counts.change(
            lambda tally: replace(tally.holding(held, sketch, LONG_AGO), ready=True, known_since=LONG_AGO)
        )

    async def bare_seconds(self) -> float:
        """List all names, and do nothing with them."""
        started = self.clock.monotonic()
        for folder in FOLDERS:
            async for _ in self._bare.pages(folder, ""):
                pass
        return self.clock.monotonic() - started

    async def upload(self, name: str) -> None:
        """Upload a blob."""
        insort(self._blobs.names, name)

    async def delete(self, name: str) -> None:
        """Delete a blob."""
        self._blobs.names.remove(name)
