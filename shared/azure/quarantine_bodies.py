"""The bodies of quarantined events that are too large for a row, or that a row may not take: one blob each.

In a container that no folder maps to: it would count its own blobs otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

from shared.azure.heads import ABSENT_CODES, error_code, translate

if TYPE_CHECKING:
    from datetime import datetime

    from azure.storage.blob.aio import BlobServiceClient

log = logging.getLogger(__name__)

#: Bodies on their way at a time, up to 1 MB each.
CONCURRENT_BODIES: Final = 8
_ONE_SECOND: Final = timedelta(seconds=1)


class BlobBodies:
    """The blobs of one container, which is made when first needed; each is named by its event's key.

    Args:
        service: The SDK's client; closed by whoever made it.
        container: The container's name.
    """

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._container = service.get_container_client(container)
        self._room = asyncio.Semaphore(CONCURRENT_BODIES)
        self._uploads: dict[str, asyncio.Task[None]] = {}

    async def put(self, key: str, text: str) -> None:
        """Keep a body; the same one, asked for by many at once, is sent once.

        Raises:
            StorageError: It could not be kept.
        """
        upload = self._uploads.get(key)
        if upload is None:
            upload = self._uploads[key] = asyncio.create_task(self._upload(key, text), name="quarantine body")
            upload.add_done_callback(lambda _: self._uploads.pop(key, None))
        await asyncio.shield(upload)

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a body and its ETag, or None when there is none."""
        try:
            stream = await self._container.download_blob(f"{key}.json")
            return await stream.readall(), str(stream.properties.etag)
        except (AzureError, OSError, TimeoutError) as error:
            if isinstance(error, ResourceNotFoundError) and error_code(error) in ABSENT_CODES:
                return None
            raise translate(error) from error

    async def remove(self, key: str, etag: str) -> None:
        """Delete a body to which nothing refers any more, unless it has come again."""
        await self._remove(key, etag=etag, match_condition=MatchConditions.IfNotModified)

    async def remove_older(self, key: str, than: datetime) -> None:
        """Delete a body, unless it has come again since then."""
        await self._remove(key, if_unmodified_since=than - _ONE_SECOND)  # Last-Modified has no fractions

    async def _remove(self, key: str, **condition: Any) -> None:
        try:
            async with self._room:
                await self._container.delete_blob(f"{key}.json", **condition)
        except (ResourceNotFoundError, ResourceModifiedError):
            return
        except (AzureError, OSError, TimeoutError) as error:
            log.warning("the body of %s could not be deleted; nothing refers to it: %s", key, translate(error))

    async def _upload(self, key: str, text: str) -> None:
        async with self._room:
            body = text.encode(errors="surrogatepass")
            try:
                try:
                    await self._container.upload_blob(f"{key}.json", body, overwrite=True)
                except ResourceNotFoundError as error:
                    if error_code(error) != "ContainerNotFound":
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
