"""Clients that upload, move, overwrite and delete images, and do not give up while storage is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event, Lock

from azure.core.exceptions import AzureError, ResourceNotFoundError

from localdev.testbed import FOLDERS, Stack

CLIENTS = 8
PATIENCE_SECONDS = 200
RETRY_SECONDS = 0.1


class Load:
    """What the clients do: every image is uploaded; one in two goes on through the folders, some of them to the end.

    Args:
        stack: Through whose bridge.
        images: How many.
        seed: Which of them move, are overwritten, or go.
        pause_seconds: Between an image and the client's next.
    """

    def __init__(self, stack: Stack, images: int, seed: int, pause_seconds: float = 0.0) -> None:
        # The SDK's own retries wait for minutes; ours ask again until it works.
        self._containers = {folder: stack.blobs(retry_total=0).get_container_client(folder) for folder in FOLDERS}
        self._images = images
        self._seed = seed
        self._pause = pause_seconds
        self._lock = Lock()
        self._stopped = Event()
        self.operations = 0
        self.retries = 0
        self.ended_at = 0.0
        self._where: dict[int, str] = {}

    @property
    def uploaded(self) -> int:
        """How many images have been through all that happens to them."""
        return len(self._where)

    @property
    def is_stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopped.is_set()

    @property
    def expected(self) -> tuple[int, ...]:
        """The counts when every event has arrived."""
        places = list(self._where.values())
        return tuple(places.count(folder) for folder in FOLDERS)

    def run(self) -> None:
        """Do it all, with several clients at once; ends early after :meth:`stop`."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._image, range(self._images)))
        self.ended_at = time.monotonic()

    def stop(self) -> None:
        """Begin no more images."""
        self._stopped.set()

    def _image(self, number: int) -> None:
        if self._stopped.is_set():
            return
        name, random = f"{number % 7}/{number}.jpg", Random(self._seed + number)
        self._upload("queued", name)
        if random.random() < 0.2:
            self._upload("queued", name)
        place = "queued"
        for after in ("input", "output", ""):
            if random.random() < 0.5:
                break
            self._move(name, place, after)
            place = after
        with self._lock:
            self._where[number] = place
        self._stopped.wait(self._pause)

    def _upload(self, folder: str, name: str) -> None:
        self._until_done(lambda: self._containers[folder].upload_blob(name, b"x", overwrite=True))

    def _move(self, name: str, source: str, target: str) -> None:
        """Copy and delete, as on an account without a hierarchical namespace; to nowhere is a deletion."""
        blob = self._containers[source].get_blob_client(name)
        if target:
            copy = self._containers[target].get_blob_client(name)
            self._until_done(lambda: copy.start_copy_from_url(blob.url))
        self._until_done(blob.delete_blob)

    def _until_done(self, operation: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                operation()
            except ResourceNotFoundError:
                return  # a deletion whose first answer was lost
            except AzureError:
                if time.monotonic() > deadline or self._stopped.is_set():
                    raise
                with self._lock:
                    self.retries += 1
                self._stopped.wait(RETRY_SECONDS)
            else:
                with self._lock:
                    self.operations += 1
                return
