"""Which requests change the set of blobs, and how their answers are read."""

import pytest

from localdev.bridge import batch
from localdev.bridge.http1 import Head, parse_head
from localdev.bridge.operations import Batch, BlobRef, EventType, Mutation, Properties, blob_of, change_of, classify

PATH = "/devstoreaccount1/queued/a.jpg"


def request(start: str, **headers: str) -> Head:
    """A request head."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"host": "127.0.0.1:10000", **headers}.items()]
    return parse_head("\r\n".join([f"{start} HTTP/1.1", *lines, "", ""]).encode())


def response(status: int, **headers: str) -> Head:
    """A response head."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return parse_head("\r\n".join([f"HTTP/1.1 {status} Text", *lines, "", ""]).encode())


@pytest.mark.parametrize(
    ("head", "event_type", "api"),
    [
        (request(f"PUT {PATH}", x_ms_blob_type="BlockBlob"), EventType.CREATED, "PutBlob"),
        (request(f"PUT {PATH}?timeout=5", x_ms_blob_type="PageBlob"), EventType.CREATED, "PutBlob"),
        (request(f"PUT {PATH}?comp=blocklist"), EventType.CREATED, "PutBlockList"),
        (request(f"PUT {PATH}", x_ms_copy_source="http://x/y"), EventType.CREATED, "CopyBlob"),
        (request(f"PUT {PATH}", x_ms_copy_source="u", x_ms_blob_type="BlockBlob"), EventType.CREATED, "PutBlob"),
        (request(f"DELETE {PATH}"), EventType.DELETED, "DeleteBlob"),
        (request(f"DELETE http://127.0.0.1:10000{PATH}"), EventType.DELETED, "DeleteBlob"),
        (request(f"DELETE {PATH}", x_ms_delete_snapshots="include"), EventType.DELETED, "DeleteBlob"),
        (request(f"DELETE {PATH}?sv=2021&sig=a%2Bb"), EventType.DELETED, "DeleteBlob"),
        *(
            (request(f"{method} {PATH}?{query}&sv=2021&sig=a%2Bb", x_ms_blob_type="BlockBlob"), event_type, api)
            for query in ("comp=", "comp", "restype=", "comp=&restype=", "snapshot=", "versionid=", "comp=&comp=tier")
            for method, event_type, api in (
                ("PUT", EventType.CREATED, "PutBlob"),
                ("DELETE", EventType.DELETED, "DeleteBlob"),
            )
        ),
    ],
)
def test_mutations_are_recognised(head: Head, event_type: EventType, api: str) -> None:
    """Every request that makes a blob present or absent names its event and api."""
    found = classify(head)
    assert isinstance(found, Mutation)
    assert (found.event_type, found.api, found.blob) == (
        event_type,
        api,
        BlobRef("devstoreaccount1", "queued", "a.jpg"),
    )
    assert found.url == f"http://127.0.0.1:10000{PATH}"


@pytest.mark.parametrize(
    "head",
    [
        request(f"GET {PATH}"),
        request(f"HEAD {PATH}"),
        request(f"OPTIONS {PATH}"),
        request(f"PUT {PATH}"),
        *(
            request(f"PUT {PATH}?comp={comp}", x_ms_blob_type="BlockBlob")
            for comp in ("block", "metadata", "properties", "tier", "snapshot", "lease", "tags", "appendblock", "page")
        ),
        *(request(f"PUT {PATH}?comp={comp}") for comp in ("undelete", "copy", "incrementalcopy", "seal", "expiry")),
        request(f"POST {PATH}?comp=query"),
        request(f"DELETE {PATH}?snapshot=2026-01-01T00:00:00.0000000Z"),
        request(f"DELETE {PATH}?versionid=2026-01-01T00:00:00.0000000Z"),
        request(f"DELETE {PATH}", x_ms_delete_snapshots="Only"),
        request("PUT /devstoreaccount1/queued?restype=container"),
        request("DELETE /devstoreaccount1/queued?restype=container"),
        request("PUT /devstoreaccount1/queued/", x_ms_blob_type="BlockBlob"),
        request("PUT /devstoreaccount1?comp=properties&restype=service"),
        request("PUT /devstoreaccount1/$logs/a.log", x_ms_blob_type="BlockBlob"),
        request("DELETE /devstoreaccount1/queued/%FF.jpg"),
        request("DELETE //[devstoreaccount1/queued/a.jpg"),
        request("DELETE *"),
    ],
    ids=lambda head: " ".join(head.start),
)
def test_everything_else_raises_nothing(head: Head) -> None:
    """Reads, metadata, blocks, tiers, leases, snapshots and containers are no mutation."""
    assert classify(head) is None


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/acc/c/a%20b%2Fc%23%25+.jpg", "127.0.0.1:10000", ("acc", "c", "a b/c#%+.jpg")),
        ("/acc/c/%C3%A9%F0%9F%98%80", "localhost", ("acc", "c", "é😀")),
        ("/acc/c/e%CC%81", "localhost:1", ("acc", "c", "e\u0301")),
        ("/acc/c/a%5Cb", "127.0.0.1", ("acc", "c", "a/b")),
        ("/acc/c//x/", "127.0.0.1", ("acc", "c", "/x/")),
        ("/acc-secondary/c/x", "127.0.0.1", ("acc", "c", "x")),
        ("/acc/$root/x", "127.0.0.1", ("acc", "$root", "x")),
        ("/c/d/x", "acc.blob.localhost:10000", ("acc", "c", "d/x")),
        ("/acc/c/x", "host.docker.internal:10000", ("acc", "c", "x")),
        ("/acc/c", "127.0.0.1", None),
        ("/acc", "127.0.0.1", None),
        ("/", "127.0.0.1", None),
    ],
)
def test_names_are_decoded_as_azurite_decodes_them(path: str, host: str, expected: tuple[str, str, str] | None) -> None:
    """Escapes are decoded once, plus stays plus, no normalisation; hosts may carry the account."""
    assert blob_of(path, host) == (BlobRef(*expected) if expected else None)


def test_the_product_style_url_names_the_account_once() -> None:
    """An event's url is the address that the client used."""
    found = classify(
        request("PUT /c/a b.jpg".replace(" b", "%20b"), host="acc.blob.localhost:1", x_ms_blob_type="BlockBlob")
    )
    assert isinstance(found, Mutation)
    assert found.url == "http://acc.blob.localhost:1/c/a b.jpg"


def test_only_success_is_a_change() -> None:
    """A refused mutation changes nothing; a successful one carries the answer's ETag without quotes."""
    mutation = classify(request(f"PUT {PATH}", x_ms_blob_type="BlockBlob", content_type="image/jpeg"))
    assert isinstance(mutation, Mutation)
    for status in (304, 400, 403, 404, 409, 412, 500):
        assert change_of(mutation, response(status), None, 7) is None
    change = change_of(mutation, response(201, etag='"0x8D"', x_ms_request_id="r"), None, 7)
    assert change is not None
    assert (change.etag, change.request_id) == ("0x8D", "r")
    assert change.properties == Properties("image/jpeg", 7, "BlockBlob")


def test_page_and_append_blobs_declare_their_length() -> None:
    """A page blob is created with its declared size, an append blob empty."""
    page = classify(request(f"PUT {PATH}", x_ms_blob_type="PageBlob", x_ms_blob_content_length="1024"))
    append = classify(request(f"PUT {PATH}", x_ms_blob_type="AppendBlob", x_ms_blob_content_type="text/plain"))
    assert isinstance(page, Mutation)
    assert isinstance(append, Mutation)
    assert page.declared == Properties("application/octet-stream", 1024, "PageBlob")
    assert append.declared == Properties("text/plain", 0, "AppendBlob")


def part(content_id: int, message: str) -> str:
    """One part of a batch."""
    return f"--B=x\r\nContent-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n{message}\r\n"


def test_batch_parts_are_paired_by_content_id() -> None:
    """Only the deletes whose own answer says success are changes, whatever the order of the answers."""
    head = request("POST /devstoreaccount1/?comp=batch", content_type="multipart/mixed; boundary=B=x")
    assert isinstance(classify(head), Batch)
    body = "".join(
        part(n, f"DELETE /devstoreaccount1/c/{n}.jpg HTTP/1.1\r\nx-ms-client-request-id: r{n}\r\n") for n in range(3)
    )
    body += part(3, "PUT /devstoreaccount1/c/3.jpg?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool\r\n") + "--B=x--"
    asked = batch.mutations(head, body.encode())
    assert [(content_id, mutation.blob.name) for content_id, mutation in asked] == [
        ("0", "0.jpg"),
        ("1", "1.jpg"),
        ("2", "2.jpg"),
    ]
    answers = part(2, "HTTP/1.1 202 Accepted\r\nx-ms-request-id: s2\r\n")
    answers += part(1, "HTTP/1.1 404 Not Found\r\nx-ms-error-code: BlobNotFound\r\n\r\n<Error>\r\n\r\n</Error>")
    answers += part(0, "HTTP/1.1 202 Accepted\r\nx-ms-request-id: s0\r\n") + "--B=x--"
    outer = response(202, content_type='multipart/mixed; boundary="B=x"')
    made = batch.changes(asked, outer, answers.encode(), {asked[0][1]: Properties("image/png", 3, "BlockBlob")})
    assert [(c.mutation.blob.name, c.request_id, c.properties.content_type) for c in made] == [
        ("0.jpg", "s0", "image/png"),
        ("2.jpg", "s2", "application/octet-stream"),
    ]


def test_a_broken_batch_is_no_batch() -> None:
    """Bodies that are not multipart, or name no boundary, name no mutation."""
    head = request("POST /devstoreaccount1/?comp=batch", content_type="multipart/mixed; boundary=B")
    assert batch.mutations(head, b"nonsense") == []
    assert batch.mutations(head, b"--B\r\n\r\n--B\r\nContent-ID: 0\r\n\r\n\r\n--B--") == []
    assert batch.mutations(request("POST /x?comp=batch"), b"--B\r\n") == []
