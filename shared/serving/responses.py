"""Responses that are made once and sent many times.

A change answers all who wait for it with the same bytes, so it answers them with the same objects: per waiter there is
no JSON, no header to encode, no response to build.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from azurefunctions.extensions.http.fastapi import Response

from shared.serving import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
    from typing import Any

    from shared.model.snapshot import StatusSnapshot

    type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    type Header = tuple[str, str]

#: Of one answer with other headers (an applied wait, an origin); more than these are made anew each time.
MAX_VARIANTS: Final = 64


class Answer(Response):  # type: ignore[misc]
    """A response that can be sent any number of times, at the same time too: sending does not change it."""

    def __init__(self, status_code: int, headers: Mapping[str, str], body: bytes = b"", media_type: str = "") -> None:
        super().__init__(body, status_code, headers, media_type or None)
        self._variants: dict[tuple[Header, ...], Answer] = {}

    def plus(self, *more: Header) -> Answer:
        """Return this answer with more headers."""
        if not more:
            return self
        found = self._variants.get(more)
        if found is None:
            found = Answer(self.status_code, {}, self.body)
            found.raw_headers = [*self.raw_headers, *((name.lower().encode(), value.encode()) for name, value in more)]
            if len(self._variants) < MAX_VARIANTS:
                self._variants[more] = found
        return found

    async def __call__(self, scope: object, receive: object, send: Send) -> None:  # noqa: ARG002
        """Send it; each message is new, because whoever is in between may write into it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": [*self.raw_headers]})
        await send({"type": "http.response.body", "body": self.body})


class StatusAnswers:
    """The two answers that a snapshot gives."""

    def __init__(self, snapshot: StatusSnapshot) -> None:
        headers = {
            "ETag": snapshot.etag,
            "Last-Modified": protocol.http_date(snapshot.last_modified),
            "Cache-Control": "private, no-cache, no-transform",
            "Vary": "Authorization, Prefer",
        }
        self.snapshot = snapshot
        self.counts = Answer(200, headers, snapshot.body, "application/json")
        self.unchanged = Answer(304, headers)


class LatestAnswers:
    """The answers of the snapshot that is served at the moment."""

    def __init__(self) -> None:
        self._answers: StatusAnswers | None = None

    def of(self, snapshot: StatusSnapshot) -> StatusAnswers:
        """Return a snapshot's answers, made at most once while it is the latest."""
        if self._answers is None or self._answers.snapshot is not snapshot:
            self._answers = StatusAnswers(snapshot)
        return self._answers


class EventStream(Response):  # type: ignore[misc]
    """A response that is made while it is sent.

    Starlette's own runs two tasks for each stream, one of them only to learn that the client has left; here the
    frames are made in the request's task, and whoever makes them knows (see :mod:`shared.watching.waiters`).

    Args:
        frames: What is sent. A client that reads slowly asks for the next one late; nothing is kept for it meanwhile.
        headers: The response's.
        longest_seconds: A client that has stopped reading is given up after this.
    """

    def __init__(self, frames: AsyncGenerator[bytes], headers: Mapping[str, str], longest_seconds: float) -> None:
        self.status_code = 200
        self.media_type = "text/event-stream"
        self.background = None
        self.init_headers(headers)
        self._frames = frames
        self._longest_seconds = longest_seconds

    async def __call__(self, scope: object, receive: object, send: Send) -> None:  # noqa: ARG002
        """Send frames until there are no more, or the client takes none."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with suppress(TimeoutError):
            async with asyncio.timeout(self._longest_seconds), aclosing(self._frames) as frames:
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
