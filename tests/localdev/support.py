"""Helpers of these tests: signatures, and a webhook that records events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from aiohttp import web
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.ports import LOOPBACK, free_port
from localdev.processes import WEBHOOK
from tests.leaks.secrets import secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from azure.storage.blob.aio import ContainerClient


def sas(container: ContainerClient) -> str:
    """Signs for everything in a container."""
    return unwritten(
        generate_container_sas(
            ACCOUNT,
            container.container_name,
            account_key=ACCOUNT_KEY,
            permission=ContainerSasPermissions(read=True, write=True, create=True, delete=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
    )


def unwritten(sas: str) -> str:
    """Register the signature of a SAS as something that must never be written; return the SAS."""
    secret("a signature", parse_qs(sas)["sig"][0])
    return sas


class Webhook:
    """Records what is posted to it; answers 202, or whatever `answer` says for a request's events."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[tuple[dict[str, str], object]] = []
        self.events: list[dict] = []
        self.answer: Callable[[list[dict]], Awaitable[int]] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where events are posted."""
        return f"http://{LOOPBACK}:{self.port}{WEBHOOK}"

    async def start(self) -> None:
        """Listens, on the same port each time."""
        app = web.Application(client_max_size=2**24)
        app.router.add_post(WEBHOOK.partition("?")[0], self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port).start()

    async def stop(self) -> None:
        """Refuses connections from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        events = body if isinstance(body, list) else [body]
        status = await self.answer(events) if self.answer else 202
        self.requests.append((dict(request.headers), body))
        if status == 202:
            self.events += events
        return web.Response(status=status)

    def in_order(self) -> list[dict]:
        """The events by sequencer, duplicates removed."""
        return sorted({event["id"]: event for event in self.events}.values(), key=lambda e: e["data"]["sequencer"])

    def story(self, container: str) -> list[tuple[str, str, str]]:
        """What happened in a container: (Created or Deleted, api, blob name), by sequencer."""
        prefix = f"/blobServices/default/containers/{container}/blobs/"
        return [
            (
                event["eventType"].removeprefix("Microsoft.Storage.Blob"),
                event["data"]["api"],
                event["subject"][len(prefix) :],
            )
            for event in self.in_order()
            if event["subject"].startswith(prefix)
        ]
