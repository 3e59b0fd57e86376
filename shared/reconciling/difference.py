"""What listing and ledger differ by, name by name, without reading the ledger: the tally's sketch minus the listing's.

Most of it under traffic is live: it has changed while the account was listed, and is left to its events. What is not
live, and does not settle within the grace, is looked at and repaired like all that a comparison nominates. The sketch
decides nothing: what it tells has to add up to what the digests differ by, else everything is compared.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.errors import Conflict
from shared.model.ledger import COUNTED_BY, folder_counted_in, from_entity, path_hashes
from shared.model.sketch import LAST_KEY, Sketch, capacity
from shared.model.tally import fold
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from shared.model.ports import Entity
    from shared.reconciling.parts import Parts
    from shared.reconciling.repair import Repair
    from shared.reconciling.run import Run
    from shared.writing.tally_row import StoredTally

log = logging.getLogger(__name__)

CONCURRENT_READS: Final = 32
#: Events on their way are waited for in steps, of which each costs a read of the tally: at first so short …
FIRST_WAIT_SECONDS: Final = 0.1
#: … and twice as long each time, up to this.
MAX_WAIT_SECONDS: Final = 0.4
#: While others change the tally, a sketch grows by a page in so long.
GROWS_EVERY_SECONDS: Final = 0.25
#: So many pages in a row that others came between, and the sketch is left to the next run.
MAX_OVERTAKEN: Final = 40
_KEY: Final = re.compile(r"[0-9a-f]{32}")


class Difference:
    """The difference between one listing and the ledger.

    Args:
        parts: What a reconciliation works with.
        run: The run; its sums and its sketch are those of the listing.
        repair: Corrects what differs.
        pages: Lists the account once more: folder and paths, page by page.
    """

    def __init__(
        self, parts: Parts, run: Run, repair: Repair, pages: Callable[[], AsyncIterator[tuple[str, list[str]]]]
    ) -> None:
        self._parts = parts
        self._run = run
        self._repair = repair
        self._pages = pages
        #: Row key → folder and path, of what differs.
        self._names: dict[int, tuple[str, str]] = {}
        #: Row key → whether its row counts, of what differs.
        self._counts: dict[int, bool] = {}
        self._live: set[int] = set()

    async def settle(self) -> bool:
        """Give events on their way the time to arrive, and repair what differs then.

        Returns:
            False when the difference is not known, and everything has to be compared.

        Raises:
            StorageError: Storage did not answer.
        """
        stored, found = await self._wait()
        if found is None:
            return False
        suspects = {key: sign for key, sign in found.items() if key not in self._live}
        if await self._contradicts(suspects):
            await self._doubt(stored)
            return False
        nameless = suspects.keys() - self._names.keys()
        await self._list_again(nameless)
        nameless -= self._names.keys()
        if nameless and all(found[key] < 0 for key in nameless):
            return False  # it is gone again, and nobody says what it was
        if nameless or not self._adds_up(found, stored):
            await self._doubt(stored)
            return False
        report = self._run.report
        report.differences, report.capacity, report.clean = len(found), capacity(), not suspects
        await self._correct(suspects)
        return True

    async def _wait(self) -> tuple[StoredTally, dict[int, int] | None]:
        """Return the tally, and the difference to it: when all of it is live, or at the end of the grace."""
        clock, grace_seconds = self._parts.clock, self._parts.grace_seconds
        ran_seconds = (clock.now() - self._run.started_at).total_seconds()
        began, pause = clock.monotonic(), FIRST_WAIT_SECONDS
        read_at = ""
        while True:
            stored = await self._parts.counts.open()
            if self._run.listed == stored.tally.sums:
                return stored, {}
            found = self._difference_to(stored)
            if found is not None and stored.etag != read_at:
                await self._read(found.keys() - self._live)  # a row may have come, or have changed, since the last time
                read_at = stored.etag
            patience = grace_seconds if found is not None else grace_seconds - ran_seconds
            left = began + patience - clock.monotonic()
            if left <= 0 or (found is not None and found.keys() <= self._live):
                return stored, found
            await clock.sleep(min(pause, left))
            pause = min(2 * pause, MAX_WAIT_SECONDS)

    def _difference_to(self, stored: StoredTally) -> dict[int, int] | None:
        """Return row key → 1 where only the ledger has it, -1 where only the listing has; None if that is not known."""
        counted, listed = stored.tally.sketch, self._run.sketch
        if counted is None or not counted.is_complete or listed is None:
            return None
        return counted.minus(listed)

    async def _read(self, keys: Iterable[int]) -> None:
        """Read the rows of these keys: what their names are, and whether they are live."""
        for some in batched(keys, CONCURRENT_READS, strict=False):
            await asyncio.gather(*map(self._read_row, some))

    async def _read_row(self, key: int) -> None:
        entity = await self._parts.table.read(self._repair.partition, f"{key:032x}")
        folders = self._parts.folders.locations
        self._counts[key] = entity is not None and bool(folder_counted_in(entity.row_key, entity.properties, folders))
        if entity is None:
            return
        row = from_entity(entity.row_key, entity.properties, folders)
        if not row.path:
            return
        container, _, name = row.path.partition("/")
        folder = row.folder if row.present else self._parts.folders.folder_of(container, name)
        if folder:
            self._names[key] = folder, row.path
            if self._repair.is_live(row.event_time):
                self._live.add(key)

    async def _list_again(self, wanted: set[int]) -> None:
        """Find the names of keys that have no row: in the listing."""
        if not wanted:
            return
        async for folder, paths in self._pages():
            for key, path in zip(path_hashes(paths), paths, strict=True):
                if key in wanted:
                    self._names[key] = folder, path

    def _adds_up(self, found: Mapping[int, int], stored: StoredTally) -> bool:
        """Tell whether this is, folder by folder, what the digests differ by."""
        key = stored.tally.digest_key
        for folder, listed in self._run.listed.items():
            more, fewer = (
                [path for each, (within, path) in self._names.items() if within == folder and found.get(each) == sign]
                for sign in (1, -1)
            )
            if fold(key, more, listed) != fold(key, fewer, stored.tally.sums[folder]):
                return False
        return True

    async def _contradicts(self, suspects: Mapping[int, int]) -> bool:
        """Tell whether a row counts that the tally does not count, or the other way round.

        They change together, so a tally that was read after the row has to agree with it.
        """
        wrong = {key for key, sign in suspects.items() if self._counts[key] is (sign < 0)}
        found = self._difference_to(await self._parts.counts.open()) if wrong else None
        return found is not None and any(found.get(key) == suspects[key] for key in wrong)

    async def _doubt(self, stored: StoredTally) -> None:
        """Have the tally audited, and its sketch made anew.

        For the run that is no change of the tally, because no count changes.
        """
        log.error("the tally disagrees with its rows or with its own sketch: everything is compared")
        self._run.is_miscounted = True
        changed = await self._parts.counts.change(lambda tally: replace(tally, sketch=None))
        if stored.etag == self._run.tally_etag and changed.tally.sums == stored.tally.sums:
            self._run.tally_etag = changed.etag

    async def _correct(self, suspects: Mapping[int, int]) -> None:
        report = self._run.report
        await self._repair.remove(key for key, sign in suspects.items() if sign > 0)
        missing: dict[str, list[str]] = {}
        for key, sign in suspects.items():
            if sign < 0:
                folder, path = self._names[key]
                missing.setdefault(folder, []).append(path)
        for folder, paths in missing.items():
            await self._repair.add(paths, folder)
        if suspects and not report.corrected:
            stored = await self._parts.counts.open()
            if stored.etag == self._run.tally_etag:
                report.dispute(self._run.listed, stored.tally.sums)


async def complete_sketch(parts: Parts, keep_going: Callable[[str, int], Awaitable[None]]) -> None:
    """Make the sketch of a ledger that has none, or not all of it.

    It grows by a page of rows at a time, in the order of their keys, and is right at every moment: a page is added on
    condition that no count has changed since before it was read, and every commit changes what is in the sketch so far.

    Args:
        parts: What a reconciliation works with.
        keep_going: Called after each page; may raise to end the run.
    """
    done, overtaken, etag = 0, 0, ""
    while overtaken < MAX_OVERTAKEN:
        stored = await parts.counts.open()
        sketch = stored.tally.sketch
        if sketch is not None and sketch.is_complete:
            return
        if etag not in {"", stored.etag}:
            await parts.clock.sleep(GROWS_EVERY_SECONDS)  # others are at it, and each page costs them an attempt
            stored = await parts.counts.open()
            sketch = stored.tally.sketch
        page, upto = await _next_page(parts, stored, sketch)
        grown = Sketch(stored.tally.digest_key) if sketch is None else sketch.copy()
        grown.upto = upto
        folders = parts.folders.locations
        counted = (each.row_key for each in page if folder_counted_in(each.row_key, each.properties, folders))
        grown.add([int(key, 16) for key in counted])
        try:
            (etag,) = await parts.table.commit(stored.partition, [stored.write(replace(stored.tally, sketch=grown))])
        except Conflict:
            etag, overtaken = "another's", overtaken + 1
            continue
        overtaken, done = 0, done + len(page)
        await keep_going("sketching the ledger", done)


async def _next_page(parts: Parts, stored: StoredTally, sketch: Sketch | None) -> tuple[list[Entity], int]:
    """Return the rows that come next, and the last key that they reach to."""
    after = f"{sketch.upto:032x}" if sketch is not None else TALLY_KEY
    async for page in parts.table.scan(stored.partition, COUNTED_BY, after=after):
        keys = [entity.row_key for entity in page if _KEY.fullmatch(entity.row_key)]
        if keys:
            return [entity for entity in page if _KEY.fullmatch(entity.row_key)], int(keys[-1], 16)
    return [], LAST_KEY
