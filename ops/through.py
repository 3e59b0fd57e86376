"""A deployed app as clients reach it: through whatever stands in front. Asks once, or listens to one stream."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

import aiohttp

from ops.exits import WrongArgument
from ops.target import proxy_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

#: Enough for a cold start, and after the end of a wait for the way back.
SLACK_SECONDS: Final = 30.0
#: The app sends a stream's first frame at once (P80); nobody who waits longer has a live page.
FIRST_BYTE_SECONDS: Final = 10.0
#: HEARTBEAT_SECONDS is 30 at most, and the client takes a stream that is silent for this long for a dead one.
QUIET_SECONDS: Final = 35.0
_HEARTBEAT: Final = b": keep-alive"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request.

    Attributes:
        status: 0 when the connection ended without an answer.
        seconds: From the request to the end of the answer, or of the connection.
        headers: By name in lower case.
        version: Of the counts in the body; "" in another body.
        code: Of the app's problem document; "" in another body.
        reason: Why there is no answer.
    """

    status: int
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one stream, in seconds.

    Attributes:
        status: 0 when nothing came within FIRST_BYTE_SECONDS.
        first: From the request to the first byte; None when none came.
        heartbeat: The quiet before the first heartbeat; None when none came.
        cut: The quiet after which the stream ended instead; None when it did not.
    """

    status: int
    first: float | None = None
    heartbeat: float | None = None
    cut: float | None = None


class App:
    """A deployed app.

    Args:
        http: The connections, one for each request.
        url: What the client's ``baseUrl`` is.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._status = f"{url}/cases/storage/status"
        self._proxy = proxy_to(url)

    async def ask(
        self,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        wait_seconds: float = 0.0,
    ) -> Answer:
        """Ask for the status once; give up ``SLACK_SECONDS`` after the wait."""
        started = _now()
        limit = aiohttp.ClientTimeout(total=wait_seconds + SLACK_SECONDS)
        try:
            async with self._http.get(
                self._status, headers=headers, params=query, timeout=limit, proxy=self._proxy, allow_redirects=False
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(0, _now() - started, reason=str(error) or type(error).__name__)
        found = _object(body)
        data = found.get("data")
        return Answer(
            response.status,
            _now() - started,
            {name.lower(): value for name, value in response.headers.items()},
            str(data.get("version", "")) if isinstance(data, dict) else "",
            str(found.get("code", "")) if response.content_type == "application/problem+json" else "",
        )

    async def listen(self) -> Heard:
        """Listen to a stream until its first heartbeat."""
        started = _now()
        limit = aiohttp.ClientTimeout(total=None)
        status, first = 0, None
        try:
            async with asyncio.timeout(FIRST_BYTE_SECONDS) as patience:
                async with self._http.get(
                    f"{self._status}/stream", timeout=limit, proxy=self._proxy, allow_redirects=False
                ) as response:
                    status = response.status
                    if status != 200 or response.content_type != "text/event-stream":  # noqa: PLR2004
                        return Heard(status)
                    heard = await response.content.readany()
                    first = _now() - started if heard else None
                    patience.reschedule(None)
                    return await _quiet(response.content, heard, Heard(status, first)) if heard else Heard(status)
        except (aiohttp.ClientError, TimeoutError):
            return Heard(status)


async def _quiet(stream: aiohttp.StreamReader, heard: bytes, so_far: Heard) -> Heard:
    """Listen on, from the first byte to the first heartbeat or the end."""
    since = _now()
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            while _HEARTBEAT not in heard:
                more = await stream.readany()
                if not more:
                    return Heard(so_far.status, so_far.first, cut=_now() - since)
                before, since, heard = since, _now(), heard[-len(_HEARTBEAT) :] + more
            return Heard(so_far.status, so_far.first, heartbeat=since - before)
    except TimeoutError:
        return so_far
    except aiohttp.ClientError:
        return Heard(so_far.status, so_far.first, cut=_now() - since)


@asynccontextmanager
async def reached_at(url: str, *, token: str = "", code: str = "") -> AsyncIterator[App]:
    """Reach an app.

    Args:
        url: Its address; ``/api`` is added where it has no path.
        token: A bearer token, or "".
        code: A function key, or "".

    Raises:
        WrongArgument: The address is none of HTTP, or says more than where the app is.
    """
    address = _address(url)
    path = address.path.rstrip("/") or "/api"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"x-functions-key": code} if code else {}
    # A connection of its own for each request: on one that was used before aiohttp would repeat a request that was cut.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        yield App(http, f"{address.scheme}://{address.netloc}{path}")


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        host = (address.hostname or "").encode("idna")  # as it is looked up
        port = address.port  # which is read, and checked, here
    except ValueError:
        host = b""
    if not host or address.scheme not in {"http", "https"} or port == 0 or re.search(r"[?#@\\\s]", url):
        raise WrongArgument(f"{url} is no address of an app; one looks like https://app.azurewebsites.net")
    return address


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> float:
    return asyncio.get_running_loop().time()
