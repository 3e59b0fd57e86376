"""``has_left`` asks uvicorn's own ``receive``, over real connections: what the platform's runtime serves with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from localdev.ports import LOOPBACK
from shared.serving.disconnects import has_left

type Receive = Callable[[], Awaitable[dict[str, Any]]]


class Held:
    """An ASGI app that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Receive] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.answered = asyncio.Event()

    async def __call__(self, _: Any, receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Serve a request."""
        self.begun.put_nowait(receive)
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        self.answered.set()


@pytest.fixture(params=["h11", "httptools"])
async def held(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Held, int]]:
    """Return the app, and the port at which uvicorn serves it with each of its parsers."""
    app = Held()
    config = uvicorn.Config(app, LOOPBACK, 0, http=request.param, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with config.bind_socket() as listening:
        serving = asyncio.create_task(server._serve([listening]))  # without its signal handlers
        yield app, listening.getsockname()[1]
        app.let_go.set()
        server.should_exit = True
        await serving


@asynccontextmanager
async def asking(port: int, request: bytes) -> AsyncIterator[asyncio.StreamWriter]:
    """Send a request, and leave at the end."""
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(request)
    try:
        yield writer
    finally:
        writer.close()


async def until_left(receive: Receive) -> None:
    """Wait until the client is seen to have gone."""
    async with asyncio.timeout(5):
        while not has_left(receive):
            await asyncio.sleep(0)


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_i9_a_client_that_waits_is_there_and_one_that_left_is_not(held: tuple[Held, int]) -> None:
    """However often it is asked, and uvicorn's own way of asking goes on working beside it."""
    app, port = held
    async with asking(port, GET):
        receive = await app.begun.get()
        assert not any(has_left(receive) for _ in range(1000))
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        assert not has_left(receive)
    await until_left(receive)
    assert await waiting == {"type": "http.disconnect"}
    assert has_left(receive)


async def test_a_body_that_still_comes_in_is_no_departure(held: tuple[Held, int]) -> None:
    """It is thrown away, and the client is seen to leave all the same."""
    app, port = held
    async with asking(port, GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 99\r\n\r\n")) as writer:
        receive = await app.begun.get()
        for _ in range(3):
            writer.write(b"body")
            await writer.drain()
            for _ in range(20):
                assert not has_left(receive)
                await asyncio.sleep(0)
    await until_left(receive)


async def test_who_was_answered_counts_as_gone(held: tuple[Held, int]) -> None:
    """ASGI says so, and nobody is kept for it."""
    app, port = held
    async with asking(port, GET):
        receive = await app.begun.get()
        app.let_go.set()
        await app.answered.wait()
        assert has_left(receive)
