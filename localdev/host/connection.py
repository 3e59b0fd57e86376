"""A client's HTTP/1.1 connection: requests in order in, answers in order out.

Parsing is httptools' (llhttp, strict: it refuses what request smuggling is made of, such as Content-Length beside
Transfer-Encoding). Requests are answered one at a time; what a client pipelines waits unparsed. The connection is
always read while a request is parked, because that is how a departed client is noticed.
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Protocol, cast

import httptools

from .request import BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, Handler, Request, is_well_formed

HELD_LIMIT_BYTES = 64 * 1024
"""Pipelined bytes that are held while a request is answered, before reading stops."""

LINGER_SECONDS = 2.0
"""How long a client that is refused while still sending may take to read the answer."""


class Server(Protocol):
    """What connections belong to."""

    connections: "set[ClientConnection]"
    draining: bool

    def open(self, request: Request, client: "ClientConnection") -> Handler | None:
        """Take a request: the handler that will answer it, or None if it has been answered already."""


class ClientConnection(asyncio.Protocol):
    """One client's connection. Handlers answer with `respond`, or with `send` … `finish`."""

    __slots__ = (
        "_answered", "_deaf", "_error", "_full", "_handler", "_head_size", "_held", "_parser", "_pumping", "_queue",
        "_request", "_server", "_throttled", "_transport", "started",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: list[Request] = []  # [0] is being answered
        self._request = Request()  # being parsed
        self._handler: Handler | None = None
        self._head_size = 0
        self._held = b""
        self._error = 0
        self._answered = self._deaf = self._full = self._pumping = self._throttled = self.started = False

    # What handlers use

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection outlives the current answer; if not, the answer says so."""
        return self._queue[0].keep_alive and not self._server.draining

    def end_after_answer(self) -> None:
        """Close the connection after the current answer: its end, or its head, says so."""
        self._queue[0].keep_alive = False

    def send(self, data: bytes) -> None:
        """Write a part of the answer."""
        self.started = True
        self._transport.write(data)

    def finish(self) -> None:
        """The answer is complete."""
        self._answered = True
        if self._throttled:
            self.throttle(on=False)
        self._pump()

    def respond(self, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Give a whole answer."""
        self._write_response(status, headers, body, close=not self.keeps_alive)
        self.finish()

    def abort(self) -> None:
        """Cut the connection: the answer cannot be completed."""
        self._transport.abort()

    def throttle(self, *, on: bool) -> None:
        """Stop (or go on) reading the request's body."""
        self._throttled = on
        self._apply_flow()

    # What the server uses

    def close_when_idle(self) -> None:
        """Close at once if no request is being answered; `keeps_alive` sees to the rest."""
        if not self._queue:
            self._transport.close()

    def terminate(self) -> None:
        """Stop waiting for the answer: 503 if nothing of it was sent yet, else cut it."""
        if self._handler is None:
            self._transport.abort()
            return
        self._error = HTTPStatus.SERVICE_UNAVAILABLE
        self._refuse()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        if self._server.draining:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self._server.connections.discard(self)
        self._deaf = True
        self._parser = None  # it refers to us
        handler, self._handler = self._handler, None
        self._queue.clear()
        if handler is not None:
            handler.abandon()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self._deaf:
            return
        if self._queue and self._queue[-1].complete:
            self._held += data
            self._apply_flow()
            return
        self._feed(data)
        self._pump()

    def pause_writing(self) -> None:  # noqa: D102
        self._full = True
        if self._handler is not None:
            self._handler.pause()

    def resume_writing(self) -> None:  # noqa: D102
        self._full = False
        if self._handler is not None:
            self._handler.resume()
        else:
            self._pump()

    # httptools callbacks: they only record; `_pump` acts

    def on_message_begin(self) -> None:  # noqa: D102
        self._request = Request()
        self._head_size = 0

    def on_url(self, url: bytes) -> None:  # noqa: D102
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        self._request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:  # noqa: D102
        request = self._request
        request.method = self._parser.get_method().decode("ascii")
        request.version = self._parser.get_http_version()
        request.keep_alive = request.version == "1.1" and self._parser.should_keep_alive()
        request.chunked = request.header(b"transfer-encoding") is not None
        request.length = int(request.header(b"content-length") or 0)
        request.expects = (request.header(b"expect") or b"").lower() == b"100-continue"
        size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
        if size > HEAD_LIMIT_BYTES:
            self._error = self._error or HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif request.length > BODY_LIMIT_BYTES:
            self._error = self._error or HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        elif not is_well_formed(request):
            self._error = self._error or HTTPStatus.BAD_REQUEST
        self._queue.append(request)

    def on_body(self, data: bytes) -> None:  # noqa: D102
        request = self._request
        request.size += len(data)
        if request.size > BODY_LIMIT_BYTES:
            self._error = self._error or HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            request.body.append(data)

    def on_message_complete(self) -> None:  # noqa: D102
        if not self._error:
            self._request.complete = True

    # The rest

    def _feed(self, data: bytes) -> None:
        requests = len(self._queue)
        in_body = requests > 0 and not self._queue[-1].complete
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No protocol is upgraded to: the request is answered as the plain request that it also is.
            self._request.keep_alive = False
            self._deaf = True
        except httptools.HttpParserError:
            self._error = self._error or HTTPStatus.BAD_REQUEST
        if len(self._queue) == requests and not in_body:  # nothing but a part of a head
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT_BYTES:
                self._error = self._error or HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._deaf = self._deaf or bool(self._error)

    def _pump(self) -> None:
        """Move on as far as possible: start requests, hand bodies on, end answered requests."""
        if self._pumping:  # a handler that answers at once ends up here again
            return
        self._pumping = True
        try:
            while self._step():
                pass
        finally:
            self._pumping = False

    def _step(self) -> bool:
        if not self._queue:
            if self._error:
                self._refuse()
            elif self._held and not self._deaf:
                held, self._held = self._held, b""
                self._feed(held)
                self._apply_flow()
                return bool(self._queue or self._error)
            return False
        request = self._queue[0]
        if self._error and not request.complete and not self._answered:
            self._refuse()
            return False
        if self._handler is None and not self._answered:
            if self._full:  # it has not read the answer before this one yet
                return False
            self._handler = self._server.open(request, self)
            if request.expects and not request.complete and not self._answered:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._hand_on(request)
        return self._answered and self._end(request)

    def _hand_on(self, request: Request) -> None:
        if request.body:
            data = b"".join(request.body)
            request.body.clear()
            if self._handler is not None and not self._answered:
                self._handler.receive(data)
        if request.complete and self._handler is not None and not self._answered and request.size >= 0:
            request.size = -1  # told once
            self._handler.received()

    def _end(self, request: Request) -> bool:
        """After an answer: whether to go on with the next request."""
        self._handler = None
        if not request.complete:  # answered early: the rest of the body is not worth reading
            self._hang_up(linger=True)
            return False
        keep = self.keeps_alive
        self._queue.pop(0)
        self._answered = self.started = False
        if not keep:
            self._hang_up(linger=False)
        return keep

    def _refuse(self) -> None:
        """Answer what is no acceptable request, or never will be."""
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.abandon()
        if self.started and self._queue:
            self._transport.abort()
            return
        self._write_response(self._error, (), b"", close=True)
        self._hang_up(linger=True)

    def _hang_up(self, *, linger: bool) -> None:
        """Close; lingering lets a client that still sends read the answer instead of a reset."""
        self._deaf = True
        if linger and not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
        else:
            self._transport.close()

    def _write_response(self, status: int, headers: Iterable[tuple[str, str]], body: bytes, *, close: bool) -> None:
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in headers)]
        if status != HTTPStatus.NO_CONTENT:
            lines.append(f"content-length: {len(body)}")
        if close:
            lines.append("connection: close")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _apply_flow(self) -> None:
        if self._transport.is_closing():
            return
        if self._throttled or len(self._held) > HELD_LIMIT_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
