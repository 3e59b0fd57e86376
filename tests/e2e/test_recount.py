"""The folder map changes while images come and go: the operator's one command, and never a wrong number in between.

``make chaos`` runs it whole: an instance with the old settings stays alive and is given events too, and the command
waits until that instance cannot acknowledge any. Otherwise the old instance is stopped first, and the wait is cut.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from localdev.ports import free_ports
from localdev.processes import Process
from localdev.testbed import STATUS, Stack
from tests.e2e.stack import App, counts_of, running_stack
from tests.waiting import eventually

FULL = os.environ.get("CHAOS") == "full"
NEW = {"QUEUED_FOLDER": "queued/fast", "IMAGE_SUFFIXES": "jpg,gif"}
#: Folders in which nothing happens meanwhile: half a count would show.
STILL = {"input": 40, "output": 25}
EVENTS_PER_SECOND = 100
CLIENTS = 6
WITHOUT_WAIT = (
    "import sys, shared.reconciling.reconciler as r; r.OLD_WRITERS_SECONDS = 0; "
    "from ops.__main__ import main; sys.exit(main())"
)


class Traffic:
    """Uploads and deletions under queued/fast/ and queued/slow/, at a steady rate, until it is stopped."""

    def __init__(self, stack: Stack) -> None:
        self._container = stack.blobs(retry_total=0).get_container_client("queued")
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self.events = 0
        self._clients = [self._pool.submit(self._client) for _ in range(CLIENTS)]

    def stop(self) -> None:
        """End it; what went wrong is raised here."""
        self._stop.set()
        for client in self._clients:
            client.result()
        self._pool.shutdown()

    def _client(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            number = next(self._numbers)
            name = f"{'fast' if number % 2 else 'slow'}/{number}.jpg"
            self._container.upload_blob(name, b"")
            self.events += 1
            if number % 3 == 0:
                self._container.delete_blob(name)
                self.events += 1
            self._stop.wait(max(0.0, CLIENTS * 1.33 / EVENTS_PER_SECOND - (time.monotonic() - began)))


@dataclass(frozen=True)
class Seen:
    """An answer that was 200: which counts, of which generation."""

    epoch: str
    counts: tuple[int, ...]


async def look(stack: Stack, seen: list[Seen], stop: asyncio.Event) -> None:
    """Ask all the time, as an impatient phone does."""
    async with httpx.AsyncClient(base_url=stack.host_url, timeout=10) as http:
        while not stop.is_set():
            try:
                answer = await http.get(STATUS)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 200:
                seen.append(Seen(answer.json()["data"]["version"].partition("-")[0], counts_of(answer)))
            else:
                assert answer is None or answer.status_code == 503, answer.text
            await asyncio.sleep(0.02)


def fill(stack: Stack) -> None:
    """Upload the images of the folders in which nothing happens, and one that counts with the new suffixes only."""
    for folder, images in STILL.items():
        container = stack.blobs().get_container_client(folder)
        for number in range(images):
            container.upload_blob(f"{number}.jpg", b"")
    stack.blobs().get_container_client("queued").upload_blob("fast/first.webp", b"")


def listed(stack: Stack) -> tuple[int, ...]:
    """Return what the new map counts, by listing."""
    service = stack.direct_blobs()
    queued = service.get_container_client("queued").list_blob_names(name_starts_with="fast/")
    return (sum(name.endswith((".jpg", ".gif")) for name in queued), STILL["input"], STILL["output"])


def recount(stack: Stack) -> Process:
    """Run the operator's command with the new settings."""
    program = ["-m", "ops"] if FULL else ["-c", WITHOUT_WAIT]
    command = [sys.executable, *program, "recount", "--yes", "--json"]
    return stack.run(Process("ops", command, output=stack.folder / "recount.log", env=stack.environ | NEW))


@pytest.mark.timeout(400)
async def test_a_new_folder_map_under_traffic(tmp_path: Path) -> None:
    """100 events a second, all the time: exact at the end, and every number on the way was one of a whole count."""
    with running_stack(tmp_path) as stack:
        await asyncio.to_thread(fill, stack)
        old_host = stack.programs[0]
        async with httpx.AsyncClient(base_url=stack.host_url, timeout=30) as http:
            app = App(http)
            await app.wait_for((1, 40, 25))
            old_epoch = (await app.status()).json()["data"]["version"].partition("-")[0]
            seen: list[Seen] = []
            stop = asyncio.Event()
            looking = asyncio.create_task(look(stack, seen, stop))
            traffic = Traffic(stack)
            await eventually(lambda: _is(traffic.events > 100))
            if FULL:
                await asyncio.to_thread(stack.start_host, free_ports(1)[0], answers=200, **NEW)
            else:
                old_host.stop()
                await asyncio.to_thread(stack.start_host, **NEW)
            command = recount(stack)
            assert await asyncio.to_thread(command.wait, 200) == 0
            if FULL:
                old_host.stop()
                await asyncio.to_thread(stack.start_host, **NEW)
            events = traffic.events
            await eventually(lambda: _is(traffic.events > events + 100))
            await asyncio.to_thread(traffic.stop)
            await app.wait_for(await asyncio.to_thread(listed, stack), seconds=60)
            stop.set()
            await looking
    assert {each.epoch for each in seen} - {old_epoch}, "the new counts were never seen"
    for each in seen:
        assert each.counts[1:] == (40, 25), each
    changes = [former.epoch != each.epoch for former, each in itertools.pairwise(seen)]
    assert sum(changes) == 1


async def _is(condition: bool) -> bool:
    return condition
