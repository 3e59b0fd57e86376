"""A storage account in memory: blobs that can be put, deleted, looked at and listed, and the events they raise."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from shared.clock import to_iso
from shared.errors import ContainerAbsent, OutcomeUnknown
from shared.model.ports import Head, Page

START = datetime(2026, 1, 1, tzinfo=UTC)


def url(path: str, quoting: Callable[[str], str] = str) -> str:
    """Return the address of a blob or a directory."""
    container, _, name = path.partition("/")
    return f"https://account.dfs.core.windows.net/{container}/{quoting(name)}"


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        """Return the wall clock."""
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Let others run; time passes at once."""
        self._seconds += seconds
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds


class SkewedClock:
    """The clocks of a machine whose wall clock is off.

    Args:
        clock: The true ones.
        seconds: How far the wall clock is ahead.
    """

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock = clock
        self._skew = timedelta(seconds=seconds)
        self.monotonic, self.sleep = clock.monotonic, clock.sleep

    def now(self) -> datetime:
        """Return the wall clock."""
        return self._clock.now() + self._skew


class MemoryBlobs:
    """A storage account whose every change raises its event.

    Args:
        clock: The storage service's clock.
        page_size: Names a page.
    """

    def __init__(self, clock: FakeClock, page_size: int = 10) -> None:
        self.clock = clock
        self.blobs: dict[str, tuple[str, datetime]] = {}
        self.events: list[str] = []
        self.absent_containers: set[str] = set()
        #: The app's own containers: container → name → body and eTag. They raise no events, and nobody lists them.
        self.kept: dict[str, dict[str, tuple[bytes, str]]] = {}
        self.writes = 0
        self.heads = 0
        self.listed_pages = 0
        self.fails: Callable[[str], bool] = lambda _: False
        self.pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
        self._sequence = itertools.count(1)
        self.page_size = page_size

    def put(self, path: str) -> str:
        """Write a blob; return its event (also kept in ``events``)."""
        self.absent_containers.discard(path.partition("/")[0])
        etag = f"0x{next(self._sequence):X}"
        self.blobs[path] = (etag, self.clock.now())
        return self._raise("Microsoft.Storage.BlobCreated", path, {"eTag": etag})

    def delete(self, path: str) -> str:
        """Delete a blob; return its event."""
        del self.blobs[path]
        return self._raise("Microsoft.Storage.BlobDeleted", path, {})

    def rename(self, source: str, destination: str, source_url: str = "") -> str:
        """Rename a blob, as an account with a hierarchical namespace does; return the one event for both names."""
        self.absent_containers.discard(destination.partition("/")[0])
        self.blobs[destination] = (self.blobs.pop(source)[0], self.clock.now())
        return self._raise("Microsoft.Storage.BlobRenamed", destination, {"sourceUrl": source_url or url(source)})

    def under(self, directory: str) -> list[str]:
        """Return the paths of the blobs under a directory."""
        return [path for path in self.blobs if path.startswith(f"{directory}/")]

    def rename_directory(self, source: str, destination: str, source_url: str = "") -> str:
        """Rename a directory with all that is in it; return the one event."""
        for path in self.under(source):
            self.blobs[destination + path.removeprefix(source)] = self.blobs.pop(path)
        return self._raise("Microsoft.Storage.DirectoryRenamed", destination, {"sourceUrl": source_url or url(source)})

    def delete_directory(self, directory: str) -> str:
        """Delete a directory with all that is in it; return the one event."""
        for path in self.under(directory):
            del self.blobs[path]
        return self._raise("Microsoft.Storage.DirectoryDeleted", directory, {"recursive": "true"})

    def delete_container(self, container: str) -> None:
        """Delete a container with all that is in it: no event is raised for any blob."""
        self.blobs = {path: blob for path, blob in self.blobs.items() if not path.startswith(f"{container}/")}
        self.absent_containers.add(container)

    async def head(self, container: str, name: str) -> Head:
        """Look at a blob."""
        self.heads += 1
        await self.pause()
        if self.fails("head"):
            raise OutcomeUnknown("head lost")
        found = self.blobs.get(f"{container}/{name}")
        date = self.clock.now().replace(microsecond=0)
        await self.pause()
        if found is None:
            return Head(present=False, date=date)
        return Head(present=True, date=date, etag=found[0], last_modified=found[1].replace(microsecond=0))

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """List, page by page; later pages see later changes."""
        after = token
        while True:
            await self.pause()
            if self.fails("list"):
                raise OutcomeUnknown("listing lost")
            names, after = self.list_page(container, prefix, after)
            yield Page(names, self.clock.now().replace(microsecond=0), after)
            if not after:
                return

    def list_page(self, container: str, prefix: str, after: str) -> tuple[list[str], str]:
        """Return the names on the page after this token, and the next token ("" on the last page)."""
        if container in self.absent_containers:
            raise ContainerAbsent(f"there is no container {container!r}", self.clock.now().replace(microsecond=0))
        start = f"{container}/{prefix}"
        paths = sorted(path for path in self.blobs if path.startswith(start) and path > after)
        page, more = paths[: self.page_size], len(paths) > self.page_size
        self.listed_pages += 1
        return [path.partition("/")[2] for path in page], page[-1] if more else ""

    def _raise(self, event_type: str, path: str, data: dict[str, str]) -> str:
        container, _, name = path.partition("/")
        event = {
            "id": str(next(self._sequence)),
            "eventType": event_type,
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "eventTime": to_iso(self.clock.now()),
            "data": {**data, "api": "Test", "sequencer": f"{next(self._sequence):048x}"},
        }
        self.events.append(json.dumps(event))
        return self.events[-1]
