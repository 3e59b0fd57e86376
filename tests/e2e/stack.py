"""The running stack of the tests: that of ``localdev.testbed``, whose secrets no test may write; and who asks it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from localdev import testbed
from localdev.testbed import FOLDERS, STATUS, Stack
from tests.leaks.secrets import secret
from tests.waiting import eventually


@contextlib.contextmanager
def running_stack(folder: Path, *bridge_options: str, **environ: str) -> Iterator[Stack]:
    """Run Azurite, bridge and one host, with the three containers made."""
    with testbed.running_stack(folder, *bridge_options, **environ) as stack:
        secret("the digests' key", stack.digest_key)
        yield stack


def listed(stack: Stack) -> tuple[int, ...]:
    """Return how many images the containers really hold."""
    service = stack.direct_blobs()
    return tuple(
        sum(name.endswith(".jpg") for name in service.get_container_client(folder).list_blob_names())
        for folder in FOLDERS
    )


def newest_blob(stack: Stack) -> float:
    """Return when the youngest blob was written, in seconds since the epoch."""
    service = stack.direct_blobs()
    found = (blob for folder in FOLDERS for blob in service.get_container_client(folder).list_blobs())
    return max((blob.last_modified.timestamp() for blob in found), default=0.0)


def bridge_stats(stack: Stack) -> dict[str, int]:
    """Return the bridge's counters of done and pending work."""
    return dict(httpx.get(f"{stack.bridge_url}/__bridge__/stats", timeout=10).json())


class App:
    """A phone: asks one functions host."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def status(self, **headers: str) -> httpx.Response:
        """Ask at once."""
        return await self.http.get(STATUS, headers=headers)

    async def tolerant_status(self) -> int:
        """Ask at once; return the status, or 0 without an answer."""
        try:
            return (await self.status()).status_code
        except httpx.HTTPError:
            return 0

    async def held(self, etag: str, wait_seconds: float) -> httpx.Response:
        """Ask for an answer when the version changes."""
        return await self.http.get(STATUS, params={"wait": f"{wait_seconds:g}"}, headers={"If-None-Match": etag})

    async def counts(self) -> tuple[int, ...]:
        """Return the three counts."""
        return counts_of(await self.status())

    async def wait_for_ready(self, seconds: float = 30) -> None:
        """Wait until the counts are known."""

        async def is_known() -> bool:
            return (await self.status()).status_code == 200

        await eventually(is_known, seconds)

    async def wait_for(self, wanted: tuple[int, ...], seconds: float = 30) -> None:
        """Follow the counts by long poll until they are the wanted ones; ignore a passing 503."""
        await self.wait_for_ready(seconds)
        response = await self.status()
        deadline = time.monotonic() + seconds
        while (found := counts_of(response)) != wanted:
            left = deadline - time.monotonic()
            assert left > 0, f"counts are {found}, not {wanted}"
            held = await self.held(response.headers["etag"], min(left, 5))
            response = held if held.status_code == 200 else response


def counts_of(response: httpx.Response) -> tuple[int, ...]:
    """Return queued, input and output of an answer."""
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    return data["queued_count"], data["input_count"], data["output_count"]


def plus(counts: tuple[int, ...], *delta: int) -> tuple[int, ...]:
    """Add per folder."""
    return tuple(count + change for count, change in zip(counts, delta, strict=True))
