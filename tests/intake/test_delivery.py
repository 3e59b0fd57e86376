"""One delivered event brought to its end: all of its changes, once, by whoever may count it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localdev import virtual_time
from shared.errors import OutcomeUnknown, Refused, Rejected
from shared.intake.delivery import LONGEST_SECONDS, Delivery
from shared.model.folders import FolderMap, Location
from shared.model.tally import Tally
from shared.writing.tally_row import PARTITION, TALLY_KEY, ForeignTally
from shared.writing.writer import Writer
from tests.fakes.memory_table import Fault
from tests.fakes.world import FOLDER_MAP, Process, World

OTHER_MAP = FolderMap({"queued": Location("inbox"), "input": Location("input"), "output": Location("output")}, ("jpg",))


def changed(event: str, **changes: object) -> str:
    """Return an event with other members."""
    return json.dumps(json.loads(event) | changes)


def renamed(world: World, source: str, destination: str) -> str:
    """Rename a blob; return its event, whose source is an encoded URL."""
    del world.blobs.blobs[source]
    event = world.blobs.put(destination)
    data = {"sourceUrl": "https://a.blob.core.windows.net/" + source.replace(" ", "%20")}
    return changed(event, eventType="Microsoft.Storage.BlobRenamed", data=data)


async def test_i1_every_change_of_an_event_is_applied(world: World) -> None:
    """A rename is three when its source is an encoding: the name it goes to, and both that it may have come from."""
    delivery = world.process.delivery
    for path in ("queued/a b.jpg", "queued/a%20b.jpg"):
        await delivery.take(world.blobs.put(path))
        event = renamed(world, path, f"output/{len(path)}.jpg")
        await delivery.take(event)
        await delivery.take(event)
    assert world.stored_tally().sums == world.truth()
    assert world.stored_tally().counts() == {"queued": 0, "input": 0, "output": 2}


DIRECTORY_DELETED = json.dumps(
    {
        "id": "1",
        "topic": "/subscriptions/a",
        "subject": "/blobServices/default/containers/queued/blobs/a",
        "eventType": "Microsoft.Storage.DirectoryDeleted",
        "eventTime": "2026-01-01T00:00:30Z",
        "dataVersion": "2",
        "data": {"url": "https://a.dfs.core.windows.net/queued/a", "recursive": "true"},
    }
)
CREATED = {
    "id": "1",
    "topic": "/subscriptions/a",
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "2026-01-01T00:00:30Z",
    "dataVersion": "",
    "data": {"sequencer": "1", "eTag": "0x1"},
}


@pytest.mark.parametrize("seconds", [0.01, 5.0, 13.0])
@pytest.mark.parametrize("name", ["queued/blobs/a.jpg", "queued/blobs/a.txt", ""])
def test_every_delivery_ends_in_time(name: str, seconds: float) -> None:
    """Whatever the event is and however slow storage: Event Grid waits 30 s, and so many come at once."""
    text = json.dumps(CREATED | {"subject": f"/blobServices/default/containers/{name}"}) if name else DIRECTORY_DELETED

    async def within() -> None:
        world = await World().bootstrap()
        process, clock = world.new_process(), virtual_time.VirtualClock()
        process.counts._clock = process.writer._clock = clock
        delivery, loop = process.delivery, asyncio.get_running_loop()
        world.table.pause = lambda: asyncio.sleep(seconds)
        began, reads = loop.time(), world.table.reads
        results = await asyncio.gather(*(delivery.take(text) for _ in range(10)), return_exceptions=True)
        assert loop.time() - began <= LONGEST_SECONDS + 0.1
        assert {type(each) for each in results} <= {type(None), OutcomeUnknown}
        if "txt" in name:
            assert results == [None] * 10
            assert world.table.reads - reads <= 2, "they share what they read"
        process.writer.close()

    virtual_time.run(within())


async def test_i5_a_rename_that_fails_half_way_comes_again(world: World) -> None:
    """Whatever of it was applied."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    event = renamed(world, "queued/a.jpg", "output/a.jpg")
    world.blobs.fails = lambda _: world.blobs.heads == 2
    with pytest.raises(OutcomeUnknown):
        await world.process.delivery.take(event)
    await world.process.delivery.take(event)
    assert world.stored_tally().sums == world.truth()


async def test_i5_what_is_not_understood_is_kept_whole_with_its_reason(world: World) -> None:
    """And so is an event whose row storage will never take."""
    await world.process.delivery.take("{")
    event = world.blobs.put("queued/a.jpg")

    async def refuse(*_: object) -> str:
        raise Rejected("no such row")

    world.process.writer.apply = refuse  # type: ignore[assignment, method-assign]
    await world.process.delivery.take(event)
    (broken, why), refused = world.process.quarantine.kept
    assert (broken, why.startswith("not JSON")) == ("{", True)
    assert refused == (event, "storage refuses the row: no such row")


async def test_only_the_topics_that_are_named_are_listened_to(world: World) -> None:
    """In any case; an event of another one is neither counted nor kept."""
    process = world.process
    delivery = Delivery(
        FOLDER_MAP,
        process.counts,
        process.writer,
        process.quarantine,  # type: ignore[arg-type]
        process.reconciler,
        world.clock,
        verify_deletes=False,
        topics=frozenset({"/topic"}),
    )
    await delivery.take(changed(world.blobs.put("queued/a.jpg"), topic="/TOPIC"))
    await delivery.take(changed(world.blobs.put("queued/b.jpg"), topic="/other"))
    assert world.stored_tally().counts()["queued"] == 1
    assert not process.quarantine.kept


async def test_verifying_deletes_looks_at_no_creation(world: World) -> None:
    """Only a deletion may be one of an old version; it is looked at, and not believed while the blob is there."""
    delivery = world.new_process(verify_deletes=True).delivery
    created = world.blobs.put("queued/a.jpg")
    await delivery.take(created)
    assert world.blobs.heads == 0
    deleted = world.blobs.delete("queued/a.jpg")
    world.blobs.put("queued/a.jpg")
    await delivery.take(deleted)
    assert world.blobs.heads == 1
    assert world.stored_tally().counts()["queued"] == 1


@given(order=st.permutations([*range(8)]), again=st.lists(st.integers(0, 7), max_size=8))
def test_i2_the_newest_event_that_counted_is_dated_in_any_order(order: list[int], again: list[int]) -> None:
    """Overwrites, and what comes late or once more, do not bring it back."""

    async def live() -> None:
        world = await World().bootstrap()
        events = []
        for number in range(8):
            world.clock.advance(10)
            events.append(world.blobs.put(f"queued/{number % 6}.jpg"))
        newest = world.clock.now() - timedelta(seconds=20)  # the last two write over what is there
        for number in [*sorted(order, key=lambda each: each >= 6), *again]:
            await world.process.delivery.take(events[number])
        assert world.process.delivery.last_applied_event_at == newest
        assert (await world.process.delivery.health())["last_event_age_seconds"] == 20

    asyncio.run(live())


async def test_the_newest_event_that_counted_is_dated(world: World) -> None:
    """By its own time; what is of no concern, what failed, and an event without a time, date nothing."""
    delivery = world.process.delivery
    assert delivery.last_applied_event_at is None
    await delivery.take(world.blobs.put("elsewhere/a.jpg"))
    world.table.fault = lambda _: Fault.REFUSED
    with pytest.raises(Refused):
        await delivery.take(world.blobs.put("queued/a.jpg"))
    world.table.fault = lambda _: None
    assert delivery.last_applied_event_at is None
    event = world.blobs.put("queued/a.jpg")
    dated = world.clock.now()
    world.clock.advance(5)
    await delivery.take(event)
    await delivery.take(changed(world.blobs.put("queued/b.jpg"), eventTime="never"))
    assert delivery.last_applied_event_at == dated


async def test_what_is_of_no_concern_reads_the_tally_twice_a_minute_at_most(world: World) -> None:
    """However many there are, at once too: a read in thirty seconds tells that the counts are still ours."""
    delivery = world.new_process().delivery
    for seconds, reads in ((0.0, 1), (30.0, 0), (0.1, 1)):
        world.clock.advance(seconds)
        before = world.table.reads, world.table.commits
        await asyncio.gather(*(delivery.take(world.blobs.put(f"elsewhere/{n}.jpg")) for n in range(20)))
        assert (world.table.reads, world.table.commits) == (before[0] + reads, before[1])


async def test_i7_a_commit_tells_the_counts_that_it_made(world: World) -> None:
    """With their revision; one that changes none tells nothing."""
    told: list[Tally] = []
    writer = Writer(world.table, world.process.counts, world.blobs, world.clock, Random(0), told.append)
    world.process.delivery._writer = writer
    for number, path in enumerate(("queued/a.jpg", "input/b.jpg"), 1):
        await world.process.delivery.take(world.blobs.put(path))
        assert len(told) == number
        assert told[-1] == world.stored_tally()
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    assert len(told) == 2


async def test_i3_an_old_process_cannot_take_an_overwrite(world: World) -> None:
    """Its row may be written without the tally, which must not be older than half a minute then."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    await Process(world.table, world.blobs, Random(1), folders=OTHER_MAP).counts.start_anew()
    world.clock.advance(31)
    with pytest.raises(ForeignTally):
        await world.process.delivery.take(world.blobs.put("queued/a.jpg"))


async def test_i3_rows_and_tally_stay_in_the_generation_that_is_current(world: World) -> None:
    """Also in the commits after the first one in it, which read nothing: no conflict shows the way."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    old = world.table.entities(PARTITION)
    made = await world.new_process().counts.start_anew()
    assert not made.tally.ready
    await world.process.delivery.take(world.blobs.put("queued/0.jpg"))
    conflicts = world.process.writer.stats.conflicts
    for number in (1, 2):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    assert world.process.writer.stats.conflicts == conflicts
    assert len(world.table.entities(made.partition)) == 4
    assert {key for key in world.table.entities(PARTITION) if key != TALLY_KEY} == {*old} - {TALLY_KEY}


async def test_after_an_unknown_outcome_nothing_is_taken_from_memory(world: World) -> None:
    """The row may have been written: it is read, and no conflict has to show that it was."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    faults = [Fault.LOST_ANSWER]
    world.table.fault = lambda method: faults.pop() if method == "commit" and faults else None
    await world.process.delivery.take(world.blobs.delete("queued/a.jpg"))
    assert world.process.writer.stats.conflicts == 0
    assert world.stored_tally().sums == world.truth()


async def test_a_name_with_a_history_is_read_before_it_is_written(world: World) -> None:
    """Of a name that is also deleted in the batch it is not assumed that it has no row: that would be a conflict."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    other = world.new_process()
    events = world.blobs.delete("queued/a.jpg"), world.blobs.put("queued/a.jpg")
    await asyncio.gather(*(other.delivery.take(event) for event in events))
    assert other.writer.stats.conflicts == 0
    assert world.stored_tally().sums == world.truth()
