"""The conditions on bearer tokens (AUTH_MODE=jwt), read from the environment and checked with the other settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_THIS_MACHINE: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """The conditions on a bearer token.

    Attributes:
        issuer: The token's ``iss``, exactly.
        audiences: The audience claim is one of them, or contains one.
        jwks_url: Where the issuer publishes its keys, or "" when its discovery document says where.
        algorithms: The accepted signatures.
        audience_claim: The claim that names the audience.
        required_claims: Claims, and the value that each must be or contain.
        cases_claim: The claim that says which cases a token permits, or "": each permits all.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    audience_claim: str = "aud"
    required_claims: tuple[tuple[str, str], ...] = ()
    cases_claim: str = ""


def read(text: Callable[..., str]) -> JwtSettings:
    """Read and check the JWT_… settings.

    Args:
        text: Returns the value of a variable; takes its name and the default.

    Raises:
        SettingsError: Names the variable, the mistake and the right form.
    """
    for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
        if not text(name):
            raise SettingsError(f"{name} is not set; AUTH_MODE=jwt needs JWT_ISSUER and JWT_AUDIENCE")
    audiences = _listed(text("JWT_AUDIENCE"))
    if not audiences:
        raise SettingsError(
            f"JWT_AUDIENCE={text('JWT_AUDIENCE')} names no audience; try JWT_AUDIENCE=api://blob-status"
        )
    return JwtSettings(
        text("JWT_ISSUER"),
        audiences,
        _jwks_url(text),
        _algorithms(text),
        _claim(text, "JWT_AUDIENCE_CLAIM", "aud"),
        tuple(_required(each) for each in _listed(text("JWT_REQUIRED_CLAIMS"))),
        _claim(text, "JWT_CASES_CLAIM"),
    )


def is_safe_address(url: str) -> bool:
    """Tell whether keys may come from an address: by https, or by http from this machine."""
    return is_address(url) and (urlsplit(url).scheme == "https" or urlsplit(url).hostname in _THIS_MACHINE)


def is_address(url: str) -> bool:
    """Tell whether this is an address with http or https, of a host, without a user."""
    if re.search(r"[\s\\\x00-\x1f]", url):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is none
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc


def _jwks_url(text: Callable[..., str]) -> str:
    url, issuer = text("JWT_JWKS_URL"), text("JWT_ISSUER")
    if url and not is_safe_address(url):
        raise SettingsError(f"JWT_JWKS_URL={url} must be https:// (http:// only on this machine)")
    if not url and (not is_safe_address(issuer) or re.search(r"[?#]", issuer)):
        raise SettingsError(
            f"JWT_JWKS_URL is not set, and JWT_ISSUER={issuer} is no https:// address below which "
            "/.well-known/openid-configuration could say where the keys are; set JWT_JWKS_URL"
        )
    return url


def _algorithms(text: Callable[..., str]) -> tuple[str, ...]:
    algorithms = tuple(each.strip() for each in text("JWT_ALGORITHMS", "RS256").split(","))
    if not set(algorithms) <= set(ALGORITHMS):
        raise SettingsError(f"JWT_ALGORITHMS={','.join(algorithms)}: only public-key algorithms, such as RS256,ES256")
    return algorithms


def _claim(text: Callable[..., str], name: str, default: str = "") -> str:
    claim: str = text(name, default)
    if re.search(r"[\s,=]", claim):
        raise SettingsError(f"{name}={claim} is not the name of one claim; try {name}={default or 'cases'}")
    return claim


def _required(condition: str) -> tuple[str, str]:
    name, _, wanted = (each.strip() for each in condition.partition("="))
    if not name or not wanted:
        raise SettingsError(
            f"JWT_REQUIRED_CLAIMS: {condition} is not a claim and its value; write token_use=access,scope=counts.read"
        )
    return name, wanted


def _listed(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())
