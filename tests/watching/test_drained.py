"""A case that is drained is announced at least once, whatever fails, and never one that is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from localdev.azurite import Azurite
from shared.azure.topic import GridTopic
from shared.errors import NotPublished, StorageError
from shared.model.cases import ROW_PREFIX, CaseTally, StoredCase, from_properties, is_marked, key_of
from shared.model.folders import FOLDERS
from shared.model.ledger import TOMBSTONE_HORIZON
from shared.model.ports import Entity, Write
from shared.services import Services
from shared.settings.app import Settings
from shared.watching import drained
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes.memory_table import Fault
from tests.fakes.memory_topic import MemoryTopic
from tests.fakes.world import CASES_MAP, World


@pytest.fixture
async def world() -> World:
    """Return a world in which drained cases are announced."""
    return await World(folders=CASES_MAP, announces=True).bootstrap()


def topic_of(world: World) -> MemoryTopic:
    """Return the topic."""
    assert world.topic is not None
    return world.topic


def row_of(world: World, case: str) -> Entity:
    """Return the row of a case."""
    return world.table.entities(PARTITION)[f"{ROW_PREFIX}{key_of(case)}"]


def tally_of(world: World, case: str) -> CaseTally:
    """Return the counts in the row of a case."""
    return from_properties(row_of(world, case).properties, world.stored_tally().epoch, FOLDERS)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(300):
        await asyncio.sleep(0)


async def upload(world: World, *paths: str) -> None:
    """Have blobs counted, one after the other."""
    for path in paths:
        await world.process.delivery.take(world.blobs.put(path))


async def remove(world: World, *paths: str) -> None:
    """Have deletions counted, one after the other."""
    for path in paths:
        await world.process.delivery.take(world.blobs.delete(path))


def die(world: World) -> None:
    """End the process before it does anything more, and start another one."""
    assert world.process.drained is not None
    world.process.drained.close()
    world.process = world.new_process()


async def drain_and_die(world: World, *paths: str) -> None:
    """Have deletions counted by a process that ends before it has published anything."""
    topic_of(world).hangs = True
    await remove(world, *paths)
    die(world)
    await settle()
    topic_of(world).hangs = False


def announced(world: World) -> list[tuple[str, str]]:
    """Return the cases and versions that were announced."""
    return [(row.case, row.tally.version) for row in topic_of(world).drained]


async def test_a_drained_case_is_announced_at_once(world: World) -> None:
    """With its counts and its version; the mark goes, and neither the version nor the ring has changed by it."""
    await upload(world, "queued/a/1.jpg", "input/a/2.jpg", "output/a/3.jpg", "queued/b/1.jpg")
    await remove(world, "queued/a/1.jpg")
    await settle()
    assert topic_of(world).drained == []
    await remove(world, "input/a/2.jpg")
    tally, recent = tally_of(world, "a"), world.stored_tally().recent
    await settle()
    assert announced(world) == [("a", tally.version)]
    assert topic_of(world).drained[0].tally.counts() == {"queued": 0, "input": 0, "output": 1}
    assert not is_marked(row_of(world, "a").properties)
    assert (tally_of(world, "a").version, world.stored_tally().recent) == (tally.version, recent)
    await upload(world, "output/a/4.jpg")
    await remove(world, "output/a/3.jpg")
    await settle()
    assert len(topic_of(world).drained) == 1, "it was drained before"


async def test_what_announcing_costs(world: World) -> None:
    """One write for a case that is drained; none for another, and no conflict for what is counted next."""
    await upload(world, "queued/a/1.jpg", "queued/b/1.jpg", "queued/b/2.jpg")
    before = world.table.commits
    await remove(world, "queued/b/1.jpg")
    await settle()
    assert world.table.commits == before + 1
    await remove(world, "queued/a/1.jpg")
    await settle()
    assert world.table.commits == before + 3
    await upload(world, "queued/a/2.jpg")
    assert (world.table.commits, world.process.writer.stats.conflicts) == (before + 4, 0)


async def test_without_a_topic_nothing_is_marked() -> None:
    """Nobody would take the marks off."""
    world = await World(folders=CASES_MAP).bootstrap()
    await upload(world, "queued/a/1.jpg")
    await remove(world, "queued/a/1.jpg")
    assert not is_marked(row_of(world, "a").properties)


async def test_before_the_counts_are_ready_nothing_is_marked() -> None:
    """What is not listed yet may be in the queue."""
    world = World(folders=CASES_MAP, announces=True)
    await upload(world, "queued/a/1.jpg")
    await remove(world, "queued/a/1.jpg")
    await settle()
    assert (tally_of(world, "a").counts()["queued"], topic_of(world).drained) == (0, [])
    assert not is_marked(row_of(world, "a").properties)


async def test_i5_a_process_that_dies_before_it_publishes(world: World) -> None:
    """The timer of another one finds the mark, once the case has been drained for so long that nobody is at it."""
    await upload(world, "queued/a/1.jpg")
    await drain_and_die(world, "queued/a/1.jpg")
    for seconds in (0, 59):
        world.clock.advance(seconds)
        await world.process.sweep()
        assert topic_of(world).drained == []
    world.clock.advance(2)
    await world.process.sweep()
    assert announced(world) == [("a", tally_of(world, "a").version)]
    await world.process.sweep()
    assert len(topic_of(world).drained) == 1
    await upload(world, "queued/a/2.jpg")
    await remove(world, "queued/a/2.jpg")
    await settle()
    assert announced(world)[1:] == [("a", tally_of(world, "a").version)]


async def test_i5_a_process_that_dies_after_it_has_published(world: World) -> None:
    """The event comes twice, with the same version."""
    await upload(world, "queued/a/1.jpg")
    assert world.process.drained is not None
    world.process.drained._unmark = lambda _: asyncio.Event().wait()  # type: ignore[assignment,return-value]
    await remove(world, "queued/a/1.jpg")
    await settle()
    die(world)
    world.clock.advance(61)
    await world.process.sweep()
    assert announced(world) == [("a", tally_of(world, "a").version)] * 2


async def test_i5_a_commit_whose_answer_is_lost(world: World) -> None:
    """Nobody knows that it has drained the case; its row does."""
    await upload(world, "queued/a/1.jpg")
    faults = iter([Fault.LOST_ANSWER])
    world.table.fault = lambda method: next(faults, None) if method == "commit" else None
    await remove(world, "queued/a/1.jpg")
    await settle()
    world.clock.advance(61)
    await world.process.sweep()
    assert announced(world) == [("a", tally_of(world, "a").version)]


async def test_a_case_that_is_refilled_is_not_announced(world: World) -> None:
    """Neither by the process that drained it, while the topic is away, nor by the timer."""
    await upload(world, "queued/a/1.jpg")
    topic_of(world).failing, topic_of(world).hangs = 1, True
    await remove(world, "queued/a/1.jpg")
    assert is_marked(row_of(world, "a").properties)
    await upload(world, "queued/a/2.jpg")
    topic_of(world).hangs = False
    await settle()
    world.clock.advance(61)
    await world.process.sweep()
    assert topic_of(world).drained == []
    assert not is_marked(row_of(world, "a").properties)


async def test_the_mark_outlives_changes_that_leave_a_case_drained(world: World) -> None:
    """Another count of it, say: what is announced is what it counts by then."""
    await upload(world, "queued/a/1.jpg")
    await drain_and_die(world, "queued/a/1.jpg")
    await upload(world, "output/a/1.jpg")
    await settle()
    assert announced(world) == [("a", tally_of(world, "a").version)]
    assert topic_of(world).drained[0].tally.counts()["output"] == 1


async def test_a_topic_that_is_away_is_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A few times by the process, and then by each run of the timer."""
    await upload(world, "queued/a/1.jpg", "queued/b/1.jpg")
    topic_of(world).failing = 2
    await remove(world, "queued/a/1.jpg")
    await settle()
    assert [case for case, _ in announced(world)] == ["a"]
    topic_of(world).failing = 6
    await remove(world, "queued/b/1.jpg")
    await settle()
    assert "drained cases were not announced" in caplog.text
    world.clock.advance(61)
    for _ in range(2):
        await world.process.sweep()
    assert [case for case, _ in announced(world)] == ["a", "b"]
    assert topic_of(world).failing == 0


async def test_a_burst_is_one_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so are those that the timer finds; no request has more events than it may."""
    monkeypatch.setattr(drained, "AT_ONCE", 4)
    names = [f"{number}" for number in range(10)]
    await upload(world, *(f"queued/{name}/1.jpg" for name in names))
    events = [world.blobs.delete(f"queued/{name}/1.jpg") for name in names]
    await asyncio.gather(*map(world.process.delivery.take, events))
    await settle()
    assert topic_of(world).requests == [4, 4, 2]
    await upload(world, *(f"queued/{name}/2.jpg" for name in names))
    await drain_and_die(world, *(f"queued/{name}/2.jpg" for name in names[:9]))
    world.clock.advance(61)
    await world.process.sweep()
    assert topic_of(world).requests[3:] == [4, 4, 1]
    assert {case for case, _ in announced(world)[10:]} == set(names[:9])


async def test_a_tick_of_the_timer_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long outage of the topic the next ticks go on where one has stopped."""
    monkeypatch.setattr(drained, "AT_ONCE", 1)
    monkeypatch.setattr(drained, "SWEEP_SECONDS", -1)
    await upload(world, *(f"queued/{name}/1.jpg" for name in "abc"))
    await drain_and_die(world, *(f"queued/{name}/1.jpg" for name in "abc"))
    world.clock.advance(61)
    for ticks in (1, 2, 3, 3):
        await world.process.sweep()
        assert len({case for case, _ in announced(world)}) == len(announced(world)) == ticks


async def test_storage_that_fails_leaves_the_mark(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Announced twice rather than not at all; the timer's own work goes on."""
    await upload(world, "queued/a/1.jpg")
    world.table.fault = lambda _: Fault.REFUSED if topic_of(world).drained else None
    await remove(world, "queued/a/1.jpg")
    await settle()
    assert "still marked" in caplog.text
    world.clock.advance(61)
    await world.process.sweep()
    assert "the next run of the timer tries again" in caplog.text
    world.table.fault = lambda _: None
    await world.process.sweep()
    assert announced(world) == [("a", tally_of(world, "a").version)] * 2


async def test_i4_a_correction_that_drains_a_case_marks_it(world: World) -> None:
    """Clients see that the case is drained, so whoever listens is told."""
    await upload(world, "output/a/1.jpg")
    row = row_of(world, "a")
    await world.table.commit(PARTITION, [Write(row.row_key, {**row.properties, "queued_count": 3}, row.etag)])
    assert (await world.process.reconciler.run(full=True)).miscounted_cases == 1
    assert is_marked(row_of(world, "a").properties)
    world.clock.advance(61)
    await world.process.sweep()
    assert announced(world) == [("a", tally_of(world, "a").version)]


async def test_i5_a_case_that_is_marked_is_not_forgotten(world: World) -> None:
    """However long the topic is away, and although nothing of the case is left."""
    await upload(world, "queued/a/1.jpg")
    await drain_and_die(world, "queued/a/1.jpg")
    for _ in range(3):
        world.clock.advance(TOMBSTONE_HORIZON.total_seconds())
        await world.process.reconciler.run()
    await world.process.sweep()
    assert [case for case, _ in announced(world)] == ["a"]
    world.clock.advance(2 * 86400)
    await world.process.reconciler.run()
    assert set(world.table.entities(PARTITION)) == {TALLY_KEY}


async def test_i5_on_real_storage(azurite: Azurite, unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services wired as the app's: a process publishes, or ends before it can, and the timer does."""
    said: list[tuple[str, int]] = []
    is_away = False

    async def take(_: GridTopic, drained: Sequence[StoredCase]) -> None:
        if is_away:
            raise NotPublished("no")
        said.extend((case, tally.counts()["output"]) for case, tally, _, _ in drained)

    async def ignore(*_: object) -> None:
        pass

    monkeypatch.setattr(GridTopic, "publish_drained", take)
    monkeypatch.setattr(GridTopic, "publish", ignore)
    monkeypatch.setattr(drained, "FRESH", timedelta(0))
    places = {f"{folder.upper()}_FOLDER": f"{unique}-{folder}" for folder in FOLDERS}
    environ = {
        "STORAGE": azurite.connection_string,
        "COUNTS_TABLE": unique,
        "QUARANTINE_CONTAINER": f"{unique}-quarantine",
        "CASE_FROM": "first-segment",
        "STATUS_TOPIC_ENDPOINT": "https://nobody.invalid/api/events",
        **places,
    }
    first, second = (Services(Settings.from_environ(environ)) for _ in range(2))
    try:
        await first.start()
        await first.reconcile()
        container = await first.blobs.create_container(f"{unique}-queued")
        for case in "ab":
            is_away = case == "b"
            await container.upload_blob(f"{case}/1.jpg", b"x")
            await first.writer.look(f"{unique}-queued", f"{case}/1.jpg", "queued")
            await container.delete_blob(f"{case}/1.jpg")
            await first.writer.look(f"{unique}-queued", f"{case}/1.jpg", "queued")
            async with asyncio.timeout(10):
                while not said:
                    await asyncio.sleep(0.01)
        await first.close()
        assert said == [("a", 0)]
        assert "b" in [row.case async for row in second.counts.marked_cases()]
        is_away = False
        await second.reconcile()
        assert ("b", 0) in said
        assert [row async for row in second.counts.marked_cases()] == []
    finally:
        await first.close()
        await second.close()


class History:
    """What a table has said of cases, and what may be announced because of it.

    Args:
        world: Whose table.
    """

    def __init__(self, world: World) -> None:
        self.drained: dict[tuple[str, str], dict[str, int]] = {}
        self.due: dict[str, set[str]] = {}
        self._world = world
        self._tallies: dict[str, CaseTally] = {}
        apply = world.table.state.apply

        def applying(partition: str, writes: Sequence[Write]) -> list[str]:
            etags = apply(partition, writes)
            for write in writes:
                if write.row_key.startswith(ROW_PREFIX) and write.properties is not None:
                    self._written(str(write.properties["case"]))
            return etags

        world.table.state.apply = applying  # type: ignore[method-assign]

    def _written(self, case: str) -> None:
        before, after = self._tallies.get(case), tally_of(self._world, case)
        self._tallies[case] = after
        if after.has_work:
            self.due.pop(case, None)
            return
        if before is not None and before.has_work:
            self.due[case] = set()
        if case in self.due:
            self.due[case].add(after.version)
            self.drained[case, after.version] = after.counts()


class Play:
    """A history, step by step."""

    async def run(self, steps: list[tuple[str, int]]) -> None:
        """Play it, and check what was announced in it."""
        self.world = await World(folders=CASES_MAP, announces=True).bootstrap()
        self.topic, self.history, self.random = topic_of(self.world), History(self.world), Random(len(steps))
        self.faults: list[Fault] = []
        self.world.table.fault = lambda method: self.faults.pop() if method == "commit" and self.faults else None
        for step, number in steps:
            await getattr(self, step)(number)
        self.faults.clear()
        self.topic.failing = 0
        await settle()
        await self.tick(0)
        self.check()

    def check(self) -> None:
        """Hold what was announced against what the table has said."""
        said = [((row.case, row.tally.version), row.tally.counts()) for row in self.topic.drained]
        assert all(self.history.drained.get(key) == counts for key, counts in said), "a case was never drained so"
        versions = {key for key, _ in said}
        for case, due in self.history.due.items():
            assert any((case, version) in versions for version in due), f"{case} is drained, and nobody was told"
        entities = self.world.table.entities(PARTITION)
        assert not any(is_marked(entity.properties) for entity in entities.values())
        self.world.check_rows_and_tally_agree()

    async def upload(self, number: int) -> None:
        """Another image is queued, or in process."""
        await self.take(self.world.blobs.put(f"{self.random.choice(['queued', 'input'])}/{path_of(number)}"))

    async def done(self, number: int) -> None:
        """An image is done."""
        await self.take(self.world.blobs.put(f"output/{path_of(number)}"))

    async def remove(self, number: int) -> None:
        """An image goes, wherever it is."""
        for folder in FOLDERS:
            if f"{folder}/{path_of(number)}" in self.world.blobs.blobs:
                await self.take(self.world.blobs.delete(f"{folder}/{path_of(number)}"))

    async def die(self, number: int) -> None:
        """The process ends after some moments; another one begins."""
        for _ in range(number * 3):
            await asyncio.sleep(0)
        die(self.world)

    async def topic_fails(self, number: int) -> None:
        """The topic does not take the next requests."""
        self.topic.failing += number

    async def table_fails(self, _: int) -> None:
        """The next transaction ends in an error, whatever it has done."""
        self.faults.append(self.random.choice([Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.REFUSED]))

    async def settle(self, _: int) -> None:
        """Everybody comes to an end of what is begun."""
        await settle()

    async def tick(self, _: int) -> None:
        """The timer runs."""
        self.world.clock.advance(61)
        await self.world.process.sweep()

    async def take(self, event: str) -> None:
        """Deliver an event until it is taken."""
        while True:
            try:
                return await self.world.process.delivery.take(event)
            except StorageError:
                self.world.clock.advance(1)


def path_of(number: int) -> str:
    """Return the name of an image of one of three cases."""
    return f"{'abc'[number % 3]}/{number}.jpg"


NAMES = ["upload", "upload", "remove", "remove", "done", "die", "topic_fails", "table_fails", "settle", "tick"]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 8)), max_size=60))
def test_i5_whatever_stays_drained_is_announced_and_nothing_else(steps: list[tuple[str, int]]) -> None:
    """Over any history of uploads, removals, processes that die, lost answers, and a topic that comes and goes."""
    logging.getLogger("shared").setLevel(logging.CRITICAL)
    try:
        asyncio.run(Play().run(steps))
    finally:
        logging.getLogger("shared").setLevel(logging.NOTSET)
