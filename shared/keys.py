"""The issuer's public keys (JWKS), fetched now and then, kept through an outage of the issuer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import jwt

from shared.errors import ServiceUnavailable

if TYPE_CHECKING:
    from shared.clock import Clock

log = logging.getLogger(__name__)

#: A key that the issuer withdraws is trusted for so long at most, while the issuer answers.
LIFESPAN_SECONDS: Final = 300.0
#: An unknown key id, or a fetch that failed, leads to another fetch at most this often.
REFETCH_SECONDS: Final = 10.0
FETCH_TIMEOUT_SECONDS: Final = 5


class KeySet:
    """The keys by their id.

    Args:
        url: Where the issuer publishes them.
        clock: Time.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, cache_keys=False, timeout=FETCH_TIMEOUT_SECONDS)
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None when the issuer has none such.

        Raises:
            ServiceUnavailable: No keys are known, and the issuer gives none.
        """
        async with self._fetching:
            if self._should_fetch(key_id):
                await self._fetch()
        if not self._keys:
            raise ServiceUnavailable("the token cannot be checked right now; try again")
        return self._keys.get(key_id)

    def _should_fetch(self, key_id: str) -> bool:
        now = self._clock.monotonic()
        if now - self._tried_at < REFETCH_SECONDS:
            return False
        return key_id not in self._keys or now - self._fetched_at > LIFESPAN_SECONDS

    async def _fetch(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            fetched = await asyncio.to_thread(self._client.fetch_data)  # blocks on HTTP
            keys = jwt.PyJWKSet.from_dict(fetched).keys
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, the keys at hand go on serving
            log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)
            return
        self._fetched_at = self._tried_at
        self._keys = {key.key_id: key for key in keys if key.key_id and key.public_key_use in {"sig", None}}
