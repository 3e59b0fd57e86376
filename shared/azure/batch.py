"""Entity group transactions, sent without the SDK's detour.

``TableClient.submit_transaction`` spends most of a commit's time in the standard library's ``email`` package, which it
builds a request of a hundred operations with, and reads the answer: 0.3 ms an operation, while storage waits. This is
the same call for the operations that the app makes, over azure-core's public pipeline and the client's own connections
and credential. Table and errors are the app's; both ways pass the same contract tests (tests/contract).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from azure.core import AsyncPipelineClient
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AzureSasCredentialPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from shared.azure.batch_format import decode, encode
from shared.azure.table_errors import TOO_LARGE, code_and_text, failure, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.core.pipeline import PipelineRequest
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import AsyncHttpResponse
    from azure.data.tables.aio import TableClient

    from shared.model.ports import Write

#: https://learn.microsoft.com/azure/storage/tables/authorize-access-azure-active-directory
_SCOPE: Final = "https://storage.azure.com/.default"
_ACCEPTED: Final = 202
#: Until an answer of the table is given up.
TIMEOUT_SECONDS: Final = 10


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

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Do all of the writes or none; nothing is ever sent twice.

        Returns:
            The ETags; "" for a deletion.

        Raises:
            StorageError: As :class:`shared.model.ports.Table` says.
        """
        with translated():
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
                content=encode(self._table_url, partition, writes, boundary),
            )
            response = await self._pipeline.send_request(request, read_timeout=TIMEOUT_SECONDS)
            body = await response.read()
            if response.status_code != _ACCEPTED:
                index = 0 if response.status_code == TOO_LARGE else None
                raise failure(response.status_code, *code_and_text(body), index, response)
            results = decode(body)
            for each in results:
                if each.status >= 300:  # noqa: PLR2004 - the answer then holds this result only
                    code, text = code_and_text(each.body)
                    raise failure(each.status, code, text, _number_in(text), response)
            if len(results) != len(writes):
                raise ValueError(f"{len(writes)} operations were answered by {len(results)} results")
            return [each.etag for each in results]


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


def _number_in(text: str) -> int:
    """Return the number of the operation that a message is about: it begins with it."""
    number = text.partition(":")[0]
    return int(number) if number.isdecimal() else 0
