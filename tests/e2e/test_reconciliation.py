"""Reconciliation as processes that are killed, on a real Azurite with real continuation tokens."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest
from azure.storage.blob.aio import ContainerClient

from localdev.azurite import Azurite
from localdev.processes import ROOT

BLOBS = {"queued": 170, "input": 45, "output": 0}
PAGES = 9 + 3 + 1
DEADLINE_SECONDS = 30


async def fill(connection: str, container: str, names: list[str]) -> None:
    """Upload empty blobs."""
    async with ContainerClient.from_connection_string(connection, container) as client:
        if not await client.exists():
            await client.create_container()
        for start in range(0, len(names), 32):
            await asyncio.gather(*(client.upload_blob(name, b"", overwrite=True) for name in names[start : start + 32]))


class Account:
    """Runs reconciliations of one container as processes of their own."""

    def __init__(self, connection: str, name: str) -> None:
        self._arguments = [sys.executable, "-m", "tests.e2e.reconcile_once", connection, name, name]

    def killed_after(self, pages: int) -> list[str]:
        """Start one, SIGKILL it when it has been given so many pages; return what it had listed."""
        command = [*self._arguments, str(pages)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            listed = [process.stdout.readline().strip() for _ in range(pages)]
            process.kill()
        return listed

    def finished(self) -> tuple[list[str], dict[str, object]]:
        """Run one to its end, as soon as nobody's lease is in the way; return what it listed, and its report."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            done = subprocess.run(self._arguments, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                *listed, report = done.stdout.splitlines()
                return listed, json.loads(report)
            assert "AlreadyRunning" in done.stderr, done.stderr
            assert time.monotonic() < deadline


@pytest.fixture
async def account(azurite: Azurite, unique: str) -> Account:
    """Return an account with blobs that have been reconciled once."""
    names = [f"{folder}/{number:04}.jpg" for folder, count in BLOBS.items() for number in range(count)]
    await fill(azurite.connection_string, unique, names)
    account = Account(azurite.connection_string, unique)
    listed, report = account.finished()
    assert (len(listed), report["bootstrap"]) == (PAGES, True)
    assert report["added"] == {"queued": 170, "input": 45}
    return account


@pytest.mark.parametrize("pages", [4, 9, 11])
def test_a_killed_pass_lists_at_most_two_pages_twice(account: Account, pages: int) -> None:
    """SIGKILL in the middle of a clean pass: the next process goes on behind the last page that was dealt with.

    Twice are listed the page whose checkpoint had not been written, and the one that had been asked for meanwhile.
    """
    before = account.killed_after(pages)
    after, report = account.finished()
    assert (report["clean"], report["listed"], report["looks"]) == (True, 215, 0)
    assert len(set(before) & set(after)) <= 2
    assert len(set(before) | set(after)) == PAGES


async def test_i4_a_killed_comparison_is_finished_by_the_next_process(
    account: Account, azurite: Azurite, unique: str
) -> None:
    """Drift, SIGKILL in the second listing, another process: everything is repaired, nothing that was right touched."""
    async with ContainerClient.from_connection_string(azurite.connection_string, unique) as client:
        await asyncio.gather(*(client.delete_blob(f"queued/{number:04}.jpg") for number in range(0, 170, 17)))
    await fill(azurite.connection_string, unique, [f"output/{number}.jpg" for number in range(7)])
    # Last-Modified has whole seconds: what changed in the second in which a run begins is left to its events.
    await asyncio.sleep(1 - time.time() % 1)
    account.killed_after(PAGES + 5)
    _, report = account.finished()
    assert (report["removed"], report["added"], report["slices"]) == ({"queued": 10}, {"output": 7}, 2)
    _, again = account.finished()
    assert again["clean"]
