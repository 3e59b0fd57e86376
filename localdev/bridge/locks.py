"""Locks by key that exist only while someone holds or awaits them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from localdev.bridge.operations import BlobRef


class BlobLocks:
    """One lock per blob. Mutations of one blob take turns; different blobs do not know of each other."""

    def __init__(self) -> None:
        self._locks: dict[BlobRef, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, blobs: Iterable[BlobRef]) -> AsyncIterator[None]:
        """Holds the locks of all `blobs`, taken in sorted order so that two holders cannot wait for each other."""
        async with AsyncExitStack() as held:
            for blob in sorted(set(blobs)):
                await held.enter_async_context(self._hold_one(blob))
            yield

    @asynccontextmanager
    async def _hold_one(self, blob: BlobRef) -> AsyncIterator[None]:
        lock, users = self._locks.get(blob, (asyncio.Lock(), 0))
        self._locks[blob] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(blob)
            if users > 1:
                self._locks[blob] = (lock, users - 1)
