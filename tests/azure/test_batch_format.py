"""Transactions on the wire: the bytes that go out, and every way in which an answer may be something else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.azure.batch_format import Result, decode, encode
from shared.model.ports import Write

TABLE = "https://account.table.core.windows.net/counts"
#: As https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions shows it.
DONE = (
    b"--batchresponse_4c637ba4\r\n"
    b"Content-Type: multipart/mixed; boundary=changesetresponse_03b0ea6b\r\n\r\n"
    b"--changesetresponse_03b0ea6b\r\n"
    b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\nContent-ID: 1\r\nDataServiceVersion: 3.0;\r\n"
    b"ETag: W/\"datetime'2013-08-01T18%3A08%3A21.63Z'\"\r\n\r\n\r\n"
    b"--changesetresponse_03b0ea6b\r\n"
    b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\nContent-ID: 2\r\n\r\n\r\n"
    b"--changesetresponse_03b0ea6b--\r\n"
    b"--batchresponse_4c637ba4--\r\n"
)
FAILED = (
    b"--batchresponse_4c637ba4\r\n"
    b"Content-Type: multipart/mixed; boundary=changesetresponse_03b0ea6b\r\n\r\n"
    b"--changesetresponse_03b0ea6b\r\n"
    b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\n\r\n"
    b'{"odata.error":{"code":"EntityAlreadyExists"}}\r\n'
    b"--changesetresponse_03b0ea6b--\r\n"
    b"--batchresponse_4c637ba4--\r\n"
)


def test_the_operations_of_a_transaction_are_messages_in_one_changeset():
    """Create, replace and delete, each whole, the last two on their conditions."""
    writes = [
        Write("a", {"text": "ä", "present": True}, None),
        Write("b", {"n": 2**53 + 1}, 'W/"1"'),
        Write("c'#", None, 'W/"2"'),
    ]
    assert encode(TABLE, "g1", writes, "1").decode().split("\r\n") == [
        "--batch_1",
        "Content-Type: multipart/mixed; boundary=changeset_1",
        "",
        "--changeset_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"POST {TABLE} HTTP/1.1",
        "Content-Type: application/json",
        "Accept: application/json",
        "DataServiceVersion: 3.0",
        "Prefer: return-no-content",
        "Content-Length: 72",
        "",
        '{"PartitionKey": "g1", "RowKey": "a", "text": "\\u00e4", "present": true}',
        "--changeset_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"PUT {TABLE}(PartitionKey='g1',RowKey='b') HTTP/1.1",
        "Content-Type: application/json",
        "Accept: application/json",
        "DataServiceVersion: 3.0",
        'If-Match: W/"1"',
        "Content-Length: 91",
        "",
        '{"PartitionKey": "g1", "RowKey": "b", "n": "9007199254740993", "n@odata.type": "Edm.Int64"}',
        "--changeset_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"DELETE {TABLE}(PartitionKey='g1',RowKey='c%27%27%23') HTTP/1.1",
        "Content-Type: application/json",
        "Accept: application/json",
        "DataServiceVersion: 3.0",
        'If-Match: W/"2"',
        "Content-Length: 0",
        "",
        "",
        "--changeset_1--",
        "--batch_1--",
        "",
    ]


def test_a_merge_is_a_patch():
    """As the service wants it: https://learn.microsoft.com/rest/api/storageservices/merge-entity."""
    (line,) = [
        each for each in encode(TABLE, "g1", [Write("b", {}, "e", merges=True)], "1").split(b"\r\n") if b"'b'" in each
    ]
    assert line.decode() == f"PATCH {TABLE}(PartitionKey='g1',RowKey='b') HTTP/1.1"


def test_the_results_of_an_answer_are_read_in_order():
    """With the ETags of what was written; what was deleted has none."""
    etag = "W/\"datetime'2013-08-01T18%3A08%3A21.63Z'\""
    assert decode(DONE) == [Result(204, etag, b""), Result(204, "", b"")]
    assert decode(DONE.replace(b"\r\n", b"\n")) == decode(DONE)


def test_a_failure_is_one_result_with_its_reason():
    """Whatever the number of operations."""
    assert decode(FAILED) == [Result(409, "", b'{"odata.error":{"code":"EntityAlreadyExists"}}')]


@pytest.mark.parametrize("length", range(len(DONE) - len(b"--\r\n--batchresponse_4c637ba4--\r\n")))
def test_an_answer_that_is_cut_off_is_an_error(length):
    """Wherever it is cut: never fewer results than there are."""
    with pytest.raises(ValueError, match="transaction"):
        decode(DONE[:length])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>sign in</html>",
        DONE.replace(b"HTTP/1.1 204", b"204"),
        DONE.replace(b" 204 ", b" no "),
        DONE.replace(b"boundary=changesetresponse_03b0ea6b", b"boundary="),
    ],
)
def test_an_answer_of_something_else_is_an_error(text):
    """A proxy's page, or a format that nobody has announced."""
    with pytest.raises(ValueError, match=r"transaction|invalid literal"):
        decode(text)


@given(st.binary(), st.integers(0, len(DONE)), st.integers(0, len(DONE)))
def test_bytes_that_were_damaged_raise_nothing_but_value_errors(noise, start, end):
    """What an error means is decided in one place, so there must be one kind."""
    with suppress(ValueError):
        decode(DONE[:start] + noise + DONE[end:])
