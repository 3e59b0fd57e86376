"""What happens in the simulated worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from shared.errors import StorageError
from shared.model import sketch
from shared.model import tally as tallies
from shared.model.folders import FolderMap
from shared.model.ledger import row_key
from shared.model.ports import Entity, Write
from shared.reconciling import comparison
from shared.reconciling.lease import AlreadyRunning
from shared.reconciling.recount import recount
from shared.reconciling.report import Report
from shared.writing.tally_row import TALLY_KEY, StoredTally
from tests.simulation.app import App
from tests.simulation.clients import Clients
from tests.simulation.eventgrid import Habits
from tests.simulation.network import Faults
from tests.simulation.traffic import Traffic
from tests.simulation.world import World, seeded_secrets

DAY = 86_400.0


@dataclass(slots=True)
class Outcome:
    """How one seed ended."""

    seed: int
    scenario: str
    violation: str | None
    unexpected: str | None
    stats: Counter[str]
    trace: str


def habits(random: Random, **fields: float) -> Habits:
    """Return Event Grid's habits: nearly a third duplicates, any order."""

    def delay() -> float:
        dice = random.random()
        if dice < 0.6:
            return 0.05 + random.random()
        return random.random() * (10 if dice < 0.8 else 60 if dice < 0.95 else 600)

    return Habits(duplicates=0.24, delay=delay, **fields)


def storm(random: Random) -> Faults:
    """Return how much goes wrong, in this world."""
    return Faults(
        unknown=random.choice([0.07, 0.12, 0.2]),
        refused=random.choice([0.0, 0.02]),
        slow=random.choice([0.0, 0.01]),
        lost_acknowledgements=0.02,
        cancelled=random.choice([0.0, 0.05]),
    )


def _begin(seed: int) -> World:
    """Return a world that has been reconciled once, a while ago."""
    world = World(seed)
    world.start(1)
    world.reconcile(world.apps[0])
    world.run(60)
    world.start(world.random.choice([0, 1, 1, 2, 3]))
    return world


def _let_go(world: World, **fields: float) -> None:
    """Let everything go wrong from now on."""
    random = world.random
    world.grid.habits = habits(random, **fields)
    world.network.faults = storm(random)
    world.crashes = random.choice([0.0, 0.5, 1.0])
    world.freezes = random.choice([0.0, 0.0, 0.5])
    world.freeze_some()
    for app in world.apps:
        if random.random() < world.crashes:
            app.loop.steps_to_live = int(random.random() * 3000)
    if random.random() < 0.3:
        world.network.service.call_later(random.random() * 60, _write_as_an_older_release, world)


def _write_as_an_older_release(world: World, more: dict[str, Any] | None = None) -> None:
    """Write the tally without what an older release does not know."""
    rows = world.state.partitions.get(world.checker.current, {})  # a first run may not have begun
    tally = rows.get(TALLY_KEY)
    if tally is None or world.scheduler.stopped:
        return
    newer = ("writer", "sketch") if more is None else ("writer",)
    properties = {name: value for name, value in tally.properties.items() if not name.startswith(newer)} | (more or {})
    world.stats["sketches dropped"] += "sketch000" in tally.properties.keys() - properties.keys()
    world.state.apply(world.checker.current, [Write(TALLY_KEY, properties, tally.etag)])
    world.checker.ledgers[world.checker.current].tally = dict(properties)


def _end(world: World, days: float = 4) -> None:
    """Let everything be well again, and all events be acknowledged."""
    world.calm_down()
    world.drain(days)
    world.check_quarantine()
    _check_announced(world)


def _check_announced(world: World) -> None:
    """I5: the timer announces what a process has drained and not lived to announce."""
    if world.scheduler.stopped:
        return
    world.run(120)
    app = world.random.choice(world.apps)
    world.run_until(app.loop.spawn(app.sweep()).done, 60, "the timer announces what is drained")
    if not world.checker.is_tampered:
        world.checker.check_announced()


def _check_clean(world: World) -> None:
    """I4: a reconciliation in the quiet, of counts that are exact, finds nothing to do."""
    if not world.checker.has_sketch:
        _reconcile_anew(world)  # which makes it
    written = world.checker.ledger_writes
    report = _reconcile_anew(world)
    if report is not None and not report.clean:
        world.checker.fail("I4", f"a reconciliation of exact counts was not clean: {report}")
    if world.checker.ledger_writes != written:
        world.checker.fail("I4", "a reconciliation of exact counts has written to the ledger")


def _reconcile_anew(world: World, *, full: bool = False) -> Report | None:
    """Reconcile; when that was the rest of an older run, once more."""
    for _ in range(2):
        report = None if world.scheduler.stopped else world.reconcile(world.random.choice(world.apps), full=full)
        if report is None or not report.resumed:
            return report
    return report


class Reconciling:
    """Reconciliations now and then, by whichever process, also several at once.

    Args:
        world: Where.
        every_seconds: About how often.
        full: Share of runs that compare everything.
        slices: For how many seconds they run, one of these; None: to their end.
    """

    def __init__(
        self,
        world: World,
        every_seconds: float,
        *,
        full: float = 0.3,
        slices: tuple[float | None, ...] = (None, None, 0.5, 2.0),
    ) -> None:
        self._world = world
        self._every_seconds = every_seconds
        self._full = full
        self._slices = slices
        self.is_over = False
        self._again()

    def _again(self) -> None:
        world, random = self._world, self._world.random
        if self.is_over:
            return
        if world.apps:
            app = random.choice(world.apps)
            full, slice_seconds = random.random() < self._full, random.choice(self._slices)
            app.loop.spawn(world.attempt(app, full=full, slice_seconds=slice_seconds))
            app.loop.spawn(app.sweep())
        world.network.service.call_later(random.random() * 2 * self._every_seconds, self._again)


def no_loss(seed: int) -> World:
    """(a) Nothing is lost: exact without any reconciliation."""
    world = _begin(seed)
    _let_go(world)
    Traffic(world, changes=90).run()
    _end(world)
    world.checker.check_exact("after every event was acknowledged")
    return world


def looks(seed: int) -> World:
    """(a) The same with events most of which cannot decide: blobs are looked at all the time."""
    world = _begin(seed)
    world.account.odd = 0.5
    _let_go(world)
    world.grid.habits.delay = lambda: world.random.random() * world.random.choice([0.1, 0.5, 60])
    Traffic(world, changes=60, poison=False).run()
    _end(world)
    world.checker.check_exact("after every event was acknowledged")
    return world


def overwrites(seed: int) -> World:
    """(a) Storage is well but for a conflict's index, and processes overwrite the same blobs: no delivery fails.

    Overwrites change no count, so their batches are of rows alone. What a process remembers of a row is often older
    than another process's commit, and storage names the first operation whichever it was that conflicted.
    """
    world = _begin(seed)
    random = world.random
    world.start(1)
    world.checker.misleads = 1.0
    world.grid.habits = Habits(duplicates=0.24, delay=lambda: random.random() * random.choice([0.02, 0.5]))
    world.grid.must_succeed_from = world.scheduler.now
    Traffic(world, changes=30, overwrites=0.6, poison=False).run()
    world.drain()
    world.checker.check_exact("after every event was acknowledged")
    return world


def reconcilers(seed: int) -> World:
    """(b) Nothing is lost, and reconciliations all the time: they break nothing, and the last one is clean."""
    world = _begin(seed)
    _let_go(world)
    reconciling = Reconciling(world, every_seconds=world.random.choice([2, 20, 60]))
    Traffic(world, changes=70, poison=False).run()
    reconciling.is_over = True
    _end(world)
    world.checker.check_exact("after every event was acknowledged, with reconciliations in between")
    _check_clean(world)
    return world


def late_events(seed: int) -> World:
    """(b) Events so late that reconciliations come first, and find what is changing."""
    world = _begin(seed)
    random = world.random
    _let_go(world)
    world.grid.habits.delay = lambda: random.random() * random.choice([0.1, 60])
    reconciling = Reconciling(world, every_seconds=4)
    Traffic(world, changes=50, poison=False, pace=1.0).run()
    reconciling.is_over = True
    _end(world)
    world.checker.check_exact("after every event was acknowledged, later than it was reconciled")
    _check_clean(world)
    return world


def loss(seed: int) -> World:
    """(c) Events lost, containers deleted, blobs undeleted: exact after one reconciliation, and no false repair."""
    world = _begin(seed)
    _let_go(world, lost=0.05)
    reconciling = None
    if world.random.random() < 0.6:
        reconciling = Reconciling(world, every_seconds=world.random.choice([5, 60]))
    Traffic(world, changes=70, silent=world.random.choice([0.01, 0.05]), poison=False).run()
    if reconciling is not None:
        reconciling.is_over = True
    _end(world)
    _reconcile_anew(world)
    world.checker.drifting.clear()
    world.checker.check_exact("after one reconciliation in the quiet")
    _redeliver(world, 30)
    world.drain()
    world.checker.check_exact("after late duplicates of what was reconciled")
    _check_clean(world)
    return world


def _redeliver(world: World, count: int, *, within_seconds: float = 60) -> None:
    """Deliver events again that have been acknowledged long ago."""
    known = [event for event in world.grid.events if event.deliveries]
    for _ in range(count if known else 0):
        world.grid.deliver(world.random.choice(known), within_seconds * world.random.random())


def horizon(seed: int) -> World:
    """(d) Deliveries that come days later, up to the life of a tombstone and beyond it."""
    world = _begin(seed)
    _let_go(world)
    random = world.random
    ordinary = world.grid.habits.delay
    world.grid.habits.delay = lambda: (
        ordinary() if random.random() < 0.9 else random.choice([1, 5, 13.99, 14.01, 15.5, 17]) * DAY
    )
    for _ in range(9):
        Traffic(world, changes=8, poison=False).run()
        world.calm_down()
        world.grid.must_succeed_from = float("inf")
        world.run(random.choice([0.9, 2.0, 3.1]) * DAY)
        if world.scheduler.stopped:
            return world
        world.reconcile(random.choice(world.apps))
        _redeliver(world, 8)
        world.network.faults = storm(random)
    _end(world, days=20)
    world.checker.check_exact("after everything was delivered, late")
    world.run(16 * DAY)
    _reconcile_anew(world)  # by now all tombstones are old
    world.checker.check_exact("after the tombstones were collected")
    return world


def bootstrap(seed: int) -> World:
    """(e) The first reconciliation of an account that is in use, by processes that die."""
    world = World(seed)
    random = world.random
    for folder in world.containers:
        for number in range(random.choice([0, 5, 40])):
            path = f"{folder}/{number}.jpg"
            world.account.appear(path)
            world.checker.unlisted.add(path)
    world.run(random.choice([0.1, 60]))
    world.account.page_size = random.choice([3, 8])
    _let_go(world)
    world.crashes = max(0.5, world.crashes)
    world.network.faults.refused = random.choice([0.02, 0.05])
    world.start(random.choice([1, 2, 3]))
    traffic = Traffic(world, changes=60, poison=False)
    traffic.begin()
    clients = Clients(world, 1)
    reconciling = Reconciling(world, every_seconds=random.choice([0.5, 3, 30]))
    world.run_until(lambda: traffic.is_over, DAY, "the traffic ends")
    reconciling.is_over = True
    _end(world)
    clients.is_over = True
    if not world.scheduler.stopped:
        world.reconcile(random.choice(world.apps))
    world.checker.check_exact("after the first reconciliation, and every event was acknowledged")
    _check_clean(world)
    return world


def watching(seed: int) -> World:
    """(f) Clients that wait, in several processes; also over tables that are deleted or restored."""
    world = _begin(seed)
    random = world.random
    clients = Clients(world, random.choice([3, 8]))
    if random.random() < 0.5:
        _let_go(world)
        Traffic(world, changes=20, poison=False).run()
        world.calm_down()
    world.grid.habits = Habits(duplicates=0.24, delay=lambda: random.random() * random.choice([0.05, 1.0]))
    reconciling = Reconciling(world, every_seconds=10)
    clients.well_since = world.scheduler.now
    copy = None
    for _ in range(random.choice([1, 2, 3])):
        Traffic(world, changes=20, poison=False).run()
        if random.random() < 0.5:
            copy = {partition: dict(rows) for partition, rows in world.state.partitions.items()}
        if random.random() < 0.5 and not world.scheduler.stopped:
            world.restore(copy if random.random() < 0.7 else None)
            world.grid.must_succeed_from = float("inf")
            world.reconcile(random.choice(world.apps))
    reconciling.is_over = True
    _end(world)
    clients.is_over = True
    world.run(60)
    _reconcile_anew(world)
    world.checker.drifting.clear()
    world.checker.check_exact("in the end")
    if copy is None:  # a restored row may be older than events that were acknowledged: what is late then is drift
        _redeliver(world, 30)
        world.drain()
        world.checker.check_exact("after late duplicates of events older than the table")
    return world


def directories(seed: int) -> World:
    """(h) A hierarchical namespace: directories renamed and deleted as a whole, each with one event for all in it.

    Nothing is lost, so nothing may be wrong once every marked directory was compared; in half of the histories no
    other reconciliation runs.
    """
    world = _begin(seed)
    random = world.random
    _let_go(world)
    every_seconds = random.choice([5, 60])
    reconciling = Reconciling(world, every_seconds, full=0.5) if random.random() < 0.5 else None
    marked = Comparing(world, every_seconds)
    Traffic(world, changes=50, poison=False, directories=0.25).run()
    marked.is_over = True
    if reconciling is not None:
        reconciling.is_over = True
    _end(world)
    _compare_marked(world)
    world.checker.check_exact("after every event was acknowledged, and every directory compared")
    _redeliver(world, 30)
    world.drain()
    _compare_marked(world)
    world.checker.check_exact("after late duplicates")
    _check_clean(world)
    return world


class Comparing:
    """Comparisons of what is marked, now and then, as the timer does them."""

    def __init__(self, world: World, every_seconds: float) -> None:
        self._world = world
        self._every_seconds = every_seconds
        self.is_over = False
        self._again()

    def _again(self) -> None:
        world = self._world
        if self.is_over:
            return
        if world.apps:
            app = world.random.choice(world.apps)
            app.loop.spawn(_compare(app))
        world.network.service.call_later(world.random.random() * 2 * self._every_seconds, self._again)


async def _compare(app: App) -> None:
    """Compare what is marked (runs in the process)."""
    try:
        await app.reconciler._run_marked(60.0)
    except StorageError:
        return


def _compare_marked(world: World) -> None:
    """Have every marked directory compared."""
    for _ in range(3):
        if world.scheduler.stopped or not world.checker.marks:
            return
        task = world.apps[0].loop.spawn(_compare(world.apps[0]))
        world.run_until(task.done, 600, "the marked directories are compared")
    if world.checker.marks:
        world.checker.fail("I9", f"directories stay marked: {sorted(world.checker.marks)}")


def ranges(seed: int) -> World:
    """(i) A ledger compared range by range, in slices, by processes that die; pages end wherever the service likes."""
    world = _begin(seed)
    random = world.random
    names = random.choice([20, 30])
    Traffic(world, changes=60, poison=False, names=names).run()
    world.drain()
    if random.random() < 0.7:
        _let_go(world, lost=random.choice([0.0, 0.05]))
    every_seconds = random.choice([1, 3])
    reconciling = Reconciling(world, every_seconds, full=0.2, slices=(0.1, 0.3, 1.0))
    for changes in (0, 15, 15):
        if changes:
            Traffic(world, changes, poison=False, names=names).run()
        world.run(random.choice([10, 30]))
    reconciling.is_over = True
    _end(world)
    _reconcile_anew(world)
    world.checker.drifting.clear()
    world.checker.check_exact("after comparisons in ranges, and one in the quiet")
    _check_clean(world)
    return world


def tampering(seed: int) -> World:
    """(j) Somebody else writes to the table; then it is reconciled, in slices, and everything is right again."""
    world = _begin(seed)
    random = world.random
    for number in range(4):
        rows = world.state.partitions[world.checker.current]
        old = tallies.from_properties(rows[TALLY_KEY].properties)
        Traffic(world, changes=30, poison=False, names=random.choice([3, 20])).run()
        world.drain()
        world.run(60)
        if world.scheduler.stopped:
            return world
        if number % 2:
            world.put_back(old)
            _reconcile_anew(world)
            world.checker.healed(rows)
            world.checker.check_exact("after a tally that somebody has put back was reconciled")
        world.tamper(random.choice([1, 2, 5, 10]))
        if random.random() < 0.5:
            _heal_by_events(world)
        if random.random() < 0.5:
            reconciling = Reconciling(world, every_seconds=1, full=0.1, slices=(0.05, 0.2, 1.0))
            world.run(20)
            reconciling.is_over = True
            world.run(60)
        for compare in (_compare_in_slices, partial(_reconcile_anew, full=True)):  # cases: only by one that is not cut
            for _ in range(2):  # what a look has healed is added up by the next run
                compare(world)
            world.checker.check_added_up(world.state.partitions[world.checker.current])
        world.checker.healed(world.state.partitions[world.checker.current])
        world.checker.check_exact("after a table that somebody has written to was reconciled")
        _redeliver(world, 10)
        world.drain()
    world.checker.check_exact("after late duplicates of what was reconciled")
    return world


def _compare_in_slices(world: World) -> None:
    """Compare everything: in one go, or in slices, in which much or nothing at all is done."""
    app, slice_seconds = world.random.choice(world.apps), world.random.choice([None, 0.05, 0.2, 1.0])

    async def compare() -> None:
        report = await world.attempt(app, full=True, slice_seconds=slice_seconds)
        for _ in range(50):
            if report is not None:
                return
            await app.clock.sleep(0.1)
            report = await world.attempt(app, slice_seconds=slice_seconds)
        await world.reconciling(app, lambda _: None)

    world.run_until(app.loop.spawn(compare()).done, 600, "a comparison of everything ends")


def _heal_by_events(world: World) -> None:
    """A row that makes no sense decides nothing: whatever event meets it, it says what the account holds afterwards."""
    rows = world.state.partitions[world.checker.current]
    touched = {path for path in sorted(world.checker.present) if not _makes_sense(world, rows.get(row_key(path)), path)}
    known = [event for event in world.grid.events if event.deliveries and touched & {*event.paths}]
    met = world.random.sample(known, min(len(known), 20))
    for event in met:
        world.grid.deliver(event, 10 * world.random.random())
    world.drain()
    for path in sorted(touched & {path for event in met for path in event.paths}):
        row = rows.get(row_key(path))
        if row is None or row.properties["present"] is not world.checker.should_count(path):
            world.checker.fail("I4", f"the row of {path} made no sense, met an event, and is {row}")


def _makes_sense(world: World, row: Entity | None, path: str) -> bool:
    properties = row.properties if row is not None else {"path": path, "folder": "queued", "present": True}
    return (
        properties.get("path") == path
        and properties.get("folder") in world.folders.locations
        and isinstance(properties.get("present"), bool)
    )


def generations(seed: int) -> World:
    """(k) The counts are started anew, with other folders, in the middle of everything.

    Old and new processes are there at once; the operator's clock may be an hour off. Before the recount the old ones
    are idle, so that all they know is old; after it, one kind of events goes to them first.
    """
    world = _begin(seed)
    random = world.random
    world.use_all_containers()
    if random.random() < 0.6:
        _let_go(world)
        world.crashes /= 4
    Traffic(world, changes=20, poison=False).run()
    for _ in range(random.choice([1, 1, 2])):
        other = world.other_folders
        _start_anew(world, random.choice([other, other, world.folders]))
        if world.scheduler.stopped:
            return world
    world.grid.choose = random.choice
    _end(world)
    _compare_marked(world)
    world.checker.check_exact("after a recount, and every event was acknowledged")
    _redeliver(world, 30)
    world.drain()
    _compare_marked(world)
    world.checker.check_exact("after late duplicates of what was acknowledged before the recount")
    _check_clean(world)
    return world


def writers(seed: int) -> World:
    """(l) Many processes at once: they contend, name one of them, and hand over to it.

    Whoever is named dies or stands still; an older release drops its name, a newer one or a dead one is named; the
    inbox is deleted, or holds what nobody understands; the counts are started anew while much waits.
    """
    world = _begin(seed)
    random = world.random
    world.start(random.choice([1, 4, 4, 8, 26]))
    world.account.odd = random.choice([0.0, 0.3])
    if random.random() < 0.7:
        _let_go(world)
        world.crashes /= 4
    world.grid.habits.delay = lambda: random.random() * random.choice([0.05, 0.5])
    meddling = Meddling(world, every_seconds=random.choice([0.2, 1, 1000]), times=50)
    reconciling = Reconciling(world, every_seconds=20) if random.random() < 0.3 else None
    kind: dict[str, float] = random.choice([{}, {}, {"directories": 0.2}, {"overwrites": 0.3}])
    is_counted_anew = random.random() < 0.4
    for _ in range(2):
        pace = random.choice([0.01, 0.05, 0.2])
        if random.random() < 0.2:
            world.network.service.call_later(random.random(), _flood, world)
        Traffic(world, 40, poison=not is_counted_anew, pace=pace, names=40, **kind).run()  # type: ignore[arg-type]
        if is_counted_anew and not world.scheduler.stopped:
            _start_anew(world, world.other_folders)
    meddling.is_over = True
    world.grid.choose = random.choice
    if reconciling is not None:
        reconciling.is_over = True
    _end(world)
    _compare_marked(world)
    world.checker.check_exact("after every event was acknowledged, by whichever process")
    _redeliver(world, 30)
    world.drain()
    _compare_marked(world)
    world.checker.check_exact("after late duplicates")
    return world


def _flood(world: World) -> None:
    """Have one process get more events at once than a transaction holds blobs, of few blobs."""
    if world.scheduler.stopped or not world.apps:
        return
    flooded, chosen = world.random.choice(world.apps), world.grid.choose
    world.grid.choose = lambda apps: flooded if flooded in apps else chosen(apps)
    _redeliver(world, 150, within_seconds=0.01)
    world.network.service.call_later(0.05, setattr, world.grid, "choose", chosen)


class Meddling:
    """What happens to the process that is named, and to the inbox.

    Args:
        world: Where.
        every_seconds: About how often.
        times: How many times at most.
    """

    def __init__(self, world: World, every_seconds: float, times: int) -> None:
        self._world = world
        self._every_seconds = every_seconds
        self._left = times
        self.is_over = False
        self._again()

    def _again(self) -> None:
        self._left -= 1
        if not self.is_over and self._left > 0:
            if self._world.scheduler.now > 0 and not self._world.scheduler.stopped:
                self._world.random.choice([self._strike, self._name, self._spoil, self._spoil])()
            self._world.network.service.call_later(self._world.random.random() * 2 * self._every_seconds, self._again)

    def _strike(self) -> None:
        world, tally = self._world, self._world.checker.tally or {}
        for app in [*world.apps]:
            if app.writer._naming.process == tally.get("writer"):
                world.stats["named processes struck"] += 1
                if world.random.random() < 0.5:
                    world.freeze(app, world.random.choice([1.0, 5.0, 40.0]))
                else:
                    world.start(1)
                    world.stop(app)

    def _name(self) -> None:
        """Have an older release write the tally, or a newer one, or a process that is gone since."""
        world = self._world
        named = None
        if world.random.random() < 0.7:
            until = world.network.date() + timedelta(seconds=world.random.choice([2, 30]))
            named = {
                "writer": "somebody else",
                "writer_format": world.random.choice([1, 2]),
                "writer_until": until.isoformat(),
            }
        world.stats["names meddled with"] += 1
        _write_as_an_older_release(world, named)

    def _spoil(self) -> None:
        world, random = self._world, self._world.random
        world.stats["inboxes spoilt"] += 1
        if random.random() < 0.2:
            world.inbox.partitions.clear()
            return
        for partition, rows in [*world.inbox.partitions.items()]:
            for key, entity in [*rows.items()]:
                if random.random() < 0.5:
                    text = str(entity.properties.get("i00"))
                    turned = (
                        text.replace(": true", ": maybe").replace(": false", ": true").replace(": maybe", ": false")
                    )
                    newer = {"format": 2, "i00": turned}
                    odd = random.choice([newer, {"i00": "{}"}, {"outcomes": "[]"}, {"outcomes": "nonsense"}])
                    world.inbox.apply(partition, [Write(key, {**entity.properties, **odd}, entity.etag)])


#: What goes to old processes after a recount.
KINDS: tuple[dict[str, float], ...] = ({}, {"overwrites": 0.5, "names": 2}, {"directories": 0.8}, {"names": 3})


def _start_anew(world: World, folders: FolderMap) -> None:
    """Run the operator's command, and replace the processes one after the other."""
    random = world.random
    world.run(random.choice([0, 10, 31, 60]))
    old, world.folders = [*world.apps], folders
    if random.random() < 0.5:
        world.start(1)  # before its time: its deliveries fail
    world.grid.choose = lambda apps: random.choice(
        [app for app in apps if app in old and random.random() < 0.9] or apps
    )
    ordinary = world.grid.habits.delay
    world.grid.habits.delay = lambda: random.random() * random.choice([0.1, 2, 20])
    done: list[bool] = []
    _operate(world, folders, done)
    listings = iter(range(100))  # an end, because a directory that is redelivered is listed itself
    world.checker.on_listed = lambda: _redeliver(
        world, 3 if next(listings, None) is not None else 0, within_seconds=0.1
    )
    kind = random.choice(KINDS)
    is_foreign = random.random() < 0.3
    known, world.containers = world.containers, ("inbox", "queued") if is_foreign else world.containers
    traffic = Traffic(world, changes=40, poison=False, pace=random.choice([0.5, 2]), **kind)  # type: ignore[arg-type]
    world.network.service.call_later(random.random() * random.choice([1, 40, 60]), traffic.begin)
    for app in old:
        if random.random() < 0.5:
            after = random.random() * 60
            world.network.service.call_later(after, world.freeze, app, 25 + random.random() * 50)
        world.network.service.call_later(random.choice([0, 60, 200]) * random.random(), _replace, world, app)
    storms = world.network.faults
    world.run(300)
    world.network.faults = Faults()  # a run of a hundred requests does not end while one in five has no answer
    world.run_until(lambda: traffic.is_over and bool(done), 3600, "a recount ends")
    world.network.faults = storms
    world.checker.on_listed = lambda: None
    world.containers = known
    world.run(200)
    world.grid.habits.delay = ordinary


def _replace(world: World, app: App) -> None:
    """Stop a process of the former settings, and start one of the new ones."""
    if app in world.apps:
        world.start(1)
        world.stop(app)


def _operate(world: World, folders: FolderMap, done: list[bool]) -> None:
    """Run the operator's command until it has ended, on a machine whose clock may be wrong; it may be cut short."""
    random = world.random
    operator = world.make_app(folders, random.choice([0.0, 60.0, 3600.0]))
    if random.random() < 0.2:
        operator.loop.steps_to_live = int(random.random() * 2000)
        operator.loop.on_death.append(lambda: world.network.service.call_later(5.0, _operate, world, folders, done))

    async def command() -> None:
        begun = operator.counts.start_anew
        has_begun = False

        async def start_anew() -> StoredTally:
            nonlocal has_begun
            stored = await begun()
            has_begun = True
            return stored

        operator.counts.start_anew = start_anew  # type: ignore[method-assign]
        while not done:
            try:
                if has_begun:  # as the command's help says: the next reconciliation makes it ready
                    await operator.reconciler.run()
                else:
                    await recount(operator.table, operator.counts, operator.reconciler, operator.clock)
            except (StorageError, AlreadyRunning):
                await operator.clock.sleep(random.random() * 5)
            else:
                done.append(True)

    operator.loop.spawn(command())


#: Name → the history, and its share. No history is so rare that a thousand seeds hold only a few of it.
SCENARIOS: dict[str, tuple[Callable[[int], World], int]] = {
    "no loss": (no_loss, 4),
    "overwrites": (overwrites, 2),
    "looks": (looks, 2),
    "reconcilers": (reconcilers, 3),
    "late events": (late_events, 3),
    "loss": (loss, 4),
    "horizon": (horizon, 2),
    "bootstrap": (bootstrap, 2),
    "watching": (watching, 3),
    "directories": (directories, 3),
    "ranges": (ranges, 3),
    "tampering": (tampering, 1),
    "generations": (generations, 3),
    "writers": (writers, 2),
}
#: One after the other, so that any range of seeds holds each in its share.
_TURNS = [name for name, (_, share) in SCENARIOS.items() for _ in range(share)]
Random(0).shuffle(_TURNS)


def simulate(seed: int, scenario: str | None = None) -> Outcome:
    """Simulate one seed."""
    scenario = scenario or _TURNS[seed % len(_TURNS)]
    rows_at_once, cells = comparison.ROWS_AT_ONCE, sketch.CELLS
    in_ranges = scenario in {"ranges", "tampering"} or seed % 4 == 0
    random = Random(seed)
    try:
        comparison.ROWS_AT_ONCE = random.choice([5, 10, 20, 40]) if in_ranges else rows_at_once
        sketch.CELLS = random.choice([4, 4, 16, 64])
        with seeded_secrets(seed):
            world = SCENARIOS[scenario][0](seed)
            world.finish()
    finally:
        comparison.ROWS_AT_ONCE, sketch.CELLS = rows_at_once, cells
    unexpected = world.grid.unexpected
    world.stats["steps"] += world.scheduler.steps
    world.stats["seeds"] += 1
    return Outcome(
        seed,
        scenario,
        world.checker.violation,
        repr(unexpected) if unexpected is not None else None,
        world.stats,
        world.checker.trace.hexdigest(),
    )
