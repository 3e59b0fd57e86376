"""Reconciliation: bootstrap, clean passes, every kind of drift, live traffic."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from shared import comparison
from shared.checkpoint import AlreadyRunning
from shared.counts import PARTITION
from shared.errors import CountsNotReady, OutcomeUnknown, Refused, Rejected
from shared.ports import Head, Page, Write
from shared.report import Progress
from shared.tally import Sum
from shared.tombstones import collect
from tests.fakes import memory_table
from tests.fakes.world import World


async def test_bootstrap_counts_what_is_there_and_only_then_is_ready() -> None:
    """Blobs from before the subscription are counted in bulk, without a HEAD each; until then there are no counts."""
    world = World()
    for number in range(25):
        world.blobs.put(f"queued/{number}.jpg")
    world.blobs.put("output/done.png")
    world.blobs.put("output/readme.txt")
    with pytest.raises(CountsNotReady):
        await world.process.watch.latest()
    report = await world.process.reconciler.run()
    assert report.bootstrap
    assert (report.listed, report.added) == (26, {"queued": 25, "output": 1})
    assert world.stored_tally().ready
    assert world.stored_tally().sums == world.truth()
    assert world.blobs.heads == 0


async def test_bootstrap_agrees_with_events_that_come_meanwhile_or_late() -> None:
    """Events of the same blobs, before and after the bootstrap, change nothing that is right."""
    world = World()
    events = [world.blobs.put(f"queued/{number}.jpg") for number in range(12)]
    events.append(world.blobs.delete("queued/3.jpg"))
    for event in events[:6]:
        await world.process.delivery.take(event)
    await world.process.reconciler.run()
    for event in reversed(events):
        await world.process.delivery.take(event)
    assert world.stored_tally().sums == world.truth()


async def test_an_event_from_before_the_first_start_is_looked_at() -> None:
    """A blob came and went before there was a ledger, and only the creation is delivered, late: it is not there."""
    world = World()
    created = world.blobs.put("queued/a.jpg")
    world.blobs.delete("queued/a.jpg")
    world.clock.advance(60)
    await world.bootstrap()
    await world.process.delivery.take(created)
    assert world.stored_tally().counts()["queued"] == 0


async def test_i4_a_clean_pass_reads_no_rows_and_writes_nothing_but_its_report(world: World) -> None:
    """Equal digests: no scan of the ledger, no HEAD, the tally's version stays."""
    for number in range(30):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    version, ledger = world.stored_tally().version, world.table.entities(PARTITION)
    report = await world.process.reconciler.run()
    assert report.clean
    assert report.listed == 30
    assert world.blobs.heads == 0
    assert world.stored_tally().version == version
    assert world.table.entities(PARTITION) == ledger


async def test_i4_lost_events_are_repaired(world: World) -> None:
    """Lost creations, lost deletions and a container deleted as a whole end at the truth."""
    for number in range(15):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
        await world.process.delivery.take(world.blobs.put(f"input/{number}.jpg"))
    for number in range(5):
        world.blobs.delete(f"queued/{number}.jpg")  # event lost
        world.blobs.put(f"output/{number}.jpg")  # event lost
    world.blobs.delete_container("input")
    world.clock.advance(5)
    report = await world.process.reconciler.run()
    assert report.removed == {"queued": 5, "input": 15}
    assert report.added == {"output": 5}
    assert world.stored_tally().sums == world.truth()
    world.check_rows_and_tally_agree()


async def test_i4_the_right_number_of_the_wrong_names_is_drift(world: World) -> None:
    """Equal counts do not make a clean pass: the digests have to agree."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    world.blobs.delete("queued/a.jpg")
    world.blobs.put("queued/b.jpg")
    world.clock.advance(5)
    report = await world.process.reconciler.run()
    assert not report.clean
    assert (report.added, report.removed) == ({"queued": 1}, {"queued": 1})
    assert world.stored_tally().sums == world.truth()


async def test_i4_a_late_event_does_not_undo_a_repair(world: World) -> None:
    """The event that was late, not lost, arrives after the repair; so does its older sibling."""
    created = world.blobs.put("queued/a.jpg")
    deleted = world.blobs.delete("queued/a.jpg")
    again = world.blobs.put("queued/a.jpg")
    world.clock.advance(5)
    await world.process.reconciler.run()
    for event in (deleted, created, again, deleted):
        await world.process.delivery.take(event)
    assert world.stored_tally().sums == world.truth()
    assert world.stored_tally().counts()["queued"] == 1


async def test_i4_a_failed_listing_changes_nothing(world: World) -> None:
    """No answer is not an empty folder."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    before = world.stored_tally()
    world.blobs.fails = lambda what: what == "list"
    with pytest.raises(OutcomeUnknown):
        await world.process.reconciler.run()
    assert world.stored_tally() == before


async def test_i4_what_is_live_is_left_to_its_events(world: World) -> None:
    """A blob written after the pass began is not corrected by it; its event counts it."""
    event = ""
    pages = world.blobs.pages

    async def pages_while_something_is_uploaded(container: str, prefix: str, token: str = ""):
        nonlocal event
        if container == "output" and not event:
            world.clock.advance(2)
            event = world.blobs.put("output/live.jpg")
        async for page in pages(container, prefix, token):
            yield page

    world.blobs.put("queued/lost.jpg")
    world.clock.advance(5)
    world.blobs.pages = pages_while_something_is_uploaded  # type: ignore[method-assign]
    report = await world.process.reconciler.run()
    assert report.added == {"queued": 1}
    await world.process.delivery.take(event)
    assert world.stored_tally().sums == world.truth()


async def test_the_report_is_kept(world: World) -> None:
    """An operator finds the last run's result in the table."""
    report = await world.process.reconciler.run()
    kept = await world.new_process().reconciler.last_report()
    assert kept is not None
    assert kept["started_at"] == report.started_at
    assert kept["clean"] is True


def during_the_first_look(world: World, step: Callable[[], Awaitable[object]]) -> None:
    """Have something happen in the middle of a comparison: before the first HEAD is answered."""
    head, steps = world.blobs.head, [step]

    async def head_with_a_step(container: str, name: str) -> Head:
        if steps:
            await steps.pop()()
        return await head(container, name)

    world.blobs.head = head_with_a_step  # type: ignore[method-assign]


async def test_a_second_process_leaves_it_to_the_first(world: World) -> None:
    """While one reconciles the other refuses, and says who is at it; the timer takes that calmly."""
    world.blobs.put("queued/a.jpg")
    world.clock.advance(5)
    other = world.new_process()

    async def try_too() -> None:
        with pytest.raises(AlreadyRunning, match="running in"):
            await other.reconciler.run()
        await other.reconciler.run_scheduled(60)

    during_the_first_look(world, try_too)
    assert (await world.process.reconciler.run()).added == {"queued": 1}


async def test_two_processes_reconcile_at_once(world: World) -> None:
    """Correctness leans on no lease: two runs at the same time end at the truth, once."""
    for number in range(40):
        world.blobs.put(f"queued/{number}.jpg")
    world.clock.advance(5)
    other = world.new_process()

    async def overtake() -> None:
        world.clock.advance(61)  # the lease is over, and its holder does not know
        assert (await other.reconciler.run(full=True)).corrected > 20

    during_the_first_look(world, overtake)
    with pytest.raises(AlreadyRunning):
        await world.process.reconciler.run()
    assert world.stored_tally().sums["queued"] == world.truth()["queued"] != Sum()
    world.check_rows_and_tally_agree()


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def killed_at(world: World, page_number: int) -> list[str]:
    """Have the process die when it has been given this page. Returns where the record of pages begins."""
    pages, listed = world.blobs.pages, []

    async def recorded(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            listed.append(f"{container}/{page.names[0]}" if page.names else f"{container}/")
            if len(listed) == page_number:
                raise Killed
            yield page

    world.blobs.pages = recorded  # type: ignore[method-assign]
    return listed


@pytest.mark.parametrize("page_number", range(1, 9))
async def test_a_killed_pass_lists_at_most_one_page_twice(world: World, page_number: int) -> None:
    """A clean pass over eight pages, killed at any of them, goes on where it was."""
    for folder, blobs in (("queued", 45), ("input", 15), ("output", 5)):
        for number in range(blobs):
            await world.process.delivery.take(world.blobs.put(f"{folder}/{number:02}.jpg"))
    listed = killed_at(world, page_number)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert (report.clean, report.listed, report.slices) == (True, 65, 1 if page_number == 1 else 2)
    assert len(listed) - len(set(listed)) <= 1
    assert len(set(listed)) == 8


@pytest.mark.parametrize("page_number", range(9, 18, 2))
async def test_i4_a_comparison_that_is_killed_goes_on(world: World, page_number: int) -> None:
    """Drift of every kind, the process killed in the second listing: another one goes on and repairs all of it."""
    for number in range(65):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    for number in range(0, 65, 5):
        world.blobs.delete(f"queued/{number:02}.jpg")  # event lost
        world.blobs.put(f"queued/{number:02}-new.jpg")  # event lost
    world.clock.advance(5)
    listed = killed_at(world, page_number)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)
    report = await world.new_process().reconciler.run()
    assert world.stored_tally().sums == world.truth()
    assert (report.added, report.removed) == ({"queued": 13}, {"queued": 13})
    assert len(listed) <= 2 * len(set(listed)) + 1


async def test_a_slice_ends_in_time_and_the_next_one_goes_on(world: World) -> None:
    """A run that may not take longer than its slice is done in several, and lists nothing twice."""
    for number in range(95):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    pages, before = world.blobs.pages, world.blobs.listed_pages

    async def slow(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            world.clock.advance(4)
            yield page

    world.blobs.pages = slow  # type: ignore[method-assign]
    slices = 0
    while not (report := await world.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
    assert report.clean
    assert report.slices == slices + 1 > 3
    assert report.listed == 95
    assert world.blobs.listed_pages - before == 10 + 2


async def test_an_unfinished_run_of_yesterday_is_not_resumed(world: World) -> None:
    """What changed since its start would be left alone, for a day."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    killed_at(world, 2)
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(90_000)
    assert (await world.new_process().reconciler.run()).slices == 1


async def test_a_refused_token_begins_anew(world: World) -> None:
    """A continuation token that storage does not take any more does not stop reconciliation for ever."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    killed_at(world, 2)
    pages = world.blobs.pages
    with pytest.raises(Killed):
        await world.process.reconciler.run()
    world.clock.advance(61)

    async def refusing(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        if token:
            raise Refused("400 OutOfRangeQueryParameterValue")
        async for page in pages(container, prefix, token):
            yield page

    world.blobs.pages = refusing  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await world.process.reconciler.run()
    assert (await world.process.reconciler.run()).clean


async def test_an_event_on_its_way_is_not_drift(world: World) -> None:
    """What was uploaded and deleted a moment ago is given the time to be delivered: the pass ends clean."""
    await world.process.delivery.take(world.blobs.put("queued/old.jpg"))
    on_their_way = [world.blobs.put("queued/new.jpg"), world.blobs.delete("queued/old.jpg")]
    sleep = world.clock.sleep

    async def deliver_meanwhile(seconds: float) -> None:
        await sleep(seconds)
        while on_their_way:
            await world.process.delivery.take(on_their_way.pop())

    world.clock.sleep = deliver_meanwhile  # type: ignore[method-assign]
    report = await world.process.reconciler.run()
    assert report.clean
    assert world.blobs.heads == 0


async def test_a_deletion_during_the_pass_is_left_to_its_event(world: World) -> None:
    """A blob that goes while the pass runs is not called drift when its event arrives within the grace."""
    for number in range(12):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    world.blobs.put("output/lost.jpg")  # makes the pass compare
    world.clock.advance(60)
    sleep, event = world.clock.sleep, ""

    async def delete() -> None:
        nonlocal event
        event = world.blobs.delete("output/lost.jpg")

    async def deliver_meanwhile(seconds: float) -> None:
        await sleep(seconds)
        if event and seconds == 5.0:
            await world.process.delivery.take(event)

    world.clock.sleep = deliver_meanwhile  # type: ignore[method-assign]
    pages, listings = world.blobs.pages, 0

    async def with_a_deletion(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        nonlocal event, listings
        listings += container == "queued" and not token
        if listings == 2 and not event:
            event = world.blobs.delete("queued/05.jpg")
        async for page in pages(container, prefix, token):
            yield page

    world.blobs.pages = with_a_deletion  # type: ignore[method-assign]
    report = await world.process.reconciler.run()
    assert (report.added, report.removed) == ({"output": 1}, {})
    assert world.stored_tally().sums == world.truth()


async def test_i4_a_vanished_container_is_reported(world: World) -> None:
    """A container deleted with its blobs is believed, and said aloud; one that never existed is not."""
    for number in range(3):
        await world.process.delivery.take(world.blobs.put(f"input/{number}.jpg"))
    world.blobs.delete_container("input")
    world.blobs.delete_container("output")
    world.clock.advance(5)
    report = await world.process.reconciler.run()
    assert (report.removed, report.vanished) == ({"input": 3}, ["input"])
    assert (await world.process.reconciler.run()).vanished == []


async def test_a_full_run_looks_at_every_name(world: World) -> None:
    """Asked to, a run compares name by name although the digests agree, and says what it is doing."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    seen: list[Progress] = []
    report = await world.process.reconciler.run(full=True, on_progress=seen.append)
    assert (report.corrected, report.listed, report.clean) == (0, 25, False)
    assert seen[0].stage == "scanning the ledger"
    assert Progress("comparing", 25, 25) in seen


async def test_verify_changes_nothing(world: World) -> None:
    """What a run would correct is counted, and neither the ledger nor the reconciler's rows change."""
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    await world.process.delivery.take(world.blobs.put("queued/b.jpg"))
    world.blobs.delete("queued/a.jpg")
    world.blobs.put("output/c.jpg")
    world.clock.advance(5)
    written = world.table.entities_written
    report = await world.process.reconciler.verify()
    assert (report.added, report.removed, report.clean) == ({"output": 1}, {"queued": 1}, False)
    assert world.table.entities_written == written
    await world.process.reconciler.run()
    assert (await world.process.reconciler.verify()).clean


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


async def test_tombstones_go_after_the_horizon_and_not_before(world: World) -> None:
    """A deleted name's row is kept for 14 days and one more; afterwards an event of that age is looked at."""
    created = world.blobs.put("queued/a.jpg")
    deleted = world.blobs.delete("queued/a.jpg")
    for event in (deleted, created):
        await world.process.delivery.take(event)
    await world.process.delivery.take(world.blobs.put("queued/b.jpg"))
    for days, rows in ((13, 2), (1, 2), (1.5, 1)):
        world.clock.advance(days * 86_400)
        await world.process.reconciler.run()
        assert len(world.stored_rows()) == rows
    assert world.blobs.heads == 0
    await world.new_process().delivery.take(created)
    assert world.blobs.heads == 1
    assert world.stored_tally().sums == world.truth()


async def test_a_tombstone_that_changes_while_it_is_collected_stays(world: World) -> None:
    """Collection is conditional: a name that comes back in that moment keeps its row."""
    for number in range(4):
        world.blobs.put(f"queued/{number}.jpg")
        await world.process.delivery.take(world.blobs.delete(f"queued/{number}.jpg"))
    world.clock.advance(16 * 86_400)
    commit, again = world.table.commit, world.blobs.put("queued/2.jpg")

    async def commit_after_an_event(partition: str, writes: Sequence[Write]) -> list[str]:
        if any(write.properties is None for write in writes):
            world.table.commit = commit  # type: ignore[method-assign]
            await world.process.delivery.take(again)
        return await commit(partition, writes)

    world.table.commit = commit_after_an_event  # type: ignore[method-assign]
    collected = [dropped async for dropped, _ in collect(world.table, PARTITION, world.clock.now())]
    assert collected == [3]
    assert [row.path for row in world.stored_rows()] == ["queued/2.jpg"]
    assert world.stored_tally().sums == world.truth()


async def test_verify_before_the_first_run_writes_nothing() -> None:
    """Nothing is counted yet, so everything is missing; the table stays as it is."""
    world = World()
    world.blobs.put("queued/a.jpg")
    report = await world.process.reconciler.verify()
    assert (report.added, report.clean) == ({"queued": 1}, False)
    assert world.table.entities_written == 0


async def test_a_cancelled_run_gives_its_lease_back(world: World) -> None:
    """An operator's Ctrl-C keeps nobody waiting, and the next run goes on."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    pages, given = world.blobs.pages, 0

    async def endless(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        nonlocal given
        async for page in pages(container, prefix, token):
            given += 1
            if given == 2:
                await asyncio.Event().wait()
            yield page

    world.blobs.pages = endless  # type: ignore[method-assign]
    running = asyncio.create_task(world.process.reconciler.run())
    while given < 2:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    report = await world.new_process().reconciler.run()
    assert (report.clean, report.slices) == (True, 2)


async def test_i4_a_late_event_of_a_container_that_is_gone_is_looked_at(world: World) -> None:
    """Created, its event delayed, the container deleted, a clean reconciliation; then the event comes: not counted."""
    event = world.blobs.put("queued/a.jpg")
    world.blobs.delete_container("queued")
    world.clock.advance(400)
    assert (await world.process.reconciler.run()).clean
    await world.process.delivery.take(event)
    assert world.stored_tally().sums == world.truth()


@pytest.mark.parametrize("bootstrap", [True, False])
async def test_a_row_that_storage_refuses_does_not_stop_the_others(bootstrap: bool) -> None:
    """One blob whose row cannot be stored is noted; all others are counted, and the account becomes ready."""
    world = World()
    if not bootstrap:
        await world.bootstrap()
    for number in range(25):
        world.blobs.put(f"queued/{number}.jpg")
    commit = world.table.commit

    async def refusing(partition: str, writes: Sequence[Write]) -> list[str]:
        if any((write.properties or {}).get("path") == "queued/7.jpg" for write in writes):
            raise Rejected("400 InvalidInput")
        return await commit(partition, writes)

    world.table.commit = refusing  # type: ignore[method-assign]
    world.clock.advance(5)
    report = await world.process.reconciler.run()
    assert (report.added, report.refused) == ({"queued": 24}, 1)
    assert world.stored_tally().ready


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a ledger of a hundred rows compared in several ranges (a page of the fake's scan is 100 rows)."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 30)


async def drift(world: World) -> None:
    """Count 100 blobs, and lose the events of 20 deletions and 15 creations."""
    for number in range(100):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:03}.jpg"))
    for number in range(0, 100, 5):
        world.blobs.delete(f"queued/{number:03}.jpg")
    for number in range(15):
        world.blobs.put(f"output/{number}.jpg")
    world.clock.advance(5)


@pytest.mark.usefixtures("small_ranges")
async def test_i4_a_large_ledger_is_compared_range_by_range(world: World) -> None:
    """What is held at once is bounded: each range of row keys is compared with a listing of its own."""
    await drift(world)
    report = await world.process.reconciler.run()
    assert (report.removed, report.added, report.listed) == ({"queued": 20}, {"output": 15}, 95)
    assert world.stored_tally().sums == world.truth()
    world.check_rows_and_tally_agree()
    assert world.blobs.heads == 35


@pytest.mark.usefixtures("small_ranges")
async def test_i4_ranges_are_resumed(world: World) -> None:
    """Slices so short that a run takes many, through several ranges: each gets on, and the end is exact."""
    await drift(world)
    pages = world.blobs.pages

    async def slow(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            world.clock.advance(4)
            yield page

    world.blobs.pages = slow  # type: ignore[method-assign]
    slices = 1
    while not (report := await world.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
        assert slices < 100
    assert slices > 10
    assert (report.removed, report.added) == ({"queued": 20}, {"output": 15})
    assert world.stored_tally().sums == world.truth()


@pytest.mark.usefixtures("small_ranges")
async def test_a_directory_is_compared_range_by_range_too(world: World) -> None:
    """The same for a prefix, without a checkpoint."""
    await drift(world)
    report = await world.process.reconciler.run_prefix("queued", "")
    assert report.removed == {"queued": 20}
    assert (await world.process.reconciler.verify()).added == {"output": 15}


async def test_a_full_run_does_the_marked_directories_too(world: World) -> None:
    """A directory that is too large for its own run is reconciled, and unmarked, by the next run over everything."""
    await world.process.delivery.take(world.blobs.put("queued/case-1/a.jpg"))
    world.blobs.delete("queued/case-1/a.jpg")
    world.blobs.fails = lambda what: what == "list"
    await world.process.delivery.take(directory_event("DirectoryDeleted", "queued/case-1"))
    world.blobs.fails = lambda _: False
    world.clock.advance(5)
    await world.process.reconciler.run()
    assert world.stored_tally().sums == world.truth()
    assert await world.process.reconciler._marks.all() == []
