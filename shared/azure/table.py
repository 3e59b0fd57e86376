"""Table Storage behind the :class:`shared.model.ports.Table` port.

The SDK's own retries are off for transactions: a retried ``$batch`` whose first answer was lost makes an outcome
that nobody can tell. What each answer means is in :mod:`shared.azure.table_errors`.

Transactions go by :mod:`shared.azure.batch`, which is the SDK's call without its detour; without it the SDK's own is
used. A write on its own goes as a request of its own, which takes storage half the time of a ``$batch`` with one
operation; a deletion does not, because the SDK takes 404 for success there.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, UpdateMode

from shared.azure.batch import TIMEOUT_SECONDS
from shared.azure.heads import AnswerDate
from shared.azure.table_errors import code_of, translated
from shared.errors import OutcomeUnknown, Rejected, TableAbsent
from shared.model.ports import Entity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from azure.data.tables.aio import TableClient

    from shared.azure.batch import Transactions
    from shared.model.ledger import Properties
    from shared.model.ports import PropertyRange, Write

log = logging.getLogger(__name__)


#: What an entity has besides its properties; the time dates what is read, and has to be selected like the rest.
_KEYS_AND_TIME: Final = ("PartitionKey", "RowKey", "Timestamp")


class AzureTable:
    """One table of the Table service (or of Azurite).

    Args:
        client: The SDK's client; closed by whoever made it.
        transactions: Sends transactions faster than the SDK's client does; None: the client sends them.
    """

    def __init__(self, client: TableClient, transactions: Transactions | None = None) -> None:
        self._client = client
        self._transactions = transactions or _SdkTransactions(client)
        self._is_ours = False

    async def create(self) -> None:
        """Make the table if there is none; from now on it is made anew whenever it is found to be gone.

        Raises:
            TableAbsent: It is being deleted, which takes the service 40 s or more.
        """
        await self._create()
        self._is_ours = True

    async def _create(self) -> bool:
        with translated():
            try:
                await self._client.create_table()
            except HttpResponseError as error:
                if code_of(error) != "TableAlreadyExists":  # a 409 is also that of a table which is being deleted
                    raise
                return False
        return True

    async def _make_anew(self, absent: TableAbsent) -> None:
        if not self._is_ours:
            raise absent
        if await self._create():
            log.error("the table %s was gone: it is made anew, and has to be reconciled", self._client.table_name)

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        """Make a table anew that is gone; then nothing that anybody remembers of it holds any more."""
        try:
            yield
        except TableAbsent as absent:
            await self._make_anew(absent)
            raise OutcomeUnknown(f"the table was gone and is made anew, empty: {absent}") from absent

    async def read(self, partition: str, row_key: str, select: Sequence[str] | None = None) -> Entity | None:
        """Read one entity, or None; of its properties all, or those selected that it has."""
        try:
            found = await self._find(partition, row_key, [*select, *_KEYS_AND_TIME] if select is not None else None)
        except TableAbsent as absent:
            await self._make_anew(absent)
            return None
        if found is not None and (found.row_key != row_key or not found.etag):
            raise OutcomeUnknown("Table Storage: the answer is not the entity that was asked for")
        return found

    async def _find(self, partition: str, row_key: str, select: list[str] | None) -> Entity | None:
        answer = AnswerDate()
        with translated():
            try:
                found = await self._client.get_entity(partition, row_key, select=select, raw_response_hook=answer.note)
                return entity_of(found, answer.date if answer.is_dated else None)
            except ResourceNotFoundError as error:
                if code_of(error) == "TableNotFound":
                    raise
                return None

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none."""
        async with self.there():
            if len(writes) == 1 and writes[0].properties is not None:
                with suppress(Rejected):  # by storage, or by something in between: inside a batch that is told apart
                    return [_required(await self._commit_alone(partition, writes[0]))]
            etags = await self._transactions.commit(partition, writes)
        pairs = zip(writes, etags, strict=True)
        return [_required(etag) if write.properties is not None else "" for write, etag in pairs]

    async def _commit_alone(self, partition: str, write: Write) -> object:
        _, entity, *condition = _operation(partition, write)
        send = self._client.create_entity if write.etag is None else self._client.update_entity
        with translated(is_one_write=True):
            answer = await send(entity, **dict(*condition), retry_total=0, read_timeout=TIMEOUT_SECONDS)
        return answer.get("etag")

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
        async with self.there():
            with translated():
                pages = self._client.query_entities(condition, parameters=values, select=columns).by_page()
                async for page in pages:
                    yield [entity_of(entity) async for entity in page]


class _SdkTransactions:
    """Sends transactions as the SDK does."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Any]:
        """Do all of the writes or none. Returns the ETags."""
        operations = [_operation(partition, write) for write in writes]
        with translated():
            results = await self._client.submit_transaction(operations, retry_total=0, read_timeout=TIMEOUT_SECONDS)
        return [result.get("etag") for result in results]


def _operation(partition: str, write: Write) -> tuple[Any, ...]:
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": write.row_key, **_typed(write.properties or {})}
    if write.etag is None:
        return ("create", entity)
    condition = {"etag": write.etag, "match_condition": MatchConditions.IfNotModified}
    if write.properties is None:
        return ("delete", entity, condition)
    return ("update", entity, {"mode": UpdateMode.MERGE if write.merges else UpdateMode.REPLACE, **condition})


def _required(etag: object) -> str:
    if not etag:
        raise OutcomeUnknown("Table Storage: a success without an ETag is no answer of the service")
    return str(etag)


def _typed(properties: Properties) -> dict[str, Any]:
    return {
        name: EntityProperty(value, EdmType.INT64) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in properties.items()
    }


def entity_of(found: Mapping[str, Any], read_at: datetime | None = None) -> Entity:
    """Return an entity as the SDK has read it."""
    properties: Properties = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in found.items()
        if name not in {"PartitionKey", "RowKey"} and value is not None  # null: selected, and not there
    }
    metadata: Mapping[str, Any] = getattr(found, "metadata", {})
    etag, written_at = str(metadata.get("etag", "")), metadata.get("timestamp")
    return Entity(str(found["RowKey"]), properties, etag, written_at, read_at, str(found["PartitionKey"]))
