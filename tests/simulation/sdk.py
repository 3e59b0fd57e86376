"""What the app's adapters use of the storage SDKs, over a table and blobs in memory.

The adapters themselves (``AzureTable``, ``BlobHeads``, ``BlobListing``) run unchanged: these clients
take the SDK's arguments and raise the SDK's exceptions. How a request gets to the service, and whether an answer
comes back, is the :class:`Wire`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.core.pipeline.policies import ContentDecodePolicy
from azure.data.tables import EdmType, EntityProperty, TableTransactionError, UpdateMode

from shared.errors import Conflict, ContainerAbsent, Rejected
from shared.model.ports import Entity, PropertyRange, Write
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_table import TableState

#: The SDK's pipelines send a POST again after these, unless they are told not to.
_RETRIED_STATUSES = {408, 429, 500, 502, 503, 504}
_DEFAULT_RETRIES = 3


class Wire(Protocol):
    """The way to the storage service and back."""

    async def call(self, what: str, execute: Callable[[], Any], timeout_seconds: float) -> Any:
        """Have the service execute a request, and return or raise its answer."""
        ...

    def date(self) -> datetime:
        """Return what a front end of the service writes into ``Date``."""
        ...

    def looked(self, path: str, date: datetime, *, present: bool) -> None:
        """Be told what a HEAD is answered."""
        ...

    def listed(self, container: str, names: list[str], date: datetime) -> None:
        """Be told what a page of a listing says."""
        ...


class DirectWire:
    """A way on which nothing is ever lost: for the contract tests."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.date = now
        self.looked = self.listed = lambda *_, **__: None

    async def call(self, what: str, execute: Callable[[], Any], timeout_seconds: float) -> Any:
        """Have the service execute a request."""
        del what, timeout_seconds
        await asyncio.sleep(0)
        return execute()


class SdkEntity(dict[str, Any]):
    """An entity as the SDK returns it."""

    metadata: Mapping[str, Any]


class Answer:
    """The parts of an HTTP answer that somebody reads."""

    def __init__(self, status: int, date: datetime | None = None, body: Element | None = None) -> None:
        self.status_code = status
        self.reason = str(status)
        self.headers = {"Date": format_datetime(date, usegmt=True)} if date is not None else {}
        self.http_response = self
        self.context = {ContentDecodePolicy.CONTEXT_NAME: body}

    def text(self) -> str:
        """Return the body."""
        return ""


def storage_error(
    status: int,
    code: str,
    kind: type[HttpResponseError] = HttpResponseError,
    *,
    index: int | None = None,
    date: datetime | None = None,
) -> HttpResponseError:
    """Return an exception as the SDK raises it for this answer."""
    message = code if index is None else f"{index}:{code}"
    error = kind(message=message, response=Answer(status, date))  # type: ignore[arg-type]
    error.error_code = code  # type: ignore[attr-defined]
    return error


class TableClient:
    """``azure.data.tables.aio.TableClient``, as far as the app uses it.

    Args:
        state: The table.
        wire: The way to it.
        page_size: Returns how many entities the next page of a scan has: the service splits where it likes.
        misleading: Called with the true index of what failed and the number of operations; returns the one reported.
    """

    def __init__(
        self,
        state: TableState,
        wire: Wire,
        page_size: Callable[[], int] = lambda: 1000,
        misleading: Callable[[int, int], int] = lambda index, _: index,
    ) -> None:
        self._state = state
        self._wire = wire
        self._page_size = page_size
        self._misleading = misleading
        self.max_operations = 100
        self.on_commit: Callable[[str, list[tuple[str, Entity | None, Mapping[str, Any] | None]]], None] = lambda *_: (
            None
        )

    async def create_table(self) -> None:
        """Make the table: it is there."""
        await self._wire.call("create table", lambda: None, 10)

    async def get_entity(
        self,
        partition: str,
        row_key: str,
        *,
        select: Sequence[str] | None = None,
        raw_response_hook: Callable[[Any], None] = lambda _: None,
    ) -> SdkEntity:
        """Read one entity."""

        def execute() -> tuple[SdkEntity, Answer]:
            found = self._state.find(partition, row_key)
            if found is None:
                raise storage_error(404, "ResourceNotFound", ResourceNotFoundError)
            return _as_read(partition, found, select), Answer(200, self._wire.date())

        found, answer = await self._wire.call("read", execute, 10)
        raw_response_hook(answer)
        return found  # type: ignore[no-any-return]

    async def submit_transaction(
        self, operations: Sequence[tuple[Any, ...]], *, retry_total: int = _DEFAULT_RETRIES, read_timeout: float = 60
    ) -> list[dict[str, Any]]:
        """Do all of it or nothing; sends it again where the SDK would."""
        return await self._commit(operations, retry_total, read_timeout, TableTransactionError)

    async def create_entity(
        self, entity: Mapping[str, Any], *, retry_total: int = _DEFAULT_RETRIES, read_timeout: float = 60
    ) -> dict[str, Any]:
        """Insert one entity."""
        (result,) = await self._commit([("create", entity)], retry_total, read_timeout, HttpResponseError)
        return result

    async def update_entity(
        self,
        entity: Mapping[str, Any],
        *,
        retry_total: int = _DEFAULT_RETRIES,
        read_timeout: float = 60,
        **condition: Any,
    ) -> dict[str, Any]:
        """Replace one entity, or merge into it."""
        (result,) = await self._commit([("update", entity, condition)], retry_total, read_timeout, HttpResponseError)
        return result

    async def _commit(
        self,
        operations: Sequence[tuple[Any, ...]],
        retry_total: int,
        read_timeout: float,
        kind: type[HttpResponseError],
    ) -> list[dict[str, Any]]:
        partition = str(operations[0][1]["PartitionKey"])
        writes = [_write(operation) for operation in operations]
        landed = self.on_landing()

        def execute() -> list[dict[str, Any]]:
            return self._execute(partition, writes, landed, kind)

        while True:
            try:
                results: list[dict[str, Any]] = await self._wire.call("commit", execute, read_timeout)
            except (HttpResponseError, ServiceRequestError) as error:
                is_retried = isinstance(error, ServiceRequestError) or error.status_code in _RETRIED_STATUSES
                if not is_retried or retry_total <= 0:
                    raise
                retry_total -= 1
            else:
                return results

    def on_landing(self) -> Callable[[], None]:
        """Return what is to be told when the transaction that now begins takes effect."""
        return lambda: None

    def query_entities(
        self, condition: str, parameters: Mapping[str, str], select: Sequence[str] | None = None, **_: Any
    ) -> _Pages:
        """Scan a partition, from a key on, within a range of a property."""
        within = None
        if "low" in parameters:
            name = condition.rpartition(" ge @low")[0].rpartition(" ")[2]
            within = PropertyRange(name, parameters["low"], parameters["high"])
        names = [name for name in select if name not in {"PartitionKey", "RowKey"}] if select is not None else None
        partition = parameters["partition"]

        async def pages() -> AsyncIterator[list[SdkEntity]]:
            after = parameters.get("after", "")
            while True:
                read = partial(self._state.page, partition, after, self._page_size(), names, within)
                page, after = await self._wire.call("scan", read, 10)
                if not after:
                    return
                yield [_as_read(partition, entity) for entity in page]

        return _Pages(pages())

    def list_entities(self, *, raw_response_hook: Callable[[Any], None], **_: Any) -> _Everything:
        """Scan all partitions."""

        async def page(begin: int) -> tuple[list[SdkEntity], int]:
            size = self._page_size()

            def execute() -> tuple[list[SdkEntity], int, Answer]:
                found = [_as_read(*each) for each in self._state.everything()]
                end = begin + size
                return found[begin:end], end if end < len(found) else 0, Answer(200, self._wire.date())

            found, end, answer = await self._wire.call("scan", execute, 10)
            raw_response_hook(answer)
            return found, end

        return _Everything(page)

    def _execute(
        self,
        partition: str,
        writes: list[Write | _Unconditional],
        landed: Callable[[], None],
        kind: type[HttpResponseError],
    ) -> Any:
        if len(writes) > self.max_operations:
            raise storage_error(413, "RequestBodyTooLarge", kind, index=0)
        wanted = [self._conditional(partition, write) for write in writes]
        for index, write in enumerate(wanted):
            if "poison" in str((write.properties or {}).get("path", "")):
                raise storage_error(400, "InvalidInput", kind, index=self._misleading(index, len(writes)))
        before = [self._state.find(partition, write.row_key) for write in wanted]
        try:
            etags = self._state.apply(partition, wanted)
        except Conflict as conflict:
            write, found = wanted[conflict.index], before[conflict.index]
            index = self._misleading(conflict.index, len(writes))
            if write.etag is None:
                raise storage_error(409, "EntityAlreadyExists", kind, index=index) from None
            if found is None:
                raise storage_error(404, "ResourceNotFound", kind, index=index) from None
            raise storage_error(412, "UpdateConditionNotSatisfied", kind, index=index) from None
        except Rejected as rejected:
            raise storage_error(400, str(rejected), kind, index=rejected.index) from None
        landed()
        self.on_commit(
            partition, [(write.row_key, old, write.over(old)) for write, old in zip(wanted, before, strict=True)]
        )
        return [{"etag": etag} for etag in etags]

    def _conditional(self, partition: str, write: Write | _Unconditional) -> Write:
        if isinstance(write, Write):
            return write
        found = self._state.find(partition, write.row_key)
        return Write(write.row_key, write.properties, found.etag if found else None)


class _Unconditional:
    """A write without a condition: what an upsert is."""

    def __init__(self, row_key: str, properties: dict[str, Any] | None) -> None:
        self.row_key = row_key
        self.properties = properties


class _Everything:
    """What ``list_entities`` returns."""

    def __init__(self, page: Callable[[int], Awaitable[tuple[list[SdkEntity], int]]]) -> None:
        self._page = page
        self.continuation_token: dict[str, str] | None = None

    def by_page(self, token: dict[str, str] | None) -> _Everything:
        """Iterate over the pages, from a token on."""
        self.continuation_token = token
        return self

    async def __aiter__(self) -> AsyncIterator[AsyncIterator[SdkEntity]]:
        """Iterate over the pages."""
        while True:
            found, end = await self._page(int((self.continuation_token or {}).get("PartitionKey", 0)))
            self.continuation_token = {"PartitionKey": str(end)} if end else None
            yield _each(found)
            if not end:
                return


class _Pages:
    """What ``query_entities`` returns."""

    def __init__(self, pages: AsyncIterator[list[SdkEntity]]) -> None:
        self._pages = pages

    async def by_page(self) -> AsyncIterator[AsyncIterator[SdkEntity]]:
        """Iterate over the pages."""
        async for page in self._pages:
            yield _each(page)


async def _each(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _write(operation: tuple[Any, ...]) -> Write | _Unconditional:
    kind, entity = operation[0], operation[1]
    properties = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in entity.items()
        if name not in {"PartitionKey", "RowKey"}
    }
    key = str(entity["RowKey"])
    if kind == "create":
        return Write(key, properties, None)
    etag = operation[2].get("etag") if len(operation) > 2 else None
    wanted = None if kind == "delete" else properties
    if kind == "upsert" or etag is None or operation[2].get("match_condition") is None:
        return _Unconditional(key, wanted)
    merges = kind == "update" and operation[2].get("mode", UpdateMode.MERGE) == UpdateMode.MERGE
    return Write(key, wanted, etag, merges)


def _as_read(partition: str, found: Entity, select: Sequence[str] | None = None) -> SdkEntity:
    """Return what the SDK makes of an entity; what is selected and not there is null."""
    entity = SdkEntity(PartitionKey=partition, RowKey=found.row_key)
    for name, value in found.properties.items():
        wide = isinstance(value, int) and not isinstance(value, bool)
        entity[name] = EntityProperty(value, EdmType.INT64) if wide else value
    if select is not None:
        entity = SdkEntity({name: entity.get(name) for name in select if name != "Timestamp"})
    is_dated = select is None or "Timestamp" in select
    entity.metadata = {"etag": found.etag, "timestamp": found.written_at if is_dated else None}
    return entity


class BlobService:
    """``azure.storage.blob.aio.BlobServiceClient``, as far as the app uses it.

    Args:
        blobs: The storage account.
        wire: The way to it.
    """

    def __init__(self, blobs: MemoryBlobs, wire: Wire) -> None:
        self._blobs = blobs
        self._wire = wire

    def get_blob_client(self, container: str, name: str) -> _BlobClient:
        """Return the client of one blob."""
        return _BlobClient(self._blobs, self._wire, container, name)

    def get_container_client(self, container: str) -> _ContainerClient:
        """Return the client of one container."""
        return _ContainerClient(self._blobs, self._wire, container)


class _Properties:
    blob_type = "BlockBlob"

    def __init__(self, etag: str, last_modified: datetime) -> None:
        self.etag = etag
        self.last_modified = last_modified
        self.metadata: dict[str, str] = {}


class _BlobClient:
    def __init__(self, blobs: MemoryBlobs, wire: Wire, container: str, name: str) -> None:
        self._blobs, self._wire, self._container, self._name = blobs, wire, container, name

    async def get_blob_properties(self, raw_response_hook: Callable[[Any], None]) -> _Properties:
        """HEAD the blob."""

        def execute() -> tuple[tuple[str, datetime], Answer]:
            date = self._wire.date()
            self._blobs.heads += 1
            path = f"{self._container}/{self._name}"
            found = self._blobs.blobs.get(path)
            self._wire.looked(path, date, present=found is not None)
            if found is None:
                gone = self._container in self._blobs.absent_containers
                code = "ContainerNotFound" if gone else "BlobNotFound"
                raise storage_error(404, code, ResourceNotFoundError, date=date)
            return found, Answer(200, date)

        (etag, modified), answer = await self._wire.call("head", execute, 10)
        raw_response_hook(answer)
        return _Properties(etag, modified.replace(microsecond=0))


class _ContainerClient:
    def __init__(self, blobs: MemoryBlobs, wire: Wire, container: str) -> None:
        self._blobs, self._wire, self._container = blobs, wire, container
        self._kept = blobs.kept

    def list_blob_names(
        self, *, name_starts_with: str | None, raw_response_hook: Callable[[Any], None], **_: Any
    ) -> _Names:
        """List names."""
        return _Names(self._blobs, self._wire, self._container, name_starts_with or "", raw_response_hook)

    async def create_container(self) -> None:
        """Make the container."""
        await self._wire.call("quarantine", lambda: self._kept.setdefault(self._container, {}), 10)

    async def upload_blob(self, name: str, data: bytes, *, overwrite: bool = False, **_: Any) -> None:
        """Write a blob of the app's own."""

        def execute() -> None:
            if self._container not in self._kept:
                raise storage_error(404, "ContainerNotFound", ResourceNotFoundError)
            if not overwrite and name in self._kept[self._container]:
                raise storage_error(409, "BlobAlreadyExists", ResourceExistsError)
            self._blobs.writes += 1
            self._kept[self._container][name] = (bytes(data), str(self._blobs.writes))

        await self._wire.call("quarantine", execute, 10)

    async def download_blob(self, name: str, **_: Any) -> _Download:
        """Read a blob of the app's own."""

        def execute() -> _Download:
            found = self._kept.get(self._container, {}).get(name)
            if found is None:
                code = "BlobNotFound" if self._container in self._kept else "ContainerNotFound"
                raise storage_error(404, code, ResourceNotFoundError)
            return _Download(*found)

        found: _Download = await self._wire.call("quarantine", execute, 10)
        return found

    async def delete_blob(self, name: str, *, etag: str | None = None, **_: Any) -> None:
        """Delete a blob of the app's own."""

        def execute() -> None:
            found = self._kept.get(self._container, {}).get(name)
            if found is None:
                raise storage_error(404, "BlobNotFound", ResourceNotFoundError)
            if etag is not None and found[1] != etag:
                raise storage_error(412, "ConditionNotMet", ResourceModifiedError)
            del self._kept[self._container][name]

        await self._wire.call("quarantine", execute, 10)


class _Download:
    def __init__(self, data: bytes, etag: str) -> None:
        self._data = data
        self.properties = _Properties(etag, datetime.now(UTC))

    async def readall(self) -> bytes:
        """Return all of it."""
        return self._data


class _Names:
    """What ``list_blob_names`` returns; also its own page iterator, as the SDK's is."""

    def __init__(
        self, blobs: MemoryBlobs, wire: Wire, container: str, prefix: str, hook: Callable[[Any], None]
    ) -> None:
        self._blobs, self._wire, self._container, self._prefix, self._hook = blobs, wire, container, prefix, hook
        self.continuation_token: str | None = None
        self._is_over = False

    def by_page(self, continuation_token: str | None = None) -> _Names:
        """Begin after a token."""
        self.continuation_token = continuation_token
        return self

    def __aiter__(self) -> _Names:
        return self

    async def __anext__(self) -> AsyncIterator[str]:
        if self._is_over:
            raise StopAsyncIteration

        def execute() -> tuple[list[str], str, Answer]:
            date = self._wire.date()
            try:
                names, token = self._blobs.list_page(self._container, self._prefix, self.continuation_token or "")
            except ContainerAbsent:
                raise storage_error(404, "ContainerNotFound", ResourceNotFoundError, date=date) from None
            self._wire.listed(self._container, names, date)
            return names, token, Answer(200, date, _page(names))

        names, token, answer = await self._wire.call("list", execute, 10)  # the names stand in the answer
        self._hook(answer)
        self.continuation_token = token or None
        self._is_over = not token
        return _each(names)


def _page(names: list[str]) -> Element:
    """Return a page of a listing as the service writes it: what XML cannot hold is percent-encoded, and marked."""
    page = Element("EnumerationResults")
    blobs = SubElement(page, "Blobs")
    for name in names:
        written = SubElement(SubElement(blobs, "Blob"), "Name")
        cannot_be_held = any(ord(character) < 0x20 or ord(character) >= 0xFFFE for character in name)
        written.text = quote(name, safe="") if cannot_be_held else name
        if cannot_be_held:
            written.set("Encoded", "true")
    return page
