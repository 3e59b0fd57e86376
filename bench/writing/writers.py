"""Many instances at one ledger, in virtual time: who waits how long, and what is asked of storage.

``make bench-writers``. The app's own writers over a table in memory (:mod:`bench.load.virtual_table`), on an event loop
whose clock jumps. A failed delivery comes again after 10 s. Events come at random (Poisson), each to an instance at
random.

*Readable* is from an event's arrival until its count stands in the tally, *acknowledged* until its delivery ends.

Beside it, as ``baseline``, taking turns: the same writers without a hand-over, whose losers wait and whose winners
stand back, as it was before.

Not measured: processor time, the functions host, the network between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from bench.load.driver import percentile
from bench.load.ledgers import FINGERPRINT, FOLDER, NoHeads
from bench.load.virtual_table import VirtualTable
from bench.report import DOCS, RESULTS, markdown, number, quoted, surroundings
from localdev.virtual_time import VirtualClock, VirtualLoop
from shared.errors import StorageError
from shared.model.changes import BlobChange
from shared.writing.contention import Pauses
from shared.writing.tally_row import TALLY_KEY, Counts
from shared.writing.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from shared.model.ports import Write
    from shared.model.tally import Tally

START = datetime(2026, 11, 22, 18, 20, 31, tzinfo=UTC)
REDELIVERED_AFTER_SECONDS = 10.0
#: After these, attempts are held against the limit.
FIRST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Line:
    """What is asked of the instances.

    Attributes:
        instances: How many there are at first.
        events_per_second: Of all together.
        commit_ms: Median time of a small transaction.
        seconds: How long events come.
        a_delivery: Events that come together.
        killed_every_seconds: The named writer dies so often, with all that it holds; 0: never.
        is_burst: All instances are new; only the first seconds count.
        scales: The platform adds an instance whenever the oldest event waits for more than 5 s.
        hands_over: False: the baseline.
        must_write: Others who must write the tally themselves do so every few seconds.
    """

    instances: int
    events_per_second: float
    commit_ms: float = 50.0
    seconds: float = 60.0
    a_delivery: int = 1
    killed_every_seconds: float = 0.0
    is_burst: bool = False
    scales: bool = False
    hands_over: bool = True
    must_write: bool = False


@dataclass(slots=True)
class Seen:
    """What was measured at the instances: name → virtual seconds, and how often."""

    arrived: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    failed: int = 0
    own_failed: int = 0
    tally_writes: list[float] = field(default_factory=list)


class Ledger(VirtualTable):
    """The ledger's table, and what it sees.

    Attributes:
        attempts: Transactions on the ledger that were sent.
        committed: … and were answered.
        late_attempts: … that were sent after the first seconds.
        late_committed: … of those, answered.
        readable: Path → when its row had landed.
        named: How often another process was named.
        writer: The id of the process that the tally names.
    """

    def __init__(self, random: Random, clock: VirtualClock, commit_ms: float) -> None:
        super().__init__(random, clock, commit_ms)
        self.readable: dict[str, float] = {}
        self.writer = ""
        self.begin()

    def begin(self) -> None:
        """Count from here."""
        self.attempts = self.committed = self.late_attempts = self.late_committed = self.named = self.entities = 0

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        is_late = self._clock.monotonic() > FIRST_SECONDS
        self.attempts += 1
        self.late_attempts += is_late
        etags = await super().commit(partition, writes)
        self.committed += 1
        self.late_committed += is_late
        return etags

    def landed(self, writes: Sequence[Write]) -> None:
        """Note what can be read from now on."""
        now = self._clock.monotonic()
        for write in writes:
            assert write.properties is not None
            if write.row_key == TALLY_KEY:
                named = str(write.properties.get("writer", ""))
                self.named += named not in {"", self.writer}
                self.writer = named
            else:
                self.readable.setdefault(str(write.properties["path"]), now)


class Turns(Pauses):
    """Taking turns: whoever has committed for a while stands back, for those who have lost meanwhile."""

    TURN_SECONDS, BETWEEN_SECONDS = 0.15, 0.05

    def lost(self, now: float) -> float:
        """Return the seconds to wait."""
        pause = super().lost(now)
        self._stood_back_at = now + pause
        return pause

    def stand_back(self, now: float) -> float:
        """Return the seconds to wait before the next commit."""
        if now < self._stood_back_at + self.TURN_SECONDS * self._scale:
            return 0.0
        pause = self._random.uniform(self.BETWEEN_SECONDS / 2, self.BETWEEN_SECONDS) * self._scale
        self._stood_back_at = now + pause
        return pause


class Instance:
    """One process."""

    def __init__(
        self, ledger: Ledger, inbox: VirtualTable, clock: VirtualClock, seed: int, *, hands_over: bool
    ) -> None:
        random = Random(seed)
        self.counts = Counts(ledger, FINGERPRINT, clock)
        self.writer = Writer(ledger, self.counts, NoHeads(), clock, random, inbox=inbox if hands_over else None)
        if not hands_over:
            self.writer._commits._pauses = Turns(random)  # noqa: SLF001
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_dead = False


class Run:
    """One line, measured."""

    def __init__(self, line: Line, seed: int = 1) -> None:
        self.line = line
        self.random = Random(seed)
        self.seen = Seen()
        self.clock = VirtualClock(START)
        self.ledger = Ledger(Random(seed + 1), self.clock, line.commit_ms)
        self.inbox = VirtualTable(Random(seed + 2), self.clock, line.commit_ms)
        self.instances: list[Instance] = []
        self.waiting: dict[str, float] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.most_instances = line.instances

    def now(self) -> float:
        """Return virtual seconds."""
        return asyncio.get_running_loop().time()

    def add(self) -> None:
        """Start an instance."""
        seed = self.random.getrandbits(32)
        self.instances.append(Instance(self.ledger, self.inbox, self.clock, seed, hands_over=self.line.hands_over))
        self.most_instances = max(self.most_instances, len(self.instances))

    async def go(self) -> Seen:
        """Let events come until they are over, and all of them are acknowledged."""
        line = self.line
        counts = Counts(self.ledger, FINGERPRINT, self.clock)
        await counts.change(_ready)
        self.ledger.begin()
        began = self.now()
        for _ in range(line.instances):
            self.add()
        others = [asyncio.create_task(each) for each in self._others(counts)]
        number = 0
        due = began
        while True:
            due += self.random.expovariate(line.events_per_second / line.a_delivery)
            if due > began + line.seconds:
                break
            await asyncio.sleep(max(0.0, due - self.now()))
            names = [f"queued/{number + each}.jpg" for each in range(line.a_delivery)]
            number += line.a_delivery
            for name in names:
                self.seen.arrived[name] = self.now()
                self._deliver(name, self.random.choice(self.instances) if name == names[0] else self.last)
        for each in others:
            each.cancel()
        while self.tasks:
            await asyncio.wait(self.tasks)
        stored = await counts.read()
        assert stored is not None
        assert stored.tally.counts()[FOLDER] == number, "the count is wrong"
        return self.seen

    def _deliver(self, name: str, instance: Instance) -> None:
        self.last = instance
        self.waiting.setdefault(name, self.now())
        task = asyncio.create_task(self._take(name, instance))
        for tasks in (self.tasks, instance.tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _take(self, name: str, instance: Instance) -> None:
        change = BlobChange("queued", name.partition("/")[2], True, f"{1:048x}", self.clock.now(), "0x1")
        try:
            await instance.writer.apply(change, FOLDER)
        except (StorageError, asyncio.CancelledError):
            self.seen.failed += not instance.is_dead
            self.seen.own_failed += instance.is_dead
            again = asyncio.create_task(self._again(name))
            self.tasks.add(again)
            again.add_done_callback(self.tasks.discard)
        else:
            self.seen.acknowledged.setdefault(name, self.now())
            self.waiting.pop(name, None)

    async def _again(self, name: str) -> None:
        await asyncio.sleep(REDELIVERED_AFTER_SECONDS)
        self._deliver(name, self.random.choice(self.instances))

    def _others(self, counts: Counts) -> list[Coroutine[None, None, None]]:
        found: list[Coroutine[None, None, None]] = []
        if self.line.killed_every_seconds:
            found.append(self._kill())
        if self.line.scales:
            found.append(self._scale())
        if self.line.must_write:
            found.append(self._write_the_tally(counts))
        return found

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(self.line.killed_every_seconds)
            dead = next((each for each in self.instances if each.writer._naming.process == self.ledger.writer), None)  # noqa: SLF001
            if dead is None:
                continue
            dead.is_dead = True
            self.instances.remove(dead)
            self.add()
            for task in [*dead.tasks, *_inner_tasks(dead.writer)]:
                task.cancel()

    async def _scale(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self.waiting and self.now() - min(self.waiting.values()) > 5.0:
                self.add()

    async def _write_the_tally(self, counts: Counts) -> None:
        while True:
            await asyncio.sleep(5.0)
            began = self.now()
            doubt = str(began)
            await counts.change(lambda tally, doubt=doubt: replace(tally, doubt=doubt))
            self.seen.tally_writes.append(self.now() - began)


def _inner_tasks(writer: Writer) -> list[asyncio.Task[None]]:
    handover = writer._handover  # noqa: SLF001
    if handover is None:
        return []
    inner = [writer._flushing, handover._draining, *handover._tasks, *handover._in_hand.values()]  # noqa: SLF001
    return [each for each in inner if each is not None]


def _ready(tally: Tally) -> Tally:
    return replace(tally, ready=True, known_since=START - timedelta(days=1))


def measure(line: Line, seed: int = 1) -> dict[str, float]:
    """Run a line; return its figures."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        run = Run(line, seed)
        seen = runner.run(run.go())
    ledger = run.ledger
    first = 5.0 if line.is_burst else float("inf")
    wanted = [name for name, at in seen.arrived.items() if at < first]
    readable = [ledger.readable[name] - seen.arrived[name] for name in wanted]
    acknowledged = [seen.acknowledged[name] - seen.arrived[name] for name in wanted]
    return {
        "instances": line.instances,
        "events_per_second": line.events_per_second,
        "commit_ms": line.commit_ms,
        "p50_ms": round(1000 * percentile(readable, 50)),
        "p99_ms": round(1000 * percentile(readable, 99)),
        "acknowledged_p50_ms": round(1000 * percentile(acknowledged, 50)),
        "acknowledged_p99_ms": round(1000 * percentile(acknowledged, 99)),
        "attempts": round(ledger.late_attempts / max(1, ledger.late_committed), 3),
        "failed": seen.failed,
        "failed_of_killed": seen.own_failed,
        "throttled": ledger.throttled,
        "entities_per_second": round(ledger.entities / line.seconds, 1),
        "most_entities_per_second": round(1.5 * line.events_per_second + 40, 1),
        "inbox_requests_per_second": round(run.inbox.requests / line.seconds, 1),
        "transactions_per_second": round(ledger.committed / line.seconds, 1),
        "named": ledger.named,
        "instances_at_the_end": run.most_instances,
        "slowest_tally_write_seconds": round(max(seen.tally_writes, default=0.0), 2),
    }


#: Name → what is run. ``steady-…`` have to keep the limits below.
LINES: dict[str, Line] = {
    **{
        f"steady-{instances}-{rate}": Line(instances, rate, a_delivery=a_delivery)
        for instances, rate, a_delivery in [
            *((1, 20, 1), (2, 20, 1), (4, 20, 1), (10, 20, 1), (50, 20, 1), (100, 20, 1)),
            *((1, 60, 1), (2, 60, 1), (10, 60, 1), (100, 60, 1)),
            *((1, 200, 1), (2, 200, 1), (20, 200, 1), (50, 200, 1), (100, 200, 1)),
            *((1, 500, 10), (10, 500, 10), (100, 500, 10)),
        ]
    },
    "cold-burst": Line(100, 500, seconds=8, is_burst=True),
    "killed": Line(20, 100, seconds=120, killed_every_seconds=20),
    "must-write": Line(50, 800, a_delivery=10, seconds=60, must_write=True),
    "ten-minutes": Line(100, 800, a_delivery=10, seconds=600),
    "quarter-of-an-hour": Line(2, 100, seconds=900, scales=True),
}
BASELINE = ["steady-1-20", "steady-4-20", "steady-10-20", "steady-20-200", "steady-2-60"]


def limits(name: str, found: dict[str, float]) -> list[str]:
    """Return which of the limits a line does not keep."""
    most: dict[str, float] = {"failed": 0, "throttled": 0}
    if name.startswith("steady"):
        most |= {"p99_ms": 1000, "acknowledged_p99_ms": 1500, "attempts": 1.1}
        most["entities_per_second"] = found["most_entities_per_second"]
    most |= {
        "cold-burst": {"p99_ms": 1500},
        "killed": {"p99_ms": 6000},
        "must-write": {"slowest_tally_write_seconds": 5},
        "quarter-of-an-hour": {"instances_at_the_end": 2},
    }.get(name, {})
    return [f"{name}: {key} is {found[key]}, at most {limit}" for key, limit in most.items() if found[key] > limit]


def _measured(name: str, *, hands_over: bool) -> dict[str, Any]:
    logging.disable(logging.CRITICAL)
    return {"name": name, **measure(replace(LINES[name], hands_over=hands_over))}


HEAD = (
    *("", "Instances", "Events/s", "Readable p50 / p99, ms", "Acknowledged p99, ms", "Attempts", "Failed", "503s"),
    "Entities/s in the partition",
)


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the Markdown table of the lines, each above its baseline."""
    former = {each["name"]: each for each in found["baseline"]}
    rows = []
    for line in found["lines"]:
        rows.append(_row(line["name"], line))
        if line["name"] in former:
            rows.append(_row("… taking turns, as before", former[line["name"]]))
    return markdown(HEAD, rows)


def _row(name: str, line: Mapping[str, Any]) -> list[str]:
    figures = [number(line[key]) for key in ("instances", "events_per_second")]
    figures.append(f"{number(line['p50_ms'])} / {number(line['p99_ms'])}")
    last = ("acknowledged_p99_ms", "attempts", "failed", "throttled", "entities_per_second")
    return [name.replace("-", " ").rstrip("0123456789 "), *figures, *(number(line[key]) for key in last)]


def save(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Store the results, and quote them in the docs."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "writers.json").write_text(json.dumps(surroundings() | found, indent=2) + "\n")
    DOCS.write_text(quoted(DOCS.read_text(), "writers", table(found)))


def main() -> None:
    """Run the lines, each beside the baseline where it has one."""
    parser = argparse.ArgumentParser(prog="python -m bench.writing.writers", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(LINES), default=list(LINES), help="only these lines")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        lines = {name: pool.submit(_measured, name, hands_over=True) for name in arguments.only}
        former = {name: pool.submit(_measured, name, hands_over=False) for name in BASELINE if name in lines}
        for key, each in (("lines", lines), ("baseline", former)):
            found[key] = []
            for future in each.values():
                found[key].append(future.result())
                print(key, json.dumps(found[key][-1]), flush=True)
    missed = [text for line in found["lines"] for text in limits(line["name"], line)]
    if arguments.only == list(LINES):
        save(found)
    if missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
