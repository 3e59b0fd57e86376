"""What a phone sees: conditional requests, held polls, streams, errors; on real processes."""

from __future__ import annotations

import asyncio
import email.utils
import json
from datetime import UTC, datetime

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient
from httpx_sse import aconnect_sse

from localdev.testbed import STATUS, STREAM, Stack, container
from shared.azure.table import AzureTable
from tests.e2e.stack import App, eventually, plus


async def upload(stack: Stack, name: str) -> None:
    """Upload one image."""
    await asyncio.to_thread(container(stack, "queued").upload_blob, name, b"x", overwrite=True)


async def test_the_answer_is_what_the_protocol_says(app: App) -> None:
    """Body and headers of a 200."""
    response = await app.status()
    body = response.json()
    assert body["success"] is True
    assert set(body["data"]) == {"queued_count", "input_count", "output_count", "timestamp", "version"}
    assert response.headers["etag"] == f'"{body["data"]["version"]}"'
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, no-cache, no-transform"
    assert {each.strip() for each in response.headers["vary"].split(",")} >= {"Authorization", "Prefer"}
    assert email.utils.parsedate_to_datetime(response.headers["last-modified"])


async def test_an_unchanged_version_is_304(app: App) -> None:
    """With the ETag just received: 304, no body, the same validators."""
    first = await app.status()
    again = await app.status(**{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]


async def test_an_empty_if_none_match_counts_as_absent(app: App) -> None:
    """The first request of the app's own client has one."""
    assert (await app.status(**{"If-None-Match": ""})).status_code == 200


async def test_unmodified_since_is_304_once_the_second_is_over(app: App) -> None:
    """Last-Modified sent back as If-Modified-Since."""

    async def unmodified() -> bool:
        first = await app.status()
        return (await app.status(**{"If-Modified-Since": first.headers["last-modified"]})).status_code == 304

    async with asyncio.timeout(15):
        while not await unmodified():
            await asyncio.sleep(0.2)


async def test_a_held_poll_is_woken_by_an_upload(stack: Stack, app: App, unique: str) -> None:
    """The request waits, and is answered with the new counts."""
    first = await app.status()
    held = asyncio.create_task(app.held(first.headers["etag"], 30))
    await asyncio.sleep(0.5)
    assert not held.done()
    await upload(stack, f"{unique}.jpg")
    response = await asyncio.wait_for(held, 10)
    assert response.status_code == 200
    assert response.headers["etag"] != first.headers["etag"]


async def test_a_held_poll_ends_with_304_in_its_time(app: App) -> None:
    """Nothing happens: 304, not before the shortest jittered wait, and the applied wait is named."""
    first = await app.status()
    started = asyncio.get_running_loop().time()
    response = await app.http.get(STATUS, headers={"If-None-Match": first.headers["etag"], "Prefer": "wait=2"})
    assert response.status_code == 304
    assert response.headers["preference-applied"] == "wait=2"
    assert asyncio.get_running_loop().time() - started >= 2 * 15 / 16 - 0.1


async def test_since_and_from_now_hold_too(stack: Stack, app: App, unique: str) -> None:
    """The version as a query parameter, ``*`` and from=now: all wait for the next change."""
    version = (await app.status()).json()["data"]["version"]
    waits = [
        app.http.get(STATUS, params={"since": version, "wait": "20"}),
        app.http.get(STATUS, params={"from": "now", "wait": "20"}),
        app.http.get(STATUS, params={"wait": "20"}, headers={"If-None-Match": "*"}),
    ]
    held = [asyncio.create_task(wait) for wait in waits]
    await asyncio.sleep(0.5)
    assert not any(task.done() for task in held)
    await upload(stack, f"{unique}.jpg")
    responses = await asyncio.wait_for(asyncio.gather(*held), 10)
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1


async def test_a_wait_without_a_validator_is_answered_at_once(app: App) -> None:
    """There is nothing to compare with."""
    async with asyncio.timeout(5):
        assert (await app.http.get(STATUS, params={"wait": "30"})).status_code == 200


async def test_a_stream_is_read_by_a_third_party_client(stack: Stack, app: App, unique: str) -> None:
    """First frame at once, one frame per change, resumable by the last id."""
    before = await app.counts()
    async with aconnect_sse(app.http, "GET", STREAM) as source:
        assert source.response.headers["cache-control"] == "no-store, no-transform"
        events = source.aiter_sse()
        first = await anext(events)
        assert (first.event, first.retry) == ("status_update", 3000)
        data = json.loads(first.data)
        assert (data["queued"], data["processing"], data["completed"]) == before
        assert data["version"] == first.id
        await upload(stack, f"{unique}.jpg")
        second = await asyncio.wait_for(anext(events), 10)
        assert json.loads(second.data)["queued"] == before[0] + 1
    async with app.http.stream("GET", STREAM, headers={"Last-Event-ID": second.id}) as resumed:
        chunk = await anext(resumed.aiter_text())
        assert "event:" not in chunk
        assert ": " in chunk


async def test_a_stream_that_is_left_stops_its_work(stack: Stack, app: App) -> None:
    """A poll and a stream whose clients vanish are forgotten within two seconds."""

    async def waiters() -> int:
        return (await app.http.get("/api/health")).json()["waiters"]

    async def has_waiters(count: int) -> bool:
        return await waiters() == count

    await eventually(lambda: has_waiters(0))
    etag = (await app.status()).headers["etag"]
    async with httpx.AsyncClient(base_url=stack.host_url) as leaving:
        held = asyncio.create_task(leaving.get(STATUS, params={"wait": "50"}, headers={"If-None-Match": etag}))
        async with leaving.stream("GET", STREAM):
            await eventually(lambda: has_waiters(2))
            held.cancel()
    await eventually(lambda: has_waiters(0), seconds=2 + 1)  # health itself is cached for a second


@pytest.mark.parametrize(
    "query", ["wait=abc", "wait=-1", "wait=NaN", "wait=1&wait=2", "wait=", "wait=1e3", "from=then", "since=a&since=b"]
)
async def test_bad_input_is_400(app: App, query: str) -> None:
    """A problem document that says what to do, marked uncacheable."""
    response = await app.http.get(f"{STATUS}?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["success"] is False
    assert response.json()["detail"]


async def test_other_methods(app: App) -> None:
    """HEAD is GET without a body, OPTIONS says what is allowed, the rest is 405 with Allow."""
    head = await app.http.head(STATUS)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"]
    stream = await app.http.head(STREAM)  # and it does not hold the connection for a stream that nobody reads
    assert (stream.status_code, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    options = await app.http.options(STATUS)
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = await app.http.request(method, STATUS, content=b"{}")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_cors_for_the_origins_that_are_set(app: App) -> None:
    """The browser may read the ETag; another origin gets nothing."""
    ours = await app.status(Origin="https://app.example.com")
    assert ours.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "ETag" in ours.headers["access-control-expose-headers"]
    preflight = await app.http.options(
        STATUS, headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    )
    assert "If-None-Match" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in (await app.status(Origin="https://evil.example.com")).headers


async def test_i6_two_hosts_on_one_table(stack: Stack, app: App, unique: str) -> None:
    """Events go to one host, clients to the other: woken within a poll, same version, same bytes."""
    before = await app.counts()
    second = stack.start_host(stack.second_host_port, RECONCILE_ON_START="false")
    try:
        url = f"http://127.0.0.1:{stack.second_host_port}"
        async with httpx.AsyncClient(base_url=url, timeout=40) as http:
            other = App(http)
            first = await other.status()
            assert first.content == (await app.status()).content
            held = asyncio.create_task(other.held(first.headers["etag"], 30))
            await asyncio.sleep(0.5)
            await upload(stack, f"{unique}.jpg")
            woken = await asyncio.wait_for(held, 10)
            here = await app.status()
            assert (woken.headers["etag"], woken.content) == (here.headers["etag"], here.content)
            await other.wait_for(plus(before, 1, 0, 0))
    finally:
        second.stop()


async def test_the_table_says_when_a_commit_landed(stack: Stack, app: App, unique: str) -> None:
    """What Last-Modified leans on: the service's own time of the write comes along with the tally."""
    await upload(stack, f"{unique}.jpg")
    await app.held("none", 1)
    connection = stack.azurite.connection_string
    async with TableServiceClient.from_connection_string(connection) as service:
        found = await AzureTable(service.get_table_client("storagecounts")).read("g1", "!tally")
    assert found is not None
    assert found.written_at is not None
    assert abs((datetime.now(UTC) - found.written_at).total_seconds()) < 600
