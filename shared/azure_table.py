"""Table Storage behind the :class:`shared.ports.Table` port.

The SDK's own retries are off for transactions: a retried ``$batch`` whose first answer was lost makes an outcome
that nobody can tell. Only a decoded 4xx is a known outcome; everything else, also what azure-core calls "never
sent" (it says so of a server that hung up on a reused connection), is :class:`OutcomeUnknown`.

Transactions go by :mod:`shared.transactions`, which is the SDK's call without its detour; without it the SDK's own is
used. A write on its own goes as a request of its own, which takes storage half the time of a ``$batch`` with one
operation; a deletion does not, because the SDK takes 404 for success there.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableTransactionError, UpdateMode

from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError
from shared.ports import Entity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from azure.data.tables.aio import TableClient

    from shared.ledger import Properties
    from shared.ports import PropertyRange, Write
    from shared.transactions import Transactions

#: What answers of storage mean for a transaction, by status; other 4xx are :class:`Refused`.
_CONFLICTS: Final = {404, 409, 412}
_REJECTIONS: Final = {400, 413}
_TIMEOUT_SECONDS: Final = 10
_NONE: Final[Mapping[str, Any]] = {}


class AzureTable:
    """One table of the Table service (or of Azurite).

    Args:
        client: The SDK's client; closed by whoever made it.
        transactions: Sends transactions faster than the SDK's client does; None: the client sends them.
    """

    def __init__(self, client: TableClient, transactions: Transactions | None = None) -> None:
        self._client = client
        self._transactions = transactions or client

    async def create(self) -> None:
        """Make the table if there is none."""
        async with _translated():
            try:
                await self._client.create_table()
            except HttpResponseError as error:
                if error.status_code != 409:  # noqa: PLR2004 - it is there already
                    raise

    async def read(self, partition: str, row_key: str) -> Entity | None:
        """Read one entity, or None."""
        async with _translated():
            try:
                return _entity(await self._client.get_entity(partition, row_key))
            except ResourceNotFoundError as error:
                if _code(error) == "TableNotFound":
                    raise
                return None

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        operations = [_operation(partition, write) for write in writes]
        if len(writes) == 1 and writes[0].properties is not None:
            with suppress(Rejected):  # by storage, or by something in between: inside a batch that can be told apart
                return [_etag(await self._commit_alone(*operations[0]))]
        async with _translated():
            results = await self._transactions.submit_transaction(
                operations, retry_total=0, read_timeout=_TIMEOUT_SECONDS
            )
        return [_etag(result) for result in results]

    async def _commit_alone(self, kind: str, entity: dict[str, Any], condition: Mapping[str, Any] = _NONE) -> Any:
        write = self._client.create_entity if kind == "create" else self._client.update_entity
        async with _translated(is_one_write=True):
            return await write(entity, **condition, retry_total=0, read_timeout=_TIMEOUT_SECONDS)

    async def scan(
        self,
        partition: str,
        select: Sequence[str] | None = None,
        *,
        after: str = "",
        within: PropertyRange | None = None,
    ) -> AsyncIterator[list[Entity]]:
        """Iterate over a partition, page by page."""
        columns = ["PartitionKey", "RowKey", *select] if select is not None else None
        condition = "PartitionKey eq @partition and RowKey gt @after"
        values = {"partition": partition, "after": after}
        if within is not None:
            condition += f" and {within.name} ge @low and {within.name} lt @high"
            values |= {"low": within.low, "high": within.high}
        async with _translated():
            pages = self._client.query_entities(condition, parameters=values, select=columns).by_page()
            async for page in pages:
                yield [_entity(entity) async for entity in page]


def _operation(partition: str, write: Write) -> tuple[Any, ...]:
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": write.row_key, **_typed(write.properties or {})}
    if write.etag is None:
        return ("create", entity)
    condition = {"etag": write.etag, "match_condition": MatchConditions.IfNotModified}
    if write.properties is None:
        return ("delete", entity, condition)
    return ("update", entity, {"mode": UpdateMode.REPLACE, **condition})


def _etag(result: Mapping[str, Any]) -> str:
    return str(result.get("etag") or "")


def _typed(properties: Properties) -> dict[str, Any]:
    return {
        name: EntityProperty(value, EdmType.INT64) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in properties.items()
    }


def _entity(found: Mapping[str, Any]) -> Entity:
    properties: Properties = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in found.items()
        if name not in {"PartitionKey", "RowKey"}
    }
    metadata: Mapping[str, Any] = getattr(found, "metadata", {})
    return Entity(str(found["RowKey"]), properties, str(metadata.get("etag", "")), metadata.get("timestamp"))


@asynccontextmanager
async def _translated(*, is_one_write: bool = False) -> AsyncIterator[None]:
    """Turn the SDK's exceptions into the app's."""
    try:
        yield
    except AzureError as error:
        raise _translate(error, is_one_write=is_one_write) from error
    except (OSError, TimeoutError, ValueError) as error:
        # A cut connection in the middle of an answer, or an answer that cannot be decoded.
        raise OutcomeUnknown(f"no usable answer from Table Storage: {error}") from error


def _translate(error: AzureError, *, is_one_write: bool) -> StorageError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    message = str(error.message).partition("\n")[0]
    if status is None or not 400 <= status < 500 or status in {408, 429}:  # noqa: PLR2004
        return OutcomeUnknown(f"Table Storage: {message}")
    if is_one_write or isinstance(error, TableTransactionError):
        index = getattr(error, "index", 0)
        if status in _CONFLICTS and _code(error) != "TableNotFound":
            return Conflict(message, index)
        if status in _REJECTIONS:
            return Rejected(f"Table Storage answered {status} {_code(error)}: {message}", index)
    return Refused(f"Table Storage answered {status} {_code(error)}: {message}", status)


def _code(error: AzureError) -> str:
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")
