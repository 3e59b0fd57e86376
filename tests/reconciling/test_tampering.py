"""I4 for what the app itself never does: rows and tally changed by somebody else, so that they disagree.

A table restored in part, a script, a hand in Storage Explorer. Events and looks only say what a blob's row should be;
that the tally is not the sum of its rows shows when the rows are all right and the listing still adds up differently.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from shared.errors import StorageError
from shared.model.ledger import Properties, Row, row_key, to_properties
from shared.model.ports import Entity, Page, Write
from shared.reconciling import comparison
from shared.reconciling.report import OnProgress
from shared.reconciling.run import Stage
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes import memory_table
from tests.fakes.world import Process, World
from tests.reconciling.listings import slow_down

BLOBS = 20


@pytest.fixture
async def filled(world: World) -> World:
    """Count 20 blobs."""
    for number in range(BLOBS):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:02}.jpg"))
    world.clock.advance(60)
    return world


async def edit(world: World, key: str, **changes: object) -> None:
    """Change an entity as anybody with the account's key could."""
    entity = world.table.entities(PARTITION)[key]
    properties: Properties = {**entity.properties, **changes}  # type: ignore[dict-item]
    await world.table.commit(PARTITION, [Write(key, properties, entity.etag)])


async def miscount(world: World) -> None:
    """Have the tally count five too many."""
    await edit(world, TALLY_KEY, queued_count=BLOBS + 5)


async def test_i4_a_tally_that_counts_too_many_is_corrected(filled: World) -> None:
    """Without a look at any blob; clients learn of it; the next pass is clean."""
    await miscount(filled)
    before = filled.stored_tally()
    report = await filled.process.reconciler.run()
    assert (report.miscounted, report.corrected, report.added, report.removed) == ({"queued": 5}, 1, {}, {})
    after = filled.stored_tally()
    assert after.sums == filled.truth()
    assert after.version != before.version
    assert (after.doubt != before.doubt, after.known_since > before.known_since) == (True, True)
    assert filled.blobs.heads == 0
    assert (await filled.process.reconciler.run()).clean


async def test_i4_a_wrong_digest_is_corrected_and_wakes_nobody(filled: World) -> None:
    """The counts are right, only the names are others: what clients see is the same, and so is its version."""
    await edit(filled, TALLY_KEY, queued_digest="0" * 32)
    before = filled.stored_tally()
    report = await filled.process.reconciler.run()
    assert report.miscounted == {"queued": 0}
    assert (filled.stored_tally().sums, filled.stored_tally().version) == (filled.truth(), before.version)


async def test_i4_a_row_that_somebody_has_deleted_comes_back_and_counts_once(filled: World) -> None:
    """The tally knew of it: committed as a new row it counts twice, until the same run has compared once more.

    The tally is right, so only a full run notices.
    """
    key = row_key("queued/07.jpg")
    await filled.table.commit(PARTITION, [Write(key, None, filled.table.entities(PARTITION)[key].etag)])
    report = await filled.process.reconciler.run(full=True)
    assert (report.added, report.miscounted, report.listed) == ({"queued": 1}, {"queued": 1}, BLOBS)
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()


async def test_i4_a_row_that_somebody_has_switched_is_switched_back(filled: World) -> None:
    """Present and absent, both ways."""
    filled.blobs.delete("queued/00.jpg")
    await filled.process.reconciler.run()
    await edit(filled, row_key("queued/00.jpg"), present=True)
    await edit(filled, row_key("queued/07.jpg"), present=False)
    await edit(filled, row_key("queued/08.jpg"), present=False)
    filled.clock.advance(60)
    await filled.process.reconciler.run(full=True)
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()


async def put_back(world: World, tally: Entity) -> None:
    """Put the tally back as it was, sketch and all."""
    now = world.table.entities(PARTITION)[TALLY_KEY]
    await world.table.commit(PARTITION, [Write(TALLY_KEY, dict(tally.properties), now.etag)])


def with_uploads(world: World, coming: list[str], stage: str) -> OnProgress:
    """Have a blob come with each page that is read in this stage. Returns what is to be told the stage."""
    pages, scan, stages = world.blobs.pages, world.table.scan, ["listing"]

    async def deliver() -> None:
        if coming and stages[-1] == stage:
            await world.new_process().delivery.take(world.blobs.put(coming.pop()))

    async def listed(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            await deliver()
            yield page

    async def scanned(*args: Any, **options: Any) -> AsyncIterator[list[Entity]]:
        async for page in scan(*args, **options):
            yield page
            await deliver()

    world.blobs.pages, world.table.scan = listed, scanned  # type: ignore[method-assign, assignment]
    return lambda progress: stages.append(progress.stage)


@pytest.mark.parametrize("seed", range(30))
async def test_i4_a_tally_that_was_put_back_as_it_was_is_corrected(filled: World, seed: int) -> None:
    """Its sketch is as old as its sums, so the two agree; what came, went or was lost since is right after one run."""
    random, deliver, old = Random(seed), filled.process.delivery.take, filled.table.entities(PARTITION)[TALLY_KEY]
    await deliver(filled.blobs.put("output/one at least.jpg"))
    for number in random.sample(range(BLOBS), random.randrange(BLOBS)):
        name = f"queued/{number:02}.jpg"
        event = filled.blobs.delete(name) if random.random() < 0.5 else filled.blobs.put(f"input/{number}.jpg")
        if random.random() < 0.7:
            await deliver(event)
    filled.clock.advance(60)
    await put_back(filled, old)
    await filled.new_process().reconciler.run()
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()


async def test_i4_a_row_that_changes_before_the_tally_is_read_again_contradicts_nothing(filled: World) -> None:
    """A late event is committed after the tally was read and before its row is: by the next look at it they agree."""
    filled.process.reconciler._parts = replace(filled.process.reconciler._parts, grace_seconds=0.0)
    late = filled.blobs.put("queued/late.jpg")
    filled.clock.advance(60)
    read = filled.table.read

    async def and_the_event(partition: str, key: str, select: Sequence[str] | None = None) -> Entity | None:
        nonlocal late
        if key == row_key("queued/late.jpg") and late:
            event, late = late, ""
            await filled.new_process().delivery.take(event)
        return await read(partition, key, select)

    filled.table.read = and_the_event  # type: ignore[method-assign]
    report = await filled.process.reconciler.run()
    assert (report.miscounted, report.disputed, report.capacity > 0) == ({}, 0, True)
    assert filled.stored_tally().sums == filled.truth()


async def test_i4_events_before_the_audit_do_not_keep_it_from_being_made(filled: World) -> None:
    """One with each page that is listed: what counts is that the tally does not move while its rows are added up."""
    await miscount(filled)
    coming = [f"output/{number}.jpg" for number in range(20)]
    report = await filled.process.reconciler.run(on_progress=with_uploads(filled, coming, Stage.COMPARING))
    assert (report.miscounted, report.disputed, len(coming) < 20) == ({"queued": 5}, 0, True)
    assert filled.stored_tally().sums == filled.truth()


@pytest.mark.parametrize("how", ["too many", "put back"])
async def test_i4_an_audit_that_is_overtaken_says_so_and_is_made_by_the_next_run(
    filled: World, how: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows may have changed after they were read; that the tally is wrong is known, and an error in the log."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    old = filled.table.entities(PARTITION)[TALLY_KEY]
    await filled.process.delivery.take(filled.blobs.put("input/new.jpg"))
    filled.clock.advance(60)
    await (miscount(filled) if how == "too many" else put_back(filled, old))
    coming = ["output/new.jpg"]
    report = await filled.process.reconciler.run(on_progress=with_uploads(filled, coming, Stage.AUDITING))
    assert (coming, report.miscounted, report.corrected, report.disputed > 0) == ([], {}, 0, True)
    assert "listing and ledger differ" in caplog.text
    filled.clock.advance(60)
    report = await filled.process.reconciler.run()
    assert (bool(report.miscounted), report.disputed) == (True, 0)
    assert filled.stored_tally().sums == filled.truth()


async def test_i4_names_without_an_event_yet_are_not_taken_for_a_wrong_tally(filled: World) -> None:
    """What has just been uploaded is left to its event, also when nothing else differs."""
    filled.blobs.put("queued/new.jpg")
    report = await filled.process.reconciler.run()
    assert (report.miscounted, report.corrected) == ({}, 0)
    filled.check_rows_and_tally_agree()


@pytest.mark.parametrize("rows_at_once", [1, 500])
async def test_i4_a_wrong_tally_is_corrected_in_slices_and_ranges(
    filled: World, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    """Each range is compared with a listing of its own; the sums are of what was compared, whoever compared it."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    await miscount(filled)
    slow_down(filled, 4)
    slices = 1
    while not (report := await filled.new_process().reconciler.run(slice_seconds=10)).finished:
        slices += 1
        assert slices < 100
    assert slices > 1
    assert (report.miscounted, report.listed) == ({"queued": 5}, BLOBS)
    assert filled.stored_tally().sums == filled.truth()


async def test_i4_a_row_in_another_folder_is_put_where_it_belongs(filled: World) -> None:
    """The listing names it, in the folder that it lies in; one that lies in none does not count."""
    await edit(filled, row_key("queued/03.jpg"), folder="output")
    elsewhere = Row("elsewhere/x.jpg", "queued", present=True)
    filled.blobs.put("elsewhere/x.jpg")
    await filled.table.commit(PARTITION, [Write(row_key(elsewhere.path), to_properties(elsewhere), None)])
    filled.clock.advance(60)
    await filled.process.reconciler.run(full=True)
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()
    assert (await filled.process.reconciler.verify()).clean


async def test_i4_a_tally_that_somebody_has_deleted_is_made_of_its_rows(filled: World) -> None:
    """Made anew it is empty, and its rows are not: it is not called ready with what is still missing."""
    await filled.table.commit(PARTITION, [Write(TALLY_KEY, None, filled.table.entities(PARTITION)[TALLY_KEY].etag)])
    report = await filled.new_process().reconciler.run()
    assert (report.bootstrap, report.miscounted) == (True, {"queued": -BLOBS})
    assert filled.stored_tally().sums == filled.truth()


async def without_a_tally(filled: World, uploads: int, monkeypatch: pytest.MonkeyPatch) -> Process:
    """Delete the tally, and have images uploaded during each page of a scan. Returns a new process."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    await filled.table.commit(PARTITION, [Write(TALLY_KEY, None, filled.table.entities(PARTITION)[TALLY_KEY].etag)])
    coming, scan, other = iter(range(uploads)), filled.table.scan, filled.new_process()

    async def scanned(*args: Any, **options: Any) -> AsyncIterator[list[Entity]]:
        async for page in scan(*args, **options):
            for number in itertools.islice(coming, 5):
                await other.delivery.take(filled.blobs.put(f"output/{number}.jpg"))
            yield page

    filled.table.scan = scanned  # type: ignore[method-assign]
    return filled.new_process()


@pytest.mark.parametrize("uploads", [1, 3, 1000])
async def test_i4_traffic_does_not_hide_that_a_tally_was_deleted(
    filled: World, uploads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run is not ready with what is still missing."""
    process = await without_a_tally(filled, uploads, monkeypatch)
    report = await process.reconciler.run()
    assert (report.bootstrap, report.miscounted["queued"]) == (True, -BLOBS)
    assert filled.stored_tally().sums == filled.truth()


async def test_i4_to_verify_a_tally_that_was_deleted_ends_under_traffic(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes nothing, so it need not go on until it is right."""
    process = await without_a_tally(filled, 100_000, monkeypatch)
    await process.counts.open()
    await process.reconciler.verify()
    assert not filled.stored_tally().ready


@pytest.mark.parametrize("uploads", [0, 1, 3])
@pytest.mark.parametrize("slice_seconds", [9, 13, 30])
async def test_i4_a_first_run_in_slices_is_not_ready_with_what_is_still_missing(
    filled: World, slice_seconds: int, uploads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever slice has seen that the tally is new, and however often the audit is overtaken."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 7)
    await filled.table.commit(PARTITION, [Write(TALLY_KEY, None, filled.table.entities(PARTITION)[TALLY_KEY].etag)])
    slow_down(filled, 4)
    coming = [f"output/{number}.jpg" for number in range(uploads)]
    tell = with_uploads(filled, coming, Stage.AUDITING)
    while not (
        report := await filled.new_process().reconciler.run(slice_seconds=slice_seconds, on_progress=tell)
    ).finished:
        assert not filled.stored_tally().ready
    assert (report.bootstrap, coming, filled.stored_tally().sums) == (True, [], filled.truth())


ODD = [None, "", "no", 7, -1, True, False, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "ffff"]


@pytest.mark.parametrize("name", ["owner", "until", "run", "collected_at", "report"])
async def test_i4_a_control_row_that_was_touched_stops_no_reconciliation(filled: World, name: str) -> None:
    """Whatever stands there where a lease, a checkpoint or a report would: the run begins anew."""
    slow_down(filled, 4)
    unfinished = await filled.process.reconciler.run(slice_seconds=1)
    assert not unfinished.finished
    control = {key: entity for key, entity in filled.table.entities("control").items() if name in entity.properties}
    ((key, entity),) = control.items()
    run = json.loads(str(entity.properties["run"]))
    odd_runs = [json.dumps(run | {field: odd}) for field in run for odd in (None, [], {}, "x", -1, [[]])]
    for odd in (*ODD, "[]", "{}", "[" * 5000, "1e999", *(odd_runs if name == "run" else ())):
        properties = {each: value for each, value in entity.properties.items() if each != name}
        state = filled.table.entities("control")[key]
        await filled.table.commit(
            "control", [Write(key, properties | ({name: odd} if odd is not None else {}), state.etag)]
        )
        for _ in range(3):
            with suppress(StorageError):
                await filled.new_process().reconciler.run_scheduled(600)
            filled.clock.advance(3600)
        report = await filled.process.reconciler.last_report()
        assert report is not None
        assert report["finished"], odd


@pytest.mark.parametrize("seed", range(40))
async def test_i4_rows_that_were_touched_are_healed_or_left_alone_and_counts_are_the_truth(
    filled: World, seed: int
) -> None:
    """Properties changed and missing, keys that are none: every run ends with its report, and the end is exact."""
    random = Random(seed)
    filled.blobs.delete("queued/19.jpg")
    filled.blobs.put("output/lost.jpg")
    keys = sorted(filled.table.entities(PARTITION))
    for key in random.sample([key for key in keys if key != TALLY_KEY], 6):
        entity = filled.table.entities(PARTITION)[key]
        properties = {**entity.properties, random.choice([*entity.properties, "observed_at"]): random.choice(ODD)}
        properties = {name: value for name, value in properties.items() if value is not None and random.random() < 0.9}
        await filled.table.commit(PARTITION, [Write(key, properties, entity.etag)])
    for key in random.sample(["zzz", "F" * 32, "0", "!", "g" * 32], 2):
        await filled.table.commit(PARTITION, [Write(key, {"present": True, "path": "queued/odd.jpg"}, None)])
    filled.clock.advance(3600)
    for _ in range(2):  # what one run has put right by a look, the next one adds up
        await filled.process.reconciler.run(full=True)
        filled.clock.advance(90_000)  # a day: rows are collected too
    assert filled.stored_tally().sums == filled.truth()
    for number in range(25):
        path = f"queued/{number:02}.jpg"
        event = filled.blobs.delete(path) if path in filled.blobs.blobs else filled.blobs.put(path)
        await filled.new_process().delivery.take(event)
    assert filled.stored_tally().sums == filled.truth()


async def test_i4_a_row_that_cannot_be_read_is_reported(filled: World) -> None:
    """It counts nothing; whoever has written it should know."""
    await filled.table.commit(PARTITION, [Write("f" * 32, {"present": True, "folder": "queued"}, None)])
    report = await filled.process.reconciler.run(full=True)
    assert report.unreadable == 1
    assert filled.stored_tally().sums == filled.truth()
    assert not (await filled.process.reconciler.verify()).clean


async def test_i9_whatever_ends_a_run_gives_the_lease_back(filled: World) -> None:
    """Also a mistake of ours: the next run goes on at once."""
    pages = filled.blobs.pages

    async def broken(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            yield page
            if container == "output":
                raise ZeroDivisionError

    filled.blobs.pages = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await filled.process.reconciler.run()
    filled.blobs.pages = pages  # type: ignore[method-assign]
    report = await filled.new_process().reconciler.run()
    assert (report.clean, report.slices) == (True, 2)


async def test_verify_tells_a_wrong_tally_and_changes_nothing(filled: World) -> None:
    """``ops verify`` ends with its exit code for differences."""
    await miscount(filled)
    before = filled.table.entities(PARTITION)
    report = await filled.process.reconciler.verify()
    assert (report.miscounted, report.corrected, report.clean) == ({"queued": 5}, 1, False)
    assert filled.table.entities(PARTITION) == before


async def test_i4_a_directory_s_row_that_says_another_folder_is_put_right(filled: World) -> None:
    """The comparison of a directory reads rows by their paths: what folder they name is another matter."""
    path = "queued/case/a.jpg"
    await filled.process.delivery.take(filled.blobs.put(path))
    await edit(filled, row_key(path), folder="output")
    filled.clock.advance(60)
    report = await filled.process.reconciler.run_prefix("queued", "case/")
    assert (report.finished, [row.folder for row in filled.stored_rows() if row.path == path]) == (True, ["queued"])
