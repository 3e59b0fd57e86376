"""One simulated world: a storage account, a table, Event Grid, and processes that come and go."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import batched
from random import Random
from zlib import crc32

from shared.errors import StorageError
from shared.intake.quarantine_rows import PARTITIONS as PARTITIONS_OF_QUARANTINE
from shared.model import tally as tallies
from shared.model.folders import FOLDERS, CaseRule, FolderMap, Location
from shared.model.ports import Entity, Write
from shared.reconciling import comparison
from shared.reconciling.lease import AlreadyRunning
from shared.reconciling.report import Report
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes.memory_table import TableState
from tests.fakes.world import FOLDER_MAP, NEW_MAP
from tests.simulation.account import Account
from tests.simulation.app import App
from tests.simulation.checker import Checker
from tests.simulation.eventgrid import EventGrid
from tests.simulation.loop import Scheduler
from tests.simulation.network import Faults, Network

#: How far a process's wall clock may be off.
CLOCK_SKEW_SECONDS = 5.0
#: After so long with nothing going wrong, nothing of what went wrong before is on its way any more.
AFTERMATH_SECONDS = 120.0
#: Folders beside the three. Most worlds have none.
EXTRA = [(), (), (), (), ("failed",), ("failed", "review")]
#: How many cases there are; 0: they are not counted. With an odd number some names have none.
CASES = [0, 0, 3, 4, 1000]
#: Ledgers are larger than this many rows, so that ranges below it are some of them.
FEW_ROWS = 100


class World:
    """Everything there is.

    Args:
        seed: Of everything that happens in it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.stats: Counter[str] = Counter()
        self.scheduler = Scheduler(seed)
        draw = Random(f"folders of {seed}").choice  # so that what else happens does not depend on it
        #: What the processes count that are started first, and what they may count after a recount.
        extras = draw(EXTRA), draw(EXTRA)
        self.maps = _with(FOLDER_MAP, extras[0], draw(CASES)), _with(NEW_MAP, extras[1], draw(CASES))
        maps = {each.fingerprint("memory"): each for each in self.maps}
        self.checker = Checker(maps, lambda: self.scheduler.now, self._stop, self.random, self.stats)
        self.network = Network(self.scheduler, self.random, self.stats)
        self.state = TableState()
        self.inbox = TableState(self.network.date)
        self.apps: list[App] = []
        #: What the processes that are started count.
        self.folders = self.maps[0]
        self.containers = tuple(self.folders.locations)
        self.stats["extra folders"] += len(self.containers) - len(FOLDERS)
        self.stats["worlds with cases"] += self.folders.cases is not None
        self.grid = EventGrid(self.network, self.checker, self.apps)
        self.account = Account(self.network.date, self.checker, self.random, self.grid.take)
        self.crashes = 0.0
        self.freezes = 0.0
        self.checker.max_operations = self.random.choice([100, 100, 100, 6])
        self.checker.misleads = self.random.choice([0.0, 0.3, 1.0])
        self.checker.splits_evenly = self.random.random() < 0.5

    @property
    def other_folders(self) -> FolderMap:
        """What the processes that are started do not count."""
        return self.maps[self.folders is self.maps[0]]

    def use_all_containers(self) -> None:
        """Let the traffic be in the containers of both maps."""
        places = (place.container for folders in self.maps for place in folders.locations.values())
        self.containers = tuple(dict.fromkeys(places))

    def _stop(self) -> None:
        self.scheduler.stopped = True

    # Processes

    def start(self, count: int) -> None:
        """Start processes."""
        for _ in range(count):
            app = self.make_app(self.folders, CLOCK_SKEW_SECONDS)
            self.apps.append(app)
            if self.random.random() < self.crashes:
                app.loop.steps_to_live = int(self.random.random() ** 2 * 3000)
            app.loop.on_death.append(partial(self._died, app))

    def make_app(self, folders: FolderMap, skew_seconds: float) -> App:
        """Make a process that gets no deliveries, whose clock is wrong by up to so much."""
        seed, skew = self.random.getrandbits(32), self.random.uniform(-skew_seconds, skew_seconds)
        return App(self.network, self.state, self.inbox, self.account, self.checker, seed, skew, folders)

    def stop(self, app: App) -> None:
        """End a process as the platform does: it is gone."""
        if app in self.apps:
            self.apps.remove(app)
            app.loop.kill()

    def _died(self, app: App) -> None:
        if app not in self.apps:
            return  # it was stopped
        self.stats["crashes"] += 1
        self.checker.note("crash", app.loop.name)
        self.apps.remove(app)
        self.network.service.call_later(self.random.choice([0.0, 0.5, 5.0]), self.start, 1)

    def freeze_some(self) -> None:
        """Suspend a process for a while: long enough to outlive a lease, perhaps."""
        if self.apps and self.random.random() < self.freezes:
            self.freeze(self.random.choice(self.apps), self.random.choice([0.5, 20.0, 90.0]))
        if self.freezes:
            self.network.service.call_later(5 + 60 * self.random.random(), self.freeze_some)

    def freeze(self, app: App, seconds: float) -> None:
        """Suspend a process: in the middle of whatever it does."""
        self.stats["processes frozen"] += 1
        app.loop.frozen_until = self.scheduler.now + seconds

    def tamper(self, changes: int) -> None:
        """Have somebody with the account's key write to the table: the tally, rows, and rows that are none."""
        self.stats["tamperings"] += 1
        self.checker.note("tamper", changes)
        self.checker.is_tampered = True
        random, rows = self.random, self.state.partitions[self.checker.current]
        for _ in range(changes):
            key = random.choice([TALLY_KEY, *sorted(rows)])  # the row of a case, perhaps
            properties = dict(rows[key].properties)
            if key == TALLY_KEY:
                folder = random.choice(tuple(self.folders.locations))
                properties[f"{folder}_count"] = int(str(properties[f"{folder}_count"])) + random.choice([-2, 1, 5])
            elif random.random() < 0.3:
                del rows[key]
                continue
            else:
                name = random.choice([*properties, "folder", "observed_at"])
                odd = [None, "", "odd", 7, True, False, "9999-12-31T23:59:59Z"]
                folders = tuple(self.folders.locations)
                value = random.choice(folders if name == "folder" and random.random() < 0.5 else [*odd, *folders])
                properties[name] = value  # type: ignore[assignment]
            kept = {name: value for name, value in properties.items() if value is not None}
            self.state.apply(self.checker.current, [Write(key, kept, rows[key].etag)])
        self.state.apply(self.checker.current, [Write(random.randbytes(4).hex(), {"path": "queued/odd.jpg"}, None)])

    def put_back(self, old: tallies.Tally) -> None:
        """Have somebody put the tally's counts back, with the digests and the sketch that they had."""
        self.stats["tallies put back"] += 1
        self.checker.note("put back", old.revision)
        self.checker.is_tampered = True
        row = self.state.partitions[self.checker.current][TALLY_KEY]
        tally = replace(tallies.from_properties(row.properties), sums=old.sums, sketch=old.sketch)
        self.state.apply(self.checker.current, [Write(TALLY_KEY, tallies.to_properties(tally), row.etag)])

    def restore(self, copy: dict[str, dict[str, Entity]] | None) -> None:
        """Have the operator put an older copy of the table in place, under a new epoch, or (None) delete the table."""
        self.stats["restores"] += 1
        self.checker.note("restore", copy is None)
        self.state.partitions.clear()
        for partition, rows in (copy or {}).items():
            writes = [Write(key, dict(row.properties), None) for key, row in rows.items()]
            for write in writes:
                if write.row_key == TALLY_KEY and write.properties is not None:
                    write.properties["epoch"] = self.random.randbytes(5).hex()
            for some in batched(writes, 100, strict=False):
                self.state.apply(partition, some)
        self.checker.restored(self.state.partitions.get(PARTITION, {}))

    # Time

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.scheduler.run(self.scheduler.now + seconds)

    def run_until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Let time pass until something is so; it is a violation when it is not so in time."""
        self.scheduler.run(self.scheduler.now + seconds, done)
        if not self.scheduler.stopped and not done():
            self.checker.fail("I9", f"{what}: not within {seconds} s")

    def calm_down(self) -> None:
        """Let nothing go wrong any more, and what went wrong before take its last effects."""
        self.network.faults = Faults()
        self.crashes = self.freezes = 0.0
        for app in self.apps:
            app.loop.steps_to_live = None
            app.loop.frozen_until = 0.0
        self.run(AFTERMATH_SECONDS)
        self.grid.must_succeed_from = self.scheduler.now + 40  # whose attempt has begun in the calm

    def drain(self, days: float = 4) -> None:
        """Let every event be delivered that is still to be."""
        if self.scheduler.stopped:
            return
        self.run_until(lambda: self.grid.outstanding == 0, days * 86_400, "every event is acknowledged")

    def check_quarantine(self) -> None:
        """I5: what could not be counted, and was acknowledged, is kept as it came."""
        kept = [event for event in self.grid.events if event.is_acknowledged and not event.is_countable]
        if self.scheduler.stopped:
            return
        self.stats["kept in quarantine"] += len(kept)
        reader, found = self.make_app(self.folders, 0.0), Counter[bytes | None]()

        async def read() -> None:
            for event in kept:
                found[await reader.quarantine.body(hashlib.sha256(event.text.encode()).hexdigest())] += 1

        task = reader.loop.spawn(read())
        self.run_until(task.done, 600, "the quarantine is read")
        countable = [event.text for event in self.grid.events if event.is_countable]
        there = {key for name in PARTITIONS_OF_QUARANTINE for key in self.state.partitions.get(name, {})}
        wrongly = there & {hashlib.sha256(text.encode()).hexdigest() for text in countable}
        if wrongly:
            self.checker.fail("I5", f"good events were put into quarantine: {sorted(wrongly)}")
        for event in kept:
            if event.deliveries and not found[event.text.encode()]:
                self.checker.fail("I5", f"an event was acknowledged, not counted, and not kept: {event.text}")

    # Reconciling

    def reconcile(self, app: App, *, within_seconds: float = 600, full: bool = False) -> Report | None:
        """Have a process reconcile, and wait for it."""
        found: list[Report] = []
        app.loop.spawn(self.reconciling(app, found.append, full=full))
        self.run_until(lambda: bool(found), within_seconds, "a reconciliation ends")
        return found[0] if found else None

    async def reconciling(self, app: App, on_report: Callable[[Report], object], *, full: bool = False) -> None:
        """Reconcile until it succeeds (runs in the process)."""
        while (report := await self.attempt(app, full=full)) is None:
            await app.clock.sleep(1 + self.random.random() * 4)
        on_report(report)

    async def attempt(self, app: App, **options: object) -> Report | None:
        """Reconcile once, or a slice of it; None when it is not finished (runs in the process)."""
        corrected, begun = app.corrections.observed, app.reconciler.begun
        begun_alone = app.reconciler.ended == begun
        try:
            report = await app.reconciler.run(**options)  # type: ignore[arg-type]
        except StorageError:
            self.stats["reconciliations failed"] += 1
            return None
        except AlreadyRunning:
            self.stats["reconciliations refused"] += 1
            return None
        if not report.finished:
            self.stats["slices"] += 1
            return None
        self.stats["reconciliations"] += 1
        self.stats["reconciliations resumed"] += report.resumed
        self.stats["comparisons in small ranges resumed"] += (
            report.resumed and not report.clean and not report.bootstrap and comparison.ROWS_AT_ONCE < FEW_ROWS
        )
        self.stats["tallies corrected"] += bool(report.miscounted)
        self.stats["bootstraps"] += report.bootstrap
        self.stats["differences settled"] += report.capacity > 0 and report.differences > 0
        self.stats["repairs by difference"] += report.corrected if report.capacity else 0
        self.stats["repairs"] += report.corrected if not report.bootstrap else 0
        if report.clean:
            self.stats["clean reconciliations"] += 1
            was_alone = begun_alone and app.reconciler.begun == begun + 1
            if app.corrections.observed != corrected and not report.resumed and was_alone:
                self.checker.fail("I4", "a clean reconciliation has corrected something")
        return report

    def finish(self) -> None:
        """Throw everything away."""
        for app in self.apps:
            for error in app.loop.unexpected:
                if self.grid.unexpected is None:
                    self.grid.unexpected = error
        self.scheduler.close()


def _with(folders: FolderMap, extra: tuple[str, ...], cases: int) -> FolderMap:
    """Return a folder map with further folders, in containers of their names, and so many cases."""
    rule = CaseRule(f"one of {cases}", partial(_case_in, cases)) if cases else None
    return FolderMap(folders.locations | {name: Location(name) for name in extra}, folders.suffixes, rule)


def _case_in(cases: int, name: str) -> str:
    """Return one of so many cases for a name; with an odd number of them, some names have none."""
    number = crc32(name.encode()) % cases
    return f"case {number}" if number or not cases % 2 else ""


@contextmanager
def seeded_secrets(seed: int) -> Iterator[None]:
    """Draw what must not be guessed from a seed."""
    random = Random(seed)
    hexes, raw = secrets.token_hex, secrets.token_bytes
    secrets.token_hex = lambda n=32: random.randbytes(n).hex()  # type: ignore[assignment]
    secrets.token_bytes = lambda n=32: random.randbytes(n)  # type: ignore[assignment]
    try:
        yield
    finally:
        secrets.token_hex, secrets.token_bytes = hexes, raw
