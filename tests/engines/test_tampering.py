"""I4 for what the app itself never does: rows and tally changed by somebody else, so that they disagree.

A table restored in part, a script, a hand in Storage Explorer. Events and looks only say what a blob's row should be;
that the tally is not the sum of its rows shows when the rows are all right and the listing still adds up differently.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared import comparison
from shared.counts import PARTITION, TALLY_KEY
from shared.ledger import Properties, row_key
from shared.ports import Page, Write
from tests.engines.listings import slow_down
from tests.fakes import memory_table
from tests.fakes.world import World

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


async def test_i4_a_tally_that_changes_meanwhile_is_left_to_the_next_run(filled: World) -> None:
    """An event is committed during the comparison: the rows may have changed after they were read."""
    await miscount(filled)
    pages, listed = filled.blobs.pages, 0

    async def with_an_event(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        nonlocal listed
        async for page in pages(container, prefix, token):
            yield page
            listed += 1
            if listed == 5:  # of the second listing
                await filled.new_process().delivery.take(filled.blobs.put("output/new.jpg"))

    filled.blobs.pages = with_an_event  # type: ignore[method-assign]
    report = await filled.process.reconciler.run()
    assert (report.miscounted, report.corrected) == ({}, 0)
    filled.clock.advance(60)
    report = await filled.process.reconciler.run()
    assert report.miscounted == {"queued": 5}
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


async def test_verify_tells_a_wrong_tally_and_changes_nothing(filled: World) -> None:
    """``ops verify`` ends with its exit code for differences."""
    await miscount(filled)
    before = filled.table.entities(PARTITION)
    report = await filled.process.reconciler.verify()
    assert (report.miscounted, report.corrected, report.clean) == ({"queued": 5}, 1, False)
    assert filled.table.entities(PARTITION) == before
