"""The implementations that have to behave alike: in memory, as the simulator has them, and real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from localdev.azurite import Azurite
from shared.azure.batch import Transactions
from shared.azure.clients import connections
from shared.azure.heads import BlobHeads
from shared.azure.inbox import AzureInbox
from shared.azure.listing import BlobListing
from shared.azure.table import AzureTable
from shared.model.ports import Heads, InboxTable, Listing, Table
from tests.fakes.memory_blobs import FakeClock, MemoryBlobs
from tests.fakes.memory_table import MemoryTable, TableState
from tests.simulation.sdk import BlobService, DirectWire, TableClient


@pytest.fixture(params=["memory", "simulated", "azurite by the SDK", "azurite"])
async def table(request: pytest.FixtureRequest, unique: str) -> AsyncIterator[Table]:
    """Return an empty table: in memory, over the simulator's client, on Azurite as the SDK and as the app sends."""
    if request.param == "memory":
        yield MemoryTable()
        return
    if request.param == "simulated":
        wire = DirectWire(lambda: datetime.now(UTC))
        yield AzureTable(TableClient(TableState(), wire, page_size=lambda: 7))  # type: ignore[arg-type]
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    transport = connections()
    async with TableServiceClient.from_connection_string(
        azurite.connection_string, transport=transport, retry_total=0
    ) as service:
        client = service.get_table_client(unique)
        real = AzureTable(client, Transactions(client, transport) if request.param == "azurite" else None)
        await real.create()
        yield real


@pytest.fixture(params=["memory", "simulated", "azurite"])
async def inbox(request: pytest.FixtureRequest, unique: str) -> AsyncIterator[InboxTable]:
    """Return an empty table that is also read as a whole: in memory, over the simulator's client, on Azurite."""
    if request.param == "memory":
        yield MemoryTable(now=lambda: datetime.now(UTC))
        return
    if request.param == "simulated":
        wire = DirectWire(lambda: datetime.now(UTC))
        state = TableState(lambda: datetime.now(UTC))
        yield AzureInbox(TableClient(state, wire, page_size=lambda: 7))  # type: ignore[arg-type]
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    transport = connections()
    async with TableServiceClient.from_connection_string(
        azurite.connection_string, transport=transport, retry_total=0
    ) as service:
        client = service.get_table_client(unique)
        real = AzureInbox(client, Transactions(client, transport))
        await real.create()
        yield real


class Account(Protocol):
    """A storage account: how to write to it, and what is held to the contract."""

    heads: Heads
    listing: Listing

    async def put(self, container: str, name: str) -> None:
        """Write a blob; the container is made when it is not there."""
        ...

    def missing(self, unique: str) -> str:
        """Return the name of a container that is not there."""
        ...


class _InMemory:
    """An account in memory, bare or behind the adapters."""

    def __init__(self, *, simulated: bool) -> None:
        self._blobs = MemoryBlobs(FakeClock(), page_size=10)
        service = BlobService(self._blobs, DirectWire(self._blobs.clock.now))
        self.heads: Heads = BlobHeads(service) if simulated else self._blobs  # type: ignore[arg-type]
        self.listing: Listing = BlobListing(service) if simulated else self._blobs  # type: ignore[arg-type]

    async def put(self, container: str, name: str) -> None:
        """Write a blob."""
        self._blobs.put(f"{container}/{name}")

    def missing(self, unique: str) -> str:
        """Delete a container that never was: what is in memory knows only those that were deleted."""
        self._blobs.delete_container(f"{unique}gone")
        return f"{unique}gone"


class _Real:
    """An account on Azurite."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self.heads: Heads = BlobHeads(service)
        self.listing: Listing = BlobListing(service, page_size=10)

    async def put(self, container: str, name: str) -> None:
        """Write a blob."""
        with suppress(ResourceExistsError):
            await self._service.create_container(container)
        await self._service.get_blob_client(container, name).upload_blob(b"x", overwrite=True)

    def missing(self, unique: str) -> str:
        """Return the name of a container that is not there."""
        return f"{unique}gone"


@pytest.fixture(params=["memory", "simulated", "azurite"])
async def account(request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """Return a storage account: in memory, the adapters over the simulator's client, and on Azurite."""
    if request.param != "azurite":
        yield _InMemory(simulated=request.param == "simulated")
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    async with BlobServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        yield _Real(service)
