"""The JSON of an event."""

from datetime import UTC, datetime

from localdev.bridge.events import Stamp, cloud_event, event_grid_event
from localdev.bridge.operations import BlobRef, Change, EventType, Mutation, Properties

STAMP = Stamp("0" * 47 + "f", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "the-id", "the-batch")
BLOB = BlobRef("devstoreaccount1", "queued", "dir/a b#ü.jpg")


def change(event_type: EventType, api: str) -> Change:
    """A change of one blob."""
    mutation = Mutation(event_type, api, BLOB, "http://h/devstoreaccount1/queued/dir/a b#ü.jpg", "client-1")
    etag = "" if mutation.deletes else "0x8D"
    return Change(mutation, "request-1", etag, Properties("image/jpeg", 42, "BlockBlob"))


def test_created_has_exactly_the_fields_of_the_service() -> None:
    """A created event in the Event Grid schema, field by field."""
    assert event_grid_event(change(EventType.CREATED, "PutBlob"), STAMP) == {
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
        "/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
        "subject": "/blobServices/default/containers/queued/blobs/dir/a b#ü.jpg",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": "the-id",
        "data": {
            "api": "PutBlob",
            "clientRequestId": "client-1",
            "requestId": "request-1",
            "eTag": "0x8D",
            "contentType": "image/jpeg",
            "contentLength": 42,
            "blobType": "BlockBlob",
            "url": "http://h/devstoreaccount1/queued/dir/a b#ü.jpg",
            "sequencer": STAMP.sequencer,
            "storageDiagnostics": {"batchId": "the-batch"},
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": "2026-01-02T03:04:05.6789010Z",
    }


def test_deleted_has_neither_etag_nor_length() -> None:
    """What is gone has no ETag and no length."""
    data = event_grid_event(change(EventType.DELETED, "DeleteBlob"), STAMP)["data"]
    assert not {"eTag", "contentLength"} & data.keys()
    assert data["contentType"] == "image/jpeg"


def test_cloud_events_carry_the_same_facts() -> None:
    """Both schemas agree on id, subject, time, type and data."""
    event = event_grid_event(change(EventType.DELETED, "DeleteBlob"), STAMP)
    converted = cloud_event(event)
    assert converted["specversion"] == "1.0"
    pairs = {
        "source": "topic",
        "subject": "subject",
        "type": "eventType",
        "time": "eventTime",
        "id": "id",
        "data": "data",
    }
    assert {name: converted[name] for name in pairs} == {name: event[old] for name, old in pairs.items()}
