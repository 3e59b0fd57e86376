"""The comparison of the ledger with a listing, name by name, and the repair of what is wrong.

Neither side is a snapshot: both are read under traffic. So what differs is only *nominated*. Each nominee is looked
at (HEAD), and what the blob says is committed on condition that the row is still the one read before the HEAD; the
row keeps the time of the look, so that a late, older event cannot undo it. What changed since the run began is live,
and left to its events; a removal is held back for a moment, so that an event on its way comes first.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.counts import TALLY_KEY
from shared.errors import Rejected
from shared.keyset import Buckets, KeySet
from shared.ledger import Observation, decide_observed, from_properties, row_key
from shared.memory import Remembered
from shared.planning import RowChanged
from shared.ports import PropertyRange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from datetime import datetime

    from shared.clock import Clock
    from shared.folders import FolderMap, Location
    from shared.ports import Head, Heads, Page, Table
    from shared.report import Report
    from shared.writer import Writer

log = logging.getLogger(__name__)

_ALL_KEYS: Final = 1 << 128
#: Rows compared in one go: 9 MB, and a scan that is far shorter than a slice. A larger ledger is compared range by
#: range of its keys, each with a listing of its own.
ROWS_AT_ONCE: Final = 500_000
CONCURRENT_LOOKS: Final = 32
#: Nominees whose absence is held back together.
HELD_BACK: Final = 2000


class Comparison:
    """One comparison.

    Args:
        table: The ledger's table.
        partition: Where in it the rows are.
        writer: The way into the ledger.
        heads: Looks at blobs.
        folders: What counts as an image.
        clock: Time.
        since: What changed later is live; None: nothing is.
        report: Where findings are noted.
        keep_going: Called between steps; may raise to end the run.
        grace_seconds: How long a removal is held back for an event that may be on its way; not where nothing is live.
        commit: False to change nothing, and only note what would be corrected.

    Attributes:
        differs: Whether a name was listed or counted that the other side does not have.
    """

    def __init__(
        self,
        table: Table,
        partition: str,
        writer: Writer,
        heads: Heads,
        folders: FolderMap,
        clock: Clock,
        since: datetime | None,
        report: Report,
        keep_going: Callable[[str, int], Awaitable[None]],
        *,
        grace_seconds: float,
        commit: bool = True,
    ) -> None:
        self._table = table
        self._partition = partition
        self._writer = writer
        self._heads = heads
        self._folders = folders
        self._clock = clock
        self._since = since
        self._report = report
        self._keep_going = keep_going
        self._grace_seconds = grace_seconds
        self._commits = commit
        self.differs = False
        self._counted = KeySet()
        self._missing = Buckets()
        self._after, self._upto = -1, _ALL_KEYS

    async def scan(self, after: str, upto: str, within: Location | None = None) -> str:
        """Read the keys of the rows that say "present", of so many rows as are held at once.

        Args:
            after: Only rows with greater keys.
            upto: The last key to read, unless there are too many rows by now; "" for all the rest.
            within: Only rows of this location.

        Returns:
            The last key of the range that is compared now; "" when that is all the rest.
        """
        upto = await self._scan(after, upto, within)
        self._after = int(after, 16) if after else -1
        self._upto = int(upto, 16) if upto else _ALL_KEYS
        return upto

    async def _scan(self, after: str, upto: str, within: Location | None) -> str:
        paths = _range_of(within) if within is not None else None
        visited = 0
        async for page in self._table.scan(self._partition, ["present"], after=after, within=paths):
            for entity in page:
                if upto and entity.row_key > upto:
                    return upto
                if entity.row_key != TALLY_KEY and entity.properties["present"]:
                    self._counted.append(int(entity.row_key, 16))
            visited += len(page)
            if visited >= ROWS_AT_ONCE and page and page[-1].row_key != TALLY_KEY:
                return page[-1].row_key
            await self._keep_going("scanning the ledger", visited)
        return upto

    async def take_page(self, folder: str, container: str, page: Page) -> dict[int, str]:
        """Compare a page of the listing, and count what was missing.

        Returns:
            Row key → path of what was in the range.
        """
        listed: dict[int, str] = {}
        missing: list[str] = []
        for name in page.names:
            if not self._folders.is_image(name):
                continue
            path = f"{container}/{name}"
            key = int(row_key(path), 16)
            if not self._after < key <= self._upto:
                continue
            listed[key] = path
            if not self._counted.mark(key):
                missing.append(path)
                self._missing.add(key)
        self.differs |= bool(missing)
        if self._report.bootstrap and self._commits:
            await self._add_in_bulk(missing, folder, page.date)
        else:
            await self._bounded(self._add(path, folder) for path in missing)
        return listed

    async def remove_unlisted(self, seen: Buckets | None = None) -> None:
        """Look at what is counted and was not listed.

        Args:
            seen: The row keys of the whole listing, when this process has seen only a part of it: then what is in
                buckets that do not add up is looked at.
        """
        counted = self._counted.buckets(self._missing) if seen is not None else None
        nominees = (
            key
            for key in self._counted.unmarked()
            if seen is None or counted is None or not counted.agree_on(key, seen)
        )
        for some in batched(nominees, HELD_BACK, strict=False):
            self.differs = True
            absent: list[tuple[Observation, Remembered]] = []
            await self._bounded(self._look_at_unlisted(key, absent) for key in some)
            if absent and self._since is not None and self._commits:
                await self._clock.sleep(self._grace_seconds)
            await self._bounded(self._commit(seen, base) for seen, base in absent)

    async def _add_in_bulk(self, paths: list[str], folder: str, date: datetime) -> None:
        """Count a page of names at once, on condition that they have no rows yet; those that have are looked at."""
        nothing = Remembered(None, None, self._clock.monotonic())
        known: list[str] = []

        async def add(path: str) -> None:
            seen = Observation(path, folder, present=True, observed_at=date)
            try:
                self._report.count(folder, (await self._writer.observe(seen, nothing)).delta)
            except RowChanged:
                known.append(path)
            except Rejected as error:
                self._note_refused(error)

        await _all(add(path) for path in paths)
        await self._bounded(self._add(path, folder) for path in known)

    async def _add(self, path: str, folder: str) -> None:
        base = await self._writer.read_row(path)
        if base.row is not None and (base.row.present or self._is_live(base.row.event_time)):
            return
        container, _, name = path.partition("/")
        head = await self._look(container, name)
        if not head.present or self._is_live(head.last_modified):
            return
        await self._commit(Observation(path, folder, present=True, observed_at=head.date, etag=head.etag), base)

    async def _look_at_unlisted(self, key: int, absent: list[tuple[Observation, Remembered]]) -> None:
        entity = await self._table.read(self._partition, f"{key:032x}")
        if entity is None:
            return
        row = from_properties(entity.properties)
        base = await self._writer.read_row(row.path)
        if base.row is None or not base.row.present or self._is_live(base.row.event_time):
            return
        container, _, name = row.path.partition("/")
        head = await self._look(container, name)
        if not head.present:
            absent.append((Observation(row.path, row.folder, present=False, observed_at=head.date), base))

    async def _look(self, container: str, name: str) -> Head:
        self._report.looks += 1
        return await self._heads.head(container, name)

    def _is_live(self, changed_at: datetime | None) -> bool:
        # Last-Modified has no fractions of a second.
        return self._since is not None and changed_at is not None and changed_at >= self._since.replace(microsecond=0)

    async def _commit(self, seen: Observation, base: Remembered) -> None:
        if not self._commits:
            self._report.count(seen.folder, decide_observed(base.row, seen).delta)
            return
        try:
            self._report.count(seen.folder, (await self._writer.observe(seen, base)).delta)
        except RowChanged:
            return  # an event came first; it knows better
        except Rejected as error:
            self._note_refused(error)

    def _note_refused(self, error: Rejected) -> None:
        """One row that storage will never take must not keep all others from being reconciled."""
        self._report.refused += 1
        log.error("a blob cannot be counted, storage refuses its row: %s", error)

    async def _bounded(self, steps: Iterable[Coroutine[None, None, None]]) -> None:
        for some in batched(steps, CONCURRENT_LOOKS, strict=False):
            await _all(some)
            await self._keep_going("repairing", self._report.looks)


async def _all(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all of it, then raise what went wrong first."""
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _range_of(location: Location) -> PropertyRange:
    start = f"{location.container}/{location.prefix}"
    return PropertyRange("path", start, start[:-1] + chr(ord("/") + 1))


def parts_within(locations: Mapping[str, Location], wanted: Location) -> dict[str, Location]:
    """Return the parts of the folders that lie in a location, by folder."""
    return {
        folder: location if wanted.holds(location.container, location.prefix) else wanted
        for folder, location in locations.items()
        if location.overlaps(wanted)
    }
