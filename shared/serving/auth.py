"""Authentication: AUTH_MODE anonymous, function (the platform checks the key before the app is reached) or jwt."""

from __future__ import annotations

import json
import logging
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import jwt

from shared.process.log_limit import LogLimit
from shared.serving.issuer_keys import KeySet
from shared.serving.problems import Forbidden, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.clock import Clock
    from shared.settings.tokens import JwtSettings

log = logging.getLogger(__name__)

#: In the claim that says which cases a token permits: all of them, and the counts of everything.
ALL_CASES: Final = "*"
#: Clocks of issuer and app may differ by this much.
LEEWAY_SECONDS: Final = 30
#: The end of the year 9999: a token that claims to end later ends then, so that times can be added.
_LAST_SECOND: Final = 253_402_300_799


class _Unmet(jwt.InvalidTokenError):
    """The token does not meet a condition of the settings. The message, for the log, never quotes the token."""


class Permission(NamedTuple):
    """What a caller may do.

    Attributes:
        ends_at: Until when: a moment of the monotonic clock, in seconds, or infinity.
        cases: The cases that it may see; None: all, and the counts of everything.
    """

    ends_at: float = inf
    cases: frozenset[str] | None = None

    def require(self, case: str) -> None:
        """Check that the caller may see a case; "" is everything.

        Raises:
            Forbidden: It may not.
        """
        if self.cases is not None and case not in self.cases:
            what = "this case" if case else "the counts of all cases together; ask for one of yours"
            raise Forbidden(f"the token does not permit {what}")


class Authenticator(Protocol):
    """Decides about a request by its Authorization header."""

    async def check(self, authorization: str | None) -> Permission:
        """Return what the caller may do.

        Raises:
            Unauthorized: The caller has no right to the answer.
            Unavailable: The token cannot be checked right now.
        """
        ...


class Open:
    """Accepts every caller: AUTH_MODE=anonymous, and function, where the platform has checked already."""

    async def check(self, authorization: str | None) -> Permission:  # noqa: ARG002
        """Permit everything."""
        return Permission()


class BearerTokens:
    """Bearer tokens (RFC 6750) signed by a key of the issuer's JWKS.

    Args:
        settings: The conditions that a token must meet.
        clock: For the age of the keys and the end of a token.
    """

    def __init__(self, settings: JwtSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = KeySet(settings, clock)
        self._refused = LogLimit(clock)

    async def check(self, authorization: str | None) -> Permission:
        """Check the token's signature, issuer, audience, times and required claims."""
        token = _bearer(authorization)
        try:
            claims = await self._verified(token)
            self._require(claims)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError) as error:
            if times := self._refused.count():
                why = error if isinstance(error, _Unmet) else type(error).__name__
                log.info("tokens refused: %d, the last one: %s", times, why)
            raise Unauthorized(
                "the bearer token is not valid", 'Bearer error="invalid_token", error_description="not valid"'
            ) from error
        ends_at = min(int(claims["exp"]), _LAST_SECOND) + LEEWAY_SECONDS
        cases = _cases(claims.get(self._settings.cases_claim)) if self._settings.cases_claim else None
        return Permission(self._clock.monotonic() + ends_at - self._clock.now().timestamp(), cases)

    async def _verified(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if header["alg"] not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError
        key = await self._keys.get(str(header["kid"]), header["alg"])
        if key is None:
            raise jwt.InvalidKeyError
        return jwt.decode(
            token,
            key,
            algorithms=list(self._settings.algorithms),
            issuer=self._settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss"], "verify_aud": False},
        )

    def _require(self, claims: dict[str, Any]) -> None:
        name = self._settings.audience_claim
        if not _is_for(claims.get(name), self._settings.audiences):
            raise _Unmet(f"{name} names no audience of JWT_AUDIENCE")
        for name, wanted in self._settings.required_claims:
            if not _holds(claims.get(name), wanted):
                raise _Unmet(f"{name} is not, and does not contain, {wanted}")


def _cases(claim: object) -> frozenset[str] | None:
    """Return the cases that a claim permits: one, a list of them, or all ("*"); none where it is anything else."""
    named = claim if isinstance(claim, list) else [claim]
    permitted = frozenset(each for each in named if isinstance(each, str) and each)
    return None if ALL_CASES in permitted else permitted


def _is_for(claim: object, audiences: Sequence[str]) -> bool:
    """Tell whether an audience claim names one of these (RFC 7519, 4.1.3: a text, or a list of texts)."""
    named = [claim] if isinstance(claim, str) else claim
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        return False
    return any(each in audiences for each in named)


def _holds(claim: object, wanted: str) -> bool:
    """Tell whether a claim is the wanted value, or a list or space-separated text (RFC 6749, 3.3) that contains it."""
    if isinstance(claim, list):
        return any(_spelling(each) == wanted for each in claim)
    return _spelling(claim) == wanted or (isinstance(claim, str) and wanted in claim.split(" "))


def _spelling(value: object) -> str | None:
    """Return a text as it is, a number, true or false as JSON spells it, and None for anything else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else None


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send Authorization: Bearer <token>")
    return token.strip()
