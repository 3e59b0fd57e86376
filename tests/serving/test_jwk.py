"""shared.serving.jwk: which published keys check which signatures, and what the operator is told of the others."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from shared.errors import Unavailable
from shared.serving.auth import BearerTokens
from shared.serving.jwk import read_key_set
from shared.serving.problems import Unauthorized
from shared.settings.tokens import ALGORITHMS, JwtSettings
from tests.e2e.issuer import AUDIENCE, ISSUER, LocalIssuer, PrivateKey, page, public, token
from tests.fakes.memory_blobs import FakeClock

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORTER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2047)  # noqa: S505 - to be refused
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
KINDS: dict[str, tuple[PrivateKey, tuple[str, ...]]] = {
    "RSA": (RSA_KEY, RSA_ALGORITHMS),
    "P-256": (ec.generate_private_key(ec.SECP256R1()), ("ES256",)),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), ("ES384",)),
    "P-521": (ec.generate_private_key(ec.SECP521R1()), ("ES512",)),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), ("EdDSA",)),
    "Ed448": (ed448.Ed448PrivateKey.generate(), ("EdDSA",)),
}
PAIRS = [(kind, algorithm) for kind, (_, fitting) in KINDS.items() for algorithm in fitting]
GOOD = public(RSA_KEY, kid="good")


def found(*keys: object, algorithms: tuple[str, ...] = ALGORITHMS) -> set[tuple[str, str]]:
    """Return the key ids and algorithms of a key set that count."""
    return set(read_key_set(keys, algorithms).keys)


def refusal(key: object, algorithms: tuple[str, ...] = ALGORITHMS) -> str:
    """Return why a key does not count, which takes nothing from its neighbour."""
    read = read_key_set([key, GOOD], algorithms)
    assert {name for name, _ in read.keys} <= {"good"}
    return read.refusals[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_without_alg_counts_for_all_that_fits(kind):
    """A key that names no algorithm counts for those of its type, as far as they are allowed."""
    key, fitting = KINDS[kind]
    assert found(public(key, kid="1")) == {("1", each) for each in fitting}
    assert found(public(key, kid="1", alg=None, use=None, key_ops=None)) == {("1", each) for each in fitting}
    assert found(public(key, kid="1"), algorithms=fitting[-1:]) == {("1", fitting[-1])}
    others = tuple(each for each in ALGORITHMS if each not in fitting)
    assert "JWT_ALGORITHMS" in refusal(public(key, kid="1"), others)


@pytest.mark.parametrize(("kind", "algorithm"), [*itertools.product(KINDS, ALGORITHMS)])
def test_a_key_with_alg_counts_for_it_alone(kind, algorithm):
    """A key that names an algorithm counts for that, if it fits the key at all."""
    key, fitting = KINDS[kind]
    expected = {("1", algorithm)} if algorithm in fitting else set()
    assert found(public(key, kid="1", alg=algorithm, use="sig", key_ops=["verify"])) == expected


def checker(issuer: LocalIssuer, *algorithms: str) -> BearerTokens:
    """Return a check of tokens of this issuer."""
    return BearerTokens(JwtSettings(ISSUER, (AUDIENCE,), f"{issuer.url}/keys", algorithms), FakeClock())


@pytest.mark.parametrize(("kind", "algorithm"), PAIRS)
async def test_tokens_of_every_algorithm(issuer, kind, algorithm):
    """A token with any allowed algorithm that fits the key is let through; with one that is not allowed it is not."""
    key, _ = KINDS[kind]
    issuer.pages["/keys"] = page({"keys": [public(key, kid="1")]})
    authorization = f"Bearer {token(key, algorithm)}"
    await checker(issuer, *ALGORITHMS).check(authorization)
    with pytest.raises((Unauthorized, Unavailable)):
        await checker(issuer, *(each for each in ALGORITHMS if each != algorithm)).check(authorization)


async def test_a_token_with_another_algorithm_than_its_key_names(issuer):
    """A key that is for PS256 checks no RS256, although both are allowed and the numbers are the same."""
    issuer.pages["/keys"] = page({"keys": [public(RSA_KEY, kid="1", alg="PS256")]})
    tokens = checker(issuer, "RS256", "PS256")
    await tokens.check(f"Bearer {token(RSA_KEY, 'PS256')}")
    with pytest.raises(Unauthorized):
        await tokens.check(f"Bearer {token(RSA_KEY, 'RS256')}")


def test_keys_of_one_name():
    """Keys of different types may have one id (RFC 7517, 4.5), and so may one for signatures and one for encryption."""
    curve = public(KINDS["P-256"][0], kid="good")
    assert found(GOOD, curve, algorithms=("RS256", "ES256")) == {("good", "RS256"), ("good", "ES256")}
    for pair in ([GOOD, public(KINDS["RSA"][0], kid="good", use="enc")], [public(SHORT_KEY, kid="good"), GOOD]):
        assert found(*pair, algorithms=("RS256",)) == {("good", "RS256")}


def from_private(key: Any) -> dict[str, Any]:
    """Return a private key as a JWK."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    if isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = OKPAlgorithm
    made = algorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | {"kid": "1"}


X25519 = base64.urlsafe_b64encode(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
ODD: list[tuple[object, str]] = [
    (public(SHORTER_KEY, kid="1"), "2047 bits"),
    (public(SHORT_KEY, kid="1"), "1024 bits"),
    (public(SHORT_KEY, kid="1", alg="RS256", use="sig"), "1024 bits"),
    *((public(key, kid="1", use="enc"), "use") for key, _ in KINDS.values()),
    *((public(key, kid="1", key_ops=["encrypt", "wrapKey"]), "key_ops") for key, _ in KINDS.values()),
    (public(RSA_KEY, kid="1", key_ops=["sign"]), "key_ops"),
    (public(RSA_KEY, kid="1", key_ops=[]), "key_ops"),
    (public(RSA_KEY, kid="1", key_ops="verify"), "key_ops"),
    (public(RSA_KEY, kid="1", key_ops=5), "cannot be read"),
    (public(RSA_KEY, kid="1", use=["sig"]), "cannot be read"),
    (public(RSA_KEY, kid="1", use="SIG"), "use"),
    (public(RSA_KEY, kid="1", alg="RSA-OAEP-256"), "alg"),
    (public(RSA_KEY, kid="1", alg=["RS256"]), "alg"),
    (public(RSA_KEY, kid="1", alg="HS256"), "alg"),
    (public(RSA_KEY, kid="1", alg="none"), "alg"),
    (public(KINDS["P-256"][0], kid="1", alg="ECDH-ES"), "alg"),
    (public(KINDS["P-256"][0], kid="1", crv="P-384"), "cannot be read"),
    (public(KINDS["P-256"][0], kid="1", crv=None), "crv"),
    (public(KINDS["P-256"][0], kid="1", crv=["P-256"]), "cannot be read"),
    (public(ec.generate_private_key(ec.SECP256K1()), kid="1"), "crv"),
    ({"kty": "OKP", "crv": "X25519", "x": X25519, "kid": "1"}, "crv"),
    ({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "kid": "1", "alg": "HS256"}, "shared secret"),
    *((from_private(KINDS[kind][0]), "private key") for kind in ("RSA", "P-256", "Ed25519")),
    (public(RSA_KEY, kid=""), "no kid"),
    (public(RSA_KEY, kid=None), "no kid"),
    (public(RSA_KEY, kid=1), "no kid"),
    (public(RSA_KEY), "no kid"),
    (public(RSA_KEY, kid="1", n=5), "cannot be read"),
    (public(RSA_KEY, kid="1", n="!"), "cannot be read"),
    (public(RSA_KEY, kid="1", e="AQ"), "cannot be read"),
    ({"kty": "RSA", "kid": "1"}, "cannot be read"),
    ({"kid": "1"}, "kty"),
    (None, "no object"),
    ([], "no object"),
    ("key", "no object"),
]


@pytest.mark.parametrize(("key", "why"), ODD, ids=[f"{why}-{number}" for number, (_, why) in enumerate(ODD)])
def test_keys_that_do_not_count(key, why):
    """A key that is short, for another end, no public key, or odd in any way is left out, and it is said why."""
    assert why in refusal(key)


async def test_the_operator_is_told_once(issuer, caplog):
    """The log names the keys that are left out, again only when they are others, and quotes no number of them."""
    issuer.pages["/keys"] = page({"keys": [public(SHORT_KEY, kid="short\nline"), public(RSA_KEY, kid="e", use="enc")]})
    clock = FakeClock()
    tokens = BearerTokens(JwtSettings(ISSUER, (AUDIENCE,), f"{issuer.url}/keys"), clock)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await tokens.check(f"Bearer {token(RSA_KEY)}")
        clock.advance(3600)
    (told,) = [each.getMessage() for each in caplog.records if "not used" in each.getMessage()]
    assert "key 'short\\nline' is an RSA key of 1024 bits" in told
    assert "key 'e' is meant for something else than signatures, such as encryption" in told
    assert public(SHORT_KEY)["n"][:20] not in told
    issuer.pages["/keys"] = page({"keys": [GOOD]})
    await tokens.check(f"Bearer {token(RSA_KEY, kid='good')}")
    assert caplog.text.count("not used") == 1, "now all are"


@pytest.mark.parametrize(("count", "end"), [(10, "(InvalidKeyError)"), (11, "and 1 more"), (5000, "and 4990 more")])
async def test_a_thousand_odd_keys_are_one_line(issuer, caplog, count, end):
    """Nobody can fill the log by publishing many keys that do not count; a good one among them does."""
    issuer.pages["/keys"] = page({"keys": [{"kty": "RSA", "kid": f"k{n}"} for n in range(count)] + [GOOD]})
    await checker(issuer, "RS256").check(f"Bearer {token(RSA_KEY, kid='good')}")
    (told,) = [each.getMessage() for each in caplog.records if "not used" in each.getMessage()]
    assert told.endswith(end)
    assert len(told) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "crv", "n", "e", "x", "y", "d", "k"])
WORDS = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "enc", "RS256", "ES256", "AQAB"])


@given(
    base=st.sampled_from([public(key, kid="1") for key, _ in KINDS.values()]),
    changed=st.dictionaries(MEMBERS, JSON | WORDS, max_size=4),
    algorithms=st.sets(st.sampled_from(ALGORITHMS), min_size=1),
)
def test_any_key_set_is_read(base, changed, algorithms):
    """Whatever a key says, it counts for allowed algorithms of its type or not at all, and its neighbour stays."""
    key = base | changed
    read = read_key_set([key, GOOD], sorted(algorithms))
    mine = {algorithm for name, algorithm in read.keys if name != "good"}
    fitting = {"RSA": set(RSA_ALGORITHMS), "EC": {"ES256", "ES384", "ES512"}, "OKP": {"EdDSA"}}
    assert mine <= algorithms
    assert not mine or mine <= fitting[key["kty"]]
    assert {algorithm for name, algorithm in read.keys if name == "good"} >= algorithms & set(RSA_ALGORITHMS)
