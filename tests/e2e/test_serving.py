"""Beyond tests/protocol: a third-party stream client, clients that leave, two hosts, the table's own time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
from azure.data.tables.aio import TableServiceClient
from httpx_sse import aconnect_sse

from localdev.testbed import STATUS, STREAM, Stack, container
from shared.azure.table import AzureTable
from tests.e2e.stack import App, plus
from tests.waiting import eventually


async def upload(stack: Stack, name: str) -> None:
    """Upload one image."""
    await asyncio.to_thread(container(stack, "queued").upload_blob, name, b"x", overwrite=True)


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
