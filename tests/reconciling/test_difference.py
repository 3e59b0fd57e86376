"""A reconciliation under traffic, and of little drift: by what differs, and without reading the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from shared.model import sketch, tally
from shared.model.ledger import path_hashes, row_key
from shared.model.ports import Page, Write
from shared.model.sketch import Sketch
from shared.reconciling import difference
from shared.reconciling.difference import GROWS_EVERY_SECONDS, MAX_OVERTAKEN
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes import memory_table
from tests.fakes.world import World
from tests.reconciling.listings import Killed, killed_at

BLOBS = 300


@pytest.fixture
async def filled(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an account of some hundred blobs that are counted, and a ledger of many pages."""
    monkeypatch.setattr(memory_table, "PAGE_SIZE", 20)
    for number in range(BLOBS):
        await world.process.delivery.take(world.blobs.put(f"queued/{number:03}.jpg"))
    world.clock.advance(60)
    return world


class Asked:
    """What is asked of storage from now on."""

    def __init__(self, world: World) -> None:
        self._table, self._reads = world.table, world.table.reads
        self.scans = self.listings = 0
        scan, pages = world.table.scan, world.blobs.pages

        def counted_scan(*args: object, **named: object) -> AsyncIterator[object]:
            self.scans += args[0] == PARTITION
            return scan(*args, **named)  # type: ignore[arg-type]

        def counted_pages(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
            self.listings += container == "queued" and not token
            return pages(container, prefix, token)

        world.table.scan = counted_scan  # type: ignore[method-assign, assignment]
        world.blobs.pages = counted_pages  # type: ignore[method-assign]

    @property
    def reads(self) -> int:
        """How many point reads."""
        return self._table.reads - self._reads


def during_the_listing(world: World, *steps: object) -> None:
    """Have something happen after each page of the listing of ``queued``."""
    pages, left = world.blobs.pages, [*steps]

    async def with_steps(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            yield page
            if container == "queued" and left:
                await left.pop(0)()  # type: ignore[operator]

    world.blobs.pages = with_steps  # type: ignore[method-assign]


async def test_traffic_during_a_pass_is_live_and_costs_a_read_a_name(filled: World) -> None:
    """Uploads, deletions and overwrites on both sides of where the listing is: clean, and nothing is scanned."""
    blobs, take = filled.blobs, filled.new_process().delivery.take

    async def traffic() -> None:
        for number in range(10):
            await take(blobs.put(f"queued/{number:03}-new.jpg"))
            await take(blobs.put(f"queued/{BLOBS - number:03}-new.jpg"))
            await take(blobs.delete(f"queued/{number:03}.jpg"))
            await take(blobs.put(f"queued/{number + 50:03}.jpg"))

    during_the_listing(filled, traffic)
    asked = Asked(filled)
    report = await filled.process.reconciler.run()
    assert (report.clean, report.corrected, report.looks, report.disputed) == (True, 0, 0, 0)
    assert 20 <= report.differences <= report.capacity
    assert (asked.scans, asked.listings) == (0, 1)
    assert asked.reads <= 50 + report.differences
    assert filled.stored_tally().sums == filled.truth()


async def test_the_next_page_is_asked_for_while_the_last_one_is_checkpointed(filled: World) -> None:
    """Neither waits for the other's answer: a checkpoint takes a good part of the time of a page."""
    pages, commit, steps = filled.blobs.pages, filled.table.commit, list[str]()

    async def noted(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            steps.append("page")
            yield page

    async def noted_commit(partition: str, writes: list[Write]) -> list[str]:
        etags = await commit(partition, writes)
        steps.append("checkpoint" if partition == "control" else "commit")
        return etags

    filled.blobs.pages = noted  # type: ignore[method-assign]
    filled.table.commit = noted_commit  # type: ignore[method-assign, assignment]
    assert (await filled.process.reconciler.run()).clean
    assert steps[steps.index("page") :][:3] == ["page", "page", "checkpoint"]


def deliver_later(world: World, events: list[str]) -> None:
    """Have an event delivered each time that a pass sleeps."""
    sleep = world.clock.sleep

    async def deliver(seconds: float) -> None:
        await sleep(seconds)
        if events:
            await world.new_process().delivery.take(events.pop())

    world.clock.sleep = deliver  # type: ignore[method-assign]


async def test_an_event_that_comes_a_moment_later_is_waited_for(filled: World) -> None:
    """What was listed before its event was delivered, and what was gone before: nobody looks at a blob."""
    deliver_later(filled, [filled.blobs.put("queued/new.jpg"), filled.blobs.delete("queued/000.jpg")])
    report = await filled.process.reconciler.run()
    assert (report.clean, report.corrected, report.looks) == (True, 0, 0)


async def test_after_a_long_listing_events_have_the_whole_grace(filled: World) -> None:
    """The listing's own time is no part of it where the difference is known: its last page is as young as ever."""

    async def last_moment() -> None:
        filled.clock.advance(600)
        events.append(filled.blobs.put("queued/zzz.jpg"))

    events: list[str] = []
    during_the_listing(filled, last_moment)
    deliver_later(filled, events)
    report = await filled.process.reconciler.run()
    assert (report.clean, report.corrected, report.looks) == (True, 0, 0)


async def test_a_name_that_comes_and_goes_between_two_looks_is_live(filled: World) -> None:
    """It was listed; creation and deletion arrive together, and its row, which is new, says so without the grace."""
    sleep, take = filled.clock.sleep, filled.new_process().delivery.take
    created = filled.blobs.put("queued/new.jpg")
    slept: list[float] = []

    async def deliver(seconds: float) -> None:
        await sleep(seconds)
        slept.append(seconds)
        if len(slept) == 1:
            await take(created)
            await take(filled.blobs.delete("queued/new.jpg"))

    filled.clock.sleep = deliver  # type: ignore[method-assign]
    report = await filled.process.reconciler.run()
    assert (report.clean, report.differences, len(slept)) == (True, 1, 1)


async def test_what_was_lost_is_repaired_name_by_name(filled: World) -> None:
    """60 lost creations and 40 lost deletions: two listings, five reads a difference, no scan; then all is right."""
    for number in range(60):
        filled.blobs.put(f"output/lost-{number}.jpg")
    for number in range(40):
        filled.blobs.delete(f"queued/{number:03}.jpg")
    filled.clock.advance(60)
    asked = Asked(filled)
    report = await filled.process.reconciler.run()
    assert (report.added, report.removed, report.clean) == ({"output": 60}, {"queued": 40}, False)
    assert (report.differences, report.disputed) == (100, 0)
    assert asked.scans == 0
    assert asked.listings <= 2
    assert asked.reads <= 5 * 100
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()
    assert (await filled.process.reconciler.run()).clean


async def test_lost_deletions_of_names_with_a_row_need_no_second_listing(filled: World) -> None:
    """The row has the name; also that of a tombstone whose blob is back."""
    filled.blobs.delete("queued/000.jpg")
    await filled.process.delivery.take(filled.blobs.delete("queued/001.jpg"))
    filled.blobs.put("queued/001.jpg")
    filled.clock.advance(60)
    asked = Asked(filled)
    report = await filled.process.reconciler.run()
    assert (report.added, report.removed, asked.listings, asked.scans) == ({"queued": 1}, {"queued": 1}, 1, 0)


async def test_more_than_a_sketch_tells_is_compared(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same result as ever."""
    monkeypatch.setattr(sketch, "CELLS", 16)
    await filled.process.reconciler.run()  # makes one of that size
    for number in range(3 * sketch.capacity()):
        filled.blobs.delete(f"queued/{number:03}.jpg")
        filled.blobs.put(f"input/{number}.jpg")
    filled.clock.advance(60)
    asked = Asked(filled)
    report = await filled.process.reconciler.run()
    gone = 3 * sketch.capacity()
    assert (report.added, report.removed) == ({"input": gone}, {"queued": gone})
    assert asked.scans == 1
    assert filled.stored_tally().sums == filled.truth()


@pytest.mark.parametrize("share", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
async def test_below_at_and_above_the_capacity_only_what_was_lost_is_corrected(
    filled: World, monkeypatch: pytest.MonkeyPatch, share: float, seed: int
) -> None:
    """Traffic on every page, and lost events, together so many that the sketch tells all, nearly all, or nothing."""
    monkeypatch.setattr(sketch, "CELLS", 64)
    await filled.process.reconciler.run()  # makes one of that size
    random, take = Random(seed), filled.new_process().delivery.take
    differences = int(share * sketch.capacity())
    lost = random.randrange(1, differences // 2)
    numbers = random.sample(range(BLOBS), differences)
    for number in numbers[:lost]:
        filled.blobs.delete(f"queued/{number:03}.jpg")
    filled.clock.advance(60)

    async def traffic() -> None:
        for number in numbers[lost:][len(done) :: BLOBS // 10]:
            name = f"queued/{number:03}.jpg"
            await take(filled.blobs.delete(name) if random.random() < 0.5 else filled.blobs.put(f"{name}.new.jpg"))
        done.append(True)

    done: list[bool] = []
    during_the_listing(filled, *[traffic] * (BLOBS // 10))
    report = await filled.process.reconciler.run()
    assert (report.removed, report.added, report.disputed) == ({"queued": lost}, {}, 0)
    assert filled.stored_tally().sums == filled.truth()
    filled.check_rows_and_tally_agree()


async def write_tally(world: World, changed: tally.Tally) -> None:
    """Write the tally, by hand."""
    entity = world.table.entities(PARTITION)[TALLY_KEY]
    await world.table.commit(PARTITION, [Write(TALLY_KEY, tally.to_properties(changed), entity.etag)])


async def test_a_wrong_tally_is_not_taken_for_settled(filled: World) -> None:
    """The sketch differs by nothing, and the digests by five names that nobody knows: the rows are added up."""
    stored = filled.stored_tally()
    wrong = replace(stored.sums["queued"], count=stored.sums["queued"].count + 5)
    await write_tally(filled, replace(stored, sums={**stored.sums, "queued": wrong}))
    report = await filled.process.reconciler.run()
    assert (report.miscounted, report.clean) == ({"queued": 5}, False)
    assert filled.stored_tally().sums == filled.truth()


@pytest.mark.parametrize("keys", [[7], [*path_hashes(["queued/007.jpg"])], range(1000)])
async def test_a_wrong_sketch_corrects_nothing_and_is_made_anew(filled: World, keys: list[int]) -> None:
    """A key that nobody has, one twice, or a thousand: everything is compared, and the next pass is by what differs."""
    stored = filled.stored_tally()
    assert stored.sketch is not None
    wrong = stored.sketch.copy()
    wrong.add(keys)
    await write_tally(filled, replace(stored, sketch=wrong))
    filled.blobs.put("output/lost.jpg")
    filled.clock.advance(60)
    report = await filled.process.reconciler.run()
    assert (report.corrected, report.added) == (1, {"output": 1})
    filled.blobs.put("output/lost too.jpg")
    filled.clock.advance(60)
    asked = Asked(filled)
    assert (await filled.process.reconciler.run()).added == {"output": 1}
    assert asked.scans == (len(keys) == 1000)


async def test_a_row_of_a_name_that_is_none_is_left_to_the_comparison(filled: World) -> None:
    """Somebody has put it into the table, and its key into the sketch."""
    key = row_key("nonsense")
    stored = filled.stored_tally()
    assert stored.sketch is not None
    wrong = stored.sketch.copy()
    wrong.add([int(key, 16)])
    await filled.table.commit(PARTITION, [Write(key, {"path": "nonsense", "folder": "", "present": False}, None)])
    await write_tally(filled, replace(stored, sketch=wrong))
    filled.blobs.put("output/lost.jpg")
    filled.clock.advance(60)
    report = await filled.process.reconciler.run()
    assert (report.finished, report.added) == (True, {"output": 1})


async def test_a_sketch_is_made_under_traffic_and_right_at_every_moment(filled: World) -> None:
    """An older release has dropped it; each of its pages meets events, before and behind it."""
    await write_tally(filled, replace(filled.stored_tally(), sketch=None))
    commit, take, number = filled.table.commit, filled.new_process().delivery.take, 0
    scan = filled.table.scan

    async def with_traffic(*args: object, **named: object) -> AsyncIterator[object]:
        nonlocal number
        async for page in scan(*args, **named):  # type: ignore[arg-type]
            number += 1
            if number % 3 == 0:
                for name in (f"{number:03}", f"{number + 100:03}", f"{number + 200:03}"):
                    await take(filled.blobs.delete(f"queued/{name}.jpg"))
                    await take(filled.blobs.put(f"input/{name}.jpg"))
            yield page

    async def checked(partition: str, writes: list[Write]) -> list[str]:
        etags = await commit(partition, writes)
        stored = filled.stored_tally()
        if stored.sketch is not None:
            held = Sketch(stored.digest_key, stored.sketch.upto)
            held.add([*path_hashes(row.path for row in filled.stored_rows() if row.present)])
            assert stored.sketch == held
        return etags

    filled.table.scan, filled.table.commit = with_traffic, checked  # type: ignore[method-assign, assignment]
    await filled.process.reconciler.run()
    made = filled.stored_tally().sketch
    assert made is not None
    assert made.is_complete
    assert number > BLOBS / 20


async def test_a_sketch_that_is_overtaken_every_time_is_left_to_the_next_run(filled: World) -> None:
    """Each try costs those who write an attempt: after so many the run goes on without."""
    await write_tally(filled, replace(filled.stored_tally(), sketch=None))
    take, number = filled.new_process().delivery.take, 0
    scan = filled.table.scan

    async def overtaken(*args: object, **named: object) -> AsyncIterator[object]:
        nonlocal number
        async for page in scan(*args, **named):  # type: ignore[arg-type]
            number += 1
            assert number < 3 * MAX_OVERTAKEN
            await take(filled.blobs.put(f"input/{number}.jpg"))
            yield page

    filled.table.scan = overtaken  # type: ignore[method-assign, assignment]
    began = filled.clock.monotonic()
    report = await filled.process.reconciler.run()
    assert (report.clean, filled.stored_tally().sketch) == (True, None)
    assert filled.clock.monotonic() - began >= (MAX_OVERTAKEN - 1) * GROWS_EVERY_SECONDS
    assert number >= MAX_OVERTAKEN


async def test_without_a_sketch_the_counts_stay_ready_and_are_compared_as_before(filled: World) -> None:
    """The first run after an upgrade: no gap."""
    await write_tally(filled, replace(filled.stored_tally(), sketch=None))
    filled.blobs.put("output/lost.jpg")
    filled.clock.advance(60)
    report = await filled.process.reconciler.run()
    assert (report.added, report.capacity, filled.stored_tally().ready) == ({"output": 1}, 0, True)


async def test_a_sketch_that_comes_while_a_pass_without_one_lists_is_the_next_one_s(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has made it; this listing has none to hold against it."""
    monkeypatch.setattr(difference, "MAX_OVERTAKEN", 0)
    made = filled.stored_tally().sketch
    await write_tally(filled, replace(filled.stored_tally(), sketch=None))

    async def come() -> None:
        await write_tally(filled, replace(filled.stored_tally(), sketch=made))

    during_the_listing(filled, come)
    filled.blobs.put("output/lost.jpg")
    filled.clock.advance(60)
    assert (await filled.process.reconciler.run()).added == {"output": 1}


async def test_a_pass_that_is_cut_while_it_settles_goes_on(filled: World) -> None:
    """Its listing and the sketch of it stand in the checkpoint."""
    filled.blobs.put("output/lost.jpg")
    filled.blobs.delete("queued/000.jpg")
    filled.clock.advance(60)
    head = filled.blobs.head

    async def dies(*_: str) -> object:
        raise Killed

    filled.blobs.head = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        await filled.process.reconciler.run()
    filled.blobs.head = head  # type: ignore[method-assign]
    filled.clock.advance(61)
    asked = Asked(filled)
    report = await filled.new_process().reconciler.run()
    assert (report.added, report.removed) == ({"output": 1}, {"queued": 1})
    assert (report.slices, asked.scans, asked.listings) == (2, 0, 1)  # once more for the name without a row


async def test_a_listing_that_is_cut_goes_on_with_its_sketch(filled: World) -> None:
    """Half of it was listed by another process."""
    filled.blobs.put("output/lost.jpg")
    filled.clock.advance(60)
    pages = filled.blobs.pages
    killed_at(filled, 3)
    with pytest.raises(Killed):
        await filled.process.reconciler.run()
    filled.blobs.pages = pages  # type: ignore[method-assign]
    filled.clock.advance(61)
    asked = Asked(filled)
    report = await filled.new_process().reconciler.run()
    assert (report.added, report.slices, asked.scans) == ({"output": 1}, 2, 0)


async def test_a_name_that_is_gone_again_before_it_has_a_row_leaves_it_to_the_comparison(filled: World) -> None:
    """It was listed, and neither a row nor the next listing says what it was."""
    put = filled.blobs.put("output/brief.jpg")
    gone: list[str] = []
    sleep = filled.clock.sleep

    async def disappear(seconds: float) -> None:
        await sleep(seconds)
        if not gone:
            gone.append(filled.blobs.delete("output/brief.jpg"))

    filled.clock.sleep = disappear  # type: ignore[method-assign]
    asked = Asked(filled)
    report = await filled.process.reconciler.run()
    assert (report.corrected, asked.scans) == (0, 1)
    for event in (put, *gone):
        await filled.process.delivery.take(event)
    assert filled.stored_tally().sums == filled.truth()
    assert filled.stored_tally().sketch is not None


async def test_who_shows_the_counts_reads_no_sketch(filled: World) -> None:
    """Twice a second, by every instance: what it reads is a fraction of the tally, and has the same version."""
    glanced, stored = await filled.process.counts.glance(), await filled.process.counts.read()
    assert glanced is not None
    assert stored is not None
    assert stored.tally.sketch is not None
    assert (glanced.tally, glanced.etag) == (replace(stored.tally, sketch=None), stored.etag)
    shown = (await filled.new_process().watch.latest()).tally
    assert (shown.version, shown.sketch) == (stored.tally.version, None)
