"""Errors, of the app and of the platform: each docstring is a line of docs/protocol.md."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from tests.protocol.deployment import DOCUMENT, HEALTH, STATUS, STREAM, Caller, is_problem, version_of

ASKED_FOR_JITTER = 12
BURST = 20


def retry_after(answer: httpx.Response) -> int:
    """Return after how many seconds to come back."""
    seconds = int(answer.headers["retry-after"])
    assert 1 <= seconds <= 60
    return seconds


@pytest.mark.parametrize("path", [STATUS, STREAM, HEALTH, DOCUMENT])
async def test_p60_problem_documents(caller: Caller, path: str) -> None:
    """Errors are `application/problem+json` with these members, `Cache-Control: no-store`, and no traceback."""
    assert is_problem(await caller.get(path, method="DELETE"), 405, "method-not-allowed")


@pytest.mark.parametrize("path", [STATUS, STREAM])
async def test_p65_no_token(secured: Caller, path: str) -> None:
    """401 `unauthorized`: no token; `WWW-Authenticate` says which."""
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic dXNlcjpwYXNz"}):
        answer = await secured.get(path, headers, is_known=False)
        assert is_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [STATUS, STREAM])
async def test_p66_a_bad_token(secured: Caller, path: str) -> None:
    """401 `unauthorized`: a token that is not valid."""
    head, _, signature = secured.deployment.token.rpartition(".")
    for token in ("garbage", "a.b.c", f"{head}.{signature[::-1]}", f"{head}."):
        answer = await secured.get(path, {"Authorization": f"Bearer {token}"}, is_known=False)
        assert is_problem(answer, 401, "unauthorized")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert version_of(await secured.current())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_p67_wrong_method(caller: Caller, method: str) -> None:
    """405 `method-not-allowed`, with `Allow`."""
    for path in (STATUS, STREAM):
        answer = await caller.http.request(method, path, headers=caller.deployment.credentials, content=b"{}")
        assert is_problem(answer, 405, "method-not-allowed")
        assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", [STATUS, STREAM])
async def test_p68_not_reconciled(unreconciled: Caller, path: str) -> None:
    """503 `counts-not-ready`: the account has never been reconciled; never zeros. To an `EventSource` P91."""
    answer = await unreconciled.get(path)
    assert is_problem(answer, 503, "counts-not-ready")
    assert 'count"' not in answer.text
    assert retry_after(answer)


async def test_p69_no_storage(without_storage: Caller) -> None:
    """503 `unavailable`: storage cannot be reached. To an `EventSource` P91."""
    for path in (STATUS, STREAM):
        answer = await without_storage.get(path)
        assert is_problem(answer, 503, "unavailable")
        assert retry_after(answer)


async def test_p70_retry_after(unreconciled: Caller) -> None:
    """503 carries `Retry-After`, jittered; P91 has `retry:`."""
    assert len({retry_after(await unreconciled.get()) for _ in range(ASKED_FOR_JITTER)}) > 1


async def test_p71_no_room(crowded: Caller) -> None:
    """503 `too-many-waiters`: there is no room to hold one more client; requests that do not wait are still answered. To an `EventSource` P91."""  # noqa: E501
    while (await crowded.get(HEALTH)).json()["waiters"]:  # another test's, that has left
        await asyncio.sleep(0.2)
    async with contextlib.AsyncExitStack() as streams:  # all that come at once are open until each is answered
        opened = (streams.enter_async_context(crowded.http.stream("GET", STREAM)) for _ in range(BURST))
        answers = await asyncio.gather(*opened)
        assert sorted(answer.status_code for answer in answers) == [200] + [503] * (BURST - 1)
        for path, query in ((STREAM, {}), (STATUS, {"from_": "now", "wait": "5"})):
            answer = await crowded.get(path, **query)
            assert is_problem(answer, 503, "too-many-waiters")
            assert retry_after(answer)
        assert (await crowded.get()).status_code == 200


@pytest.mark.parametrize("path", [STATUS, STREAM])
async def test_p72_two_tokens(secured: Caller, path: str) -> None:
    """401 `unauthorized`: two `Authorization` lines that differ."""
    good = ("Authorization", f"Bearer {secured.deployment.token}")
    for other in ("Bearer a.b.c", "Bearer", "", "Basic dXNlcjpwYXNz", f"{good[1]}x"):
        for lines in ([good, ("Authorization", other)], [("Authorization", other), good]):
            assert is_problem(await secured.get(path, lines, is_known=False), 401, "unauthorized")
    assert (await secured.get(path, [good, good], is_known=False, method="HEAD")).status_code == 200


@pytest.mark.parametrize("path", [STATUS, STREAM])
async def test_p74_too_much(caller: Caller, path: str) -> None:
    """400 `bad-request`: more than 100 query parameters, or headers of more than 16,384 characters together, unless the platform refuses them first."""  # noqa: E501
    assert is_problem(await caller.get(f"{path}?{'&'.join(['a=1'] * 101)}"), 400, "bad-request")
    assert (await caller.get(f"{path}?{'&'.join(['a=1'] * 100)}", method="HEAD")).status_code == 200
    answer = await caller.get(path, {f"X-{number}": "x" * 4000 for number in range(5)})
    if answer.headers.get("content-type") == "application/problem+json":
        assert is_problem(answer, 400, "bad-request")
    assert answer.status_code in {400, 413, 431}


async def test_p75_unknown_route(caller: Caller) -> None:
    """An unknown route is an empty 404 of the platform."""
    answer = await caller.get("/api/cases/storage/none")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_p76_what_the_platform_refuses(caller: Caller) -> None:
    """Oversized headers and requests that are no HTTP get a 4xx of the platform, which serves on."""
    begin = f"GET {STATUS} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n".encode()
    refused = [
        begin + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        begin + b"No colon here\r\n\r\n",
        f"GET {STATUS} HTTP/9.9\r\nHost: {{host}}\r\n\r\n".encode(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
    ]
    for request in refused:
        answer = await caller.deployment.raw(request)
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505")), answer[:200]
        assert b"Traceback" not in answer
    assert await caller.current()
