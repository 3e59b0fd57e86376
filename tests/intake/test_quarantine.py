"""The quarantine under floods, outages, crashes and retries: bounded work, each event once, nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from hypothesis import given
from hypothesis import strategies as st

from shared.azure.quarantine_bodies import CONCURRENT_BODIES, BlobBodies
from shared.clock import from_iso, to_iso
from shared.errors import OutcomeUnknown, Rejected, StorageError
from shared.intake import quarantine as quarantines
from shared.intake.delivery import Delivery
from shared.intake.quarantine import MAX_BYTES_IN_ROW, Quarantine
from shared.intake.quarantine_rows import MAX_BYTES, MAX_ROWS, OLD_PARTITION, PARTITIONS
from shared.model.ports import Write
from tests.fakes.memory_blobs import FakeClock, SkewedClock
from tests.fakes.memory_table import Fault, MemoryTable
from tests.fakes.world import FOLDER_MAP, World

LARGE = MAX_BYTES_IN_ROW + 1


class Blob:
    """A body with its ETag and time."""

    def __init__(self, body: bytes, etag: str, clock: FakeClock) -> None:
        self.body = body
        self.modified_at = clock.now().replace(microsecond=0)
        self.properties = type("Properties", (), {"etag": etag})

    async def readall(self) -> bytes:
        """Return the body."""
        return self.body


class Container:
    """Blobs in memory, through as much of the SDK's client as the quarantine uses; also plays the service."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.blobs: dict[str, Blob] = {}
        self.uploads = self.at_once = self.most_at_once = 0
        self.fails: Callable[[str], AzureError | None] = lambda _: None

    def get_container_client(self, _: str) -> Container:
        """Return itself."""
        return self

    async def upload_blob(self, name: str, body: bytes, *, overwrite: bool) -> None:
        """Keep a body, a turn of the loop later."""
        assert overwrite
        self.uploads += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0)
            if error := self.fails(name):
                raise error
            self.blobs[name] = Blob(body, f"0x{self.uploads}", self.clock)
        finally:
            self.at_once -= 1

    async def download_blob(self, name: str) -> Blob:
        """Return a body."""
        if name not in self.blobs:
            error = ResourceNotFoundError("gone")
            error.__dict__["error_code"] = "BlobNotFound"
            raise error
        return self.blobs[name]

    async def delete_blob(self, name: str, *, if_unmodified_since: Any = None, etag: str = "", **_: object) -> None:
        """Delete a body on its conditions."""
        blob = await self.download_blob(name)
        if (if_unmodified_since and blob.modified_at > if_unmodified_since) or (etag and blob.properties.etag != etag):
            raise ResourceModifiedError("modified")
        del self.blobs[name]


class CountingTable(MemoryTable):
    """Says how many requests run at a time, and refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most_at_once = self.scans = 0
        self.batches: list[list[Write]] = []
        self.rejects: Callable[[Write], bool] = lambda _: False

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0)
            self.batches.append(list(writes))
            if any(map(self.rejects, writes)):
                raise Rejected("the table does not take it")
            return await super().commit(partition, writes)
        finally:
            self.at_once -= 1

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return all entries, by key."""
        return {key: dict(row.properties) for each in PARTITIONS for key, row in self.entities(each).items()}


class Place:
    """A quarantine in memory, and what it stands on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table = CountingTable()
        self.container = Container(self.clock)
        self.quarantine = self.process()

    def process(self) -> Quarantine:
        """Return the quarantine of another process."""
        return Quarantine(self.table, BlobBodies(self.container, "quarantine"), self.clock, Random(1))  # type: ignore[arg-type]

    async def put(self, *texts: str) -> list[str]:
        """Put events there, all at once."""
        return await asyncio.gather(*(self.quarantine.put(text, "why") for text in texts))


@pytest.fixture
def place() -> Place:
    """Return an empty quarantine."""
    return Place()


def distinct(count: int) -> list[str]:
    """Return objects that are no events."""
    return [json.dumps({"number": number}) for number in range(count)]


async def test_the_log_says_how_many_more_there_were(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """And nothing of it where there was one."""
    await place.put("{}")
    await place.put("[]", "[]", "[]")
    assert [record.getMessage() for record in caplog.records] == ["event quarantined: why"] * 2


async def test_a_body_that_has_come_again_is_not_removed(place: Place) -> None:
    """Whoever removes what nothing refers to says how old it was when it looked."""
    bodies = BlobBodies(place.container, "quarantine")  # type: ignore[arg-type]
    await bodies.put("key", "body")
    put_at = place.clock.now()
    await bodies.remove_older("key", put_at)
    assert await bodies.get("key") is not None
    await bodies.remove_older("key", put_at + timedelta(seconds=1))
    assert await bodies.get("key") is None


async def test_distinct_events_go_by_the_hundred_one_transaction_at_a_time(place: Place) -> None:
    """5,000 at once: no more transactions than 16 partitions need, no blob, and one line for many in the log."""
    texts = distinct(5000)
    keys = await place.put(*texts)
    assert len(place.table.rows()) == len(set(keys)) == place.quarantine.added == 5000
    assert place.table.most_at_once == 1
    assert place.table.commits <= 5000 / MAX_ROWS + 16 + 1
    assert max(map(len, place.table.batches)) == 100  # as many as a transaction can hold
    assert (place.table.reads, place.container.uploads) == (0, 0)
    assert [await place.quarantine.body(key) for key in keys] == [text.encode() for text in texts]


async def test_equal_events_are_one(place: Place) -> None:
    """5,000 at once, in the row or in a blob: one row, one upload, one transaction for all that wait."""
    for text in ("{}", "x" * LARGE):
        before = place.table.commits, place.container.uploads
        (key,) = set(await place.put(*[text] * 5000))
        assert await place.quarantine.body(key) == text.encode()
        assert place.table.commits - before[0] <= 2
        assert place.container.uploads - before[1] == (len(text) > MAX_BYTES_IN_ROW)
    assert (len(place.table.rows()), place.quarantine.added) == (2, 2)


async def test_a_redelivery_costs_about_as_much_as_the_delivery(place: Place) -> None:
    """By a process that remembers nothing: what is there already is found by scans, not by thousands of reads."""
    texts = distinct(5000)
    await place.put(*texts[:4900])
    before = place.table.rows()
    place.table.commits = place.table.reads = 0
    place.quarantine = place.process()
    await place.put(*texts)
    assert {key: row for key, row in place.table.rows().items() if key in before} == before
    assert (len(place.table.rows()), place.quarantine.added) == (5000, 100)
    assert place.table.commits <= 2 * (5000 / MAX_ROWS + 17)
    assert place.table.reads <= 5000 / 10
    assert place.clock.monotonic() == 0  # a conflict is no contention: nobody waits


async def test_no_transaction_is_larger_than_the_service_takes(place: Place) -> None:
    """Bodies that just fit into a row, and grow by being written as JSON; many of them in the same partition."""
    texts = [f"{number:04}" + '"\\' * ((MAX_BYTES_IN_ROW - 4) // 2) for number in range(2000)]
    keys = {text: hashlib.sha256(text.encode()).hexdigest() for text in texts}
    texts = [*texts[:100], *[text for text in texts[100:] if keys[text][0] == keys[texts[0]][0]]]
    await place.put(*texts)
    assert place.container.uploads == 0
    sizes = [sum(len(json.dumps(write.properties)) for write in batch) for batch in place.table.batches]
    assert max(sizes) <= MAX_BYTES
    assert max(map(len, place.table.batches)) <= MAX_ROWS
    assert len(place.table.rows()) == len(texts)


async def test_large_bodies_are_blobs_a_few_at_a_time(place: Place) -> None:
    """One byte decides, counted as the event came; so many uploads run at once and no more."""
    fits, fits_not = "é" * (MAX_BYTES_IN_ROW // 2), "é" * (MAX_BYTES_IN_ROW // 2) + "x"
    texts = [fits_not[1:] + f"{number:03}" for number in range(100)]
    keys = await place.put(fits, fits_not, *texts)
    assert place.container.uploads == 101
    assert place.container.most_at_once == CONCURRENT_BODIES
    assert [key for key, row in place.table.rows().items() if "body" in row] == keys[:1]
    assert [await place.quarantine.body(key) for key in keys] == [text.encode() for text in [fits, fits_not, *texts]]


@given(st.lists(st.text(st.characters(), max_size=20), max_size=8))
def test_whatever_the_text_it_comes_back_byte_for_byte(texts: list[str]) -> None:
    """Lone surrogates and characters that no XML can hold among them: these are not for a row."""

    async def there_and_back() -> None:
        place = Place()
        keys = await place.put(*texts)
        expected = [text.encode(errors="surrogatepass") for text in texts]
        assert [await place.quarantine.body(key) for key in keys] == expected
        for row in place.table.rows().values():
            str(row.get("body", "")).encode()
            assert not set("\0\x01\x1f\ufffe") & set(str(row.get("body", "")))
        delivered: list[str] = []

        async def deliver(text: str) -> None:
            delivered.append(text)

        assert {await place.quarantine.retry(key, deliver) for key in keys} <= {None}
        assert sorted(delivered) == sorted(set(texts))
        assert (place.table.rows(), place.container.blobs) == ({}, {})

    asyncio.run(there_and_back())


async def test_i5_no_entry_is_written_before_its_body(place: Place) -> None:
    """While a large body is on its way, and when it did not arrive, nothing in the index refers to it."""
    seen: list[int] = []

    def looks(_: str) -> AzureError | None:
        seen.append(len(place.table.rows()))
        return HttpResponseError("busy") if len(seen) == 1 else None

    place.container.fails = looks
    with pytest.raises(StorageError):
        await place.put("x" * LARGE)
    assert place.table.rows() == {}
    (key,) = await place.put("x" * LARGE)
    assert seen == [0, 0]
    assert list(place.table.rows()) == [key]


async def test_i5_a_body_that_did_not_arrive_fails_only_its_own_events(place: Place) -> None:
    """All that share it are delivered again; the others are kept."""
    place.container.fails = lambda _: HttpResponseError("busy")
    puts = [place.quarantine.put(text, "why") for text in ["x" * LARGE] * 50 + distinct(50)]
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(outcome, StorageError) for outcome in outcomes] == [True] * 50 + [False] * 50
    assert len(place.table.rows()) == 50


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
async def test_i5_an_answer_that_is_lost_is_asked_for_again(place: Place, fault: Fault) -> None:
    """Whether it was written or not: each event is there once, and nobody had to deliver it again."""
    faults = iter([fault, None, fault, fault])
    place.table.fault = lambda method: next(faults, None) if method == "commit" else None
    await place.put(*distinct(500))
    assert len(place.table.rows()) == 500


async def test_i5_an_outage_fails_every_delivery_and_holds_nobody(place: Place) -> None:
    """Within the budget, with few requests; each gets an error of its own; afterwards all goes on."""
    place.table.fault = lambda method: Fault.LOST_REQUEST if method == "commit" else None
    outcomes = await asyncio.gather(
        *(place.quarantine.put(text, "why") for text in distinct(500)), return_exceptions=True
    )
    assert all(isinstance(outcome, OutcomeUnknown) for outcome in outcomes)
    assert len(set(map(id, outcomes))) == 500
    assert place.table.commits < 30
    place.table.fault = lambda method: Fault.REFUSED if method == "commit" else None
    with pytest.raises(StorageError):
        await place.put("{}")
    place.table.fault = lambda _: None
    await place.put(*distinct(500))
    assert (len(place.table.rows()), place.quarantine.added) == (500, 500)


async def test_a_caller_that_is_cancelled_takes_nobody_along(place: Place) -> None:
    """Thousands may wait for one row."""
    waiting = [asyncio.create_task(place.quarantine.put(text, "why")) for text in ["{}"] * 3 + distinct(3)]
    await asyncio.sleep(0)
    for each in (waiting[0], waiting[3]):
        each.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, str) for outcome in outcomes] == [False, True, True, False, True, True]
    assert len(place.table.rows()) == 4


async def test_a_row_that_the_table_refuses_is_kept_as_a_blob_and_its_neighbours_as_rows(place: Place) -> None:
    """Whatever it is that the table dislikes about a body."""
    texts = [*distinct(300), '{"poison": 1}', '{"poison": 2}']
    place.table.rejects = lambda write: "poison" in str((write.properties or {}).get("body"))
    keys = await place.put(*texts)
    assert place.container.uploads == 2
    assert [await place.quarantine.body(key) for key in keys] == [text.encode() for text in texts]


@pytest.mark.parametrize("seed", range(30))
async def test_i5_whatever_is_acknowledged_is_kept(place: Place, seed: int) -> None:
    """Rows that are refused, are there already, or are written without an answer, and a table that takes its time."""
    random = Random(seed)
    texts = [text for text in distinct(1000) if hashlib.sha256(text.encode()).hexdigest()[0] in "ab"]  # two partitions
    poisonous = set(random.sample(texts, random.randrange(1, 4)))
    await place.put(*random.sample(sorted({*texts} - poisonous), random.randrange(3)))
    place.table.rejects = lambda write: (write.properties or {}).get("body") in poisonous
    place.table.fault = lambda what: Fault.LOST_ANSWER if what == "commit" and random.random() < 0.1 else None

    async def turns() -> None:
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)

    place.table.pause = turns
    keys = await asyncio.gather(*(place.quarantine.put(text, "why") for text in random.sample(texts, len(texts))))
    place.table.fault = lambda _: None
    assert set(place.table.rows()) == {*keys}
    for text in texts:
        assert await place.quarantine.body(hashlib.sha256(text.encode()).hexdigest()) == text.encode()


async def test_two_processes_keep_the_same_events_at_once(place: Place) -> None:
    """Each event once; both deliveries are taken."""
    other = place.process()
    texts = distinct(400)
    await asyncio.gather(*(each.put(text, "why") for text in texts for each in (place.quarantine, other)))
    assert len(place.table.rows()) == 400
    assert place.quarantine.added + other.added == 400


async def test_an_entry_that_comes_again_while_it_is_removed_is_removed_too(place: Place) -> None:
    """It was applied: the row is dropped whatever it holds by then."""
    (key,) = await place.put("{}")

    async def takes(text: str) -> None:
        commit = place.table.commit

        async def later(partition: str, writes: Sequence[Write]) -> list[str]:
            place.table.commit = commit  # type: ignore[method-assign]
            await place.table.commit(partition, [replace(writes[0], properties={"size_bytes": len(text)})])
            return await commit(partition, writes)

        place.table.commit = later  # type: ignore[method-assign]

    assert await place.quarantine.retry(key, takes) is None
    assert place.table.rows() == {}


async def test_entries_of_an_older_release(place: Place) -> None:
    """One partition, every body a blob: they are listed, counted, found, shown, retried and purged like the others."""
    texts = {key: text for text in ("old", "older") for key in await place.put(text * LARGE)}
    for partition in PARTITIONS[1:]:
        for key, row in place.table.entities(partition).items():
            await place.table.commit(OLD_PARTITION, [Write(key, row.properties, None)])
            await place.table.commit(partition, [Write(key, None, row.etag)])
    first, second = texts
    assert {entry.key async for entry in place.quarantine.entries()} == set(texts)
    assert await place.quarantine.count() == 2
    assert [entry.key for entry in await place.quarantine.find(first[:10])] == [first]
    assert await place.quarantine.body(first) == (texts[first] * LARGE).encode()

    async def understands(_: str) -> None:
        return

    async def does_not(text: str) -> None:
        await place.quarantine.put(text, "still not")

    assert await place.quarantine.retry(first, does_not) == "still not"
    assert place.table.rows()[first]["reason"] == "still not"
    assert await place.quarantine.retry(first, understands) is None
    assert await place.quarantine.purge(place.clock.now() + timedelta(seconds=1)) == (1, True)
    assert (place.table.rows(), await place.quarantine.body(second)) == ({}, None)


async def test_the_count_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound the index is not read to its end; no more than keys is read of it, never a body."""
    await place.put(*distinct(2000))
    scan = place.table.scan

    def of_keys_only(partition: str, select: Sequence[str] | None = None, **options: Any) -> Any:
        assert select == []
        return scan(partition, select, **options)

    place.table.scan = of_keys_only  # type: ignore[method-assign]
    assert await place.quarantine.count() == 2000
    for most, found in ((2000, 2000), (1999, 2000), (100, 101)):
        monkeypatch.setattr(quarantines, "MAX_COUNTED", most)
        assert await place.quarantine.count() == found


async def test_every_entry_is_listed_and_found(place: Place) -> None:
    """However many stand before it, and without reading a body; two are one too many."""
    texts = distinct(2500)
    keys = await place.put(*texts)
    scan = place.table.scan

    def of_columns(partition: str, select: Sequence[str] | None = None, **options: Any) -> Any:
        assert select is not None
        assert "body" not in select
        return scan(partition, select, **options)

    place.table.scan = of_columns  # type: ignore[method-assign]
    entries = {entry.key: entry async for entry in place.quarantine.entries()}
    assert set(entries) == set(keys)
    entry = entries[keys[7]]
    assert (entry.reason, entry.received_at, entry.size_bytes) == ("why", to_iso(place.clock.now()), len(texts[7]))
    for key in sorted(keys)[::100]:
        assert await place.quarantine.find(key[:12]) == [entries[key]]
        assert await place.quarantine.find(key) == [entries[key]]
    assert len(await place.quarantine.find("a")) == 2
    assert await place.quarantine.find("a" * 20) == []


async def test_an_outage_that_is_over_does_not_slow_what_comes_later(place: Place) -> None:
    """Waits grow while storage gives no answer, and begin anew after one."""
    faults = [Fault.LOST_REQUEST] * 5
    place.table.fault = lambda method: faults.pop() if method == "commit" and faults else None
    await place.put("a")
    assert place.clock.monotonic() > 1
    faults.append(Fault.LOST_REQUEST)
    before = place.clock.monotonic()
    await place.put("b")
    assert 0 < place.clock.monotonic() - before <= 0.1
    assert len(place.table.rows()) == 2


async def test_i5_what_something_in_between_refuses_is_an_outage(place: Place) -> None:
    """A proxy's 413 says nothing of an event: it is delivered again, and its neighbours are kept."""
    commit = place.table.commit

    async def through_a_proxy(partition: str, writes: Sequence[Write]) -> list[str]:
        if any("large" in str(write.properties) for write in writes):
            raise Rejected("413", by_service=False)
        return await commit(partition, writes)

    place.table.commit = through_a_proxy  # type: ignore[method-assign]
    puts = [place.quarantine.put(text, "why") for text in [*distinct(50), '{"large": 1}']]
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str] * 50 + [OutcomeUnknown]
    assert (len(place.table.rows()), place.container.uploads) == (50, 0)


async def test_purge_drops_what_is_old_and_nothing_else(place: Place) -> None:
    """Entry and body; a body that has come again meanwhile is another event's."""
    old = await place.put(*distinct(250), "x" * LARGE, "y" * LARGE)
    place.clock.advance(100)
    new = await place.put("new", "z" * LARGE)
    commit = place.table.commit

    async def again(partition: str, writes: Sequence[Write]) -> list[str]:
        etags = await commit(partition, writes)
        if any(write.row_key == old[-1] and write.properties is None for write in writes):
            place.table.commit = commit  # type: ignore[method-assign]
            await place.put("y" * LARGE)
        return etags

    place.table.commit = again  # type: ignore[method-assign]
    assert await place.quarantine.purge(place.clock.now() - timedelta(seconds=50)) == (252, True)
    assert set(place.table.rows()) == {*new, old[-1]}
    assert set(place.container.blobs) == {f"{key}.json" for key in (new[1], old[-1])}
    assert await place.quarantine.purge(place.clock.now() - timedelta(seconds=50)) == (0, True)


async def test_the_timer_purges_once_a_day(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever process; a purge whose time was up goes on with the next run."""
    retention = timedelta(days=90)
    await place.put(*distinct(250))
    await place.quarantine.purge_daily(retention)
    assert "were dropped" not in caplog.text
    place.clock.advance(86_400 * 89.5)
    await place.put("younger")
    place.clock.advance(86_400)
    place.table.scans = 0
    page = place.table.commits
    slow = place.process()
    slow._clock = place.clock
    monotonic = place.clock.monotonic
    place.clock.monotonic = lambda: monotonic() + 100 * (place.table.commits - page)  # type: ignore[method-assign]
    await slow.purge_daily(retention)
    assert 1 < len(place.table.rows()) < 251
    place.clock.monotonic = monotonic  # type: ignore[method-assign]
    await place.process().purge_daily(retention)
    assert len(place.table.rows()) == 1
    place.clock.advance(86_400 * 0.9)
    await place.quarantine.purge_daily(retention)
    assert len(place.table.rows()) == 1
    assert "older than 90 days were dropped" in caplog.text
    place.clock.advance(86_400 * 90)
    await place.quarantine.purge_daily(retention)
    assert len(place.table.rows()) == 0


@pytest.mark.parametrize("days", [1, 400])
async def test_a_clock_that_is_ahead_keeps_nobody_from_purging(place: Place, days: int) -> None:
    """Its machine has noted when it did it; the others do it all the same."""
    ahead = place.process()
    ahead._clock = SkewedClock(place.clock, days * 86_400)
    await ahead.purge_daily(timedelta(days=90))
    await place.put("old")
    place.clock.advance(91 * 86_400)
    await place.quarantine.purge_daily(timedelta(days=90))
    assert place.table.rows() == {}


def test_received_at_is_compared_as_text() -> None:
    """What purge asks the table for is the order of time: always UTC, always six digits."""
    moments = [from_iso(f"2026-11-{day:02}T00:00:00{fraction}Z") for day in (9, 10) for fraction in ("", ".000001")]
    assert sorted(map(to_iso, moments)) == [to_iso(moment) for moment in sorted(moments)]


async def test_events_of_other_topics_are_a_number(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A million of them: none is kept, none fails, and one line a minute says how many and the last one's topic."""
    process = world.process
    delivery = Delivery(
        FOLDER_MAP,
        process.counts,
        process.writer,
        process.quarantine,  # type: ignore[arg-type]
        process.reconciler,
        world.clock,
        verify_deletes=False,
        topics=frozenset({"/subscriptions/ours"}),
    )
    caplog.set_level(logging.INFO, logger="shared")
    foreign = json.dumps({"topic": "/subscriptions/other", "whatever": "it is"})
    for _ in range(600):
        await delivery.take(foreign)
        world.clock.advance(0.5)
    assert process.quarantine.kept == []
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 5
    assert said[0].startswith("left out: 1 events, the last from topic '/subscriptions/other'")
    assert said[1].startswith("left out: 120 events")
    assert delivery.of_other_topics == 600
    await delivery.take('{"whatever": "it is"}')
    await delivery.take(json.dumps({"topic": "/SUBSCRIPTIONS/ours", "whatever": "it is"}))
    assert ["names no topic" in reason for _, reason in process.quarantine.kept] == [True, False]
    process.quarantine.retried = foreign  # an older release has kept it
    await delivery.take(foreign)
    assert "which EVENT_TOPICS does not name" in process.quarantine.kept[-1][1]
