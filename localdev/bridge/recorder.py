"""Orders changes of one blob, and turns them into journalled events."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from localdev.bridge.events import Stamp, event_grid_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from localdev.bridge.batch import Found
    from localdev.bridge.delivery import Delivery
    from localdev.bridge.journal import Journal
    from localdev.bridge.operations import BlobRef, Change, Mutation
    from localdev.bridge.properties import PropertyReader


class Recorder:
    """Holds the blobs that a request touches, and records what happened to them.

    Between `hold` and its end nobody else changes those blobs through the bridge, so the order in which sequencers
    are given out here is the order in which the changes took effect.

    Attributes:
        locks: The lock of each blob, as long as somebody holds or awaits it.
        properties: Asks Azurite for properties of blobs.
    """

    def __init__(self, journal: Journal, delivery: Delivery, properties: PropertyReader) -> None:
        self.locks: WeakValueDictionary[BlobRef, asyncio.Lock] = WeakValueDictionary()
        self.properties = properties
        self._journal = journal
        self._delivery = delivery

    @asynccontextmanager
    async def hold(self, mutations: Iterable[Mutation]) -> AsyncIterator[None]:
        """Hold the locks of all blobs that are touched, taken in sorted order so that two holders cannot deadlock."""
        async with AsyncExitStack() as held:
            for blob in sorted({mutation.blob for mutation in mutations}):
                await held.enter_async_context(self.locks.setdefault(blob, asyncio.Lock()))
            yield

    async def look(self, mutations: Sequence[Mutation]) -> Found:
        """Read the properties of the blobs; call it with the locks held, before deletes or after creates."""
        found = await asyncio.gather(*(self.properties.read(mutation.blob) for mutation in mutations))
        return dict(zip(mutations, found, strict=True))

    def record(self, changes: Iterable[Change]) -> None:
        """Journal the events of a successful request; when it returns they survive this process."""
        events = [event_grid_event(change, Stamp.now(self._journal.next_sequencer())) for change in changes]
        if events:
            self._delivery.accept(events)
