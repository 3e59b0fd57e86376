"""Transactions over a real connection to a server that answers anything: what each answer means to the app."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
from azure.core.credentials import AccessToken, AzureSasCredential
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables.aio import TableServiceClient

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.ports import LOOPBACK
from shared.azure import clients
from shared.azure.batch import TIMEOUT_SECONDS, Transactions
from shared.azure.clients import connections
from shared.azure.table import AzureTable
from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError
from shared.model.ports import Write
from tests.leaks.secrets import secret

type Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WRITES = [Write("a", {"n": 1}, None), Write("b", {"n": 2}, None)]


def connection_string(port: int) -> str:
    """Return that of an account whose tables are at this port."""
    return f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};TableEndpoint=http://{LOOPBACK}:{port}/{ACCOUNT};"


@asynccontextmanager
async def table_behind[T: AzureTable](answer: Answering, kind: type[T] = AzureTable) -> AsyncIterator[T]:
    """Return a table whose server answers like this, once a connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    transport = connections()
    try:
        async with TableServiceClient.from_connection_string(
            connection_string(port), transport=transport, retry_total=0
        ) as service:
            client = service.get_table_client("counts")
            yield kind(client, Transactions(client, transport))
    finally:
        server.close()


def answering(status: int, body: str = "", *, cut: int = 0) -> Answering:
    """Answer with this status and body, of which the last bytes are missing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        whole = body.encode()
        headers = f"Content-Length: {len(whole)}\r\nContent-Type: {_type(status)}\r\n\r\n"
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{headers}".encode() + whole[: len(whole) - cut])
        await writer.drain()

    return answer


def _type(status: int) -> str:
    return "multipart/mixed; boundary=batchresponse_1" if status == 202 else "application/json"


def error(code: str, message: str) -> str:
    """Return an error's body as the service writes it."""
    return json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})


def changeset(*parts: str) -> str:
    """Return an answer with these results."""
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    inner = "".join(f"--changesetresponse_1\r\n{head}HTTP/1.1 {part}\r\n" for part in parts)
    begin = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    return f"{begin}{inner}--changesetresponse_1--\r\n--batchresponse_1--\r\n"


DONE = '204 No Content\r\nETag: W/"1"\r\n\r\n'


async def test_a_transaction_that_was_done_returns_its_etags() -> None:
    """The ordinary case, so that the others mean something."""
    async with table_behind(answering(202, changeset(DONE, DONE.replace("1", "2")))) as table:
        assert await table.commit("p", WRITES) == ['W/"1"', 'W/"2"']


@pytest.mark.parametrize(
    ("status", "code", "expected", "index"),
    [
        (409, "EntityAlreadyExists", Conflict, 1),
        (412, "UpdateConditionNotSatisfied", Conflict, 1),
        (404, "ResourceNotFound", Conflict, 1),
        (400, "PropertyValueTooLarge", Rejected, 1),
        (413, "RequestBodyTooLarge", Rejected, 1),
    ],
)
async def test_i3_a_failed_operation_is_named(status: int, code: str, expected: type[Any], index: int) -> None:
    """By the number that its message begins with."""
    failed = f"{status} No\r\nContent-Type: application/json\r\n\r\n{error(code, f'{index}:It failed.')}"
    async with table_behind(answering(202, changeset(failed))) as table:
        with pytest.raises(expected) as caught:
            await table.commit("p", WRITES)
    assert caught.value.index == index


async def test_i3_a_failure_that_names_no_operation_is_the_first_one_s() -> None:
    """It is a hint only: whoever decides again reads all rows when it was wrong."""
    failed = f"412 No\r\nContent-Type: application/json\r\n\r\n{error('UpdateConditionNotSatisfied', 'No.')}"
    async with table_behind(answering(202, changeset(failed))) as table:
        with pytest.raises(Conflict) as caught:
            await table.commit("p", WRITES)
    assert caught.value.index == 0


@pytest.mark.parametrize("writes", [[Write("a", None, 'W/"1"')], WRITES])
@pytest.mark.parametrize("before", range(2))
async def test_i3_a_failed_operation_is_seen_wherever_its_result_stands(writes: list[Write], before: int) -> None:
    """A deletion goes as a batch of one, whose only result is as many as were asked for."""
    failed = f"412 No\r\nContent-Type: application/json\r\n\r\n{error('UpdateConditionNotSatisfied', '0:No.')}"
    async with table_behind(answering(202, changeset(*[DONE] * before, failed))) as table:
        with pytest.raises(Conflict):
            await table.commit("p", writes)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_i3_what_was_not_decided_in_an_operation_s_place_is_unknown(status: int) -> None:
    """The same inside of the answer and instead of it."""
    inside = f"{status} No\r\nContent-Type: application/json\r\n\r\n{error('ServerBusy', '0:Busy.')}"
    for answer in (answering(202, changeset(inside)), answering(status, "<html>busy</html>")):
        async with table_behind(answer) as table:
            with pytest.raises(OutcomeUnknown):
                await table.commit("p", WRITES)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "InvalidInput", Refused),
        (403, "AuthorizationFailure", Refused),
        (404, "TableNotFound", Refused),
        (413, "RequestBodyTooLarge", Rejected),
    ],
)
async def test_a_refusal_of_the_whole_is_nobody_s_conflict(status: int, code: str, expected: type[Any]) -> None:
    """No row is to blame, but where it was too much at once."""
    async with table_behind(answering(status, error(code, "No."))) as table:
        with pytest.raises(expected):
            await table.commit("p", WRITES)


async def test_a_table_that_is_not_there_is_no_conflict_of_rows() -> None:
    """404 means something else for an entity."""
    failed = f"404 No\r\nContent-Type: application/json\r\n\r\n{error('TableNotFound', '0:No table.')}"
    async with table_behind(answering(202, changeset(failed))) as table:
        with pytest.raises(Refused):
            await table.commit("p", WRITES)


@pytest.mark.parametrize(
    "answer",
    [
        answering(202, changeset(DONE, DONE), cut=40),
        answering(202, changeset(DONE)),
        answering(202, changeset(DONE, DONE, DONE)),
        answering(202, "<html>sign in</html>"),
        answering(200, changeset(DONE, DONE)),
        answering(302),
    ],
    ids=["cut", "too few results", "too many results", "a page", "another status", "a redirection"],
)
async def test_i3_an_answer_that_is_not_understood_is_an_unknown_outcome(answer: Answering) -> None:
    """The transaction may have been done."""
    async with table_behind(answer) as table:
        with pytest.raises(OutcomeUnknown):
            await table.commit("p", WRITES)


async def test_i3_a_connection_that_ends_without_an_answer_is_an_unknown_outcome() -> None:
    """Also where azure-core says that the request was never sent."""

    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with table_behind(hang_up) as table:
        with pytest.raises(OutcomeUnknown):
            await table.commit("p", WRITES)


async def test_i9_a_storage_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read too: Event Grid waits for 30 s, and the SDK's own limit is 300."""
    monkeypatch.setattr(clients, "READ_TIMEOUT_SECONDS", 0.2)
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await over.wait()

    async with table_behind(say_nothing) as table:
        with pytest.raises(StorageError):
            await table.read("p", "a")
        over.set()


class _Recorder(AsyncHttpTransport[Any, Any]):
    """Keeps what is sent, and answers nothing."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.read_timeout = 0.0

    async def send(self, request: Any, *, read_timeout: float = 0.0, **_: Any) -> Any:
        """Keep it."""
        self.sent.append(request)
        self.read_timeout = read_timeout
        raise ServiceRequestError("recorded")

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


class _Identity:
    """An identity that has a token for everything it is asked for."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token."""
        self.scopes += scopes
        return AccessToken(secret("a token for storage", "a-token-of-the-test-for-storage"), int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


async def test_in_azure_the_app_s_identity_asks() -> None:
    """With a token for storage, in the header, over TLS."""
    transport, identity = _Recorder(), _Identity()
    async with TableServiceClient("https://a.table.core.windows.net", credential=identity) as service:
        client = service.get_table_client("counts")
        with pytest.raises(OutcomeUnknown):
            await AzureTable(client, Transactions(client, transport)).commit("p", WRITES)
    (request,) = transport.sent
    assert transport.read_timeout == TIMEOUT_SECONDS  # not the transport's own, which is longer
    assert request.url == "https://a.table.core.windows.net/$batch"
    assert request.headers["Authorization"] == "Bearer a-token-of-the-test-for-storage"
    assert identity.scopes == ["https://storage.azure.com/.default"]
    assert b"POST https://a.table.core.windows.net/counts HTTP/1.1" in request.content


async def test_at_a_desk_the_account_s_key_signs() -> None:
    """Method, content type, date and resource, as it is documented; the boundary is that of the body."""
    transport = _Recorder()
    async with TableServiceClient.from_connection_string(connection_string(1), transport=transport) as service:
        client = service.get_table_client("counts")
        with pytest.raises(OutcomeUnknown):
            await Transactions(client, transport).commit("p", WRITES)
    (request,) = transport.sent
    kind, date = request.headers["Content-Type"], request.headers["x-ms-date"]
    text = f"POST\n\n{kind}\n{date}\n/{ACCOUNT}/{ACCOUNT}/$batch"
    signature = b64encode(hmac.digest(b64decode(ACCOUNT_KEY), text.encode(), "sha256")).decode()
    assert request.headers["Authorization"] == f"SharedKey {ACCOUNT}:{signature}"
    assert (request.method, request.headers["x-ms-version"]) == ("POST", client.api_version)
    assert date.endswith(" GMT")
    assert request.content.startswith(f"--{kind.partition('boundary=')[2]}\r\n".encode())


async def test_a_shared_access_signature_is_sent_as_it_is() -> None:
    """In the address."""
    transport, signature = _Recorder(), secret("a SAS of the test", "sv=2026-01-01&sig=signature-of-the-test")
    credential = AzureSasCredential(signature)
    async with TableServiceClient("https://a.table.core.windows.net", credential=credential) as service:
        with pytest.raises(OutcomeUnknown):
            await Transactions(service.get_table_client("counts"), transport).commit("p", WRITES)
    assert transport.sent[0].url == f"https://a.table.core.windows.net/$batch?{signature}"


@pytest.mark.parametrize("write", [Write("a", {"n": 1}, ""), Write("a", None, ""), Write("a", None, None)])
async def test_i3_nothing_is_sent_that_has_no_condition(write: Write) -> None:
    """It is a mistake of the app's, and nothing of it is sent."""
    transport = _Recorder()
    async with TableServiceClient.from_connection_string(connection_string(1), transport=transport) as service:
        transactions = Transactions(service.get_table_client("counts"), transport)
        with pytest.raises(OutcomeUnknown, match="every operation is conditional"):
            await transactions.commit("p", [write])
    assert not transport.sent
