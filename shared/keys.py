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
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None when the issuer has none such.

        Raises:
            ServiceUnavailable: No keys are known, and the issuer gives none.
        """
        now = self._clock.monotonic()
        if self._should_fetch(key_id, now):
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch(now), name="fetch keys")
        is_fresh = key_id in self._keys and now - self._fetched_at <= LIFESPAN_SECONDS
        if self._fetching is not None and not is_fresh:
            await asyncio.shield(self._fetching)  # the fetch is for all who wait: one that leaves does not end it
        if not self._keys:
            raise ServiceUnavailable("the token cannot be checked right now; try again")
        return self._keys.get(key_id)

    def _should_fetch(self, key_id: str, now: float) -> bool:
        if now - self._tried_at < REFETCH_SECONDS:
            return False
        return key_id not in self._keys or now - self._fetched_at > LIFESPAN_SECONDS

    async def _fetch(self, now: float) -> None:
        try:
            async with asyncio.timeout(2 * FETCH_TIMEOUT_SECONDS):
                fetched = await asyncio.to_thread(self._client.fetch_data)  # blocks on HTTP
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(fetched).keys if _can_sign(key)}
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, the keys at hand go on serving
            log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)
            return
        if not keys:
            log.warning("the issuer's key set has no key with an id for signatures")
            return
        self._fetched_at, self._keys = now, keys


def _can_sign(key: jwt.PyJWK) -> bool:
    return bool(key.key_id) and key.public_key_use in {"sig", None}
