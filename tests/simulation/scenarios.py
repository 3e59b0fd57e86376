"""What happens in the simulated worlds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from shared.report import Report
from tests.simulation.clients import Clients
from tests.simulation.eventgrid import Habits
from tests.simulation.network import Faults
from tests.simulation.traffic import Traffic
from tests.simulation.world import FOLDERS, World, seeded_secrets

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


def _end(world: World, days: float = 4) -> None:
    """Let everything be well again, and all events be acknowledged."""
    world.calm_down()
    world.drain(days)


def _check_clean(world: World) -> None:
    """I4: a reconciliation in the quiet, of counts that are exact, finds nothing to do."""
    written = world.checker.ledger_writes
    report = _reconcile_anew(world)
    if report is not None and not report.clean:
        world.checker.fail("I4", f"a reconciliation of exact counts was not clean: {report}")
    if world.checker.ledger_writes != written:
        world.checker.fail("I4", "a reconciliation of exact counts has written to the ledger")


def _reconcile_anew(world: World) -> Report | None:
    """Reconcile; when that was the rest of an older run, once more."""
    for _ in range(2):
        report = None if world.scheduler.stopped else world.reconcile(world.random.choice(world.apps))
        if report is None or not report.resumed:
            return report
    return report


class Reconciling:
    """Reconciliations now and then, by whichever process, also several at once.

    Args:
        world: Where.
        every_seconds: About how often.
    """

    def __init__(self, world: World, every_seconds: float) -> None:
        self._world = world
        self._every_seconds = every_seconds
        self.is_over = False
        self._again()

    def _again(self) -> None:
        world, random = self._world, self._world.random
        if self.is_over:
            return
        if world.apps:
            app = random.choice(world.apps)
            full, slice_seconds = random.random() < 0.3, random.choice([None, None, 0.5, 2.0])
            app.loop.spawn(world.attempt(app, full=full, slice_seconds=slice_seconds))
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


def _redeliver(world: World, count: int) -> None:
    """Deliver events again that have been acknowledged long ago."""
    known = [event for event in world.grid.events if event.deliveries]
    for _ in range(count if known else 0):
        world.grid.deliver(world.random.choice(known), 60 * world.random.random())


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
    for folder in FOLDERS:
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


#: Name → the history, and how many of each twenty seeds take it.
SCENARIOS = {
    "no loss": (no_loss, 5),
    "overwrites": (overwrites, 1),
    "looks": (looks, 1),
    "reconcilers": (reconcilers, 2),
    "late events": (late_events, 1),
    "loss": (loss, 3),
    "horizon": (horizon, 2),
    "bootstrap": (bootstrap, 2),
    "watching": (watching, 3),
}


def simulate(seed: int, scenario: str | None = None) -> Outcome:
    """Simulate one seed."""
    if scenario is None:
        names = [name for name, (_, weight) in SCENARIOS.items() for _ in range(weight)]
        scenario = names[seed % len(names)]
    with seeded_secrets(seed):
        world = SCENARIOS[scenario][0](seed)
        world.finish()
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
