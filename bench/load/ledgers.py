"""Ledgers to measure on: a table of their own on Azurite, aged so that nothing has to be looked at, filled on request.

A new ledger looks at the blobs of its first seconds' events (``known_since``); the ledgers here are an hour old, and
ready. Clients are set up as the app sets up its own: connections dropped before Azurite drops them, no retries.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING

from azure.data.tables.aio import TableServiceClient

from shared.azure.batch import Transactions
from shared.azure.clients import connections
from shared.azure.table import AzureTable
from shared.clock import SystemClock
from shared.model import ledger
from shared.model.changes import BlobChange
from shared.model.ledger import Row, path_hashes, row_key
from shared.model.ports import Head, Write
from shared.model.sketch import Sketch
from shared.model.tally import fold
from shared.writing.tally_row import PARTITION, Counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from shared.model.ports import Table

FOLDER = "queued"
FINGERPRINT = "bench"
ROWS_A_TRANSACTION = 99
#: Sequencers are compared only between events of the same name, and each name has these two.
CREATED, DELETED = f"{1:048x}", f"{2:048x}"
ETAG = "0x8DE29F3C4835CD0"
PARALLEL_TRANSACTIONS = 2


class NoHeads:
    """Nothing that is measured with it looks at a blob."""

    async def head(self, container: str, name: str) -> Head:
        """Fail."""
        raise AssertionError(f"looked at {container}/{name}")


class Tables:
    """The tables of an account, as the app reaches them.

    Args:
        connection_string: The account's.
    """

    def __init__(self, connection_string: str) -> None:
        self._connections = connections()
        self.service = TableServiceClient.from_connection_string(
            connection_string, transport=self._connections, retry_total=0
        )

    def table[T: AzureTable](self, name: str, kind: type[T] = AzureTable) -> T:
        """Return a table, of the app's kind or one that watches it."""
        client = self.service.get_table_client(name)
        return kind(client, Transactions(client, self._connections))


@asynccontextmanager
async def connected(connection_string: str) -> AsyncIterator[Tables]:
    """Connect to the Table service."""
    tables = Tables(connection_string)
    async with tables.service:
        yield tables


def new_name() -> str:
    """Return the name of a table that nobody else uses."""
    return f"b{uuid.uuid4().hex[:16]}"


async def new_table(tables: Tables, name: str = "") -> AzureTable:
    """Make a table that nobody else uses."""
    table = tables.table(name or new_name())
    await table.create()
    return table


async def open_ledger(table: Table, names: Iterable[str] = (), fingerprint: str = FINGERPRINT) -> Counts:
    """Make a ledger that is an hour old, ready, and holds these names (of container :data:`FOLDER`)."""
    counts = Counts(table, fingerprint, SystemClock())
    stored = await counts.open()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    paths = [f"{FOLDER}/{name}" for name in names]
    await _fill(table, paths, long_ago)
    filled = fold(stored.tally.digest_key, paths, stored.tally.sums[FOLDER])
    sketch = Sketch(stored.tally.digest_key)
    sketch.add(list(path_hashes(paths)))
    sums = {**stored.tally.sums, FOLDER: filled}
    aged = replace(stored.tally, ready=True, known_since=long_ago, sums=sums, sketch=sketch)
    await table.commit(PARTITION, [stored.write(aged)])
    return counts


async def _fill(table: Table, paths: list[str], event_time: datetime) -> None:
    batches = batched(paths, ROWS_A_TRANSACTION, strict=False)

    async def work() -> None:
        for batch in batches:
            rows = [
                Row(path, FOLDER, present=True, sequencer=CREATED, etag=ETAG, event_time=event_time) for path in batch
            ]
            writes = [Write(row_key(row.path), ledger.to_properties(row), None) for row in rows]
            await table.commit(PARTITION, writes)

    await asyncio.gather(*(work() for _ in range(PARALLEL_TRANSACTIONS)))


def created(name: str) -> BlobChange:
    """Return the creation of a name, of just now; of a name that :func:`open_ledger` was given: a duplicate."""
    return BlobChange(FOLDER, name, present=True, sequencer=CREATED, event_time=datetime.now(UTC), etag=ETAG)


def deleted(name: str) -> BlobChange:
    """Return the deletion of a name, of just now."""
    return BlobChange(FOLDER, name, present=False, sequencer=DELETED, event_time=datetime.now(UTC))
