"""One process's work on a reconciliation: from where it stands to its end, or until the time is up."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, nullcontext, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.clock import is_due
from shared.errors import ContainerAbsent
from shared.model.ledger import COUNTED_BY, path_hashes
from shared.model.ports import WRITTEN_AT, PropertyRange
from shared.model.tally import fold
from shared.reconciling.comparison import Comparison, KeyRange
from shared.reconciling.difference import Difference, complete_sketch
from shared.reconciling.repair import Repair
from shared.reconciling.report import Progress
from shared.reconciling.run import Stage
from shared.reconciling.tally_audit import correct, correct_cases, counted_paths
from shared.reconciling.tombstones import collect
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from shared.model.folders import Location
    from shared.model.ports import Entity, Page
    from shared.reconciling.lease import Lease
    from shared.reconciling.parts import Parts
    from shared.reconciling.report import OnProgress
    from shared.reconciling.run import Run
    from shared.writing.tally_row import StoredTally

log = logging.getLogger(__name__)

#: Nobody has a blob of this name: it is asked for to learn the storage service's time.
_NO_BLOB: Final = "what-time-is-it"
COLLECT_EVERY: Final = timedelta(days=1)
_HOW_TO_AUDIT_CASES: Final = "`python -m ops reconcile --full` has no limit, or raise RECONCILE_SLICE_SECONDS"
_HOW_TO_BEGIN_ANEW: Final = "once more; `python -m ops recount` does not need them to stand still"


#: Between the Timestamp of a row and the Date of an answer, both the service's.
_SERVICE_SKEW: Final = timedelta(seconds=5)


class TimeIsUp(Exception):  # noqa: N818
    """The slice ends here; the next one goes on."""


class Pass:
    """The work on one run.

    Args:
        parts: What it works with.
        run: How far it is; brought forward as the work goes on.
        lease: Where progress is saved, or None: nowhere.
        stored: The tally as the pass begins.
        deadline: When to stop, by the monotonic clock.
        on_progress: Told how far it is.
        commit: False to change nothing.
    """

    def __init__(
        self,
        parts: Parts,
        run: Run,
        lease: Lease | None,
        stored: StoredTally,
        deadline: float,
        on_progress: OnProgress,
        *,
        commit: bool = True,
    ) -> None:
        self._parts = parts
        self._run = run
        self._lease = lease
        self._stored = stored
        self._deadline = deadline
        self._on_progress = on_progress
        self._commits = commit
        self._expected = sum(total.count for total in run.before.values())
        self._doubt = stored.tally.doubt
        self._began_in = run.stage

    async def work(self) -> None:
        """Go through the stages that are left.

        Raises:
            TimeIsUp: The slice is over; ``run`` says how far it is.
            StorageError: Storage did not answer.
        """
        run = self._run
        if run.stage is Stage.LISTING:
            await self._fold_listing()
            run.stage = Stage.SETTLING
        if run.stage is Stage.SETTLING:
            run.enter(Stage.COLLECTING if await self._settle() else Stage.COMPARING)
        if run.stage is Stage.COMPARING:
            await self.compare(self._parts.folders.locations)
            await self.audit()
            run.enter(Stage.AUDITING_CASES)
        elif run.stage is Stage.AUDITING:
            await self._go_on_auditing(await self._parts.counts.open())
            run.enter(Stage.AUDITING_CASES)
        if run.stage is Stage.AUDITING_CASES:
            await self.audit_cases()
        if run.stage is Stage.COLLECTING:
            if self._lease is not None and self._is_collecting_due(self._lease):
                await self._collect(self._lease)
            run.enter(Stage.SKETCHING)
        await complete_sketch(self._parts, self._keep_going)

    async def compare(self, locations: Mapping[str, Location], only: Location | None = None) -> None:
        """Compare the ledger with the listing of these locations, and correct it.

        Args:
            locations: Folder → where to list.
            only: Where all of them lie, when that is not the whole account. Then nothing is left to events: a
                directory that was moved raises none for its blobs.
        """
        if self._run.since is None and self._leaves_live(only):
            somewhere = next(iter(locations.values()))
            self._run.since = (await self._parts.heads.head(somewhere.container, f"{somewhere.prefix}{_NO_BLOB}")).date
        await self._compare_range(locations, only)
        while self._run.upto_key:
            self._run.go_on_after(self._run.upto_key)
            await self._save()
            await self._compare_range(locations, only)

    async def _settle(self) -> bool:
        """Repair what differs. Returns False when everything has to be compared."""
        run = self._run
        try:
            return await Difference(self._parts, run, self._repair(run.since), self._list_again).settle()
        except TimeIsUp:
            if self._began_in is Stage.SETTLING:  # a whole slice does not suffice; a comparison goes on page by page
                run.enter(Stage.COMPARING)
            raise

    async def audit(self) -> None:
        """After a comparison of everything, hold the tally against its rows if it is not the sum of the listing.

        A first run has made the tally itself, of rows that were not there; unless it has seen some that were.
        """
        run, counts, report = self._run, self._parts.counts, self._run.report
        stored = await (counts.open() if self._commits else counts.read())
        if stored is None or stored.partition != self._stored.partition or run.listed == dict(stored.tally.sums):
            return
        if report.bootstrap and not run.is_miscounted:
            return
        if run.is_miscounted or (run.differs and stored.etag == run.tally_etag and not report.corrected):
            report.dispute(run.listed, stored.tally.sums)
        self._begin_audit(stored)
        await self._go_on_auditing(stored)

    async def audit_cases(self) -> None:
        """Then correct the cases: they are added up in one slice, the next one when this one ends meanwhile."""
        run, before = self._run, self._run.report.miscounted_cases
        try:
            await correct_cases(self._parts, run.report, self._keep_going, commit=self._commits)
        except TimeIsUp:
            if self._began_in is Stage.AUDITING_CASES and run.report.miscounted_cases == before:
                log.warning("a slice does not suffice to add up the cases: %s", _HOW_TO_AUDIT_CASES)
                run.enter(Stage.COLLECTING)
            raise
        run.enter(Stage.COLLECTING)

    def _begin_audit(self, stored: StoredTally) -> None:
        self._run.enter(Stage.AUDITING)
        self._run.tally_etag = stored.etag

    async def _go_on_auditing(self, stored: StoredTally) -> None:
        """Correct the tally. One that moves meanwhile is left to the next run, but for the first one.

        That must not end with counts that are known to be wrong: they would be served.
        """
        while not await self._is_audited(stored) and self._run.report.bootstrap and self._commits:
            log.warning("counts have changed while rows of a deleted tally were added up: %s", _HOW_TO_BEGIN_ANEW)
            stored = await self._parts.counts.open()
            self._begin_audit(stored)

    async def _is_audited(self, stored: StoredTally) -> bool:
        """Add the rows up, and correct the tally. Returns False if it has moved since the audit began."""
        run = self._run
        if stored.etag != run.tally_etag:
            return False
        async for page in self._parts.table.scan(stored.partition, COUNTED_BY, after=run.after_key or TALLY_KEY):
            for folder, paths in counted_paths(page, run.listed).items():
                run.listed[folder] = fold(stored.tally.digest_key, paths, run.listed[folder])
            run.compared += len(page)
            run.after_key = page[-1].row_key if page else run.after_key
            await self._keep_going(run.stage, run.compared)
        miscounted = await correct(self._parts, stored, run.listed, commit=self._commits)
        if miscounted is None:
            return False
        run.report.miscounted = miscounted
        if run.is_miscounted:
            run.report.disputed = 0
        return True

    def _leaves_live(self, only: Location | None) -> bool:
        """Tell whether what changes meanwhile is left to its events: a first run trusts none, a directory has none."""
        return only is None and not self._run.report.bootstrap

    async def _compare_range(self, locations: Mapping[str, Location], only: Location | None) -> None:
        """Compare the rows of one range of keys with a listing.

        A range is as large as is held at once. One whose listing has begun keeps its end, however many rows it has by
        now: what was listed of it stands in the run's sums. Only a first run, which starts with no rows at all and
        sums up nothing, is divided as it grows.
        """
        run, report, partition = self._run, self._run.report, self._stored.partition
        is_resumed = run.is_listing_begun
        comparison = Comparison(self._parts.folders.locations, KeyRange(run.after_key, run.upto_key))
        paths_within = _range_of(only) if only is not None else None
        columns = (*COUNTED_BY, WRITTEN_AT) if report.bootstrap else COUNTED_BY
        rows = self._parts.table.scan(partition, columns, after=run.after_key or TALLY_KEY, within=paths_within)
        rows = self._held_against_the_tally(rows) if report.bootstrap else rows
        await comparison.read(rows, self._keep_going, may_end_early=report.bootstrap or not is_resumed)
        run.upto_key = comparison.keys.upto
        repair = self._repair(run.since if self._leaves_live(only) else None)
        async for folder, paths, date in self._pages(locations):
            listed = comparison.take(folder, paths)
            if report.bootstrap and self._commits:
                await repair.add_in_bulk(listed.missing, folder, date, self._doubt)
            else:
                await repair.add(listed.missing, folder)
            run.differs |= bool(listed.missing)
            self._fold(folder, listed.paths.values())
            run.compared += len(listed.paths)
            for key in listed.paths:
                run.seen.add(key)
        report.listed = run.compared
        report.unreadable += comparison.unreadable
        run.differs |= await repair.remove(comparison.unlisted(run.seen if is_resumed else None))

    async def _held_against_the_tally(self, pages: AsyncIterator[list[Entity]]) -> AsyncIterator[list[Entity]]:
        """Pass on the rows that a first run meets, and note if the tally, which is new then, does not count them.

        A row that counts and was not written since the tally was read counted then. More of them than it counted are a
        proof, which traffic cannot feign: what it writes is newer.
        """
        stored, rows = await self._parts.counts.glance(), 0
        async for page in pages:
            if stored is not None and stored.read_at is not None:
                since = stored.read_at - _SERVICE_SKEW
                old = (row for row in page if row.written_at is not None and row.written_at < since)
                rows += sum(map(len, counted_paths(old, self._run.listed).values()))
                self._run.is_miscounted |= rows > sum(stored.tally.counts().values())
            yield page

    async def _pages(self, locations: Mapping[str, Location]) -> AsyncIterator[tuple[str, list[str], datetime]]:
        """Iterate over the pages that are left: folder, paths of images, and the page's date.

        A page is dealt with when the next one is asked for; only then the place moves on, and is checkpointed with
        all that the page has changed.
        """
        run = self._run
        for folder, location in list(locations.items())[run.folders_done :]:
            try:
                await self._note_doubt()
                listed = self._parts.listing.pages(location.container, location.prefix, run.token)
                async with aclosing(_ahead(listed)) if run.stage is Stage.LISTING else nullcontext(listed) as pages:
                    async for page in pages:
                        run.since = run.since or page.date
                        yield folder, self._images(location, page.names), page.date
                        run.token = page.next_token
                        if run.token:
                            await self._page_done()
                            await self._note_doubt()
            except ContainerAbsent as absent:
                log.warning("%s", absent)
                run.since = run.since or absent.date
                self._note_if_vanished(folder)
            run.folders_done, run.token = run.folders_done + 1, ""
            if run.folders_done < len(locations):  # after the last one comes the next stage
                await self._page_done()

    async def _note_doubt(self) -> None:
        """Before a page is asked for that is counted as it is listed, note what would put it in doubt."""
        if self._run.report.bootstrap and self._commits:
            self._doubt = (await self._parts.counts.open()).tally.doubt

    async def _fold_listing(self) -> None:
        run = self._run
        async for folder, paths, _ in self._pages(self._parts.folders.locations):
            self._fold(folder, paths)
            if run.sketch is not None:
                run.sketch.add(list(path_hashes(paths)))
            run.report.listed = sum(total.count for total in run.listed.values())
        for folder, listed in run.listed.items():
            if not listed.count:
                self._note_if_vanished(folder)

    def _fold(self, folder: str, paths: Iterable[str]) -> None:
        self._run.listed[folder] = fold(self._stored.tally.digest_key, paths, self._run.listed[folder])

    def _note_if_vanished(self, folder: str) -> None:
        vanished = self._run.report.vanished
        if self._run.before[folder].count and folder not in vanished:
            vanished.append(folder)

    def _repair(self, live_since: datetime | None) -> Repair:
        partition, report = self._stored.partition, self._run.report
        return Repair(self._parts, partition, report, live_since, self._keep_going, self._commits)

    async def _list_again(self) -> AsyncIterator[tuple[str, list[str]]]:
        """Iterate over the whole listing once more: folder and paths of images."""
        for folder, location in self._parts.folders.locations.items():
            with suppress(ContainerAbsent):
                async for page in self._parts.listing.pages(location.container, location.prefix, ""):
                    yield folder, self._images(location, page.names)
                    await self._keep_going("listing what has no row", self._run.report.listed)

    def _images(self, location: Location, names: Iterable[str]) -> list[str]:
        return [f"{location.container}/{name}" for name in names if self._parts.folders.is_image(name)]

    def _is_collecting_due(self, lease: Lease) -> bool:
        now = self._parts.clock.now()
        if lease.collected_at is None:
            lease.collected_at = now  # a ledger that was just made has no old tombstones
        return is_due(lease.collected_at, COLLECT_EVERY, now)

    async def _collect(self, lease: Lease) -> None:
        run, now = self._run, self._parts.clock.now()
        async for collected, last_key in collect(self._parts.table, self._stored.partition, now, run.after_key):
            run.report.tombstones_collected += collected
            run.after_key = last_key
            await self._keep_going("collecting tombstones", run.report.tombstones_collected)
        lease.collected_at = now

    async def _save(self) -> None:
        if self._lease is not None:
            await self._lease.save(self._run)

    async def _page_done(self) -> None:
        await self._save()
        run = self._run
        await self._keep_going(run.stage, run.report.listed if run.stage is Stage.LISTING else run.compared)

    async def _keep_going(self, stage: str, done: int) -> None:
        self._on_progress(Progress(stage, done, self._expected or None))
        if self._lease is not None:
            await self._lease.keep(self._run)
        if self._parts.clock.monotonic() > self._deadline:
            raise TimeIsUp


async def _ahead(pages: AsyncIterator[Page]) -> AsyncGenerator[Page]:
    """Iterate over pages, each of which is asked for before the one before it is dealt with."""
    asked = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await asked) is not None:
            asked = asyncio.ensure_future(anext(pages, None))
            await asyncio.sleep(0)  # the request goes out now, not when dealing with this page first waits
            yield page
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


def _range_of(location: Location) -> PropertyRange:
    start = f"{location.container}/{location.prefix}"
    return PropertyRange("path", start, start[:-1] + chr(ord("/") + 1))
