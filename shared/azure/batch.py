"""Entity group transactions, sent without the SDK's detour.

``TableClient.submit_transaction`` spends most of a commit's time in the standard library's ``email`` package, which it
builds a request of a hundred operations with, and reads the answer: 0.3 ms an operation, while storage waits. This is
the same call for the operations that the app makes, over azure-core's public pipeline and the client's own connections
and credential. What it returns and raises is the SDK's; both pass the same contract tests (tests/contract).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from azure.core import AsyncPipelineClient
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AzureSasCredentialPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest
from azure.data.tables import EntityProperty, TableTransactionError

from shared.azure.batch_format import Operation, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azure.core.pipeline import PipelineRequest
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import AsyncHttpResponse
    from azure.data.tables.aio import TableClient

#: https://learn.microsoft.com/azure/storage/tables/authorize-access-azure-active-directory
_SCOPE: Final = "https://storage.azure.com/.default"
_ACCEPTED: Final = 202
_TOO_LARGE: Final = 413


class Transactions:
    """Sends the transactions of one table.

    Args:
        client: The SDK's client of the table: says where it is and who asks.
        transport: The connections; opened and closed by whoever made them.
    """

    def __init__(self, client: TableClient, transport: AsyncHttpTransport[Any, Any]) -> None:
        self._url = client.url.rstrip("/")
        self._table_url = f"{self._url}/{client.table_name}"
        self._version = client.api_version
        policies = [UserAgentPolicy(), _authentication(client.credential)]
        self._pipeline: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
            self._url, policies=policies, transport=transport
        )

    async def submit_transaction(
        self, operations: Sequence[tuple[Any, ...]], *, retry_total: int = 0, read_timeout: float
    ) -> list[Mapping[str, Any]]:
        """Do all of the operations or none.

        Args:
            operations: ``("create", entity)``, ``("update", entity, {"etag": …})`` (replaces) or
                ``("delete", entity, {"etag": …})``, all of one partition.
            retry_total: 0: nothing is ever sent twice here.
            read_timeout: Seconds until an answer is given up.

        Returns:
            ``{"etag": …}`` of each; None after a deletion.

        Raises:
            TableTransactionError: An operation failed, and with it all.
            AzureError: As the SDK raises it.
            ValueError: The answer cannot be understood.
        """
        if retry_total:
            raise ValueError("a transaction is never sent twice: its first outcome would be unknown")
        boundary = str(uuid4())
        request = HttpRequest(
            "POST",
            f"{self._url}/$batch",
            headers={
                "x-ms-version": self._version,
                "x-ms-date": formatdate(usegmt=True),
                "DataServiceVersion": "3.0",
                "MaxDataServiceVersion": "3.0;NetFx",
                "Accept": "application/json",
                "Content-Type": f"multipart/mixed; boundary=batch_{boundary}",
            },
            content=encode((self._operation(*each) for each in operations), boundary),
        )
        response = await self._pipeline.send_request(request, read_timeout=read_timeout)
        body = await response.read()
        if response.status_code != _ACCEPTED:
            kind = TableTransactionError if response.status_code == _TOO_LARGE else HttpResponseError
            raise _failed(kind, response.status_code, body, response)
        results = decode(body)
        for each in results:
            if each.status >= 300:  # noqa: PLR2004 - the answer then holds this result only
                raise _failed(TableTransactionError, each.status, each.body, response)
        if len(results) != len(operations):
            raise ValueError(f"{len(operations)} operations were answered by {len(results)} results")
        return [{"etag": each.etag or None} for each in results]

    def _operation(self, kind: str, entity: Mapping[str, Any], condition: Mapping[str, Any] | None = None) -> Operation:
        if kind == "create":
            return Operation("POST", self._table_url, _json(entity))
        if condition is None or not condition.get("etag"):
            raise ValueError(f"{kind!r} without an ETag: every operation is conditional")
        keys = f"PartitionKey='{_key(entity['PartitionKey'])}',RowKey='{_key(entity['RowKey'])}'"
        url, etag = f"{self._table_url}({keys})", str(condition["etag"])
        if kind == "update":
            return Operation("PUT", url, _json(entity), etag)
        if kind == "delete":
            return Operation("DELETE", url, None, etag)
        raise ValueError(f"{kind!r} is no operation that the app makes")


class _SharedKey(SansIOHTTPPolicy[HttpRequest, Any]):
    """Signs with an account key: Azurite's, mostly.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key (Table service)
    """

    def __init__(self, credential: AzureNamedKeyCredential) -> None:
        self._credential = credential

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        """Add the signature."""
        name, key = self._credential.named_key
        sent = request.http_request
        resource = f"/{name}{urlsplit(sent.url).path}"
        text = "\n".join([str(sent.method), "", sent.headers["Content-Type"], sent.headers["x-ms-date"], resource])
        digest = hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)
        sent.headers["Authorization"] = f"SharedKey {name}:{base64.b64encode(digest).decode()}"


def _authentication(credential: Any) -> SansIOHTTPPolicy[Any, Any] | AsyncBearerTokenCredentialPolicy[Any, Any]:
    if isinstance(credential, AzureNamedKeyCredential):
        return _SharedKey(credential)
    if isinstance(credential, AzureSasCredential):
        return AzureSasCredentialPolicy(credential)
    return AsyncBearerTokenCredentialPolicy(credential, _SCOPE)


def _key(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")


def _json(entity: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return an entity as the service takes it: wide integers are strings with their type beside them."""
    properties: dict[str, str | bool] = {}
    for name, value in entity.items():
        if isinstance(value, EntityProperty):
            properties[name] = str(value.value)
            properties[f"{name}@odata.type"] = str(getattr(value.edm_type, "value", value.edm_type))
        else:
            properties[name] = value
    return properties


def _failed(kind: type[HttpResponseError], status: int, body: bytes, response: AsyncHttpResponse) -> HttpResponseError:
    """Return an error as the SDK makes it: with the status, the code and the message of what failed."""
    code, message = "", ""
    try:
        error = json.loads(body)["odata.error"]
        code, message = str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        message = f"Operation returned an invalid status '{status}'"  # no JSON, or not the service's
    failed = kind(message=message, response=response)
    failed.status_code = status
    failed.__dict__["error_code"] = code  # as the SDK adds it: the class does not declare it
    return failed
