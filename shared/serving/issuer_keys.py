"""The issuer's public keys (JWKS), fetched now and then, kept through an outage of the issuer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from shared.errors import Unavailable
from shared.serving.issuer import Issuer, IssuerError
from shared.serving.jwk import read_key_set

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

    from shared.clock import Clock
    from shared.serving.jwk import KeysByUse
    from shared.settings.tokens import JwtSettings

log = logging.getLogger(__name__)

#: How long a key that the issuer has withdrawn is trusted at most, while the issuer answers.
LIFESPAN_SECONDS: Final = 300.0
#: The shortest time between two fetches for an unknown key or after a failure.
REFETCH_SECONDS: Final = 10.0
#: How many of the unused keys the log names.
MOST_REFUSALS: Final = 10


class KeySet:
    """The keys by their id and the algorithm that they are used with.

    Args:
        settings: Where the issuer publishes them, and the accepted algorithms.
        clock: Time.
    """

    def __init__(self, settings: JwtSettings, clock: Clock) -> None:
        self._issuer = Issuer(settings)
        self._algorithms = settings.algorithms
        self._clock = clock
        self._keys: KeysByUse = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._is_failing = False
        self._refusals: list[str] = []
        self._fetching: asyncio.Task[None] | None = None

    async def get(self, key_id: str, algorithm: str) -> AllowedPublicKeys | None:
        """Return the key of this id for this algorithm, or None when the issuer has no such key.

        Raises:
            Unavailable: No keys are known, and the issuer gives none.
        """
        wanted, now = (key_id, algorithm), self._clock.monotonic()
        is_fresh = wanted in self._keys and now - self._fetched_at <= LIFESPAN_SECONDS
        is_running = self._fetching is not None and not self._fetching.done()
        if not is_fresh and not is_running and now - self._tried_at >= REFETCH_SECONDS:
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch(now), name="fetch keys")
        is_kept = wanted in self._keys and self._is_failing  # in an outage a request with a known key does not wait
        if self._fetching is not None and not is_fresh and not is_kept:
            await asyncio.shield(self._fetching)  # a request that leaves must not end the fetch that others wait for
        if not self._keys:
            raise Unavailable("the token cannot be checked right now; try again")
        return self._keys.get(wanted)

    async def _fetch(self, now: float) -> None:
        try:
            found = read_key_set(await self._issuer.key_set(), self._algorithms)
        except Exception as error:  # noqa: BLE001 - whatever the issuer answers, the known keys stay in use
            self._is_failing = True
            reason = str(error) if isinstance(error, IssuerError) else type(error).__name__
            log.warning("the issuer's keys cannot be fetched: %s", reason)
            return
        self._report(found.refusals)
        self._is_failing = not found.keys
        if not found.keys:
            log.warning("the issuer's key set has no key that can be used")
            return
        self._fetched_at, self._keys = now, found.keys

    def _report(self, refusals: list[str]) -> None:
        if refusals and refusals != self._refusals:
            more = f" and {len(refusals) - MOST_REFUSALS} more" if len(refusals) > MOST_REFUSALS else ""
            log.warning("keys of the issuer that are not used: %s%s", "; ".join(refusals[:MOST_REFUSALS]), more)
        self._refusals = refusals
