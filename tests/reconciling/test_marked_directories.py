"""Directories that are renamed or deleted with one event for all of their blobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import OutcomeUnknown, Refused, Rejected
from shared.model.folders import FolderMap, Location
from shared.model.ports import Head, Page, Write
from shared.writing.tally_row import ForeignTally
from tests.fakes.memory_blobs import SkewedClock, url
from tests.fakes.memory_table import Fault
from tests.fakes.world import FOLDER_MAP, Process, World
from tests.reconciling.listings import killed_at, slow_down


def directory_event(event_type: str, path: str, source: str = "") -> str:
    """Return a directory's event."""
    container, _, name = path.partition("/")
    return json.dumps(
        {
            "id": "1",
            "eventType": f"Microsoft.Storage.{event_type}",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "eventTime": "2026-01-01T00:01:00Z",
            "data": {"sourceUrl": f"https://account.dfs.core.windows.net/{source}"},
        }
    )


async def test_a_renamed_directory_is_counted_where_it_is(world: World) -> None:
    """One event moves a case's images from folder to folder: only the two directories are listed."""
    for number in range(12):
        await world.process.delivery.take(world.blobs.put(f"queued/case-1/{number}.jpg"))
        await world.process.delivery.take(world.blobs.put(f"queued/case-10/{number}.jpg"))
    for number in range(12):
        world.blobs.delete(f"queued/case-1/{number}.jpg")
        world.blobs.put(f"input/case-1/{number}.jpg")
    listed = killed_at(world, 0)
    await world.process.delivery.take(directory_event("DirectoryRenamed", "input/case-1", "queued/case-1"))
    assert world.stored_tally().sums == world.truth()
    assert world.stored_tally().counts() == {"queued": 12, "input": 12, "output": 0}
    assert not [page for page in listed if "case-10" in page]
    assert await world.process.reconciler._marks.all() == []


async def test_a_directory_above_the_folders_and_one_of_no_concern(world: World) -> None:
    """Only what lies in a folder is marked."""
    await world.process.delivery.take(directory_event("DirectoryDeleted", "elsewhere/case-1"))
    assert "elsewhere" not in str(world.table.entities("control"))


async def test_i5_a_directory_that_cannot_be_listed_now_stays_marked(world: World) -> None:
    """The event is acknowledged, because its mark is stored; the next scheduled run does the work."""
    for number in range(3):
        await world.process.delivery.take(world.blobs.put(f"queued/case-1/{number}.jpg"))
        world.blobs.delete(f"queued/case-1/{number}.jpg")
    world.blobs.fails = lambda what: what == "list"
    await world.process.delivery.take(directory_event("DirectoryDeleted", "queued/case-1/"))
    assert world.stored_tally().counts()["queued"] == 3
    assert len(await world.process.reconciler._marks.all()) == 1
    world.blobs.fails = lambda _: False
    await world.new_process().reconciler.run_scheduled(60)
    assert world.stored_tally().counts()["queued"] == 0
    assert await world.process.reconciler._marks.all() == []


@pytest.mark.parametrize("is_drift", [False, True])
@pytest.mark.parametrize("seed", range(10))
async def test_i4_a_directory_that_storage_will_not_list_keeps_nothing_from_being_reconciled(
    world: World, seed: int, *, is_drift: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the other directories nor the account, which covers what the mark was for: then it goes."""
    random, pages = Random(seed), world.blobs.pages
    cases = [f"case-{number}/" for number in range(8)]
    refused = {case: random.choice([Refused("400"), OutcomeUnknown("lost")]) for case in random.sample(cases, 3)}
    asked = set[str]()

    async def refusing(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        asked.add(prefix)
        if prefix in refused:
            raise refused[prefix]
        async for page in pages(container, prefix, token):
            yield page

    for case in cases:
        await world.process.delivery.take(world.blobs.put(f"queued/{case}a.jpg"))
    world.blobs.pages = refusing  # type: ignore[method-assign]
    for case in cases:
        if is_drift:
            world.blobs.delete(f"queued/{case}a.jpg")
        await world.process.delivery.take(directory_event("DirectoryDeleted", f"queued/{case}"))
    assert {str(mark.location) for mark in await world.process.reconciler._marks.all()} == {
        f"queued/{case.rstrip('/')}" for case in refused
    }
    world.clock.advance(60)
    asked.clear()
    await world.new_process().reconciler.run_scheduled(420)
    assert asked == {"", *refused}
    assert all(f"'queued/{case}' waits" in caplog.text for case in refused)
    assert world.stored_tally().sums == world.truth()
    assert await world.process.reconciler._marks.all() == []


async def test_marks_that_cannot_be_read_keep_nothing_from_being_reconciled(world: World) -> None:
    """The account is listed all the same."""
    world.blobs.put("queued/lost.jpg")
    world.clock.advance(60)
    faults = [Fault.LOST_REQUEST]
    world.table.fault = lambda what: faults.pop() if what == "scan" and faults else None
    await world.process.reconciler.run_scheduled(60)
    assert (faults, world.stored_tally().sums) == ([], world.truth())


async def test_i5_what_something_in_between_refuses_is_an_outage(world: World) -> None:
    """A proxy's 413 to a write for a directory is no reason to put its event into quarantine."""

    async def refuse(*_: object) -> None:
        raise Rejected("something between the app and Table Storage answered 413", by_service=False)

    world.process.counts.doubt_until = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(Rejected):
        await world.process.delivery.take(directory_event("DirectoryDeleted", "queued/case-1/"))
    assert not world.process.quarantine.kept


async def test_a_full_run_does_the_marked_directories_too(world: World) -> None:
    """A directory that is too large for its own run is reconciled, and unmarked, by the next run over everything."""
    await world.process.delivery.take(world.blobs.put("queued/case-1/a.jpg"))
    world.blobs.delete("queued/case-1/a.jpg")
    world.blobs.fails = lambda what: what == "list"
    await world.process.delivery.take(directory_event("DirectoryDeleted", "queued/case-1"))
    world.blobs.fails = lambda _: False
    world.clock.advance(60)
    await world.process.reconciler.run()
    assert world.stored_tally().sums == world.truth()
    assert await world.process.reconciler._marks.all() == []


async def test_who_is_at_the_marked_directories_does_those_that_come_meanwhile(world: World) -> None:
    """Their events are acknowledged at once; and what waits for its turn since an outage is done with the next one."""
    cases = [f"queued/case-{number}" for number in range(4)]
    for case in cases:
        await world.process.delivery.take(world.blobs.put(f"{case}/a.jpg"))
        world.blobs.delete(f"{case}/a.jpg")
    world.blobs.fails = lambda what: what == "list"
    for case in cases[:2]:
        await world.process.delivery.take(directory_event("DirectoryDeleted", case))
    world.blobs.fails = lambda _: False
    assert len(await world.process.reconciler._marks.all()) == 2
    pages, late, listed = world.blobs.pages, [cases[3]], []

    async def with_an_event(container: str, prefix: str, token: str = ""):
        listed.append(prefix)
        if late:
            await world.process.delivery.take(directory_event("DirectoryDeleted", late.pop()))
        async for page in pages(container, prefix, token):
            yield page

    world.blobs.pages = with_an_event  # type: ignore[method-assign]
    await world.process.delivery.take(directory_event("DirectoryDeleted", cases[2]))
    assert world.stored_tally().counts()["queued"] == 0
    assert await world.process.reconciler._marks.all() == []
    assert sorted(listed) == ["case-0/", "case-1/", "case-2/", "case-3/"]


@pytest.mark.parametrize(("slice_seconds", "is_done"), [(150, True), (100, False)])
async def test_marked_directories_take_half_of_a_scheduled_run(
    world: World, slice_seconds: int, *, is_done: bool
) -> None:
    """What they leave is for the whole account: a directory that is too large must not keep it from being listed."""
    for number in range(60):
        await world.process.delivery.take(world.blobs.put(f"input/{number:02}.jpg"))
    for number in range(30):
        world.blobs.put(f"queued/case-1/{number:02}.jpg")
    world.clock.advance(60)
    world.blobs.fails = lambda what: what == "list"
    await world.process.delivery.take(directory_event("DirectoryRenamed", "queued/case-1", "elsewhere/case-1"))
    world.blobs.fails = lambda _: False
    slow_down(world, 20)  # the directory has three pages, and the account nine
    began = world.clock.monotonic()
    await world.process.reconciler.run_scheduled(slice_seconds)
    assert slice_seconds <= world.clock.monotonic() - began <= slice_seconds + 20
    assert bool(await world.process.reconciler._marks.all()) is not is_done


@pytest.mark.parametrize("sibling", ["case-0/b.jpg", "case-10/b.jpg", "case-1.jpg", "case-10.jpg", "b.jpg"])
async def test_what_lies_beside_a_directory_is_not_looked_at(world: World, sibling: str) -> None:
    """Neither listed nor compared; all that lies in it is."""
    names = [sibling, "case-1/a.jpg", "case-1/0/a.jpg", "case-1/\uffff.jpg"]
    for name in names:
        await world.process.delivery.take(world.blobs.put(f"queued/{name}"))
        world.blobs.delete(f"queued/{name}")
    report = await world.process.reconciler.run_prefix("queued", "case-1/")
    assert (report.removed, report.looks) == ({"queued": 3}, 3)
    assert world.stored_tally().counts()["queued"] == 1


# What one change of the account is, of so few names that they meet each other.
BLOBS = [f"{folder}/{case}/{number}.jpg" for folder in ("queued", "input") for case in ("a", "b") for number in (0, 1)]
DIRECTORIES = ["queued/a", "queued/b", "input/a", "input/b"]
CHANGES = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(BLOBS)),
    st.tuples(st.just("delete"), st.sampled_from(BLOBS)),
    st.tuples(st.just("rename"), st.sampled_from(BLOBS), st.sampled_from(BLOBS)),
    st.tuples(st.just("rename directory"), st.sampled_from(DIRECTORIES), st.sampled_from(DIRECTORIES)),
    st.tuples(st.just("delete directory"), st.sampled_from(DIRECTORIES)),
)


def happen(world: World, change: tuple[str, ...]) -> None:
    """Have a change happen, if it can."""
    blobs, (what, *paths) = world.blobs, change
    world.clock.advance(1)
    if what == "put":
        blobs.put(*paths)
    elif what == "delete" and paths[0] in blobs.blobs:
        blobs.delete(*paths)
    elif what == "rename" and paths[0] in blobs.blobs and paths[0] != paths[1]:
        blobs.rename(*paths, url(paths[0], quote))
    elif what == "rename directory" and blobs.under(paths[0]) and not blobs.under(paths[1]):
        blobs.rename_directory(*paths, url(paths[0], quote))
    elif what == "delete directory":
        blobs.delete_directory(*paths)


@settings(deadline=None, max_examples=150)
@given(changes=st.lists(CHANGES, min_size=2, max_size=10), data=st.data())
def test_i2_any_order_of_deliveries_ends_in_the_truth_with_directories_too(changes, data):
    """No event is lost, so nothing may be wrong: late, early, or twice, and by whichever process."""

    async def live() -> None:
        world = await World().bootstrap()
        processes = [world.process, world.new_process()]
        for change in changes:
            happen(world, change)
        order = data.draw(st.permutations(world.blobs.events))
        again = data.draw(st.lists(st.sampled_from(order), max_size=4)) if order else []
        for number, event in enumerate([*order, *again]):
            world.clock.advance(data.draw(st.sampled_from([0, 1, 40, 4000]), label="until the delivery"))
            await processes[number % 2].delivery.take(event)
        assert world.stored_tally().sums == world.truth()
        world.check_rows_and_tally_agree()

    asyncio.run(live())


async def test_i2_a_late_creation_in_a_directory_that_is_gone(world: World) -> None:
    """[BlobCreated, DirectoryDeleted], delivered in this order and in the other one: nothing is there."""
    created = world.blobs.put("queued/case/a.jpg")
    world.clock.advance(1)
    deleted = world.blobs.delete_directory("queued/case")
    await world.process.delivery.take(deleted)
    await world.new_process().delivery.take(created)
    assert world.stored_tally().sums == world.truth()


async def test_i2_a_late_creation_where_a_directory_was_moved_away(world: World) -> None:
    """The blob is counted where it is now, and only there; and an old deletion does not undo what was moved in."""
    created = world.blobs.put("queued/case/a.jpg")
    await world.process.delivery.take(world.blobs.put("input/case/b.jpg"))
    world.clock.advance(1)
    deleted = world.blobs.delete("input/case/b.jpg")
    world.blobs.put("queued/case/b.jpg")  # whose event never matters: it is moved
    moved = world.blobs.rename_directory("queued/case", "input/case")
    await world.process.delivery.take(moved)
    for late in (created, deleted):
        await world.new_process().delivery.take(late)
    assert world.stored_tally().counts() == {"queued": 0, "input": 2, "output": 0}
    assert world.stored_tally().sums == world.truth()


@pytest.mark.parametrize("when", ["2099-01-01T00:00:00Z", "yesterday", "", None])
async def test_a_directory_event_without_a_usable_time_is_dated_by_storage(world: World, when: str | None) -> None:
    """Otherwise every event up to 2099 would be looked at, or none."""
    created = world.blobs.put("queued/case/a.jpg")
    world.clock.advance(10)
    event = json.loads(world.blobs.delete_directory("queued/case"))
    event["eventTime"] = when
    await world.process.delivery.take(json.dumps(event))
    assert world.clock.now() >= world.stored_tally().known_since
    await world.process.delivery.take(created)
    assert world.stored_tally().sums == world.truth()


async def test_i5_a_directory_of_new_folders_is_not_taken_by_an_old_process(world: World) -> None:
    """After a recount an instance with the old folder map must not acknowledge what it knows nothing of."""
    new_map = FolderMap({**FOLDER_MAP.locations, "queued": Location("inbox")}, FOLDER_MAP.suffixes)
    process = Process(world.table, world.blobs, world.random, folders=new_map)
    await world.process.delivery.take(directory_event("DirectoryDeleted", "inbox/case"))  # of no concern, for 30 s
    await process.counts.start_anew()
    world.clock.advance(31)
    for name in ("inbox/case", "input/case", "elsewhere/case"):
        with pytest.raises(ForeignTally):
            await world.process.delivery.take(directory_event("DirectoryDeleted", name))


async def test_i4_a_mark_made_by_a_slow_clock_is_not_removed_by_a_run_that_began_before(world: World) -> None:
    """What counts is when the directory changed, by the storage service's clock."""
    await world.process.delivery.take(world.blobs.put("queued/case/a.jpg"))
    world.blobs.put("output/lost.jpg")
    world.clock.advance(60)
    slow = SkewedClock(world.clock, -600)
    pages, other = world.blobs.pages, Process(world.table, world.blobs, world.random, clock=slow)

    async def with_a_directory(container: str, prefix: str, token: str = ""):
        async for page in pages(container, prefix, token):
            yield page
        if container == "queued" and world.blobs.under("queued/case"):
            deleted = world.blobs.delete_directory("queued/case")
            other.reconciler._is_at_marks = True  # it cannot be compared at once
            await other.delivery.take(deleted)

    world.blobs.pages = with_a_directory  # type: ignore[method-assign]
    await world.process.reconciler.run()
    assert len(await world.process.reconciler._marks.all()) == 1
    await world.new_process().reconciler.run_scheduled(60)
    assert world.stored_tally().sums == world.truth()


async def test_i2_an_old_overwrite_in_the_middle_of_a_comparison_does_not_keep_what_is_gone(
    world: World,
) -> None:
    """It changes the row between look and commit, and no count: a process with an older tally writes it alone."""
    await world.process.delivery.take(world.blobs.put("queued/case/a.jpg"))
    other = world.new_process()
    await other.delivery.take(world.blobs.put("queued/case/a.jpg"))
    world.clock.advance(1)
    overwrite = world.blobs.put("queued/case/a.jpg")
    world.clock.advance(1)
    deleted = world.blobs.delete_directory("queued/case")
    head, late = world.blobs.head, [overwrite]

    async def and_an_event(container: str, name: str) -> Head:
        found = await head(container, name)
        if late:
            await other.delivery.take(late.pop())
        return found

    world.blobs.head = and_an_event  # type: ignore[method-assign]
    await world.process.delivery.take(deleted)
    assert world.stored_tally().sums == world.truth()


async def test_i2_a_look_that_began_before_a_directory_was_deleted_is_made_anew(world: World) -> None:
    """It has seen the blob, and commits when the directory was compared and forgotten: no row is there to stop it."""
    world.clock.advance(400)  # a late event without a row is looked at
    created = world.blobs.put("queued/case/a.jpg")
    world.clock.advance(301)
    head, slow = world.blobs.head, world.new_process()

    async def and_the_directory_goes(container: str, name: str) -> Head:
        found = await head(container, name)
        if world.blobs.under("queued/case"):
            await world.process.delivery.take(world.blobs.delete_directory("queued/case"))
        return found

    world.blobs.head = and_the_directory_goes  # type: ignore[method-assign]
    await slow.delivery.take(created)
    assert world.stored_tally().sums == world.truth()
    assert await world.process.reconciler._marks.all() == []


async def test_i2_late_events_are_stopped_before_a_directory_is_marked(world: World) -> None:
    """Else another process could compare it, and unmark it, while a late event still gets through."""
    await world.process.delivery.take(world.blobs.put("queued/case/a.jpg"))
    world.clock.advance(1)
    commit, written = world.table.commit, []

    async def noted(partition: str, writes: Sequence[Write]) -> list[str]:
        written.append(partition)
        return await commit(partition, writes)

    world.table.commit = noted  # type: ignore[method-assign]
    await world.process.delivery.take(world.blobs.delete_directory("queued/case"))
    assert written[:2] == ["g1", "control"]


async def test_i2_an_older_directory_lets_no_newer_late_event_through(world: World) -> None:
    """Directories' events come in any order, too: what is in doubt stays in doubt."""
    older = world.blobs.delete_directory("queued/case-1")
    world.clock.advance(100)
    newer = world.blobs.delete_directory("queued/case-2")
    for event in (newer, older):
        await world.process.delivery.take(event)
        assert world.stored_tally().known_since == world.clock.now()
