"""Reconciliation: the storage account itself, listed, against the ledger. Nothing else in the app lists.

1. The listing is folded into (count, digest) per folder. Equal to the tally means that the sets of names are equal:
   clean, nothing is written and nobody wakes.
2. Otherwise the ledger is scanned and compared with a listing. What differs is only *nominated*: both were read
   under traffic, and neither is a snapshot.
3. Each nominee is looked at (HEAD). What the blob says is committed on condition that the row is still the one
   read before the HEAD; the row keeps the time of the look, so that a late, older event cannot undo it. What
   changed since the pass began is live, and left to its events.

The first run on an account is the same operation on an empty ledger, in bulk and without HEADs; until it has
completed the counts are not ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import asdict, dataclass, field, replace
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.clock import to_iso
from shared.counts import PARTITION, TALLY_KEY
from shared.errors import Conflict, ContainerAbsent
from shared.ledger import Observation, from_properties, row_key
from shared.planning import Remembered, RowChanged
from shared.ports import Write
from shared.tally import Sum, fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable
    from datetime import datetime

    from shared.clock import Clock
    from shared.counts import Counts
    from shared.folders import FolderMap
    from shared.ports import Heads, Listing, Page, Table
    from shared.tally import Tally
    from shared.writer import Writer

log = logging.getLogger(__name__)

CONTROL_PARTITION: Final = "control"
REPORT_KEY: Final = "last-reconciliation"
CONCURRENT_LOOKS: Final = 32


@dataclass(slots=True)
class Report:
    """What a reconciliation found.

    Attributes:
        started_at: ISO 8601.
        duration_seconds: How long it took.
        listed: Blobs that count, as listed.
        clean: True when nothing had to be compared: the listing equals the tally.
        bootstrap: True when it was the account's first.
        added: Folder → names that were there and not counted.
        removed: Folder → names that were counted and not there.
    """

    started_at: str
    duration_seconds: float = 0.0
    listed: int = 0
    clean: bool = False
    bootstrap: bool = False
    added: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def corrected(self) -> int:
        """How many rows were wrong."""
        return sum(self.added.values()) + sum(self.removed.values())

    def count(self, folder: str, delta: int) -> None:
        """Note one correction (0 is none)."""
        if delta:
            side = self.added if delta > 0 else self.removed
            side[folder] = side.get(folder, 0) + 1


class Reconciler:
    """Brings the ledger to what the storage account holds.

    Args:
        table: The ledger's table.
        counts: The tally.
        writer: The way into the ledger.
        heads: Looks at blobs.
        listing: Lists containers.
        folders: What to list.
        clock: Time.
    """

    def __init__(
        self,
        table: Table,
        counts: Counts,
        writer: Writer,
        heads: Heads,
        listing: Listing,
        folders: FolderMap,
        clock: Clock,
    ) -> None:
        self._table = table
        self._counts = counts
        self._writer = writer
        self._heads = heads
        self._listing = listing
        self._folders = folders
        self._clock = clock

    async def run(self) -> Report:
        """Reconcile once.

        Raises:
            StorageError: Storage did not answer; what was corrected so far stays, the next run goes on.
        """
        started_at, started = self._clock.now(), self._clock.monotonic()
        before = (await self._counts.open()).tally
        report = Report(to_iso(started_at), bootstrap=not before.ready)
        listed = await self._fold_listing(before.digest_key, report)
        after = (await self._counts.open()).tally
        report.clean = listed in (dict(before.sums), dict(after.sums))
        if not report.clean:
            await self._compare(started_at, report)
        if report.bootstrap:
            await self._set_ready()
        report.duration_seconds = round(self._clock.monotonic() - started, 3)
        await self._store(report)
        level = logging.WARNING if report.corrected and not report.bootstrap else logging.INFO
        log.log(level, "reconciled: %s", asdict(report))
        return report

    async def last_report(self) -> dict[str, object] | None:
        """Return the last run's report, or None."""
        entity = await self._table.read(CONTROL_PARTITION, REPORT_KEY)
        if entity is None:
            return None
        report: dict[str, object] = json.loads(str(entity.properties["report"]))
        return report

    async def _pages(self) -> AsyncIterator[tuple[str, str, Page]]:
        for folder, location in self._folders.locations.items():
            with contextlib.suppress(ContainerAbsent):
                async for page in self._listing.pages(location.container, location.prefix):
                    yield folder, location.container, page

    def _images(self, container: str, page: Page) -> Iterable[str]:
        return (f"{container}/{name}" for name in page.names if self._folders.is_image(name))

    async def _fold_listing(self, digest_key: bytes, report: Report) -> dict[str, Sum]:
        sums = dict.fromkeys(self._folders.locations, Sum())
        async for folder, container, page in self._pages():
            sums[folder] = fold(digest_key, self._images(container, page), sums[folder])
        report.listed = sum(total.count for total in sums.values())
        return sums

    async def _compare(self, since: datetime, report: Report) -> None:
        counted = await self._counted_keys()
        async for folder, container, page in self._pages():
            missing = []
            for path in self._images(container, page):
                key = bytes.fromhex(row_key(path))
                if key in counted:
                    counted.discard(key)
                else:
                    missing.append(path)
            if report.bootstrap:
                await self._add_in_bulk(missing, folder, page.date, since, report)
            else:
                await _bounded(self._repair(path, folder, since, report) for path in missing)
        await _bounded(self._remove(key.hex(), since, report) for key in counted)

    async def _counted_keys(self) -> set[bytes]:
        """Return the keys of all rows that say "present": 16 bytes a blob, however long its name."""
        keys: set[bytes] = set()
        async for page in self._table.scan(PARTITION, select=["present"]):
            keys.update(
                bytes.fromhex(entity.row_key)
                for entity in page
                if entity.row_key != TALLY_KEY and entity.properties["present"]
            )
        return keys

    async def _add_in_bulk(
        self, paths: list[str], folder: str, date: datetime, since: datetime, report: Report
    ) -> None:
        """Count a page of names at once, on condition that they have no rows yet; those that have are looked at."""
        nothing = Remembered(None, None, self._clock.monotonic())

        async def add(path: str) -> None:
            seen = Observation(path, folder, present=True, observed_at=date)
            try:
                report.count(folder, (await self._writer.observe(seen, nothing)).delta)
            except RowChanged:
                await self._repair(path, folder, since, report)

        await asyncio.gather(*(add(path) for path in paths))

    async def _remove(self, key: str, since: datetime, report: Report) -> None:
        entity = await self._table.read(PARTITION, key)
        if entity is not None:
            row = from_properties(entity.properties)
            await self._repair(row.path, row.folder, since, report)

    async def _repair(self, path: str, folder: str, since: datetime, report: Report) -> None:
        """Look at a nominated blob and correct its row, if it is wrong and nothing is moving."""
        base = await self._writer.read_row(path)
        counted = base.row is not None and base.row.present
        if base.row is not None and base.row.event_time is not None and base.row.event_time > since:
            return
        container, _, name = path.partition("/")
        head = await self._heads.head(container, name)
        if head.present == counted:
            return
        if not report.bootstrap and head.last_modified is not None and head.last_modified > since:
            return
        seen = Observation(path, folder, head.present, head.date, head.etag)
        try:
            report.count(folder, (await self._writer.observe(seen, base)).delta)
        except RowChanged:
            return  # an event came first; it knows better

    async def _set_ready(self) -> None:
        while True:
            stored = await self._counts.open()
            ready: Tally = replace(stored.tally, ready=True)
            try:
                await self._table.commit(PARTITION, [stored.write(ready)])
            except Conflict:
                continue
            return

    async def _store(self, report: Report) -> None:
        entity = await self._table.read(CONTROL_PARTITION, REPORT_KEY)
        write = Write(REPORT_KEY, {"report": json.dumps(asdict(report))}, entity.etag if entity else None)
        try:
            await self._table.commit(CONTROL_PARTITION, [write])
        except Conflict:
            log.info("another reconciliation has stored its report")


async def _bounded(steps: Iterable[Coroutine[None, None, None]]) -> None:
    for some in batched(steps, CONCURRENT_LOOKS, strict=False):
        await asyncio.gather(*some)
