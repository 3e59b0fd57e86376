"""A storage account and a ledger of any size that live outside of the process that reconciles them.

The names are made page by page; the rows are read from an SQLite file, in the order that the table has. So what a
process weighs, or takes a name, is the reconciler's own.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.load.ledgers import CREATED, ETAG, FOLDER
from shared.azure.listing import PAGE_SIZE
from shared.model import ledger
from shared.model.folders import FOLDERS, FolderMap, Location
from shared.model.ledger import Row, row_key
from shared.model.ports import Entity, Head, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from shared.model.ports import PropertyRange, Write

FOLDER_MAP = FolderMap({folder: Location(folder) for folder in FOLDERS}, ("jpg", "png"))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def name_of(number: int) -> str:
    """Return the name of a blob: of a length that names have."""
    return f"case-{number // 500:06}/2026-11-22/IMG_{number:08}.jpg"


class GeneratedBlobs:
    """An account with this many blobs in the first container."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """List, page by page."""
        count = self._count if container == FOLDER else 0
        start = int(token or 0)
        while True:
            end = min(start + PAGE_SIZE, count)
            names = [name for number in range(start, end) if (name := name_of(number)).startswith(prefix)]
            yield Page(names, datetime.now(UTC), str(end) if end < count else "")
            if end >= count:
                return
            start = end

    async def head(self, container: str, name: str) -> Head:
        """Look at a blob: all that are asked for are there."""
        assert container == FOLDER, name
        return Head(present=True, date=datetime.now(UTC), etag=ETAG, last_modified=LONG_AGO)


class SqliteTable:
    """A table in a file: as the port wants it, for one process."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA synchronous=OFF; CREATE TABLE IF NOT EXISTS rows (partition TEXT, key TEXT, etag INTEGER,"
            " path TEXT, body TEXT, PRIMARY KEY (partition, key)) WITHOUT ROWID;"
        )
        self.commits: list[str] = []

    def fill(self, partition: str, count: int) -> None:
        """Make the rows of this many blobs."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN")
            for number in range(count):
                path = f"{FOLDER}/{name_of(number)}"
                row = Row(path, FOLDER, present=True, sequencer=CREATED, etag=ETAG, event_time=LONG_AGO)
                body = json.dumps(ledger.to_properties(row))
                cursor.execute("INSERT INTO rows VALUES (?,?,?,?,?)", (partition, row_key(path), 1, path, body))
            cursor.execute("COMMIT")

    async def read(self, partition: str, key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity, or None."""
        del select
        found = self._db.execute("SELECT etag, body FROM rows WHERE partition=? AND key=?", (partition, key)).fetchone()
        return Entity(key, json.loads(found[1]), str(found[0])) if found else None

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes; nobody else is there to conflict with."""
        self.commits.append(partition)
        etag = len(self.commits) + 1
        for write in writes:
            properties = write.over(await self.read(partition, write.row_key) if write.merges else None)
            if properties is None:
                self._db.execute("DELETE FROM rows WHERE partition=? AND key=?", (partition, write.row_key))
                continue
            values = (partition, write.row_key, etag, properties.get("path", ""), json.dumps(properties))
            self._db.execute("INSERT OR REPLACE INTO rows VALUES (?,?,?,?,?)", values)
        return [str(etag)] * len(writes)

    async def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition in RowKey order, a thousand rows a page, as the service does."""
        query = "SELECT key, etag, body FROM rows WHERE partition=? AND key>?"
        values = [partition, after]
        if within is not None:
            column = "path" if within.name == "path" else f"json_extract(body, '$.{within.name}')"
            query += f" AND {column}>=? AND {column}<?"
            values += [within.low, within.high]
        cursor = self._db.execute(f"{query} ORDER BY key", values)
        while page := cursor.fetchmany(1000):
            yield [Entity(key, _selected(json.loads(body), select), str(etag)) for key, etag, body in page]


def _selected(properties: ledger.Properties, select: Sequence[str] | None) -> ledger.Properties:
    return properties if select is None else {name: properties[name] for name in select if name in properties}
