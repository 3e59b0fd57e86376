"""One phone: follows the counts as the client package does, and counts its bytes and requests.

What is taken from the client package (client/src): a long poll asks again 100 ms after an answer that was a change and
at once after one that was not; a plain poll asks an interval after it last asked, never twice at a time; a stream that
ended is opened again after 50 to 150 ms with its last id; and a bucket bounds the requests of any phone to one a
second, after 20 at once. Phones were opened at different times: a plain poll begins at a random moment of its
interval, a first hold ends at a random moment of a wait.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from bench.comparing.methods import WAIT_SECONDS
from bench.load.clients import LENGTH
from bench.load.driver import get
from bench.serving.latency import ETAG

if TYPE_CHECKING:
    from random import Random

COUNT = re.compile(rb'"(?:queued|processing|completed|input|output)(?:_count)?": ?(\d+)')
EVENT_ID = re.compile(rb"(?:^|\n)id: (\S+)")
CHANGE_GAP_SECONDS = 0.1
BUCKET = 20.0
RETRY_SECONDS = 1.0


class Phone(asyncio.Protocol):
    """One phone with one connection.

    Attributes:
        up: Bytes sent.
        down: Bytes received.
        requests: How many.
        errors: Answers other than 200 and 304.
        answers: Since it connected last.
        shown: How many blobs it shows.
        seen: When it first showed so many.
        tokens: Requests that it may make at once.
    """

    def __init__(self, port: int, path: str, interval_seconds: float, random: Random) -> None:
        self.up = self.down = self.requests = self.errors = self.answers = self.shown = 0
        self.seen: list[tuple[float, int]] = []
        self.tokens = BUCKET
        self._filled_at = time.monotonic()
        self._port = port
        self._path = path
        self._interval_seconds = interval_seconds
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._next: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._version = ""
        self._asked_at = 0.0
        self._is_closed = False

    async def connect(self) -> None:
        """Connect, and begin."""
        await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)

    def close(self) -> None:
        """Hang up for good."""
        self._is_closed = True
        self.hang_up()

    def hang_up(self) -> None:
        """Hang up; it connects again by itself."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, at a random moment of the interval."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._buffer, self.answers = transport, b"", 0
        self._ask_in(self._random.uniform(0, self._interval_seconds))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Connect again, as after a stream that ended."""
        self._transport = None
        if not self._is_closed:
            pause_seconds = CHANGE_GAP_SECONDS * (0.5 + self._random.random())
            self._loop.call_later(pause_seconds, lambda: self._loop.create_task(self.connect()))

    def spend(self) -> None:
        """Empty the bucket."""
        self.tokens, self._filled_at = 0.0, time.monotonic()

    def _ask_in(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self._loop.call_later(seconds, self.ask)

    def ask(self) -> None:
        """Ask, as soon as there is a token."""
        now = time.monotonic()
        self.tokens = min(self.tokens + now - self._filled_at, BUCKET)
        self._filled_at = now
        if self._transport is None:
            return
        if self.tokens < 1:
            self._ask_in(1 - self.tokens)
            return
        self.tokens -= 1
        self._asked_at = now
        data = get(self._path, *self.headers()).encode()
        self.requests += 1
        self.up += len(data)
        self._transport.write(data)

    def headers(self) -> list[str]:
        """Return what it says besides the path."""
        return ["Accept: application/json", *([f"If-None-Match: {self._version}"] if self._version else [])]

    def data_received(self, data: bytes) -> None:
        """Take a piece."""
        self.down += len(data)
        self._buffer += data
        self.take(time.monotonic())

    def take(self, now: float) -> None:
        """Take the answer, if it is whole."""
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        self._buffer = b""
        status = int(head[9:12])
        self.answers += 1
        if status == 200:
            found = ETAG.search(head)
            self._version = found[1].decode() if found else ""
            self.show(body, now)
        elif status != 304:
            self.errors += 1
        self._ask_in(self.pause_seconds(status, now - self._asked_at))

    def pause_seconds(self, status: int, taken_seconds: float) -> float:
        """Return how long to wait before the next request."""
        return max(self._interval_seconds - taken_seconds, 0.0) if status in {200, 304} else RETRY_SECONDS

    def show(self, text: bytes, now: float) -> None:
        """Show the counts."""
        count = sum(map(int, COUNT.findall(text)))
        if count > self.shown:
            self.shown = count
            self.seen.append((now, count))


class LongPoll(Phone):
    """Held while its validator holds."""

    def headers(self) -> list[str]:
        """Ask to be held once there is a validator, the first time for a part of the wait."""
        if not self._version:
            return super().headers()
        wait_seconds = WAIT_SECONDS if self.answers > 1 else self._random.uniform(0, WAIT_SECONDS)
        return [*super().headers(), f"Prefer: wait={wait_seconds:.4g}"]

    def pause_seconds(self, status: int, taken_seconds: float) -> float:
        """Follow up."""
        if status == 304:
            return 0.0
        return CHANGE_GAP_SECONDS if status == 200 else super().pause_seconds(status, taken_seconds)


class Stream(Phone):
    """Follows a stream."""

    def headers(self) -> list[str]:
        """Say which frame came last."""
        return ["Accept: text/event-stream", *([f"Last-Event-ID: {self._version}"] if self._version else [])]

    def take(self, now: float) -> None:
        """Take each whole frame."""
        if not self.answers and len(self._buffer) >= 12 and self._buffer[9:12] != b"200":
            self.errors += 1
            self.hang_up()
            return
        *frames, self._buffer = self._buffer.split(b"\n\n")
        for frame in frames:
            self.answers += 1
            found = EVENT_ID.search(frame)
            if found:
                self._version = found[1].decode()
                self.show(frame, now)
        if self.answers and self._buffer.endswith(b"\r\n0\r\n\r\n"):  # the last chunk
            self.hang_up()


PHONES: dict[str, type[Phone]] = {"poll": Phone, "long_poll": LongPoll, "stream": Stream}
