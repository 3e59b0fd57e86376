"""The reconciler's row: who is at work until when, how far the run is, and what the last one found.

One write a page does all of it, and the write that gives the lease back.

The lease only saves double work. Two runs at once are safe, because nothing is corrected but on condition that
the row is still the one that was looked at; so a clock that is wrong, or a process that outlives its lease, costs
requests and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.clock import read_moment, to_iso
from shared.errors import NONSENSE, BlobStatusError, Conflict, StorageError
from shared.model.ports import Write
from shared.reconciling.run import Run

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.model.ports import Table
    from shared.reconciling.report import Report

CONTROL_PARTITION: Final = "control"
_KEY: Final = "reconciliation"
LEASE_SECONDS: Final = 60.0
#: Until when a lease lasts that was given back: past by every clock.
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class AlreadyRunning(BlobStatusError):  # noqa: N818
    """Another process is reconciling, or has taken this run over."""


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
            until = read_moment(found.get("until"))
            if until is not None and until > self._clock.now() and not self._is_over(entity.etag):
                raise AlreadyRunning(
                    f"a reconciliation is running in {found.get('owner')}, until {found['until']} or later"
                )
            self.unfinished = _read_run(found.get("run", ""))
            self.collected_at = read_moment(found.get("collected_at"))
            self.last_report = found.get("report", "")
        try:
            await self._write(self.unfinished, self._lease_seconds)
        except asyncio.CancelledError:
            await self.release(self.unfinished)
            raise

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
            try:
                await self._write(unfinished, 0.0)
            except AlreadyRunning:  # or a write of our own has landed whose answer was lost, or not waited for
                entity = await self._table.read(CONTROL_PARTITION, _KEY)
                if entity is not None and entity.properties.get("owner") == self._owner:
                    self._etag = entity.etag
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
    """Return the report of the run that finished last, or None: there is none, or what stands there is no report."""
    entity = await table.read(CONTROL_PARTITION, _KEY)
    try:
        report = json.loads(str(entity.properties.get("report"))) if entity is not None else None
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def _read_run(text: str) -> Run | None:
    """Read an unfinished run, or None: there is none, or another version of the app has written it."""
    try:
        return Run.from_text(text) if text else None
    except NONSENSE:
        return None
