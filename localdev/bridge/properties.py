"""Asks Azurite for a blob's properties, for the fields of an event that its request does not tell.

The bridge signs these requests itself, with the emulator's published key, while it holds the blob's lock: what it
reads is the blob that the event is about.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from localdev.bridge.operations import DEFAULT_CONTENT_TYPE, BlobRef, Properties

if TYPE_CHECKING:
    from collections.abc import Mapping

REUSE_SECONDS: Final = 3.0  # Azurite closes idle connections after 5 s: one about to be closed is not used
PARALLEL: Final = 16
_VERSION: Final = "2021-12-02"


class PropertyReader:
    """Reads properties from one Azurite, inside the running event loop; accounts whose key is unknown have none."""

    def __init__(self, host: str, port: int, keys: Mapping[str, str]) -> None:
        self._url = f"http://{host}:{port}"
        self._keys = keys
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=PARALLEL, keepalive_timeout=REUSE_SECONDS)
        )

    async def read(self, blob: BlobRef) -> Properties | None:
        """Return the blob's properties, None when there is no such blob or Azurite cannot be asked."""
        key = self._keys.get(blob.account)
        if key is None:
            return None
        path = f"/{blob.account}/{quote(blob.container)}/{quote(blob.name, safe='/~')}"
        headers = _signed(path, blob.account, key)
        try:
            async with self._session.head(URL(f"{self._url}{path}", encoded=True), headers=headers) as answer:
                if answer.status != HTTPStatus.OK:
                    return None
                return Properties(
                    answer.headers.get("content-type", DEFAULT_CONTENT_TYPE),
                    int(answer.headers.get("content-length", "0")),
                    answer.headers.get("x-ms-blob-type", "BlockBlob"),
                )
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _signed(path: str, account: str, key: str) -> dict[str, str]:
    """Return the headers of a HEAD request signed with the shared key.

    Source: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    dated = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
    lines = "".join(f"{name}:{value}\n" for name, value in dated.items())
    text = "HEAD" + "\n" * 12 + f"{lines}/{account}{path}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()
    return dated | {"Authorization": f"SharedKey {account}:{signature}"}
