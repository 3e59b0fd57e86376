"""Pages of a listing as the service writes them, over a real connection: names decoded, directories left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

import pytest
from azure.storage.blob.aio import BlobServiceClient
from hypothesis import given
from hypothesis import strategies as st

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.ports import LOOPBACK
from shared.azure.clients import connections
from shared.azure.heads import BlobHeads
from shared.azure.listing import BlobListing
from shared.errors import ContainerAbsent, OutcomeUnknown, Refused, StorageError

DATE = "Date: Wed, 25 Nov 2026 12:00:00 GMT\r\n"
OF_A_BLOB = (
    "Last-Modified: Wed, 25 Nov 2026 11:00:00 GMT\r\n",
    'ETag: "0x1"\r\n',
    "x-ms-blob-type: BlockBlob\r\n",
)


def listed(name: str, *, encoded: bool = False, extra: str = "") -> str:
    """Return a blob as it stands in a page."""
    text = quote(name, safe="") if encoded else escape(name)
    return f"<Blob><Name{' Encoded="true"' if encoded else ''}>{text}</Name>{extra}</Blob>"


def page(*blobs: str) -> str:
    """Return a page."""
    return f'<?xml version="1.0"?><EnumerationResults><Blobs>{"".join(blobs)}</Blobs><NextMarker/></EnumerationResults>'


@asynccontextmanager
async def account(
    body: str = "",
    headers: str = "",
    status: int = 200,
    asked: list[dict[str, str]] | None = None,
    of_a_blob: Iterable[str] = OF_A_BLOB,
) -> AsyncIterator[BlobServiceClient]:
    """Return an account that answers everything in this way, and notes what it is asked for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(dict(parse_qsl(urlsplit(head.split()[1].decode()).query, keep_blank_values=True)))
        whole = body.encode()
        answer = f"HTTP/1.1 {status} Whatever\r\n{DATE}{''.join(of_a_blob)}{headers}Content-Type: application/xml\r\n"
        writer.write(answer.encode() + f"Content-Length: {len(whole)}\r\n\r\n".encode() + whole)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    text = f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint=http://{LOOPBACK}:{port}/{ACCOUNT};"
    try:
        async with BlobServiceClient.from_connection_string(text, transport=connections(), retry_total=0) as service:
            yield service
    finally:
        server.close()


async def names(body: str, headers: str = "", status: int = 200) -> list[str]:
    """Return the names that the adapter reads in a page."""
    async with account(body, headers, status) as service:
        return [name async for each in BlobListing(service).pages("queued", "") for name in each.names]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), max_size=5))
def test_i4_a_name_is_listed_as_its_event_has_it(wanted: list[str]) -> None:
    """What XML cannot hold comes percent-encoded, and marked: taken as it stands it would be another blob."""
    body = page(*(listed(name, encoded=True) for name in wanted))
    assert asyncio.run(names(body)) == wanted


async def test_i4_only_what_is_marked_is_decoded() -> None:
    """A percent sign in an ordinary name stands for itself."""
    assert await names(page(listed("100%25.jpg"), listed("dir1/file\uffff.jpg", encoded=True))) == [
        "100%25.jpg",
        "dir1/file\uffff.jpg",
    ]


async def test_a_listing_goes_on_where_its_token_says() -> None:
    """Page by page, each of so many names, with the metadata that tells directories from blobs."""
    asked: list[dict[str, str]] = []
    whole = {"restype": "container", "comp": "list", "include": "metadata"}
    async with account(page(listed("a.jpg")), asked=asked) as service:
        (only,) = [each async for each in BlobListing(service).pages("queued", "")]
    assert (only.names, only.next_token) == (["a.jpg"], "")
    assert asked == [whole | {"maxresults": "5000"}]
    asked.clear()
    more = page(listed("case/a.jpg")).replace("<NextMarker/>", "<NextMarker>2!88!b</NextMarker>")
    more = more.replace("<Blobs>", "<Prefix>case/</Prefix><MaxResults>7</MaxResults><Blobs>")
    async with account(more, asked=asked) as service:
        pages = BlobListing(service, 7).pages("queued", "case/", "2!88!a")
        assert [(await anext(pages)).next_token for _ in range(2)] == ["2!88!b"] * 2
        await pages.aclose()  # type: ignore[attr-defined]
    expected = whole | {"maxresults": "7", "prefix": "case/"}
    assert asked == [expected | {"marker": "2!88!a"}, expected | {"marker": "2!88!b"}]


@pytest.mark.parametrize(
    "extra",
    [
        "<Properties><ResourceType>directory</ResourceType></Properties>",
        "<Properties/><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>",
        "<Metadata><Hdi_IsFolder>True</Hdi_IsFolder></Metadata>",
    ],
)
async def test_i1_a_directory_is_no_image_whatever_its_name(extra: str) -> None:
    """On an account with a hierarchical namespace it is listed like a blob; on others a marker stands for it."""
    file = "<Properties><ResourceType>file</ResourceType></Properties><Metadata><a>b</a><hdi_isfolder/></Metadata>"
    assert await names(page(listed("photos.jpg", extra=extra), listed("a.jpg", extra=file))) == ["a.jpg"]


@pytest.mark.parametrize("headers", ["x-ms-resource-type: directory\r\n", "x-ms-meta-hdi_isfolder: true\r\n"])
async def test_i1_a_look_at_a_directory_finds_no_blob(headers: str) -> None:
    """So that what an event has counted is put right."""
    async with account(headers=headers) as service:
        assert not (await BlobHeads(service).head("queued", "photos.jpg")).present
    async with account(headers="x-ms-resource-type: file\r\nx-ms-meta-other: true\r\n") as service:
        assert (await BlobHeads(service).head("queued", "a.jpg")).present


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html/>",
        "<EnumerationResults/>",
        "{}",
        "<EnumerationResults><Blobs>",
        page("<Blob/>"),
        page("<Blob><Name/></Blob>"),
    ],
)
async def test_i4_what_is_no_page_is_no_empty_listing(body: str) -> None:
    """A container that looks empty because a proxy has answered would cost a look at every blob in it."""
    with pytest.raises(StorageError):
        await names(body)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "ContainerNotFound", ContainerAbsent),
        (404, "ResourceNotFound", Refused),
        (403, "AuthorizationFailure", Refused),
        (409, "ContainerBeingDeleted", Refused),
        (500, "InternalError", OutcomeUnknown),
    ],
)
async def test_i4_a_refused_listing_is_no_empty_one(status: int, code: str, expected: type[StorageError]) -> None:
    """Only a definite answer says that there is no container; everything else stops the run."""
    with pytest.raises(StorageError) as caught:
        await names("", f"x-ms-error-code: {code}\r\n", status)
    assert type(caught.value) is expected


async def test_i4_a_listing_that_breaks_off_is_no_short_one() -> None:
    """The page that was cut is not taken for the last one."""
    whole = page(listed("a.jpg"))
    with pytest.raises(OutcomeUnknown):
        await names(whole[: len(whole) // 2], "Content-Encoding: gzip\r\n")
