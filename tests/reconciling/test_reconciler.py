"""Reconciliation: bootstrap, clean passes, every kind of drift, live traffic."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from shared.azure.heads import answer_date
from shared.errors import CountsNotReady, OutcomeUnknown, Refused, Rejected
from shared.model.changes import BlobChange
from shared.model.ledger import row_key
from shared.model.ports import Entity, Page, Write
from shared.reconciling.lease import CONTROL_PARTITION, AlreadyRunning, Lease
from shared.reconciling.report import Progress, Report, publish
from shared.writing.cache import Remembered
from shared.writing.tally_row import PARTITION
from tests.fakes.memory_blobs import SkewedClock
from tests.fakes.world import World
from tests.reconciling.listings import Killed, between_pages, killed_at, slow_down


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
    assert (report.looks, world.blobs.heads) == (25, 25)
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


async def test_a_first_run_that_is_refused_is_not_said_to_be_running(caplog: pytest.LogCaptureFixture) -> None:
    """The log names status, code and what to do; who asks for the counts is not told that all goes well."""
    world = World()
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))

    async def refused(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        del container, prefix, token
        raise Refused("Blob Storage answered 400 InvalidHeaderValue: too new", 400)
        yield Page([], world.clock.now(), "")

    world.blobs.pages = refused  # type: ignore[method-assign]
    with pytest.raises(Refused):
        await world.process.reconciler.run_scheduled(60)
    assert "not completed: Blob Storage answered 400 InvalidHeaderValue: too new; storage does not take" in caplog.text
    with pytest.raises(CountsNotReady) as not_ready:
        await world.new_process().watch.latest()
    assert "running" not in str(not_ready.value)
    assert "the app's log says" in str(not_ready.value)


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


@pytest.mark.parametrize("edited", ["", "edited", "{", "[]", "7", "null", '"x"', "[" * 30_000, 7, True])
async def test_what_is_no_report_is_none(world: World, edited: str | int) -> None:
    """Somebody has edited the row: the health report and an operator are told that there is none."""
    (stored,) = world.table.entities(CONTROL_PARTITION).values()
    properties = {**stored.properties, "report": edited}
    await world.table.commit(CONTROL_PARTITION, [Write(stored.row_key, properties, stored.etag)])
    assert await world.process.reconciler.health() == {"last_reconciliation": None}


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
    report = await world.process.reconciler.run(full=True)
    assert (report.added, report.removed) == ({"output": 1}, {})
    assert world.stored_tally().sums == world.truth()


@pytest.mark.parametrize("happens", ["its event comes", "its row is deleted by hand"])
async def test_what_is_settled_before_its_look_is_not_looked_at(world: World, happens: str) -> None:
    """A name that no listing has any more: when its row is read for the look, it says so itself, or is gone."""
    await world.process.delivery.take(world.blobs.put("queued/gone.jpg"))
    world.clock.advance(60)
    event = world.blobs.delete("queued/gone.jpg")
    process = world.new_process()
    read_row = process.writer.read_row

    async def after_that(path: str) -> Remembered:
        if happens == "its event comes":
            await world.process.delivery.take(event)
        else:
            del world.table.state.partitions[PARTITION][row_key(path)]
        return await read_row(path)

    process.writer.read_row = after_that  # type: ignore[method-assign]
    report = await process.reconciler.run(full=True)
    assert (report.finished, report.looks, report.removed) == (True, 0, {})


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


async def test_i4_a_folder_that_lists_nothing_any_more_is_reported(world: World) -> None:
    """Its container is there, and all that was counted in it is gone: somebody should know."""
    for path in ("queued/a.jpg", "queued/b.jpg", "input/c.jpg"):
        await world.process.delivery.take(world.blobs.put(path))
    for path in ("queued/a.jpg", "input/c.jpg"):
        world.blobs.delete(path)  # event lost
    world.clock.advance(60)
    report = await world.process.reconciler.run()
    assert (report.removed, report.vanished) == ({"queued": 1, "input": 1}, ["input"])
    assert (await world.process.reconciler.run()).vanished == []


@pytest.mark.parametrize(("path", "folder"), [("queued/readme.txt", "queued"), ("elsewhere/a.jpg", "input")])
async def test_i4_a_row_of_a_name_that_does_not_count_leaves_its_folder(world: World, path: str, folder: str) -> None:
    """The blob is there, and by the settings of this process it counts nowhere."""
    world.blobs.put(path)
    container, _, name = path.partition("/")
    await world.process.writer.apply(BlobChange(container, name, True, "1".zfill(48), world.clock.now()), folder)
    assert world.stored_tally().counts()[folder] == 1
    world.clock.advance(60)
    report = await world.process.reconciler.run()
    assert (report.removed, report.looks) == ({folder: 1}, 1)
    assert world.stored_tally().sums == world.truth()


async def test_i4_a_row_in_another_folder_than_its_name_s_is_moved(world: World) -> None:
    """Once, in the count of both folders."""
    world.blobs.put("queued/a.jpg")
    await world.process.writer.apply(
        BlobChange("queued", "a.jpg", True, "1".zfill(48), world.clock.now(), world.blobs.blobs["queued/a.jpg"][0]),
        "output",
    )
    world.clock.advance(60)
    await world.process.reconciler.run()
    assert world.stored_tally().sums == world.truth()
    world.check_rows_and_tally_agree()


async def test_i4_a_first_run_finds_nothing_and_knows_since_when() -> None:
    """An older event may be of what was deleted with its container: the answer that says so has a date as well."""
    world = World()
    created = world.blobs.put("queued/a.jpg")
    for container in ("queued", "input", "output"):
        world.blobs.delete_container(container)
    world.clock.advance(60)
    await world.process.reconciler.run()
    assert world.stored_tally().known_since == world.clock.now().replace(microsecond=0)
    await world.process.delivery.take(created)
    assert world.stored_tally().counts()["queued"] == 0


async def test_a_full_run_looks_at_every_name(world: World) -> None:
    """Asked to, a run compares name by name although the digests agree, and says what it is doing."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    seen: list[Progress] = []
    report = await world.process.reconciler.run(full=True, on_progress=seen.append)
    assert (report.corrected, report.listed, report.clean) == (0, 25, False)
    assert seen[0] == Progress("scanning the ledger", 25, 25)
    assert Progress("comparing", 25, 25) in seen


async def test_i4_what_changes_while_the_rows_are_read_is_left_to_its_event(world: World) -> None:
    """A full run asks for the storage service's time before it reads a row, not with the first page that it lists."""
    scan, is_read = world.table.scan, False

    async def slow(partition: str, select: Sequence[str], **options: Any) -> AsyncIterator[list[Entity]]:
        nonlocal is_read
        async for page in scan(partition, select, **options):
            yield page
        if not is_read:
            is_read = True
            world.clock.advance(5)
            world.blobs.put("queued/new.jpg")
            world.clock.advance(5)

    world.clock.advance(60)
    world.table.scan = slow  # type: ignore[method-assign]
    report = await world.process.reconciler.run(full=True)
    assert (is_read, report.listed, report.added) == (True, 1, {})


async def test_i4_what_changes_while_it_is_listed_is_left_to_its_event(world: World) -> None:
    """Live is what changed since the first page, not since the last one."""
    world.blobs.put("queued/lost.jpg")
    world.clock.advance(60)

    async def upload() -> None:
        world.clock.advance(5)
        world.blobs.put("output/new.jpg")
        world.clock.advance(5)

    between_pages(world, "queued", upload)
    assert (await world.process.reconciler.run()).added == {"queued": 1}


async def test_a_run_says_how_far_it_is(world: World) -> None:
    """In names that were listed, of as many as are counted; a first run does not know of how many."""
    seen: list[Progress] = []
    new = World()
    for number in range(25):
        new.blobs.put(f"queued/{number:02}.jpg")
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    await world.process.reconciler.run(on_progress=seen.append)
    assert seen == [Progress("listing", done, 25) for done in (10, 20, 25, 25)]
    seen.clear()
    await new.process.reconciler.run(on_progress=seen.append)
    assert {each.expected for each in seen} == {None}
    assert [each.done for each in seen if each.stage == "comparing"] == [10, 20, 25, 25]


async def test_a_page_is_checkpointed_once(world: World) -> None:
    """One write a page but the last, and two for the lease: taken, and given back with the report."""
    for number in range(45):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    commits = world.table.commits
    await world.process.reconciler.run()
    assert world.table.commits - commits == 6 + 2


async def test_a_report_says_how_long_it_worked(world: World) -> None:
    """To a millisecond, all slices together, without the time between them."""
    slow_down(world, 4.0006)
    report = await world.process.reconciler.run()
    assert (report.slices, report.duration_seconds) == (1, 12.002)
    while not (report := await world.new_process().reconciler.run(slice_seconds=3.0)).finished:
        world.clock.advance(60)
    assert report.slices == 3
    assert report.duration_seconds == pytest.approx(12.0018, abs=0.002)


@pytest.mark.parametrize("is_resumed", [True, False])
async def test_a_first_run_adds_no_rows_up(is_resumed: bool) -> None:
    """An event that moves the tally meanwhile is no reason to doubt it: the run itself has made it."""
    world = World()
    for number in range(25):
        world.blobs.put(f"queued/{number:02}.jpg")
    if is_resumed:
        killed_at(world, 2)
        with pytest.raises(Killed):
            await world.process.reconciler.run()
        world.clock.advance(61)
    pages, stages = world.blobs.pages, set[str]()

    async def and_an_upload(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            yield page
        if container == "output":
            await world.process.delivery.take(world.blobs.put("queued/new.jpg"))

    world.blobs.pages = and_an_upload  # type: ignore[method-assign]
    reconciler = world.new_process().reconciler
    report = await reconciler.run(on_progress=lambda progress: stages.add(progress.stage))
    assert (report.bootstrap, report.resumed) == (True, is_resumed)
    assert "auditing the tally" not in stages
    assert world.stored_tally().sums == world.truth()


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


async def test_verify_says_how_far_it_is(world: World) -> None:
    """In names that were compared, of as many as are counted."""
    for number in range(25):
        await world.process.delivery.take(world.blobs.put(f"queued/{number}.jpg"))
    seen: list[Progress] = []
    await world.process.reconciler.verify(on_progress=seen.append)
    assert [each for each in seen if each.stage == "comparing"][:3] == [
        Progress("comparing", 10, 25),
        Progress("comparing", 20, 25),
        Progress("comparing", 25, 25),
    ]


def test_a_new_report_says_nothing() -> None:
    """Whatever is not found is not in it, and it calls nothing exact."""
    report = Report("now")
    assert {name: value for name, value in asdict(report).items() if value} == {"started_at": "now", "slices": 1}
    assert (report.corrected, report.is_exact, report.resumed) == (0, False, False)


async def test_verify_before_the_first_run_writes_nothing() -> None:
    """Nothing is counted yet, so everything is missing; the table stays as it is."""
    world = World()
    world.blobs.put("queued/a.jpg")
    report = await world.process.reconciler.verify()
    assert (report.added, report.clean) == ({"queued": 1}, False)
    assert world.table.entities_written == 0


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


@pytest.mark.parametrize("when", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-01-01T00:07:00Z"])
@pytest.mark.parametrize("full", [False, True])
async def test_i4_a_time_ahead_of_every_clock_makes_nothing_live_for_ever(
    world: World, when: str, *, full: bool
) -> None:
    """An event of 2099 is looked at; a row that an earlier version has written with such a time is repaired."""
    event = json.loads(world.blobs.put("queued/a.jpg"))
    await world.process.delivery.take(json.dumps({**event, "eventTime": when}))
    await world.process.delivery.take(world.blobs.put("queued/b.jpg"))
    key = row_key("queued/b.jpg")
    entity = world.table.entities(PARTITION)[key]
    await world.table.commit(PARTITION, [Write(key, {**entity.properties, "event_time": when}, entity.etag)])
    for path in ("queued/a.jpg", "queued/b.jpg"):
        world.blobs.delete(path)  # event lost
    world.clock.advance(10)
    report = await world.process.reconciler.run(full=full)
    assert report.removed == {"queued": 2}
    assert world.stored_tally().sums == world.truth()


@pytest.mark.parametrize(
    ("lie", "disputed"),
    [("a name that nobody has", 1), ("a blob left out", 1), ("one for another", 1), ("one for three", 2)],
)
async def test_i4_exact_is_never_said_while_listing_and_ledger_hold_other_names(
    world: World, lie: str, disputed: int
) -> None:
    """A listing that a proxy has changed, or a name that is decoded wrongly: no look confirms what differs."""
    for name in ("a", "b", "c"):
        await world.process.delivery.take(world.blobs.put(f"queued/{name}.jpg"))
    world.clock.advance(60)
    list_page = world.blobs.list_page

    def lying(container: str, prefix: str, after: str) -> tuple[list[str], str]:
        names, token = list_page(container, prefix, after)
        if container == "queued":
            names = names if lie == "a name that nobody has" else names[1:]
            names = names if lie == "a blob left out" else [*names, "ghost.jpg"]
            names = names[2:] if lie == "one for three" else names
        return names, token

    world.blobs.list_page = lying  # type: ignore[method-assign]
    for report in (await world.process.reconciler.run(), await world.process.reconciler.verify()):
        assert report.disputed == disputed
        assert not report.clean
        assert report.corrected == 0
    world.blobs.list_page = list_page  # type: ignore[method-assign]
    assert (await world.process.reconciler.verify()).clean
    assert world.stored_tally().sums == world.truth()


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (Report("now"), [(logging.INFO, "reconciled: ")]),
        (Report("now", added={"queued": 1}), [(logging.WARNING, "reconciled: ")]),
        (Report("now", added={"queued": 1}, bootstrap=True), [(logging.INFO, "reconciled: ")]),
        (
            Report("now", vanished=["input", "output"]),
            [(logging.INFO, "reconciled: "), (logging.ERROR, "nothing is left of input, output: ")],
        ),
        (
            Report("now", disputed=3),
            [(logging.INFO, "reconciled: "), (logging.ERROR, "listing and ledger differ by 3 names")],
        ),
    ],
)
def test_what_the_log_says_of_a_report(
    caplog: pytest.LogCaptureFixture, report: Report, said: list[tuple[int, str]]
) -> None:
    """Alerts and operators read these lines: drift is a warning, what nobody can repair an error."""
    caplog.set_level(logging.INFO)
    publish(report)
    assert [record.levelno for record in caplog.records] == [level for level, _ in said]
    for record, (_, start) in zip(caplog.records, said, strict=True):
        assert record.getMessage().startswith(start)


async def test_a_lease_is_renewed_when_half_of_it_is_over(world: World) -> None:
    """Not at each step, which would be a write each, and before somebody else may take it."""
    lease = Lease(world.table, world.clock, 60.0, {})
    await lease.take()
    run = world.process.reconciler._new_run(await world.process.counts.open(), full=True)
    before = world.table.commits
    for seconds, commits in ((0, 0), (29, 0), (2, 1), (29, 1), (2, 2)):
        world.clock.advance(seconds)
        await lease.keep(run)
        assert world.table.commits - before == commits


@pytest.mark.parametrize("renews", [False, True])
async def test_a_lease_of_a_clock_that_is_ahead_is_over_when_it_was_seen_for_long_enough(
    world: World, renews: bool
) -> None:
    """An hour ahead, and dead: the process that waits has seen the row unchanged for as long as a lease lasts."""
    theirs = Lease(world.table, SkewedClock(world.clock, 3600.0), 60.0, {})
    await theirs.take()
    run = world.process.reconciler._new_run(await world.process.counts.open(), full=True)
    ours = Lease(world.table, world.clock, 60.0, {})
    for seconds in (0, 59):
        world.clock.advance(seconds)
        with pytest.raises(AlreadyRunning):
            await ours.take()
    if renews:
        await theirs.save(run)
    world.clock.advance(1)
    with pytest.raises(AlreadyRunning) if renews else nullcontext():
        await ours.take()


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "yesterday"}])
def test_i4_an_answer_without_a_date_places_nothing_in_time(headers: dict[str, str]) -> None:
    """Our own clock does not stand in for the service's: the outcome is unknown."""
    with pytest.raises(OutcomeUnknown, match="Date"):
        answer_date(SimpleNamespace(headers=headers))
