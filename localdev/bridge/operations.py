"""What a blob request does to the set of blobs, and what Event Grid says about it. Pure.

Raised, as on a flat (not hierarchical) account: Put Blob, Put Block List, Copy Blob, Put Blob From URL, Delete Blob
and every Delete Blob inside a Blob Batch. Not raised: blocks, pages and appended data, metadata, properties, tags,
tiers, leases, snapshots, deletes of only a snapshot or version, undelete, anything on containers. Deleting a
container raises nothing for the blobs in it. Source:
https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from localdev.bridge.http1 import Head

# "The $logs and $blobchangefeed containers aren't integrated with Event Grid" (same source).
SILENT_CONTAINERS: Final = frozenset({"$logs", "$blobchangefeed"})
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"  # what the service stores when the client names none

_IP_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_ACCOUNTLESS_HOSTS = frozenset({"host.docker.internal"})
_SECONDARY = "-secondary"


class EventType(StrEnum):
    """The event types that the bridge raises."""

    CREATED = "Microsoft.Storage.BlobCreated"
    DELETED = "Microsoft.Storage.BlobDeleted"


@dataclass(frozen=True, slots=True, order=True)
class BlobRef:
    """A blob by its decoded names; ordered, so that several can be locked without deadlock."""

    account: str
    container: str
    name: str


@dataclass(frozen=True, slots=True)
class Properties:
    """What a HEAD on a blob tells."""

    content_type: str
    content_length: int
    blob_type: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A request that, if it succeeds, makes a blob present or absent."""

    event_type: EventType
    api: str
    blob: BlobRef
    url: str  # not escaped: the real service does not escape it either (azure-sdk-for-net #23634)
    client_request_id: str
    declared: Properties | None = None  # what the request itself says about the blob; None: ask the blob

    @property
    def deletes(self) -> bool:
        """Whether the blob is gone afterwards."""
        return self.event_type is EventType.DELETED


class Batch:
    """A Blob Batch request: its mutations stand in its body."""


@dataclass(frozen=True, slots=True)
class Change:
    """A mutation that succeeded."""

    mutation: Mutation
    request_id: str
    etag: str  # without quotes, as the service puts it in events; empty for a delete
    properties: Properties


def classify(head: Head, host: str | None = None) -> Mutation | Batch | None:
    """Say what a request does; None for everything that raises no event.

    Args:
        head: the request.
        host: the Host header, for a request inside a batch, which has none of its own.
    """
    host = host or head.get("host")
    path, query = _split(head.target)
    if head.method == "POST" and query.get("comp") == "batch":
        return Batch()
    if head.method not in {"PUT", "DELETE"} or "restype" in query:
        return None
    blob = blob_of(path, host)
    if blob is None or blob.container in SILENT_CONTAINERS:
        return None
    if head.method == "DELETE":
        return _delete(head, query, blob, _url(host, blob))
    return _create(head, query, blob, _url(host, blob))


def change_of(mutation: Mutation, response: Head, found: Properties | None, body_length: int) -> Change | None:
    """Return what a mutation did, judged by its response; None if it failed.

    Args:
        mutation: the request.
        response: the response's head.
        found: the blob's properties, read after it was created or before it was deleted, when known.
        body_length: bytes of content in the request.
    """
    if not 200 <= response.status < 300:  # noqa: PLR2004  # the class of success
        return None
    known = found or mutation.declared or Properties(DEFAULT_CONTENT_TYPE, 0, "BlockBlob")
    if found is None and mutation.api == "PutBlob" and known.blob_type == "BlockBlob":
        known = Properties(known.content_type, body_length, known.blob_type)
    etag = "" if mutation.deletes else response.get("etag").removeprefix("W/").strip('"')
    return Change(mutation, response.get("x-ms-request-id"), etag, known)


def blob_of(path: str, host: str) -> BlobRef | None:
    """Find account, container and blob name exactly as Azurite does; None when the path names no blob.

    The account is the first segment, or the first label of a host like `account.blob.localhost`. A backslash in a
    name is a slash to the service.
    """
    try:
        parts = unquote(path, encoding="utf-8", errors="strict").removeprefix("/").split("/")
    except UnicodeDecodeError:
        return None  # Azurite refuses the request
    hostname = host.rpartition(":")[0] or host
    if "." in hostname and not _IP_ADDRESS.fullmatch(hostname) and hostname.lower() not in _ACCOUNTLESS_HOSTS:
        parts.insert(0, hostname.partition(".")[0])
    if len(parts) < 3 or not all(parts[:2]) or parts[2:] == [""]:  # noqa: PLR2004  # account, container, name
        return None
    account, container, name = parts[0], parts[1], "/".join(parts[2:]).replace("\\", "/")
    return BlobRef(account.removesuffix(_SECONDARY), container, name)


def _split(target: str) -> tuple[str, dict[str, str]]:
    """Split a request target into path and query; it may be a whole URL (RFC 9112, section 3.2.2).

    A parameter counts that is given once and has a value: the service takes `?comp=&sv=…`, which careless clients
    make when they add a signature to an address, for an ordinary request.
    """
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("#")[0].partition("?")
    given = parse_qs(query, keep_blank_values=True)
    return path, {key: values[0] for key, values in given.items() if values[1:] == [] and values[0]}


def _url(host: str, blob: BlobRef) -> str:
    account = "" if host.startswith(f"{blob.account}.") else f"/{blob.account}"
    return f"http://{host}{account}/{blob.container}/{blob.name}"


def _delete(head: Head, query: dict[str, str], blob: BlobRef, url: str) -> Mutation | None:
    only_snapshots = head.get("x-ms-delete-snapshots").lower() == "only"
    if "comp" in query or "snapshot" in query or "versionid" in query or only_snapshots:
        return None
    return Mutation(EventType.DELETED, "DeleteBlob", blob, url, head.get("x-ms-client-request-id"))


def _create(head: Head, query: dict[str, str], blob: BlobRef, url: str) -> Mutation | None:
    api, declared = _created_by(head, query.get("comp"))
    if api is None:
        return None
    return Mutation(EventType.CREATED, api, blob, url, head.get("x-ms-client-request-id"), declared)


def _created_by(head: Head, comp: str | None) -> tuple[str | None, Properties | None]:
    blob_type = head.get("x-ms-blob-type")
    if comp == "blocklist":
        return "PutBlockList", None
    if comp is not None:
        return None, None
    if head.get("x-ms-copy-source"):
        return ("PutBlob" if blob_type else "CopyBlob"), None
    if not blob_type:
        return None, None
    content_type = head.get("x-ms-blob-content-type") or head.get("content-type") or DEFAULT_CONTENT_TYPE
    length = head.get("x-ms-blob-content-length")
    return "PutBlob", Properties(content_type, int(length) if length.isdecimal() else 0, blob_type)
