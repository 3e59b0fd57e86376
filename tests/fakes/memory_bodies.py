"""The container of the quarantine's bodies in memory: what the app asks of ``azure.storage.blob.aio`` for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError


def storage_error(kind: type[HttpResponseError], status: int, code: str) -> HttpResponseError:
    """Return an error as the SDK raises it."""
    error = kind(code)
    error.status_code, error.error_code = status, code
    return error


class MemoryBodies:
    """A ``BlobServiceClient`` and its one container, which is not there at first.

    Attributes:
        blobs: Name → ETag and body; None while there is no container.
        calls: What was asked for, in order.
        fault: Called with each operation; raises what goes wrong with it.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[str, bytes]] | None = None
        self.calls: list[str] = []
        self.fault: Callable[[str], None] = lambda _: None
        self._etags = itertools.count(1)

    def get_container_client(self, name: str) -> MemoryBodies:
        """Return the container."""
        del name
        return self

    async def create_container(self) -> None:
        """Make the container."""
        self._begin("create container")
        if self.blobs is not None:
            raise storage_error(ResourceExistsError, 409, "ContainerAlreadyExists")
        self.blobs = {}

    async def upload_blob(self, name: str, body: bytes, *, overwrite: bool) -> None:
        """Write a blob."""
        blobs = self._begin("upload")
        if not overwrite and name in blobs:
            raise storage_error(ResourceExistsError, 409, "BlobAlreadyExists")
        blobs[name] = (f"0x{next(self._etags)}", body)

    async def download_blob(self, name: str) -> SimpleNamespace:
        """Begin to read a blob."""
        etag, body = self._found("download", name)

        async def readall() -> bytes:
            return body

        return SimpleNamespace(readall=readall, properties=SimpleNamespace(etag=etag))

    async def delete_blob(self, name: str, *, etag: str, match_condition: MatchConditions) -> None:
        """Delete a blob as it was read."""
        assert match_condition is MatchConditions.IfNotModified
        if self._found("delete", name)[0] != etag:
            raise storage_error(ResourceModifiedError, 412, "ConditionNotMet")
        del self._begin("")[name]

    def _found(self, operation: str, name: str) -> tuple[str, bytes]:
        blobs = self._begin(operation)
        if name not in blobs:
            raise storage_error(ResourceNotFoundError, 404, "BlobNotFound")
        return blobs[name]

    def _begin(self, operation: str) -> dict[str, tuple[str, bytes]]:
        if operation:
            self.calls.append(operation)
            self.fault(operation)
        if self.blobs is None and operation != "create container":
            raise storage_error(ResourceNotFoundError, 404, "ContainerNotFound")
        return {} if self.blobs is None else self.blobs
