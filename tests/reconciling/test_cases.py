"""Cases against their own rows: corrected after a comparison of everything, and never against a live event (I4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from shared.model.cases import ROW_PREFIX, key_of
from shared.model.ledger import TOMBSTONE_HORIZON
from shared.model.ports import Write
from shared.reconciling.report import Progress, Report
from shared.reconciling.run import Stage
from shared.reconciling.tally_audit import correct_cases
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes.world import CASES_MAP, World


async def corrected(world: World, keep_going: Callable[[str, int], Awaitable[None]], *, commit: bool) -> int:
    """Return how many cases were corrected."""
    report = Report("")
    await correct_cases(world.process.reconciler._parts, report, keep_going, commit=commit)
    return report.miscounted_cases


@pytest.fixture
async def world() -> World:
    """Count two cases, and a blob without one."""
    made = await World(folders=CASES_MAP).bootstrap()
    for path in ("queued/a/1.jpg", "queued/a/2.jpg", "output/b/1.jpg", "queued/1.jpg"):
        await made.process.delivery.take(made.blobs.put(path))
    made.clock.advance(60)
    return made


def row(case: str) -> str:
    """Return the row key of a case."""
    return f"{ROW_PREFIX}{key_of(case)}"


def counts(world: World, case: str) -> tuple[object, ...]:
    """Return what stands in a case's row."""
    properties = world.table.entities(PARTITION)[row(case)].properties
    return tuple(properties[f"{folder}_count"] for folder in ("queued", "input", "output"))


@pytest.mark.parametrize(
    "changes",
    [{"queued_count": 7}, {"queued_count": "x"}, {"case": "other"}, {"revision": "x"}, None],
    ids=["a count", "no count", "another case", "no revision", "the row is gone"],
)
async def test_i4_a_case_that_somebody_has_changed_is_put_right(
    world: World, changes: dict[str, object] | None
) -> None:
    """By the next comparison of everything, which says so; the one after it finds nothing."""
    entity = world.table.entities(PARTITION)[row("a")]
    edited = {**entity.properties, **changes} if changes is not None else None
    await world.table.commit(PARTITION, [Write(row("a"), edited, entity.etag)])  # type: ignore[arg-type]
    report = await world.process.reconciler.run(full=True)
    assert (report.miscounted_cases, report.corrected) == (1, 1)
    assert (counts(world, "a"), counts(world, "b")) == ((2, 0, 0), (0, 0, 1))
    assert (await world.process.reconciler.run(full=True)).corrected == 0


@pytest.mark.parametrize("name", ["other", "", None])
async def test_i4_the_row_of_a_case_that_nobody_can_name_is_removed(world: World, name: str | None) -> None:
    """A manual edit of its name, and no blob says what it was: without a row its counts are zero, as they were."""
    await world.process.delivery.take(world.blobs.delete("output/b/1.jpg"))
    world.clock.advance(60)
    entity = world.table.entities(PARTITION)[row("b")]
    edited = {key: value for key, value in {**entity.properties, "case": name}.items() if value is not None}
    await world.table.commit(PARTITION, [Write(row("b"), edited, entity.etag)])
    assert (await world.process.reconciler.verify()).miscounted_cases == 1
    assert (await world.process.reconciler.run(full=True)).miscounted_cases == 1
    assert row("b") not in world.table.entities(PARTITION)
    assert (await world.process.reconciler.run(full=True)).corrected == 0
    await world.new_process().delivery.take(world.blobs.put("input/b/2.jpg"))
    assert counts(world, "b") == (0, 1, 0)


async def test_progress_is_told_in_rows_and_those_of_cases_are_none(world: World) -> None:
    """Each stage begins at nothing; a tally that is wrong, and a name that was lost, make a run go through all."""
    world.blobs.put("queued/a/lost.jpg")
    world.clock.advance(60)
    seen: dict[str, list[int]] = {}

    def note(progress: Progress) -> None:
        seen.setdefault(progress.stage, []).append(progress.done)

    await world.process.reconciler.run(on_progress=note)
    entity = world.table.entities(PARTITION)[TALLY_KEY]
    wrong = {**entity.properties, "queued_count": 7}
    await world.table.commit(PARTITION, [Write(TALLY_KEY, wrong, entity.etag)])
    await world.process.reconciler.run(full=True, on_progress=note)
    assert seen.keys() >= {"listing what has no row", Stage.AUDITING, "adding up the cases"}
    assert seen["listing what has no row"][-1] == seen[Stage.AUDITING][-1] == seen["adding up the cases"][-1] == 5


async def test_i4_a_case_that_changes_meanwhile_is_left_to_its_events(world: World) -> None:
    """The rows of its blobs are not of one moment then."""

    async def meanwhile(_stage: str, _done: int) -> None:
        if "queued/a/3.jpg" not in world.blobs.blobs:
            await world.process.delivery.take(world.blobs.put("queued/a/3.jpg"))

    assert await corrected(world, meanwhile, commit=True) == 0
    assert counts(world, "a") == (3, 0, 0)


async def test_i4_a_name_that_replaces_another_meanwhile_does_not_count_twice(world: World) -> None:
    """The counts are the same, and so is the version: the row's ETag says that its names are others."""

    async def meanwhile(_stage: str, _done: int) -> None:
        if "queued/a/3.jpg" not in world.blobs.blobs:
            events = world.blobs.delete("queued/a/2.jpg"), world.blobs.put("queued/a/3.jpg")
            for event in events:
                await world.process.delivery.take(event)

    entity = world.table.entities(PARTITION)[row("a")]
    edited = {**entity.properties, "queued_count": 3}
    await world.table.commit(PARTITION, [Write(row("a"), edited, entity.etag)])
    assert await corrected(world, meanwhile, commit=True) == 0
    assert (await world.process.reconciler.run(full=True)).finished
    assert counts(world, "a") == (2, 0, 0)


async def test_i4_cases_that_a_slice_cannot_add_up_are_left_to_the_next(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Which has the whole slice for them; one that does not suffice says what to do, and the run goes on."""
    entity = world.table.entities(PARTITION)[row("a")]
    await world.table.commit(PARTITION, [Write(row("a"), {**entity.properties, "queued_count": 7}, entity.etag)])

    def slow(progress: Progress) -> None:
        world.clock.advance(100 if progress.stage == Stage.AUDITING_CASES else 0)

    run = world.process.reconciler.run
    assert not (await run(full=True, slice_seconds=90, on_progress=slow)).finished
    report = await world.new_process().reconciler.run(slice_seconds=110, on_progress=slow)
    assert (report.finished, report.slices, report.miscounted_cases, counts(world, "a")) == (True, 2, 1, (2, 0, 0))
    assert "RECONCILE_SLICE_SECONDS" not in caplog.text

    assert not (await run(full=True, slice_seconds=90, on_progress=slow)).finished
    assert not (await run(slice_seconds=90, on_progress=slow)).finished
    assert "RECONCILE_SLICE_SECONDS" in caplog.text
    assert (await run(slice_seconds=90, on_progress=slow)).finished


async def test_only_told_where_nothing_is_to_be_changed(world: World) -> None:
    """For whoever verifies."""
    entity = world.table.entities(PARTITION)[row("a")]
    await world.table.commit(PARTITION, [Write(row("a"), {**entity.properties, "queued_count": 7}, entity.etag)])

    async def go_on(_stage: str, _done: int) -> None:
        pass

    assert await corrected(world, go_on, commit=False) == 1
    assert counts(world, "a") == (7, 0, 0)


@pytest.mark.parametrize("slice_seconds", [10, 25, 1000])
async def test_i4_cases_are_corrected_in_slices(world: World, slice_seconds: int) -> None:
    """A slice ends in time however many cases are wrong, each one gets on, and the report has all of them."""
    for number in range(40):
        await world.process.delivery.take(world.blobs.put(f"queued/case-{number}/1.jpg"))
    world.clock.advance(60)
    rows = world.table.entities(PARTITION)
    for key in [key for key in rows if key.startswith(ROW_PREFIX)]:
        await world.table.commit(PARTITION, [Write(key, None, rows[key].etag)])
    commit = world.table.commit

    async def slow(partition: str, writes: Sequence[Write]) -> list[str]:
        world.clock.advance(1)
        return await commit(partition, writes)

    world.table.commit = slow  # type: ignore[method-assign]
    report, full = Report(""), True
    while not report.finished:
        began = world.clock.monotonic()
        report = await world.new_process().reconciler.run(full=full, slice_seconds=slice_seconds)
        assert world.clock.monotonic() - began <= slice_seconds + 6  # pages, and what the lease costs
        full = False
    assert (report.miscounted_cases, report.slices > 1) == (42, slice_seconds < 1000)
    world.table.commit = commit  # type: ignore[method-assign]
    assert (await world.process.reconciler.verify()).is_exact


async def test_a_case_that_counts_nothing_for_long_is_dropped(world: World) -> None:
    """With the tombstones of its names; and begins anew with a version that it never had."""
    versions = {world.table.entities(PARTITION)[row("b")].properties["revision"]}
    await world.process.delivery.take(world.blobs.delete("output/b/1.jpg"))
    versions.add(world.table.entities(PARTITION)[row("b")].properties["revision"])
    world.clock.advance(TOMBSTONE_HORIZON.total_seconds() + 3 * 86_400)
    await world.process.reconciler.run()
    assert row("b") not in world.table.entities(PARTITION)
    assert counts(world, "a") == (2, 0, 0)
    await world.process.delivery.take(world.blobs.put("output/b/2.jpg"))
    assert counts(world, "b") == (0, 0, 1)
    assert world.table.entities(PARTITION)[row("b")].properties["revision"] not in versions
