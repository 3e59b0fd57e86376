"""Folders beside the three: counted, reconciled and served as those are, by engines that know what is counted."""

from __future__ import annotations

from random import Random

import pytest

from shared.errors import Unavailable
from shared.model.folders import FOLDERS
from shared.model.ledger import path_hashes, row_key
from shared.model.ports import Write
from shared.model.sketch import Sketch
from shared.reconciling.recount import recount
from shared.writing.tally_row import PARTITION, TALLY_KEY, ForeignTally
from tests.fakes.world import EXTRA_MAP, FOLDER_MAP, Process, World

PATHS = ("queued/a.jpg", "failed/b.jpg", "failed/c.png", "images/review/d.jpg", "images/e.jpg", "failed/f.txt")
COUNTS = {"queued": 1, "input": 0, "output": 0, "failed": 2, "review": 1}


@pytest.fixture
async def wide() -> World:
    """Return an account whose five folders are counted."""
    return await World(folders=EXTRA_MAP).bootstrap()


async def fill(world: World) -> None:
    """Upload images into the folders, and beside them."""
    for path in PATHS:
        await world.process.delivery.take(world.blobs.put(path))


async def edit(world: World, key: str, **changes: str | int) -> None:
    """Change an entity as anybody with the account's key could."""
    entity = world.table.entities(PARTITION)[key]
    await world.table.commit(PARTITION, [Write(key, {**entity.properties, **changes}, entity.etag)])


async def test_i3_events_count_in_them(wide: World) -> None:
    """Row and tally change together, and the status says so; a deletion and a move too."""
    await fill(wide)
    wide.check_rows_and_tally_agree()
    assert (await wide.process.watch.latest()).tally.counts() == COUNTS
    await wide.process.delivery.take(wide.blobs.delete("failed/b.jpg"))
    await wide.process.delivery.take(wide.blobs.put("queued/b.jpg"))
    assert wide.stored_tally().counts() == COUNTS | {"queued": 2, "failed": 1}
    assert wide.stored_tally().sums == wide.truth()


async def test_a_process_without_memory_reads_their_rows(wide: World) -> None:
    """The row of a further folder is sound: a second delivery is a duplicate, without a look."""
    event = wide.blobs.put("failed/b.jpg")
    await wide.process.delivery.take(event)
    heads = wide.blobs.heads
    await wide.new_process().delivery.take(event)
    assert wide.blobs.heads == heads


@pytest.mark.parametrize("full", [False, True])
async def test_i4_drift_in_them_is_repaired(wide: World, full: bool) -> None:
    """Lost events of further folders, both ways; the report says in which."""
    await fill(wide)
    wide.clock.advance(60)
    wide.blobs.put("failed/lost.jpg")
    wide.blobs.put("images/review/lost.jpg")
    wide.blobs.delete("failed/c.png")
    wide.clock.advance(60)
    report = await wide.process.reconciler.run(full=full)
    assert (report.added, report.removed) == ({"failed": 1, "review": 1}, {"failed": 1})
    assert wide.stored_tally().sums == wide.truth()
    assert (await wide.process.reconciler.run()).clean


async def test_i4_a_first_count_finds_them() -> None:
    """What was there before the first start, without any event."""
    world = World(folders=EXTRA_MAP)
    for path in PATHS:
        world.blobs.put(path)
    await world.bootstrap()
    assert world.stored_tally().counts() == COUNTS


async def test_verify_compares_them_and_changes_nothing(wide: World) -> None:
    """The operator's check names the folder."""
    await fill(wide)
    wide.blobs.delete("failed/c.png")
    wide.clock.advance(60)
    before = wide.stored_tally()
    assert (await wide.process.reconciler.verify()).removed == {"failed": 1}
    assert wide.stored_tally() == before


async def test_i4_a_tally_that_miscounts_them_is_corrected(wide: World) -> None:
    """The tally is set to the sum of its own rows, those of further folders too."""
    await fill(wide)
    wide.clock.advance(60)
    await edit(wide, TALLY_KEY, failed_count=7)
    assert (await wide.process.reconciler.run()).miscounted == {"failed": 5}
    assert wide.stored_tally().sums == wide.truth()


async def test_i3_their_names_are_in_a_sketch_that_is_made_anew(wide: World) -> None:
    """A tally without one, as an older release leaves it: the next run that ends makes it, of all rows."""
    await fill(wide)
    wide.clock.advance(60)
    await edit(wide, TALLY_KEY, sketch="")
    await wide.process.reconciler.run()
    made = wide.stored_tally().sketch
    expected = Sketch(wide.stored_tally().digest_key, made.upto if made is not None else "")
    expected.add([*path_hashes(row.path for row in wide.stored_rows())])
    assert made == expected


@pytest.mark.parametrize("path", ["failed/b.jpg", "queued/a.jpg"])
@pytest.mark.parametrize("folder", ["nowhere", "output", "failed"])
async def test_i4_a_row_in_a_folder_that_is_not_its_paths_is_looked_at(wide: World, path: str, folder: str) -> None:
    """Somebody has written it: it counts nowhere or elsewhere, and the next full run puts it right."""
    await fill(wide)
    wide.clock.advance(60)
    await edit(wide, row_key(path), folder=folder)
    await wide.process.reconciler.run(full=True)
    assert wide.stored_tally().sums == wide.truth()
    wide.check_rows_and_tally_agree()


@pytest.mark.parametrize("to_extra", [True, False])
async def test_turning_them_on_or_off_is_a_recount(to_extra: bool) -> None:
    """A process with another setting refuses to read and to count, until it is told to count anew."""
    old, new = (FOLDER_MAP, EXTRA_MAP) if to_extra else (EXTRA_MAP, FOLDER_MAP)
    world = await World(folders=old).bootstrap()
    await fill(world)
    process = Process(world.table, world.blobs, Random(1), folders=new)
    with pytest.raises(Unavailable):
        await process.watch.latest()
    with pytest.raises(ForeignTally, match="ops recount"):
        await process.delivery.take(world.blobs.put("queued/g.jpg"))
    await recount(world.table, process.counts, process.reconciler, world.clock)
    counted = (await process.watch.latest()).tally.counts()
    assert counted == {folder: count for folder, count in (COUNTS | {"queued": 2}).items() if folder in new.locations}
    with pytest.raises(ForeignTally):
        await world.process.counts.read()


async def test_a_tally_that_lacks_one_is_not_served(wide: World) -> None:
    """Somebody has removed its properties: nothing is said rather than a status without it."""
    entity = wide.table.entities(PARTITION)[TALLY_KEY]
    properties = {name: value for name, value in entity.properties.items() if not name.startswith("failed_")}
    await wide.table.commit(PARTITION, [Write(TALLY_KEY, properties, entity.etag)])
    with pytest.raises(ForeignTally, match="ops recount"):
        await wide.new_process().counts.read()


async def test_without_them_the_tally_has_no_further_property(world: World) -> None:
    """The counts of the three are stored as they ever were."""
    await fill(world)
    stored = world.table.entities(PARTITION)[TALLY_KEY].properties
    assert {name for name in stored if name.endswith("_count")} == {f"{folder}_count" for folder in FOLDERS}
