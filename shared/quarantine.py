"""Where events go that cannot be counted: body to a blob, index to the table, nothing thrown away.

An event may be 1 MB and a table string only 64 KiB, so the body is a blob, in a container that no folder maps to
(it would count its own blobs otherwise). Both are keyed by the event's own hash: a redelivered event is found to be
there already.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError, ResourceExistsError

from shared.clock import to_iso
from shared.errors import Conflict
from shared.heads import translate
from shared.ports import Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.storage.blob.aio import BlobServiceClient

    from shared.clock import Clock
    from shared.ports import Table

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
        self.added = 0

    async def put(self, text: str, reason: str) -> str:
        """Keep an event and why it was not counted; body first, so that no index entry lacks its body.

        Returns:
            Its key.

        Raises:
            StorageError: It could not be kept: the delivery must fail, so that the event comes again.
        """
        body = text.encode(errors="surrogatepass")
        key = hashlib.sha256(body).hexdigest()
        await self._upload(key, body)
        entry = Write(
            key,
            {
                "reason": reason[:MAX_REASON_CHARACTERS].encode(errors="replace").decode(),
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
        log.warning("event quarantined: %s", reason, extra={"quarantine_key": key})
        return key

    async def entries(self) -> AsyncIterator[Quarantined]:
        """Iterate over the index, in no meaningful order."""
        async for page in self._table.scan(PARTITION):
            for entity in page:
                found = entity.properties
                yield Quarantined(
                    entity.row_key, str(found["reason"]), str(found["received_at"]), int(found["size_bytes"])
                )

    async def body(self, key: str) -> bytes:
        """Return the event as it was delivered."""
        try:
            stream = await self._container.download_blob(f"{key}.json")
            return await stream.readall()
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
