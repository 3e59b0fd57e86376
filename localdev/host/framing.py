"""The heads of a proxied request and of the host's own answers, and the framing of the worker's answers."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import httptools

from localdev.host.request import Request

_DROPPED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade expect x-ms-invocation-id".split()
)
"""Hop-by-hop headers (RFC 9110, 7.6.1), what this host answers itself, and what is only this host's to say."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r]*close", re.IGNORECASE)


class Body:
    """The framing of an answer's body.

    Attributes:
        complete: all of it has passed.
        closes: the worker closes the connection after it.
        until_close: its end is the end of the connection.
        dechunk: it is chunked, and the client (HTTP/1.0) knows no chunks.
    """

    __slots__ = ("_out", "_parser", "_remaining", "closes", "complete", "dechunk", "until_close")

    def __init__(self, head: bytes, method: str, *, dechunk: bool) -> None:
        self._parser: Any = None
        self._remaining = 0
        self._out: list[bytes] = []
        self.complete = self.until_close = self.dechunk = False
        self.closes = _CLOSE.search(head) is not None
        if method == "HEAD" or head[9:12] in (b"204", b"304"):
            self.complete = True
        elif length := _LENGTH.search(head):
            self._remaining = int(length[1])
            self.complete = self._remaining == 0
        elif _CHUNKED.search(head):
            self.dechunk = dechunk
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(head)
        else:
            self.until_close = True

    def strip_chunking(self, head: bytes) -> bytes:
        """Return the head of an answer whose body is sent without chunks."""
        return _CHUNKED.sub(b"\r\n", head)

    @property
    def reusable(self) -> bool:
        """Whether the worker's connection is ready for another request."""
        return self.complete and not self.closes and self._remaining == 0

    def feed(self, data: bytes) -> bytes:
        """Count a part; return what of it the client gets."""
        if self._parser is not None:
            self._out.clear()
            self._parser.feed_data(data)
            return b"".join(self._out) if self.dechunk else data
        if not self.until_close:
            self._remaining -= len(data)  # below zero: more than was announced, so `reusable` is false
            self.complete = self._remaining <= 0
        return data

    def on_body(self, data: bytes) -> None:
        """Take a chunk's content (httptools)."""
        if self.dechunk:
            self._out.append(data)

    def on_message_complete(self) -> None:
        """Note that the last chunk has passed (httptools)."""
        self.complete = True


def forwarded_head(request: Request, target: bytes, invocation_id: str) -> bytes:
    """Return the head of a request as the worker gets it.

    Left out: hop-by-hop headers, also those that `Connection` names, and an invocation id of the client's making.
    """
    named = {
        name.strip().lower() for key, value in request.headers if key == b"connection" for name in value.split(b",")
    } - {b"host", b"content-length"}
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), target)]
    lines += [b"%b: %b" % header for header in request.headers if header[0] not in _DROPPED and header[0] not in named]
    if request.chunked:
        lines.append(b"transfer-encoding: chunked")
    if request.header(b"host") is None:  # HTTP/1.0
        lines.append(b"host: localhost")
    lines.append(b"x-ms-invocation-id: " + invocation_id.encode())
    return b"\r\n".join([*lines, b"", b""])


def response_head(status: int, headers: Iterable[tuple[str, str]], length: int, *, close: bool) -> bytes:
    """Return the head of an answer of the host's own."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {length}")
    if close:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
