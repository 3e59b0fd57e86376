"""Takes one delivered event: it is counted, of no concern, quarantined, or of another topic and only noted.

Returning acknowledges the event; raising makes Event Grid deliver it again. So only an outage raises: the writer
retries contention itself, because every failed answer also delays later *first* deliveries.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shared.errors import EventNotUnderstood, OtherTopic, OutcomeUnknown, Rejected
from shared.intake.event_grid import parse
from shared.model.changes import DirectoryChange
from shared.model.ledger import Outcome
from shared.process import telemetry
from shared.process.log_limit import LogLimit

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock
    from shared.intake.quarantine import Quarantine
    from shared.model.changes import BlobChange
    from shared.model.folders import FolderMap
    from shared.reconciling.reconciler import Reconciler
    from shared.writing.tally_row import Counts
    from shared.writing.writer import Writer

log = logging.getLogger(__name__)

#: Event Grid takes a delivery that has not ended after 30 s for failed, whatever comes of it.
LONGEST_SECONDS: Final = 28.0


class Delivery:
    """Takes delivered events.

    Args:
        folders: Which names count where.
        counts: The tally.
        writer: Writes the ledger.
        quarantine: Keeps events that are not understood.
        reconciler: Finds the blobs of a directory that was moved or deleted as a whole.
        clock: For the age of events.
        verify_deletes: Look at the blob before a deletion is counted: for accounts with versioning or snapshots,
            where deleting an old version raises the same event.
        topics: The only topics to take events from, in lower case; empty for any.

    Attributes:
        of_other_topics: How many events of other topics were left out.
    """

    def __init__(
        self,
        folders: FolderMap,
        counts: Counts,
        writer: Writer,
        quarantine: Quarantine,
        reconciler: Reconciler,
        clock: Clock,
        *,
        verify_deletes: bool,
        topics: frozenset[str] = frozenset(),
    ) -> None:
        self._folders = folders
        self._counts = counts
        self._writer = writer
        self._quarantine = quarantine
        self._reconciler = reconciler
        self._clock = clock
        self._verify_deletes = verify_deletes
        self._topics = topics
        self.last_applied_event_at: datetime | None = None
        self.of_other_topics = 0
        self._left_out = LogLimit(clock)

    async def take(self, text: str) -> None:
        """Take one event, as raw JSON.

        Raises:
            StorageError: An outage; the event must be delivered again.
        """
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                refusal = await self._count(text)
                # Nothing of the attempt is held from here on: thousands of events may wait for the quarantine at once.
                if refusal:
                    await self._quarantine.put(text, refusal)
                    telemetry.EVENTS.add(1, {"outcome": "quarantined"})
        except TimeoutError:
            raise OutcomeUnknown("storage has not answered within the time of a delivery") from None

    async def health(self) -> dict[str, object]:
        """Return this part's members of the health report."""
        last = self.last_applied_event_at
        return {"last_event_age_seconds": (self._clock.now() - last).total_seconds() if last else None}

    async def _count(self, text: str) -> str:
        """Count one event. Return why that cannot be done, or ""."""
        with telemetry.span("take event"):
            try:
                changes = parse(text, self._topics)
                await asyncio.gather(*(self._take(change) for change in changes))
            except OtherTopic as error:
                if self._quarantine.is_retried(text):  # an earlier release has kept it, so it stays
                    return str(error)
                self._leave_out(error)
            except EventNotUnderstood as error:
                return str(error)
            except Rejected as error:
                if not error.by_service:
                    raise  # something in between found it too large: an outage, not a bad event
                return f"storage refuses the row: {error}"
        return ""

    def _leave_out(self, error: OtherTopic) -> None:
        """Note an event of another topic. It will never be of use, so only a number is kept."""
        telemetry.EVENTS.add(1, {"outcome": "other topic"})
        self.of_other_topics += 1
        if times := self._left_out.count():
            log.warning("left out: %d events, the last %s", times, error)

    async def _take(self, change: BlobChange | DirectoryChange) -> None:
        if isinstance(change, DirectoryChange):
            await self._reconciler.take_directory(change.container, change.prefix, change.event_time)
        else:
            await self._apply(change)

    async def _apply(self, change: BlobChange) -> None:
        folder = self._folders.folder_of(change.container, change.name)
        if folder is None:
            await self._counts.confirm()
            telemetry.EVENTS.add(1, {"outcome": "of no concern"})
            return
        if self._verify_deletes and not change.present:
            change = replace(change, look=True)
        outcome = await self._writer.apply(change, folder)
        if outcome in {Outcome.APPLIED, Outcome.LOOK} and change.event_time is not None:
            happened_at = min(change.event_time, self._clock.now())
            self.last_applied_event_at = max(happened_at, self.last_applied_event_at or happened_at)
        telemetry.EVENTS.add(1, {"outcome": outcome, "folder": folder})
        if change.event_time is not None:
            age = self._clock.now() - change.event_time
            telemetry.EVENT_AGE.record(max(0.0, age.total_seconds()), {"folder": folder})
        log.debug("%s: %r", outcome, change.path, extra={"folder": folder, "outcome": outcome})
