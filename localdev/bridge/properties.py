"""Asks Azurite for a blob's properties, for the fields of an event that its request does not tell.

The bridge signs these requests itself, with the emulator's published key, while it holds the blob's lock: what it
reads is the blob that the event is about.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from localdev.bridge.http1 import HEAD_LIMIT, Head, ProtocolError, Stream, read_head
from localdev.bridge.operations import DEFAULT_CONTENT_TYPE, BlobRef, Properties

if TYPE_CHECKING:
    from collections.abc import Mapping

REUSE_SECONDS: Final = 3.0  # Azurite closes idle connections after 5 s: one about to be closed is not used
_VERSION: Final = "2021-12-02"
_OK = 200


class PropertyReader:
    """Reads properties from one Azurite; accounts whose key is unknown have none."""

    def __init__(self, host: str, port: int, keys: Mapping[str, str], *, parallel: int = 16) -> None:
        self._host = host
        self._port = port
        self._keys = keys
        self._turns = asyncio.Semaphore(parallel)
        self._idle: list[tuple[float, Stream]] = []

    async def read(self, blob: BlobRef) -> Properties | None:
        """Returns the blob's properties, None when there is no such blob or Azurite cannot be asked."""
        key = self._keys.get(blob.account)
        if key is None:
            return None
        path = f"/{blob.account}/{quote(blob.container)}/{quote(blob.name, safe='/~')}"
        async with self._turns:
            try:
                answer = await self._exchange(_signed_head(f"{self._host}:{self._port}", path, blob.account, key))
            except (OSError, ProtocolError):
                return None
        return _properties(answer) if answer is not None and answer.status == _OK else None

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop()[1][1].close()

    async def _exchange(self, request: bytes) -> Head | None:
        reader, writer = await self._connect()
        answer = None
        try:
            writer.write(request)
            answer = await read_head(reader)
        finally:
            if answer is None or answer.closes:
                writer.close()
            else:
                self._idle.append((time.monotonic(), (reader, writer)))
        return answer

    async def _connect(self) -> Stream:
        while self._idle:
            used_at, stream = self._idle.pop()
            if time.monotonic() - used_at < REUSE_SECONDS and not stream[0].at_eof():
                return stream
            stream[1].close()
        return await asyncio.open_connection(self._host, self._port, limit=HEAD_LIMIT)


def _signed_head(host: str, path: str, account: str, key: str) -> bytes:
    """Builds a request signed with the shared key.

    Source: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    date = formatdate(usegmt=True)
    text = "HEAD" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n/{account}{path}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()
    lines = [
        f"HEAD {path} HTTP/1.1",
        f"Host: {host}",
        f"x-ms-date: {date}",
        f"x-ms-version: {_VERSION}",
        f"Authorization: SharedKey {account}:{signature}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _properties(answer: Head) -> Properties:
    return Properties(
        answer.get("content-type", DEFAULT_CONTENT_TYPE),
        int(answer.get("content-length", "0")),
        answer.get("x-ms-blob-type", "BlockBlob"),
    )
