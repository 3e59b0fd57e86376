"""The ports of the engines: a table with conditional transactions, blobs, listings, and a topic.

The in-memory implementations of the tests and the adapters for Azure pass the same contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from shared.model.cases import StoredCase
    from shared.model.ledger import Properties
    from shared.model.tally import Tally


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as read.

    Attributes:
        row_key: Its RowKey.
        properties: Its own properties, without keys and metadata.
        etag: Its ETag, which changes with every write.
        written_at: When it was last written, by the service's clock, if the service says so.
        read_at: The ``Date`` of the answer to a point read (the service's clock, whole seconds).
        partition: Its PartitionKey, if it was read without one.
    """

    row_key: str
    properties: Properties
    etag: str
    written_at: datetime | None = None
    read_at: datetime | None = None
    partition: str = ""


#: Selected in a scan, it has the entities tell when they were written.
WRITTEN_AT: Final = "Timestamp"
#: The ETag of a merge into whatever version of the entity there is.
ANY_VERSION: Final = "*"


@dataclass(frozen=True, slots=True)
class Write:
    """One operation of a transaction; every operation is conditional.

    Attributes:
        row_key: The entity's RowKey.
        properties: All of its properties afterwards, or None to delete it (needs an ETag).
        etag: The ETag that it must have now, :data:`ANY_VERSION`, or None if it must not exist.
        merges: The properties that are not named stay as they are (needs an ETag).
    """

    row_key: str
    properties: Properties | None
    etag: str | None
    merges: bool = False

    def holds(self, before: Entity | None) -> bool:
        """Tell whether its condition holds for what is there."""
        if before is None or self.etag == ANY_VERSION:
            return (before is None) == (self.etag is None)
        return before.etag == self.etag

    def over(self, before: Entity | None) -> Properties | None:
        """Return all properties of the entity afterwards; None: it is deleted."""
        if self.properties is None or not self.merges or before is None:
            return self.properties
        return {**before.properties, **self.properties}


@dataclass(frozen=True, slots=True)
class PropertyRange:
    """Entities whose text property ``name`` is at least ``low`` and below ``high``, by code units."""

    name: str
    low: str
    high: str


class Table(Protocol):
    """One table.

    Every method may raise :class:`shared.errors.Refused` or :class:`shared.errors.OutcomeUnknown`. The first call that
    finds the table deleted makes it anew, empty: a read then finds nothing, and every other call has an unknown
    outcome.
    """

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity, or None; of its properties all, or those selected that it has."""
        ...

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Commit all of the writes or none (1 to 100, each entity once).

        Returns:
            The new ETags, in order; "" for a deletion.

        Raises:
            Conflict: A condition did not hold.
            Rejected: An operation is not acceptable, whatever the state.
        """
        ...

    def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over the entities of a partition, page by page, in RowKey order. A page may be empty.

        The pages are no snapshot: entities written meanwhile may or may not be seen.

        Args:
            partition: The partition's key.
            select: Names of the properties to read, or None for all.
            after: Only entities whose RowKey is greater.
            within: Only entities whose property lies in this range; the service compares, but visits all.
        """
        ...


@dataclass(frozen=True, slots=True)
class EntityPage:
    """One page of a query over all partitions.

    Attributes:
        entities: Its entities, perhaps none, each with its partition.
        date: The ``Date`` of the answer (the service's clock, whole seconds).
        next_token: Where the query goes on; "" after the last page.
    """

    entities: Sequence[Entity]
    date: datetime
    next_token: str = ""


class InboxTable(Table, Protocol):
    """A table that can also be read as a whole."""

    async def page(self, token: str = "") -> EntityPage:
        """Read the next page of all entities, by partition and row key.

        Args:
            token: The ``next_token`` of the page before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """The result of a HEAD of a blob.

    Attributes:
        present: Whether the blob exists; a directory of that name does not count.
        date: The ``Date`` of the answer (the storage service's clock).
        etag: The blob's eTag when present, else "".
        last_modified: When it was last written, when present.
    """

    present: bool
    date: datetime
    etag: str = ""
    last_modified: datetime | None = None


class Heads(Protocol):
    """Looks at single blobs."""

    async def head(self, container: str, name: str) -> Head:
        """Look at a blob. Only a definite "no such blob" or "no such container" means absent.

        Raises:
            Refused: Storage says no (403, 409 and the rest).
            OutcomeUnknown: No answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        names: Names of blobs, as events have them, without directories.
        date: The ``Date`` of the answer.
        next_token: Where the listing goes on after this page; "" after the last one.
    """

    names: Sequence[str]
    date: datetime
    next_token: str = ""


class Listing(Protocol):
    """Lists containers. Only the reconciler has one."""

    def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """Iterate over the names under a prefix, page by page, in no particular order.

        Args:
            container: The container.
            prefix: The prefix; "" for the whole container.
            token: A page's ``next_token``, to go on after that page, also in another process.

        Raises:
            ContainerAbsent: A definite answer that there is no such container.
            Refused: Storage says no.
            OutcomeUnknown: No answer.
        """
        ...


class Bodies(Protocol):
    """Keeps the bodies of quarantined events, each under its event's key."""

    async def put(self, key: str, text: str) -> None:
        """Keep a body.

        Raises:
            StorageError: It could not be kept.
        """
        ...

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a body and its ETag, or None when there is none."""
        ...

    async def remove(self, key: str, etag: str) -> None:
        """Delete a body that no entry refers to, unless it has been put again."""
        ...

    async def remove_older(self, key: str, than: datetime) -> None:
        """Delete a body, unless it has been put again since ``than``."""
        ...


class Topic(Protocol):
    """Where changes of the counts, and cases that are drained, are published."""

    async def publish(self, tally: Tally) -> None:
        """Publish these counts.

        Raises:
            NotPublished: The topic did not take them.
        """
        ...

    async def publish_drained(self, drained: Sequence[StoredCase]) -> None:
        """Publish that these cases (100 at most) have been drained.

        Raises:
            NotPublished: The topic did not take them.
        """
        ...
