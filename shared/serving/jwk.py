"""Which signatures a published key (RFC 7517) may check: those that fit its type, its own members and the settings.

``use``, ``key_ops`` and ``alg`` are optional. So a key is used for every allowed algorithm that fits its type, unless
it names one. A key without any algorithm is left out, with a reason for the operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwt.algorithms import AllowedPublicKeys

    type KeysByUse = dict[tuple[str, str], AllowedPublicKeys]

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
#: Key type and curve → algorithms (RFC 7518, 3.1; RFC 8037, 3.1).
_FITTING: Final[dict[tuple[object, object], tuple[str, ...]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
#: RFC 7518, 3.3 and 3.5: a key of this size or larger MUST be used.
_LEAST_RSA_BITS: Final = 2048


class Unusable(ValueError):  # noqa: N818 - the name says what the key is
    """A published key cannot check tokens here. The message is for the operator and quotes no secret."""


@dataclass(slots=True)
class Published:
    """A key set, read.

    Attributes:
        keys: Keys by key id and algorithm.
        refusals: The reasons why keys were left out.
    """

    keys: KeysByUse = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)


def read_key_set(published: Sequence[object], algorithms: Sequence[str]) -> Published:
    """Read the ``keys`` of a key set; a malformed key does not spoil the others.

    Args:
        published: The keys of the document, unread.
        algorithms: The accepted algorithms.
    """
    found = Published()
    for number, key in enumerate(published, 1):
        try:
            name, fitting, public = _read(key, algorithms)
        except Unusable as error:
            found.refusals.append(f"{_named(key, number)} {error}")
        except Exception as error:  # noqa: BLE001 - an issuer may publish anything
            found.refusals.append(f"{_named(key, number)} cannot be read ({type(error).__name__})")
        else:
            found.keys |= {(name, each): public for each in fitting}
    return found


def _read(key: object, algorithms: Sequence[str]) -> tuple[str, list[str], AllowedPublicKeys]:
    if not isinstance(key, dict):
        raise Unusable("is no object")
    name = key.get("kid")
    if not isinstance(name, str) or not name:
        raise Unusable("has no kid to be found by")
    _require_for_signatures(key)
    fitting = _fitting(key, algorithms)
    public = jwt.PyJWK(key, fitting[0]).key
    bits = public.key_size if key["kty"] == "RSA" else _LEAST_RSA_BITS
    if bits < _LEAST_RSA_BITS:
        raise Unusable(f"is an RSA key of {bits} bits; a signature needs {_LEAST_RSA_BITS} or more")
    return name, fitting, public


def _require_for_signatures(key: dict[str, Any]) -> None:
    if key.get("kty") == "oct":
        raise Unusable("is a shared secret, which everybody can read there; take it out")
    if "d" in key:
        raise Unusable("is a private key, which everybody can read there; withdraw it")
    use, operations = key.get("use"), key.get("key_ops")
    if use not in {None, "sig"}:
        raise Unusable("is meant for something else than signatures, such as encryption (use)")
    if operations is not None and "verify" not in list(operations):
        raise Unusable("is not meant for checking signatures (key_ops)")


def _fitting(key: dict[str, Any], algorithms: Sequence[str]) -> list[str]:
    kind, curve, named = key.get("kty"), key.get("crv"), key.get("alg")
    fitting = _FITTING.get((kind, curve if kind != "RSA" else None), ())
    if not fitting:
        raise Unusable("is of a type or curve that checks no signature here (kty, crv)")
    if named and named not in fitting:
        raise Unusable("names an algorithm for other keys or other ends (alg)")
    allowed = [each for each in fitting if each in algorithms and each == (named or each)]
    if not allowed:
        raise Unusable(f"needs {' or '.join([named] if named else fitting)} in JWT_ALGORITHMS")
    return allowed


def _named(key: object, number: int) -> str:
    name = key.get("kid") if isinstance(key, dict) else None
    return f"key {name[:60]!r}" if isinstance(name, str) else f"key no. {number}"
