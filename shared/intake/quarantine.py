"""The quarantine of events that cannot be counted: nothing is thrown away, and nothing is kept twice or for ever.

An event's key is its own hash, so a redelivered event is found to be there already. A small body is in its row of the
index; a table string holds 64 KiB and an event may have 1 MB, so a larger body is a blob.

The order of steps makes a crash harmless: an index entry without a body could never be retried, while a body without
an entry is only litter::

    put    body, then entry
    retry  deliver; taken: entry, then body     not understood: both stay, the entry gets the new reason
                                                outage: nothing changes
    purge  entry, then body
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from shared.clock import is_due, read_moment, to_iso
from shared.errors import Conflict, Rejected
from shared.intake.quarantine_rows import Rows, entry_of
from shared.model.ports import Write
from shared.process import telemetry
from shared.reconciling.lease import CONTROL_PARTITION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime
    from random import Random

    from shared.clock import Clock
    from shared.intake.quarantine_rows import Quarantined
    from shared.model.ledger import Properties
    from shared.model.ports import Bodies, Entity, Table

log = logging.getLogger(__name__)

MAX_REASON_CHARACTERS: Final = 1000
#: A body of up to this size is in its row; the service counts in UTF-16, at most twice as many bytes.
MAX_BYTES_IN_ROW: Final = 30_000
#: Up to this number entries are counted exactly.
MAX_COUNTED: Final = 10_000
PURGE_EVERY: Final = timedelta(days=1)
#: The part of the timer's run, besides the slice of a reconciliation, that a purge may take.
PURGE_SECONDS: Final = 30.0
_PURGED: Final = "quarantine"
#: Characters that a table may refuse or change, because XML cannot hold them.
_NOT_FOR_ROWS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Quarantine:
    """Keeps the events that were not understood.

    Args:
        table: Holds the index and the small bodies.
        bodies: Holds the large bodies.
        clock: For ``received_at``.
        random: Jitter.

    Attributes:
        added: How many events this process has added.
        repeated: How many it was given that were there already.
    """

    def __init__(self, table: Table, bodies: Bodies, clock: Clock, random: Random) -> None:
        self._table = table
        self._rows = Rows(table, clock, random)
        self._bodies = bodies
        self._clock = clock
        self._retried: dict[str, str | None] = {}  # keys of the events that retry() is delivering
        self.added = self.repeated = 0

    async def put(self, text: str, reason: str) -> str:
        """Keep an event and the reason; body first, so that no index entry lacks its body.

        Returns:
            Its key.

        Raises:
            StorageError: It could not be kept: the delivery must fail, so that the event comes again.
        """
        key, size_bytes = _identify(text)
        if key in self._retried:  # it is kept already, and retry() asks whether it has to stay
            self._retried[key] = reason
            return key
        is_for_row = size_bytes <= MAX_BYTES_IN_ROW and not _NOT_FOR_ROWS.search(text)
        added = 0
        if is_for_row:
            try:
                # This frame holds nothing of the row, because thousands of events may wait at a time.
                added = await self._rows.add(key, self._row(reason, size_bytes) | {"body": text, "holds_body": True})
            except Rejected:  # a blob may hold what the table does not take
                is_for_row = False
        if not is_for_row:
            await self._bodies.put(key, text)
            added = await self._rows.add(key, self._row(reason, size_bytes))
        self.repeated += not added
        if added:
            self.added += added
            telemetry.QUARANTINED.add(added)
            more = f" (and {added - 1} more)" if added > 1 else ""
            log.warning("event quarantined: %s%s", _clean(reason), more, extra={"quarantine_key": key})
        return key

    async def health(self) -> dict[str, object]:
        """Return this part's members of the health report."""
        return {"quarantined_by_this_instance": self.added}

    def _row(self, reason: str, size_bytes: int) -> Properties:
        return {"reason": _clean(reason), "received_at": to_iso(self._clock.now()), "size_bytes": size_bytes}

    def is_retried(self, text: str) -> bool:
        """Tell whether this is an event that :meth:`retry` is delivering."""
        return bool(self._retried) and _identify(text)[0] in self._retried

    async def entries(self) -> AsyncIterator[Quarantined]:
        """Iterate over the index, in no meaningful order."""
        async for page in self._rows.pages():
            for entry in page:
                yield entry

    async def count(self) -> int:
        """Return how many events are kept; ``MAX_COUNTED + 1`` stands for all greater numbers."""
        return await self._rows.count(MAX_COUNTED)

    async def find(self, start: str) -> list[Quarantined]:
        """Return the entries whose keys begin with ``start``: at most two, which shows that it is ambiguous."""
        exact = await self._rows.read(start)
        if exact is not None:
            return [entry_of(exact)]
        found: dict[str, Quarantined] = {}
        async for page in self._rows.pages(start):
            found.update((entry.key, entry) for entry in page)
            if len(found) > 1:
                break
        return list(found.values())[:2]

    async def body(self, key: str) -> bytes | None:
        """Return the event as it was delivered, or None when its body is gone."""
        entity = await self._rows.read(key)
        found = await self._body_of(key, entity)
        return found[0] if found is not None else None

    async def retry(self, key: str, deliver: Callable[[str], Awaitable[None]]) -> str | None:
        """Deliver a kept event again, and forget it when it was taken. Two retries at once do no harm.

        Args:
            key: The entry's key.
            deliver: Takes the event (``Delivery.take`` of the same services); puts it here again when it is still not
                understood.

        Returns:
            None when it was taken, by this or another process; else why it stays.

        Raises:
            StorageError: An outage; the event stays.
        """
        entity = await self._rows.read(key)
        if entity is None:
            return None
        found = await self._body_of(key, entity)
        if found is None:
            taken = await self._rows.read(key) is None
            return None if taken else "its body is gone from the quarantine container: there is nothing to deliver"
        body, etag = found
        if _key_of(body) != key:
            return "its body is not the event that was kept: somebody has changed it"
        if key in self._retried:
            return "it is being retried already"
        self._retried[key] = None
        try:
            await deliver(body.decode(errors="surrogatepass"))
        finally:
            reason = self._retried.pop(key)
        if reason is not None:
            await self._rows.note(key, _clean(reason))
            return reason
        await self._rows.remove(key)
        if etag:
            await self._bodies.remove(key, etag)
        return None

    async def purge(self, before: datetime, seconds: float | None = None) -> tuple[int, bool]:
        """Drop for good the events that were received before a moment.

        Args:
            before: The moment.
            seconds: When to stop; None to run to the end.

        Returns:
            How many were dropped, and whether that was all.
        """
        deadline = self._clock.monotonic() + seconds if seconds is not None else float("inf")
        total = 0
        async for dropped, keys in self._rows.remove_older(before):
            total += dropped
            await asyncio.gather(*(self._bodies.remove_older(key, before) for key in keys))
            if self._clock.monotonic() > deadline:
                return total, False
        return total, True

    async def purge_daily(self, retention: timedelta) -> None:
        """Purge events older than the retention, unless some process has done so within a day."""
        now = self._clock.now()
        found = await self._table.read(CONTROL_PARTITION, _PURGED)
        last = read_moment(found.properties.get("purged_at")) if found is not None else None
        if last is not None and not is_due(last, PURGE_EVERY, now):
            return
        dropped, is_done = await self.purge(now - retention, PURGE_SECONDS)
        if dropped:
            log.warning("%d events older than %d days were dropped from quarantine", dropped, retention.days)
        if not is_done:
            return
        noted = Write(_PURGED, {"purged_at": to_iso(now)}, found.etag if found is not None else None)
        try:
            await self._table.commit(CONTROL_PARTITION, [noted])
        except Conflict:
            log.info("another process has purged the quarantine at the same time")

    async def _body_of(self, key: str, entity: Entity | None) -> tuple[bytes, str] | None:
        """Return a body and its blob's ETag, which is "" when the body is in the row."""
        if entity is not None and "body" in entity.properties:
            return _encoded(str(entity.properties["body"])), ""
        return await self._bodies.get(key)


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _identify(text: str) -> tuple[str, int]:
    """Return an event's key and its size in bytes."""
    body = _encoded(text)
    return _key_of(body), len(body)


def _key_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _clean(reason: str) -> str:
    return reason[:MAX_REASON_CHARACTERS].encode(errors="replace").decode()
