"""The bridge as its own process: killed, ended, refused a port, and its memory."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.blob.aio import BlobServiceClient

from localdev.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from localdev.ports import LOOPBACK, free_port
from localdev.processes import Process, memory_kb
from tests.localdev.support import Webhook, unwritten
from tests.waiting import eventually

MEGABYTE = 1_000_000


class Launched(Process):
    """`python -m localdev.bridge` in a process of its own."""

    def __init__(self, port: int, log: Path, *options: str, chaos: str) -> None:
        command = [sys.executable, "-m", "localdev.bridge", "--port", str(port), *options]
        super().__init__("the bridge", command, output=log, env={**os.environ, "EVENT_CHAOS": chaos})
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"

    async def ready(self) -> None:
        """Waits for its `ready` line."""
        await asyncio.to_thread(self.until, lambda: f"ready {self.url}\n" in self.log.read_text(), 20)

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Sends a signal; returns the exit code and all of the output."""
        self.send_signal(number)
        return await asyncio.to_thread(self.wait, 20), self.log.read_text()


Launch = Callable[..., Launched]


@pytest.fixture
def launch(azurite: Azurite, webhook: Webhook, tmp_path: Path) -> Iterator[Launch]:
    """Starts bridge processes on one journal; all are gone afterwards."""
    with ExitStack() as stack:

        def start(*options: str, port: int = 0, chaos: str = "") -> Launched:
            given = ["--azurite", azurite.blob_url, "--function-url", webhook.url, *options]
            port, log = port or free_port(), tmp_path / f"{time.monotonic_ns()}.log"
            bridge = Launched(port, log, "--journal", str(tmp_path / "bridge.sqlite"), *given, chaos=chaos)
            stack.callback(bridge.kill)
            return bridge

        yield start


async def test_a_kill_in_the_middle_of_uploads_loses_no_acknowledged_event(
    launch: Launch, azurite: Azurite, webhook: Webhook
) -> None:
    """SIGKILL while uploads run and nobody receives: after a restart every acknowledged upload has its event."""
    await webhook.stop()
    first = launch()
    await first.ready()
    acknowledged: dict[str, str] = {}
    async with BlobServiceClient.from_connection_string(
        azurite.connection_string_through(first.url), retry_total=0
    ) as service:
        container = await service.create_container(f"kill{random.randrange(2**32)}")

        async def upload(worker: int) -> None:
            for number in range(1000):
                name = f"{worker}/{number}.jpg"
                blob = await container.upload_blob(name, b"x")
                acknowledged[name] = blob.blob_name

        workers = [asyncio.create_task(upload(worker)) for worker in range(8)]
        await eventually(lambda: len(acknowledged) > 60)
        await first.end(signal.SIGKILL)
        ends = await asyncio.gather(*workers, return_exceptions=True)
        assert all(isinstance(end, AzureError) for end in ends)

        second = launch(port=first.port)
        await second.ready()
        again = container.get_blob_client(next(iter(acknowledged)))
        await again.upload_blob(b"again", overwrite=True)
        await webhook.start()
        await eventually(
            lambda: (
                webhook.events and not acknowledged.keys() - {n for _, _, n in webhook.story(container.container_name)}
            )
        )
        last = webhook.in_order()[-1]
        assert last["subject"].endswith(f"/blobs/{again.blob_name}")
        assert last["data"]["contentLength"] == 5
    code, output = await second.end(signal.SIGTERM)
    assert code == 0, output


async def test_sigterm_ends_it_cleanly_and_keeps_what_is_undelivered(
    launch: Launch, azurite: Azurite, webhook: Webhook
) -> None:
    """SIGTERM exits with 0 and prints the counts; the next start delivers the rest."""
    await webhook.stop()
    first = launch(chaos="dup=0.5,delay=0.1")
    await first.ready()
    async with BlobServiceClient.from_connection_string(azurite.connection_string_through(first.url)) as service:
        container = await service.create_container(f"term{random.randrange(2**32)}")
        for number in range(5):
            await container.upload_blob(f"{number}.jpg", b"x")
    code, output = await first.end(signal.SIGTERM)
    assert code == 0, output
    assert '"emitted": 5' in output
    assert "chaos dup=0.5,delay=0.1" in output
    second = launch()
    await second.ready()
    await webhook.start()
    await eventually(lambda: len(webhook.in_order()) == 5)


async def test_wrong_starts_say_what_is_wrong(launch: Launch, azurite: Azurite) -> None:
    """A taken port and a bad chaos specification end it with one line that names them."""
    taken = launch(port=azurite.blob_port)
    code, output = await taken.end(signal.SIGCONT)
    assert code == 1
    assert f"port {azurite.blob_port}, wanted by the blob event bridge" in output
    bad = launch("--chaos", "dup=2")
    code, output = await bad.end(signal.SIGCONT)
    assert (code, "allowed: dup=P" in output, "Traceback" in output) == (1, True, False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
async def test_large_bodies_are_streamed(launch: Launch, direct: BlobServiceClient) -> None:
    """200 MB up in one Put Blob and down in one Get Blob, by SAS, while the bridge grows by less than 20 MB."""
    bridge = launch()
    await bridge.ready()
    name = f"big{random.randrange(2**32)}"
    container = await direct.create_container(name)
    permission = BlobSasPermissions(read=True, write=True, create=True)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    token = generate_blob_sas(ACCOUNT, name, "x.bin", account_key=ACCOUNT_KEY, permission=permission, expiry=expiry)
    url = f"{bridge.url}/{ACCOUNT}/{name}/x.bin?{unwritten(token)}"
    block, total, received = random.Random(1).randbytes(MEGABYTE), 200 * MEGABYTE, 0

    async def source() -> AsyncIterator[bytes]:
        for _ in range(total // MEGABYTE):
            yield block

    before_kb = memory_kb(bridge.pid, "VmHWM")
    headers = {"x-ms-blob-type": "BlockBlob", "content-length": str(total), "x-ms-version": "2021-12-02"}
    async with aiohttp.ClientSession() as session:
        async with session.put(url, data=source(), headers=headers) as answer:
            assert answer.status == 201, await answer.text()
        async with session.get(url) as answer:
            async for data, _ in answer.content.iter_chunks():
                received += len(data)
    assert received == total
    assert memory_kb(bridge.pid, "VmHWM") - before_kb < 20 * 1024
    await container.delete_container()


async def test_it_needs_no_free_loopback_name(launch: Launch) -> None:
    """`localhost` reaches it as 127.0.0.1 does."""
    bridge = launch()
    await bridge.ready()
    with socket.create_connection(("localhost", bridge.port), timeout=5):
        pass
