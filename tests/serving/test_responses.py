"""shared.serving.responses: answers that are shared, streams that keep nothing for a slow reader, who has left."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.serving.disconnects import has_left
from shared.serving.endpoints import _frames
from shared.serving.responses import MAX_VARIANTS, Answer, EventStream, LatestAnswers
from shared.watching.watch import Watch
from shared.writing.tally_row import Counts
from tests.fakes.world import FINGERPRINT, World


class Connection:
    """An ASGI connection: what was sent, a client that can stop reading, and one that can leave."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.left = asyncio.Event()

    async def send(self, message: Any) -> None:
        """Take a message, or wait until the client reads again."""
        await self.reading.wait()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        """Say when the client has left."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    def frames(self) -> list[bytes]:
        """Return the bodies."""
        return [message["body"] for message in self.sent if message["type"] == "http.response.body"]


@pytest.fixture
def connection() -> Connection:
    """Return a connection whose client reads."""
    return Connection()


class Served:
    """What :func:`shared.serving.endpoints._frames` needs of the API."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.clock = SystemClock()
        self.heartbeat_seconds = 15.0
        self.random = dataclasses.make_dataclass("Random", ["randint"])(lambda low, high: (low + high) // 2)


async def test_an_answer_is_sent_many_times_and_never_changes(connection: Connection) -> None:
    """Whoever is in between may write into what is sent: the next client does not get it."""
    answer = Answer(200, {"ETag": '"a"'}, b"{}", "application/json")
    for _ in range(3):
        await answer({}, None, connection.send)
        connection.sent[-2]["headers"].append((b"x-traced", b"1"))
    heads = connection.sent[::2]
    assert [dict(head["headers"])[b"content-length"] for head in heads] == [b"2"] * 3
    assert all(len(head["headers"]) == 4 for head in heads)
    assert connection.frames() == [b"{}"] * 3


def test_variants_are_made_once_and_not_without_end() -> None:
    """The same further headers are the same object; a client that invents others does not fill the memory."""
    answer = Answer(304, {"ETag": '"a"'})
    assert answer.plus() is answer
    assert answer.plus(("Vary", "Origin")) is answer.plus(("Vary", "Origin"))
    assert dict(answer.plus(("Vary", "Origin")).raw_headers)[b"vary"] == b"Origin"
    assert set(dict(answer.plus(("Vary", "Origin")).raw_headers)) == {b"etag", b"vary"}
    for number in range(1000):
        answer.plus(("Preference-Applied", f"wait={number}"))
    assert len(answer._variants) == MAX_VARIANTS


async def test_one_change_gives_everybody_the_same_response(world: World) -> None:
    """While a snapshot is the latest its answers are made once."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 30)
    latest = LatestAnswers()
    snapshot = await watch.latest()
    assert latest.of(snapshot).counts is latest.of(snapshot).counts
    assert latest.of(snapshot).counts.body is snapshot.body


async def test_a_slow_reader_gets_the_newest_state_and_no_backlog(world: World, connection: Connection) -> None:
    """A thousand changes while a client does not read: one frame waits for it, and the next one is the newest."""
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 30)
    first = await watch.latest()
    frames = _frames(Served(watch), watch, first, "", 60, lambda: False)  # type: ignore[arg-type]
    sending = asyncio.create_task(EventStream(frames, {}, 60)({}, None, connection.send))
    while not connection.frames():
        await asyncio.sleep(0)
    connection.reading.clear()
    for revision in range(1, 1001):
        tally = dataclasses.replace(first.tally, revision=first.tally.revision + revision)
        watch._publish(dataclasses.replace(first, tally=tally))
        await asyncio.sleep(0)
    connection.reading.set()
    newest = f"id: {first.tally.epoch}-{first.tally.revision + 1000}\n".encode()
    async with asyncio.timeout(5):
        while newest not in connection.frames()[-1]:
            await asyncio.sleep(0)
    assert len(connection.frames()) <= 4  # the first, the one that was on its way, the newest
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert watch.waiters == 0
    watch.close()


async def test_a_stream_that_is_over_says_so(connection: Connection) -> None:
    """Its last message has no body, and nothing follows: the server can close the answer, and keep the connection."""

    async def frames() -> AsyncGenerator[bytes]:
        yield b": keep-alive\n\n"

    await EventStream(frames(), {}, 60)({}, None, connection.send)
    start, frame, end = connection.sent
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert frame == {"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True}
    assert end == {"type": "http.response.body", "body": b""}


async def test_a_client_that_stopped_reading_is_given_up(connection: Connection) -> None:
    """A stream ends in bounded time whatever its client does, and its generator is closed."""
    closed = asyncio.Event()

    async def frames() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b": keep-alive\n\n"
                connection.reading.clear()
        finally:
            closed.set()

    async with asyncio.timeout(5):
        await EventStream(frames(), {}, 0.05)({}, None, connection.send)
    assert closed.is_set()


async def test_a_stream_whose_client_left_ends(
    world: World, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep sees it; nothing is logged, nobody is counted any more."""
    monkeypatch.setattr("shared.watching.waiters.SWEEP_SECONDS", 0.01)
    watch = Watch(Counts(world.table, FINGERPRINT, SystemClock()), SystemClock(), 30)
    served = Served(watch)
    frames = _frames(served, watch, await watch.latest(), "", 60, lambda: has_left(connection.receive))  # type: ignore[arg-type]
    sending = asyncio.create_task(EventStream(frames, {}, 60)({}, None, connection.send))
    while not watch.waiters:
        await asyncio.sleep(0)
    connection.left.set()
    async with asyncio.timeout(5):
        await sending
    assert watch.waiters == 0
    watch.close()


async def test_presence_is_asked_without_waiting(connection: Connection) -> None:
    """A request's body is no departure, silence is none, and asking leaves nothing behind."""
    assert not has_left(connection.receive)
    assert not connection.left._waiters  # type: ignore[attr-defined]
    connection.left.set()
    assert has_left(connection.receive)
    assert has_left(connection.receive)

    async def body() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    assert not has_left(body)
    assert not has_left(lambda: asyncio.get_running_loop().create_future())
