"""A table in memory with the semantics that matter: ETags, conditions, transactions that are all or nothing.

It passes the same contract tests as the real one, and it can fail in every way that the real one can: see
:class:`Fault`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum

from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected
from shared.model.ledger import Properties
from shared.model.ports import Entity, EntityPage, PropertyRange, Write

PAGE_SIZE = 100
MAX_STRING_BYTES = 65_536
MAX_PROPERTIES = 252


class Fault(Enum):
    """What goes wrong with one call."""

    LOST_REQUEST = "nothing was written, and nobody knows"
    LOST_ANSWER = "it was written, and nobody knows"
    REFUSED = "storage says no"


class TableState:
    """What a table holds, and what one request does to it: each method is one instant.

    Args:
        now: The service's clock; None: it does not say when.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self.now = now
        self.partitions: dict[str, dict[str, Entity]] = {}
        self._etags = itertools.count(1)

    def find(self, partition: str, row_key: str) -> Entity | None:
        """Return one entity, or None."""
        return self.partitions.get(partition, {}).get(row_key)

    def everything(self) -> list[tuple[str, Entity]]:
        """Return all entities with their partitions, in order."""
        return [(name, rows[key]) for name, rows in sorted(self.partitions.items()) for key in sorted(rows)]

    def page(
        self,
        partition: str,
        after: str,
        size: int,
        select: Sequence[str] | None = None,
        within: PropertyRange | None = None,
    ) -> tuple[list[Entity], str]:
        """Return the entities of the next page, and the last key visited ("" when there is nothing more)."""
        rows = self.partitions.get(partition, {})
        keys = sorted(key for key in rows if key > after)[:size]
        found = [_selected(rows[key], select) for key in keys if _lies_within(rows[key], within)]
        return found, keys[-1] if keys else ""

    def apply(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none. Returns the new ETags."""
        if not 1 <= len(writes) <= 100 or len({write.row_key for write in writes}) != len(writes):
            raise Rejected("1 to 100 operations, each entity once")
        rows = self.partitions.setdefault(partition, {})
        for index, write in enumerate(writes):
            if any(
                isinstance(value, str) and len(value.encode("utf-16-le")) > MAX_STRING_BYTES
                for value in (write.properties or {}).values()
            ):
                raise Rejected("PropertyValueTooLarge", index)
            if len(write.properties or {}) > MAX_PROPERTIES:
                raise Rejected("TooManyProperties", index)
            if not write.holds(rows.get(write.row_key)):
                raise Conflict("the condition does not hold", index)
        etags = ["" if write.properties is None else f'W/"{next(self._etags)}"' for write in writes]
        for write, etag in zip(writes, etags, strict=True):
            properties = write.over(rows.get(write.row_key))
            if properties is None:
                del rows[write.row_key]
            else:
                now = self.now() if self.now is not None else None
                rows[write.row_key] = Entity(write.row_key, dict(properties), etag, now)
        return etags


class MemoryTable:
    """One table.

    Args:
        fault: Called with the method's name before each call; returns what goes wrong, or None.
        now: The service's clock; None: it does not say when anything was written or read.
    """

    def __init__(
        self, fault: Callable[[str], Fault | None] = lambda _: None, now: Callable[[], datetime] | None = None
    ) -> None:
        self.state = TableState(now)
        self._partitions = self.state.partitions
        self.fault = fault
        self.pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
        self._is_lost = False
        self.reads = 0
        self.commits = 0
        self.entities_written = 0

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity, or None; of its properties all, or those selected that it has."""
        self.reads += 1
        await self.pause()
        self._is_lost = False
        if self._fails("read"):
            raise OutcomeUnknown("read lost")
        found, date = self.state.find(partition, row_key), self._date()
        await self.pause()
        return replace(_selected(found, select), read_at=date, partition=partition) if found is not None else None

    async def page(self, token: str = "") -> EntityPage:
        """Read the next page of everything; a page ends with each partition, as the service's may."""
        await self.pause()
        self._find_out()
        if self._fails("page"):
            raise OutcomeUnknown("page lost")
        names = sorted(self.state.partitions)
        number, date = int(token or 0), self._date() or datetime.now(UTC)
        rows = self.state.partitions[names[number]] if number < len(names) else {}
        await self.pause()
        found = [replace(rows[key], partition=names[number]) for key in sorted(rows)]
        return EntityPage(found, date, str(number + 1) if number + 1 < len(names) else "")

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        self.commits += 1
        await self.pause()
        fault = self._fails("commit")
        self._find_out()
        if fault is Fault.LOST_REQUEST:
            raise OutcomeUnknown("request lost")
        etags = self.state.apply(partition, writes)
        self.entities_written += len(writes)
        await self.pause()
        if fault is Fault.LOST_ANSWER:
            raise OutcomeUnknown("answer lost")
        return etags

    async def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition in RowKey order, page by page; later pages see later writes."""
        while True:
            await self.pause()
            self._find_out()
            if self._fails("scan"):
                raise OutcomeUnknown("scan lost")
            page, after = self.state.page(partition, after, PAGE_SIZE, select, within)
            if not after:
                return
            yield page

    def _date(self) -> datetime | None:
        return self.state.now().replace(microsecond=0) if self.state.now is not None else None

    def lose(self) -> None:
        """Delete the table; whoever meets it first makes it anew."""
        self.state.partitions.clear()
        self._is_lost = True

    def _find_out(self) -> None:
        if self._is_lost:
            self._is_lost = False
            raise OutcomeUnknown("the table was gone and is made anew, empty")

    def entities(self, partition: str) -> dict[str, Entity]:
        """Return what is there now: for assertions."""
        return dict(self.state.partitions.get(partition, {}))

    def _fails(self, method: str) -> Fault | None:
        fault = self.fault(method)
        if fault is Fault.REFUSED:
            raise Refused("storage says no")
        return fault


def _lies_within(entity: Entity, within: PropertyRange | None) -> bool:
    return within is None or within.low <= str(entity.properties.get(within.name, "")) < within.high


def _selected(entity: Entity, select: Sequence[str] | None) -> Entity:
    if select is None:
        return entity
    properties: Properties = {name: value for name, value in entity.properties.items() if name in select}
    return replace(entity, properties=properties)
