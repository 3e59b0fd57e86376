"""Who may ask: AUTH_MODE anonymous, function (the platform checks the key before the app is reached) or jwt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import jwt

from shared.errors import Unauthorized
from shared.keys import KeySet

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.settings import JwtSettings

log = logging.getLogger(__name__)

MAX_TOKEN_CHARACTERS: Final = 16_384
#: Clocks of issuer and app may differ by this much.
LEEWAY_SECONDS: Final = 30


class Authenticator(Protocol):
    """Decides about a request by its Authorization header."""

    async def check(self, authorization: str | None) -> None:
        """Return when the caller may go on.

        Raises:
            Unauthorized: The caller may not.
            ServiceUnavailable: It cannot be told right now.
        """
        ...


class Open:
    """Everybody may ask: AUTH_MODE=anonymous, and function, where the platform has checked already."""

    async def check(self, authorization: str | None) -> None:
        """Return."""


class BearerTokens:
    """Bearer tokens (RFC 6750) signed by a key of the issuer's JWKS.

    Args:
        settings: What a token must be.
        clock: Time, for the age of the keys.
    """

    def __init__(self, settings: JwtSettings, clock: Clock) -> None:
        self._settings = settings
        self._keys = KeySet(settings.jwks_url, clock)

    async def check(self, authorization: str | None) -> None:
        """Check the token's signature, issuer, audience and times."""
        token = _bearer(authorization)
        try:
            key = await self._keys.get(str(jwt.get_unverified_header(token)["kid"]))
            if key is None:
                raise jwt.InvalidKeyError
            jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError) as error:
            log.info("token refused: %s", type(error).__name__)
            raise Unauthorized(
                "the bearer token is not valid", 'Bearer error="invalid_token", error_description="not valid"'
            ) from error


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send Authorization: Bearer <token>")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Unauthorized("the bearer token is too long", 'Bearer error="invalid_token"')
    return token.strip()
