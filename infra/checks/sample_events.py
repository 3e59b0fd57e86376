"""Sample events, and what Event Grid and the app would do with them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.intake.event_grid import (
    BLOB_CREATED,
    BLOB_DELETED,
    BLOB_RENAMED,
    DIRECTORY_DELETED,
    DIRECTORY_RENAMED,
    parse,
)
from shared.model.changes import BlobChange
from shared.model.folders import Location, parts_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.checks.project import Resource
    from shared.model.folders import FolderMap


@dataclass(frozen=True, slots=True)
class Event:
    """A sample.

    Attributes:
        type: The event type.
        container: Of its subject.
        name: Of its subject.
        source: container/name that a rename came from, or "".
    """

    type: str
    container: str
    name: str
    source: str = ""

    @property
    def subject(self) -> str:
        """The subject."""
        return f"/blobServices/default/containers/{self.container}/blobs/{self.name}"

    def body(self) -> str:
        """Return the event as the app gets it."""
        data = {"sequencer": "00", "eTag": "0x1"}
        if self.source:
            data["sourceUrl"] = f"https://images.dfs.core.windows.net/{self.source}"
        event = {"eventType": self.type, "subject": self.subject, "eventTime": "2026-01-01T00:00:00Z", "data": data}
        return json.dumps(event)

    def __str__(self) -> str:
        kind = self.type.rpartition(".")[2]
        return f"{kind} of {self.container}/{self.name}{f' (was {self.source})' if self.source else ''}"


def passes(subscription: Resource, event: Event) -> bool:
    """Tell whether Event Grid would deliver: types, subject, and each of the advanced filters.

    Case does not matter in advanced filters, nor in subjects unless isSubjectCaseSensitive says so.
    https://learn.microsoft.com/azure/event-grid/event-filtering
    """
    conditions = subscription.properties.get("filter", {})
    types = conditions.get("includedEventTypes")
    if types is not None and event.type not in types:
        return False
    fold = str if conditions.get("isSubjectCaseSensitive") else str.lower
    begins, ends = (fold(conditions.get(name, "")) for name in ("subjectBeginsWith", "subjectEndsWith"))
    if not (fold(event.subject).startswith(begins) and fold(event.subject).endswith(ends)):
        return False
    return all(_advanced(each, event) for each in conditions.get("advancedFilters", []))


def _advanced(condition: Mapping[str, Any], event: Event) -> bool:
    known = {"subject": event.subject, "eventtype": event.type}
    if condition["key"].lower() not in known:
        return False  # a field that an event does not have
    value = known[condition["key"].lower()].lower()
    values = [each.lower() for each in condition["values"]]
    operators = {
        "StringBeginsWith": lambda: any(value.startswith(each) for each in values),
        "StringEndsWith": lambda: any(value.endswith(each) for each in values),
        "StringContains": lambda: any(each in value for each in values),
        "StringIn": lambda: value in values,
        "StringNotBeginsWith": lambda: not any(value.startswith(each) for each in values),
        "StringNotContains": lambda: not any(each in value for each in values),
    }
    return operators.get(condition["operatorType"], lambda: False)()


def concerns(folders: FolderMap, event: Event) -> bool:
    """Tell whether the app would do something with an event."""
    for change in parse(event.body()):
        if isinstance(change, BlobChange):
            if folders.folder_of(change.container, change.name):
                return True
        elif parts_within(folders.locations, Location(change.container, change.prefix)):
            return True
    return False


def samples(folders: FolderMap) -> Iterator[Event]:
    """Iterate over events in, beside, above and between the folders."""
    names = ["a.jpg", "case 1/b.PNG", "deep/er/c.webp", "d.txt", "Größe.jpeg", "x"]
    places = list(folders.locations.values())
    for place, name in itertools.product(places, names):
        for kind in (BLOB_CREATED, BLOB_DELETED):
            yield Event(kind, place.container, f"{place.prefix}{name}")
        for source in ("unrelated/old.jpg", *(f"{other.container}/{other.prefix}o.jpg" for other in places)):
            yield Event(BLOB_RENAMED, place.container, f"{place.prefix}{name}", source)
        yield Event(BLOB_RENAMED, "unrelated", "new.jpg", f"{place.container}/{place.prefix}{name}")
    for place in places:
        above = [place.prefix.rstrip("/"), *_parents(place.prefix), f"{place.prefix}case-1"]
        for name in filter(None, above):
            yield Event(DIRECTORY_DELETED, place.container, name)
            yield Event(DIRECTORY_RENAMED, "unrelated", "moved", f"{place.container}/{name}")
            yield Event(DIRECTORY_RENAMED, place.container, name, "unrelated/before")


def beside(folders: FolderMap, *, is_exact: bool) -> Iterator[Event]:
    """Iterate over events that should not even be delivered; a folder with // in it is filtered by its container."""
    places = [Location("unrelated", "")]
    if is_exact:
        nested = [place for place in folders.locations.values() if place.prefix]
        places += [Location(place.container, f"{place.prefix.rstrip('/')}2/") for place in nested]
    for place, kind in itertools.product(places, (BLOB_CREATED, BLOB_DELETED)):
        event = Event(kind, place.container, f"{place.prefix}a.jpg")
        if not concerns(folders, event):
            yield event


def _parents(prefix: str) -> list[str]:
    parts = prefix.strip("/").split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
