"""The quarantine: nothing is thrown away, whatever goes wrong between the body and its entry."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)

from shared.azure.quarantine_bodies import BlobBodies
from shared.errors import OutcomeUnknown, Refused
from shared.intake.quarantine import MAX_BYTES_IN_ROW, MAX_REASON_CHARACTERS, Quarantine
from shared.intake.quarantine_rows import Quarantined
from shared.model.ports import Entity, Write
from tests.fakes.memory_blobs import FakeClock
from tests.fakes.memory_bodies import MemoryBodies, storage_error
from tests.fakes.memory_table import Fault, MemoryTable

#: Too large for a row: its body is a blob.
EVENT = '{"what": "is this", "and": "' + "x" * MAX_BYTES_IN_ROW + '"}'
KEY = hashlib.sha256(EVENT.encode()).hexdigest()
PARTITION = f"quarantine-{KEY[0]}"


class Kept:
    """A quarantine, what it stands on, and events delivered again."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.bodies = MemoryBodies()
        self.clock = FakeClock()
        self.quarantine = Quarantine(self.table, BlobBodies(self.bodies, "quarantine"), self.clock, Random(0))  # type: ignore[arg-type]
        self.delivered: list[str] = []

    def another(self) -> Quarantine:
        """Return the quarantine of another process."""
        return Quarantine(self.table, BlobBodies(self.bodies, "quarantine"), self.clock, Random(0))  # type: ignore[arg-type]

    async def take(self, text: str) -> None:
        """Take an event that is delivered again."""
        self.delivered.append(text)

    def refuse(self, reason: str) -> Callable[[str], Awaitable[None]]:
        """Return a delivery that puts the event back."""

        async def put_back(text: str) -> None:
            await self.quarantine.put(text, reason)

        return put_back

    async def entries(self) -> list[Quarantined]:
        """Return the index."""
        return [entry async for entry in self.quarantine.entries()]


@pytest.fixture
def kept() -> Kept:
    """Return an empty quarantine, whose container is not there yet."""
    return Kept()


def fail(operation: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    """Return a fault that an operation meets the first times."""
    left = [times]

    def fault(asked: str) -> None:
        if asked == operation and left[0]:
            left[0] -= 1
            raise error

    return fault


async def test_i5_an_event_is_kept_with_its_reason_its_time_and_its_size(kept: Kept) -> None:
    """Body and entry under the hash of the event; the container is made when it is first needed."""
    text = "not even JSON \ud800 é"
    body = text.encode(errors="surrogatepass")
    key = await kept.quarantine.put(text, "why \ud800" + "!" * 2 * MAX_REASON_CHARACTERS)
    assert key == hashlib.sha256(body).hexdigest()
    (entry,) = await kept.entries()
    assert entry == Quarantined(key, entry.reason, "2026-01-01T00:00:00.000000+00:00", len(body))
    assert entry.reason.startswith("why ?!")
    assert len(entry.reason) == MAX_REASON_CHARACTERS
    assert await kept.quarantine.body(key) == body
    assert kept.bodies.calls[:3] == ["upload", "create container", "upload"]
    assert kept.quarantine.added == await kept.quarantine.count() == 1


async def test_i5_there_is_no_entry_without_a_body(kept: Kept) -> None:
    """The body comes first: when it cannot be kept the delivery fails, and nothing claims to have the event."""
    kept.bodies.fault = fail("upload", ServiceRequestError("no way there"))
    with pytest.raises(OutcomeUnknown):
        await kept.quarantine.put(EVENT, "odd")
    assert not await kept.entries()
    kept.table.fault = lambda method: Fault.LOST_REQUEST if method == "commit" else None
    with pytest.raises(OutcomeUnknown):
        await kept.quarantine.put(EVENT, "odd")
    assert not await kept.entries()
    assert await kept.quarantine.body(KEY) == EVENT.encode()
    kept.table.fault = lambda _: None
    assert await kept.quarantine.put(EVENT, "odd") == KEY
    assert len(await kept.entries()) == 1


@pytest.mark.parametrize("code", ["AuthorizationFailure", "BlobNotFound"])
async def test_a_container_is_made_only_when_there_is_none(kept: Kept, code: str) -> None:
    """What is refused for another reason is an outage, and says so."""
    kept.bodies.fault = fail("upload", storage_error(HttpResponseError, 403, code), 9)
    with pytest.raises(Refused, match=code):
        await kept.quarantine.put(EVENT, "odd")
    assert "create container" not in kept.bodies.calls


async def test_a_container_that_another_process_has_made_is_used(kept: Kept) -> None:
    """Both found none, one made it."""
    await kept.another().put("another", "odd")
    kept.bodies.fault = fail("upload", storage_error(ResourceNotFoundError, 404, "ContainerNotFound"))
    assert await kept.quarantine.put(EVENT, "odd") == KEY
    assert await kept.quarantine.count() == 2


async def test_i5_a_redelivery_is_kept_once(kept: Kept) -> None:
    """With the reason and the time of the first; it is not counted again."""
    await kept.quarantine.put(EVENT, "first")
    kept.clock.advance(60)
    assert await kept.another().put(EVENT, "second") == await kept.quarantine.put(EVENT, "third") == KEY
    (entry,) = await kept.entries()
    assert (entry.reason, entry.received_at) == ("first", "2026-01-01T00:00:00.000000+00:00")
    assert kept.quarantine.added == 1


async def test_an_event_that_is_taken_is_forgotten(kept: Kept) -> None:
    """It is delivered as it was; entry and body go, and a second attempt finds it taken."""
    text = "\ud800"
    key = await kept.quarantine.put(text, "odd")
    assert await kept.quarantine.retry(key, kept.take) is None
    assert kept.delivered == [text]
    assert not await kept.entries()
    assert not kept.bodies.blobs
    assert await kept.quarantine.retry(key, kept.take) is None
    assert kept.delivered == [text]


async def test_an_event_that_is_still_not_understood_stays_with_the_newest_reason(kept: Kept) -> None:
    """It is not put in anew meanwhile, and after the attempt a delivery of the same event is one again."""
    await kept.quarantine.put(EVENT, "old")
    kept.clock.advance(60)
    uploads = kept.bodies.calls.count("upload")
    assert await kept.quarantine.retry(KEY, kept.refuse("new")) == "new"
    assert await kept.quarantine.retry(KEY, kept.refuse("newer" * MAX_REASON_CHARACTERS))
    (entry,) = await kept.entries()
    assert (entry.reason[:10], len(entry.reason)) == ("newernewer", MAX_REASON_CHARACTERS)
    assert (entry.received_at, entry.size_bytes) == ("2026-01-01T00:00:00.000000+00:00", len(EVENT))
    assert kept.bodies.calls.count("upload") == uploads
    assert await kept.quarantine.body(KEY) == EVENT.encode()
    commits = kept.table.commits
    await kept.quarantine.retry(KEY, kept.refuse("newer" * MAX_REASON_CHARACTERS))
    assert kept.table.commits == commits, "the same reason is not written again"
    await kept.quarantine.put(EVENT, "delivered again")
    assert kept.bodies.calls.count("upload") == uploads + 1


async def test_i5_an_outage_while_it_is_retried_changes_nothing(kept: Kept) -> None:
    """And the next attempt is a whole one."""

    async def outage(_: str) -> None:
        raise OutcomeUnknown("storage is away")

    await kept.quarantine.put(EVENT, "odd")
    with pytest.raises(OutcomeUnknown):
        await kept.quarantine.retry(KEY, outage)
    (entry,) = await kept.entries()
    assert entry.reason == "odd"
    assert await kept.quarantine.retry(KEY, kept.take) is None
    assert kept.delivered == [EVENT]


async def test_two_attempts_at_once_deliver_once(kept: Kept) -> None:
    """The second is told so and leaves the event to the first."""
    said: list[str | None] = []

    async def while_it_is_taken(text: str) -> None:
        said.append(await kept.quarantine.retry(KEY, kept.take))
        await kept.take(text)

    await kept.quarantine.put(EVENT, "odd")
    assert await kept.quarantine.retry(KEY, while_it_is_taken) is None
    assert said == ["it is being retried already"]
    assert kept.delivered == [EVENT]
    assert not await kept.entries()


async def test_i5_a_body_that_another_process_has_brought_anew_is_not_deleted(kept: Kept) -> None:
    """The event has come again while it was delivered: that process may be about to write its entry."""

    async def comes_again(_: str) -> None:
        kept.clock.advance(60)
        await kept.another().put(EVENT, "again")

    await kept.quarantine.put(EVENT, "odd")
    await kept.quarantine.retry(KEY, comes_again)
    assert await kept.quarantine.body(KEY) == EVENT.encode()


async def test_an_entry_that_another_process_has_touched_is_forgotten_all_the_same(kept: Kept) -> None:
    """Its ETag is an older one by then: the entry is read again, and dropped."""
    read = kept.table.read

    async def touched_meanwhile(partition: str, row_key: str) -> Entity | None:
        found = await read(partition, row_key)
        if found is not None and kept.table.commits == 1:
            await kept.table.commit(PARTITION, [Write(KEY, {**found.properties, "reason": "new"}, found.etag)])
        return found

    await kept.quarantine.put(EVENT, "odd")
    kept.table.read = touched_meanwhile  # type: ignore[method-assign]
    assert await kept.quarantine.retry(KEY, kept.take) is None
    assert not await kept.entries()
    assert not kept.bodies.blobs


async def test_a_body_that_cannot_be_deleted_is_litter(kept: Kept) -> None:
    """The event was taken; nothing refers to its body."""
    await kept.quarantine.put(EVENT, "odd")
    kept.bodies.fault = fail("delete", ServiceRequestError("no way there"))
    assert await kept.quarantine.retry(KEY, kept.take) is None
    assert not await kept.entries()


async def test_a_body_that_is_gone_or_another_is_said(kept: Kept) -> None:
    """Nothing is delivered that is not the event, and the entry stays."""
    await kept.quarantine.put(EVENT, "odd")
    assert kept.bodies.blobs is not None
    kept.bodies.blobs[f"{KEY}.json"] = ("0x9", b"another")
    assert "somebody has changed it" in (await kept.quarantine.retry(KEY, kept.take) or "")
    del kept.bodies.blobs[f"{KEY}.json"]
    assert "its body is gone" in (await kept.quarantine.retry(KEY, kept.take) or "")
    assert await kept.quarantine.body(KEY) is None
    assert not kept.delivered
    assert len(await kept.entries()) == 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (storage_error(ClientAuthenticationError, 403, "AuthorizationFailure"), Refused),
        (storage_error(ResourceNotFoundError, 404, "ResourceNotFound"), Refused),
        (ServiceRequestError("no way there"), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
    ],
    ids=str,
)
async def test_a_body_that_cannot_be_read_is_not_gone(kept: Kept, error: Exception, raised: type[Exception]) -> None:
    """Only storage's own word that the blob or its container is absent says that."""
    await kept.quarantine.put(EVENT, "odd")
    kept.bodies.fault = fail("download", error)
    with pytest.raises(raised):
        await kept.quarantine.body(KEY)
    assert len(await kept.entries()) == 1


async def test_entries_are_found_by_the_beginning_of_their_key(kept: Kept) -> None:
    """None, one, or two, which is one too many; across pages, and by the whole key with one read."""
    keys = sorted([await kept.quarantine.put(str(number), "odd") for number in range(250)])
    assert await kept.quarantine.count() == len(keys) == len(await kept.entries())
    for key in keys[::25]:
        assert [entry.key for entry in await kept.quarantine.find(key)] == [key]
        beginning = next(key[:n] for n in range(64) if sum(each.startswith(key[:n]) for each in keys) == 1)
        assert [entry.key for entry in await kept.quarantine.find(beginning)] == [key]
    assert len(await kept.quarantine.find("")) == 2
    assert [entry.key for entry in await kept.quarantine.find(keys[-1][:1])] == [
        key for key in keys if key.startswith(keys[-1][:1])
    ][:2]
    assert await kept.quarantine.find("g") == []


async def test_finding_reads_no_further_than_it_has_to(kept: Kept) -> None:
    """The keys are in order: after the first that begins otherwise there are no more."""
    keys = sorted([await kept.quarantine.put(str(number), "odd") for number in range(250)])
    scans: list[str] = []
    kept.table.fault = scans.append  # type: ignore[assignment]
    await kept.quarantine.find(keys[0][:8])
    assert scans.count("scan") <= 2  # its partition, and that of earlier releases
