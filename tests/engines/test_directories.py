"""Directories that are renamed or deleted with one event for all of their blobs."""

from __future__ import annotations

import json

from tests.engines.listings import killed_at
from tests.fakes.world import World


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
