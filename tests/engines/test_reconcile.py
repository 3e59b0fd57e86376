"""Reconciliation: bootstrap, clean passes, every kind of drift, live traffic."""

from __future__ import annotations

import pytest

from shared.errors import CountsNotReady, OutcomeUnknown
from shared.tally import Sum
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
    version, written = world.stored_tally().version, world.table.entities_written
    report = await world.process.reconciler.run()
    assert report.clean
    assert report.listed == 30
    assert world.blobs.heads == 0
    assert world.stored_tally().version == version
    assert world.table.entities_written == written + 1  # the report


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

    async def pages_while_something_is_uploaded(container: str, prefix: str):
        nonlocal event
        if container == "output" and not event:
            world.clock.advance(2)
            event = world.blobs.put("output/live.jpg")
        async for page in pages(container, prefix):
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


async def test_two_processes_reconcile_at_once(world: World) -> None:
    """Correctness leans on no lease: two runs at the same time end at the truth, once."""
    import asyncio

    for number in range(20):
        world.blobs.put(f"queued/{number}.jpg")
    world.clock.advance(5)
    other = world.new_process()
    await asyncio.gather(world.process.reconciler.run(), other.reconciler.run())
    assert world.stored_tally().sums["queued"] == world.truth()["queued"] != Sum()
    world.check_rows_and_tally_agree()
