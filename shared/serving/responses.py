"""Responses that are made once and sent many times.

A change answers all waiters with the same objects: no JSON, header or response is made for each of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from azurefunctions.extensions.http.fastapi import Response

from shared.errors import Unavailable
from shared.process import telemetry
from shared.serving import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
    from typing import Any

    from shared.model.snapshot import StatusSnapshot

    type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    type Header = tuple[str, str]

#: Of how many topics answers are kept.
MAX_TOPICS: Final = 1024
#: How many variants of an answer with other headers (an applied wait, an origin) are kept: a client can ask for any
#: number of them, but those that are asked for often are few.
MAX_VARIANTS: Final = 4


class Answer(Response):  # type: ignore[misc]
    """A response that sending does not change, so it can be sent any number of times, also concurrently."""

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
        """Send the answer; each message is new, because middleware may write into it."""
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
    """The answers of the latest snapshots: of everything, and of the cases that were asked for last."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, StatusAnswers] = OrderedDict()

    def of(self, snapshot: StatusSnapshot, topic: str = "") -> StatusAnswers:
        """Return a snapshot's answers, made at most once while it is the latest of its topic."""
        found = self._answers.get(topic)
        if found is None or found.snapshot is not snapshot:
            found = self._answers[topic] = StatusAnswers(snapshot)
            if len(self._answers) > MAX_TOPICS:
                self._answers.popitem(last=False)
        return found


class EventStream(Response):  # type: ignore[misc]
    """A response that is made while it is sent.

    Starlette's own runs two tasks for each stream, one of them only to learn that the client has left. Here the
    request's task makes the frames, and their maker knows (see :mod:`shared.watching.waiters`).

    Args:
        frames: The frames. The first one takes the client's place, so an answer that has begun has one. A slow reader
            asks for the next one late; nothing is kept for it meanwhile.
        headers: The response's headers.
        longest_seconds: How long a client that has stopped reading is kept.

    Attributes:
        refused: Makes the answer to a client for which there is no place.
    """

    refused: Callable[[Unavailable], Response]

    def __init__(self, frames: AsyncGenerator[bytes], headers: Mapping[str, str], longest_seconds: float) -> None:
        self.status_code = 200
        self.media_type = "text/event-stream"
        self.background = None
        self.init_headers(headers)
        self._frames = frames
        self._longest_seconds = longest_seconds

    async def __call__(self, scope: object, receive: object, send: Send) -> None:
        """Send frames until there are no more, or the client takes none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._longest_seconds), aclosing(self._frames) as frames:
                try:
                    frame = await anext(frames)
                except Unavailable as error:
                    await self.refused(error)(scope, receive, send)
                    return
                telemetry.ANSWERS.add(1, {"status": self.status_code})
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": frame, "more_body": True})
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
