"""A table that counts and times what is asked of it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.writing.tally_row import PARTITION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from shared.model.ports import Entity, PropertyRange, Table, Write


class WatchedTable:
    """Asks another table.

    Attributes:
        reads: Entities asked for, one at a time.
        scans: Scans of the ledger's partition that were begun.
        commits: Transactions that were sent.
        rows_written: Entities of the ledger's partition in them, also of those that failed.
        seconds: How long reads and commits took.
    """

    def __init__(self, table: Table) -> None:
        self.reads = self.scans = self.commits = self.rows_written = 0
        self.seconds = 0.0
        self._table = table

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity, or None."""
        self.reads += 1
        with self._timed():
            return await self._table.read(partition, row_key, select)

    async def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition."""
        self.scans += partition == PARTITION
        async for page in self._table.scan(partition, select, after=after, within=within):
            yield page

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        self.commits += 1
        self.rows_written += len(writes) if partition == PARTITION else 0
        with self._timed():
            return await self._table.commit(partition, writes)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
