"""An entity group transaction on the wire: operations in as one multipart body, their results out of another.

::

    multipart/mixed; batch_…                 the request, or its answer
    └─ multipart/mixed; changeset_…          all or nothing
       ├─ application/http                   one operation, or one result, as a whole HTTP message
       └─ application/http

The format is that of https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions.
Anything in an answer that is not as it says there is an error, never a guess.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.model.ledger import Properties
    from shared.model.ports import Write

_PART: Final = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_HEADERS: Final = "Content-Type: application/json\r\nAccept: application/json\r\nDataServiceVersion: 3.0\r\n"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one operation.

    Attributes:
        status: HTTP status.
        etag: The entity's new ETag, or "".
        body: Of an error, else mostly empty.
    """

    status: int
    etag: str
    body: bytes


def encode(table_url: str, partition: str, writes: Iterable[Write], boundary: str) -> bytes:
    """Return the body of a request whose content type is ``multipart/mixed; boundary=batch_{boundary}``.

    Raises:
        ValueError: A write has no condition.
    """
    head = f"--batch_{boundary}\r\nContent-Type: multipart/mixed; boundary=changeset_{boundary}\r\n\r\n"
    between = f"--changeset_{boundary}\r\n".encode()
    end = f"--changeset_{boundary}--\r\n--batch_{boundary}--\r\n"
    parts = (between + _PART + _message(table_url, partition, write) + b"\r\n" for write in writes)
    return head.encode() + b"".join(parts) + end.encode()


def _message(table_url: str, partition: str, write: Write) -> bytes:
    """Return one operation: create (POST), replace (PUT), merge (PATCH) or delete."""
    is_deletion, etag = write.properties is None, write.etag
    keys: Properties = {"PartitionKey": partition, "RowKey": write.row_key}
    if etag is None and not is_deletion:
        start, condition = f"POST {table_url}", "Prefer: return-no-content\r\n"
    elif etag:
        url = f"{table_url}(PartitionKey='{_key(partition)}',RowKey='{_key(write.row_key)}')"
        method = "DELETE" if is_deletion else "PATCH" if write.merges else "PUT"
        start, condition = f"{method} {url}", f"If-Match: {etag}\r\n"
    else:
        raise ValueError("a replacement or a deletion without an ETag: every operation is conditional")
    body = b"" if write.properties is None else json.dumps(_json(keys | write.properties)).encode()
    length = f"Content-Length: {len(body)}\r\n"
    return f"{start} HTTP/1.1\r\n{_HEADERS}{condition}{length}\r\n".encode() + body


def _key(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")


def _json(properties: Properties) -> dict[str, str | bool]:
    """Return properties as the service takes them: wide integers are strings with their type beside them."""
    written: dict[str, str | bool] = {}
    for name, value in properties.items():
        if isinstance(value, int) and not isinstance(value, bool):
            written[name], written[f"{name}@odata.type"] = str(value), "Edm.Int64"
        else:
            written[name] = value
    return written


def decode(body: bytes) -> list[Result]:
    """Return the results in the body of an answer.

    Raises:
        ValueError: It is not what the format says.
    """
    text = body.replace(b"\r\n", b"\n")
    changeset = _boundary_of(text)
    _, *parts = (b"\n" + text).split(b"\n--" + changeset)
    if not parts or not parts[-1].startswith(b"--"):
        raise ValueError("the answer to a transaction is cut off")
    return [_result(part) for part in parts[:-1]]


def _boundary_of(text: bytes) -> bytes:
    """Return the boundary that the changeset of an answer names."""
    _, found, rest = text.partition(b"boundary=")
    boundary = rest.partition(b"\n")[0].partition(b";")[0].strip().strip(b'"')
    if not found or not boundary:
        raise ValueError("the answer to a transaction has no changeset")
    return boundary


def _result(part: bytes) -> Result:
    _, found, message = part.partition(b"\n\n")
    head, _, body = message.partition(b"\n\n")
    first, *lines = head.strip().decode("latin-1").split("\n")
    version, _, rest = first.partition(" ")
    if not found or not version.startswith("HTTP/"):
        raise ValueError("a part of the answer to a transaction is no HTTP message")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Result(int(rest.partition(" ")[0]), headers.get("etag", ""), body.strip())
