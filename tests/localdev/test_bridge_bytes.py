"""The bridge is transparent: what arrives at either end is byte for byte what the other end sent."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import CorsRule
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from localdev.azurite import ACCOUNT
from localdev.bridge import Bridge, proxy
from localdev.ports import LOOPBACK
from tests.localdev.support import Webhook, sas
from tests.waiting import eventually

# Large bodies: the SDK hands them to aiohttp as bytes, which warns about it.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

StartBridge = Callable[..., Awaitable[Bridge]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CREATED = b'HTTP/1.1 201 Created\r\nETag: "0x1"\r\nContent-Length: 0\r\n\r\n'


class Script:
    """A server that records the bytes it gets and answers each request with the next scripted bytes."""

    def __init__(self) -> None:
        self.received = b""
        self.answers: list[bytes] = []
        self.hang_up = False  # after each answer, without saying so
        self.release = asyncio.Event()
        self.release.set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        while data := await reader.read(65536):
            self.received += data
            await self.release.wait()
            if self.answers and self.received.endswith((b"\r\n\r\n", b"END")):
                answer = self.answers.pop(0)
                writer.write(answer)
                if self.hang_up or b"until close" in answer:
                    break
        writer.close()


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """A scripted server in the place of Azurite."""
    script = Script()
    server = await asyncio.start_server(script.serve, LOOPBACK, 0)
    script.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    yield script
    server.close()


async def talk(bridge: Bridge, request: bytes, expected: int) -> bytes:
    """Sends raw bytes; returns the first `expected` bytes of what comes back."""
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.readexactly(expected)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /acc/c/a%2Fb+c%20%23%25?q=%2B&a=b+c&&=x HTTP/1.1\r\nhOsT:  odd  \r\nX-A: 1\r\nx-a: 2\r\nX-EMPTY:\r\n\r\n",
        "GET /acc/c/ünï😀 HTTP/1.1\r\nHost: h\r\nX-Ü: é\r\n\r\n".encode(),
        b"GET //acc/../c/./x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://h:1/acc/c/x HTTP/1.1\r\nHost: h:1\r\n\r\n",
        b"PUT /acc/c/x?comp=block HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabcEND",
        b"PUT /acc/c/x HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 6\r\n\r\nabcEND",
        (
            b"PUT /acc/c/x HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;e=1\r\nabc\r\n003\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n"
        ),
        b"DELETE /acc/c/x%20y HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /acc?comp=batch HTTP/1.1\r\nHost: h\r\nContent-Type: a/b; boundary=B\r\nContent-Length: 3\r\n\r\nEND",
        b"OPTIONS /acc/c/x HTTP/1.1\r\nHost: h\r\nOrigin: http://app\r\n\r\n",
    ],
)
async def test_requests_arrive_unchanged(script: Script, start_bridge: StartBridge, request_bytes: bytes) -> None:
    """Targets, header names, duplicates, chunk boundaries and trailers reach Azurite as they were sent."""
    bridge = await start_bridge(azurite=script.url, account_keys={})
    script.answers = [OK]
    assert await talk(bridge, request_bytes, len(OK)) == OK
    assert script.received == request_bytes


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"GET", b"HTTP/1.1 200 Fine, thanks\r\nX-A: 1\r\nx-a:2\r\nContent-Length: 3\r\n\r\nabc"),
        (b"GET", b"HTTP/1.1 206\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: 1\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\nETag: W/"x"\r\n\r\n'),
        (b"GET", b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 5\r\n\r\n<xml>"),
        (b"DELETE", b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (b"PUT", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
        (b"GET", b"HTTP/1.0 200 OK\r\n\r\nuntil close"),
    ],
)
async def test_responses_arrive_unchanged(
    script: Script, start_bridge: StartBridge, method: bytes, answer: bytes
) -> None:
    """Whatever Azurite answers reaches the client as it is; a kept connection then serves the next request."""
    bridge = await start_bridge(azurite=script.url, account_keys={})
    closes = b"until close" in answer
    script.answers = [answer, OK]
    request = method + b" /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n"
    wanted = answer if closes else answer + OK
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(request)
    got = await reader.readexactly(len(answer))
    if not closes:
        writer.write(b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n")
        got += await reader.readexactly(len(OK))
    else:
        assert await reader.read() == b""
    writer.close()
    assert got == wanted


async def test_a_client_may_wait_for_100_continue(script: Script, start_bridge: StartBridge) -> None:
    """The head is forwarded before the body is there, and the interim answer is passed on."""
    bridge = await start_bridge(azurite=script.url)
    script.answers = [b"HTTP/1.1 100 Continue\r\n\r\n", CREATED]
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    head = b"PUT /acc/c/x HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\n"
    head += b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    writer.write(head)
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"END")
        assert await reader.readuntil(b"\r\n\r\n") == CREATED
    writer.close()
    assert script.received == head + b"END"


async def test_pipelined_requests_are_answered_in_order(script: Script, start_bridge: StartBridge) -> None:
    """Two requests in one packet get two answers."""
    bridge = await start_bridge(azurite=script.url)
    script.answers = [OK, CREATED]
    request = b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n"
    assert await talk(bridge, request * 2, len(OK + CREATED)) == OK + CREATED


async def test_a_client_that_sends_no_more_gets_its_answer(script: Script, start_bridge: StartBridge) -> None:
    """The FIN of a client that waits for its answer (`nc -N`) is not taken for its departure."""
    bridge = await start_bridge(azurite=script.url)
    script.answers = [OK]
    script.release.clear()
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n")
    writer.write_eof()
    await eventually(lambda: script.received)
    script.release.set()
    async with asyncio.timeout(5):
        assert await reader.read() == OK
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n"])
async def test_half_open_requests_are_closed(
    start_bridge: StartBridge, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Who sends half a head, or nothing, does not hold its connection for ever."""
    monkeypatch.setattr(proxy, "HEAD_SECONDS", 0.2)
    bridge = await start_bridge(azurite="http://127.0.0.1:1")
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(sent)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_kept_connection_outlives_the_one_behind_it(script: Script, start_bridge: StartBridge) -> None:
    """When Azurite has closed its idle connection the client's next request gets a new one."""
    bridge = await start_bridge(azurite=script.url)
    script.hang_up = True
    script.answers = [OK, OK, OK]
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    for _ in range(3):
        writer.write(b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readexactly(len(OK)) == OK
        (connection,) = bridge._parts[0]._connections.values()
        await eventually(connection._azurite[0].at_eof)
    writer.close()


async def test_a_batch_over_the_limit_is_refused(script: Script, start_bridge: StartBridge) -> None:
    """A batch larger than the service takes is answered with 413 and not kept in memory."""
    bridge = await start_bridge(azurite=script.url)
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(b"POST /acc?comp=batch HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_vanished_client_does_not_lose_its_event(
    script: Script, start_bridge: StartBridge, webhook: Webhook
) -> None:
    """The client leaves before the answer; Azurite completes the change; the event is raised, the lock is free."""
    bridge = await start_bridge(azurite=script.url, account_keys={})
    script.answers = [CREATED]
    script.release.clear()
    _, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(b"PUT /acc/c/x.jpg HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 3\r\n\r\nEND")
    await eventually(lambda: b"PUT" in script.received)
    writer.transport.abort()
    script.release.set()
    await eventually(lambda: webhook.story("c") == [("Created", "PutBlob", "x.jpg")])
    assert len(bridge._parts[0].recorder.locks) == 0


async def test_a_truncated_answer_is_not_made_to_look_whole(script: Script, start_bridge: StartBridge) -> None:
    """When Azurite dies in the middle of a body the client's connection breaks too."""
    bridge = await start_bridge(azurite=script.url)
    script.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nuntil close"]
    reader, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(b"GET /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(len(script.answers[0]) + 89)  # what Content-Length promises
    writer.close()


def busy(bridge: Bridge) -> int:
    """How many requests the bridge is serving."""
    return sum(connection.busy for connection in bridge._parts[0]._connections.values())


async def test_half_an_upload_leaves_no_blob(container: ContainerClient, bridge: Bridge, webhook: Webhook) -> None:
    """A client that leaves in the middle of its body creates nothing, raises nothing and leaves no lock."""
    _, writer = await asyncio.open_connection(LOOPBACK, bridge.port)
    writer.write(
        f"PUT /{ACCOUNT}/{container.container_name}/half.jpg?{sas(container)} HTTP/1.1\r\nHost: h\r\n"
        "x-ms-blob-type: BlockBlob\r\nx-ms-version: 2021-12-02\r\nContent-Length: 1000\r\n\r\n".encode()
        + b"x" * 500
    )
    await writer.drain()
    await eventually(lambda: busy(bridge) == 1)
    writer.close()
    await eventually(lambda: busy(bridge) == 0)
    blob = container.get_blob_client("half.jpg")
    with pytest.raises(ResourceNotFoundError):
        await blob.get_blob_properties()
    await blob.upload_blob(b"whole")
    await eventually(lambda: webhook.story(container.container_name) == [("Created", "PutBlob", "half.jpg")])
    assert len(bridge._parts[0].recorder.locks) == 0


async def test_a_slow_upload_blocks_nobody(container: ContainerClient, bridge: Bridge, webhook: Webhook) -> None:
    """While one client takes its time over a blob's body, others overwrite and delete that blob."""
    blob = container.get_blob_client("slow.jpg")
    half_sent, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first half"
        half_sent.set()
        await go_on.wait()
        yield b"second half"

    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02", "content-length": "21"}
    async with aiohttp.ClientSession() as session:
        uploading = asyncio.create_task(session.put(f"{blob.url}?{sas(container)}", data=slow(), headers=headers))
        await half_sent.wait()
        await eventually(lambda: busy(bridge) == 1)
        async with asyncio.timeout(5):
            await blob.upload_blob(b"quick", overwrite=True)
            await blob.delete_blob()
        go_on.set()
        assert (await uploading).status == 201
    await eventually(lambda: len(webhook.events) == 3)
    assert [kind for kind, _, _ in webhook.story(container.container_name)] == ["Created", "Deleted", "Created"]
    assert await (await blob.download_blob()).readall() == b"first halfsecond half"


async def test_changes_of_one_blob_take_turns(script: Script, start_bridge: StartBridge) -> None:
    """The second change of a blob is not handed to Azurite before the first is answered; other blobs do not wait."""
    bridge = await start_bridge(azurite=script.url, account_keys={})
    script.answers = [CREATED] * 3
    script.release.clear()
    clients = []

    async def send(request: bytes) -> None:
        clients.append(await asyncio.open_connection(LOOPBACK, bridge.port))
        clients[-1][1].write(request)

    put = b" HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 3\r\n\r\nEND"
    await send(b"PUT /acc/c/x" + put)
    await eventually(lambda: b"/c/x" in script.received)
    await send(b"DELETE /acc/c/x HTTP/1.1\r\nHost: h\r\n\r\n")
    await eventually(lambda: busy(bridge) == 2)
    await send(b"PUT /acc/c/y" + put)
    await eventually(lambda: b"/c/y" in script.received)
    assert b"DELETE" not in script.received
    script.release.set()
    for reader, writer in clients:
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == CREATED
        writer.close()
    assert b"DELETE" in script.received
    assert len(bridge._parts[0].recorder.locks) == 0


async def raw_exchange(port: int, request: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Sends one request with `Connection: close`; returns status line, headers and body as bytes."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(request)
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.split(b"\r\n")
    return status, dict(line.split(b": ", 1) for line in lines), body


async def test_answers_equal_those_of_azurite_itself(
    container: ContainerClient, direct: BlobServiceClient, bridge: Bridge, azurite: object
) -> None:
    """Reads, ranges, conditions, errors and preflights give the same answer with and without the bridge."""
    await container.set_container_access_policy({}, public_access="container")
    data = bytes(range(256)) * 40
    done = await container.upload_blob("a b+ü.bin", data)
    etag = (await done.get_blob_properties()).etag
    await direct.set_service_properties(
        cors=[CorsRule(["http://app"], ["GET", "PUT"], allowed_headers=["*"], max_age_in_seconds=9)]
    )
    path = f"/{ACCOUNT}/{container.container_name}/a%20b%2B%C3%BC.bin"
    asked = [
        (b"GET", path, ""),
        (b"HEAD", path, ""),
        (b"GET", path, "x-ms-range: bytes=10-19\r\n"),
        (b"GET", path, "Range: bytes=999999-\r\n"),
        (b"GET", path, f"If-None-Match: {etag}\r\n"),
        (b"GET", path, 'If-Match: "0x0"\r\n'),
        (b"GET", f"/{ACCOUNT}/{container.container_name}?restype=container&comp=list&prefix=a%20b%2B", ""),
        (b"GET", f"/{ACCOUNT}/{container.container_name}/missing", ""),
        (b"DELETE", path, ""),
        (b"GET", "/", ""),
        (b"OPTIONS", path, "Origin: http://app\r\nAccess-Control-Request-Method: PUT\r\n"),
    ]
    for method, target, headers in asked:
        rest = f" {target} HTTP/1.1\r\nHost: {LOOPBACK}:1\r\n{headers}Connection: close\r\n\r\n".encode()
        ours, theirs = [await raw_exchange(port, method + rest) for port in (bridge.port, azurite.blob_port)]
        for _, fields, _ in (ours, theirs):
            for changing in (b"x-ms-request-id", b"Date", b"date"):
                fields.pop(changing, None)
        changing_text = re.compile(rb"RequestId:[^\n<]*|Time:[^\n<]*")
        assert ours[:2] == theirs[:2], target
        assert changing_text.sub(b"", ours[2]) == changing_text.sub(b"", theirs[2])


async def test_large_blobs_arrive_whole(container: ContainerClient, webhook: Webhook) -> None:
    """Twenty megabytes through one request and through parallel blocks come back with the same hash."""
    data = hashlib.shake_128(b"seed").digest(20_000_000)

    async def source() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 700_000):
            yield data[start : start + 700_000]

    await container.upload_blob("one.bin", source(), length=len(data))
    blocks = container.get_blob_client("blocks.bin")
    blocks._config.max_single_put_size = 1
    await blocks.upload_blob(source(), length=len(data), max_concurrency=4)
    for name in ("one.bin", "blocks.bin"):
        assert await (await container.download_blob(name, max_concurrency=4)).readall() == data
    await eventually(lambda: len(webhook.events) == 2)
    assert {(e["data"]["api"], e["data"]["contentLength"]) for e in webhook.events} == {
        ("PutBlob", 20_000_000),
        ("PutBlockList", 20_000_000),
    }
