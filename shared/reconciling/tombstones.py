"""Rows of names, and of cases, that are long gone: kept until no event of theirs can come any more, then dropped.

A deletion leaves a row that says "absent as of sequencer S", so that a late, older creation is stale. Once the row is
older than every redelivery path it may go: a late event without a row is looked at (:func:`ledger.decide`).
"""

from __future__ import annotations

from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.errors import Conflict, Rejected
from shared.model.cases import ROW_PREFIX, is_forgotten
from shared.model.ledger import TOMBSTONE_HORIZON, from_properties
from shared.model.ports import Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from shared.model.ports import Entity, Table

#: Whoever decides an event reads another clock than whoever drops the row.
_MARGIN: Final = timedelta(days=1)
_OPERATIONS: Final = 100
_COLUMNS: Final = ("present", "event_time", "observed_at", "total", "changed_at", "drained")


async def collect(table: Table, partition: str, now: datetime, after_key: str = "") -> AsyncIterator[tuple[int, str]]:
    """Drop the tombstones that are older than the horizon, page by page.

    Args:
        table: The ledger's table.
        partition: Where in it the rows are.
        now: The time.
        after_key: Go on after this row key.

    Yields:
        How many were dropped, and the last row key that was dealt with.
    """
    oldest_kept = now - TOMBSTONE_HORIZON - _MARGIN
    async for page in table.scan(partition, _COLUMNS, after=after_key):
        expired = [entity for entity in page if _is_expired(entity, oldest_kept)]
        dropped = 0
        for some in batched(expired, _OPERATIONS, strict=False):
            dropped += await drop(table, partition, some)
        yield dropped, page[-1].row_key if page else after_key


def _is_expired(entity: Entity, oldest_kept: datetime) -> bool:
    if entity.row_key.startswith(ROW_PREFIX):
        return is_forgotten(entity.properties, oldest_kept)
    if entity.properties.get("present") is not False:
        return False  # a present blob's row, the tally, or nothing that the app has written
    row = from_properties(entity.properties, folders=())  # only its times are of interest
    times = [moment for moment in (row.event_time, row.observed_at) if moment is not None]
    return bool(times) and max(times) < oldest_kept


async def drop(table: Table, partition: str, entities: Sequence[Entity]) -> int:
    """Drop at most 100 rows on which no count depends, unless they have changed since they were read.

    Returns:
        How many were dropped.
    """
    try:
        await table.commit(partition, [Write(entity.row_key, None, entity.etag) for entity in entities])
    except (Conflict, Rejected):
        if len(entities) == 1:
            return 0  # an event came first, or storage does not drop it: it stays
        middle = len(entities) // 2
        return await drop(table, partition, entities[:middle]) + await drop(table, partition, entities[middle:])
    return len(entities)
