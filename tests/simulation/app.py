"""One simulated process of the app: the real engines and adapters, wired as the app wires them. The only place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from shared.azure.heads import BlobHeads
from shared.azure.inbox import AzureInbox
from shared.azure.listing import BlobListing
from shared.azure.quarantine_bodies import BlobBodies
from shared.azure.table import AzureTable
from shared.errors import Conflict, NotPublished, Refused, Rejected
from shared.intake.delivery import Delivery
from shared.intake.quarantine import Quarantine
from shared.model.cases import StoredCase
from shared.model.folders import FolderMap
from shared.model.ledger import Observation, Transition
from shared.model.ports import Entity, PropertyRange, Write
from shared.model.tally import Tally
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.reconciling.report import Report
from shared.watching.drained import DrainedCases
from shared.watching.watch import Watch
from shared.writing.cache import Remembered
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer
from tests.fakes.memory_blobs import START, MemoryBlobs
from tests.fakes.memory_table import TableState
from tests.fakes.world import FOLDER_MAP
from tests.simulation.checker import Checker, Ticket
from tests.simulation.loop import ProcessLoop
from tests.simulation.network import Faults, Network, ProcessWire
from tests.simulation.sdk import BlobService, TableClient

POLL_INTERVAL_SECONDS = 0.5
QUARANTINE = "quarantined"


class SimulatedClock:
    """A process's clocks: virtual time, the wall clock off by the machine's skew.

    Args:
        loop: The process's loop.
        skew_seconds: How far its wall clock is ahead.
    """

    def __init__(self, loop: ProcessLoop, skew_seconds: float) -> None:
        self._loop = loop
        self._start = START + timedelta(seconds=skew_seconds)

    def now(self) -> datetime:
        """Return the wall clock."""
        return self._start + timedelta(seconds=self._loop.scheduler.now)

    def monotonic(self) -> float:
        """Return the virtual time."""
        return self._loop.scheduler.now

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


#: Of the transaction that this task is at.
_TICKET: ContextVar[Ticket] = ContextVar("ticket")


class CheckedTable:
    """The adapter, with what it tells its caller held against what became of the transaction."""

    def __init__(self, client: TableClient, checker: Checker) -> None:
        self._table = AzureTable(client)  # type: ignore[arg-type]
        self._checker = checker
        client.on_landing = lambda: partial(checker.landed, _TICKET.get())  # type: ignore[method-assign]

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity."""
        return await self._table.read(partition, row_key, select)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        ticket = Ticket()
        _TICKET.set(ticket)  # a write may be sent in two ways, one after the other
        try:
            etags = await self._table.commit(partition, writes)
        except (Conflict, Rejected, Refused) as error:
            self._checker.told_not_done(ticket, error)
            raise
        self._checker.told_done(ticket)
        return etags

    def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition."""
        return self._table.scan(partition, select, after=after, within=within)


class CountingWriter:
    """The way of the reconciler into the ledger: counts what it corrects."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.observed = 0

    async def read_row(self, path: str) -> Remembered:
        """Read a row."""
        return await self._writer.read_row(path)

    async def waiting_paths(self) -> set[str]:
        """Return the names that wait."""
        return await self._writer.waiting_paths()

    async def look(self, container: str, name: str, folder: str) -> Transition:
        """Look at a blob."""
        self.observed += 1
        return await self._writer.look(container, name, folder)

    async def observe(self, seen: Observation, base: Remembered) -> Transition:
        """Commit what a look found."""
        self.observed += 1
        return await self._writer.observe(seen, base)


class CountingReconciler(Reconciler):
    """The reconciler of a process: counts its comparisons, of everything and of a directory."""

    begun = ended = 0

    async def run(self, **options: Any) -> Report:
        """Run."""
        with self._counted():
            return await super().run(**options)

    async def run_prefix(self, *where: str, **options: Any) -> Report:
        """Compare a directory."""
        with self._counted():
            return await super().run_prefix(*where, **options)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.begun += 1
        try:
            yield
        finally:
            self.ended += 1


class SimulatedTopic:
    """Where drained cases are announced: slow, and away now and then, as long as anything goes wrong.

    Args:
        clock: The process's.
        checker: Told what is announced.
        network: Says whether anything goes wrong.
    """

    def __init__(self, clock: SimulatedClock, checker: Checker, network: Network) -> None:
        self._clock, self._checker, self._network = clock, checker, network

    async def publish(self, tally: Tally) -> None:
        """Publish nothing: nobody asks."""

    async def publish_drained(self, drained: Sequence[StoredCase]) -> None:
        """Publish, or not; who is told that it failed cannot know."""
        is_well = self._network.faults == Faults()
        luck = 1.0 if is_well else self._network.random.random()
        await self._clock.sleep(0.05 if is_well else 3 * luck)
        if luck > 0.3:
            for row in drained:
                self._checker.announced(row.case, row.tally.version, row.tally.counts())
        if luck < 0.6:
            raise NotPublished("the topic does not answer")


class App:
    """One process.

    Args:
        network: Its way to storage.
        state: The ledger's table.
        inbox: The table through which processes hand over to each other.
        blobs: The storage account.
        checker: Holds the invariants.
        seed: Of the process's own jitter.
        skew_seconds: How far its clock is ahead.
        folders: What it counts.
    """

    def __init__(
        self,
        network: Network,
        state: TableState,
        inbox: TableState,
        blobs: MemoryBlobs,
        checker: Checker,
        seed: int,
        skew_seconds: float,
        folders: FolderMap = FOLDER_MAP,
    ) -> None:
        self.folders = folders
        self.loop = ProcessLoop(network.scheduler, f"process {seed}")
        wire = ProcessWire(network, self.loop, checker)
        clock = SimulatedClock(self.loop, skew_seconds)
        random = Random(seed)
        client = TableClient(state, wire, checker.page_size, checker.misleading)
        client.on_commit = checker.committed
        client.max_operations = checker.max_operations
        self.client = client
        self.clock = clock
        self.table = table = CheckedTable(client, checker)
        service = BlobService(blobs, wire)
        heads = BlobHeads(service)  # type: ignore[arg-type]
        listing = BlobListing(service)  # type: ignore[arg-type]
        fingerprint = folders.fingerprint("memory")
        self.counts = Counts(table, fingerprint, clock, folders.locations, folders.cases_of_paths, marks_drained=True)
        self.watch = Watch(self.counts, clock, POLL_INTERVAL_SECONDS)
        inbox_client = TableClient(inbox, wire, checker.page_size)
        inbox_client.on_commit = checker.inbox_written
        handed_over = AzureInbox(inbox_client)  # type: ignore[arg-type]
        self.writer = Writer(table, self.counts, heads, clock, random, self._changed, handed_over, self._cases_written)
        topic = SimulatedTopic(clock, checker, network)
        self.drained = DrainedCases(topic, self.writer.unmark, clock)
        self.corrections = CountingWriter(self.writer)
        parts = Parts(table, self.counts, self.corrections, heads, listing, folders, clock)  # type: ignore[arg-type]
        self.reconciler = CountingReconciler(parts)
        self.quarantine = Quarantine(table, BlobBodies(service, QUARANTINE), clock, random)  # type: ignore[arg-type]
        self.delivery = Delivery(
            folders,
            self.counts,
            self.writer,
            self.quarantine,
            self.reconciler,
            clock,
            verify_deletes=False,
        )

    async def sweep(self) -> None:
        """Announce the drained cases that are left, as the timer does."""
        if self.counts.marks_drained:
            await self.drained.sweep(self.counts.marked_cases())

    def _cases_written(self, written: list[StoredCase]) -> None:
        self.drained.offer(written)

    def _changed(self, tally: Tally) -> None:
        if tally.ready:
            self.watch.offer(tally)
