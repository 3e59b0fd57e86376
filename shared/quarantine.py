"""Where events go that cannot be counted: body to a blob, index to the table, nothing thrown away.

An event may be 1 MB and a table string only 64 KiB, so the body is a blob, in a container that no folder maps to
(it would count its own blobs otherwise). Both are keyed by the event's own hash: a redelivered event is found to be
there already.

The order of steps makes a crash harmless. An index entry without a body could never be retried, a body without an
entry is only litter, and so::

    put    body, then entry
    retry  deliver; taken: entry, then body     not understood: both stay, the entry gets the new reason
                                                outage: nothing changes
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared import telemetry
from shared.clock import to_iso
from shared.errors import Conflict
from shared.heads import ABSENT_CODES, error_code, translate
from shared.ports import Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from azure.storage.blob.aio import BlobServiceClient

    from shared.clock import Clock
    from shared.ports import Entity, Table

log = logging.getLogger(__name__)

PARTITION: Final = "quarantine"
MAX_REASON_CHARACTERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One entry of the index.

    Attributes:
        key: The event's SHA-256, hex; also the blob's name, with ".json".
        reason: Why it could not be counted.
        received_at: When it was first put here, ISO 8601.
        size_bytes: The body's size.
    """

    key: str
    reason: str
    received_at: str
    size_bytes: int


class Quarantine:
    """Keeps what was not understood.

    Args:
        table: Holds the index.
        service: Holds the bodies.
        container: The bodies' container; made when first needed.
        clock: For ``received_at``.
    """

    def __init__(self, table: Table, service: BlobServiceClient, container: str, clock: Clock) -> None:
        self._table = table
        self._container = service.get_container_client(container)
        self._clock = clock
        self._retried: dict[str, str | None] = {}  # keys of the events that retry() is delivering
        self.added = 0

    async def put(self, text: str, reason: str) -> str:
        """Keep an event and why it was not counted; body first, so that no index entry lacks its body.

        Returns:
            Its key.

        Raises:
            StorageError: It could not be kept: the delivery must fail, so that the event comes again.
        """
        body = text.encode(errors="surrogatepass")
        key = _key_of(body)
        if key in self._retried:  # it is here, and retry() asks whether it has to stay
            self._retried[key] = reason
            return key
        await self._upload(key, body)
        entry = Write(
            key,
            {
                "reason": _clean(reason),
                "received_at": to_iso(self._clock.now()),
                "size_bytes": len(body),
            },
            None,
        )
        try:
            await self._table.commit(PARTITION, [entry])
        except Conflict:
            return key  # a redelivery of what is here already
        self.added += 1
        telemetry.QUARANTINED.add(1)
        log.warning("event quarantined: %s", reason, extra={"quarantine_key": key})
        return key

    async def entries(self) -> AsyncIterator[Quarantined]:
        """Iterate over the index, in no meaningful order."""
        async for page in self._table.scan(PARTITION):
            for entity in page:
                yield _entry(entity)

    async def count(self) -> int:
        """Return how many events are kept."""
        return sum([len(page) async for page in self._table.scan(PARTITION, select=[])])

    async def find(self, start: str) -> list[Quarantined]:
        """Return the entries whose keys begin like this: no more than two, which is one too many."""
        exact = await self._table.read(PARTITION, start)
        if exact is not None:
            return [_entry(exact)]
        found: list[Quarantined] = []
        async for page in self._table.scan(PARTITION, after=start):  # in the order of the keys
            found += [_entry(entity) for entity in page if entity.row_key.startswith(start)]
            if len(found) > 1 or (page and not page[-1].row_key.startswith(start)):
                break
        return found[:2]

    async def body(self, key: str) -> bytes | None:
        """Return the event as it was delivered, or None when its body is gone."""
        found = await self._download(key)
        return found[0] if found is not None else None

    async def retry(self, key: str, deliver: Callable[[str], Awaitable[None]]) -> str | None:
        """Deliver a kept event again, and forget it when it was taken. Twice at once does no harm.

        Args:
            key: The entry's key.
            deliver: Takes the event (:meth:`shared.delivery.Delivery.take` of the same services); puts it here again
                when it is still not understood.

        Returns:
            None when it was taken, by this or another process; else why it stays.

        Raises:
            StorageError: An outage; it stays.
        """
        found = await self._download(key)
        if found is None:
            taken = await self._table.read(PARTITION, key) is None
            return None if taken else "its body is gone from the quarantine container: there is nothing to deliver"
        body, etag = found
        if _key_of(body) != key:
            return "its body is not the event that was kept: somebody has changed it"
        if key in self._retried:
            return "it is being retried already"
        self._retried[key] = None
        try:
            await deliver(body.decode(errors="surrogatepass"))
        finally:
            reason = self._retried.pop(key)
        if reason is not None:
            await self._note(key, _clean(reason))
            return reason
        await self._forget(key, etag)
        return None

    async def _note(self, key: str, reason: str) -> None:
        """Keep the newest reason."""
        entity = await self._table.read(PARTITION, key)
        if entity is None or entity.properties["reason"] == reason:
            return
        try:
            await self._table.commit(PARTITION, [Write(key, {**entity.properties, "reason": reason}, entity.etag)])
        except Conflict:
            log.info("another process has noted why %s stays", key)

    async def _forget(self, key: str, body_etag: str) -> None:
        """Drop the entry, then the body, unless the event has come again meanwhile and brought its body anew."""
        while (entity := await self._table.read(PARTITION, key)) is not None:
            try:
                await self._table.commit(PARTITION, [Write(key, None, entity.etag)])
            except Conflict:
                continue
            break
        try:
            await self._container.delete_blob(
                f"{key}.json", etag=body_etag, match_condition=MatchConditions.IfNotModified
            )
        except (ResourceNotFoundError, ResourceModifiedError):
            return
        except (AzureError, OSError, TimeoutError) as error:
            log.warning("the body of %s could not be deleted; nothing refers to it: %s", key, translate(error))

    async def _download(self, key: str) -> tuple[bytes, str] | None:
        """Return an event's body and its ETag, or None when there is none."""
        try:
            stream = await self._container.download_blob(f"{key}.json")
            return await stream.readall(), str(stream.properties.etag)
        except ResourceNotFoundError as error:
            if error_code(error) in ABSENT_CODES:
                return None
            raise translate(error) from error
        except (AzureError, OSError, TimeoutError) as error:
            raise translate(error) from error

    async def _upload(self, key: str, body: bytes) -> None:
        try:
            try:
                await self._container.upload_blob(f"{key}.json", body, overwrite=True)
            except AzureError as error:
                if getattr(error, "error_code", "") != "ContainerNotFound":
                    raise
                await self._make_container()
                await self._container.upload_blob(f"{key}.json", body, overwrite=True)
        except (AzureError, OSError, TimeoutError) as error:
            raise translate(error) from error

    async def _make_container(self) -> None:
        try:
            await self._container.create_container()
        except ResourceExistsError:
            return


def _key_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _clean(reason: str) -> str:
    return reason[:MAX_REASON_CHARACTERS].encode(errors="replace").decode()


def _entry(entity: Entity) -> Quarantined:
    found = entity.properties
    return Quarantined(entity.row_key, str(found["reason"]), str(found["received_at"]), int(found["size_bytes"]))
