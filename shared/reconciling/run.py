"""The reconciler's row: who is at work until when, how far the run is, and what the last one found.

One write a page does all of it, and the write that gives the lease back.

The lease only saves double work. Two runs at once are safe, because nothing is corrected but on condition that
the row is still the one that was looked at; so a clock that is wrong, or a process that outlives its lease, costs
requests and nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shared.clock import from_iso, to_iso
from shared.errors import BlobStatusError, Conflict, StorageError
from shared.model.ports import Write
from shared.model.tally import Sum
from shared.reconciling.report import Report
from shared.reconciling.row_key_sets import Buckets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clock import Clock
    from shared.model.ports import Table

CONTROL_PARTITION: Final = "control"
_KEY: Final = "reconciliation"
LEASE_SECONDS: Final = 60.0
#: Until when a lease lasts that was given back: past by every clock.
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
#: An unfinished run that is older is not resumed: all that changed since its start would be left alone.
OLDEST_RESUMED: Final = timedelta(days=1)


class AlreadyRunning(BlobStatusError):  # noqa: N818
    """Another process is reconciling, or has taken this run over."""


class Stage(StrEnum):
    """What a run does next."""

    LISTING = "listing"
    COMPARING = "comparing"
    AUDITING = "auditing the tally"
    COLLECTING = "collecting tombstones"


@dataclass(slots=True)
class Run:
    """All there is to know of a run, so that another process can go on with it.

    Attributes:
        started_at: When it began, by the clock of the process that began it.
        subject: Epoch and fingerprint of the tally that it reconciles.
        report: What it has found so far.
        stage: What it is doing.
        folders_done: How many folders are listed to their end.
        token: Where the next folder's listing goes on, "" for its beginning.
        since: When it began, by the storage service's clock: what changed later is live, and left to its events.
        before: The tally's sums when the run began.
        tally_etag: The tally's ETag at that time. AUDITING: when the audit began.
        listed: The sums of what was listed so far in this stage; COMPARING: of that which was compared; AUDITING: of
            the rows that say "present".
        differs: COMPARING: whether listing and rows differ in what was compared so far.
        seen: COMPARING: the row keys of what was listed so far.
        compared: COMPARING: how many those are. AUDITING: rows read so far.
        after_key: COMPARING, AUDITING, COLLECTING: the row keys up to this one are dealt with.
        upto_key: COMPARING: the last row key of the range that is compared now; "" for all the rest.
    """

    started_at: datetime
    subject: str
    report: Report
    stage: Stage = Stage.LISTING
    folders_done: int = 0
    token: str = ""
    since: datetime | None = None
    before: Mapping[str, Sum] = field(default_factory=dict)
    tally_etag: str = ""
    listed: dict[str, Sum] = field(default_factory=dict)
    differs: bool = False
    seen: Buckets = field(default_factory=Buckets)
    compared: int = 0
    after_key: str = ""
    upto_key: str = ""

    @property
    def is_listing_begun(self) -> bool:
        """Whether some of this stage's listing, or of this range's, was dealt with."""
        return bool(self.folders_done or self.token)

    def enter(self, stage: Stage) -> None:
        """Begin a stage, at its beginning."""
        self.stage = stage
        self.listed = dict.fromkeys(self.listed, Sum())
        self.compared = 0
        self.go_on_after("")

    def go_on_after(self, key: str) -> None:
        """Begin the listing anew, for the row keys after this one."""
        self.folders_done, self.token, self.seen = 0, "", Buckets()
        self.after_key, self.upto_key = key, ""

    def to_text(self) -> str:
        """Write it as JSON."""
        return json.dumps(
            {
                "started_at": to_iso(self.started_at),
                "subject": self.subject,
                "report": asdict(self.report),
                "stage": self.stage,
                "folders_done": self.folders_done,
                "token": self.token,
                "since": to_iso(self.since) if self.since is not None else "",
                "before": {name: [total.count, total.digest] for name, total in self.before.items()},
                "tally_etag": self.tally_etag,
                "listed": {name: [total.count, total.digest] for name, total in self.listed.items()},
                "differs": self.differs,
                "seen": self.seen.encode() if self.stage is Stage.COMPARING else "",
                "compared": self.compared,
                "after_key": self.after_key,
                "upto_key": self.upto_key,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Run:
        """Read it back."""
        found = json.loads(text)
        return cls(
            started_at=from_iso(found["started_at"]),
            subject=found["subject"],
            report=Report(**found["report"]),
            stage=Stage(found["stage"]),
            folders_done=found["folders_done"],
            token=found["token"],
            since=from_iso(found["since"]) if found["since"] else None,
            before={name: Sum(*total) for name, total in found["before"].items()},
            tally_etag=found["tally_etag"],
            listed={name: Sum(*total) for name, total in found["listed"].items()},
            differs=found["differs"],
            seen=Buckets(found["seen"]),
            compared=found["compared"],
            after_key=found["after_key"],
            upto_key=found["upto_key"],
        )


class Lease:
    """The right to reconcile, for a minute at a time; taken with :meth:`take`.

    Args:
        table: The ledger's table.
        clock: Time.
        lease_seconds: For how long it is taken.
        held: The ETag of a lease that somebody else was seen to have → since when, by the monotonic clock. A lease
            that nobody renews is over by that, however wrong a wall clock is.

    Attributes:
        unfinished: The run that ended before it was done, if any.
        collected_at: When tombstones were last collected to the end, if ever.
        last_report: Of the run that finished last, as JSON, "" for none.
    """

    def __init__(self, table: Table, clock: Clock, lease_seconds: float, held: dict[str, float]) -> None:
        self._table = table
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._held = held
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self._etag: str | None = None
        self._until = clock.now()
        self.unfinished: Run | None = None
        self.collected_at: datetime | None = None
        self.last_report = ""

    async def take(self) -> None:
        """Take the lease.

        Raises:
            AlreadyRunning: Another process has it.
        """
        entity = await self._table.read(CONTROL_PARTITION, _KEY)
        if entity is not None:
            self._etag = entity.etag
            found = {name: str(value) for name, value in entity.properties.items()}
            if from_iso(found["until"]) > self._clock.now() and not self._is_over(entity.etag):
                raise AlreadyRunning(
                    f"a reconciliation is running in {found['owner']}, until {found['until']} or later"
                )
            self.unfinished = _read_run(found.get("run", ""))
            self.collected_at = from_iso(found["collected_at"]) if found.get("collected_at") else None
            self.last_report = found.get("report", "")
        await self._write(self.unfinished, self._lease_seconds)

    def _is_over(self, etag: str) -> bool:
        """Tell whether this lease was seen for as long as one lasts, and was not renewed."""
        now = self._clock.monotonic()
        since = self._held.get(etag, now)
        self._held.clear()
        self._held[etag] = since
        return now - since >= self._lease_seconds

    async def save(self, run: Run) -> None:
        """Write down how far the run is, and keep the lease.

        Raises:
            AlreadyRunning: Another process has taken it over.
        """
        await self._write(run, self._lease_seconds)

    async def keep(self, run: Run) -> None:
        """Save if half of the lease is over."""
        if self._until - self._clock.now() < timedelta(seconds=self._lease_seconds / 2):
            await self.save(run)

    async def release(self, unfinished: Run | None) -> None:
        """Give the lease back, with what is unfinished for the next one who takes it.

        When that fails it ends by itself, and the next run goes on from what was saved last.
        """
        with suppress(StorageError, AlreadyRunning):
            await self._write(unfinished, 0.0)

    async def finish(self, report: Report) -> None:
        """Give the lease back, with the report of a run that is done."""
        self.last_report = json.dumps(asdict(report))
        await self.release(None)

    async def _write(self, run: Run | None, lease_seconds: float) -> None:
        self._until = self._clock.now() + timedelta(seconds=lease_seconds)
        properties = {
            "owner": self._owner,
            "until": to_iso(self._until if lease_seconds else _NEVER),
            "run": run.to_text() if run is not None else "",
            "collected_at": to_iso(self.collected_at) if self.collected_at is not None else "",
            "report": self.last_report,
        }
        try:
            (self._etag,) = await self._table.commit(CONTROL_PARTITION, [Write(_KEY, dict(properties), self._etag)])
        except Conflict as conflict:
            raise AlreadyRunning("another process has taken the reconciliation over") from conflict


async def last_report(table: Table) -> dict[str, object] | None:
    """Return the report of the run that finished last, or None."""
    entity = await table.read(CONTROL_PARTITION, _KEY)
    text = str(entity.properties.get("report", "")) if entity is not None else ""
    report: dict[str, object] | None = json.loads(text) if text else None
    return report


def _read_run(text: str) -> Run | None:
    """Read an unfinished run, or None: there is none, or another version of the app has written it."""
    try:
        return Run.from_text(text) if text else None
    except (KeyError, TypeError, ValueError):
        return None
