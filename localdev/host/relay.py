"""The relay: a request's bytes to the worker's HTTP server, the answer's bytes back as they come.

As the platform's proxy for HTTP streaming apps does, the request carries the header `x-ms-invocation-id`, which the
worker pairs with the invocation of the same id. Responses are not parsed and rebuilt: of the head only the framing is
read, to know where the answer ends and whether the connections on both sides can be used again.
"""

import asyncio
import logging
import uuid
from typing import Any

import httptools

from localdev.host.connection import ClientConnection
from localdev.host.framing import Body, forwarded_head
from localdev.host.protos import StatusResult
from localdev.host.request import Request
from localdev.host.upstream import WorkerConnection, WorkerPool
from localdev.host.worker import Function

_HEAD_END = b"\r\n\r\n"

log = logging.getLogger(__name__)


class Exchange:
    """One proxied HTTP invocation; a `connection.Handler`.

    It ends in one of four ways: the answer is complete, the worker or the invocation fails (500, or a cut answer), the
    invocation overruns its time (which ends all of them), or the client leaves (the worker is told by closing its
    connection).
    """

    __slots__ = (
        "_body", "_buffer", "_chunked", "_ended", "_function", "_id", "_params", "_pool", "_received", "_request",
        "_task", "_timer", "_upstream", "client",
    )  # fmt: skip

    def __init__(
        self,
        pool: WorkerPool,
        client: ClientConnection,
        request: Request,
        target: bytes,
        match: tuple[Function, dict[str, str]],
    ) -> None:
        self._pool = pool
        self.client = client
        self._function, self._params = match
        self._id = str(uuid.uuid4())
        self._buffer = forwarded_head(request, target, self._id)  # until connected: for the worker; then: of its answer
        self._chunked = request.chunked
        self._request = (request.method, request.version)
        self._body: Body | None = None  # of the answer, once that has begun
        self._ended = self._received = False
        self._task: asyncio.Task[Any] | None = None
        self._upstream: WorkerConnection | None = None
        timeout = pool.worker.timeout_seconds
        self._timer = asyncio.get_running_loop().call_later(timeout, self._overrun) if timeout else None

    def start(self) -> None:
        """Send the request on its way."""
        upstream = self._pool.take()
        if upstream is not None:
            self._connected(upstream)
        else:
            self._task = asyncio.get_running_loop().create_task(self._connect())

    # connection.Handler

    def receive(self, data: bytes) -> None:
        """Pass a part of the request's body on."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def received(self) -> None:
        """Pass the end of the request's body on."""
        self._received = True
        if self._chunked:
            self._write(b"0\r\n\r\n")

    def abandon(self) -> None:
        """Tell the worker that the client left; the function sees `request.is_disconnected()`."""
        if self._ended:
            return
        self._ended = True
        self._drop_upstream()
        if self._task is None or self._task.done():
            self._stop_timer()  # else the function may go on, within its time

    def pause(self) -> None:
        """Stop reading the answer."""
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading the answer."""
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    # upstream.Answered

    def answer(self, data: bytes) -> None:
        """Relay a part of the answer."""
        if self._body is None:
            data = self._buffer + data
            end = data.find(_HEAD_END) + len(_HEAD_END)
            if end < len(_HEAD_END):
                self._buffer = data
                return
            data = self._begin(data[:end]) + self._body_bytes(data[end:])
        else:
            data = self._body_bytes(data)
        if data:
            self.client.send(data)
        if self._body is not None and self._body.complete:
            self._finish()

    def worker_gone(self) -> None:
        """Take the end of the connection for that of an answer without length, or for a failure."""
        self._upstream = None
        if self._body is not None and self._body.until_close:
            self._finish()
        else:
            log.error("%s: the worker closed the connection before the answer was complete", self._function.name)
            self._fail()

    def throttle(self, *, on: bool) -> None:
        """Stop (or go on) reading the request's body, as fast as the worker takes it."""
        self.client.throttle(on=on)

    # The rest

    async def _connect(self) -> None:
        try:
            upstream = await self._pool.connect()
        except OSError as error:
            log.error("the worker's HTTP server does not accept: %s", error)  # noqa: TRY400
            self._fail()
            return
        if self._ended:
            self._stop_timer()
            self._pool.release(upstream)
        else:
            self._connected(upstream)

    def _connected(self, upstream: WorkerConnection) -> None:
        self._upstream = upstream
        upstream.exchange = self
        self._task = self._pool.worker.start_http(self._function, self._params, self._id)
        self._task.add_done_callback(self._invoked)
        upstream.transport.write(self._buffer)
        self._buffer = b""
        self.client.throttle(on=False)

    def _write(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.transport.write(data)
        else:
            self._buffer += data
            self.client.throttle(on=True)

    def _begin(self, head: bytes) -> bytes:
        """Read the framing of the answer; return the head as the client gets it."""
        method, version = self._request
        self._body = Body(head, method, dechunk=version == "1.0")
        if self._body.closes or self._body.until_close:
            self.client.end_after_answer()
        if self._body.dechunk:
            head = self._body.strip_chunking(head)
        if not self.client.keeps_alive and not self._body.closes:
            head = head[:-2] + b"connection: close\r\n\r\n"
        return head

    def _body_bytes(self, data: bytes) -> bytes:
        body = self._body
        if body is None or not data:
            return b""
        try:
            return body.feed(data)
        except httptools.HttpParserError:
            log.exception("the worker's answer is not framed as HTTP")
            self._fail()
            return b""

    def _invoked(self, task: asyncio.Task[Any]) -> None:
        if self._ended:
            self._stop_timer()
        if task.cancelled():
            self._fail()
        elif task.result().result.status != StatusResult.Success:
            error = task.result().result.exception
            log.error("%s failed: %s\n%s", self._function.name, error.message, error.stack_trace.rstrip())
            self._fail()

    def _overrun(self) -> None:
        self._pool.worker.note_overrun(self._function)

    def _finish(self) -> None:
        self._ended = True
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()  # running still only if the worker answered by itself, without the function
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if self._received and self._body is not None and self._body.reusable:
                self._pool.release(upstream)
            else:
                upstream.drop()
        self.client.finish()

    def _fail(self) -> None:
        """Answer an empty 500, or end an answer that has begun: never a traceback."""
        if self._ended:
            return
        self._ended = True
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()
        self._drop_upstream()
        if self.client.started:
            self.client.abort()
        else:
            self.client.respond(500)

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
