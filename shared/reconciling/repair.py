"""The repair of what a comparison has nominated: the blob itself decides (HEAD), and the row's ETag commits.

What the blob says is committed on condition that the row is still the one read before the HEAD; the row keeps the
time of the look, so that a late, older event cannot undo it. What changed since the run began is live, and left to
its events; a removal is held back for a moment, so that an event on its way comes first.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.errors import Rejected
from shared.model.ledger import Observation, decide_observed, from_entity, is_credible
from shared.writing.cache import Remembered
from shared.writing.plan import RowChanged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from datetime import datetime

    from shared.model.ledger import Transition
    from shared.model.ports import Head
    from shared.reconciling.parts import Parts
    from shared.reconciling.report import Report

log = logging.getLogger(__name__)

CONCURRENT_LOOKS: Final = 32
#: Nominees whose absence is held back together.
HELD_BACK: Final = 2000


@dataclass(frozen=True, slots=True)
class Repair:
    """Looks at what differs, and corrects it.

    Attributes:
        parts: What a reconciliation works with.
        partition: Where in the table the rows are.
        report: Takes what is found.
        live_since: What changed since then is left to its events; None: nothing is, because there are none.
        keep_going: Called between steps; may raise to end the run.
        commits: False to change nothing, and only note what would be corrected.
    """

    parts: Parts
    partition: str
    report: Report
    live_since: datetime | None
    keep_going: Callable[[str, int], Awaitable[None]]
    commits: bool

    async def add_in_bulk(self, paths: list[str], folder: str, date: datetime, doubt: str) -> None:
        """Count a page of names at once, on condition that they have no rows yet; those that have are looked at.

        Args:
            paths: What was listed and is not counted.
            folder: Its folder.
            date: That of the page.
            doubt: The tally's, before the page was asked for.
        """
        nothing = Remembered(None, None, self.parts.clock.monotonic(), self.partition, doubt)
        known: list[str] = []

        async def add(path: str) -> None:
            seen = Observation(path, folder, present=True, observed_at=date, is_listed=True)
            try:
                self.report.count(folder, (await self.parts.writer.observe(seen, nothing)).delta)
            except RowChanged:
                known.append(path)
            except Rejected as error:
                self._note_refused(error)

        await _all(add(path) for path in paths)
        await self.add(known, folder)

    async def add(self, paths: Iterable[str], folder: str) -> None:
        """Look at what was listed and is not counted in this folder."""
        if not (paths := [*paths]):
            return
        waiting = await self._waiting()
        await self._bounded(self._add(path, folder) for path in paths if path not in waiting)

    async def remove(self, keys: Iterable[int]) -> bool:
        """Look at what is counted, by row key, and was not listed. Returns whether there was any."""
        some: tuple[int, ...] = ()
        for some in batched(keys, HELD_BACK, strict=False):
            absent: list[tuple[Observation, Remembered]] = []
            await self._bounded(self._look_at_unlisted(key, absent) for key in some)
            if absent and self.live_since is not None and self.commits:
                await self.parts.clock.sleep(self.parts.grace_seconds)
            waiting = await self._waiting() if absent else set()
            await self._bounded(self._commit(seen, base) for seen, base in absent if seen.path not in waiting)
        return bool(some)

    async def _waiting(self) -> set[str]:
        """Return the names whose events are in a process's hands, and will be counted by them."""
        return await self.parts.writer.waiting_paths() if self.live_since is not None else set()

    async def _add(self, path: str, folder: str) -> None:
        base = await self.parts.writer.read_row(path)
        row = base.row
        if row is not None and row.is_sound and row.folder == folder and (row.present or self.is_live(row.event_time)):
            return
        head = await self._look(path)
        if not head.present or self.is_live(head.last_modified):
            return
        await self._commit(Observation(path, folder, present=True, observed_at=head.date, etag=head.etag), base)

    async def _look_at_unlisted(self, key: int, absent: list[tuple[Observation, Remembered]]) -> None:
        entity = await self.parts.table.read(self.partition, f"{key:032x}")
        if entity is None:
            return
        path = from_entity(entity.row_key, entity.properties, self.parts.folders.locations).path
        if not path:
            self.report.unreadable += 1
            return
        base = await self.parts.writer.read_row(path)
        row = base.row
        if row is None or not row.present:
            return
        belongs_in = self.parts.folders.folder_of(*_names(path))
        if belongs_in == row.folder and self.is_live(row.event_time):
            return
        head = await self._look(path)
        is_there = head.present and belongs_in is not None
        if is_there and belongs_in == row.folder:
            return
        seen = Observation(path, belongs_in or row.folder, present=is_there, observed_at=head.date, etag=head.etag)
        absent.append((seen, base))

    async def _look(self, path: str) -> Head:
        self.report.looks += 1
        return await self.parts.heads.head(*_names(path))

    def is_live(self, changed_at: datetime | None) -> bool:
        """Tell whether what changed at this time is left to its events."""
        since = self.live_since
        if since is None or changed_at is None:
            return False
        # Last-Modified has no fractions of a second.
        return since.replace(microsecond=0) <= changed_at and is_credible(changed_at, self.parts.clock.now())

    async def _commit(self, seen: Observation, base: Remembered) -> None:
        if not self.commits:
            self._count(seen, base, decide_observed(base.row, seen))
            return
        try:
            self._count(seen, base, await self.parts.writer.observe(seen, base))
        except RowChanged:
            # An event came first. It may be an older one, which leaves things as they were: look once more.
            self.report.count(seen.folder, (await self.parts.writer.look(*_names(seen.path), seen.folder)).delta)
        except Rejected as error:
            self._note_refused(error)

    def _count(self, seen: Observation, base: Remembered, made: Transition) -> None:
        self.report.count(seen.folder, made.delta)
        row = base.row
        if row is not None and row.present and seen.present and row.folder != seen.folder and not made.delta:
            # Somebody has written it there. The tally has followed the row, and has to be held against all of them.
            self.report.count(row.folder, -1)
            self.report.count(seen.folder, 1)

    def _note_refused(self, error: Rejected) -> None:
        """One row that storage will never take must not keep all others from being reconciled."""
        self.report.refused += 1
        log.error("a blob cannot be counted, storage refuses its row: %s", error)

    async def _bounded(self, steps: Iterable[Coroutine[None, None, None]]) -> None:
        for some in batched(steps, CONCURRENT_LOOKS, strict=False):
            await _all(some)
            await self.keep_going("repairing", self.report.looks)


async def _all(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all of it, then raise what went wrong first."""
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _names(path: str) -> tuple[str, str]:
    """Return container and name of a path."""
    container, _, name = path.partition("/")
    return container, name
