"""What a delivered event says about blobs: Event Grid schema and CloudEvents 1.0, read from the raw text.

The trigger hands over the raw JSON of one event. Reading it here, not in the SDK's typed converter, keeps every
failure inside the app, where the event can be quarantined instead of being redelivered for a day.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from shared.clock import from_iso
from shared.errors import EventNotUnderstood, OtherTopic
from shared.model.changes import BlobChange, DirectoryChange, normalise_sequencer

if TYPE_CHECKING:
    from datetime import datetime

BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
BLOB_DELETED: Final = "Microsoft.Storage.BlobDeleted"
BLOB_RENAMED: Final = "Microsoft.Storage.BlobRenamed"

DIRECTORY_RENAMED: Final = "Microsoft.Storage.DirectoryRenamed"
DIRECTORY_DELETED: Final = "Microsoft.Storage.DirectoryDeleted"

# Understood, and no blob's presence can be read from them.
SAYS_NOTHING: Final = frozenset(
    {
        "Microsoft.Storage.BlobTierChanged",
        "Microsoft.Storage.AsyncOperationInitiated",
        "Microsoft.Storage.BlobInventoryPolicyCompleted",
        "Microsoft.Storage.LifecyclePolicyCompleted",
        "Microsoft.Storage.StorageTaskAssignmentQueued",
        "Microsoft.Storage.StorageTaskAssignmentCompleted",
        "Microsoft.Storage.StorageTaskQueued",
        "Microsoft.Storage.StorageTaskCompleted",
        "Microsoft.Storage.DirectoryCreated",
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        "Microsoft.EventGrid.SubscriptionDeletedEvent",
    }
)

_SAYS_SOMETHING: Final = {BLOB_CREATED, BLOB_DELETED, BLOB_RENAMED, DIRECTORY_RENAMED, DIRECTORY_DELETED}

#: Event Grid takes events of up to 1 MB.
MAX_EVENT_CHARACTERS: Final = 1_500_000
# A blob name has at most 1,024 characters; a path in a hierarchical namespace may add its account-relative part.
MAX_NAME_CHARACTERS: Final = 2048
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
#: A URL with such a segment is of another blob, or of another container, by the time that it is sent.
_DOT_SEGMENT = re.compile(r"(?:\A|/)\.\.?(?:/|\Z)")
#: U+FFFE and U+FFFF can be in names, although XML cannot hold them.
#: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]+/([^/]+)/(.+)", re.DOTALL)


def parse(text: str, topics: frozenset[str] = frozenset()) -> list[BlobChange | DirectoryChange]:
    """Read the changes out of one delivered event.

    Args:
        text: The JSON of one event, in Event Grid schema or as a CloudEvent 1.0.
        topics: The only topics to take events from, in lower case; empty: any.

    Returns:
        One change, two or more for a rename, none for an event type that says nothing of a blob's presence.

    Raises:
        OtherTopic: It is of another topic, whatever else it is.
        EventNotUnderstood: With the reason, in words that an operator can act on.
    """
    event = _object(text)
    _check_topic(event, topics)
    event_type, subject, when = _envelope(event)
    if event_type in SAYS_NOTHING:
        return []
    if event_type not in _SAYS_SOMETHING:
        raise EventNotUnderstood(f"unknown event type {event_type[:200]!r}")
    data = event.get("data")
    if not isinstance(data, dict):
        raise EventNotUnderstood("the event has no data object")
    if event_type == BLOB_RENAMED:
        return [*_rename(subject, data, when)]
    if event_type in {DIRECTORY_RENAMED, DIRECTORY_DELETED}:
        return [*_directories(event_type, subject, data, when)]
    container, name = _name_of(_SUBJECT, subject, "subject")
    etag = data.get("eTag")
    return [
        BlobChange(
            container,
            name,
            present=event_type == BLOB_CREATED,
            sequencer=normalise_sequencer(data.get("sequencer")),
            event_time=when,
            etag=etag if isinstance(etag, str) else "",
        )
    ]


def _check_topic(event: dict[str, Any], topics: frozenset[str]) -> None:
    if not topics:
        return
    topic = event.get("source" if "specversion" in event else "topic")
    if not isinstance(topic, str) or not topic:
        raise EventNotUnderstood("the event names no topic, and EVENT_TOPICS says which are taken")
    if topic.lower() not in topics:
        raise OtherTopic(f"from topic {topic[:300]!r}, which EVENT_TOPICS does not name")


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_EVENT_CHARACTERS:
        raise EventNotUnderstood(f"{len(text)} characters are more than an event can have")
    try:
        event = json.loads(text)
    except RecursionError:
        raise EventNotUnderstood("the JSON is nested too deeply") from None
    except ValueError as error:
        raise EventNotUnderstood(f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise EventNotUnderstood(f"an event is a JSON object, this is a {type(event).__name__}")
    return event


def _envelope(event: dict[str, Any]) -> tuple[str, str, datetime | None]:
    if "specversion" in event:
        if event["specversion"] != "1.0":
            raise EventNotUnderstood(f"CloudEvents version {str(event['specversion'])[:50]!r} is not 1.0")
        event_type, when = event.get("type"), event.get("time")
    else:
        event_type, when = event.get("eventType"), event.get("eventTime")
    if not isinstance(event_type, str):
        raise EventNotUnderstood("the event has no type")
    subject = event.get("subject")
    return event_type, subject if isinstance(subject, str) else "", _moment(when)


def _moment(value: object) -> datetime | None:
    try:
        return from_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None  # the sequencer orders events; without a time the blob is looked at


def _name_of(pattern: re.Pattern[str], text: str, where: str) -> tuple[str, str]:
    match = pattern.fullmatch(text)
    if match is None:
        # What stands behind a question mark may be a signature, and the reason is logged.
        raise EventNotUnderstood(f"the {where} {text.partition('?')[0][:200]!r} names no blob")
    container, name = match.groups()
    if len(name) > MAX_NAME_CHARACTERS:
        raise EventNotUnderstood(f"the name in the {where} has {len(name)} characters, more than a blob name can have")
    if _DOT_SEGMENT.search(name):
        raise EventNotUnderstood(f"the name in the {where} has a segment . or .., as no blob's name has")
    if "\N{REPLACEMENT CHARACTER}" in name:
        raise EventNotUnderstood(f"the name in the {where} was corrupted on its way (U+FFFD)")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EventNotUnderstood(f"the name in the {where} is not valid Unicode (a lone surrogate)") from None
    return container, name


def _rename(subject: str, data: dict[str, Any], when: datetime | None) -> list[BlobChange]:
    destination = _name_of(_SUBJECT, subject, "subject")
    container, name = _source_of(data)
    # A rename's sequencer orders neither name against its own earlier events: none is kept, both are looked at.
    return [
        BlobChange(*destination, present=True, sequencer=None, event_time=when, look=True),
        *(
            BlobChange(container, each, present=False, sequencer=None, event_time=when, look=True)
            for each in _spellings(name)
        ),
    ]


def _directories(event_type: str, subject: str, data: dict[str, Any], when: datetime | None) -> list[DirectoryChange]:
    container, name = _name_of(_SUBJECT, subject, "subject")
    found = [DirectoryChange(container, f"{name.rstrip('/')}/", when)]
    if event_type == DIRECTORY_RENAMED:
        container, name = _source_of(data)
        found += [DirectoryChange(container, f"{each.rstrip('/')}/", when) for each in _spellings(name)]
    return found


def _source_of(data: dict[str, Any]) -> tuple[str, str]:
    source_url = data.get("sourceUrl")
    if not isinstance(source_url, str):
        raise EventNotUnderstood("a rename without sourceUrl")
    return _name_of(_URL, source_url, "sourceUrl")


def _spellings(name: str) -> list[str]:
    """Return what a name in a URL may stand for: itself and, if it is an encoding, what it encodes.

    Whether ``sourceUrl`` is percent-encoded is not documented. Looking at a name that never was costs one HEAD; one
    that cannot be is left out, because storage refuses to look at it.
    """
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return [name]
    is_name = not _DOT_SEGMENT.search(decoded) and not _NOT_IN_NAMES.search(decoded)
    return [name, decoded] if is_name and decoded != name else [name]
