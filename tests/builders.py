"""Builders: events, changes, rows, tallies and snapshots with everything that a test does not care about filled in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.intake.event_grid import BLOB_CREATED
from shared.model.changes import BlobChange
from shared.model.folders import FOLDERS, FolderMap, Location
from shared.model.ledger import Row
from shared.model.snapshot import StatusSnapshot
from shared.model.tally import Sum, Tally
from shared.serving.protocol import StatusQuery, parse_status_query

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "events"
START = datetime(2026, 11, 22, 18, 20, 31, 123456, tzinfo=UTC)
PATH = "queued/case-0042/IMG_0001.jpg"
MAX_WAIT_SECONDS = 60.0


def at(seconds: float) -> datetime:
    """Return a moment this long after the start."""
    return START + timedelta(seconds=seconds)


def sequencer(number: int, width: int = 48) -> str:
    """Return a normalised sequencer."""
    return f"{number:0{width}x}"


def subject_of(path: str) -> str:
    """Return the subject of an event about this path."""
    container, _, name = path.partition("/")
    return f"/blobServices/default/containers/{container}/blobs/{name}"


def event_grid(event_type: object = BLOB_CREATED, path: str = PATH, **fields: Any) -> dict[str, Any]:
    """Return an event in Event Grid schema; ``fields`` replace its own."""
    return {
        "topic": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/caseimages",
        "subject": subject_of(path),
        "eventType": event_type,
        "eventTime": "2026-11-22T18:20:31.1234567Z",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "data": {"api": "PutBlob", "eTag": "0x8DE29F3C4835CD0", "sequencer": sequencer(7)},
        "dataVersion": "",
        "metadataVersion": "1",
    } | fields


def cloud_event(event_type: object = BLOB_CREATED, path: str = PATH, **fields: Any) -> dict[str, Any]:
    """Return an event as a CloudEvent 1.0; ``fields`` replace its own."""
    event = event_grid(event_type, path)
    return {
        "specversion": "1.0",
        "source": event["topic"],
        "type": event_type,
        "time": event["eventTime"],
        **{name: event[name] for name in ("subject", "id", "data")},
    } | fields


def sample(name: str) -> str:
    """Return the text of a sample event."""
    return (SAMPLES / f"{name}.json").read_text()


def change(number: int | None = 1, *, present: bool = True, seconds: float | None = 1000, **fields: Any) -> BlobChange:
    """Return a change of :data:`PATH`: its sequencer's number, and when it happened."""
    container, _, name = PATH.partition("/")
    made = BlobChange(
        container,
        name,
        present,
        sequencer=None if number is None else sequencer(number),
        event_time=None if seconds is None else at(seconds),
    )
    return replace(made, **fields)


def row(number: int | None = 1, *, present: bool = True, observed: float | None = None, **fields: Any) -> Row:
    """Return the row of :data:`PATH`."""
    made = Row(
        PATH,
        "queued",
        present,
        sequencer="" if number is None else sequencer(number),
        observed_at=None if observed is None else at(observed),
    )
    return replace(made, **fields)


def folder_map(*suffixes: str, **places: str) -> FolderMap:
    """Return a folder map; places are ``container`` or ``container/prefix/``, by default each folder's own name."""
    split = {
        folder: place.partition("/") for folder, place in (dict(zip(FOLDERS, FOLDERS, strict=True)) | places).items()
    }
    return FolderMap(
        {folder: Location(container, prefix) for folder, (container, _, prefix) in split.items()},
        suffixes or ("jpg", "png"),
    )


def tally(queued: int = 0, processing: int = 0, completed: int = 0, **fields: Any) -> Tally:
    """Return a ready tally with these counts."""
    made = Tally(
        epoch="c0ffee",
        digest_key=b"0123456789abcdef",
        fingerprint="f",
        changed_at=START,
        known_since=START,
        revision=7,
        ready=True,
        sums={folder: Sum(count) for folder, count in zip(FOLDERS, (queued, processing, completed), strict=True)},
    )
    return replace(made, **fields)


def snapshot(read_seconds: float = 100, **fields: Any) -> StatusSnapshot:
    """Return a snapshot of a tally with these fields, read so long after the start."""
    return StatusSnapshot(tally(**fields), at(read_seconds))


def query(headers: dict[str, str] | None = None, **parameters: str) -> StatusQuery:
    """Read a status request with these headers and query parameters (``from_`` stands for ``from``)."""
    pairs = [(name.rstrip("_"), value) for name, value in parameters.items()]
    return parse_status_query(list((headers or {}).items()), pairs, MAX_WAIT_SECONDS)


def to_text(event: object) -> str:
    """Return an event as it is delivered."""
    return json.dumps(event)
