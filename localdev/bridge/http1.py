"""HTTP/1.1 messages as bytes: heads are read and understood, bodies only framed.

A proxy that parses and re-builds messages changes them (case of names, escapes in URLs, chunk boundaries). Here the
original bytes travel on; what is parsed serves only to know where a message ends and what it did.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from http import HTTPStatus

HEAD_LIMIT = 256 * 1024  # also the read buffer of a connection, so memory per connection is a small multiple of it
PIECE = 128 * 1024

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProtocolError(Exception):
    """The peer sent something that is not HTTP/1.1, or ended in the middle of a message."""


class TooLargeError(Exception):
    """A body that has to be read whole is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Head:
    """Start line and headers of a request or response; `raw` is exactly what was received."""

    raw: bytes
    start: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]  # names in lower case

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), default)

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.start[0]

    @property
    def target(self) -> str:
        """The request target as sent: nothing decoded."""
        return self.start[1]

    @property
    def status(self) -> int:
        """The status code of a response; raises ProtocolError when it is none."""
        if not self.start[1].isdecimal():
            raise ProtocolError("not a status code")
        return int(self.start[1])

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.get("transfer-encoding").lower()

    @property
    def closes(self) -> bool:
        """Whether the sender will not use the connection again."""
        connection = self.get("connection").lower()
        return "close" in connection or ("HTTP/1.0" in self.start and "keep-alive" not in connection)


def parse_head(raw: bytes) -> Head:
    """Parse a head; latin-1, as Node reads it, so that odd bytes mean the same name to both.

    Raises:
        ProtocolError: it is not a head.
    """
    first, *lines = raw.decode("latin-1").strip("\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2:  # noqa: PLR2004  # "GET /" or "HTTP/1.1 200"; a reason phrase may be missing
        raise ProtocolError("not an HTTP/1.1 start line")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    return Head(raw, (words[0], words[1], " ".join(words[2:])), headers)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read the next head; None when the peer has closed the connection between two messages."""
    try:
        return parse_head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise ProtocolError("the connection ended inside a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise ProtocolError(f"a head is larger than {HEAD_LIMIT} bytes") from error


class Piece(NamedTuple):
    """A part of a body: the bytes on the wire, and those of them that are content."""

    raw: bytes
    content: bytes


class Body:
    """Reads a framed body (RFC 9112, section 6.3) piece by piece, never more than PIECE bytes at once.

    Args:
        reader: Where it comes from.
        length: How long it is; None when it is chunked, or ends with the connection.
        chunked: Whether it is chunked.

    Attributes:
        expected: Whether there is one.
        until_close: Whether its end is the end of the connection.
        received: Bytes of content so far.
    """

    def __init__(self, reader: asyncio.StreamReader, length: int | None, *, chunked: bool = False) -> None:
        self._reader = reader
        self._left = length or 0
        self._chunked = chunked
        self._in_chunk = False
        self._done = length == 0
        self.expected = length != 0
        self.until_close = length is None and not chunked
        self.received = 0

    @classmethod
    def of_request(cls, reader: asyncio.StreamReader, head: Head) -> Body:
        """Return the body of a request; raise ProtocolError when its length is none."""
        return cls(reader, None, chunked=True) if head.is_chunked else cls(reader, _length(head) or 0)

    @classmethod
    def of_response(cls, reader: asyncio.StreamReader, head: Head, method: str) -> Body:
        """Return the body of a response to a request with `method`; raise ProtocolError when its length is none."""
        if method == "HEAD" or head.status in {204, 304} or head.status < 200:  # noqa: PLR2004  # RFC 9112, 6.3
            return cls(reader, 0)
        return cls(reader, None, chunked=True) if head.is_chunked else cls(reader, _length(head))

    async def read(self) -> Piece | None:
        """Return the next piece, None at the end.

        Raises:
            ProtocolError: the peer went away in the middle.
        """
        if self._done:
            return None
        try:
            if self._left:
                return await self._content(self._left)
            if self._chunked:
                return await self._chunk_edge()
            return await self._until_close()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise ProtocolError("the body is cut off or badly framed") from error

    async def read_all(self, limit: int) -> Piece:
        """Return the whole rest; raise TooLargeError when its content exceeds `limit` bytes."""
        raw, content = bytearray(), bytearray()
        while (piece := await self.read()) is not None:
            raw += piece.raw
            content += piece.content
            if len(content) > limit:
                raise TooLargeError(f"the body is larger than {limit} bytes")
        return Piece(bytes(raw), bytes(content))

    async def _content(self, wanted: int) -> Piece:
        data = await self._reader.read(min(wanted, PIECE))
        if not data:
            raise ProtocolError("the body is cut off")
        self.received += len(data)
        self._left -= len(data)
        self._done = not self._chunked and self._left == 0
        return Piece(data, data)

    async def _chunk_edge(self) -> Piece:
        if self._in_chunk:
            self._in_chunk = False
            return Piece(await self._reader.readexactly(2), b"")
        line = await self._reader.readuntil(b"\n")
        self._left = int(line.partition(b";")[0], 16)
        if self._left < 0:
            raise ProtocolError("a chunk is smaller than nothing")
        self._in_chunk = self._left > 0
        while not self._in_chunk:  # the last chunk: trailers up to an empty line
            trailer = await self._reader.readuntil(b"\n")
            line += trailer
            if not trailer.strip():
                self._done = True
                break
        return Piece(line, b"")

    async def _until_close(self) -> Piece | None:
        data = await self._reader.read(PIECE)
        self._done = not data
        return Piece(data, data) if data else None


def _length(head: Head) -> int | None:
    text = head.get("content-length")
    if text and not text.isdecimal():
        raise ProtocolError("Content-Length is not a number")
    return int(text) if text else None


def response(status: HTTPStatus, content_type: str, content: bytes, *, closes: bool = False) -> bytes:
    """Return a whole response of the bridge's own."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\n"
    head += f"Content-Length: {len(content)}\r\n" + ("Connection: close\r\n" if closes else "")
    return f"{head}\r\n".encode() + content
