"""The composition root: settings in, the app's parts wired together out.

:class:`Services` change nothing of the process that they are in; :class:`AppProcess` is what one that serves adds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import ExitStack, contextmanager, suppress
from random import SystemRandom
from typing import TYPE_CHECKING

from shared.azure.clients import StorageClients
from shared.azure.heads import BlobHeads
from shared.azure.listing import BlobListing
from shared.azure.quarantine_bodies import BlobBodies
from shared.clock import SystemClock
from shared.errors import StorageError
from shared.intake.delivery import Delivery
from shared.intake.quarantine import Quarantine
from shared.process import stop_signal, telemetry
from shared.process.unheard_logs import Unheard
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.serving.auth import BearerTokens, Open
from shared.serving.endpoints import StatusApi
from shared.serving.health import Health
from shared.watching.announcer import Announcer
from shared.watching.drained import DrainedCases
from shared.watching.watch import Watch
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.model.cases import StoredCase
    from shared.model.tally import Tally
    from shared.serving.health import Probe
    from shared.settings.app import Settings


class Services:
    """Everything that a trigger needs, wired.

    Args:
        settings: The checked settings.
        proxy: Address of the HTTP proxy through which storage is reached, or None. The app has none; an operator's
            desk may be behind one.
        process_probes: What the health report says of the process that they are in.
    """

    def __init__(self, settings: Settings, proxy: str | None = None, process_probes: Sequence[Probe] = ()) -> None:
        self.settings = settings
        self.random = SystemRandom()
        self._clients = StorageClients(settings.storage, proxy)
        clock = SystemClock()
        self.blobs = self._clients.blobs
        self.table = self._clients.table(settings.counts_table)
        heads = BlobHeads(self._clients.blobs)
        account = self._clients.blobs.account_name or self._clients.blobs.primary_hostname
        folders = settings.folders
        fingerprint = folders.fingerprint(account)
        topic = self._clients.topic(settings.status_topic_endpoint)
        self.counts = Counts(
            self.table,
            fingerprint,
            clock,
            folders.locations,
            folders.cases_of_paths,
            marks_drained=topic is not None,
        )
        self.watch = Watch(self.counts, clock, settings.poll_interval_seconds, settings.max_waiters)
        self._inbox = self._clients.inbox(settings.inbox_table)
        self.writer = Writer(
            self.table, self.counts, heads, clock, self.random, self._changed, self._inbox, self._cases_written
        )
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
        self.announcer = Announcer(topic, clock) if topic is not None else None
        self.drained = DrainedCases(topic, self.writer.unmark, clock) if topic is not None else None
        self.clock = clock
        probes = [self.delivery.health, self.writer.health, self.quarantine.health, self.reconciler.health]
        self.api = StatusApi(
            self.watch,
            BearerTokens(settings.jwt, clock) if settings.jwt else Open(),
            Health(self.watch, clock, [*probes, *process_probes]),
            clock,
            self.random,
            settings.max_wait_seconds,
            settings.max_stream_seconds,
            settings.heartbeat_seconds,
            shows_details=settings.auth_mode != "function",
            has_cases=folders.cases is not None,
            hides_unknown_cases=settings.case_unknown != "zeros",
        )

    async def start(self) -> None:
        """Make the tables if there are none.

        Raises:
            StorageError: Storage is not there, or the table is being deleted; a later start may succeed.
        """
        await self.table.create()
        with suppress(StorageError):  # without it everybody commits by itself
            await self._inbox.create()

    async def reconcile(self) -> None:
        """Do what the timer is for, on a table that is there."""
        await self.counts.open()
        if self.drained is not None and self.counts.marks_drained:
            await self.drained.sweep(self.counts.marked_cases())
        try:
            await self.reconciler.run_scheduled(self.settings.reconcile_slice_seconds)
        finally:  # an account that cannot be listed is no reason to keep what is too old
            await self.writer.clear_inbox()
            await self.quarantine.purge_daily(self.settings.quarantine_retention)
        telemetry.QUARANTINE_SIZE.set(await self.quarantine.count())

    def drain(self) -> None:
        """Let the process end soon: nobody is held any more, and another process commits for the others."""
        self.watch.drain()
        self.writer.leave()

    async def close(self) -> None:
        """Close all connections."""
        self.watch.close()
        self.writer.close()
        if self.announcer is not None:
            self.announcer.close()
        if self.drained is not None:
            self.drained.close()
        await self._clients.close()

    def _changed(self, tally: Tally) -> None:
        if not tally.ready:
            return
        self.watch.offer(tally)
        if self.announcer is not None:
            self.announcer.offer(tally)

    def _cases_written(self, written: list[StoredCase]) -> None:
        if self.drained is not None:
            self.drained.offer(written)


class AppProcess:
    """The services of a process that serves: made once, on the loop that serves, with what they change in the process.

    Args:
        settings: The checked settings.
        probes: What the health report says of this process.
    """

    def __init__(self, settings: Settings, probes: Sequence[Probe] = ()) -> None:
        self._settings = settings
        self._probes = probes
        self._starting: asyncio.Task[Services] | None = None
        self._started: Services | None = None
        self._unheard = Unheard(SystemClock())
        self._effects = ExitStack()

    async def services(self) -> Services:
        """Return the services, starting them on first use. Each invocation begins with this.

        Raises:
            StorageError: Storage is not there (yet); the next call tries again.
        """
        self._unheard.begin_invocation()
        if self._started is not None:
            return self._started
        if self._starting is None or (self._starting.done() and self._starting.exception() is not None):
            self._starting = asyncio.create_task(self._start(), name="start services")
        self._started = await asyncio.shield(self._starting)
        return self._started

    async def close(self) -> None:
        """Close the services, and leave the process as it was."""
        self._effects.close()
        if self._started is not None:
            await self._started.close()

    async def _start(self) -> Services:
        self._effects.enter_context(self._unheard.listening(logging.getLogger("shared")))
        services = None
        try:
            services = Services(self._settings, process_probes=self._probes)
            await services.start()
        except BaseException:
            self._effects.close()
            if services is not None:
                await services.close()
            raise
        self._effects.enter_context(stop_signal.heard(services.drain))
        self._effects.enter_context(frozen_heap())
        return services


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Leave what is there by now out of garbage collection: it stays anyway.

    With the runtime and the SDKs that is 105,000 objects, which hold everybody up for 100 ms at each full collection.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
