"""Fetches what the issuer of tokens publishes. The server is a stranger's, and may be broken or slow.

1. A fetch ends within :data:`FETCH_SECONDS`, however slowly the answer drips, discovery and key set together.
2. It reads at most :data:`MOST_BYTES` of an answer, and decompresses nothing.
3. It holds no thread. Only name resolution needs one (the loop's resolver has no other way), and one at most, however
   long it hangs: the connector is kept, and lets a later fetch wait for a resolution that still runs.
4. It uses no address that the settings would not accept: redirects are not followed, and the address that discovery
   names must pass the same rule as ``JWT_JWKS_URL``.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from shared.settings.tokens import is_safe_address

if TYPE_CHECKING:
    from shared.settings.tokens import JwtSettings

#: The longest time that a check, or the end of the process, waits.
FETCH_SECONDS: Final = 3.0
#: The largest sets in use (a dozen keys with certificates) have some 30 KB.
MOST_BYTES: Final = 256 * 1024
#: OpenID Connect Discovery 1.0, section 4.
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


class IssuerError(Exception):
    """The issuer's documents are missing or wrong. The message is for the operator."""


class Issuer:
    """Fetches an issuer's key set.

    Args:
        settings: Its address.
    """

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._connector: aiohttp.TCPConnector | None = None

    async def key_set(self) -> list[object]:
        """Return the published keys, unread.

        Raises:
            IssuerError: An answer is no key set, or no discovery document of this issuer.
            TimeoutError: The fetch took too long.
            aiohttp.ClientError: The issuer cannot be reached.
        """
        async with asyncio.timeout(FETCH_SECONDS):
            url = self._settings.jwks_url or await self._discover()
            document = await self._document(url, "the key set")
        keys = document.get("keys")
        if not isinstance(keys, list):
            raise IssuerError("the key set has no list of keys")
        return keys

    async def _discover(self) -> str:
        issuer = self._settings.issuer
        document = await self._document(issuer.removesuffix("/") + DISCOVERY_PATH, "the discovery document")
        if document.get("issuer") != issuer:
            raise IssuerError(
                f"the discovery document is that of {str(document.get('issuer'))[:200]!r}, not JWT_ISSUER"
            )
        url = document.get("jwks_uri")
        is_downgrade = isinstance(url, str) and _is_https(issuer) and not _is_https(url)
        if not isinstance(url, str) or not is_safe_address(url) or is_downgrade:
            raise IssuerError("the discovery document names no https:// address for the keys (jwks_uri)")
        return url

    async def _document(self, url: str, what: str) -> dict[str, Any]:
        try:
            document = json.loads(await self._fetch(url, what))
        except (ValueError, RecursionError):
            raise IssuerError(f"{what} is no JSON") from None
        if not isinstance(document, dict):
            raise IssuerError(f"{what} is no JSON object")
        return document

    async def _fetch(self, url: str, what: str) -> bytes:
        if self._connector is None:  # needs a running loop; without kept connections there is nothing to close
            self._connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                auto_decompress=False,
                trust_env=_is_https(url),  # a desk may be behind a company's proxy; this machine never is
            ) as session,
            session.get(
                url,
                allow_redirects=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            ) as response,
        ):
            if response.status != 200:  # noqa: PLR2004
                raise IssuerError(f"{what} is answered with status {response.status} (redirects are not followed)")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise IssuerError(f"{what} comes compressed, although it was asked for as it is")
            return await _body(response, what)


async def _body(response: aiohttp.ClientResponse, what: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise IssuerError(f"{what} is longer than {MOST_BYTES} bytes")
    return bytes(body)


def _is_https(url: str) -> bool:
    return url[:6].lower() == "https:"
