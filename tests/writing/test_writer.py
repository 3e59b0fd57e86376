"""The writer: group commit, folding, conflicts, unknown outcomes, looks."""

from __future__ import annotations

import asyncio
import json
from itertools import permutations

import pytest

from shared.errors import OutcomeUnknown, Refused
from shared.model.ledger import row_key
from shared.model.ports import Head
from shared.writing.group_commit import CommitStats
from shared.writing.tally_row import PARTITION, TRUSTED_SECONDS
from tests.fakes.memory_table import Fault
from tests.fakes.world import World


def counts(world: World) -> tuple[int, ...]:
    """Return the stored counts of queued, input and output."""
    return tuple(world.stored_tally().counts().values())


async def deliver(world: World, *events: str) -> None:
    """Deliver events at the same time, as the platform does with a batch."""
    await asyncio.gather(*(world.process.delivery.take(event) for event in events))


def fail_once(world: World, method: str, fault: Fault) -> None:
    """Let the next call of a method go wrong, and the ones after it go well."""
    pending = [fault]
    world.table.fault = lambda called: pending.pop() if called == method and pending else None


async def test_a_burst_is_one_transaction_without_a_read_per_blob(world: World) -> None:
    """99 creates that arrive together are one transaction; no row is read."""
    reads, commits = world.table.reads, world.table.commits
    await deliver(world, *(world.blobs.put(f"queued/{i}.jpg") for i in range(99)))
    assert counts(world) == (99, 0, 0)
    assert world.table.commits - commits == 1
    assert world.table.reads - reads == 1  # the tally, once


async def test_it_counts_what_it_does(world: World) -> None:
    """From nothing: what operators and benchmarks read."""
    writer = world.new_process().writer
    assert writer.stats == CommitStats({}, transactions=0, conflicts=0, reads=0, looks=0)
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    found = world.process.writer.stats
    assert (found.events, found.transactions, found.conflicts, found.looks) == ({"applied": 1}, 1, 0, 0)
    await world.process.delivery.take(await strip(world.blobs.put("queued/a.jpg"), sequencer=None))
    assert (found.events, found.looks) == ({"applied": 1, "look": 1}, 1)


async def test_a_burst_larger_than_a_transaction_is_split(world: World) -> None:
    """A transaction holds 99 blobs and the tally; the rest follows in the next."""
    commits = world.table.commits
    await deliver(world, *(world.blobs.put(f"queued/{i}.jpg") for i in range(250)))
    assert counts(world) == (250, 0, 0)
    assert world.table.commits - commits == 3


async def test_i1_an_overwrite_does_not_count_twice(world: World) -> None:
    """Every overwrite raises BlobCreated again, and the count stays."""
    for _ in range(3):
        await deliver(world, world.blobs.put("queued/a.jpg"))
    assert counts(world) == (1, 0, 0)


async def test_i2_every_order_and_duplication_of_a_history_ends_the_same(world: World) -> None:
    """Create, overwrite, delete, create again: all 24 orders, each event twice, end at one blob."""
    for number, order in enumerate(permutations(range(4))):
        path = f"queued/{number}.jpg"
        history = [world.blobs.put(path), world.blobs.put(path), world.blobs.delete(path), world.blobs.put(path)]
        for index in (*order, *order):
            await deliver(world, history[index])
        assert counts(world) == (number + 1, 0, 0), order


async def test_i2_a_delete_that_comes_first_leaves_a_tombstone(world: World) -> None:
    """The create that comes late is stale."""
    created, deleted = world.blobs.put("queued/a.jpg"), world.blobs.delete("queued/a.jpg")
    await deliver(world, deleted)
    await deliver(world, created)
    assert counts(world) == (0, 0, 0)
    (row,) = world.stored_rows()
    assert not row.present


async def test_i2_all_events_of_one_blob_in_one_batch_fold_in_any_order(world: World) -> None:
    """Events of the same blob that arrive together become one write."""
    for number, order in enumerate(permutations(range(3))):
        path = f"queued/{number}.jpg"
        history = [world.blobs.put(path), world.blobs.delete(path), world.blobs.put(path)]
        await deliver(world, *(history[index] for index in order))
    assert counts(world) == (6, 0, 0)


async def test_a_move_is_one_commit_and_one_revision(world: World) -> None:
    """A blob that leaves one folder and enters another in one batch is never seen in both or neither."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    revision = world.stored_tally().revision
    await deliver(world, world.blobs.put("input/a.jpg"), world.blobs.delete("queued/a.jpg"))
    assert counts(world) == (0, 1, 0)
    assert world.stored_tally().revision == revision + 1


async def test_i7_a_batch_that_moves_no_count_moves_no_version(world: World) -> None:
    """One name replaces another in the same folder: the digest moves, the version does not."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    before = world.stored_tally()
    await deliver(world, world.blobs.delete("queued/a.jpg"), world.blobs.put("queued/b.jpg"))
    after = world.stored_tally()
    assert after.version == before.version
    assert after.sums != before.sums


async def test_a_duplicate_reads_once_at_most_and_writes_nothing(world: World) -> None:
    """A redelivery to a process that does not remember the row costs one failed commit and reads, no write."""
    event = world.blobs.put("queued/a.jpg")
    await deliver(world, event)
    written = world.table.entities_written
    await world.new_process().delivery.take(event)
    await deliver(world, event)
    assert world.table.entities_written == written


async def test_nothing_to_do_is_not_believed_of_an_old_memory(world: World) -> None:
    """A remembered row that says "duplicate" is read again when it is old."""
    event = world.blobs.put("queued/a.jpg")
    await deliver(world, event)
    reads = world.table.reads
    await deliver(world, event)
    assert world.table.reads == reads
    world.clock.advance(TRUSTED_SECONDS + 1)
    await deliver(world, event)
    assert world.table.reads == reads + 1


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
async def test_i3_an_unknown_outcome_is_read_and_decided_again(world: World, fault: Fault) -> None:
    """Whether the commit took effect or not, the event counts exactly once."""
    fail_once(world, "commit", fault)
    await deliver(world, world.blobs.put("queued/a.jpg"), world.blobs.put("queued/b.jpg"))
    assert counts(world) == (2, 0, 0)
    world.check_rows_and_tally_agree()


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
async def test_i3_an_unknown_delete_is_read_and_decided_again(world: World, fault: Fault) -> None:
    """The same for deletions, whose rows are remembered."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    fail_once(world, "commit", fault)
    await deliver(world, world.blobs.delete("queued/a.jpg"))
    assert counts(world) == (0, 0, 0)


async def test_i5_an_outage_fails_the_delivery_and_the_redelivery_counts(world: World) -> None:
    """Storage that says no is an outage: the delivery raises, so that Event Grid comes again."""
    event = world.blobs.put("queued/a.jpg")
    fail_once(world, "commit", Fault.REFUSED)
    with pytest.raises(Refused):
        await deliver(world, event)
    await deliver(world, event)
    assert counts(world) == (1, 0, 0)


async def test_i5_an_outage_fails_all_that_wait_and_nothing_is_written_behind_their_backs(world: World) -> None:
    """Event Grid delivers all of it again; what was queued behind the batch that failed is not tried on its own."""
    events = [world.blobs.put(f"queued/{i}.jpg") for i in range(150)]
    before, commits = world.table.entities(PARTITION), world.table.commits
    fail_once(world, "commit", Fault.REFUSED)
    outcomes = await asyncio.gather(*map(world.process.delivery.take, events), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Refused] * 150
    await world.process.delivery.take(events[0])
    assert (world.table.commits - commits, counts(world)) == (2, (1, 0, 0))
    assert len(world.table.entities(PARTITION)) == len(before) + 1
    await deliver(world, *events)
    assert counts(world) == (150, 0, 0)


async def test_i5_a_long_outage_ends_in_time(world: World) -> None:
    """While storage gives no answers the delivery fails within the budget, below Event Grid's 30 s."""
    world.table.fault = lambda _: _advance(world, 1.0)
    with pytest.raises(OutcomeUnknown):
        await deliver(world, world.blobs.put("queued/a.jpg"))
    assert world.clock.monotonic() < 60 + 25
    world.table.fault = lambda _: None


def _advance(world: World, seconds: float) -> Fault:
    world.clock.advance(seconds)
    return Fault.LOST_REQUEST


async def test_two_processes_that_fight_over_the_tally_both_win(world: World) -> None:
    """Conflicts are retried inside: no delivery fails, nothing is counted twice or lost."""
    processes = [world.new_process() for _ in range(4)]
    events = [world.blobs.put(f"queued/{i}.jpg") for i in range(400)]
    await asyncio.gather(*(processes[i % 4].delivery.take(event) for i, event in enumerate(events)))
    assert counts(world) == (400, 0, 0)
    world.check_rows_and_tally_agree()


async def test_two_processes_with_the_same_event_count_it_once(world: World) -> None:
    """The same events delivered to several processes at once count once."""
    processes = [world.new_process() for _ in range(3)]
    events = [world.blobs.put(f"queued/{i}.jpg") for i in range(50)]
    await asyncio.gather(*(process.delivery.take(event) for event in events for process in processes))
    assert counts(world) == (50, 0, 0)
    world.check_rows_and_tally_agree()


async def test_i5_one_row_that_storage_refuses_does_not_fail_its_neighbours(world: World) -> None:
    """The poisoned one is quarantined, the other 98 are counted."""
    events = [world.blobs.put(f"queued/{i}.jpg") for i in range(98)]
    poisoned = json.loads(world.blobs.put("queued/poison.jpg"))
    poisoned["data"]["eTag"] = "x" * 40_000  # more than a table's string can hold
    await deliver(world, *events, json.dumps(poisoned))
    assert counts(world) == (98, 0, 0)
    ((_, reason),) = world.process.quarantine.kept
    assert "storage refuses" in reason


async def test_i5_names_with_the_same_row_key_are_not_mixed_up(world: World) -> None:
    """A row found under the right key with another path is refused, never overwritten."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    rows = world.table._partitions["g1"]
    rows[row_key("queued/b.jpg")] = rows[row_key("queued/a.jpg")]
    await deliver(world, world.blobs.put("queued/b.jpg"))
    assert counts(world) == (1, 0, 0)
    assert len(world.process.quarantine.kept) == 1


async def test_a_cancelled_invocation_does_not_cancel_its_neighbours(world: World) -> None:
    """The flush belongs to all who wait for it."""
    commits = world.table.commits
    first = asyncio.create_task(world.process.delivery.take(world.blobs.put("queued/a.jpg")))
    second = asyncio.create_task(world.process.delivery.take(world.blobs.put("queued/b.jpg")))
    while world.table.commits == commits:
        await asyncio.sleep(0)
    first.cancel()
    await second
    assert counts(world) == (2, 0, 0)


async def strip(event: str, **changes: object) -> str:
    """Return the event with other data members (None removes one)."""
    parsed = json.loads(event)
    for name, value in changes.items():
        parsed["data"].pop(name, None)
        if value is not None:
            parsed["data"][name] = value
    return json.dumps(parsed)


async def test_without_a_sequencer_the_blob_decides(world: World) -> None:
    """Created, but gone since: the HEAD says absent, and that is what counts."""
    created = await strip(world.blobs.put("queued/a.jpg"), sequencer=None)
    world.blobs.delete("queued/a.jpg")
    await deliver(world, created)
    assert counts(world) == (0, 0, 0)
    world.blobs.put("queued/a.jpg")
    await deliver(world, created)
    assert counts(world) == (1, 0, 0)


async def test_sequencers_of_different_widths_are_not_compared(world: World) -> None:
    """A 32-digit and a 48-digit sequencer say nothing of each other: the blob is looked at."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    narrow = await strip(world.blobs.delete("queued/a.jpg"), sequencer="0" * 32)
    heads = world.blobs.heads
    await deliver(world, narrow)
    assert world.blobs.heads == heads + 1
    assert counts(world) == (0, 0, 0)


async def test_an_event_older_than_a_look_does_not_undo_it(world: World) -> None:
    """What a HEAD has seen cannot be undone by an event from before it."""
    late = world.blobs.put("queued/a.jpg")
    world.blobs.delete("queued/a.jpg")
    await deliver(world, await strip(late, sequencer=None))  # looked at: absent
    await deliver(world, late)
    assert counts(world) == (0, 0, 0)


async def test_a_look_that_was_overtaken_looks_again(world: World) -> None:
    """The blob goes, and its event is counted, while an older HEAD's answer is on its way: the answer is not used."""
    created = await strip(world.blobs.put("queued/a.jpg"), sequencer=None)
    head = world.blobs.head

    async def slow_head(container: str, name: str) -> Head:
        found = await head(container, name)
        if found.present:
            world.clock.advance(10)
            await world.process.delivery.take(world.blobs.delete("queued/a.jpg"))
        return found

    world.blobs.head = slow_head  # type: ignore[method-assign]
    await deliver(world, created)
    assert counts(world) == (0, 0, 0)


async def test_many_looks_at_one_blob_at_once_are_one_row_and_all_end(world: World) -> None:
    """Each is overtaken by the first; what that has found counts for those that have found the same."""
    created = await strip(world.blobs.put("queued/a.jpg"), sequencer=None)
    written = world.table.entities_written
    await deliver(world, *[created] * 60)
    assert counts(world) == (1, 0, 0)
    assert not world.process.quarantine.kept
    assert world.table.entities_written - written <= 4
    assert world.blobs.heads <= 61


async def test_a_rename_moves_a_blob_between_folders(world: World) -> None:
    """One event, two names; both are looked at."""
    await deliver(world, world.blobs.put("queued/a.jpg"))
    world.blobs.delete("queued/a.jpg")
    moved = json.loads(world.blobs.put("input/a.jpg"))
    moved["eventType"] = "Microsoft.Storage.BlobRenamed"
    moved["data"] |= {"sourceUrl": "https://acc.dfs.core.windows.net/queued/a.jpg", "destinationUrl": "unused"}
    await deliver(world, json.dumps(moved))
    assert counts(world) == (0, 1, 0)


async def test_a_failed_look_fails_the_delivery(world: World) -> None:
    """No answer to a HEAD is not "absent"."""
    event = await strip(world.blobs.put("queued/a.jpg"), sequencer=None)
    world.blobs.fails = lambda _: True
    with pytest.raises(OutcomeUnknown):
        await deliver(world, event)
    world.blobs.fails = lambda _: False
    await deliver(world, event)
    assert counts(world) == (1, 0, 0)


async def test_verify_deletes_looks_before_a_deletion_counts(world: World) -> None:
    """With versioning the deletion of an old version raises BlobDeleted too; the blob is still there."""
    process = world.new_process(verify_deletes=True)
    await process.delivery.take(world.blobs.put("queued/a.jpg"))
    deleted = world.blobs.delete("queued/a.jpg")
    world.blobs.put("queued/a.jpg")
    await process.delivery.take(deleted)
    assert counts(world) == (1, 0, 0)


async def test_what_does_not_count_leaves_no_trace(world: World) -> None:
    """Not an image, a directory marker, a foreign container: acknowledged, nothing written."""
    written = world.table.entities_written
    paths = ("queued/readme.txt", "queued/folder/", "elsewhere/a.jpg", "queuedx/a.jpg")
    await deliver(world, *(world.blobs.put(path) for path in paths))
    assert world.table.entities_written == written
    assert not world.process.quarantine.kept
