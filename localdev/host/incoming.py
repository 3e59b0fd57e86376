"""What a client has sent so far: requests, parsed and in order. It only records; `connection` acts.

Parsing is httptools' (llhttp, strict: it refuses what request smuggling is made of, such as Content-Length beside
Transfer-Encoding).
"""

from http import HTTPStatus
from typing import Any

import httptools

from localdev.host.request import BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, Request, is_well_formed


class Incoming:
    """The requests of one connection; the callbacks are httptools'.

    Attributes:
        _queue: the requests; [0] is being answered, the last one may still be arriving.
        _awaited: no request has begun yet.
        _begun: a request is arriving.
        _deaf: nothing more is parsed.
        _error: the status that refuses what has come after the queue's complete requests, or 0.
    """

    __slots__ = ("_awaited", "_begun", "_deaf", "_error", "_head_size", "_parser", "_queue", "_request")

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: list[Request] = []
        self._request = Request()  # being parsed
        self._head_size = 0
        self._error = 0
        self._awaited = True
        self._begun = self._deaf = False

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

    def on_message_begin(self) -> None:  # noqa: D102
        self._request = Request()
        self._head_size = 0
        self._awaited = False
        self._begun = True

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
        self._begun = False
        if not self._error:
            self._request.complete = True
