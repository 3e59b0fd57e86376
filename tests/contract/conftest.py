"""The implementations that have to behave alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from azure.data.tables.aio import TableServiceClient

from localdev.azurite import Azurite
from shared.azure_table import AzureTable
from shared.ports import Table
from tests.fakes.memory_table import MemoryTable


@pytest.fixture(params=["memory", "azurite"])
async def table(request: pytest.FixtureRequest, unique: str) -> AsyncIterator[Table]:
    """Return an empty table, in memory and on Azurite."""
    if request.param == "memory":
        yield MemoryTable()
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    async with TableServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        real = AzureTable(service.get_table_client(unique))
        await real.create()
        yield real
