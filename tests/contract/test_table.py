"""The table contract: what the engines rely on, shown for the table in memory and for a real one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Conflict, Rejected
from shared.model.ports import ANY_VERSION, Entity, InboxTable, PropertyRange, Table, Write

P = "g1"


async def test_an_entity_that_was_never_written_is_none(table: Table) -> None:
    """Reading what is not there gives None, not an error."""
    assert await table.read(P, "missing") is None


async def test_all_property_types_come_back_as_written(table: Table) -> None:
    """Strings (any Unicode), large integers and booleans survive the round trip with their types."""
    properties = {"text": "häuser/ö#?%\\ 🙂\n", "empty": "", "big": 2**53 + 1, "negative": -1, "yes": True, "no": False}
    (etag,) = await table.commit(P, [Write("a", properties, None)])
    found = await table.read(P, "a")
    assert found is not None
    assert found.properties == properties
    assert {name: type(value) for name, value in found.properties.items()} == {
        name: type(value) for name, value in properties.items()
    }
    assert found.etag == etag


async def test_what_is_selected_comes_with_its_etag_and_time_and_what_is_not_there_is_left_out(table: Table) -> None:
    """A reader that needs a part of a large entity; the service answers null for what an entity does not have."""
    (etag,) = await table.commit(P, [Write("a", {"text": "x", "large": "y" * 10_000}, None)])
    found, whole = await table.read(P, "a", ["text", "missing"]), await table.read(P, "a")
    assert found is not None
    assert whole is not None
    assert (found.row_key, found.properties, found.etag) == ("a", {"text": "x"}, etag)
    assert found.written_at == whole.written_at
    assert await table.read(P, "b", ["text"]) is None


async def test_create_conflicts_with_what_exists(table: Table) -> None:
    """A write without an ETag only ever creates."""
    await table.commit(P, [Write("a", {"n": 1}, None)])
    with pytest.raises(Conflict):
        await table.commit(P, [Write("a", {"n": 2}, None)])
    found = await table.read(P, "a")
    assert found is not None
    assert found.properties == {"n": 1}


async def test_replace_needs_the_current_etag_and_drops_old_properties(table: Table) -> None:
    """A write with an ETag replaces the whole entity once; the same ETag does not work twice."""
    (first,) = await table.commit(P, [Write("a", {"n": 1, "old": "x"}, None)])
    (second,) = await table.commit(P, [Write("a", {"n": 2}, first)])
    assert second != first
    with pytest.raises(Conflict):
        await table.commit(P, [Write("a", {"n": 3}, first)])
    found = await table.read(P, "a")
    assert found is not None
    assert found.properties == {"n": 2}


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "in a transaction"])
async def test_a_merge_needs_the_current_etag_and_keeps_what_it_does_not_name(table: Table, others: int) -> None:
    """All else is as with a replacement; types come back as written."""
    (first,) = await table.commit(P, [Write("a", {"n": 2**40, "old": "x", "yes": True}, None)])
    more = [Write("b", {"n": 1}, None)] * others
    (second, *_) = await table.commit(P, [Write("a", {"old": "ä", "new": 3, "yes": False}, first, merges=True), *more])
    found = await table.read(P, "a")
    assert found is not None
    assert found.properties == {"n": 2**40, "old": "ä", "yes": False, "new": 3}
    assert found.etag == second != first
    for stale in (first, 'W/"other"'):
        with pytest.raises(Conflict):
            await table.commit(P, [Write("a", {"n": 3}, stale, merges=True)])
    (third,) = await table.commit(P, [Write("a", {"n": 4}, second)])
    with pytest.raises(Conflict):
        await table.commit(P, [Write("missing", {"n": 3}, third, merges=True)])


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "in a transaction"])
async def test_a_merge_into_any_version_needs_one(table: Table, others: int) -> None:
    """Whatever its ETag is; an entity that is not there is not made."""
    (first,) = await table.commit(P, [Write("a", {"n": 1, "old": "x"}, None)])
    more = [Write("b", {"n": 1}, None)] * others
    (second, *_) = await table.commit(P, [Write("a", {"n": 2}, ANY_VERSION, merges=True), *more])
    found = await table.read(P, "a")
    assert found is not None
    assert (found.properties, found.etag) == ({"n": 2, "old": "x"}, second)
    assert second != first
    with pytest.raises(Conflict):
        await table.commit(P, [Write("missing", {"n": 3}, ANY_VERSION, merges=True)])


async def test_replace_of_a_missing_entity_conflicts(table: Table) -> None:
    """A write with an ETag never creates."""
    (etag,) = await table.commit(P, [Write("a", {"n": 1}, None)])
    with pytest.raises(Conflict):
        await table.commit(P, [Write("b", {"n": 1}, etag)])
    assert await table.read(P, "b") is None


@pytest.mark.parametrize("bad_index", [0, 1, 2])
async def test_i3_a_failed_transaction_writes_nothing_and_names_the_operation(table: Table, bad_index: int) -> None:
    """All or nothing, and the index points at the operation whose condition did not hold."""
    await table.commit(P, [Write("taken", {"n": 0}, None)])
    writes = [Write(f"new{i}", {"n": i}, None) for i in range(3)]
    writes[bad_index] = Write("taken", {"n": 9}, None)
    with pytest.raises(Conflict) as caught:
        await table.commit(P, writes)
    assert caught.value.index == bad_index
    assert [await table.read(P, f"new{i}") for i in range(3)] == [None, None, None]
    taken = await table.read(P, "taken")
    assert taken is not None
    assert taken.properties == {"n": 0}


async def test_a_hundred_operations_are_one_transaction(table: Table) -> None:
    """The largest transaction the service takes is taken, and returns an ETag for each operation in order."""
    etags = await table.commit(P, [Write(f"{i:03}", {"n": i}, None) for i in range(100)])
    assert len(etags) == 100
    for index in (0, 57, 99):
        found = await table.read(P, f"{index:03}")
        assert found is not None
        assert found.etag == etags[index]


async def test_a_value_that_storage_never_takes_is_rejected(table: Table) -> None:
    """A string over 64 KiB is refused for good, and its neighbour is not written."""
    with pytest.raises(Rejected):
        await table.commit(P, [Write("good", {"n": 1}, None), Write("bad", {"text": "x" * 40_000}, None)])
    assert await table.read(P, "good") is None


async def test_only_one_of_many_concurrent_writers_wins(table: Table) -> None:
    """Of writers that hold the same ETag exactly one succeeds."""
    (etag,) = await table.commit(P, [Write("a", {"n": 0}, None)])

    async def attempt(n: int) -> bool:
        try:
            await table.commit(P, [Write("a", {"n": n}, etag)])
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt(n) for n in range(1, 9)))) == 1


async def test_scan_sees_one_partition_whole_and_in_order(table: Table) -> None:
    """A scan goes over all pages of its partition only, with the selected properties."""
    for start in range(0, 250, 50):
        await table.commit(P, [Write(f"{i:04}", {"n": i, "other": "x"}, None) for i in range(start, start + 50)])
    await table.commit("elsewhere", [Write("0000", {"n": 1}, None)])
    found = [entity async for page in table.scan(P, select=["n"]) for entity in page]
    assert [entity.row_key for entity in found] == [f"{i:04}" for i in range(250)]
    assert found[7].properties == {"n": 7}


async def test_scan_of_an_empty_partition_ends(table: Table) -> None:
    """Nothing there, nothing seen."""
    assert [entity async for page in table.scan("nothing") for entity in page] == []


async def test_scan_goes_on_after_a_key(table: Table) -> None:
    """A scan that was cut goes on where it was."""
    await table.commit(P, [Write(f"{i:04}", {"n": i}, None) for i in range(20)])
    found = [entity.row_key async for page in table.scan(P, after="0016") for entity in page]
    assert found == ["0017", "0018", "0019"]


async def test_scan_within_a_range_of_a_property(table: Table) -> None:
    """The lower bound is in, the upper one is not; entities without the property are not in any range."""
    paths = ["in/a", "in/b/1", "in/b/2", "in/b0", "in/c", "in/b"]
    await table.commit(P, [Write(f"{i}", {"path": path}, None) for i, path in enumerate(paths)])
    await table.commit(P, [Write("x", {"n": 1}, None)])
    within = PropertyRange("path", "in/b/", "in/b0")
    found = [entity async for page in table.scan(P, ["path"], within=within) for entity in page]
    assert [entity.properties["path"] for entity in found] == ["in/b/1", "in/b/2"]


async def test_a_scanned_entity_has_the_etag_to_write_it_with(table: Table) -> None:
    """Also when only some of its properties were selected."""
    await table.commit(P, [Write("a", {"n": 1, "m": 2}, None)])
    (entity,) = [entity async for page in table.scan(P, ["n"]) for entity in page]
    await table.commit(P, [Write("a", {"n": 3}, entity.etag)])


async def test_delete_is_conditional_and_part_of_the_transaction(table: Table) -> None:
    """A deletion with an old ETag stops its whole transaction; with the current one the entity is gone."""
    (old,) = await table.commit(P, [Write("a", {"n": 1}, None)])
    (current,) = await table.commit(P, [Write("a", {"n": 2}, old)])
    with pytest.raises(Conflict):
        await table.commit(P, [Write("b", {"n": 1}, None), Write("a", None, old)])
    assert await table.read(P, "b") is None
    etags = await table.commit(P, [Write("b", {"n": 1}, None), Write("a", None, current)])
    assert etags[1] == ""
    assert await table.read(P, "a") is None
    with pytest.raises(Conflict):
        await table.commit(P, [Write("a", None, current)])


async def read_whole(inbox: InboxTable) -> list[Entity]:
    """Read all pages."""
    page = await inbox.page()
    found = [*page.entities]
    while page.next_token:
        page = await inbox.page(page.next_token)
        found += page.entities
    return found


async def test_an_empty_table_has_one_empty_page_with_a_date(inbox: InboxTable) -> None:
    """There is a clock in it also when there is nothing else."""
    page = await inbox.page()
    assert (list(page.entities), page.next_token) == ([], "")
    assert abs(datetime.now(UTC) - page.date) < timedelta(minutes=1)


async def test_a_table_is_read_as_a_whole_across_partitions(inbox: InboxTable) -> None:
    """Each entity says its partition, its ETag is good for a write, and its time and the page's are of one clock."""
    written = {}
    for number in range(20):
        partition, key = f"p{number % 3}", f"{number:03d}"
        (written[partition, key],) = await inbox.commit(
            partition, [Write(key, {"n": number, "text": "ü" * 9000}, None)]
        )
    found = await read_whole(inbox)
    assert {(each.partition, each.row_key): each.etag for each in found} == written
    page = await inbox.page()
    first = found[0]
    assert first.written_at is not None
    assert abs(page.date - first.written_at) < timedelta(minutes=1)
    await inbox.commit(first.partition, [Write(first.row_key, None, first.etag)])
    assert len(await read_whole(inbox)) == 19


async def test_a_point_read_says_when_it_was_answered(inbox: InboxTable) -> None:
    """By the service's clock, in whole seconds."""
    await inbox.commit(P, [Write("a", {"n": 1}, None)])
    found = await inbox.read(P, "a")
    assert found is not None
    assert found.read_at is not None
    assert found.read_at.microsecond == 0
    assert abs(datetime.now(UTC) - found.read_at) < timedelta(minutes=1)


async def test_an_entity_of_many_large_properties_is_taken(inbox: InboxTable) -> None:
    """What a full batch hands over: 99 properties of a few kilobytes."""
    properties = {f"i{number:02d}": "x" * 4000 for number in range(99)}
    (etag,) = await inbox.commit(P, [Write("a", properties, None)])
    found = await inbox.read(P, "a")
    assert found is not None
    assert (found.properties, found.etag) == (properties, etag)
