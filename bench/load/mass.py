"""An Azurite that holds many blobs and their ledger, in seconds instead of the quarter of an hour of uploading them.

One blob is uploaded and one row written, as anybody would; then, with Azurite stopped, what it has stored of them is
multiplied in its files: the same records under other names, their bytes shared. Azurite cannot tell the difference,
and nothing here has to know what a record holds besides its name. Its format is that of the pinned version.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient

from bench.load.ledgers import FOLDER, connected, new_table, open_ledger
from shared.model.folders import FOLDERS
from shared.model.ledger import path_hashes, row_key
from shared.model.sketch import Sketch
from shared.model.tally import fold
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localdev.azurite import Azurite

type Record = dict[str, Any]

TABLE = "massive"
BLOBS = "$BLOBS_COLLECTION$"


def fill(azurite: Azurite, names: Sequence[str], fingerprint: str) -> None:
    """Give a stopped, empty Azurite these blobs in container :data:`FOLDER`, and a ledger that holds them."""
    assert azurite.location is not None
    azurite.start()
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    for folder in FOLDERS:
        service.create_container(folder)
    pattern = next(iter(names), "pattern.jpg")
    service.get_blob_client(FOLDER, pattern).upload_blob(b"x")
    asyncio.run(_first_row(azurite.connection_string, pattern, fingerprint))
    azurite.stop()
    _multiply_blobs(azurite.location / "__azurite_db_blob__.json", names)
    _multiply_rows(azurite.location / "__azurite_db_table__.json", names)


async def _first_row(connection_string: str, name: str, fingerprint: str) -> None:
    async with connected(connection_string) as tables:
        await open_ledger(await new_table(tables, TABLE), [name], fingerprint)


def _multiply_blobs(path: Path, names: Sequence[str]) -> None:
    stored = json.loads(path.read_text())
    (blobs,) = (each for each in stored["collections"] if each["name"] == BLOBS)
    (blob,) = blobs["data"]
    _put(blobs, [blob | {"name": name} for name in names])
    path.write_text(json.dumps(stored))


def _multiply_rows(path: Path, names: Sequence[str]) -> None:
    stored = json.loads(path.read_text())
    (rows,) = (each for each in stored["collections"] if each["name"].endswith(f"${TABLE}"))
    (tally,) = (each for each in rows["data"] if each["RowKey"] == TALLY_KEY)
    (row,) = (each for each in rows["data"] if each["RowKey"] != TALLY_KEY)
    paths = [f"{FOLDER}/{name}" for name in names]
    digest_key = bytes.fromhex(tally["properties"]["digest_key"])
    total, sketch = fold(digest_key, paths), Sketch(digest_key)
    sketch.add(list(path_hashes(paths)))
    tally["properties"] |= {f"{FOLDER}_count": str(total.count), f"{FOLDER}_digest": f"{total.digest:032x}"}
    tally["properties"] |= {f"sketch{number:03}": text for number, text in enumerate(sketch.to_texts())}
    _put(rows, [tally, *(_row(row, path) for path in paths)])
    path.write_text(json.dumps(stored))


def _row(row: Record, path: str) -> Record:
    key = {"RowKey": row_key(path)}
    return row | key | {"properties": row["properties"] | key | {"path": path}}


def _put(collection: Record, records: list[Record]) -> None:
    """Replace a collection's records, with numbers and indexes as LokiJS keeps them."""
    collection["data"] = [record | {"$loki": number} for number, record in enumerate(records, 1)]
    collection["maxId"] = len(records)
    if collection["idIndex"] is not None:
        collection["idIndex"] = list(range(1, len(records) + 1))
    for name, index in collection["binaryIndices"].items():
        index["values"] = sorted(range(len(records)), key=lambda position: records[position][name])
