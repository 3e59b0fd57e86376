"""Framing: every byte of a message belongs to it and none of the next one does."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localdev.bridge.http1 import (
    Body,
    ProtocolError,
    TooLargeError,
    parse_head,
    read_head,
)

NEXT = b"GET /next HTTP/1.1\r\n\r\n"


def chunked(chunks: list[bytes], trailer: bytes) -> bytes:
    """A chunked body with extensions and, perhaps, a trailer."""
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailer + b"\r\n"


async def read_message(wire: bytes, cuts: list[int]) -> tuple[bytes, bytes, bytes]:
    """Feeds `wire` in pieces; returns the raw body, its content, and what is left in the reader."""
    reader = asyncio.StreamReader()

    async def feed() -> None:
        places = [0, *sorted(cut % len(wire) for cut in cuts), len(wire)]
        for start, end in itertools.pairwise(places):
            reader.feed_data(wire[start:end])
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    head = await read_head(reader)
    assert head is not None
    whole = await Body.of_request(reader, head).read_all(10_000_000)
    await feeding
    return whole.raw, whole.content, await reader.read()


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.booleans(), st.lists(st.integers(0, 9999), max_size=6)
)
def test_chunked_bodies_are_kept_as_they_are(chunks: list[bytes], with_trailer: bool, cuts: list[int]) -> None:
    """Chunk sizes, extensions and trailers travel on; the content is what the chunks hold; the next request stays."""
    body = chunked(chunks, b"X-T: 1\r\n" if with_trailer else b"")
    wire = b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body + NEXT
    assert asyncio.run(read_message(wire, cuts)) == (body, b"".join(chunks), NEXT)


@given(st.binary(max_size=2000), st.lists(st.integers(0, 9999), max_size=6))
def test_bodies_with_a_length_end_there(content: bytes, cuts: list[int]) -> None:
    """A body with Content-Length is exactly that long."""
    wire = b"PUT /x HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content) + NEXT
    assert asyncio.run(read_message(wire, cuts)) == (content, content, NEXT)


@pytest.mark.parametrize(
    "wire",
    [
        b"PUT /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
        b"PUT /x HTTP/1.1\r\nContent-Length: five\r\n\r\nabc",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        b"PUT /x HTTP/1.1\r\nContent-Le",
        b"nonsense\r\n\r\n",
    ],
)
async def test_cut_off_messages_are_noticed(wire: bytes) -> None:
    """A message that ends early or is badly framed is an error, not a shorter message."""
    with pytest.raises(ProtocolError):
        await read_message(wire, [])


async def test_a_body_over_its_limit_is_refused() -> None:
    """Reading a whole body stops at the limit."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"x" * 100)
    head = parse_head(b"PUT /x HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
    with pytest.raises(TooLargeError):
        await Body.of_request(reader, head).read_all(99)


@pytest.mark.parametrize(
    ("method", "head", "body", "until_close"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"1\r\n", False),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"", False),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"", False),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", b"", False),
        ("GET", b"HTTP/1.1 412\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n", False),
        ("PUT", b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", b"", False),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n" + NEXT, True),
    ],
)
async def test_responses_are_framed_by_method_status_and_headers(
    method: str, head: bytes, body: bytes, until_close: bool
) -> None:
    """RFC 9112, section 6.3, as far as Azurite's answers need it."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"1\r\nx\r\n0\r\n\r\n" + NEXT)
    reader.feed_eof()
    found = Body.of_response(reader, parse_head(head), method)
    assert (await found.read_all(99)).raw == body
    assert found.until_close is until_close
