"""A table of the service in virtual time: how long its requests take, and how much a partition takes.

What Azure does and Azurite does not is an input: a transaction takes 50 ms (median, log-normal, sigma 0.5; one of 99
rows twice as long), a read or a page 12 ms, a page of a scan 0.1 s, a partition takes 2,000 entities a second (failed
attempts and reads included, scans not; 503 above).
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import defaultdict
from typing import TYPE_CHECKING

from shared.errors import Conflict, OutcomeUnknown
from shared.model.ports import Entity, EntityPage, Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from datetime import datetime
    from random import Random

    from localdev.virtual_time import VirtualClock
    from shared.model.ledger import Properties
    from shared.model.ports import PropertyRange

PARTITION_ENTITIES_A_SECOND = 2000
SIGMA = 0.5
ROWS_OF_TWICE_THE_TIME = 99
PAGE_ENTITIES = 1000
COMMIT_MS = 50.0
READ_SHARE = 0.24
SCANNED_PAGE_SECONDS = 0.1


class VirtualTable:
    """A table, as the port wants it, on the running loop's time.

    Args:
        random: Of latencies.
        clock: Virtual time.
        commit_ms: Median time of a small transaction.

    Attributes:
        entities: What partitions were charged with.
        requests: How often one was charged, and how many pages of everything were read.
        throttled: Requests that were refused.
    """

    def __init__(self, random: Random, clock: VirtualClock, commit_ms: float = COMMIT_MS) -> None:
        self.entities = self.requests = self.throttled = 0
        self._random = random
        self._clock = clock
        self._commit_seconds = commit_ms / 1000
        self._read_seconds = READ_SHARE * self._commit_seconds
        self._etags = itertools.count(1)
        self._partitions: defaultdict[str, dict[str, Entity]] = defaultdict(dict)
        self._taken: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def fill(self, partition: str, rows: Iterable[tuple[str, Properties]]) -> None:
        """Put rows into a partition, as if they had always been there."""
        for key, properties in rows:
            self._put(partition, Write(key, properties, None), str(next(self._etags)))

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity."""
        del select
        left = await self._travel(self._read_seconds)
        self._take(partition, 1)
        found, date = self._partitions[partition].get(row_key), self._date()
        await asyncio.sleep(left)
        if found is None:
            return None
        return Entity(found.row_key, found.properties, found.etag, found.written_at, date)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        left = await self._travel(self._commit_seconds * (1 + (len(writes) - 1) / ROWS_OF_TWICE_THE_TIME))
        self._take(partition, len(writes))
        rows = self._partitions[partition]
        for index, write in enumerate(writes):
            if not write.holds(rows.get(write.row_key)):
                await asyncio.sleep(left)
                raise Conflict("the condition does not hold", index)
        etags = [f"{next(self._etags)}" for _ in writes]
        for write, etag in zip(writes, etags, strict=True):
            self._put(partition, write, etag)
        self.landed(writes)
        await asyncio.sleep(left)
        return etags

    def landed(self, writes: Sequence[Write]) -> None:
        """Hear of writes that can be read from now on."""

    async def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition in RowKey order, a page at a time."""
        del select
        rows = self._partitions[partition]
        keys = sorted(key for key in rows if key > after)
        for some in itertools.batched(keys, PAGE_ENTITIES, strict=False):
            await asyncio.sleep(SCANNED_PAGE_SECONDS)
            found = [rows[key] for key in some if key in rows]
            yield [
                row
                for row in found
                if within is None or within.low <= str(row.properties.get(within.name, "")) < within.high
            ]

    async def page(self, token: str = "") -> EntityPage:
        """Read a page of everything."""
        left = await self._travel(self._read_seconds)
        found = [row for rows in list(self._partitions.values()) for row in rows.values()]
        begin = int(token or 0)
        end = begin + PAGE_ENTITIES
        self.requests += 1
        date = self._date()
        await asyncio.sleep(left)
        return EntityPage(found[begin:end], date, str(end) if end < len(found) else "")

    async def _travel(self, median: float) -> float:
        """Take half of a request's time; return the other half."""
        seconds = median * math.exp(self._random.gauss(0.0, SIGMA))
        await asyncio.sleep(seconds / 2)
        return seconds / 2

    def _take(self, partition: str, entities: int) -> None:
        """Charge a partition, which refuses what is above its rate (a bucket of one second)."""
        level, at = self._taken[partition]
        now = self._clock.monotonic()
        level = max(0.0, level - (now - at) * PARTITION_ENTITIES_A_SECOND)
        if level + entities > PARTITION_ENTITIES_A_SECOND:
            self._taken[partition] = [level, now]
            self.throttled += 1
            raise OutcomeUnknown("503 ServerBusy")
        self._taken[partition] = [level + entities, now]
        self.entities += entities
        self.requests += 1

    def _put(self, partition: str, write: Write, etag: str) -> None:
        rows = self._partitions[partition]
        properties = write.over(rows.get(write.row_key))
        if properties is None:
            del rows[write.row_key]
            return
        rows[write.row_key] = Entity(write.row_key, dict(properties), etag, self._clock.now(), None, partition)

    def _date(self) -> datetime:
        return self._clock.now().replace(microsecond=0)
