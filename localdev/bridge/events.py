"""A change as the JSON that Event Grid would deliver: Event Grid schema or CloudEvents 1.0. Pure.

Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localdev.bridge.operations import Change

Event = dict[str, Any]

_TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Storage/storageAccounts/{account}"
)


class Schema(StrEnum):
    """The two delivery schemas that blob events come in."""

    EVENT_GRID = "eventgrid"
    CLOUD_EVENTS = "cloudevents"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an event has that its change has not: identity, order and time."""

    sequencer: str
    time: datetime
    event_id: str
    batch_id: str

    @classmethod
    def now(cls, sequencer: str) -> Stamp:
        """Return a stamp with fresh ids and the current time."""
        return cls(sequencer, datetime.now(UTC), str(uuid.uuid4()), str(uuid.uuid4()))


def event_grid_event(change: Change, stamp: Stamp) -> Event:
    """Return the event in the Event Grid schema.

    `eventTime` has seven decimals, as .NET writes it. BlobDeleted carries neither eTag nor contentLength.
    """
    blob = change.mutation.blob
    return {
        "topic": _TOPIC.format(account=blob.account),
        "subject": f"/blobServices/default/containers/{blob.container}/blobs/{blob.name}",
        "eventType": change.mutation.event_type.value,
        "id": stamp.event_id,
        "data": _data(change, stamp),
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": stamp.time.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
    }


def cloud_event(event: Event) -> Event:
    """Convert an event of the Event Grid schema to CloudEvents 1.0, with the same id, time and data."""
    return {
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "id": event["id"],
        "data": event["data"],
        "specversion": "1.0",
    }


def _data(change: Change, stamp: Stamp) -> Event:
    mutation, properties = change.mutation, change.properties
    data: Event = {"api": mutation.api}
    if mutation.client_request_id:
        data["clientRequestId"] = mutation.client_request_id
    data["requestId"] = change.request_id
    if not mutation.deletes:
        data["eTag"] = change.etag
    data["contentType"] = properties.content_type
    if not mutation.deletes:
        data["contentLength"] = properties.content_length
    return data | {
        "blobType": properties.blob_type,
        "url": mutation.url,
        "sequencer": stamp.sequencer,
        "storageDiagnostics": {"batchId": stamp.batch_id},
    }
