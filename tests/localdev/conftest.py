"""Fixtures: one Azurite for the folder, a webhook that records events, bridges that are always stopped."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from localdev.azurite import Azurite
from localdev.bridge import Bridge, BridgeSettings, DeliverySettings
from tests.localdev.support import Webhook
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One Azurite for all tests of the folder."""
    with Azurite() as running:
        yield running


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    """A running webhook."""
    hook = Webhook()
    await hook.start()
    yield hook
    await hook.stop()


@pytest.fixture
def settings(azurite: Azurite, webhook: Webhook, tmp_path: Path) -> BridgeSettings:
    """A bridge from Azurite to the webhook, with quick retries."""
    return BridgeSettings(
        azurite=azurite.blob_url,
        journal=tmp_path / "bridge.sqlite",
        delivery=DeliverySettings(url=webhook.url, max_retry_seconds=0.2),
        seed=1,
    )


@pytest.fixture
async def start_bridge(settings: BridgeSettings) -> AsyncIterator[Callable[..., Awaitable[Bridge]]]:
    """Starts a bridge with changed settings; `delivery` changes are given as a dict."""
    async with AsyncExitStack() as running:

        async def start(*, delivery: dict | None = None, **changes: object) -> Bridge:
            changed = replace(settings, delivery=replace(settings.delivery, **(delivery or {})), **changes)
            return await running.enter_async_context(Bridge(changed))

        yield start


@pytest.fixture
async def bridge(start_bridge: Callable[..., Awaitable[Bridge]]) -> Bridge:
    """A running bridge."""
    return await start_bridge()


@pytest.fixture
async def service(azurite: Azurite, bridge: Bridge) -> AsyncIterator[BlobServiceClient]:
    """The SDK through the bridge."""
    async with BlobServiceClient.from_connection_string(azurite.connection_string_through(bridge.url)) as client:
        yield client


@pytest.fixture
async def direct(azurite: Azurite) -> AsyncIterator[BlobServiceClient]:
    """The SDK straight at Azurite."""
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


@pytest.fixture
async def container(service: BlobServiceClient) -> ContainerClient:
    """A new container, seen through the bridge."""
    return await service.create_container(f"c{uuid.uuid4().hex}")


@pytest.fixture
def settled(bridge: Bridge) -> Callable[[], Awaitable[None]]:
    """Waits until every event raised so far is delivered."""

    async def wait() -> None:
        await eventually(lambda: (stats := bridge.delivery.stats()) and stats["queued"] + stats["in_flight"] == 0)

    return wait
