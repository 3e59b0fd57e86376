"""Clients that send slowly, and clients that send no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from localdev.host import connection
from localdev.host.connection import ClientConnection
from localdev.host.request import Handler, Request
from tests.host.support import DEADLINE_SECONDS, STATUS, Host, get, seen
from tests.waiting import eventually

PATIENCE_SECONDS = 0.3
DELIVERY = (
    b"POST /runtime/webhooks/EventGrid?functionName=on_event HTTP/1.1\r\nHost: localhost\r\n"
    b"aeg-event-type: Notification\r\nContent-Length: 2\r\n\r\n[]"
)


class Holding:
    """A server whose answers wait until they are let go; a `connection.Server` and a `Handler`."""

    def __init__(self) -> None:
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self.clients: list[ClientConnection] = []
        self.abandoned = 0

    def open(self, request: Request, client: ClientConnection) -> Handler | None:
        """Take a request."""
        del request
        self.clients.append(client)
        return self

    def receive(self, data: bytes) -> None:
        """Take a part of the body."""

    def received(self) -> None:
        """The request is complete."""

    def abandon(self) -> None:
        """The client left, or was given up."""
        self.abandoned += 1

    def pause(self) -> None:
        """Nothing to hold back."""

    def resume(self) -> None:
        """Nothing was held back."""


@pytest.fixture
async def holding(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Holding, int]]:
    """Such a server with little patience, and its port."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", PATIENCE_SECONDS)
    server = Holding()
    listener = await asyncio.get_running_loop().create_server(lambda: ClientConnection(server), "127.0.0.1", 0)
    yield server, listener.sockets[0].getsockname()[1]
    listener.close()
    for each in list(server.connections):
        each.abort()
    await listener.wait_closed()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte now and then, as long as somebody takes them."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(PATIENCE_SECONDS / 5)


LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nabc"
CHUNK = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab"


@pytest.mark.parametrize(
    ("sent", "dripped", "statuses"),
    [
        (b"", b"", []),
        (b"", b"GET /" + b"x" * 99, [b"408"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"", [b"408"]),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: " + b"x" * 99, [b"408"]),
        (LENGTH, b"", [b"408"]),
        (LENGTH, b"x" * 99, [b"408"]),
        (CHUNK, b"", [b"408"]),
        (CHUNK, b"x" * 99, [b"408"]),
    ],
)
async def test_a_request_that_does_not_get_complete_is_closed(
    holding: tuple[Holding, int], sent: bytes, dripped: bytes, statuses: list[bytes]
) -> None:
    """Whether the rest never comes or drips: in its time it is refused, and the connection ends."""
    async with connected(holding[1]) as (reader, writer):
        writer.write(sent)
        dripping = asyncio.create_task(drip(writer, dripped))
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
        dripping.cancel()
        assert STATUS.findall(answer) == statuses
    await eventually(lambda: not holding[0].connections)


async def test_a_body_that_moves_on_and_a_parked_request_are_not_slow(holding: tuple[Holding, int]) -> None:
    """A big body may take longer than a head, and who has sent all may be held for as long as the answer takes."""
    server, port = holding
    part = b"x" * connection.SLOWEST_BODY_BYTES
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (5 * len(part)))
        for _ in range(5):
            await asyncio.sleep(PATIENCE_SECONDS * 0.7)
            writer.write(part)
        await asyncio.sleep(2 * PATIENCE_SECONDS)
        writer.write(b"GET / HT")  # pipelined: it waits for us, not we for it
        await asyncio.sleep(2 * PATIENCE_SECONDS)
        server.clients[0].respond(200)
        assert STATUS.findall(await reader.read()) == [b"200", b"408"]


async def test_an_idle_connection_is_kept(holding: tuple[Holding, int]) -> None:
    """Between two requests a client may take its time."""
    server, port = holding
    async with connected(port) as (reader, writer):
        for number in range(2):
            writer.write(get("/"))
            await eventually(lambda number=number: len(server.clients) > number)
            server.clients[number].respond(200)
            assert STATUS.findall(await reader.readuntil(b"\r\n\r\n")) == [b"200"]
            await asyncio.sleep(2 * PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (get("/api/blob/3000000"), [b"200"]),
        (get("/api/none"), [b"404"]),
        (b"GET /api/head HTTP/1.0\r\n\r\n", [b"200"]),
        (get("/api/head") * 3, [b"200"] * 3),
        (get("/api/head") + b"GET /api", [b"200", b"400"]),
        (get("/api/head") + b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", [b"200", b"400"]),
        (DELIVERY, [b"202"]),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", [b"400"]),
        (b"GET /api", [b"400"]),
        (b"", []),
    ],
)
async def test_a_client_that_sends_no_more_gets_its_answers(host: Host, sent: bytes, statuses: list[bytes]) -> None:
    """Whatever was sent before the FIN is answered, what is not whole with 400, and then the connection ends."""
    async with connected(host.port) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        assert STATUS.findall(answer) == statuses
        if b"blob" in sent:
            assert len(answer.partition(b"\r\n\r\n")[2]) == 3_000_000


async def test_a_held_client_that_sends_no_more_is_held(host: Host, client: httpx.AsyncClient) -> None:
    """A long poll that sends no more gets the change; one that has left is forgotten meanwhile."""
    async with connected(host.port) as (reader, writer), connected(host.port) as (_, leaver):
        writer.write(get("/api/park?name=half-closed"))
        leaver.write(get("/api/park?name=half-closed-leaver"))

        async def parked() -> bool:
            return int((await seen(client))["parked"]) >= 2

        await eventually(parked)
        writer.write_eof()
        leaver.close()

        async def noticed() -> bool:
            return "half-closed-leaver" in (await seen(client)).get("left", [])

        await eventually(noticed)
        assert "half-closed" not in (await seen(client)).get("left", [])
        await client.post("/api/wake")
        assert (await reader.read()).endswith(b"woken")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_quiet_stream_whose_client_sends_no_more_ends(host: Host, version: str) -> None:
    """Who cannot be asked is taken for gone, so that no stream is kept for a client that has left."""
    async with connected(host.port) as (reader, writer):
        writer.write(get("/api/stream").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        await reader.readuntil(b"data: open\n\n")
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            assert b"data: wake" not in await reader.read()
