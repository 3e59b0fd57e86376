"""The inbox is read as the service pages it: across partitions, each page where the one before it ended."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from shared.azure.inbox import AzureInbox
from tests.azure.test_batch import Answering, table_behind

NEXT = "x-ms-continuation-NextPartitionKey: q\r\nx-ms-continuation-NextRowKey: 7\r\n"


def paging(asked: list[dict[str, list[str]]]) -> Answering:
    """Answer queries with an entity each, and say after the first that there is more; note what is asked for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(parse_qs(urlsplit(head.split()[1].decode()).query))
        entity = {"odata.etag": 'W/"1"', "PartitionKey": "p", "RowKey": str(len(asked)), "n": 1}
        body = json.dumps({"value": [entity]}).encode()
        more = NEXT if len(asked) == 1 else ""
        date = "Date: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\n{date}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


async def test_the_next_page_begins_where_the_service_says() -> None:
    """Its two keys go into the token, and come back as they were; the last page has none."""
    asked: list[dict[str, list[str]]] = []
    async with table_behind(paging(asked), AzureInbox) as inbox:
        first = await inbox.page()
        last = await inbox.page(first.next_token)
    assert [entity.row_key for page in (first, last) for entity in page.entities] == ["1", "2"]
    assert (bool(first.next_token), last.next_token) == (True, "")
    assert first.date == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert "NextPartitionKey" not in asked[0]
    assert (asked[1]["NextPartitionKey"], asked[1]["NextRowKey"]) == (["q"], ["7"])


async def test_a_scan_asks_for_what_it_needs_and_no_more() -> None:
    """A million rows are read by it: their keys and a property or two."""
    asked: list[dict[str, list[str]]] = []
    async with table_behind(paging(asked)) as table:
        pages = [page async for page in table.scan("p", ["n"], after="0")]
    assert [len(page) for page in pages] == [1, 1]
    for each in asked:
        assert set(each["$select"][0].split(",")) == {"PartitionKey", "RowKey", "n"}
