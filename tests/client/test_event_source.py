"""Chromium's own EventSource on a page of another origin: whatever happens to the server, it is live again by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localdev.ports import free_port
from tests.client.conftest import INSTALL_SECONDS, ROOT
from localdev.testbed import STREAM, Stack, container
from tests.e2e.stack import running_stack
from tests.waiting import eventually

OUTAGE_SECONDS = 18
#: A source comes back after two to six seconds, and a host that has lost its storage takes a moment to notice.
RECOVERY_SECONDS = 30
LIMIT_SECONDS = 180


class Page:
    """A page with sources on it.

    Args:
        process: ``event-source.mjs``.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self.events: list[dict[str, Any]] = []

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.events.append(json.loads(line))

    async def tell(self, command: str) -> None:
        """Have a source opened or closed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        await self._process.stdin.drain()

    def of(self, name: str, kind: str) -> list[dict[str, Any]]:
        """Return the events of a source so far."""
        return [event for event in self.events if (event["name"], event["kind"]) == (name, kind)]

    async def heard(self, name: str, kind: str, seconds: float, *, beyond: int = 0) -> None:
        """Wait until a source has had more events of a kind than so many."""

        async def has_heard() -> bool:
            assert not self._reading.done(), "the page has ended"
            return len(self.of(name, kind)) > beyond

        await eventually(has_heard, seconds)

    async def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(15):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


@asynccontextmanager
async def a_page(port: int, url: str, chromium: str) -> AsyncIterator[Page]:
    """Show a page from this port."""
    process = await asyncio.create_subprocess_exec(
        "node",
        *("test/support/event-source.mjs", str(port), url),
        cwd=ROOT / "client",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "CHROMIUM_PATH": chromium},
    )
    page = Page(process)
    try:
        await page.heard("", "ready", 60)
        yield page
    finally:
        await page.close()


async def are_live(stack: Stack, page: Page, *names: str) -> None:
    """Assert that a change is shown by these sources."""
    before = {name: len(page.of(name, "status_update")) for name in names}
    deadline = time.monotonic() + RECOVERY_SECONDS
    upload = container(stack, "queued").upload_blob
    await asyncio.to_thread(upload, f"{uuid.uuid4()}.jpg", b"x")
    for name in names:
        await page.heard(name, "status_update", deadline - time.monotonic(), beyond=before[name])


@pytest.mark.timeout(LIMIT_SECONDS + INSTALL_SECONDS)
async def test_it_survives_an_outage_and_a_full_instance(chromium: str, tmp_path: Path) -> None:
    """18 s without storage, for one that was connected and one that comes meanwhile; then no room for a third."""
    port = free_port()
    settings = {"CORS_ORIGINS": f"http://127.0.0.1:{port}", "MAX_WAITERS": "2", "HEARTBEAT_SECONDS": "1"}
    with running_stack(tmp_path, **settings) as stack:
        async with a_page(port, f"{stack.host_url}{STREAM}", chromium) as page, asyncio.timeout(LIMIT_SECONDS):
            await page.tell("open early")
            await page.heard("early", "status_update", 10)

            await asyncio.to_thread(stack.azurite.stop)
            over_at = time.monotonic() + OUTAGE_SECONDS
            await page.heard("early", "unavailable", OUTAGE_SECONDS)
            await page.tell("open late")
            await page.heard("late", "unavailable", OUTAGE_SECONDS)
            while time.monotonic() < over_at:
                await asyncio.sleep(0.1)
            assert all(len(page.of(name, "unavailable")) <= 1 + OUTAGE_SECONDS / 2 for name in ("early", "late"))
            await asyncio.to_thread(stack.azurite.start)
            await page.heard("late", "status_update", RECOVERY_SECONDS)
            await are_live(stack, page, "early", "late")

            await page.tell("open third")
            await page.heard("third", "unavailable", 10)
            assert not page.of("third", "status_update")
            await page.tell("close early")
            await page.heard("third", "status_update", RECOVERY_SECONDS)
            await are_live(stack, page, "late", "third")
    codes = {json.loads(event["data"])["code"] for event in page.events if event["kind"] == "unavailable"}
    assert codes == {"unavailable", "too-many-waiters"}
    assert all(event["state"] != 2 for event in page.events if event["kind"] == "error")  # CLOSED: given up for ever
