"""Whatever comes back on a connection to the table, the port raises one of the app's errors, or tells the truth."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest

from shared.azure.table import AzureTable
from shared.errors import OutcomeUnknown, Refused, Rejected, StorageError
from shared.model.changes import BlobChange
from shared.model.ports import Write
from shared.writing.batch import BUDGET_SECONDS
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer
from tests.azure.test_batch import DONE, WRITES, answering, changeset, error, table_behind
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_table import MemoryTable
from tests.fakes.world import FINGERPRINT, World

ANSWERS = 400
PAGE = "<html><head><title>413</title></head><body><code>TooLarge</code></body></html>"
XML = '<?xml version="1.0"?><error><code>TooLarge</code><message>no</message></error>'
ENTITY = {"odata.etag": 'W/"1"', "PartitionKey": "p", "RowKey": "a", "n": 1}

OPERATIONS: dict[str, Callable[[AzureTable], Awaitable[object]]] = {
    "read": lambda table: table.read("p", "a"),
    "commit": lambda table: table.commit("p", WRITES),
    "create one": lambda table: table.commit("p", WRITES[:1]),
    "replace one": lambda table: table.commit("p", [Write("a", {"n": 1}, 'W/"1"')]),
    "delete one": lambda table: table.commit("p", [Write("a", None, 'W/"1"')]),
    "create": lambda table: table.create(),
}


async def scan(table: AzureTable) -> object:
    """Read a whole partition."""
    return [entity async for page in table.scan("p") for entity in page]


OPERATIONS["scan"] = scan


def bodies(random: Random) -> bytes:
    """Return a body: what the service writes, what others write, or noise."""
    texts = [
        "",
        "{}",
        "[]",
        "null",
        json.dumps(ENTITY),
        json.dumps({**ENTITY, "RowKey": "other"}),
        json.dumps({"value": [ENTITY, {"n": 1}]}),
        json.dumps({"value": 7}),
        error("ServerBusy", "0:Busy."),
        error("InvalidInput", "1:No."),
        json.dumps({"odata.error": {"code": 7}}),
        changeset(DONE, DONE),
        changeset(DONE),
        PAGE,
        XML,
        "[" * 5000,
    ]
    whole = random.choice([random.choice(texts).encode(), random.randbytes(random.randrange(60))])
    return whole[: random.randrange(len(whole) + 1)] if random.random() < 0.3 else whole


def answer(random: Random) -> bytes:
    """Return an answer, a broken one perhaps."""
    status = random.choice([200, 201, 202, 204, 206, 302, 400, 401, 403, 404, 409, 412, 413, 429, 500, 503, 599])
    body = bodies(random)
    headers = [f"Content-Type: {random.choice(['application/json', 'text/html', 'application/xml', 'x', ''])}"]
    if status == 202:
        headers = ["Content-Type: multipart/mixed; boundary=batchresponse_1"]
    encoding = random.choice(["", "", "gzip", "deflate", "br", "gzip, gzip"])
    if encoding:
        headers.append(f"Content-Encoding: {encoding}")
        packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(body)
        body = random.choice([body, packed, packed[: len(packed) // 2]])
    if random.random() < 0.2:
        headers.append("ETag: " + random.choice(['W/"9"', "", "x"]))
    length = len(body) + random.choice([0, 0, 0, 0, 3])
    headers.append(random.choice([f"Content-Length: {length}"] * 9 + ["Transfer-Encoding: chunked"]))
    return f"HTTP/1.1 {status} Whatever\r\n".encode() + "\r\n".join(headers).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("name", OPERATIONS)
async def test_i5_no_answer_makes_anything_but_an_error_of_the_app(name: str) -> None:
    """An exception of some decoder would end a flush, a watch or a reconciliation in a way that nobody foresaw."""
    random = Random(name)
    sent = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)
        writer.write(sent)
        await writer.drain()

    for number in range(ANSWERS // len(OPERATIONS)):
        sent = answer(random)
        async with table_behind(serve) as table:
            try:
                result = await OPERATIONS[name](table)
            except StorageError:
                continue
            except Exception as unforeseen:
                raise AssertionError(f"answer {number} of {name}, {sent!r}, made {unforeseen!r}") from unforeseen
        assert is_true(name, result, sent), f"{name} made {result!r} of {sent!r}"


def is_true(name: str, result: object, sent: bytes) -> bool:
    """Tell whether an answer really says what was made of it."""
    if name == "read":
        return result is None or b'"RowKey": "a"' in sent
    if name in {"commit", "create one", "replace one"}:
        return all(isinstance(result, list) and etag for etag in result)  # type: ignore[union-attr]
    return True


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413])
@pytest.mark.parametrize("page", [PAGE, XML, "", "{}", '{"error": {"code": "TooLarge"}}'])
async def test_i5_a_page_from_something_in_between_is_no_verdict_of_the_service(status: int, page: str) -> None:
    """It rejects no row, and nobody knows what storage has done; too large is too large, whoever says so."""
    for writes in (WRITES, WRITES[:1], [Write("a", {"n": 1}, 'W/"1"')]):
        async with table_behind(answering(status, page)) as table:
            with pytest.raises((OutcomeUnknown, Rejected)) as caught:
                await table.commit("p", writes)
        if isinstance(caught.value, Rejected):
            assert (status, caught.value.by_service) == (413, False)


class Between(MemoryTable):
    """A table behind something that takes so many operations at a time."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    async def commit(self, partition: str, writes: list[Write]) -> list[str]:  # type: ignore[override]
        """Refuse what is too large."""
        if len(writes) > self.limit:
            raise Rejected("something between the app and Table Storage answered 413", by_service=False)
        return await super().commit(partition, writes)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_i5_what_something_in_between_finds_too_large_is_sent_in_parts(limit: int) -> None:
    """A single event that is too large for it is an outage, and comes again: it is never called bad."""
    world = World()
    table = Between(100)
    counts = Counts(table, FINGERPRINT, world.clock)
    blobs = MemoryBlobs(world.clock)
    writer = Writer(table, counts, blobs, world.clock, world.random)
    await counts.change(lambda tally: replace(tally, ready=True))
    world.clock.advance(600)
    table.limit = limit
    changes = [
        BlobChange("queued", f"{number}.jpg", present=True, sequencer=f"{number:048x}", event_time=world.clock.now())
        for number in range(9)
    ]
    results = await asyncio.gather(*(writer.apply(each, "queued") for each in changes), return_exceptions=True)
    if limit == 1:  # a row and the tally are two
        assert all(isinstance(result, Refused) for result in results)
    else:
        assert [str(result) for result in results] == ["applied"] * 9


@pytest.mark.parametrize(("asks_for", "most"), [("5", 4), ("", 30), ("120", 1), ("soon", 30)])
async def test_a_busy_table_is_left_alone(asks_for: str, most: int) -> None:
    """For as long as it asks, within the delivery's budget; without a word, for longer each time."""
    requests = 0

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.readuntil(b"\r\n\r\n")
        body = error("ServerBusy", "The server is busy.").encode()
        asked = f"Retry-After: {asks_for}\r\n" if asks_for else ""
        head = f"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\n{asked}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    world = World()
    async with table_behind(busy) as table:
        writer = Writer(table, Counts(table, FINGERPRINT, world.clock), world.blobs, world.clock, world.random)
        change = BlobChange("queued", "a.jpg", present=True, sequencer="1", event_time=world.clock.now())
        with pytest.raises(OutcomeUnknown, match="503 ServerBusy"):
            await writer.apply(change, "queued")
    assert requests <= most
    assert world.clock.monotonic() <= BUDGET_SECONDS
