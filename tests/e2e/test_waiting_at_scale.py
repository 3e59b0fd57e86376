"""Many phones on one functions host: real processes, raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from bench.load.driver import Driver, get
from bench.serving.hosts import created_event
from bench.serving.storm import storm
from localdev.processes import WEBHOOK, Process, memory_kb
from localdev.testbed import STATUS, STREAM, Stack
from tests.e2e.stack import running_stack
from tests.waiting import eventually

POLL_INTERVAL_SECONDS = 0.5
PARKED = 1000


@pytest.fixture
def driver() -> Iterator[Driver]:
    """Return a process of raw-socket clients."""
    with Driver() as driving:
        yield driving


class Server:
    """One functions host as an operator sees it."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._webhook = f"{self.url}{WEBHOOK}"
        self.http = httpx.AsyncClient(base_url=self.url, timeout=60)
        self.stack = stack

    async def health(self) -> dict[str, int]:
        """Return the details."""
        return (await self.http.get("/api/health")).json()

    async def has_waiters(self, count: int, seconds: float = 30) -> None:
        """Wait until so many are held."""

        async def reached() -> bool:
            return (await self.health())["waiters"] == count

        await eventually(reached, seconds)

    async def etag(self) -> str:
        """Return the current version, quoted."""
        return (await self.http.get(STATUS)).headers["etag"]

    async def change(self, times: int = 1) -> None:
        """Deliver events of new blobs."""
        headers = {"aeg-event-type": "Notification"}
        response = await self.http.post(self._webhook, json=[created_event() for _ in range(times)], headers=headers)
        assert response.status_code == 202

    async def poll(self, wait_seconds: int = 50) -> str:
        """Return the bytes of a held poll."""
        return get(STATUS, f"If-None-Match: {await self.etag()}", f"Prefer: wait={wait_seconds}")


@contextlib.asynccontextmanager
async def serving(stack: Stack, port: int) -> AsyncIterator[Server]:
    """Look at a host that runs."""
    server = Server(stack, port)
    async with server.http:
        yield server


@pytest.fixture
async def server(stack: Stack) -> AsyncIterator[Server]:
    """Return the stack's host."""
    async with serving(stack, stack.host_port) as server:
        yield server


@contextlib.asynccontextmanager
async def second_server(stack: Stack, **environ: str) -> AsyncIterator[tuple[Server, Process]]:
    """Run a host of one's own."""
    program = stack.start_host(stack.second_host_port, RECONCILE_ON_START="false", **environ)
    try:
        async with serving(stack, stack.second_host_port) as server:
            yield server, program
    finally:
        program.stop()


async def ask(driver: Driver, do: str, **arguments: object) -> dict[str, object]:
    """Drive clients without holding up the test's own loop."""
    return await asyncio.to_thread(driver.ask, do, **arguments)


async def park(driver: Driver, server: Server, count: int, *, name: str = "polls") -> None:
    """Hold so many polls."""
    base = (await server.health())["waiters"]
    await ask(driver, "park", name=name, port=server.port, count=count, request=await server.poll(), stream=False)
    await server.has_waiters(base + count)


async def test_i8_a_thousand_parked_polls_cost_one_read_an_interval(server: Server, driver: Driver) -> None:
    """Storage is read as often as the clock says, and one change answers them all."""
    await park(driver, server, PARKED)
    first, started = (await server.health())["status_reads"], time.monotonic()

    async def has_read_on() -> bool:
        return (await server.health())["status_reads"] >= first + 6

    await eventually(has_read_on)
    seconds = time.monotonic() - started
    reads = (await server.health())["status_reads"] - first
    assert reads <= seconds / POLL_INTERVAL_SECONDS + 2
    await server.change()
    assert (await ask(driver, "woken", name="polls", stream=False))["statuses"] == [200]
    await server.has_waiters(0)


async def test_i8_thousands_of_plain_requests_share_reads(server: Server, driver: Driver) -> None:
    """Five thousand of them: two reads a second and the one that was due."""
    request = get(STATUS)
    before = (await server.health())["status_reads"]
    found = await ask(driver, "load", port=server.port, connections=100, request=request, count=5000)
    assert found["statuses"] == {"200": 5000}
    reads = (await server.health())["status_reads"] - before
    assert reads <= float(str(found["seconds"])) / POLL_INTERVAL_SECONDS + 2


async def test_i9_departed_clients_are_forgotten_within_two_seconds(server: Server, driver: Driver) -> None:
    """Two hundred sockets close in the middle of their wait; the other hundred go on waiting."""
    await park(driver, server, 300)
    left = await ask(driver, "close", name="polls", part=2 / 3)
    assert left["clients"] == 100
    await server.has_waiters(100, seconds=2 + 1)  # health itself is cached for a second
    await server.change()
    assert (await ask(driver, "woken", name="polls", stream=False))["statuses"] == [200]


async def test_when_there_is_no_room_nobody_is_held_and_everybody_else_is_served(stack: Stack, driver: Driver) -> None:
    """503 with a jittered Retry-After to polls and streams; plain requests as ever; and room again afterwards."""
    async with second_server(stack, MAX_WAITERS="3") as (server, _):
        etag = await server.etag()
        await park(driver, server, 3)
        assert (await server.health())["waiters_limit"] == 3
        held = {"If-None-Match": etag, "Prefer": "wait=20"}
        refused = [await server.http.get(STATUS, headers=held), await server.http.get(STREAM)]
        for response in refused:
            assert response.status_code == 503
            assert response.json()["code"] == "too-many-waiters"
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["cache-control"] == "no-store"
            assert 2 <= int(response.headers["retry-after"]) <= 6
        assert (await server.http.get(STATUS)).status_code == 200
        assert (await server.http.get(STATUS, headers={"If-None-Match": etag})).status_code == 304
        await ask(driver, "close", name="polls")
        await server.has_waiters(0, seconds=3)
        await park(driver, server, 3)


async def test_a_host_that_stops_lets_its_clients_go(stack: Stack, driver: Driver) -> None:
    """SIGTERM: polls are answered, streams end as they should and say when to come back, each at another time."""
    async with second_server(stack) as (server, host):
        await park(driver, server, 100)
        streams = [asyncio.create_task(_read_to_end(server.port)) for _ in range(20)]
        await server.has_waiters(120)
        host.send_signal(signal.SIGTERM)
        answers = await ask(driver, "woken", name="polls", stream=False)
        assert answers["statuses"] == [304]
        seen = answers["seen"]
        assert isinstance(seen, list)
        assert 0.5 < max(seen) - min(seen) < 2
        ends = await asyncio.gather(*streams)
        delays = [int(delay) for end in ends for delay in re.findall(rb"retry: (\d+)\n\n", end)]
        assert len(delays) == len(ends)
        assert all(500 <= delay <= 5000 for delay in delays)
        assert len(set(delays)) > 10
        assert all(end.endswith(b"0\r\n\r\n") for end in ends)
        assert await asyncio.to_thread(host.wait, 10) == 0
        assert "Traceback" not in host.log.read_text()


async def test_a_stream_that_is_not_read_costs_nothing_and_then_shows_the_newest(server: Server) -> None:
    """Twenty clients read nothing while a thousand images come: a bounded number of frames, the last one the truth."""
    sockets = [await _open_stream(server.port) for _ in range(20)]
    pid = server.stack.programs[0].pid
    await server.change(100)
    before = memory_kb(pid)
    for _ in range(10):
        await server.change(100)
    assert memory_kb(pid) - before < 8 * 1024
    version = (await server.etag()).strip('"').encode()
    for reader, writer in sockets:
        data = await _read_until(reader, lambda data: b"id: " + version + b"\n" in data)
        assert data.count(b"event: status_update") < 300
        writer.close()
    await server.has_waiters(0, seconds=3)


async def _open_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(get(STREAM).encode())
    await reader.readuntil(b"\n\n")
    return reader, writer


async def _read_to_end(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(STREAM).encode())
    data = await reader.read()
    writer.close()
    return data


async def _read_until(reader: asyncio.StreamReader, is_done: Callable[[bytes], bool]) -> bytes:
    data = b""
    async with asyncio.timeout(20):
        while not is_done(data):
            data += await reader.read(65536)
    return data


def test_clients_of_a_host_that_crashed_do_not_come_back_all_at_once(tmp_path: Path) -> None:
    """The real client package, two hundred instances: no second in which half of them reconnect."""
    with running_stack(tmp_path) as stack:
        found = storm(stack, stack.programs[0], 200, "long-poll", signal.SIGKILL)
    assert found["reconnects_busiest_second"] <= 100
