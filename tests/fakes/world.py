"""The app's engines wired over the in-memory account: what a process has, without the process."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from shared.clock import Clock
from shared.intake.delivery import Delivery
from shared.model import ledger, tally
from shared.model.cases import StoredCase
from shared.model.folders import FOLDERS, CaseRule, FolderMap, Location, first_segment
from shared.model.ports import Topic
from shared.model.tally import Sum, Tally
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.watching.drained import DrainedCases
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts
from shared.writing.writer import Writer
from tests.fakes.memory_blobs import FakeClock, MemoryBlobs
from tests.fakes.memory_table import MemoryTable
from tests.fakes.memory_topic import MemoryTopic

FOLDER_MAP = FolderMap({folder: Location(folder) for folder in FOLDERS}, ("jpg", "png"))
FINGERPRINT = FOLDER_MAP.fingerprint("memory")
#: Another one: queued images are elsewhere, and GIF files count too.
NEW_MAP = FolderMap({**FOLDER_MAP.locations, "queued": Location("inbox")}, ("jpg", "png", "gif"))
#: With two folders beside the three.
EXTRA_MAP = FolderMap(
    FOLDER_MAP.locations | {"failed": Location("failed"), "review": Location("images", "review/")}, ("jpg", "png")
)
#: With counts of cases.
CASES_MAP = replace(FOLDER_MAP, cases=CaseRule("first-segment", first_segment))


class MemoryQuarantine:
    """Keeps what was not understood, with its reason."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []
        self.retried = ""

    def is_retried(self, text: str) -> bool:
        """Tell whether this is the event that is retried."""
        return text == self.retried

    async def put(self, text: str, reason: str) -> str:
        """Keep an event."""
        self.kept.append((text, reason))
        return str(len(self.kept))


class Process:
    """One process of the app: its own memory, the common table and blobs.

    Args:
        table: The common table.
        blobs: The common storage account.
        random: Jitter.
        verify_deletes: As the setting.
        folders: What it counts.
        clock: Its machine's, when that is not right.
        topic: Where drained cases are announced, or None.
    """

    def __init__(
        self,
        table: MemoryTable,
        blobs: MemoryBlobs,
        random: Random,
        *,
        verify_deletes: bool = False,
        folders: FolderMap = FOLDER_MAP,
        clock: Clock | None = None,
        topic: Topic | None = None,
    ) -> None:
        clock = clock or blobs.clock
        fingerprint, is_announced = folders.fingerprint("memory"), topic is not None
        self.counts = Counts(
            table, fingerprint, clock, folders.locations, folders.cases_of_paths, marks_drained=is_announced
        )
        self.watch = Watch(self.counts, clock, poll_interval_seconds=0.5)
        self.writer = Writer(table, self.counts, blobs, clock, random, on_cases=self._cases_written)
        self.drained = DrainedCases(topic, self.writer.unmark, clock) if topic is not None else None
        self.quarantine = MemoryQuarantine()
        self.reconciler = Reconciler(Parts(table, self.counts, self.writer, blobs, blobs, folders, clock))
        self.delivery = Delivery(
            folders,
            self.counts,
            self.writer,
            self.quarantine,  # type: ignore[arg-type]
            self.reconciler,
            clock,
            verify_deletes=verify_deletes,
        )

    def _cases_written(self, written: list[StoredCase]) -> None:
        assert self.drained is not None, "nobody is to be told"
        self.drained.offer(written)

    async def sweep(self) -> None:
        """Announce what is left, as the timer does."""
        assert self.drained is not None
        await self.drained.sweep(self.counts.marked_cases())


class World:
    """A storage account, a table, and a first process that has reconciled once.

    Args:
        seed: Of everything random.
        folders: What is counted.
        announces: Whether there is a topic.
    """

    def __init__(self, seed: int = 0, folders: FolderMap = FOLDER_MAP, *, announces: bool = False) -> None:
        self.folders = folders
        self.random = Random(seed)
        self.clock = FakeClock()
        self.blobs = MemoryBlobs(self.clock)
        self.table = MemoryTable(now=self.clock.now)
        self.topic = MemoryTopic(self.clock) if announces else None
        self.process = self.new_process()

    def new_process(self, *, verify_deletes: bool = False) -> Process:
        """Start another process on the same table and account."""
        return Process(
            self.table,
            self.blobs,
            self.random,
            verify_deletes=verify_deletes,
            folders=self.folders,
            topic=self.topic,
        )

    async def bootstrap(self) -> World:
        """Reconcile the account for the first time, and let a minute pass."""
        await self.process.reconciler.run()
        self.clock.advance(60)
        return self

    def stored_tally(self) -> Tally:
        """Return the tally as it stands in the table."""
        return tally.from_properties(self.table.entities(PARTITION)[TALLY_KEY].properties)

    def stored_rows(self) -> list[ledger.Row]:
        """Return all rows as they stand in the table."""
        entities = self.table.entities(PARTITION)
        return [
            ledger.from_properties(entity.properties, self.folders.locations)
            for key, entity in entities.items()
            if key > TALLY_KEY
        ]

    def truth(self) -> dict[str, Sum]:
        """Return what the tally would be if the account were listed this instant."""
        key = self.stored_tally().digest_key
        found: dict[str, list[str]] = {folder: [] for folder in self.folders.locations}
        for path in self.blobs.blobs:
            container, _, name = path.partition("/")
            folder = self.folders.folder_of(container, name)
            if folder is not None:
                found[folder].append(path)
        return {folder: tally.fold(key, paths) for folder, paths in found.items()}

    def check_rows_and_tally_agree(self) -> None:
        """I3: the tally is exactly the fold of the rows that say "present", after every commit."""
        stored = self.stored_tally()
        rows = [row for row in self.stored_rows() if row.present]
        for folder in self.folders.locations:
            folded = tally.fold(stored.digest_key, [row.path for row in rows if row.folder == folder])
            assert stored.sums[folder] == folded, f"I3: tally of {folder} is not the fold of its rows"
