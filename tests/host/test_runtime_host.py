"""The runtime host as a process: real HTTP against a function app on the official runtime."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.host.support import (
    DEADLINE_SECONDS,
    FULL_SETTINGS,
    FUNCTION_KEY,
    MASTER_KEY,
    STATUS,
    Host,
    app,
    get,
    raw,
    running,
    seen,
)
from tests.waiting import eventually

WEBHOOK = "/runtime/webhooks/EventGrid?functionName=on_event"

# --- routing ---------------------------------------------------------------------------------------------------------


async def test_route_parameters(client: httpx.AsyncClient) -> None:
    """A route parameter, the query and the headers reach the function; an invocation id of the client's does not."""
    headers = {"X-Custom": "1", "x-ms-invocation-id": "forged", "Connection": "keep-alive, X-Hop", "X-Hop": "1"}
    answer = (await client.get("/api/echo/a%20b?x=1&y=%ff", headers=headers)).json()
    names = [name for name, _ in answer["headers"]]
    assert (answer["id"], answer["query"], answer["method"]) == ("a b", "x=1&y=%ff", "GET")
    assert names.count("x-ms-invocation-id") == 1
    assert "forged" not in str(answer["headers"])
    assert "x-custom" in names
    assert not {"connection", "x-hop"} & set(names)
    assert answer["url"].startswith(str(client.base_url).rstrip("/"))


@pytest.mark.parametrize(
    ("path", "text"),
    [("/api/echo/special", "special"), ("/api/files/a/b%2Fc", '{"rest":"a/b%2Fc"}'), ("/API/Number/7/", '{"n":"7"}')],
)
async def test_route_kinds(client: httpx.AsyncClient, path: str, text: str) -> None:
    """Literals win over parameters; catch-alls and constraints work; case and a last slash do not matter."""
    assert (await client.get(path)).text == text


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/api/echo/1"), ("HEAD", "/api/echo/1"), ("OPTIONS", "/api/echo/1"), ("GET", "/api/none"),
     ("GET", "/echo/1"), ("GET", "/api/number/x"), ("GET", "/api/switchedoff"), ("GET", "/"), ("POST", "/api/park")],
)  # fmt: skip
async def test_empty_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    """An unlisted method, an unknown route and a disabled function get an empty 404."""
    answer = await client.request(method, path)
    assert (answer.status_code, answer.content) == (404, b"")


async def test_head_and_not_modified(client: httpx.AsyncClient) -> None:
    """Answers without a body keep their headers, and the connection goes on."""
    answer = await client.head("/api/head")
    assert (answer.status_code, answer.headers["etag"], answer.headers["content-length"]) == (200, '"1"', "4")
    assert (await client.get("/api/notmodified")).status_code == 304
    assert (await client.get("/api/head")).text == "body"


def test_listing(host: Host) -> None:
    """The functions are listed as `func start` lists them, and `ready` comes last."""
    listing = host.said.partition(f"\nready {host.url}\n")[0].splitlines()
    assert f"  echo: [GET,POST,PUT] {host.url}/api/echo/{{id}}" in listing
    assert "  on_event: eventGridTrigger" in listing
    assert "  every_second: timerTrigger */1 * * * * *" in listing
    assert f"  switched_off: [GET] {host.url}/api/switchedoff (disabled)" in listing


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/keyed", {}, 401),
        ("/api/keyed", {"x-functions-key": "wrong"}, 401),
        ("/api/keyed", {"x-functions-key": FUNCTION_KEY}, 200),
        (f"/api/keyed?code={FUNCTION_KEY}", {}, 200),
        (f"/api/keyed?code={MASTER_KEY}", {}, 200),
        ("/api/keyed?code=%ff", {}, 401),
        ("/api/notmodified", {}, 304),
        ("/admin/host/status", {}, 401),
        (f"/admin/host/status?code={FUNCTION_KEY}", {}, 401),
        ("/admin/host/status", {"x-functions-key": MASTER_KEY}, 200),
        ("/runtime/webhooks/EventGrid?functionName=on_event", {}, 401),
    ],
)
async def test_keys(guarded: Host, path: str, headers: dict[str, str], status: int) -> None:
    """With --enable-auth the key has to fit the level; refusals are empty."""
    async with httpx.AsyncClient(base_url=guarded.url) as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.content == b""


async def test_no_keys_needed(client: httpx.AsyncClient) -> None:
    """Without --enable-auth everything is open, as under `func start`."""
    assert (await client.get("/api/keyed")).text == "in"


# --- bodies and framing ----------------------------------------------------------------------------------------------


async def test_big_bodies(client: httpx.AsyncClient) -> None:
    """Big bodies pass both ways, with a length and in chunks."""
    body = os.urandom(3_000_000)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 70_001):
            yield body[start : start + 70_001]

    for content in (body, chunks()):
        answer = (await client.post("/api/echo/1", content=content)).json()
        assert (answer["size"], answer["sum"]) == (len(body), sum(body))
    for query in ("", "?chunked"):
        assert (await client.get(f"/api/blob/3000000{query}")).content == b"x" * 3_000_000


async def test_http_1_0(host: Host) -> None:
    """A client that knows no chunks gets none."""
    head, _, body = (await raw(host, b"GET /api/blob/250000?chunked HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert body == b"x" * 250_000
    assert b"chunked" not in head
    assert b"connection: close" in head


async def test_expect_continue(host: Host) -> None:
    """A client that waits for 100 Continue gets it before its body is due."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ab")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_keep_alive_and_pipelining(host: Host) -> None:
    """Pipelined requests are answered in order on one connection, also behind bodies and a slow answer."""
    post = b"POST /api/echo/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"PUT /api/echo/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    requests = [
        get("/api/echo/1"),
        post,
        get("/api/none"),
        chunked,
        get("/api/blob/200000?chunked"),
        get("/api/notmodified"),
    ]
    answer = await raw(host, b"".join([*requests, get("/api/echo/4", "Connection: close")]))
    assert STATUS.findall(answer) == [b"200", b"200", b"404", b"200", b"200", b"304", b"200"]
    assert [answer.find(b'"id":"%d"' % n) for n in (1, 2, 3, 4)] == sorted(
        answer.find(b'"id":"%d"' % n) for n in (1, 2, 3, 4)
    )
    assert b'"size":3' in answer
    assert answer.count(b"connection: close") == 1


async def test_requests_byte_by_byte(host: Host) -> None:
    """A request may arrive in any pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    for byte in b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde":
        writer.write(bytes([byte]))
        await writer.drain()
    assert b'"size":5' in await reader.read()
    writer.close()


async def test_connection_goes_on_after_a_body_in_pieces(host: Host) -> None:
    """A body that comes in many pieces is not taken for a head, and the connection serves the next request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
    for _ in range(4):
        writer.write(b"x" * 50_000)
        await writer.drain()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await reader.readuntil(b'"size":200000')
        writer.write(get("/api/head", "Connection: close"))
        assert STATUS.findall(await reader.read()) == [b"200"]
    writer.close()


async def test_early_answer(host: Host) -> None:
    """An answer that does not wait for the body arrives, and the connection ends with it."""
    answer = await raw(host, b"POST /api/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"no thanks")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET /api/echo/1 HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/echo/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /api/echo/1 HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        (b"GET /api/echo/\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /api/echo/1 HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /api/echo/1 HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
        (
            b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /api/echo/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 104857601\r\n\r\n", 413),
        (b"GET /api/echo/1 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000 + b"\r\n\r\n", 431),
        (b"GET /api/echo/1 HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 6_000 + b"\r\n", 431),
        (b"GET /api/echo/1?" + b"a" * 40_000, 431),
    ],
)
async def test_bad_requests(host: Host, request_bytes: bytes, status: int) -> None:
    """What is no acceptable request gets an empty refusal, and the connection ends."""
    head, _, body = (await raw(host, request_bytes)).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert b"connection: close" in head
    assert body == b""


async def test_bad_request_after_a_good_one(host: Host) -> None:
    """A good request is answered before the bad one that follows it is refused."""
    answer = await raw(host, get("/api/echo/1") + b"NONSENSE\r\n\r\n")
    assert STATUS.findall(answer) == [b"200", b"400"]


async def test_odd_bytes_are_no_failure(host: Host) -> None:
    """Odd header bytes, escapes and targets never become a 5xx."""
    odd = [
        get("/api/echo/%ff%00?%zz=%f0&&;=%", "X: \xff\xfe", "Cookie: =;;\x80", "Content-Type: \xe9/;;", "Accept: \xff"),
        get("//api/echo/1"),
        get("/api/echo/../1"),
        get("/api/echo/1", "Host2: [::bad", "X-Forwarded-For: \xff, ,", "X-Forwarded-Proto: \xff"),
        get("http://elsewhere/api/echo/1?x#f"),
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        get("/api/echo/1", "Content-Length: 0", "Expect: something"),
        get("/runtime/webhooks/EventGrid?functionName=%ff"),
        get("/admin/%ff/%00"),
        get("/api/echo/1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: \xff"),
    ]
    for request in odd:
        answer = await raw(host, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert 200 <= int(answer.split()[1]) < 500, (request, answer)


# --- failures --------------------------------------------------------------------------------------------------------


async def test_exception_is_an_empty_500(host: Host, client: httpx.AsyncClient) -> None:
    """An exception is logged and never shown."""
    answer = await client.get("/api/fails")
    assert (answer.status_code, answer.content) == (500, b"")
    assert "fails failed: ValueError: secret detail" in host.said


async def test_exception_in_a_stream_cuts_it(host: Host) -> None:
    """A stream that breaks is cut, so that the client does not take it for complete."""
    answer = await raw(host, get("/api/breaks"))
    assert b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"secret" not in answer


@pytest.mark.parametrize("name", ["overruns", "on_event", "endless_timer"])
async def test_an_overrun_ends_the_worker_and_every_client(tmp_path: Path, name: str) -> None:
    """As on the platform: all that is held is cut, and a new worker serves at the same address.

    What is held is held for less than the limit: it is the named function that overruns.
    """
    folder = app("full", tmp_path, FULL_SETTINGS)
    (folder / "host.json").write_text('{"functionTimeout": "00:00:02", "extensions": {"http": {"routePrefix": "v1"}}}')
    with running(folder) as host:
        await raw(host, get("/v1/mark", "Connection: close"))
        held = []
        if name == "overruns":
            held.append(asyncio.create_task(raw(host, get("/v1/overruns"))))
        elif name == "on_event":
            body = b'{"takes too long":1}'
            head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: localhost\r\naeg-event-type: Notification\r\n"
            request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            held.append(asyncio.create_task(raw(host, request)))
        else:
            await raw(
                host,
                b"POST /admin/functions/endless_timer HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
            )
        await asyncio.sleep(0.5)  # of its two seconds
        held += [asyncio.create_task(raw(host, get(path))) for path in ("/v1/park", "/v1/stream")]
        *cut, stream = [answer for answer in await asyncio.gather(*held) if answer]
        assert STATUS.findall(stream) == [b"200"]
        assert not stream.endswith(b"0\r\n\r\n")
        # A delivery that overran has failed, if its answer still gets out.
        assert [STATUS.findall(answer) for answer in cut] in ([], [[b"500"]] if name == "on_event" else [])

        async def is_back() -> bool:
            with contextlib.suppress(OSError):
                return b'"parked"' in await raw(host, get("/v1/seen", "Connection: close"))
            return False

        await eventually(is_back)
        assert b'"marked"' not in await raw(host, get("/v1/seen", "Connection: close")), "the worker is another"
        assert f"{name} overran functionTimeout (2.0 s)" in host.said
        assert host.is_running


# --- held requests and streams ---------------------------------------------------------------------------------------


async def test_hundred_parked_requests_wake(client: httpx.AsyncClient) -> None:
    """A hundred parked requests are all woken."""
    parked = [asyncio.create_task(client.get("/api/park?name=herd")) for _ in range(100)]

    async def all_parked() -> bool:
        return int((await seen(client))["parked"]) >= 100

    await eventually(all_parked)
    assert (await client.post("/api/wake")).status_code == 204
    assert {answer.text for answer in await asyncio.gather(*parked)} == {"woken"}


async def test_parked_request_learns_that_the_client_left(host: Host, client: httpx.AsyncClient) -> None:
    """`request.is_disconnected()` turns true when the client goes away, at once."""
    _, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(get("/api/park?name=leaver"))

    async def parked() -> bool:
        return int((await seen(client))["parked"]) >= 1

    await eventually(parked)
    writer.close()

    async def noticed() -> bool:
        return "leaver" in (await seen(client)).get("left", [])

    await eventually(noticed)


async def test_stream_arrives_as_it_is_made(host: Host, client: httpx.AsyncClient) -> None:
    """Frames arrive one by one, and the generator is closed when the client leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(get("/api/stream"))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await reader.readuntil(b"data: open\n\n")
        for _ in range(3):
            await client.post("/api/wake")
            await reader.readuntil(b"data: wake\n\n")
    before = len((await seen(client)).get("stream", []))
    writer.close()

    async def closed() -> bool:
        return len((await seen(client)).get("stream", [])) > before

    await eventually(closed)


# --- timers and admin ------------------------------------------------------------------------------------------------


async def test_timers(client: httpx.AsyncClient) -> None:
    """Schedules and runOnStartup fire, a disabled timer does not, and the input says "not past due"."""

    async def ticked() -> bool:
        return len((await seen(client)).get("tick", [])) >= 2

    await eventually(ticked)
    notes = await seen(client)
    assert notes["at_start"][:2] == ["begin", "end"]
    assert set(notes["tick"]) == {"false"}
    assert "off_timer" not in notes


async def test_admin_fires_one_at_a_time(client: httpx.AsyncClient) -> None:
    """The admin call answers 202 at once, and runs of one timer never overlap."""
    before = len((await seen(client))["at_start"])
    answers = [await client.post("/admin/functions/at_start", json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3

    async def ran() -> bool:
        return len((await seen(client))["at_start"]) >= before + 6

    await eventually(ran)
    assert (await seen(client))["at_start"][before:] == ["begin", "end"] * 3


async def test_admin_runs_events_and_disabled_functions(client: httpx.AsyncClient) -> None:
    """The admin call passes its input on, and runs what an app setting has disabled."""
    answer = await client.post("/admin/functions/OFF_event", json={"input": '{"by":"admin"}'})
    assert answer.status_code == 202

    async def ran() -> bool:
        return '{"by":"admin"}' in (await seen(client)).get("off_event", [])

    await eventually(ran)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/admin/host/status", b"", 200),
        ("GET", "/admin/functions", b"", 200),
        ("POST", "/admin/functions/nobody", b"{}", 404),
        ("POST", "/admin/functions/echo", b"{}", 400),
        ("POST", "/admin/functions/at_start", b"[]", 400),
        ("POST", "/admin/functions/at_start", b"{", 400),
        ("GET", "/admin/elsewhere", b"", 404),
        ("PUT", "/admin/functions/at_start", b"{}", 404),
    ],
)
async def test_admin_answers(client: httpx.AsyncClient, method: str, path: str, body: bytes, status: int) -> None:
    """Admin endpoints answer what they know, and refuse the rest."""
    answer = await client.request(method, path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    if path == "/admin/host/status":
        assert answer.json() == {"state": "Running"}
    if path == "/admin/functions":
        assert {"echo", "on_event", "at_start"} <= set(answer.json())


FORGED = b'{"input":"{\\"forged\\":1}"}'
JSON_TYPE = "application/json"


@pytest.mark.parametrize(
    ("path", "host_name", "content_type", "status"),
    [
        ("/admin/functions/off_event", "127.0.0.1", "text/plain", 415),
        ("/admin/functions/off_event", "127.0.0.1", "text/plain; x=application/json", 415),
        ("/admin/functions/off_event", "127.0.0.1", "application/x-www-form-urlencoded", 415),
        ("/admin/functions/off_event", "127.0.0.1", "multipart/form-data; boundary=x", 415),
        ("/admin/functions/off_event", "127.0.0.1", "", 415),
        ("/admin/functions/off_event", "evil.example", JSON_TYPE, 403),
        ("/admin/functions/off_event", "localhost.evil.example", JSON_TYPE, 403),
        ("/admin/functions/off_event", "127.0.0.1.evil.example:7071", JSON_TYPE, 403),
        ("/admin/functions/off_event", "127.0.0.1@evil.example", JSON_TYPE, 403),
        ("/admin/functions/off_event", "192.168.0.1", JSON_TYPE, 403),
        ("/admin/functions/off_event", "", JSON_TYPE, 403),
        ("/admin/functions", "evil.example", JSON_TYPE, 403),
        ("/runtime/webhooks/EventGrid?functionName=on_event", "evil.example", JSON_TYPE, 403),
        ("/admin/functions/off_timer", "LOCALHOST:7071", "Application/JSON; charset=utf-8", 202),
        ("/admin/functions/off_timer", "[::1]:7071", JSON_TYPE, 202),
        ("/admin/functions/off_timer", "127.1.2.3", JSON_TYPE, 202),
    ],
)
async def test_no_web_page_runs_a_function(
    host: Host, client: httpx.AsyncClient, path: str, host_name: str, content_type: str, status: int
) -> None:
    """What a page in the developer's browser could send is refused: other types than JSON, other names than ours."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host_name}", "Connection: close", "aeg-event-type: Notification"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    head = "\r\n".join([*lines, f"Content-Length: {len(FORGED)}", "", ""])
    answer = await raw(host, head.encode() + FORGED)
    assert STATUS.findall(answer) == [str(status).encode()]
    assert not [text for text in (await seen(client)).get("off_event", []) if "forged" in text]
    assert not [text for text in (await seen(client)).get("event", []) if "forged" in text]


# --- start and stop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "traceback"),
    [
        ("failing", "a_module_that_nobody_has", True),
        ("refusing", "give a number of seconds", False),
        ("empty", "No functions", False),
    ],
)
def test_app_that_does_not_start(tmp_path: Path, name: str, message: str, traceback: bool) -> None:
    """An app that cannot be indexed ends the host with its message; only Python's own errors bring a traceback."""
    with running(app(name, tmp_path)) as host:
        assert host.wait() == 1
        assert message in host.said.rstrip().rpartition("\n\n")[2]
        assert ("Traceback" in host.said) is traceback
        assert "ready" not in host.said


def test_missing_schedule_setting(tmp_path: Path) -> None:
    """A schedule that refers to an app setting that is not set stops the start, and names it."""
    with running(app("full", tmp_path)) as host:
        assert host.wait() == 1
        assert "The schedule of every_second refers to the app setting EVERY, which is not set." in host.said


def test_environment_wins_over_local_settings(tmp_path: Path) -> None:
    """What is set in the environment already is not replaced."""
    with running(app("full", tmp_path, FULL_SETTINGS), env={"EVERY": "0 0 0 1 1 *"}) as host:
        assert "  every_second: timerTrigger 0 0 0 1 1 *" in host.said.splitlines()


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (("--port", "0", "--address", "0.0.0.0"), {}, "only a loopback address"),  # noqa: S104
        (("--port", "0"), {"WEBSITE_INSTANCE_ID": "x"}, "WEBSITE_INSTANCE_ID is set"),
        (("--port", "0", "--enable-auth"), {}, "set HOST_FUNCTION_KEY"),
        (("--port", "99999"), {}, "Port 99999"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], message: str) -> None:
    """It refuses to be reachable from elsewhere, to run in Azure, and to ask for keys that nobody has."""
    with running(app("full", tmp_path, FULL_SETTINGS), *arguments, env=env) as host:
        assert host.wait() == 1
        assert message in host.said


def test_port_in_use(host: Host, tmp_path: Path) -> None:
    """A taken port is named in one line."""
    with running(app("full", tmp_path, FULL_SETTINGS), "--port", str(host.port)) as second:
        assert second.wait() == 1
        assert len(second.said.strip().splitlines()) == 1
        assert f"Port {host.port} " in second.said


async def test_stops_with_parked_requests(tmp_path: Path) -> None:
    """SIGTERM and SIGINT end the host within five seconds, status 0, also with parked requests and streams."""
    await asyncio.gather(
        *(_stops_with_parked_requests(tmp_path / number.name, number) for number in (signal.SIGTERM, signal.SIGINT))
    )


async def _stops_with_parked_requests(folder: Path, number: signal.Signals) -> None:
    with running(app("full", folder, FULL_SETTINGS)) as host:
        async with httpx.AsyncClient(base_url=host.url, timeout=DEADLINE_SECONDS) as client:
            held = [asyncio.create_task(raw(host, get(path))) for path in ("/api/park", "/api/park", "/api/stream")]

            async def parked() -> bool:
                return int((await seen(client))["parked"]) >= 2

            await eventually(parked)
        started = time.monotonic()
        assert await asyncio.to_thread(host.end, number) == 0, host.said
        assert time.monotonic() - started < 5
        answers = await asyncio.gather(*held)
        assert [answer.split()[1] for answer in answers] == [b"503", b"503", b"200"]
        assert not answers[2].endswith(b"0\r\n\r\n")
        assert "Traceback" not in host.said


async def test_stop_lets_requests_finish(tmp_path: Path) -> None:
    """An answer that is under way when the signal comes is completed."""
    with running(app("full", tmp_path, FULL_SETTINGS)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(get("/api/blob/20000000"))
        await reader.readuntil(b"\r\n\r\n")  # the rest does not fit into the sockets' buffers
        host.send_signal(signal.SIGTERM)

        async def stopping() -> bool:
            return "stopping" in host.said

        await eventually(stopping)
        assert len(await reader.read()) == 20_000_000
        writer.close()
        assert await asyncio.to_thread(host.wait, DEADLINE_SECONDS) == 0


def test_sigkill_leaves_nothing(tmp_path: Path) -> None:
    """There are no child processes that could outlive the host."""
    with running(app("full", tmp_path, FULL_SETTINGS)) as host:
        children = Path(f"/proc/{host.pid}/task/{host.pid}/children")
        if children.exists():
            assert children.read_text() == ""
        assert host.end(signal.SIGKILL) == 128 + signal.SIGKILL
        with pytest.raises(httpx.ConnectError):
            httpx.get(host.url)
