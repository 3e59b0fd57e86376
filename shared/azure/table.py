"""Table Storage behind the :class:`shared.model.ports.Table` port.

The SDK's own retries are off for transactions: a retried ``$batch`` whose first answer was lost makes an outcome
that nobody can tell. Only a 4xx with an error code of the service is a known outcome. Everything else is
:class:`OutcomeUnknown`: what azure-core calls "never sent" (it says so of a server that hung up on a reused
connection), an answer that cannot be understood, and the error page of something in between.

Transactions go by :mod:`shared.azure.batch`, which is the SDK's call without its detour; without it the SDK's own is
used. A write on its own goes as a request of its own, which takes storage half the time of a ``$batch`` with one
operation; a deletion does not, because the SDK takes 404 for success there.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableTransactionError, UpdateMode

from shared.azure.heads import AnswerDate
from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError, TableAbsent
from shared.model.ports import Entity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from azure.data.tables.aio import TableClient

    from shared.azure.batch import Transactions
    from shared.model.ledger import Properties
    from shared.model.ports import PropertyRange, Write

log = logging.getLogger(__name__)

#: What answers of storage mean for a transaction, by status; other 4xx are :class:`Refused`.
_CONFLICTS: Final = {404, 409, 412}
_TOO_LARGE: Final = 413
_REJECTIONS: Final = {400, _TOO_LARGE}
#: These speak of the table, not of a row: https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
_TABLE_CODES: Final = {"TableNotFound", "TableBeingDeleted"}
_SERVICE_CODE: Final = re.compile(r"[A-Z][A-Za-z0-9]{2,}")
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
        self._is_ours = False

    async def create(self) -> None:
        """Make the table if there is none; from now on it is made anew whenever it is found to be gone.

        Raises:
            TableAbsent: It is being deleted, which takes the service 40 s or more.
        """
        await self._create()
        self._is_ours = True

    async def _create(self) -> bool:
        async with translated():
            try:
                await self._client.create_table()
            except HttpResponseError as error:
                if _code(error) != "TableAlreadyExists":  # a 409 is also that of a table which is being deleted
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

    async def read(self, partition: str, row_key: str) -> Entity | None:
        """Read one entity, or None."""
        try:
            found = await self._find(partition, row_key)
        except TableAbsent as absent:
            await self._make_anew(absent)
            return None
        if found is not None and (found.row_key != row_key or not found.etag):
            raise OutcomeUnknown("Table Storage: the answer is not the entity that was asked for")
        return found

    async def _find(self, partition: str, row_key: str) -> Entity | None:
        answer = AnswerDate()
        async with translated():
            try:
                found = await self._client.get_entity(partition, row_key, raw_response_hook=answer.note)
                return entity_of(found, answer.date if answer.is_dated else None)
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
        async with self.there(), translated():
            results = await self._transactions.submit_transaction(
                operations, retry_total=0, read_timeout=_TIMEOUT_SECONDS
            )
        return [
            _etag(result) if write.properties is not None else "" for write, result in zip(writes, results, strict=True)
        ]

    async def _commit_alone(self, kind: str, entity: dict[str, Any], condition: Mapping[str, Any] = _NONE) -> Any:
        write = self._client.create_entity if kind == "create" else self._client.update_entity
        async with self.there(), translated(is_one_write=True):
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
        async with self.there(), translated():
            pages = self._client.query_entities(condition, parameters=values, select=columns).by_page()
            async for page in pages:
                yield [entity_of(entity) async for entity in page]


def _operation(partition: str, write: Write) -> tuple[Any, ...]:
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": write.row_key, **_typed(write.properties or {})}
    if write.etag is None:
        return ("create", entity)
    condition = {"etag": write.etag, "match_condition": MatchConditions.IfNotModified}
    if write.properties is None:
        return ("delete", entity, condition)
    return ("update", entity, {"mode": UpdateMode.REPLACE, **condition})


def _etag(result: Mapping[str, Any]) -> str:
    if not result.get("etag"):
        raise OutcomeUnknown("Table Storage: a success without an ETag is no answer of the service")
    return str(result["etag"])


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
        if name not in {"PartitionKey", "RowKey"}
    }
    metadata: Mapping[str, Any] = getattr(found, "metadata", {})
    etag, written_at = str(metadata.get("etag", "")), metadata.get("timestamp")
    return Entity(str(found["RowKey"]), properties, etag, written_at, read_at, str(found["PartitionKey"]))


@asynccontextmanager
async def translated(*, is_one_write: bool = False) -> AsyncIterator[None]:
    """Turn the SDK's exceptions into the app's."""
    try:
        yield
    except StorageError:
        raise
    except AzureError as error:
        raise _translate(error, is_one_write=is_one_write) from error
    except Exception as error:
        # A connection cut in the middle, or an answer that cannot be decoded: the SDK lets the exceptions of every
        # decoder through, zlib's and the XML parser's among them. None of them says what storage has done.
        raise OutcomeUnknown(f"no usable answer from Table Storage: {type(error).__name__}: {error}") from error


def _translate(error: AzureError, *, is_one_write: bool) -> StorageError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    text, code = str(error.message).partition("\n")[0], _code(error)
    message = f"Table Storage answered {status} {code}: {text}" if status is not None else f"Table Storage: {text}"
    if status is None or not 400 <= status < 500 or status in {408, 429}:  # noqa: PLR2004
        return OutcomeUnknown(message, _retry_after(error))
    is_commit = is_one_write or isinstance(error, TableTransactionError)
    if not code:
        message = f"something between the app and Table Storage answered {status}"
        return Rejected(message, by_service=False) if is_commit and status == _TOO_LARGE else OutcomeUnknown(message)
    if is_commit:
        index = getattr(error, "index", 0)
        if status in _CONFLICTS and code not in _TABLE_CODES:
            return Conflict(message, index)
        if status in _REJECTIONS:
            return Rejected(message, index)
    return (TableAbsent if code in _TABLE_CODES else Refused)(message, status, code)


def _retry_after(error: AzureError) -> float:
    """Return the seconds that a busy service asks for; it gives no dates.

    https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
    """
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    text = str(headers.get("Retry-After") or "")
    return float(text) if text.isdecimal() else 0.0


def _code(error: AzureError) -> str:
    """Return the service's error code; "" where the answer has none, which is then no answer of the service."""
    code = getattr(error, "error_code", None)
    if code is None and isinstance(error, HttpResponseError) and error.response is not None:
        code = _code_in(error.response)  # the SDK's create_entity raises what it has not decoded
    text = str(getattr(code, "value", code) or "")
    return text if _SERVICE_CODE.fullmatch(text) else ""  # the SDK also takes any tag of a page that has "code" in it


def _code_in(response: Any) -> object:
    try:
        return response.headers.get("x-ms-error-code") or json.loads(response.text())["odata.error"]["code"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # no JSON, or not the service's
