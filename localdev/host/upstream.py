"""Connections to the worker's HTTP server, and which of them can be used again."""

import asyncio
from typing import Protocol, cast

from localdev.host.worker import LOOPBACK, Worker

IDLE_SECONDS = 2.0
"""How long a connection to the worker is reused; its uvicorn closes idle ones after 5 s."""

CONNECTING_LIMIT = 512
"""Connections that are being opened at the same time: below the worker's listen backlog (2,048)."""


class Answered(Protocol):
    """What a connection works for."""

    def answer(self, data: bytes) -> None:
        """Take a part of the answer."""

    def worker_gone(self) -> None:
        """Take note that the worker closed the connection."""

    def throttle(self, *, on: bool) -> None:
        """Stop (or go on) sending the request's body."""


class WorkerConnection(asyncio.Protocol):
    """A connection to the worker's HTTP server; it serves one exchange at a time."""

    __slots__ = ("_pool", "exchange", "transport")

    def __init__(self, pool: "WorkerPool") -> None:
        self._pool = pool
        self.exchange: Answered | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self.exchange is None:  # bytes that belong to no request
            self.transport.abort()
        else:
            self.exchange.answer(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self._pool.idle.pop(self, None)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.worker_gone()

    def pause_writing(self) -> None:  # noqa: D102
        if self.exchange is not None:
            self.exchange.throttle(on=True)

    def resume_writing(self) -> None:  # noqa: D102
        if self.exchange is not None:
            self.exchange.throttle(on=False)

    def drop(self) -> None:
        """Close now, also when the worker reads nothing: this is how it learns that the client has gone."""
        self.exchange = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class WorkerPool:
    """Connections to the worker's HTTP server.

    Attributes:
        idle: connections between exchanges and since when, the last used last.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.idle: dict[WorkerConnection, float] = {}
        self._connecting = asyncio.Semaphore(CONNECTING_LIMIT)

    def take(self) -> WorkerConnection | None:
        """Return an idle connection that the worker will not close under us, or None."""
        if not self.idle:
            return None
        connection, since = self.idle.popitem()
        if asyncio.get_running_loop().time() - since < IDLE_SECONDS and not connection.transport.is_closing():
            return connection
        connection.drop()
        return None

    async def connect(self) -> WorkerConnection:
        """Open a connection."""
        async with self._connecting:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_connection(
                lambda: WorkerConnection(self), LOOPBACK, self.worker.http_port or 0
            )
            return protocol

    def release(self, connection: WorkerConnection) -> None:
        """Take a connection back whose exchange is complete on both sides."""
        connection.exchange = None
        if not connection.transport.is_closing():
            connection.transport.resume_reading()  # a slow client may have paused it
            self.idle[connection] = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Close the idle connections."""
        for connection in list(self.idle):
            connection.drop()
