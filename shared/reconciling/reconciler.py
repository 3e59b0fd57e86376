"""Reconciliation: the storage account itself, listed, against the ledger. Nothing else in the app lists.

::

    LISTING     fold the listing into (count, digest) a folder ──► equal to the tally: clean, nothing is written
    COMPARING   scan the ledger's keys, list again, look at what differs, correct it      (comparison.py, repair.py)
    COLLECTING  once a day: drop the rows of names long gone                               (tombstones.py)

Every page that was dealt with is checkpointed, so that a run that ends early (killed, or its time is up) goes on
where it was. The first run on an account compares at once, against an empty ledger and in bulk; until it has
completed the counts are not ready.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.clock import to_iso
from shared.errors import OutcomeUnknown, StorageError, advice
from shared.model.folders import Location, parts_within
from shared.model.ledger import SKEW_MARGIN, is_credible
from shared.model.sketch import Sketch
from shared.model.tally import Sum
from shared.process import telemetry
from shared.reconciling.lease import LEASE_SECONDS, AlreadyRunning, Lease, last_report
from shared.reconciling.marked_directories import Mark, Marks
from shared.reconciling.report import Progress, Report, publish
from shared.reconciling.run import Run, Stage
from shared.reconciling.stages import Pass, TimeIsUp
from shared.writing.batch import BUDGET_SECONDS
from shared.writing.tally_row import PARTITION, TRUSTED_SECONDS, StoredTally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.clock import Clock
    from shared.model.tally import Tally
    from shared.reconciling.parts import Parts
    from shared.reconciling.report import OnProgress

log = logging.getLogger(__name__)

#: Spent on a directory within the delivery of its event; Event Grid waits 30 s.
DIRECTORY_SECONDS: Final = 10.0
#: An unfinished run that is older is not resumed: all that changed since its start would be left alone.
OLDEST_RESUMED: Final = timedelta(days=1)
#: A writer reads the tally anew after 30 s, and ends what it has begun within 15 s more.
OLD_WRITERS_SECONDS: Final = TRUSTED_SECONDS + BUDGET_SECONDS


class Reconciler:
    """Brings the ledger to what the storage account holds.

    Args:
        parts: What it works with.
        lease_seconds: For how long a process that has died keeps others from going on.
    """

    def __init__(self, parts: Parts, lease_seconds: float = LEASE_SECONDS) -> None:
        self._parts = parts
        self._table = parts.table
        self._counts = parts.counts
        self._folders = parts.folders
        self._clock = parts.clock
        self._lease_seconds = lease_seconds
        self._marks = Marks(parts.table)
        self._held: dict[str, float] = {}
        self._is_marked = False
        self._is_at_marks = False

    async def run(
        self, *, full: bool = False, slice_seconds: float | None = None, on_progress: OnProgress = lambda _: None
    ) -> Report:
        """Reconcile, or go on with the run that was not finished.

        Args:
            full: Begin anew, and compare name by name also when the digests agree.
            slice_seconds: When to stop; the next run goes on. None: when it is done.
            on_progress: Told how far it is.

        Returns:
            What was found; ``finished`` is False when the time was up.

        Raises:
            AlreadyRunning: Another process is at it.
            StorageError: Storage did not answer; the next run goes on.
        """
        deadline = self._deadline(slice_seconds)
        lease = Lease(self._table, self._clock, self._lease_seconds, self._held)
        await lease.take()
        unfinished = lease.unfinished
        try:
            stored = await self._counts.open()
            if full or unfinished is None or not self._goes_on(unfinished, stored):
                await self._let_old_writers_end(stored, on_progress)
                unfinished = self._new_run(stored, full=full)
            else:
                unfinished.resume()
            run = unfinished
            with _timed(self._clock, run.report), telemetry.span("reconcile"):
                await Pass(self._parts, run, lease, stored, deadline, on_progress).work()
            await self._finish(run)
            await lease.finish(run.report)
        except TimeIsUp:
            if run.report.bootstrap:  # an alert on reconciliations that do not end waits for the first one
                log.info("counting for the first time: %s listed so far", run.report.listed)
            await lease.release(run)
        except (Exception, asyncio.CancelledError) as error:
            may_be_the_checkpoint = not isinstance(error, (OutcomeUnknown, asyncio.CancelledError))
            if may_be_the_checkpoint and unfinished is not None and unfinished.report.resumed:
                unfinished = None  # a continuation token that is refused, perhaps: the next run begins anew
            await lease.release(unfinished)
            raise
        return run.report

    async def run_scheduled(self, slice_seconds: float) -> None:
        """Do what the timer is for: the marked directories, and one slice unless another process is at it."""
        began = self._clock.monotonic()
        await self._run_marked(slice_seconds / 2)
        try:
            await self.run(slice_seconds=slice_seconds - (self._clock.monotonic() - began))
        except AlreadyRunning as running:
            log.info("%s", running)
        except StorageError as error:
            log.error("the reconciliation was not completed: %s; %s", error, advice(error))  # noqa: TRY400 - it goes on
            raise

    async def run_prefix(
        self,
        container: str,
        prefix: str,
        *,
        slice_seconds: float | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> Report:
        """Compare what lies under a prefix, name by name: at once, without a lease or a checkpoint.

        Args:
            container: The container.
            prefix: Ends with "/", or "" for the whole container.
            slice_seconds: When to stop; what was corrected stays. None: when it is done.
            on_progress: Told how far it is.
        """
        return await self._compare_once(Location(container, prefix), slice_seconds, on_progress, commit=True)

    async def take_directory(self, container: str, prefix: str, changed_at: datetime | None = None) -> None:
        """Reconcile a directory whose blobs came or went without events of their own.

        First the tally says that older events have to look at their blobs, because what came or went here leaves no
        row that a late one could meet. Then the directory is marked; what cannot be done at once is done by the next
        scheduled run. In this order, so that nobody compares, and unmarks, before late events are stopped.

        Args:
            container: The container.
            prefix: The directory, with "/" at its end.
            changed_at: When it changed, by the storage service's clock, if that is known.

        Raises:
            StorageError: It could not be marked: the delivery must fail and come again.
        """
        directory = Location(container, prefix)
        if not parts_within(self._folders.locations, directory):
            await self._counts.confirm()
            return
        if changed_at is None or not is_credible(changed_at, self._clock.now()):
            changed_at = (await self._parts.heads.head(container, prefix)).date
        await self._counts.doubt_until(changed_at)
        await self._marks.add(directory, changed_at)
        await self._run_marked(DIRECTORY_SECONDS)

    async def _run_marked(self, seconds: float) -> None:
        """Reconcile what is marked, as far as storage answers; one caller at a time does it for all.

        What is left is done by the next reconciliation: each one that ends covers what was marked before it began.
        """
        self._is_marked = True
        if self._is_at_marks:
            return
        self._is_at_marks = True
        deadline = self._clock.monotonic() + seconds
        try:
            while self._is_marked:
                self._is_marked = False
                for mark in await self._marks.all():
                    left_seconds = deadline - self._clock.monotonic()
                    if left_seconds <= 0:
                        return
                    await self._run_mark(mark, left_seconds)
        except StorageError as error:
            log.warning("marked directories wait for the next reconciliation: %s", error)
        finally:
            self._is_at_marks = False

    async def _run_mark(self, mark: Mark, seconds: float) -> None:
        where = mark.location
        try:
            report = await self.run_prefix(where.container, where.prefix, slice_seconds=seconds)
            if report.finished:
                await self._marks.remove(mark)
        except StorageError as error:
            log.warning("%r waits for the next reconciliation: %s", f"{where.container}/{where.prefix}", error)

    async def verify(self, *, on_progress: OnProgress = lambda _: None) -> Report:
        """Compare everything and change nothing: ``added`` and ``removed`` are what a run would correct."""
        return await self._compare_once(None, None, on_progress, commit=False)

    async def last_report(self) -> dict[str, object] | None:
        """Return the last finished run's report, or None."""
        return await last_report(self._table)

    async def health(self) -> dict[str, object]:
        """Return what the health report says of this part."""
        with suppress(StorageError):
            return {"last_reconciliation": await self.last_report()}
        return {"last_reconciliation": None}

    async def _compare_once(
        self, only: Location | None, slice_seconds: float | None, on_progress: OnProgress, *, commit: bool
    ) -> Report:
        deadline = self._deadline(slice_seconds)
        stored = await self._counts.open() if commit else await self._counts.read()
        if stored is None:
            stored = StoredTally(self._counts.empty(), "")  # nothing is counted yet, and nothing is to be written
        run = self._new_run(stored, full=True)
        work = Pass(self._parts, run, None, stored, deadline, on_progress, commit=commit)
        locations = self._folders.locations if only is None else parts_within(self._folders.locations, only)
        with suppress(TimeIsUp), _timed(self._clock, run.report):
            await work.compare(locations, only)
            if only is None:
                await work.audit()
                await work.audit_cases()
            run.report.finished = True
        run.report.clean = run.report.is_exact
        return run.report

    def _goes_on(self, unfinished: Run, stored: StoredTally) -> bool:
        """Tell whether an unfinished run is to be gone on with: of this tally, and not too old."""
        if unfinished.subject != _subject(stored.tally):
            return False
        if unfinished.report.bootstrap and stored.tally.ready:
            return False  # somebody else has come to the end of a first run
        return self._clock.now() - unfinished.started_at <= OLDEST_RESUMED

    async def _let_old_writers_end(self, stored: StoredTally, on_progress: OnProgress) -> None:
        """Before the first listing of a new generation, wait until no process acknowledges into the former one.

        By our own clock from now on: the former tally is closed by now, and nobody else's clock is to be trusted.
        """
        if stored.tally.ready or stored.partition == PARTITION:
            return
        began = self._clock.monotonic()
        while (waited := self._clock.monotonic() - began) < OLD_WRITERS_SECONDS:
            on_progress(Progress("waiting for old instances to stop", int(waited), int(OLD_WRITERS_SECONDS)))
            await self._clock.sleep(1.0)

    def _deadline(self, slice_seconds: float | None) -> float:
        return self._clock.monotonic() + slice_seconds if slice_seconds is not None else float("inf")

    def _new_run(self, stored: StoredTally, *, full: bool) -> Run:
        now, tally = self._clock.now(), stored.tally
        return Run(
            started_at=now,
            subject=_subject(tally),
            report=Report(to_iso(now), bootstrap=not tally.ready),
            stage=Stage.COMPARING if full or not tally.ready else Stage.LISTING,
            before=dict(tally.sums),
            tally_etag=stored.etag,
            digest_key=tally.digest_key,
            sketch=Sketch(tally.digest_key) if tally.sketch is not None and tally.sketch.is_complete else None,
            listed=dict.fromkeys(self._folders.locations, Sum()),
        )

    async def _finish(self, run: Run) -> None:
        report = run.report
        if report.bootstrap:
            report.listed = await self._set_ready(run)
        if (report.miscounted or report.unreadable) and run.since is not None:
            await self._counts.doubt_until(run.since)  # who has written to the table may have deleted rows as well
        if run.since is not None:
            await self._marks.remove_older(run.since - SKEW_MARGIN)  # they lie in what was compared as a whole
        report.finished = True
        publish(report)

    async def _set_ready(self, run: Run) -> int:
        """Let the counts be served. Returns how many blobs they count.

        What happened before the listing may have left no row, whatever a clock of ours says.
        """

        def ready(tally: Tally) -> Tally:
            if _subject(tally) != run.subject:
                raise AlreadyRunning("the counts were started anew while they were reconciled")
            known_since = max(tally.known_since, run.since) if run.since is not None else tally.known_since
            return replace(tally, ready=True, known_since=known_since)

        return sum((await self._counts.change(ready)).tally.counts().values())


@contextmanager
def _timed(clock: Clock, report: Report) -> Iterator[None]:
    """Add the time spent inside to a report."""
    began = clock.monotonic()
    try:
        yield
    finally:
        report.duration_seconds = round(report.duration_seconds + clock.monotonic() - began, 3)


def _subject(tally: Tally) -> str:
    return f"{tally.epoch} {tally.fingerprint}"
