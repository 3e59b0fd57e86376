"""A detection pipeline on a flat storage account: upload, then twice copy and delete.

Between `queued`, `input` and `output` there is no rename: for a moment an image is in two places or in none.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from azure.storage.blob import ContentSettings

from localdev.demo_images import jpeg
from shared.model.folders import INPUT, OUTPUT, QUEUED

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob.aio import BlobClient, BlobServiceClient

    from shared.model.folders import FolderMap

DWELL_SECONDS: Final = (0.5, 2.5)  # how long an image stays in a folder: long enough to be seen there
COPY_POLL_SECONDS: Final = 0.1

_JPEG: Final = ContentSettings(content_type="image/jpeg")


class Pipeline:
    """Sends the images of one case through the folders.

    Args:
        service: The storage account, through the bridge that raises events.
        folders: Where the folders are.
        case: First part of the images' names.
        concurrency: How many storage operations may run at once.
    """

    def __init__(self, service: BlobServiceClient, folders: FolderMap, case: str, concurrency: int) -> None:
        self._service = service
        self._folders = folders
        self._case = case
        self._slots = asyncio.Semaphore(concurrency)
        self._rng = random.Random()

    async def run(self, images: int, rate: float, on_moved: Callable[[], None]) -> None:
        """Start `rate` images a second, as far as storage keeps up; return when all are in `output`.

        Args:
            images: How many.
            rate: Images a second.
            on_moved: Called for each image that has reached `output`.

        Raises:
            ExceptionGroup: Storage's errors; the other images stay where they are.
        """
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(images):
                await asyncio.sleep(started_at + number / rate - loop.time())
                async with self._slots:
                    pass  # start later, instead of queueing up, when storage does not keep up
                group.create_task(self._send(f"{self._case}/img-{number + 1:04}.jpg", on_moved))

    async def _send(self, name: str, on_moved: Callable[[], None]) -> None:
        data = await asyncio.to_thread(jpeg, name, self._rng)
        async with self._slots:
            await self._blob(QUEUED, name).upload_blob(data, content_settings=_JPEG)
        for source, target in ((QUEUED, INPUT), (INPUT, OUTPUT)):
            await asyncio.sleep(self._rng.uniform(*DWELL_SECONDS))
            async with self._slots:
                await _move(self._blob(source, name), self._blob(target, name))
        on_moved()

    def _blob(self, folder: str, name: str) -> BlobClient:
        location = self._folders.locations[folder]
        return self._service.get_blob_client(location.container, f"{location.prefix}{name}")


async def _move(source: BlobClient, target: BlobClient) -> None:
    status = (await target.start_copy_from_url(source.url))["copy_status"]
    while status == "pending":
        await asyncio.sleep(COPY_POLL_SECONDS)
        status = (await target.get_blob_properties()).copy.status or "unknown"
    await source.delete_blob()


async def listed(service: BlobServiceClient, folders: FolderMap) -> dict[str, int]:
    """Return how many images a listing finds in each folder, to compare the counts with."""
    found = dict.fromkeys(folders.locations, 0)
    for folder, location in folders.locations.items():
        container = service.get_container_client(location.container)
        async for name in container.list_blob_names(name_starts_with=location.prefix or None):
            found[folder] += folders.is_image(name)
    return found
