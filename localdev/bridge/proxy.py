"""The listening side: client connections, each with one connection of its own to Azurite."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from localdev.bridge.batch import REQUEST_LIMIT
from localdev.bridge.exchange import ClientGoneError, Exchange, UpstreamError
from localdev.bridge.http1 import (
    HEAD_LIMIT,
    Body,
    Head,
    ProtocolError,
    Stream,
    TooLargeError,
    read_head,
    response,
)
from localdev.bridge.properties import REUSE_SECONDS

if TYPE_CHECKING:
    from localdev.bridge.control import Control
    from localdev.bridge.recorder import Recorder

_log = logging.getLogger(__name__)

HEAD_SECONDS: Final = 30.0  # a client that has not sent a whole head by then, or none at all, is closed
LINGER_SECONDS: Final = 2.0  # a refused client is read on for so long, or it would see a reset and not the refusal


class Proxy:
    """Relays everything between its clients and Azurite; answers the control endpoint itself."""

    def __init__(self, azurite: tuple[str, int], recorder: Recorder, control: Control) -> None:
        self.azurite = azurite
        self.recorder = recorder
        self.control = control
        self.stopping = False
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is chosen when `port` is 0. Raise OSError when it is taken."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_LIMIT, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more, end idle connections, let running requests end within the grace."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for connection in self._connections.values():
            if not connection.busy:
                connection.close()
        if self._connections:
            _, late = await asyncio.wait(set(self._connections), timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.recorder.properties.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("not in a task")
        connection = _Connection((reader, writer), self)
        self._connections[task] = connection
        try:
            await connection.serve()
        finally:
            del self._connections[task]


class _Connection:
    """Serves one client connection until either side closes it."""

    def __init__(self, client: Stream, proxy: Proxy) -> None:
        self._client = client
        self._proxy = proxy
        self._azurite: Stream | None = None
        self._used_at = 0.0
        self.busy = False

    async def serve(self) -> None:
        try:
            while not self._proxy.stopping and (head := await self._head()) is not None:
                self.busy = True
                if not await self._one(head):
                    break
                self.busy = False
        except (ProtocolError, ClientGoneError, ConnectionError, TimeoutError) as error:
            _log.debug("a connection ended: %r", error)
        finally:
            self.close()

    async def _head(self) -> Head | None:
        async with asyncio.timeout(HEAD_SECONDS):
            return await read_head(self._client[0])

    def close(self) -> None:
        self._client[1].close()
        self._drop_azurite()

    async def _one(self, head: Head) -> bool:
        """Serve one request; tell whether the connection can be used again."""
        if self._proxy.control.owns(head.target):
            return await self._control(head)
        try:
            again = await Exchange(head, self._client, await self._connect(), self._proxy.recorder).run()
        except UpstreamError as error:
            return await self._refuse(HTTPStatus.BAD_GATEWAY, f"The blob event bridge got no answer: {error}.")
        except TooLargeError as error:
            return await self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Blob Batch: {error}.")
        except sqlite3.Error as error:
            # The change has happened, its event is not safe: the client must try again, which raises it.
            _log.exception("the journal failed")
            return await self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"The event could not be recorded: {error}.")
        self._used_at = time.monotonic()
        return again

    async def _control(self, head: Head) -> bool:
        body = await Body.of_request(self._client[0], head).read_all(REQUEST_LIMIT)
        self._client[1].write(self._proxy.control.answer(head, body.content))
        await self._client[1].drain()
        return not head.closes

    async def _connect(self) -> Stream:
        """Return the connection to Azurite, a new one if the last is closed or about to be."""
        if self._azurite is not None:
            if time.monotonic() - self._used_at < REUSE_SECONDS and not self._azurite[0].at_eof():
                return self._azurite
            self._drop_azurite()
        host, port = self._proxy.azurite
        try:
            self._azurite = await asyncio.open_connection(host, port, limit=HEAD_LIMIT)
        except OSError as error:
            raise UpstreamError(f"Azurite is not reachable at http://{host}:{port}; is it running?") from error
        return self._azurite

    def _drop_azurite(self) -> None:
        if self._azurite is not None:
            self._azurite[1].close()
        self._azurite = None

    async def _refuse(self, status: HTTPStatus, message: str) -> bool:
        reader, writer = self._client
        writer.write(response(status, "text/plain; charset=utf-8", f"{message}\n".encode(), closes=True))
        await writer.drain()
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(LINGER_SECONDS):
                writer.write_eof()
                while await reader.read(HEAD_LIMIT):
                    pass
        return False
