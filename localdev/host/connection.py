"""A client's HTTP/1.1 connection: requests in order in, answers in order out.

Requests are answered one at a time; what a client pipelines waits unparsed. The connection is always read while a
request is parked, because that is how a departed client is noticed (see `patience`).
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol, cast

from localdev.host.framing import response_head
from localdev.host.incoming import Incoming
from localdev.host.patience import REQUEST_SECONDS, SLOWEST_BODY_BYTES, SendsNoMore
from localdev.host.request import Handler, Request

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


class ClientConnection(Incoming, asyncio.Protocol):
    """One client's connection. Handlers answer with `respond`, or with `send` … `finish`."""

    __slots__ = (
        "_answered", "_full", "_handler", "_held", "_pumping", "_sends_no_more", "_server", "_throttled", "_timer",
        "_transport", "sent", "started",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server
        self._transport: asyncio.Transport
        self._handler: Handler | None = None
        self._held = b""
        self._answered = self._full = self._pumping = self._throttled = self.started = False
        self._timer: asyncio.TimerHandle | None = None
        self._sends_no_more: SendsNoMore | None = None
        self.sent = 0

    # What handlers use

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection outlives the current answer; if not, the answer says so."""
        is_last = self._sends_no_more is not None and len(self._queue) == 1 and not (self._held or self._error)
        return self._queue[0].keep_alive and not self._server.draining and not is_last

    # What `patience` asks

    @property
    def awaits_answer(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._queue)

    @property
    def can_be_asked(self) -> bool:
        """Whether an interim answer can be sent now."""
        return bool(self._queue) and not self.started and self._queue[0].version == "1.1"

    def end_after_answer(self) -> None:
        """Close the connection after the current answer: its end, or its head, says so."""
        self._queue[0].keep_alive = False

    def send(self, data: bytes) -> None:
        """Write a part of the answer."""
        self.started = True
        self.sent += len(data)
        self._transport.write(data)

    def finish(self) -> None:
        """Note that the answer is complete."""
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
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self._server.connections.discard(self)
        self._deaf = True
        self._begun = self._awaited = False
        self._watch()
        if self._sends_no_more is not None:
            self._sends_no_more.stop()
            self._sends_no_more = None  # it refers to us
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

    def eof_received(self) -> bool:  # noqa: D102
        if self._queue and self._sends_no_more is None:
            self._sends_no_more = SendsNoMore(self, self._transport)
        if self._begun:  # and will never be complete
            self._error = self._error or HTTPStatus.BAD_REQUEST
            self._deaf = True
            self._pump()
        return self._sends_no_more is not None

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

    # The rest

    def _watch(self) -> None:
        """Let the clock run while a request is arriving, or the first one is awaited."""
        if not self._begun and not self._awaited:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._too_slow, self._request.size)

    def _too_slow(self, size_before: int) -> None:
        self._timer = None
        waits_for_us = self._throttled or (self._queue and self._queue[-1].complete)
        if waits_for_us or self._request.size - size_before >= SLOWEST_BODY_BYTES:
            self._watch()
        elif not self._begun:  # nothing has come: nothing to answer
            self._transport.close()
        else:
            self._error = self._error or HTTPStatus.REQUEST_TIMEOUT
            self._deaf = True
            self._pump()

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
            self._watch()

    def _step(self) -> bool:
        if not self._queue:
            if self._error:
                self._refuse()
            elif self._held and not self._deaf:
                held, self._held = self._held, b""
                self._feed(held)
                self._apply_flow()
                return True
            elif self._sends_no_more is not None:
                self._transport.close()
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
        """Follow an answer; tell whether to go on with the next request."""
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
        if linger and self._sends_no_more is None and not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
        else:
            self._transport.close()

    def _write_response(self, status: int, headers: Iterable[tuple[str, str]], body: bytes, *, close: bool) -> None:
        self.send(response_head(status, headers, len(body), close=close) + body)

    def _apply_flow(self) -> None:
        if self._transport.is_closing() or self._sends_no_more is not None:
            return
        if self._throttled or len(self._held) > HELD_LIMIT_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
