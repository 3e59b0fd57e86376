"""One writes, the others hand over: what holds whoever is named, dies, freezes or is forgotten. In virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localdev.virtual_time import START, VirtualClock, run
from shared.errors import Conflict, OutcomeUnknown, Rejected, StorageError
from shared.model import tally as tallies
from shared.model.changes import BlobChange
from shared.model.folders import FOLDERS
from shared.model.ledger import Observation, Outcome, Transition, row_key
from shared.model.ports import Entity, Head, Write
from shared.model.tally import NamedWriter, Tally
from shared.writing.batch import BUDGET_SECONDS, MAX_BLOBS, Intent
from shared.writing.handover import MAX_LOOK_SECONDS, RELIEVED_SECONDS
from shared.writing.inbox import LEFT_OVER_AFTER, MAX_INTENTS, Inbox
from shared.writing.naming import (
    FOLLOWED_SECONDS,
    FORMAT,
    LIFE_SECONDS,
    RENEWED_SECONDS,
    STAY_SECONDS,
    TERM_COMMITS,
    Naming,
)
from shared.writing.plan import OtherGeneration, RowChanged
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts, StoredTally
from shared.writing.writer import Writer
from tests.fakes.memory_table import Fault, MemoryTable
from tests.simulation.world import seeded_secrets

FINGERPRINT = "a fingerprint"
COMMIT_SECONDS = 0.05


class Heads:
    """Blobs that are all there."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    async def head(self, container: str, name: str) -> Head:
        """Look."""
        del container, name
        return Head(present=True, date=self._clock.now())


class Ledger:
    """A ledger that is ready, the inbox beside it, and processes at both."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.table = MemoryTable(now=self.clock.now)
        self.inbox = MemoryTable(now=self.clock.now)
        self.counts = Counts(self.table, FINGERPRINT, self.clock)
        self.random = Random(1)
        self.busy: list[asyncio.Task[Any]] = []
        for table in (self.table, self.inbox):
            table.pause = lambda: asyncio.sleep(self.random.uniform(0.1, 0.5) * COMMIT_SECONDS)

    async def opened(self) -> Ledger:
        """Make the tally."""
        await self.counts.change(lambda tally: replace(tally, ready=True, known_since=START - timedelta(days=1)))
        return self

    def writer(self) -> Writer:
        """Start a process."""
        counts = Counts(self.table, FINGERPRINT, self.clock)
        return Writer(self.table, counts, Heads(self.clock), self.clock, self.random, inbox=self.inbox)

    async def tally(self) -> StoredTally:
        """Return the tally as it stands."""
        stored = await self.counts.read()
        assert stored is not None
        return stored

    async def name(self, process: str, seconds: float, form: int = FORMAT) -> None:
        """Have the tally name somebody."""
        writer = NamedWriter(process, form, self.clock.now() + timedelta(seconds=seconds))
        await self.counts.change(lambda tally: replace(tally, writer=writer))

    @property
    def handed_over(self) -> dict[str, Entity]:
        """What is in the inbox."""
        return {key: row for rows in self.inbox.state.partitions.values() for key, row in rows.items()}


def created(number: int, *, present: bool = True, sequencer: int = 1) -> BlobChange:
    """Return an event of a blob, now."""
    time = START + timedelta(seconds=asyncio.get_running_loop().time())
    return BlobChange("queued", f"{number}.jpg", present, f"{sequencer:048x}", time)


async def deliver(writers: list[Writer], numbers: range, pace: float = 0.01) -> list[Outcome | BaseException]:
    """Deliver creations to the writers in turn, and wait for all."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(writers[number % len(writers)].apply(created(number), "queued")))
        await asyncio.sleep(pace)
    return await asyncio.gather(*tasks, return_exceptions=True)


def virtual(test: Callable[[Ledger], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time, on a ledger of its own."""

    async def within() -> None:
        await test(await Ledger().opened())

    def sync() -> None:
        run(within())

    sync.__name__, sync.__doc__ = test.__name__, test.__doc__
    return sync


@virtual
async def test_alone_nobody_is_named_and_nothing_is_handed_over(ledger: Ledger) -> None:
    """Rule 9: at rest, and in a burst of one process, it costs nothing."""
    await deliver([ledger.writer()], range(300), pace=0.001)
    assert (await ledger.tally()).tally.writer is None
    assert (ledger.inbox.commits, ledger.inbox.reads) == (0, 0)


@virtual
async def test_under_contention_one_is_named_and_nearly_no_commit_is_lost(ledger: Ledger) -> None:
    """Six processes: each loses a commit or three until somebody is named, then all hand over."""
    writers = [ledger.writer() for _ in range(6)]
    results = await deliver(writers, range(600))
    assert set(results) == {Outcome.APPLIED}
    assert (await ledger.tally()).tally.counts()["queued"] == 600
    assert sum(writer.stats.conflicts for writer in writers) <= 3 * len(writers)
    assert ledger.inbox.commits > 100
    assert not ledger.handed_over, "owners remove what was answered"


@virtual
async def test_the_tally_keeps_version_and_time_when_only_a_name_is_written(ledger: Ledger) -> None:
    """I6, I7: nobody is woken by it."""
    writer = ledger.writer()
    before = (await ledger.tally()).tally
    writer._naming.deliveries, writer._naming.claims = 1, True
    await writer._commits.read_tally()
    await writer._commits.claim()
    after = (await ledger.tally()).tally
    assert after.writer is not None
    assert (after.version, after.changed_at, replace(after, writer=None)) == (before.version, before.changed_at, before)


@virtual
async def test_a_name_is_given_where_nothing_else_is_written(ledger: Ledger) -> None:
    """Rule 1: a batch of duplicates writes the tally for that alone; and a name is renewed before it ends."""
    writer = ledger.writer()
    await writer.apply(created(1), "queued")
    writer._naming.claims = True
    assert await writer.apply(created(1), "queued") is Outcome.DUPLICATE
    named = (await ledger.tally()).tally.writer
    assert named is not None
    assert named.process == writer._naming.process


@virtual
async def test_a_direct_commit_carries_a_living_name_over_and_drops_one_that_is_over(ledger: Ledger) -> None:
    """Rule 1: whoever commits while somebody is named leaves the name as it is."""
    await ledger.name("another", LIFE_SECONDS, form=FORMAT + 1)  # not handed anything: it reads another format
    writer = ledger.writer()
    await writer.apply(created(1), "queued")
    named = (await ledger.tally()).tally.writer
    assert named is not None
    assert named.process == "another"
    assert not ledger.inbox.commits
    await asyncio.sleep(LIFE_SECONDS + 1)
    await writer.apply(created(2), "queued")
    assert (await ledger.tally()).tally.writer is None


@pytest.mark.parametrize("seconds", [LIFE_SECONDS, 3600.0])
def test_a_writer_that_is_gone_is_followed(seconds: float) -> None:
    """Rule 3: nothing is taken back; one of those who wait names itself, whatever the dead one's clock said."""

    async def within() -> None:
        ledger = await Ledger().opened()
        await ledger.name("gone", seconds)
        writers = [ledger.writer() for _ in range(3)]
        results = await asyncio.wait_for(deliver(writers, range(30)), 6 + STAY_SECONDS)
        assert set(results) == {Outcome.APPLIED}
        assert (await ledger.tally()).tally.counts()["queued"] == 30
        assert ledger.inbox.commits > 0

    run(within())


@virtual
async def test_an_outage_while_a_successor_is_looked_for_ends_no_wait(ledger: Ledger) -> None:
    """Rule 3: whoever cannot read the tally just then asks again; the delivery's own budget ends its wait."""
    await ledger.name("gone", LIFE_SECONDS)
    writer = ledger.writer()
    task = asyncio.create_task(writer.apply(created(1), "queued"))
    await asyncio.sleep(LIFE_SECONDS / 2)
    ledger.table.fault = lambda method: Fault.REFUSED if method == "read" else None
    await asyncio.sleep(LIFE_SECONDS)
    ledger.table.fault = lambda _: None
    assert await task is Outcome.APPLIED
    assert asyncio.get_running_loop().time() < BUDGET_SECONDS


@virtual
async def test_a_delivery_is_acknowledged_when_its_outcome_was_read_and_not_before(ledger: Ledger) -> None:
    """Rule 3: an append is no acknowledgement, and what waits is no row of the ledger."""
    await ledger.name("another", LIFE_SECONDS)
    writer = ledger.writer()
    task = asyncio.create_task(writer.apply(created(1), "queued"))
    again = asyncio.create_task(writer.apply(created(1), "queued"))
    await asyncio.sleep(LIFE_SECONDS / 2)
    assert not task.done()
    assert not again.done(), "a duplicate of what waits, waits too"
    assert row_key("queued/1.jpg") not in ledger.table.entities(PARTITION)
    ((partition, rows),) = ledger.inbox.state.partitions.items()
    for key, row in [*rows.items()]:
        count = sum(name[1:].isdecimal() for name in row.properties)
        answers = json.dumps([["done", "applied", 1]] * count)
        await ledger.inbox.commit(partition, [Write(key, {"outcomes": answers}, row.etag)])
    assert [await task, await again] == [Outcome.APPLIED, Outcome.APPLIED]


@virtual
async def test_without_an_outcome_the_delivery_fails_in_its_budget(ledger: Ledger) -> None:
    """Rule 3: below Event Grid's 30 s, with somebody named all the time who never drains."""
    writer = ledger.writer()

    async def rename() -> None:
        while True:
            await ledger.name("deaf", LIFE_SECONDS + asyncio.get_running_loop().time() / 1000)
            await asyncio.sleep(1)

    renaming = asyncio.create_task(rename())
    await asyncio.sleep(0.5)
    began = asyncio.get_running_loop().time()
    with pytest.raises(OutcomeUnknown):
        await writer.apply(created(1), "queued")
    renaming.cancel()
    assert asyncio.get_running_loop().time() - began < BUDGET_SECONDS + 1


@pytest.mark.parametrize("what", ["gone", "no sense", "too few", "append lost", "append refused", "table gone"])
def test_what_is_not_answered_is_committed_directly(what: str) -> None:
    """Rule 3: missing, nonsense or not known to be appended acknowledges nothing."""

    async def within() -> None:
        ledger = await Ledger().opened()
        await ledger.name("another", LIFE_SECONDS)
        faults = {"append lost": Fault.LOST_ANSWER, "append refused": Fault.REFUSED}
        ledger.inbox.fault = lambda method: faults.get(what) if method == "commit" else None
        writer = ledger.writer()
        task = asyncio.create_task(writer.apply(created(1), "queued"))
        await asyncio.sleep(0.12)
        if what in {"gone", "table gone"}:
            ledger.inbox.lose()
        for partition, rows in ledger.inbox.state.partitions.items():
            for key, row in [*rows.items()]:
                texts = {"no sense": "nonsense", "too few": "[]"}
                if what in texts:
                    await ledger.inbox.commit(partition, [Write(key, {"outcomes": texts[what]}, row.etag)])
        assert await task is Outcome.APPLIED
        assert asyncio.get_running_loop().time() < LIFE_SECONDS
        assert (await ledger.tally()).tally.counts()["queued"] == 1

    run(within())


@virtual
async def test_all_outcomes_come_back(ledger: Ledger) -> None:
    """Rule 2: what is above the writer cannot tell who has committed."""
    named, other = ledger.writer(), ledger.writer()
    await contend(ledger, named, other)
    owner = other if named._naming.is_mine(ledger.clock.monotonic()) else named
    appended = ledger.inbox.commits
    assert await owner.apply(created(1000), "queued") is Outcome.APPLIED
    assert await owner.apply(created(1000, sequencer=2), "queued") is Outcome.UNCHANGED
    assert await owner.apply(created(1000, sequencer=2), "queued") is Outcome.DUPLICATE
    assert await owner.apply(created(1000, sequencer=1), "queued") is Outcome.STALE
    assert await owner.apply(replace(created(1001), sequencer=None), "queued") is Outcome.LOOK
    base = await owner.read_row("queued/1002.jpg")
    seen = Observation("queued/1002.jpg", "queued", present=True, observed_at=ledger.clock.now())
    assert (await owner.observe(seen, base)).delta == 1
    with pytest.raises(RowChanged):
        await owner.observe(replace(seen, present=False), base)
    poisoned = replace(created(1003), etag="x" * 30_000)
    refuse_rows(ledger, "queued/1003.jpg")
    results = await asyncio.gather(
        owner.apply(poisoned, "queued"), owner.apply(created(1004), "queued"), return_exceptions=True
    )
    assert isinstance(results[0], Rejected)
    assert results[1] is Outcome.APPLIED, "a rejection is of one row alone"
    assert ledger.inbox.commits > appended + 8


async def contend(ledger: Ledger, *writers: Writer) -> None:
    """Contend until one is named, and stays so."""
    for number, each in enumerate(writers, 1):
        events = range(number * 10_000, number * 10_000 + 2000)
        ledger.busy.append(asyncio.create_task(deliver([each], events)))
    await asyncio.sleep(3)
    assert (await ledger.tally()).tally.writer is not None


async def drain_once(writer: Writer) -> None:
    """Have a process do what is waiting, as if it were named."""
    handover = writer._handover
    assert handover is not None
    await handover._look()
    await asyncio.gather(*handover._in_hand.values())


def refuse_rows(ledger: Ledger, path: str) -> None:
    """Have storage refuse every row of a path."""
    apply = ledger.table.state.apply

    def refusing(partition: str, writes: Any) -> list[str]:
        for index, write in enumerate(writes):
            if (write.properties or {}).get("path") == path:
                raise Rejected("no such row", index)
        return apply(partition, writes)

    ledger.table.state.apply = refusing  # type: ignore[method-assign]


@virtual
async def test_a_look_is_held_against_the_row_and_not_against_what_is_remembered_of_it(ledger: Ledger) -> None:
    """Rule 2: whoever commits it reads the row itself, where the look started from one that it has not seen."""
    named, owner = ledger.writer(), ledger.writer()
    await named.apply(created(1), "queued")
    await owner.apply(created(1, sequencer=2), "queued")  # an overwrite: the named process remembers the row before it
    base = await owner.read_row("queued/1.jpg")
    seen = Observation("queued/1.jpg", "queued", present=False, observed_at=ledger.clock.now())
    inbox = Inbox(ledger.inbox, "owner", FOLDERS)
    handed = await inbox.append((PARTITION, FINGERPRINT), [Intent(seen.path, "queued", seen=seen, base=base)])
    await drain_once(named)
    found = await inbox.answers(handed, 1)
    assert found is not None
    (answer,) = found.answers
    assert isinstance(answer, Transition)
    assert answer.delta == -1


@virtual
async def test_what_was_committed_by_the_one_before_counts_as_done(ledger: Ledger) -> None:
    """Rule 2: an observation finds its own effect; an event is a duplicate. Applied twice, nothing changes (rule 4)."""
    writer = ledger.writer()
    seen = Observation("queued/1.jpg", "queued", present=True, observed_at=ledger.clock.now())
    base = await writer.read_row("queued/1.jpg")
    assert (await writer.observe(seen, base)).delta == 1
    inbox = Inbox(ledger.inbox, "owner", FOLDERS)
    await inbox.append((PARTITION, FINGERPRINT), [Intent(seen.path, "queued", seen=seen, base=base)])
    ((waiting,),) = [await inbox.look(100.0)]
    writer._enqueue(waiting.intents)
    (answer,) = await asyncio.gather(*(each.done for each in waiting.intents))
    assert (answer.outcome, answer.delta) == (Outcome.UNCHANGED, 0)
    assert (await ledger.tally()).tally.counts()["queued"] == 1


@virtual
async def test_who_is_succeeded_leaves_what_it_has_not_begun_to_its_successor(ledger: Ledger) -> None:
    """Rule 6: else both commit the same, each in the other's way; what was begun is committed, and answered."""
    owner, writer = Inbox(ledger.inbox, "owner", FOLDERS), ledger.writer()
    intents = [Intent(f"queued/{n}.jpg", "queued", created(n)) for n in range(3 * MAX_BLOBS)]
    handed = [await owner.append((PARTITION, FINGERPRINT), intents[n::3]) for n in range(3)]
    naming = writer._naming
    naming.deliveries, naming.claims = 1, True
    await writer._commits.read_tally()
    await writer._commits.claim()
    naming.leaves_at = ledger.clock.monotonic() + 0.5  # about to leave: the first batch names who waits for it
    await writer._handover._look()  # type: ignore[union-attr]
    await asyncio.gather(*writer._handover._in_hand.values())  # type: ignore[union-attr]
    await asyncio.sleep(1)
    named = (await ledger.tally()).tally.writer
    assert named is not None
    assert named.process == "owner"
    assert (await ledger.tally()).tally.counts()["queued"] == MAX_BLOBS
    assert [await owner.answers(each, MAX_BLOBS) is not None for each in handed] == [True, False, False]


@virtual
async def test_what_was_being_read_when_somebody_else_was_named_is_left_to_them(ledger: Ledger) -> None:
    """Rule 6: a look into the inbox that ends after that begins nothing."""
    owner, writer = Inbox(ledger.inbox, "owner", FOLDERS), ledger.writer()
    await owner.append((PARTITION, FINGERPRINT), [Intent("queued/1.jpg", "queued", created(1))])
    ledger.inbox.pause = lambda: asyncio.sleep(1)
    looking = asyncio.create_task(writer._handover._look())  # type: ignore[union-attr]
    await asyncio.sleep(0)
    await ledger.name("owner", LIFE_SECONDS)
    await writer._commits.read_tally()
    assert await looking is False
    await asyncio.sleep(1)
    assert (await ledger.tally()).tally.counts()["queued"] == 0


async def named_and_busy(ledger: Ledger) -> Writer:
    """Return a process that is named, and has deliveries of its own all the time."""
    writer = ledger.writer()
    await ledger.name(writer._naming.process, LIFE_SECONDS)
    ledger.busy.append(asyncio.create_task(deliver([writer], range(10_000, 12_000), 0.03)))
    return writer


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_kept_out_by_a_process_that_never_loses(seed: int) -> None:
    """A storage that does one request after the other: whoever has just committed is back before anybody has read.

    It would not hear of the others, and each of their commits would be too late.
    """

    async def within() -> None:
        ledger = await Ledger().opened()
        ledger.random, one_by_one = Random(seed), asyncio.Lock()

        async def pause() -> None:
            async with one_by_one:
                await asyncio.sleep(ledger.random.expovariate(1 / 0.003))

        ledger.table.pause = ledger.inbox.pause = pause
        writers = [ledger.writer() for _ in range(4)]
        done = dict.fromkeys(writers, 0)

        async def work(writer: Writer, first: int) -> None:
            while ledger.clock.monotonic() < 10:
                await writer.apply(created(first + done[writer]), "queued")
                done[writer] += 1

        await asyncio.gather(*(work(each, 1_000_000 * n) for n, each in enumerate(writers) for _ in range(8)))
        assert min(done.values()) > 0.5 * max(done.values()), done

    with seeded_secrets(seed):  # turns go by the ids of the processes
        run(within())


@virtual
async def test_a_name_that_is_written_outright_is_the_name_and_changes_no_count(ledger: Ledger) -> None:
    """Whatever the tally is by then; two that do it at once believe the one that was later."""
    one, other = ledger.writer(), ledger.writer()
    before = await ledger.tally()
    for writer in (one, other):
        naming = writer._naming
        naming.deliveries = 1
        await writer._commits.read_tally()
        assert naming.outright(ledger.clock.monotonic()) is None, "a commit may do it"
        naming.lost_again()
        assert naming.outright(ledger.clock.monotonic()) is None, "the next commit may do it"
        naming.lost_again()
        name = naming.outright(ledger.clock.monotonic())
        assert name is not None
        assert naming.outright(ledger.clock.monotonic()) is None, "once"
        await writer._commits._name_outright(name, before.partition)
        assert naming.is_mine(ledger.clock.monotonic())
        await ledger.counts.change(lambda tally: replace(tally, writer=None))
    stored = await ledger.tally()
    assert (stored.tally.sums, stored.tally.revision) == (before.tally.sums, before.tally.revision)
    await other._commits._name_outright(NamedWriter("other", FORMAT, ledger.clock.now() + timedelta(hours=1)), "g1")
    await one._commits.read_tally()
    one._naming.lost_again()
    one._naming.lost_again()
    assert one._naming.outright(ledger.clock.monotonic()) is None, "another one is named"


@virtual
async def test_the_name_is_renewed_while_others_hand_over(ledger: Ledger) -> None:
    """One that hands over little is not made to contend each time that a name's life is over."""
    writer = await named_and_busy(ledger)
    await ledger.writer().apply(created(1), "queued")
    for _ in range(20):
        await asyncio.sleep(LIFE_SECONDS / 10)
        named = (await ledger.tally()).tally.writer
        assert named is not None
        assert (named.process, named.until > ledger.clock.now()) == (writer._naming.process, True)


@virtual
async def test_batches_wait_for_others_only_while_there_are_any(ledger: Ledger) -> None:
    """A named process that is alone again has nothing to gain by it."""
    handover = (await named_and_busy(ledger))._handover
    assert handover is not None
    await asyncio.sleep(0.1)

    async def seconds_waited() -> float:
        began = ledger.clock.monotonic()
        await handover.gather([])
        return ledger.clock.monotonic() - began

    assert await seconds_waited() == 0
    handover._naming.drained(ledger.clock.monotonic())
    assert await seconds_waited() > 0
    await asyncio.sleep(FOLLOWED_SECONDS)
    assert await seconds_waited() == 0


@virtual
async def test_an_outcome_is_read_soon_after_it_is_there(ledger: Ledger) -> None:
    """Half of what is handed over one by one is acknowledged within some ten operations of storage, of 15 ms here.

    Nor is it looked for all the time: nine reads an event.
    """
    await named_and_busy(ledger)
    writer, seconds = ledger.writer(), []
    for number in range(100):
        began = asyncio.get_running_loop().time()
        await writer.apply(created(number), "queued")
        seconds.append(asyncio.get_running_loop().time() - began)
    assert statistics.median(seconds) < 0.3
    assert ledger.inbox.reads < 15 * 100


@virtual
async def test_the_delivery_that_stays_is_relieved_by_the_next_ones(ledger: Ledger) -> None:
    """Rule 6: where deliveries are that frequent, none is held for what others hand over."""
    writer = ledger.writer()
    await ledger.name(writer._naming.process, LIFE_SECONDS)
    first = asyncio.create_task(writer.apply(created(1), "queued"))
    await asyncio.sleep(RELIEVED_SECONDS / 2)
    assert not first.done(), "it stays"
    ledger.busy.append(asyncio.create_task(deliver([writer], range(2, 100))))
    await asyncio.sleep(2 * MAX_LOOK_SECONDS)
    assert first.done()


@virtual
async def test_the_name_goes_round(ledger: Ledger) -> None:
    """Rule 6: four processes that are always busy are named in turn, and each commits as much as the others."""
    writers = [ledger.writer() for _ in range(4)]
    done = dict.fromkeys(writers, 0)

    async def work(writer: Writer, first: int) -> None:
        while ledger.clock.monotonic() < 60:
            await writer.apply(created(first + done[writer]), "queued")
            done[writer] += 1

    busy = [work(writer, 100_000 * n) for n, writer in enumerate(writers) for _ in range(3)]
    await asyncio.gather(*busy)
    assert min(done.values()) > 0.6 * max(done.values()), done


@pytest.mark.parametrize("clock_is_ahead_seconds", [-1.0, 0.0, 1.0])
def test_a_later_name_ends_later_whatever_the_clocks_say(clock_is_ahead_seconds: float) -> None:
    """The table tells whole seconds: the one who was named may have read a later one than whoever named it."""
    naming, read_at = Naming("me"), START - timedelta(seconds=clock_is_ahead_seconds)
    mine = NamedWriter("me", FORMAT, START + timedelta(seconds=LIFE_SECONDS))
    naming.read(StoredTally(Tally("e", bytes(16), "f", START, START, writer=mine), "1", read_at=read_at), 100.0)
    naming.deliveries = 2
    named, must_be_written = naming.next(100.5, {"another"}, 0.5 / TERM_COMMITS)
    assert named is not None
    assert (named.process, must_be_written) == ("another", True)
    assert named.until > mine.until
    assert naming.next(100.49, {"another"}, 0.5 / TERM_COMMITS)[0] in {None, mine}


def test_those_who_wait_follow_each_in_its_turn() -> None:
    """One that does not wait for this commit would not hear of it: its turn is waited for, for another term."""
    naming = Naming("b")
    mine = NamedWriter("b", FORMAT, START + timedelta(seconds=LIFE_SECONDS))
    naming.read(StoredTally(Tally("e", bytes(16), "f", START, START, writer=mine), "1", read_at=START), 100.0)

    naming.deliveries = 2

    def next_at(seconds: float, *waiting: str) -> str:
        named, _ = naming.next(100.0 + seconds, set(waiting), 1 / TERM_COMMITS)
        return named.process if named is not None else ""

    assert next_at(0.9, "c", "d") == "b", "not yet"
    assert next_at(1.1, "a", "d") == "b", "c is next, and waits for another commit"
    assert next_at(1.2) == "b", "nobody waits for this one"
    assert next_at(1.3, "a", "c", "d") == "c"
    assert next_at(2.1, "a", "d") == "d", "c has not come again"
    assert next_at(2.2, "a") == "a", "the first one again after the last"
    full, _ = naming.next(102.9, {"c"}, 1 / TERM_COMMITS, is_full=True)
    assert full == mine, "not while more waits than is committed: following takes time"
    half, _ = naming.next(101.05, {"d"}, 0.5 / TERM_COMMITS)
    assert half is not None
    assert half.process == "d", "two short terms are over: nobody's turn is waited for"
    naming.deliveries, naming.leaves_at = 1, 110.0
    assert next_at(0.5, "a") == "a", "alone it has none of its own to be quick with"
    assert next_at(0.01, "a") == "b"
    naming.is_leaving = True
    assert next_at(0.01, "a") == "a", "at once: it is about to end"


@virtual
async def test_who_is_told_to_follow_reads_the_tally_before_it_commits(ledger: Ledger) -> None:
    """Rule 6: what it remembers of the tally is from before the one that names it."""
    writer = ledger.writer()
    assert await writer.apply(created(1), "queued") is Outcome.APPLIED
    await ledger.writer().apply(created(2), "queued")
    told = NamedWriter(writer._naming.process, FORMAT, ledger.clock.now() + timedelta(seconds=LIFE_SECONDS))
    writer._naming.told(told, ledger.clock.now(), ledger.clock.monotonic())
    assert await writer.apply(created(3), "queued") is Outcome.APPLIED
    assert writer.stats.conflicts == 0


@pytest.mark.parametrize("generation", [("g2", FINGERPRINT), (PARTITION, "other settings")])
def test_what_is_of_another_generation_is_not_committed(generation: tuple[str, str]) -> None:
    """Rule 5: it is held against the tally that the commit is conditional on; the owner commits it directly."""

    async def within() -> None:
        ledger = await Ledger().opened()
        inbox = Inbox(ledger.inbox, "owner", FOLDERS)
        intent = Intent("queued/1.jpg", "queued", change=created(1))
        handed = await inbox.append(generation, [intent])
        writer = ledger.writer()
        await drain_once(writer)
        assert row_key("queued/1.jpg") not in ledger.table.entities(PARTITION)
        found = await inbox.answers(handed, 1)
        assert found is not None
        (answer,) = found.answers
        assert type(answer).__name__ == "OtherGeneration"
        writer._handover._tell([intent], found.answers)  # type: ignore[union-attr]
        assert (await intent.done).outcome is Outcome.APPLIED

    run(within())


@virtual
async def test_each_intent_gets_its_own_outcome_however_many_are_handed_over_at_once(ledger: Ledger) -> None:
    """A batch holds 99 blobs, and any number of their events; one in three of these can only be told by a look."""
    named, owner = await named_and_busy(ledger), ledger.writer()
    await owner._commits.read_tally()
    events = [created(n % 85) for n in range(240)]  # as many as an entity could hold
    events = [event if n % 3 else replace(event, sequencer=None) for n, event in enumerate(events)]
    outcomes = await asyncio.gather(*(owner.apply(event, "queued") for event in events))
    for task in ledger.busy:
        task.cancel()
    assert ledger.inbox.commits > 240 / MAX_INTENTS
    assert [outcome is Outcome.LOOK for outcome in outcomes] == [event.sequencer is None for event in events]
    counted = ledger.table.entities(PARTITION).keys()
    assert {row_key(event.path) for event in events} <= counted
    assert named.stats.transactions


@pytest.mark.parametrize("name", ["a.jpg", "a" * 900, "\u5199" * 900, "\N{CAMERA}" * 450, '"' * 900, "\x7f" * 900])
@pytest.mark.parametrize("answer", [RowChanged("?"), OtherGeneration("?"), Rejected("?"), OutcomeUnknown("?")])
def test_outcomes_fit_into_a_property_whatever_they_are_and_of_whom(name: str, answer: StorageError) -> None:
    """Else whoever waits is told nothing, and the same is committed again and again."""

    async def within() -> None:
        ledger = await Ledger().opened()
        inbox = Inbox(ledger.inbox, "owner", FOLDERS)
        intents = [Intent(f"queued/{n}{name}", "queued", created(n)) for n in range(MAX_INTENTS)]
        handed = await inbox.append((PARTITION, FINGERPRINT), intents)
        (waiting,) = await inbox.look(100.0)
        await inbox.answer(waiting, [type(answer)(f"queued/{n}{name}") for n in range(MAX_INTENTS)], None)
        found = await inbox.answers(handed, MAX_INTENTS)
        assert found is not None
        assert {type(each) for each in found.answers} == {type(answer)}

    run(within())


@virtual
async def test_a_look_at_a_former_generation_is_not_committed_to_the_next(ledger: Ledger) -> None:
    """Rule 5: neither generation had a row of the blob, which tells nothing of what became of it meanwhile."""
    owner, named = ledger.writer(), ledger.writer()
    base = await owner.read_row("queued/1.jpg")
    seen = Observation("queued/1.jpg", "queued", present=True, observed_at=ledger.clock.now())
    await ledger.counts.start_anew()
    await ledger.counts.change(lambda tally: replace(tally, ready=True, known_since=START - timedelta(days=1)))
    await ledger.name(named._naming.process, LIFE_SECONDS)
    named._naming.deliveries = 1
    await named._commits.read_tally()
    named._handover.drain()  # type: ignore[union-attr]
    with pytest.raises(RowChanged):
        await owner.observe(seen, base)
    assert ledger.inbox.commits > 0
    assert (await ledger.tally()).tally.counts()["queued"] == 0


@pytest.mark.parametrize(
    "outcomes",
    [
        *("[", "[" * 32_000, "{}", "7", "null", "[]", "[null]", '[["nonsense", ""]]', '[["rejected"]]', '[["done"]]'),
        *('[["done", "applied", "x"]]', '[["done", "applied", 1e999]]', '[["done", [], 1]]', '[[[], "applied", 1]]'),
    ],
)
def test_outcomes_that_make_no_sense_have_the_event_committed_by_its_owner(outcomes: str) -> None:
    """Rule 3: something else has written them; nobody waits for ever (I9), and nothing is acknowledged by them."""

    async def within() -> None:
        ledger = await Ledger().opened()
        owner = ledger.writer()
        await ledger.name("another", LIFE_SECONDS)
        await owner._commits.read_tally()
        delivery = asyncio.create_task(owner.apply(created(1), "queued"))
        await asyncio.sleep(4 * COMMIT_SECONDS)
        ((partition, (entity,)),) = [(key, rows.values()) for key, rows in ledger.inbox.state.partitions.items()]
        await ledger.inbox.commit(partition, [Write(entity.row_key, {"outcomes": outcomes}, entity.etag)])
        assert await delivery is Outcome.APPLIED
        assert row_key("queued/1.jpg") in ledger.table.entities(PARTITION)

    run(within())


@virtual
async def test_a_bug_in_the_wait_for_outcomes_holds_nobody(ledger: Ledger) -> None:
    """Whatever ends the wait, the owner commits by itself."""
    owner = ledger.writer()
    await ledger.name("another", LIFE_SECONDS)
    await owner._commits.read_tally()
    owner._handover._inbox.answers = AsyncMock(side_effect=RuntimeError("a bug"))  # type: ignore[union-attr, method-assign]
    assert await owner.apply(created(1), "queued") is Outcome.APPLIED
    assert ledger.inbox.commits > 0


NONSENSE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=5), st.lists(st.none())
)


@settings(deadline=None)
@given(st.data())
def test_intents_that_make_no_sense_are_left_alone(data: st.DataObject) -> None:
    """Rule 5: whatever stands where a release would have written something; the named process goes on."""

    async def within() -> None:
        ledger = await Ledger().opened()
        inbox, writer = Inbox(ledger.inbox, "owner", FOLDERS), ledger.writer()
        seen = Observation("queued/2.jpg", "queued", present=True, observed_at=ledger.clock.now())
        base = await writer.read_row(seen.path)
        intents = [Intent("queued/1.jpg", "queued", created(1)), Intent(seen.path, "queued", seen=seen, base=base)]
        handed = await inbox.append((PARTITION, FINGERPRINT), intents)
        entity = ledger.handed_over[handed.row_key]
        number = data.draw(st.sampled_from(["i00", "i01"]))
        stored = json.loads(str(entity.properties[number]))
        within = data.draw(st.sampled_from([stored, *(part for part in stored.values() if isinstance(part, dict))]))
        within[data.draw(st.sampled_from(sorted(within)))] = data.draw(NONSENSE)
        odd = {**entity.properties, number: json.dumps(stored)}
        await ledger.inbox.commit("owner", [Write(handed.row_key, odd, entity.etag)])
        for waiting in await inbox.look(100.0):
            writer._enqueue(waiting.intents)
        assert await writer.apply(created(3), "queued") is Outcome.APPLIED

    run(within())


@virtual
async def test_a_look_from_before_a_directory_came_or_went_is_made_anew(ledger: Ledger) -> None:
    """Rule 4: it was handed over before, and is committed after, the directory's event."""
    writer = ledger.writer()
    base = await writer.read_row("queued/1.jpg")
    seen = Observation("queued/1.jpg", "queued", present=True, observed_at=ledger.clock.now())
    inbox = Inbox(ledger.inbox, "owner", FOLDERS)
    handed = await inbox.append((PARTITION, FINGERPRINT), [Intent(seen.path, "queued", seen=seen, base=base)])
    await ledger.counts.doubt_until(ledger.clock.now())
    await drain_once(ledger.writer())
    found = await inbox.answers(handed, 1)
    assert found is not None
    assert isinstance(found.answers[0], RowChanged)
    assert (await ledger.tally()).tally.counts()["queued"] == 0


@virtual
async def test_what_is_not_understood_is_left_alone_until_it_is_left_over(ledger: Ledger) -> None:
    """Rules 4 and 5: a newer release's, or nonsense; after a minute nobody waits for it any more."""
    odd = [{"format": FORMAT + 1, "i00": "{}"}, {"format": FORMAT, "i00": "{}"}, {"format": FORMAT, "i00": "["}, {}]
    for number, properties in enumerate(odd):
        await ledger.inbox.commit("somebody", [Write(str(number), {**properties}, None)])
    writer = ledger.writer()
    await writer.clear_inbox()
    assert len(ledger.handed_over) == len(odd)
    await asyncio.sleep(LEFT_OVER_AFTER.total_seconds() + 2)
    await writer.clear_inbox()
    assert not ledger.handed_over


@virtual
async def test_what_a_newer_release_hands_over_is_not_committed(ledger: Ledger) -> None:
    """Rule 5: however much it looks like what this release hands over, it may mean something else."""
    inbox = Inbox(ledger.inbox, "newer", FOLDERS)
    handed = await inbox.append((PARTITION, FINGERPRINT), [Intent("queued/1.jpg", "queued", change=created(1))])
    entity = ledger.handed_over[handed.row_key]
    newer = {**entity.properties, "format": FORMAT + 1}
    await ledger.inbox.commit("newer", [Write(handed.row_key, newer, entity.etag)])
    await drain_once(ledger.writer())
    assert (await ledger.tally()).tally.counts()["queued"] == 0
    assert await inbox.answers(handed, 1) is None


@virtual
async def test_a_process_is_named_only_while_a_delivery_runs(ledger: Ledger) -> None:
    """Rule 6: the last delivery stays for what others hand over, 10 s at most; then nobody of this process is named."""
    writers = [ledger.writer() for _ in range(3)]
    deliveries = await asyncio.gather(
        *(deliver([each], range(n * 100, n * 100 + 100)) for n, each in enumerate(writers))
    )
    assert {each for some in deliveries for each in some} == {Outcome.APPLIED}
    assert all(writer._naming.deliveries == 0 for writer in writers)
    assert not any(writer._naming.is_mine(ledger.clock.monotonic()) for writer in writers)
    assert not any(writer._handover._draining for writer in writers)  # type: ignore[union-attr]
    before = ledger.inbox.reads
    await asyncio.sleep(60)
    assert ledger.inbox.reads == before, "at rest nobody looks"


@settings(deadline=None, max_examples=30)
@given(
    seconds=st.lists(st.sampled_from([0.01, 1.0, 5.0, 7.4]), min_size=1, max_size=8),
    look_seconds=st.sampled_from([0.0, 5.0, 46.0]),
    is_named=st.booleans(),
)
def test_a_delivery_ends_in_time_however_slow_storage_is(
    seconds: list[float], look_seconds: float, is_named: bool
) -> None:
    """Event Grid waits 30 s: what ends later has failed for it. Delivered again, each event counts once."""

    async def within() -> None:
        ledger = await Ledger().opened()
        writer, other = ledger.writer(), ledger.writer()
        events = [created(n) if n % 2 else replace(created(n), sequencer=None) for n in range(4)]
        if is_named:
            await ledger.name(writer._naming.process, LIFE_SECONDS)
            await asyncio.gather(writer._commits.read_tally(), other._commits.read_tally())
        pauses = itertools.cycle(seconds)

        async def look(container: str, name: str) -> Head:
            del container, name
            await asyncio.sleep(look_seconds)
            return Head(present=True, date=ledger.clock.now())

        ledger.table.pause = ledger.inbox.pause = lambda: asyncio.sleep(next(pauses))
        writer._heads = other._heads = SimpleNamespace(head=look)  # type: ignore[assignment]
        took: list[float] = []

        async def deliver_one(event: BlobChange, to: Writer) -> None:
            began = ledger.clock.monotonic()
            with suppress(StorageError):
                await to.apply(event, "queued")
            took.append(ledger.clock.monotonic() - began)

        await asyncio.gather(*(deliver_one(event, to) for event in events for to in (writer, other)))
        assert max(took) <= BUDGET_SECONDS + STAY_SECONDS + 0.1
        await asyncio.sleep(200)  # requests that nobody waits for any more end, too
        ledger.table.pause = ledger.inbox.pause = lambda: asyncio.sleep(0.01)
        writer._heads = Heads(ledger.clock)
        await asyncio.gather(*(writer.apply(event, "queued") for event in events))
        assert (await ledger.tally()).tally.counts()["queued"] == len(events)

    run(within())


@virtual
async def test_the_last_delivery_leaves_what_it_does_not_get_done(ledger: Ledger) -> None:
    """What it has begun is committed while others may run; where storage is slow, it is the successor's."""
    writer = ledger.writer()
    handover, writer._naming.deliveries = writer._handover, 1
    assert handover is not None
    handover._draining = asyncio.create_task(asyncio.sleep(60))
    await handover.stay(STAY_SECONDS, BUDGET_SECONDS + STAY_SECONDS)
    assert ledger.clock.monotonic() == pytest.approx(BUDGET_SECONDS + STAY_SECONDS, abs=0.5)
    assert not handover._draining.done()


@virtual
async def test_the_last_delivery_stays_for_a_bounded_time(ledger: Ledger) -> None:
    """Rule 6: others go on for a minute; each delivery of whoever is named ends."""
    writers = [ledger.writer() for _ in range(4)]
    longest = 0.0

    async def one(writer: Writer, number: int) -> None:
        nonlocal longest
        began = asyncio.get_running_loop().time()
        await writer.apply(created(number), "queued")
        longest = max(longest, asyncio.get_running_loop().time() - began)

    tasks = []
    for number in range(1200):
        tasks.append(asyncio.create_task(one(writers[number % 4], number)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*tasks)
    assert longest < STAY_SECONDS + 2
    assert (await ledger.tally()).tally.counts()["queued"] == 1200


@virtual
async def test_who_must_write_the_tally_gets_through(ledger: Ledger) -> None:
    """Rule 7: while one process commits all the time for itself and others."""
    writers = [ledger.writer() for _ in range(3)]
    await contend(ledger, *writers)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(ledger.counts.doubt_until(START), 5)
    assert asyncio.get_running_loop().time() - began < 5


@virtual
async def test_what_waits_in_the_inbox_is_live(ledger: Ledger) -> None:
    """Rule 7: the reconciler asks once, and leaves such names to their events."""
    await ledger.name("another", LIFE_SECONDS)
    writer = ledger.writer()
    task = asyncio.create_task(writer.apply(created(7), "queued"))
    await asyncio.sleep(0.5)
    assert await ledger.writer().waiting_paths() == {"queued/7.jpg"}
    await task
    assert await ledger.writer().waiting_paths() == set()


@virtual
async def test_what_is_left_over_in_the_inbox_is_not_live(ledger: Ledger) -> None:
    """Rule 4: its process is gone and its delivery has failed; a name in it has to be repaired like any other."""
    await Inbox(ledger.inbox, "gone", FOLDERS).append(
        (PARTITION, FINGERPRINT), [Intent("queued/7.jpg", "queued", created(7))]
    )
    await asyncio.sleep(LEFT_OVER_AFTER.total_seconds() - 2)
    assert await ledger.writer().waiting_paths() == {"queued/7.jpg"}
    await asyncio.sleep(4)
    assert await ledger.writer().waiting_paths() == set()


@virtual
async def test_an_older_release_names_nobody(ledger: Ledger) -> None:
    """Rule 8: it drops what it does not know; then nobody is named, and everybody commits directly."""
    await ledger.name("another", LIFE_SECONDS)
    entity = ledger.table.entities(PARTITION)[TALLY_KEY]
    known = {name: value for name, value in entity.properties.items() if not name.startswith("writer")}
    await ledger.table.commit(PARTITION, [Write(TALLY_KEY, known, entity.etag)])
    assert (await ledger.tally()).tally.writer is None
    assert await ledger.writer().apply(created(1), "queued") is Outcome.APPLIED
    assert not ledger.inbox.commits


@pytest.mark.parametrize("odd", [{"writer_format": "x"}, {"writer_until": "soon"}, {"writer_until": ""}])
def test_a_name_that_makes_no_sense_names_nobody(odd: dict[str, str]) -> None:
    """And what is written comes back."""
    tally = Tally("e", bytes(16), "f", START, START, writer=NamedWriter("p", FORMAT, START))
    properties = tallies.to_properties(tally)
    assert tallies.from_properties(properties) == tally
    assert tallies.from_properties({**properties, **odd}).writer is None


@virtual
async def test_an_inbox_of_many_pages_is_read_to_its_end(ledger: Ledger) -> None:
    """Rule 10: five pages a look, and the next one goes on; a page may end at any partition."""
    for number in range(13):
        owner = Inbox(ledger.inbox, f"owner {number:02d}", FOLDERS)
        await owner.append((PARTITION, FINGERPRINT), [Intent(f"queued/{number}.jpg", "queued", change=created(number))])
    inbox = Inbox(ledger.inbox, "named", FOLDERS)
    looks = [await inbox.look(100.0) for _ in range(4)]
    assert [len(each) for each in looks] == [5, 5, 3, 5]
    assert len({waiting.key for look in looks[:3] for waiting in look}) == 13


@virtual
async def test_a_full_batch_of_long_names_is_handed_over(ledger: Ledger) -> None:
    """The inbox takes what a transaction takes; each intent comes back as it was."""
    inbox = Inbox(ledger.inbox, "owner", FOLDERS)
    names = [f"{number:03d}{'ü#%?' * 255}"[:1024] for number in range(MAX_BLOBS)]
    intents = [Intent(f"queued/{name}", "queued", change=replace(created(0), name=name)) for name in names]
    await inbox.append((PARTITION, FINGERPRINT), intents)
    (waiting,) = await inbox.look(100.0)
    assert [each.change for each in waiting.intents] == [each.change for each in intents]
    assert {(each.owner, each.is_bound, each.generation) for each in waiting.intents} == {
        ("owner", True, (PARTITION, FINGERPRINT))
    }


@virtual
async def test_an_answer_is_written_once(ledger: Ledger) -> None:
    """A frozen writer that wakes cannot replace another's outcomes, nor bring back what its owner has removed."""
    inbox = Inbox(ledger.inbox, "owner", FOLDERS)
    handed = await inbox.append((PARTITION, FINGERPRINT), [Intent("queued/1.jpg", "queued", change=created(1))])
    (waiting,) = await inbox.look(100.0)
    await inbox.answer(waiting, [OutcomeUnknown("an outage")], None)
    await inbox.answer(waiting, [RowChanged("late")], None)
    found = await inbox.answers(handed, 1)
    assert found is not None
    assert str(found.answers[0]) == "an outage"
    await inbox.remove(handed)
    await inbox.answer(waiting, [RowChanged("later")], None)
    with pytest.raises(Conflict):
        await inbox.answers(handed, 1)


def naming_of(process: str) -> Naming:
    """Return what "me" knows that has just read this name, at 100 s."""
    naming = Naming("me")
    named = NamedWriter(process, FORMAT, START + timedelta(seconds=LIFE_SECONDS))
    naming.read(StoredTally(Tally("e", bytes(16), "f", START, START, writer=named), "1", read_at=START), 100.0)
    return naming


def test_a_tally_is_read_again_when_the_time_of_another_has_ended_since() -> None:
    """Somebody followed, perhaps; while it is named, and once it was read, the tally is as it is remembered."""
    naming = naming_of("another")
    over_at = 100 + LIFE_SECONDS
    assert not naming.is_newer(100.5, over_at - 1)
    assert naming.is_newer(100.5, over_at + 1)
    assert not naming.is_newer(over_at + 0.1, over_at + 1)
    assert not naming_of("me").is_newer(100.5, over_at + 1)


def test_a_name_is_renewed_for_that_alone_only_when_it_is_about_to_end() -> None:
    """Until then it is renewed by what is written anyway."""
    naming = naming_of("me")
    naming.deliveries = 2
    naming.drained(100.0)
    for seconds, must_be_written in ((1.1, False), (LIFE_SECONDS - RENEWED_SECONDS + 0.1, True)):
        named, is_written = naming.next(100 + seconds, set(), 0.05)
        assert named is not None
        assert (named.process, named.until > START + timedelta(seconds=LIFE_SECONDS)) == ("me", True)
        assert is_written is must_be_written


def test_the_delivery_that_stays_renews_the_name_for_as_long_as_it_stays() -> None:
    """And is on duty for so long; with another delivery beside it, the process goes on to be named."""
    naming = naming_of("me")
    naming.deliveries, naming.leaves_at = 1, 105.0
    naming.drained(102.0)
    named, _ = naming.next(102.5, set(), 0.05)
    assert named is not None
    assert named.until == START + timedelta(seconds=5)
    naming.leaves_at = 102.0
    assert not naming.is_on_duty(102.5)
    naming.deliveries = 2
    assert naming.is_on_duty(102.5)


@virtual
async def test_a_writer_that_is_closed_waits_for_nothing(ledger: Ledger) -> None:
    """Its deliveries come again."""
    await ledger.name("another", LIFE_SECONDS)
    writer = ledger.writer()
    ledger.busy.append(asyncio.create_task(writer.apply(created(1), "queued")))
    await asyncio.sleep(LIFE_SECONDS / 2)
    waits = [task for task in asyncio.all_tasks() if task.get_name() == "wait for outcomes"]
    assert len(waits) == 1
    writer.close()
    await asyncio.wait(waits, timeout=1)
    assert waits[0].cancelled()


@virtual
async def test_who_leaves_looks_into_the_inbox_once_more(ledger: Ledger) -> None:
    """Rule 6: some have handed over to it, and nobody else is named."""
    writer = ledger.writer()
    await ledger.name(writer._naming.process, LIFE_SECONDS)
    stays = asyncio.create_task(writer.apply(created(0), "queued"))
    await asyncio.sleep(0.5)
    assert not stays.done()
    writer.leave()
    inbox = Inbox(ledger.inbox, "another", FOLDERS)
    change = created(1)
    intent = Intent(change.path, "queued", change=change, deadline=BUDGET_SECONDS)
    await inbox.append((PARTITION, FINGERPRINT), [intent])
    await stays
    await asyncio.sleep(MAX_LOOK_SECONDS)
    assert row_key(change.path) in ledger.table.entities(PARTITION)


def test_a_name_is_worth_nothing_before_the_table_has_told_its_time() -> None:
    """Nobody knows how much of it is left."""
    naming = Naming("me")
    named = NamedWriter("another", FORMAT, START + timedelta(hours=1))
    naming.read(StoredTally(Tally("e", bytes(16), "f", START, START, writer=named), "1"), 100.0)
    assert naming.other(100.0) is None


def test_a_name_lives_no_longer_than_its_life_whatever_the_clocks_say() -> None:
    """An hour ahead, and an hour behind: at most three seconds from when it was first heard."""
    for skew, expected in ((3600.0, LIFE_SECONDS), (-3600.0, 0.0), (1.0, 1.0)):
        naming = Naming("me")
        named = NamedWriter("another", FORMAT, START + timedelta(seconds=skew))
        tally = Tally("e", bytes(16), "f", START, START, writer=named)
        naming.read(StoredTally(tally, "1", read_at=START), 100.0)
        assert expected == 0 or naming.other(100.0 + expected - 0.01) is not None
        assert naming.other(100.0 + expected + 0.01) is None
        naming.read(StoredTally(tally, "2", read_at=START), 200.0)
        assert naming.other(200.01) is None, "heard of before"
