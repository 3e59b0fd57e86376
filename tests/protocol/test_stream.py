"""``GET /api/cases/storage/status/stream``: each docstring is a line of docs/protocol.md."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.protocol.deployment import EVENT_SECONDS, SLACK_SECONDS, STREAM, Caller, is_problem, version_of

#: A stream's life may be this part shorter than MAX_STREAM_SECONDS.
EARLY = 1 / 16
BURST = 10
#: What a browser's EventSource accepts, and others that take no problem document.
EVENTS_ONLY = ("text/event-stream", "text/event-stream, */*;q=0", "text/*")
#: The header, the query, and whether a frame comes first.
RESUMED = [("", "{v}", False), ("", "{v}-gzip", False), ("{v}", "another", False), ("another", "{v}", True)]


class Stream:
    """Reads a stream block by block; a block is an event or a comment, as a dict of its fields (``""``: comment).

    Args:
        response: Whose body it is.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def block(self, seconds: float = SLACK_SECONDS) -> dict[str, str] | None:
        """Return the next block, or None at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if not line and fields:
                    return fields
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        return None

    async def event(self, seconds: float = SLACK_SECONDS) -> dict[str, str] | None:
        """Return the next event, past comments, or None at the end."""
        async with asyncio.timeout(seconds):
            while (found := await self.block(seconds)) is not None and "data" not in found:
                pass
        return found


@contextlib.asynccontextmanager
async def streaming(caller: Caller, headers: dict[str, str] | None = None, **query: str) -> AsyncIterator[Stream]:
    """Open a stream."""
    given = caller.deployment.credentials | (headers or {})
    async with caller.http.stream("GET", STREAM, headers=given, params=query or None) as response:
        assert response.status_code == 200
        yield Stream(response)


async def first_of(caller: Caller, headers: dict[str, str] | None = None, **query: str) -> dict[str, str]:
    """Return the first block of a new stream."""
    async with streaming(caller, headers, **query) as stream:
        block = await stream.block()
        assert block is not None
        return block


async def test_p80_the_first_frame(caller: Caller) -> None:
    """It answers 200 `text/event-stream`, with the first frame, as above, at once."""
    async with streaming(caller) as stream:
        assert stream.response.headers["content-type"].partition(";")[0] == "text/event-stream"
        block = await stream.block()
    assert block is not None
    assert set(block) == {"retry", "id", "event", "data"}
    assert block["event"] == "status_update"
    assert 100 <= int(block["retry"]) <= 30_000
    names = {"queued", "processing", "completed", *caller.deployment.extra_folders}
    assert set(json.loads(block["data"])) == {*names, "timestamp", "version"}


async def test_p81_it_says_what_the_status_says(caller: Caller) -> None:
    """The frame says what the status says; its id is the version."""
    block: dict[str, str] = {}

    async def ask(before: httpx.Response) -> httpx.Response:
        block.update(await first_of(caller))
        return before

    before, _ = await caller.steady(ask)
    assert block["id"] == version_of(before)
    names = {"input_count": "processing", "output_count": "completed"}
    said = before.json()["data"].items()
    assert json.loads(block["data"]) == {names.get(name, name.removesuffix("_count")): v for name, v in said}


async def test_p82_changes(caller: Caller) -> None:
    """Each change is a frame."""
    caller.require_changes()
    version = (await first_of(caller))["id"]
    async with streaming(caller, {"Last-Event-ID": version}) as stream:
        await stream.block()
        await caller.change()
        changed = await stream.event(EVENT_SECONDS)
    if changed is None:  # the stream's life was over first
        changed = await first_of(caller, {"Last-Event-ID": version})
    assert changed["event"] == "status_update"
    assert changed["id"] == json.loads(changed["data"])["version"] != version


async def test_p83_resumed(caller: Caller) -> None:
    """With `Last-Event-ID` equal to the current version a comment comes instead of the first frame."""
    block: dict[str, str] = {}

    async def ask(before: httpx.Response) -> httpx.Response:
        block.clear()
        block.update(await first_of(caller, {"Last-Event-ID": version_of(before)}))
        return before

    await caller.steady(ask)
    assert "" in block
    assert "data" not in block
    assert "data" in await first_of(caller, {"Last-Event-ID": "another"})


async def test_p84_resumed_by_query(caller: Caller) -> None:
    """`?last_event_id=` and `?lastEventId=` are the same, and the header goes first."""
    cases = [(name, *case) for name in ("last_event_id", "lastEventId") for case in RESUMED]
    for name, header, query, is_frame in cases:
        block: dict[str, str] = {}

        async def ask(
            before: httpx.Response, *, n: str = name, h: str = header, q: str = query, b: dict[str, str] = block
        ) -> httpx.Response:
            b.clear()
            version = version_of(before)
            headers = {"Last-Event-ID": h.replace("{v}", version)} if h else {}
            b.update(await first_of(caller, headers, **{n: q.replace("{v}", version)}))
            return before

        await caller.steady(ask)
        assert ("data" in block) is is_frame


@pytest.mark.timeout(200)
async def test_p85_heartbeat(caller: Caller) -> None:
    """A comment `: keep-alive` comes every `HEARTBEAT_SECONDS` (15)."""
    period = caller.deployment.seconds("HEARTBEAT_SECONDS")
    async with streaming(caller) as stream:
        await stream.block()
        for _ in range(2):
            started = time.monotonic()
            block = await stream.block(period + SLACK_SECONDS)
            if block is not None and "data" in block:
                pytest.skip("the counts change all the time")
            assert block == {"": "keep-alive"}
            assert time.monotonic() - started >= period / 2


@pytest.mark.timeout(600)
async def test_p86_it_ends(caller: Caller) -> None:
    """The stream ends by itself after `MAX_STREAM_SECONDS` (180), up to a sixteenth less, or when its token ends."""
    life = caller.deployment.seconds("MAX_STREAM_SECONDS")
    started = time.monotonic()
    async with streaming(caller) as stream, asyncio.timeout(life + SLACK_SECONDS):
        while await stream.block(life + SLACK_SECONDS) is not None:
            pass
    assert time.monotonic() - started >= life * (1 - EARLY) - 1


async def test_p87_a_slow_reader(caller: Caller) -> None:
    """A slow reader gets the newest state."""
    caller.require_changes()
    async with streaming(caller) as stream:
        first = await stream.block()
        assert first is not None
        await asyncio.gather(*(caller.change() for _ in range(BURST)))  # and nothing is read meanwhile
        frames = [first]
        with contextlib.suppress(TimeoutError):
            while (frame := await stream.event(EVENT_SECONDS)) is not None:
                frames.append(frame)
                if frame["id"] == version_of(await caller.current()):
                    break
    versions = [frame["id"] for frame in frames]
    assert len(set(versions)) == len(versions)
    assert version_of(await caller.current()) in {versions[-1], (await first_of(caller))["id"]}


async def test_p88_headers(caller: Caller) -> None:
    """It carries `Cache-Control: no-store, no-transform` and `X-Accel-Buffering: no`."""
    async with streaming(caller) as stream:
        headers = stream.response.headers
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers


async def test_p89_errors(caller: Caller) -> None:
    """Errors before the first byte are the problem documents above, but for P91."""
    assert is_problem(await caller.get(f"{STREAM}?last_event_id=a&last_event_id=b"), 400, "bad-request")
    assert is_problem(await caller.get(STREAM, last_event_id="x" * 4097), 400, "bad-request")
    assert is_problem(await caller.get(STREAM, {"Last-Event-ID": "x" * 4097}), 400, "bad-request")


async def test_p90_head(caller: Caller) -> None:
    """`HEAD` is answered at once, without a stream and without a length."""
    async with asyncio.timeout(SLACK_SECONDS):
        answer = await caller.get(STREAM, method="HEAD")
        head, _, body = (await caller.deployment.raw_head(STREAM)).partition(b"\r\n\r\n")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length" not in head.lower()
    assert body == b""


async def test_p91_an_event_source(crowded: Caller, unreconciled: Caller, without_storage: Caller) -> None:
    """A client that accepts `text/event-stream` and not `application/problem+json` gets for a 503 a 200 stream: a jittered `retry:`, one `event: unavailable` with the problem as data, no `id:`, no comment, the end."""  # noqa: E501
    async with streaming(crowded) as held:
        await held.block()
        retries = {await retry_of(crowded, accept, "too-many-waiters") for accept in EVENTS_ONLY}
        for accept in ("*/*", "text/event-stream, */*;q=0.1", "text/event-stream, application/problem+json", ""):
            assert is_problem(await crowded.get(STREAM, {"Accept": accept}), 503, "too-many-waiters")
    retries |= {await retry_of(unreconciled, accept, "counts-not-ready") for accept in EVENTS_ONLY}
    retries |= {await retry_of(without_storage, accept, "unavailable") for accept in EVENTS_ONLY}
    assert len(retries) > 3
    for caller in (crowded, unreconciled):
        answer = await caller.get(f"{STREAM}?last_event_id=a&last_event_id=b", {"Accept": EVENTS_ONLY[0]})
        assert is_problem(answer, 400, "bad-request")


async def retry_of(caller: Caller, accept: str, code: str) -> int:
    """Assert that a 503 comes as the only event of a stream; return after how many milliseconds to come back."""
    answer = await caller.get(STREAM, {"Accept": accept, "Origin": "https://app.example.com"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["access-control-allow-origin"] in {"https://app.example.com", "*"}
    lines = answer.text.split("\n")
    names = [line.partition(":")[0] for line in lines]
    assert names == ["retry", "event", "data", "", ""]
    assert lines[1] == "event: unavailable"
    problem = json.loads(lines[2].removeprefix("data: "))
    assert (problem["status"], problem["code"], problem["success"]) == (503, code, False)
    return int(lines[0].removeprefix("retry: "))
