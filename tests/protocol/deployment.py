"""A deployment under test, here or anywhere, and who asks it. Standard library and httpx only."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

STATUS = "/api/cases/storage/status"
STREAM = "/api/cases/storage/status/stream"
HEALTH = "/api/health"
DOCUMENT = "/api/openapi.json"
#: What a deployment is set to when nothing is said.
DEFAULTS = {
    "HEARTBEAT_SECONDS": "15",
    "MAX_STREAM_SECONDS": "180",
    "MAX_WAIT_SECONDS": "60",
    "POLL_INTERVAL_SECONDS": "0.5",
    "CORS_ORIGINS": "",
    "EXTRA_FOLDERS": "",
    "CASE_FROM": "",
    "CASE_UNKNOWN": "zeros",
}
#: The way there and back, and a busy machine.
SLACK_SECONDS = 5
#: From a change of a blob to its count: Event Grid takes its time.
EVENT_SECONDS = 60
ATTEMPTS = 6
PARKED_SECONDS = 0.5
MAX_REQUESTS = 500

type Pairs = Mapping[str, str] | Sequence[tuple[str, str]]
type Ask = Callable[[httpx.Response], Awaitable[httpx.Response]]


@dataclass
class Deployment:
    """Where it is, what it takes to be let in, and how it is set.

    Attributes:
        url: Its origin.
        token: A bearer token, or "".
        code: A function key, or "".
        settings: Settings that are not the default.
        trigger: Changes a count, or None where nothing may.
        requests: How many have been sent.
    """

    url: str
    token: str = ""
    code: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    trigger: Callable[[], Awaitable[None]] | None = None
    requests: int = 0

    def setting(self, name: str) -> str:
        """Return a setting, set or default."""
        return self.settings.get(name, DEFAULTS[name])

    def seconds(self, name: str) -> float:
        """Return a setting that is a number of seconds."""
        return float(self.setting(name))

    @property
    def extra_folders(self) -> list[str]:
        """The names of the folders beside the three."""
        places = filter(str.strip, self.setting("EXTRA_FOLDERS").split(","))
        return [place.partition("=")[0].strip() for place in places]

    @property
    def credentials(self) -> dict[str, str]:
        """The headers that let a caller in."""
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return token | ({"x-functions-key": self.code} if self.code else {})

    def client(self) -> httpx.AsyncClient:
        """Return a client without credentials that counts what it sends."""
        longest = max(self.seconds("MAX_STREAM_SECONDS"), self.seconds("MAX_WAIT_SECONDS"))
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [self._count]}
        return httpx.AsyncClient(base_url=self.url, timeout=longest + SLACK_SECONDS, event_hooks=hooks)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes that no client library would; return all that comes back until the other side closes."""
        self.requests += 1
        address = urlsplit(self.url)
        secure = ssl.create_default_context() if address.scheme == "https" else None
        port = address.port or (443 if secure else 80)
        async with asyncio.timeout(2 * SLACK_SECONDS):
            reader, writer = await asyncio.open_connection(address.hostname, port, ssl=secure)
            try:
                writer.write(request.replace(b"{host}", address.netloc.encode()))
                return await reader.read()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

    async def raw_head(self, path: str) -> bytes:
        """Ask ``HEAD``; return all that comes back, which is over when the server has nothing more to do for it."""
        lines = [f"HEAD {path} HTTP/1.1", "Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.credentials.items()]
        return await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def _count(self, request: httpx.Request) -> None:
        del request
        self.requests += 1


class Caller:
    """Asks a deployment, with credentials unless told otherwise.

    Args:
        deployment: Whom.
        http: Over what.
    """

    def __init__(self, deployment: Deployment, http: httpx.AsyncClient) -> None:
        self.deployment = deployment
        self.http = http

    async def get(
        self, path: str = STATUS, headers: Pairs = (), *, method: str = "GET", is_known: bool = True, **query: str
    ) -> httpx.Response:
        """Ask once. ``from_`` is the query parameter ``from``."""
        given = [*(self.deployment.credentials if is_known else {}).items(), *dict(headers).items()]
        if not isinstance(headers, Mapping):
            given = [*(self.deployment.credentials if is_known else {}).items(), *headers]
        params = {name.rstrip("_"): value for name, value in query.items()}
        return await self.http.request(method, path, headers=given, params=params or None)

    async def current(self) -> httpx.Response:
        """Return the counts as they are; a cold app or one that is not ready yet gets a moment."""
        for _ in range(ATTEMPTS):
            answer = await self.get()
            if answer.status_code == 200:
                return answer
            await asyncio.sleep(1)
        raise AssertionError(f"no counts: {answer.status_code} {answer.text[:300]}")

    async def steady(self, ask: Ask) -> tuple[httpx.Response, httpx.Response]:
        """Ask something while the counts do not change; return the counts as they were, and the answer.

        Others may use the deployment, so a change that comes in between is no mistake: it is asked again.
        """
        for _ in range(ATTEMPTS):
            before = await self.current()
            answer = await ask(before)
            if version_of(await self.current()) == version_of(before):
                return before, answer
        return pytest.skip("the counts change all the time")

    async def held(self, answer: asyncio.Task[httpx.Response]) -> None:
        """Assert that a request is held."""
        done, _ = await asyncio.wait({answer}, timeout=PARKED_SECONDS)
        assert not done, f"answered at once: {answer.result().status_code} {answer.result().text[:300]}"

    def require_changes(self) -> None:
        """Skip what needs a change of the counts where nothing may change them."""
        if self.deployment.trigger is None:
            pytest.skip("needs a change of the counts: give --trigger")

    async def change(self) -> None:
        """Let a count change."""
        assert self.deployment.trigger is not None
        await self.deployment.trigger()


def version_of(answer: httpx.Response) -> str:
    """Return the version in a body."""
    return str(answer.json()["data"]["version"])


def quoted(version: str) -> dict[str, str]:
    """Return a version as a validator."""
    return {"If-None-Match": f'"{version}"'}


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    """Assert that an answer is a problem document as the page says."""
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "success"}
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert not re.search(r"Traceback|File \"|Error\(|\.py\b", answer.text)
    return True
