"""A shared access signature is one more way to be let into the table, which only a real one can show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.data.tables.aio import TableServiceClient

from localdev.azurite import Azurite
from shared.azure.batch import Transactions
from shared.azure.clients import connections
from shared.azure.table import AzureTable
from shared.model.ports import Write
from tests.leaks.secrets import secret

WRITES = [Write("a", {"n": 1}, None), Write("b", {"n": 2}, None)]


async def test_a_shared_access_signature_is_sent_as_the_sdk_sends_it(azurite: Azurite, unique: str) -> None:
    """Who has one in the connection string needs nothing else."""
    parts = dict(part.split("=", 1) for part in azurite.connection_string.rstrip(";").split(";"))
    signature = generate_account_sas(
        AzureNamedKeyCredential(parts["AccountName"], parts["AccountKey"]),
        ResourceTypes(service=True, object=True),
        AccountSasPermissions(read=True, write=True, add=True, update=True, create=True, delete=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    secret("a shared access signature", signature)
    given = f"SharedAccessSignature={signature};TableEndpoint={parts['TableEndpoint']};"
    transport = connections()
    async with (
        TableServiceClient.from_connection_string(azurite.connection_string) as owner,
        TableServiceClient.from_connection_string(given, transport=transport, retry_total=0) as service,
    ):
        await owner.create_table(unique)
        client = service.get_table_client(unique)
        table = AzureTable(client, Transactions(client, transport))
        assert len(await table.commit("p", WRITES)) == 2
        assert await table.read("p", "b")
