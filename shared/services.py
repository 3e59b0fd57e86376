"""The composition root: settings in, the app's parts wired together out. One set a process, made on first use."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

from shared.azure.batch import Transactions
from shared.azure.heads import BlobHeads
from shared.azure.listing import BlobListing
from shared.azure.quarantine_bodies import BlobBodies
from shared.azure.table import AzureTable
from shared.azure.topic import GridTopic
from shared.clock import SystemClock
from shared.intake.delivery import Delivery
from shared.intake.quarantine import Quarantine
from shared.process import stop_signal, telemetry
from shared.process.unheard_logs import Unheard
from shared.reconciling.reconciler import Reconciler
from shared.reconciling.stages import Parts
from shared.serving.auth import BearerTokens, Open
from shared.serving.endpoints import StatusApi
from shared.serving.health import Health
from shared.watching.announcer import Announcer
from shared.watching.watch import Watch
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from shared.model.tally import Tally
    from shared.settings.app import Settings
    from shared.settings.storage import Connection

#: Azurite closes an idle connection after 5 s, the service after longer; a request on a closed one is lost.
KEEP_ALIVE_SECONDS: Final = 4.0
CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 15


class Services:
    """Everything that a trigger needs, wired.

    Args:
        settings: The checked settings.
        proxy: Address of the HTTP proxy through which storage is reached, or None. The app has none; an operator's
            desk may be behind one.
    """

    def __init__(self, settings: Settings, proxy: str | None = None) -> None:
        self.settings = settings
        self.random = SystemRandom()
        self._clients = _Clients(settings.storage, proxy)
        clock = SystemClock()
        self.blobs = self._clients.blobs
        self.table = self._clients.table(settings.counts_table)
        heads = BlobHeads(self._clients.blobs)
        account = self._clients.blobs.account_name or self._clients.blobs.primary_hostname
        self.counts = Counts(self.table, settings.folders.fingerprint(account), clock)
        self.watch = Watch(self.counts, clock, settings.poll_interval_seconds, settings.max_waiters)
        self.writer = Writer(self.table, self.counts, heads, clock, self.random, on_change=self._changed)
        bodies = BlobBodies(self._clients.blobs, settings.quarantine_container)
        self.quarantine = Quarantine(self.table, bodies, clock, self.random)
        self.reconciler = Reconciler(
            Parts(
                self.table,
                self.counts,
                self.writer,
                heads,
                BlobListing(self._clients.blobs),
                settings.folders,
                clock,
            )
        )
        self.delivery = Delivery(
            settings.folders,
            self.counts,
            self.writer,
            self.quarantine,
            self.reconciler,
            clock,
            verify_deletes=settings.verify_deletes,
            topics=settings.event_topics,
        )
        topic = self._clients.topic(settings.status_topic_endpoint)
        self.announcer = Announcer(topic, clock) if topic is not None else None
        self.clock = clock
        probes = [self.delivery.health, self.writer.health, self.quarantine.health, self.reconciler.health]
        self.api = StatusApi(
            self.watch,
            BearerTokens(settings.jwt, clock) if settings.jwt else Open(),
            Health(self.watch, clock, probes),
            clock,
            self.random,
            settings.max_wait_seconds,
            settings.max_stream_seconds,
            settings.heartbeat_seconds,
            shows_details=settings.auth_mode != "function",
        )

    async def start(self) -> None:
        """Make the table if there is none, and hear when the process is to stop.

        Raises:
            StorageError: Storage is not there, or the table is being deleted; a later start may succeed.
        """
        await self.table.create()
        stop_signal.on_stop(self.watch.drain)

    async def reconcile(self) -> None:
        """Do what the timer is for, on a table that is there."""
        await self.counts.open()
        await self.reconciler.run_scheduled(self.settings.reconcile_slice_seconds)
        await self.quarantine.purge_daily(self.settings.quarantine_retention)
        telemetry.QUARANTINE_SIZE.set(await self.quarantine.count())

    async def close(self) -> None:
        """Close all connections."""
        self.watch.close()
        if self.announcer is not None:
            self.announcer.close()
        await self._clients.close()

    def _changed(self, tally: Tally) -> None:
        if not tally.ready:
            return
        self.watch.offer(tally)
        if self.announcer is not None:
            self.announcer.offer(tally)


class _Clients:
    """The SDK's clients, each on connections of its own."""

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


class _Process:
    """The services of this process, made once, on the loop that serves it."""

    def __init__(self) -> None:
        self._starting: asyncio.Task[Services] | None = None
        self._started: Services | None = None
        self._unheard = Unheard(SystemClock())

    async def services(self, settings: Settings) -> Services:
        self._unheard.begin_invocation()
        if self._started is not None:
            return self._started
        if self._starting is None or (self._starting.done() and self._starting.exception() is not None):
            self._starting = asyncio.create_task(self._start(settings), name="start services")
        self._started = await asyncio.shield(self._starting)
        return self._started

    async def _start(self, settings: Settings) -> Services:
        logging.getLogger("shared").addHandler(self._unheard)  # once, however often it is asked for
        services = Services(settings)
        try:
            await services.start()
        except BaseException:
            await services.close()
            raise
        gc.collect()
        gc.freeze()  # what is there by now stays: no need to go through it at each collection while clients wait
        return services


_process = _Process()


async def get(settings: Settings) -> Services:
    """Return this process's services, starting them on first use. Each invocation begins with this.

    Raises:
        StorageError: Storage is not there (yet); the next call tries again.
    """
    return await _process.services(settings)
