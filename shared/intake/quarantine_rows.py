"""The quarantine's index: one row per event, as many in a transaction as it takes.

As in :mod:`shared.writing.writer`, callers queue their rows and await; one transaction at a time takes all that is
queued. Rows of one key are one row. There are 16 partitions, by the first digit of the key: a partition takes 2,000
rows a second (and Azurite looks through all of it for each row). A partition's rows are written in the order of the
keys, so the rows of a transaction are neighbours: when events come again, one scan tells which of them are there.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.clock import to_iso
from shared.errors import Conflict, OutcomeUnknown, Rejected, StorageError
from shared.model.ports import PropertyRange, Write
from shared.reconciling.tombstones import drop
from shared.writing.batch import BUDGET_SECONDS
from shared.writing.contention import Pauses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from datetime import datetime
    from random import Random

    from shared.clock import Clock
    from shared.model.ledger import Properties
    from shared.model.ports import Entity, Table

#: The one partition of releases before there were 16.
OLD_PARTITION: Final = "quarantine"
PARTITIONS: Final = (OLD_PARTITION, *(f"{OLD_PARTITION}-{digit}" for digit in "0123456789abcdef"))
#: The properties of an entry besides its body.
COLUMNS: Final = ("reason", "received_at", "size_bytes")
#: A transaction holds 100 operations and 4 MiB; an operation has some 700 bytes around its properties.
MAX_ROWS: Final = 100
MAX_BYTES: Final = 3_500_000
_BYTES_AROUND: Final = 1_000
#: Up to this many rows are looked up one by one; for more, all between the first and the last are scanned.
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One entry of the index.

    Attributes:
        key: The event's SHA-256, hex; also the name of the body's blob, with ".json", if it has one.
        reason: Why it could not be counted.
        received_at: When it was first kept, ISO 8601.
        size_bytes: The body's size.
    """

    key: str
    reason: str
    received_at: str
    size_bytes: int


@dataclass(slots=True)
class _Waiting:
    """A row to add, its size, and the callers that wait for it."""

    write: Write
    bytes: int
    callers: list[asyncio.Future[int]] = field(default_factory=list)


class Rows:
    """The rows of the index.

    Args:
        table: Holds them.
        clock: Time.
        random: Jitter.
    """

    def __init__(self, table: Table, clock: Clock, random: Random) -> None:
        self._table = table
        self._clock = clock
        self._pauses = Pauses(random)
        self._waiting: dict[str, _Waiting] = {}
        self._queues: dict[str, list[str]] = {}
        self._flushing: asyncio.Task[None] | None = None

    def add(self, key: str, properties: Properties) -> asyncio.Future[int]:
        """Add a row, together with all queued ones, unless there is one of this key.

        Thousands may wait at a time: each for a future, which is smaller than a coroutine or a shielded task.

        Returns:
            How many rows the transaction added, for one of its callers; 0 for all others. The future raises
            :class:`Rejected` when storage will never take this row, else a :class:`StorageError`; the row may exist
            then.
        """
        waiting = self._waiting.get(key)
        if waiting is None:
            size = len(json.dumps(properties)) + _BYTES_AROUND
            waiting = self._waiting[key] = _Waiting(Write(key, properties, None), size)
            self._queues.setdefault(_partition_of(key), []).append(key)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_all(), name="quarantine flush")
        caller: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiting.callers.append(caller)
        return caller

    async def read(self, key: str) -> Entity | None:
        """Return a row, with the body if it is in the row."""
        for partition in (_partition_of(key), OLD_PARTITION):
            found = await self._table.read(partition, key)
            if found is not None:
                return found
        return None

    async def pages(self, start: str = "") -> AsyncIterator[list[Quarantined]]:
        """Iterate over the entries whose keys are longer than ``start`` and begin with it, page by page."""
        for partition in (OLD_PARTITION, _partition_of(start)) if start else PARTITIONS:
            async for page in self._table.scan(partition, COLUMNS, after=start):
                found = [entry_of(entity) for entity in page if entity.row_key.startswith(start)]
                yield found
                if len(found) < len(page):
                    break  # the keys are in order, so no more follow

    async def count(self, most: int) -> int:
        """Return how many rows there are; ``most + 1`` stands for all greater numbers."""
        found = 0
        for partition in PARTITIONS:
            async for page in self._table.scan(partition, select=[]):
                found += len(page)
                if found > most:
                    return most + 1
        return found

    async def note(self, key: str, reason: str) -> None:
        """Keep the newest reason, if the row still exists."""
        for partition in (_partition_of(key), OLD_PARTITION):
            entity = await self._table.read(partition, key)
            if entity is None or entity.properties["reason"] == reason:
                continue
            with suppress(Conflict):  # another process has noted why it stays
                await self._table.commit(partition, [Write(key, {**entity.properties, "reason": reason}, entity.etag)])

    async def remove(self, key: str) -> None:
        """Drop a row, whatever it holds by now."""
        for partition in (_partition_of(key), OLD_PARTITION):
            while (entity := await self._table.read(partition, key)) is not None:
                with suppress(Conflict):
                    await self._table.commit(partition, [Write(key, None, entity.etag)])
                    break

    async def remove_older(self, than: datetime) -> AsyncIterator[tuple[int, list[str]]]:
        """Drop the rows of events that were received before a moment.

        Yields:
            After each page and each transaction, how many were dropped, and the keys of those whose bodies are blobs.
        """
        older = PropertyRange("received_at", "0", to_iso(than))
        for partition in PARTITIONS:
            async for page in self._table.scan(partition, ["holds_body"], within=older):
                yield 0, []  # a page may hold none, and the caller may be out of time
                for some in batched(page, MAX_ROWS, strict=False):
                    dropped = await drop(self._table, partition, some)
                    elsewhere = [entity.row_key for entity in some if not entity.properties.get("holds_body")]
                    yield dropped, [key for key in elsewhere if await self.read(key) is None]

    async def _flush_all(self) -> None:
        try:
            while self._queues:
                partition = next(iter(self._queues))
                try:
                    for keys in self._batches(sorted(self._queues.pop(partition))):
                        await self._commit(partition, keys)
                except StorageError as error:
                    self._end_all(error)
        finally:
            self._flushing = None
            self._end_all(OutcomeUnknown("the quarantine is not written any more"))  # cancelled, or a bug

    def _batches(self, keys: list[str]) -> Iterator[list[str]]:
        """Cut keys into batches that fit into a transaction."""
        batch: list[str] = []
        room = MAX_BYTES
        for key in keys:
            room -= self._waiting[key].bytes
            if batch and (len(batch) == MAX_ROWS or room < 0):
                yield batch
                batch, room = [], MAX_BYTES - self._waiting[key].bytes
            batch.append(key)
        yield batch

    async def _commit(self, partition: str, keys: Sequence[str]) -> None:
        """Add these rows, or find that they exist; resolve their callers.

        A key whose callers are resolved may be queued again at once, for another batch: each is resolved where its own
        outcome is known.
        """
        deadline = self._clock.monotonic() + BUDGET_SECONDS
        left = keys
        while left:
            pause = 0.0
            try:
                await self._table.commit(partition, [self._waiting[key].write for key in left])
                break
            except Rejected as rejected:
                await self._isolate(partition, left, rejected)
                left = []
            except Conflict as conflict:
                error: StorageError = conflict
                missing = await self._missing(partition, left)
                self._end([key for key in left if key not in missing], 0)  # they are there already
                left = missing
            except OutcomeUnknown as unknown:
                error, pause = unknown, self._pauses.unanswered(unknown.retry_after_seconds)
            if left and self._clock.monotonic() + pause > deadline:
                raise error
            await self._clock.sleep(pause)
        self._pauses.answered()
        self._end(left, len(left))

    async def _isolate(self, partition: str, keys: Sequence[str], error: Rejected) -> None:
        """Halve until the one row that storage refuses stands alone, because it must not fail its neighbours."""
        if len(keys) == 1:
            self._end(keys, error if error.by_service else OutcomeUnknown(str(error)))
            return
        middle = len(keys) // 2
        await self._commit(partition, keys[:middle])
        await self._commit(partition, keys[middle:])

    async def _missing(self, partition: str, keys: Sequence[str]) -> list[str]:
        """Return the keys without a row: by a read of each, or one scan of all between."""
        if len(keys) <= _FEW:
            found = await asyncio.gather(*(self._table.read(partition, key) for key in keys))
            there = {entity.row_key for entity in found if entity is not None}
            return [key for key in keys if key not in there]
        there = set()
        async for page in self._table.scan(partition, [], after=keys[0][:-1]):
            there.update(entity.row_key for entity in page)
            if page and page[-1].row_key >= keys[-1]:
                break
        return [key for key in keys if key not in there]

    def _end_all(self, error: StorageError) -> None:
        self._end(list(self._waiting), error)
        self._queues.clear()

    def _end(self, keys: Sequence[str], outcome: int | StorageError) -> None:
        """Resolve the callers of these rows; only the first gets the number."""
        for key in keys:
            for caller in self._waiting.pop(key).callers:
                if caller.done():  # it was cancelled
                    continue
                if isinstance(outcome, StorageError):
                    # Each caller gets its own error: the traceback of a shared one would grow with each raise.
                    is_row = isinstance(outcome, Rejected)
                    caller.set_exception((Rejected if is_row else OutcomeUnknown)(str(outcome)))
                    continue
                caller.set_result(outcome)
                outcome = 0


def _partition_of(key: str) -> str:
    return f"{OLD_PARTITION}-{key[:1]}"


def entry_of(entity: Entity) -> Quarantined:
    """Read an entry."""
    found = entity.properties
    return Quarantined(entity.row_key, str(found["reason"]), str(found["received_at"]), int(found["size_bytes"]))
