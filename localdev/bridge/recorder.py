"""Turns the answers of Azurite into journalled events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localdev.bridge import batch
from localdev.bridge.events import Stamp, event_grid_event
from localdev.bridge.locks import BlobLocks
from localdev.bridge.operations import Batch, Change, Mutation, change_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from localdev.bridge.delivery import Delivery
    from localdev.bridge.http1 import Head
    from localdev.bridge.journal import Journal
    from localdev.bridge.properties import PropertyReader


@dataclass(frozen=True, slots=True)
class Answer:
    """What a mutating request and its response said, as far as events need it."""

    operation: Mutation | Batch
    request_body: bytes  # of a batch; empty otherwise
    request_length: int
    head: Head
    body: bytes


class Recorder:
    """Knows which blobs a request touches, orders them, and records what happened to them.

    Between `hold` and its end nobody else changes those blobs through the bridge, so the order in which sequencers
    are given out here is the order in which the changes took effect.
    """

    def __init__(self, journal: Journal, delivery: Delivery, properties: PropertyReader) -> None:
        self.locks = BlobLocks()
        self._journal = journal
        self._delivery = delivery
        self._properties = properties

    def hold(self, mutations: Iterable[Mutation]) -> AbstractAsyncContextManager[None]:
        """Holds the locks of all blobs that the mutations touch."""
        return self.locks.hold(mutation.blob for mutation in mutations)

    async def look(self, mutations: Iterable[Mutation]) -> batch.Found:
        """Reads the properties of the blobs; call it with the locks held, before deletes or after creates."""
        wanted = list(mutations)
        return dict(zip(wanted, await asyncio.gather(*(self._properties.read(m.blob) for m in wanted)), strict=True))

    async def record(self, answer: Answer, found: batch.Found) -> None:
        """Journals the events of a successful request; when it returns they survive this process."""
        changes = await self._changes(answer, found)
        events = [event_grid_event(change, Stamp.now(self._journal.next_sequencer())) for change in changes]
        if events:
            self._delivery.accept(events)

    async def close(self) -> None:
        """Closes the connections that properties are read through."""
        await self._properties.close()

    async def _changes(self, answer: Answer, found: batch.Found) -> list[Change]:
        if isinstance(answer.operation, Batch):
            asked = batch.mutations(answer.operation.head, answer.request_body)
            return batch.changes(asked, answer.head, answer.body, found)
        mutation = answer.operation
        if not mutation.deletes and mutation.declared is None:
            found = await self.look([mutation])
        change = change_of(mutation, answer.head, found.get(mutation), answer.request_length)
        return [change] if change else []
