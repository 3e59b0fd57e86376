"""The counts as a client of the HTTP endpoint sees them: a held request, its ETag, the next held request."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from shared.model.folders import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable

STATUS_PATH: Final = "/api/cases/storage/status"
WAIT_SECONDS: Final = 20
MARGIN_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0

type Counts = dict[str, int]


class EndpointError(Exception):
    """The endpoint does not serve counts; the message says why and what to do."""


class StatusEndpoint:
    """A client of `GET /api/cases/storage/status` that remembers the ETag.

    Args:
        session: Sends the requests.
        base_url: The function app's address, without a path.
        token: Bearer token, or "".
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str, token: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._etag = ""
        self.counts: Counts = dict.fromkeys(FOLDERS, 0)

    async def ask(self, wait_seconds: float = 0) -> bool:
        """Ask once, held for up to `wait_seconds` while nothing changes; return whether the counts are new.

        Raises:
            EndpointError: No server answers, or not with counts.
        """
        headers = {**self._headers, "If-None-Match": self._etag, "Prefer": f"wait={wait_seconds:g}"}
        timeout = aiohttp.ClientTimeout(total=wait_seconds + MARGIN_SECONDS)
        try:
            async with self._session.get(self._base_url + STATUS_PATH, headers=headers, timeout=timeout) as answer:
                if answer.status == HTTPStatus.NOT_MODIFIED:
                    return False
                if answer.status != HTTPStatus.OK:
                    raise EndpointError(f"{self._base_url} answers {answer.status}: {_detail(await answer.text())}")
                data = (await answer.json())["data"]
                counts = {name.removesuffix("_count"): int(data[name]) for name in data if name.endswith("_count")}
                self.counts = dict.fromkeys(FOLDERS, 0) | counts
                self._etag = answer.headers.get("ETag", "")
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise EndpointError(f"nothing answers at {self._base_url}: start it with `make dev`") from error
        except (aiohttp.ClientError, ValueError, LookupError, TypeError) as error:
            raise EndpointError(f"{self._base_url} does not serve the counts: is it this app?") from error
        return True

    async def follow(self, on_counts: Callable[[Counts], None]) -> None:
        """Call `on_counts` for each change, for ever; retry after a failure."""
        while True:
            try:
                if await self.ask(WAIT_SECONDS):
                    on_counts(self.counts)
            except EndpointError:
                await asyncio.sleep(RETRY_SECONDS)


def _detail(text: str) -> str:
    """Return an error's text: the detail of a problem document, or its first line."""
    with suppress(ValueError, LookupError, TypeError):
        return str(json.loads(text)["detail"])
    return text.strip().partition("\n")[0][:200]
