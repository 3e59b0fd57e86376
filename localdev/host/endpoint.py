"""The host's own endpoints: a whole request in, a whole answer out.

They let a caller run functions with input of its making, and locally nobody asks for keys. A web page in the
developer's browser is such a caller: so a request has to name this machine in its Host, or it is refused (403).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from localdev.host.connection import ClientConnection

log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A request to an endpoint of the host.

    Attributes:
        query: the values of each parameter, in order, by its name in lower case.
        headers: the first value of each header, by its name in lower case.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""

    def media_type(self) -> str:
        """Return what the body says it is, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(NamedTuple):
    """What an endpoint answers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_json(cls, value: Any, content_type: str = "application/json") -> "Answer":
        """Answer 200 with a JSON body."""
        return cls(HTTPStatus.OK, json.dumps(value, separators=(",", ":")).encode(), (("content-type", content_type),))

    @classmethod
    def of_text(cls, status: HTTPStatus, text: str) -> "Answer":
        """Answer with a line of text."""
        return cls(status, text.encode(errors="replace"), (("content-type", "text/plain; charset=utf-8"),))


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """Raised to answer with an empty body and this status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Endpoint:
    """Collects one request and answers it; a `connection.Handler`."""

    running: set[asyncio.Task[None]] = set()  # noqa: RUF012 - of all endpoints: the loop itself refers to tasks weakly

    def __init__(self, client: ClientConnection, call: Call, answer: Callable[[Call], Awaitable[Answer]]) -> None:
        self._client: ClientConnection | None = client
        self._call = call
        self._answer = answer
        self._body = bytearray()

    def receive(self, data: bytes) -> None:
        """Collect a part of the body; its size is bounded by the connection, as on the platform."""
        self._body += data

    def received(self) -> None:
        """Answer."""
        task = asyncio.get_running_loop().create_task(self._run())
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def abandon(self) -> None:
        """Answer nobody; what was started goes on, as on the platform."""
        self._client = None

    def pause(self) -> None:
        """Hold nothing back: answers are written in one piece."""

    def resume(self) -> None:
        """Do nothing: nothing was held back."""

    async def _run(self) -> None:
        try:
            answer = await self._answer(self._call._replace(body=bytes(self._body)))
        except Refusal as refusal:
            answer = Answer(refusal.status)
        except Exception:
            log.exception("%s %s", self._call.method, self._call.path)
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        if self._client is not None:
            body = b"" if self._call.method == "HEAD" else answer.body
            self._client.respond(answer.status, answer.headers, body)
