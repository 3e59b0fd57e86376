"""The comparison of the ledger with a listing, name by name, and the repair of what is wrong.

Neither side is a snapshot: both are read under traffic. So what differs is only *nominated*. Each nominee is looked
at (HEAD), and what the blob says is committed on condition that the row is still the one read before the HEAD; the
row keeps the time of the look, so that a late, older event cannot undo it. What changed since the run began is live,
and left to its events; a removal is held back for a moment, so that an event on its way comes first.
"""

from __future__ import annotations

import asyncio
import logging
import re
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.errors import Rejected
from shared.model.ledger import (
    COUNTED_BY,
    Observation,
    decide_observed,
    folder_counted_in,
    from_entity,
    is_credible,
    row_key,
)
from shared.model.ports import PropertyRange
from shared.reconciling.row_key_sets import Buckets, KeySet
from shared.writing.cache import Remembered
from shared.writing.plan import RowChanged
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from datetime import datetime

    from shared.model.folders import Location
    from shared.model.ports import Entity, Head, Page
    from shared.reconciling.parts import Parts
    from shared.reconciling.run import Run

log = logging.getLogger(__name__)

_ALL_KEYS: Final = 1 << 128
_KEY: Final = re.compile(r"[0-9a-f]{32}")
#: Rows compared in one go: 9 MB, and a scan that is far shorter than a slice. A larger ledger is compared range by
#: range of its keys, each with a listing of its own.
ROWS_AT_ONCE: Final = 500_000
CONCURRENT_LOOKS: Final = 32
#: Nominees whose absence is held back together.
HELD_BACK: Final = 2000


class Comparison:
    """One comparison of a range of row keys.

    Args:
        parts: What a reconciliation works with.
        run: What changed since it began is live; findings are noted in its report.
        partition: Where in the table the rows are.
        keep_going: Called between steps; may raise to end the run.
        leaves_live: False where nothing is left to events, because there are none.
        commit: False to change nothing, and only note what would be corrected.

    Attributes:
        differs: Whether a name was listed or counted that the other side does not have.
    """

    def __init__(
        self,
        parts: Parts,
        run: Run,
        partition: str,
        keep_going: Callable[[str, int], Awaitable[None]],
        *,
        leaves_live: bool,
        commit: bool = True,
    ) -> None:
        self._parts = parts
        self._table = parts.table
        self._writer = parts.writer
        self._folders = parts.folders
        self._run = run
        self._report = run.report
        self._partition = partition
        self._keep_going = keep_going
        self._leaves_live = leaves_live
        self._commits = commit
        self.differs = False
        self._counted = {folder: KeySet() for folder in self._folders.locations}
        self._missing = Buckets()
        self._unreadable = 0
        self._after, self._upto = -1, _ALL_KEYS

    async def scan(self, within: Location | None = None) -> str:
        """Read the keys of the rows that say "present", of the range that the run is at.

        A range is as large as is held at once. One whose listing has begun keeps its end, however many rows it has by
        now: what was listed of it stands in the run's sums. Only a first run, which starts with no rows at all and
        sums up nothing, is divided as it grows.

        Args:
            within: Only rows of this location.

        Returns:
            The last key of the range; "" when that is all the rest.
        """
        after, upto = self._run.after_key, self._run.upto_key
        keeps_its_end = self._run.is_listing_begun and not self._report.bootstrap
        upto = await self._scan(after, upto, within, keeps_its_end=keeps_its_end)
        self._after = int(after, 16) if after else -1
        self._upto = int(upto, 16) if upto else _ALL_KEYS
        return upto

    async def _scan(self, after: str, upto: str, within: Location | None, *, keeps_its_end: bool) -> str:
        paths = _range_of(within) if within is not None else None
        visited, last = 0, ""
        async for page in self._table.scan(self._partition, COUNTED_BY, after=after, within=paths):
            for entity in page:
                if upto and entity.row_key > upto:
                    return upto
                last = entity.row_key if self._note_row(entity) else last
            visited += len(page)
            if visited >= ROWS_AT_ONCE and last and not keeps_its_end:
                return last
            await self._keep_going("scanning the ledger", visited)
        return upto

    def _note_row(self, entity: Entity) -> bool:
        """Note what a row says. Returns whether its key is one."""
        key = entity.row_key
        if not _KEY.fullmatch(key):
            self._unreadable += key != TALLY_KEY
            return False
        folder = folder_counted_in(key, entity.properties)
        if folder:
            self._counted[folder].append(int(key, 16))
        else:
            self._unreadable += entity.properties.get("present") is not False
        return True

    @property
    def rows(self) -> int:
        """Return how many rows say "present"."""
        return sum(map(len, self._counted.values()))

    async def take_page(self, folder: str, container: str, page: Page, doubt: str) -> dict[int, str]:
        """Compare a page of the listing, and count what was missing.

        Args:
            folder: The folder.
            container: Its container.
            page: The page.
            doubt: The tally's, before the page was asked for.

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
            if not self._counted[folder].mark(key):
                missing.append(path)
                self._missing.add(key)
        self.differs |= bool(missing)
        if self._report.bootstrap and self._commits:
            await self._add_in_bulk(missing, folder, page.date, doubt)
        else:
            await self._bounded(self._add(path, folder) for path in missing)
        return listed

    async def remove_unlisted(self, seen: Buckets | None = None) -> None:
        """Look at what is counted and was not listed.

        Args:
            seen: The row keys of the whole listing, when this process has seen only a part of it: then what is in
                buckets that do not add up is looked at.
        """
        self._report.unreadable += self._unreadable
        counted = self._missing
        for keys in self._counted.values():
            counted = keys.buckets(counted) if seen is not None else counted
        nominees = (
            key
            for keys in self._counted.values()
            for key in keys.unmarked()
            if seen is None or not counted.agree_on(key, seen)
        )
        for some in batched(nominees, HELD_BACK, strict=False):
            self.differs = True
            absent: list[tuple[Observation, Remembered]] = []
            await self._bounded(self._look_at_unlisted(key, absent) for key in some)
            if absent and self._leaves_live and self._commits:
                await self._parts.clock.sleep(self._parts.grace_seconds)
            await self._bounded(self._commit(seen, base) for seen, base in absent)

    async def _add_in_bulk(self, paths: list[str], folder: str, date: datetime, doubt: str) -> None:
        """Count a page of names at once, on condition that they have no rows yet; those that have are looked at."""
        nothing = Remembered(None, None, self._parts.clock.monotonic(), self._partition, doubt)
        known: list[str] = []

        async def add(path: str) -> None:
            seen = Observation(path, folder, present=True, observed_at=date, is_listed=True)
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
        row = base.row
        if row is not None and row.is_sound and row.folder == folder and (row.present or self._is_live(row.event_time)):
            return
        head = await self._look(path)
        if not head.present or self._is_live(head.last_modified):
            return
        await self._commit(Observation(path, folder, present=True, observed_at=head.date, etag=head.etag), base)

    async def _look_at_unlisted(self, key: int, absent: list[tuple[Observation, Remembered]]) -> None:
        entity = await self._table.read(self._partition, f"{key:032x}")
        if entity is None:
            return
        path = from_entity(entity.row_key, entity.properties).path
        if not path:
            self._report.unreadable += 1
            return
        base = await self._writer.read_row(path)
        row = base.row
        if row is None or not row.present:
            return
        container, _, name = path.partition("/")
        belongs_in = self._folders.folder_of(container, name)
        if belongs_in == row.folder and self._is_live(row.event_time):
            return
        head = await self._look(path)
        is_there = head.present and belongs_in is not None
        if is_there and belongs_in == row.folder:
            return
        seen = Observation(path, belongs_in or row.folder, present=is_there, observed_at=head.date, etag=head.etag)
        absent.append((seen, base))

    async def _look(self, path: str) -> Head:
        self._report.looks += 1
        container, _, name = path.partition("/")
        return await self._parts.heads.head(container, name)

    def _is_live(self, changed_at: datetime | None) -> bool:
        since = self._run.since
        if not self._leaves_live or since is None or changed_at is None:
            return False
        # Last-Modified has no fractions of a second.
        return since.replace(microsecond=0) <= changed_at and is_credible(changed_at, self._parts.clock.now())

    async def _commit(self, seen: Observation, base: Remembered) -> None:
        if not self._commits:
            self._report.count(seen.folder, decide_observed(base.row, seen).delta)
            return
        try:
            self._report.count(seen.folder, (await self._writer.observe(seen, base)).delta)
        except RowChanged:
            # An event came first. It may be an older one, which leaves things as they were: look once more.
            container, _, name = seen.path.partition("/")
            self._report.count(seen.folder, (await self._writer.look(container, name, seen.folder)).delta)
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
