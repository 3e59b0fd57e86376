"""The SDK's clients: how they connect, who they are, how long they wait and how often they try."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

from shared.azure.batch import Transactions
from shared.azure.inbox import AzureInbox
from shared.azure.table import AzureTable
from shared.azure.topic import GridTopic

if TYPE_CHECKING:
    from shared.settings.storage import Connection

#: Azurite closes an idle connection after 5 s, the service after longer; a request on a closed one is lost.
KEEP_ALIVE_SECONDS: Final = 4.0
CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 15


class StorageClients:
    """The SDK's clients, each on connections of its own.

    Args:
        storage: Where storage is, and who this process is to it.
        proxy: Address of the HTTP proxy through which it is reached, or None.
    """

    def __init__(self, storage: Connection, proxy: str | None) -> None:
        self._stack = AsyncExitStack()
        self._client_id = storage.client_id
        self._proxy = proxy
        self._table_connections = connections(proxy)
        tables: dict[str, Any] = {"transport": self._table_connections, "retry_total": 0}
        blobs: dict[str, Any] = {"transport": connections(proxy), "retry_policy": _retries()}
        if storage.connection_string:
            self.tables = TableServiceClient.from_connection_string(storage.connection_string, **tables)
            self.blobs = BlobServiceClient.from_connection_string(storage.connection_string, **blobs)
        else:
            identity = self._identity()
            self.tables = TableServiceClient(storage.table_url, credential=identity, **tables)
            self.blobs = BlobServiceClient(storage.blob_url, credential=identity, **blobs)

    def table(self, name: str) -> AzureTable:
        """Return a table; its transactions share the client's connections."""
        client = self.tables.get_table_client(name)
        return AzureTable(client, Transactions(client, self._table_connections))

    def inbox(self, name: str) -> AzureInbox:
        """Return the table through which processes hand over to each other."""
        client = self.tables.get_table_client(name)
        return AzureInbox(client, Transactions(client, self._table_connections))

    def topic(self, endpoint: str) -> GridTopic | None:
        """Return the topic that changes are announced to, if there is to be one."""
        if not endpoint:
            return None
        topic = GridTopic(endpoint, self._identity(), connections(self._proxy))
        self._stack.push_async_callback(topic.close)
        return topic

    def _identity(self) -> DefaultAzureCredential:
        identity = DefaultAzureCredential(managed_identity_client_id=self._client_id or None)
        self._stack.push_async_callback(identity.close)
        return identity

    async def close(self) -> None:
        """Close them all."""
        await self.tables.close()
        await self.blobs.close()
        await self._stack.aclose()


def _retries() -> ExponentialRetry:
    """Two more attempts within two seconds: the SDK's own back-off (15 s and more) outlasts a delivery's budget."""
    return ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=2, random_jitter_range=1)


def connections(proxy: str | None = None) -> AioHttpTransport:
    """Return connections that are dropped, when idle, before the other side drops them.

    The proxy is given, and not looked for in the environment: aiohttp would do that anew for each request, and take
    passwords from ~/.netrc besides. The timeouts are theirs: those given to a client are for the connections that it
    would make by itself (300 s).
    """
    connector = aiohttp.TCPConnector(limit=200, keepalive_timeout=KEEP_ALIVE_SECONDS)
    session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False, proxy=proxy)
    return AioHttpTransport(
        session=session,
        session_owner=True,
        connection_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
    )
