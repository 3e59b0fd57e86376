"""Tokens as seven issuers make them, with the settings that docs/configuration.md gives for each; and single claims."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock
from shared.serving.auth import LEEWAY_SECONDS, BearerTokens, _holds
from shared.serving.problems import Unauthorized
from shared.settings.app import Settings
from tests.builders import ROOT
from tests.e2e.issuer import LocalIssuer, public
from tests.leaks.secrets import secret

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = int(time.time())
TIMES = {"iat": NOW - 60, "exp": NOW + 3600}
MINE, OTHER = "mine", "others"
CERTIFICATES = {"x5t": "nOo3ZDrODXEK1jKWhXslHR_KXEg", "x5c": ["MIIDBTCCAe2gAwIBAgIQ"]}
ENTRA = {
    "aud": MINE,
    "nbf": NOW - 60,
    "aio": "ATQAy/8XAAAA",
    "azp": "5b3b7f0e-0000-0000-0000-000000000000",
    "azpacr": "0",
    "oid": "b2c1a0f0-0000-0000-0000-000000000000",
    "rh": "0.AXoA",
    "scp": "counts.read profile",
    "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "tid": "one",
    "uti": "fqiBqXLPj0eQa82S-IYFAA",
    "ver": "2.0",
}


class Shape(NamedTuple):
    """What an issuer makes.

    Attributes:
        claims: Of an access token, but for ``iss`` and the times.
        others: Claims of the issuer's other tokens, or with less permission: what must not do.
        key: What its keys say beside the numbers.
        header: Of its tokens, beside ``alg`` and ``kid``.
    """

    claims: dict[str, Any]
    others: list[dict[str, Any]]
    key: dict[str, Any] = {"use": "sig", "alg": "RS256"}  # noqa: RUF012 - it is a tuple
    header: dict[str, Any] = {"typ": "JWT"}  # noqa: RUF012


SHAPES = {
    "Entra ID": Shape(
        ENTRA,
        [{"scp": None}, {"scp": "counts.write"}, {"scp": None, "roles": ["counts.read"]}],
        {"use": "sig", **CERTIFICATES},
        {"typ": "JWT", "x5t": CERTIFICATES["x5t"]},
    ),
    "Entra External ID": Shape(ENTRA, [{"scp": None}], {"use": "sig", **CERTIFICATES, "issuer": "https://x/v2.0"}),
    "Auth0": Shape(
        {
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": [MINE, "https://one.eu.auth0.com/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile counts.read",
            "permissions": ["counts.read"],
        },
        [{"scope": "openid profile"}, {"scope": "counts.reader"}, {"scope": ""}],
        {"use": "sig", "alg": "RS256", **CERTIFICATES},
        {"typ": "at+jwt"},
    ),
    "Firebase": Shape(
        {
            "aud": MINE,
            "auth_time": NOW - 60,
            "user_id": "someone",
            "sub": "someone",
            "email": "someone@example.com",
            "email_verified": True,
            "firebase": {"identities": {"email": ["someone@example.com"]}, "sign_in_provider": "password"},
        },
        [{"email_verified": False}, {"email_verified": None}, {"email_verified": 1}],
    ),
    "Supabase": Shape(
        {
            "aud": "authenticated",
            "sub": "123e4567-e89b-12d3-a456-426614174000",
            "email": "someone@example.com",
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": NOW - 60}],
            "session_id": "123e4567-e89b-12d3-a456-426614174001",
            "is_anonymous": False,
        },
        [{"is_anonymous": True}, {"is_anonymous": None}, {"aud": "anon"}],
        {"use": "sig", "alg": "ES256", "key_ops": ["verify"], "ext": True},
    ),
    "Cognito": Shape(
        {
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "cognito:groups": ["editors"],
            "version": 2,
            "client_id": MINE,
            "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "auth_time": NOW - 60,
            "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "username": "someone",
        },
        [{"token_use": "id", "aud": MINE, "client_id": None}, {"token_use": "id"}, {"token_use": None}],
        {"use": "sig", "alg": "RS256"},
        {},
    ),
    "Clerk": Shape(
        {
            "azp": MINE,
            "fva": [0, -1],
            "nbf": NOW - 70,
            "sid": "sess_123",
            "sts": "active",
            "sub": "user_123",
            "v": 2,
        },
        [{"azp": None}, {"azp": None, "aud": MINE}],
        {"use": "sig", "alg": "RS256"},
        {"typ": "JWT", "cat": "cl_B7d4PD111AAA"},
    ),
}
TABLE = (ROOT / "docs" / "configuration.md").read_text().partition("### Issuers that app developers have")[2]
#: Issuer → its JWT_ISSUER, and the settings that it needs besides, as the table says it.
ROWS = {
    name: (re.findall(r"`([^`]+)`", cells)[0], dict(re.findall(r"`(JWT_\w+)=([^`]+)`", cells)))
    for name, cells in re.findall(r"^\| ([A-Z][^|,]+?)(?:, [^|]+)? \| (`https:.+) \|$", TABLE, re.MULTILINE)
}


def test_the_table_has_the_seven():
    """The page names the issuers that are tried here."""
    assert set(ROWS) == set(SHAPES)
    assert ROWS["Cognito"][1] == {"JWT_AUDIENCE_CLAIM": "client_id", "JWT_REQUIRED_CLAIMS": "token_use=access"}


class Provider:
    """One of the seven, on this machine: two tenants with the same keys, and discovery."""

    def __init__(self, name: str, server: LocalIssuer) -> None:
        template, self.settings = ROWS[name]
        self.shape = SHAPES[name]
        self.algorithm = self.settings.get("JWT_ALGORITHMS", "RS256")
        self.key = CURVE_KEY if self.algorithm == "ES256" else RSA_KEY
        published = public(self.key, kid="1", **self.shape.key)
        self.names = []
        for tenant in ("one", "two"):
            path = "/" + re.sub(r"<[^>]+>", tenant, template.removeprefix("https://"))
            name = server.publish(path.removesuffix("/"), published, issuer=f"{server.url}{path}")
            self.names.append(f"{server.url}{path}")
        self.keys_url = f"{name}/keys"

    def checker(self, **changed: str) -> BearerTokens:
        """Return the check of tokens of the first tenant, set as the page says."""
        audience = "authenticated" if "authenticated" in self.shape.claims.values() else MINE
        environ = {"AUTH_MODE": "jwt", "JWT_ISSUER": self.names[0], "JWT_AUDIENCE": audience} | self.settings | changed
        if environ.get("JWT_JWKS_URL"):
            environ["JWT_JWKS_URL"] = self.keys_url
        settings = Settings.from_environ(environ).jwt
        assert settings is not None
        return BearerTokens(settings, SystemClock())

    def authorization(self, **changed: Any) -> str:
        """Return a token of the first tenant with some claims changed; a claim of None is left out."""
        claims = {"iss": self.names[0], **TIMES, **self.shape.claims, **changed}
        kept = {name: value for name, value in claims.items() if value is not None}
        made = jwt.encode(kept, self.key, self.algorithm, headers={**self.shape.header, "kid": "1"})
        return f"Bearer {secret('a token', made)}"

    @property
    def audience_claim(self) -> str:
        """The claim that says whom a token is for."""
        return self.settings.get("JWT_AUDIENCE_CLAIM", "aud")


@pytest.fixture(params=list(SHAPES))
def provider(request: pytest.FixtureRequest, issuer: LocalIssuer) -> Provider:
    """Return each of the seven."""
    return Provider(request.param, issuer)


async def test_their_tokens_are_accepted(provider):
    """The issuer's access token is let through, until it ends; with discovery everywhere."""
    await provider.checker(JWT_JWKS_URL="").check(provider.authorization())
    ends_at = (await provider.checker().check(provider.authorization())).ends_at
    assert ends_at - time.monotonic() == pytest.approx(TIMES["exp"] + LEEWAY_SECONDS - time.time(), abs=1)


async def refused(tokens: BearerTokens, authorization: str) -> None:
    """Check a token that does not hold."""
    with pytest.raises(Unauthorized):
        await tokens.check(authorization)


async def test_their_tokens_are_refused(provider):
    """Expired, for another audience, of another tenant with the same keys, of another kind, or signed by others."""
    tokens = provider.checker()
    await refused(tokens, provider.authorization(exp=NOW - LEEWAY_SECONDS - 1))
    await refused(tokens, provider.authorization(exp=None))
    for audience in (OTHER, [OTHER], [], None, f"{MINE} {OTHER}"):
        await refused(tokens, provider.authorization(**{provider.audience_claim: audience}))
    await refused(tokens, provider.authorization(iss=provider.names[1]))
    for others in provider.shape.others:
        await refused(tokens, provider.authorization(**others))
    provider.key = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if provider.key is RSA_KEY
        else ec.generate_private_key(ec.SECP256R1())
    )
    await refused(tokens, provider.authorization())


async def test_one_of_several_audiences(provider):
    """With several audiences one is enough, in a text or in a list."""
    tokens = provider.checker(JWT_AUDIENCE=f"first, {MINE} ,third")
    for audience in (MINE, "third", [OTHER, "first"]):
        await tokens.check(provider.authorization(**{provider.audience_claim: audience}))
    for audience in (OTHER, [OTHER], f"first, {MINE} ,third", "", [""]):
        await refused(tokens, provider.authorization(**{provider.audience_claim: audience}))


ODD = [
    None,
    True,
    False,
    0,
    1,
    1.5,
    {},
    {"mine": True},
    [],
    [None],
    [["mine"]],
    [MINE, 5],
    ["mine", None],
    "MINE",
    " mine",
]


@pytest.mark.parametrize("value", ODD, ids=str)
@pytest.mark.parametrize("name", ["aud", "client_id"])
async def test_odd_audiences(issuer, name, value):
    """An audience claim that is no text and no list of texts is for nobody, whichever claim it is."""
    provider = Provider("Firebase", issuer)
    tokens = provider.checker(JWT_AUDIENCE_CLAIM=name)
    await refused(tokens, provider.authorization(**{"aud": MINE, name: value}))


@pytest.mark.parametrize(
    ("claim", "wanted"),
    [
        ("counts.read", "counts.read"),
        ("openid counts.read profile", "counts.read"),
        ("counts.read  x", "counts.read"),
        (["openid", "counts.read"], "counts.read"),
        ("two words", "two words"),
        (["two words"], "two words"),
        (True, "true"),
        (False, "false"),
        (2, "2"),
        (1.5, "1.5"),
        ([1, True], "1"),
        ([1, True], "true"),
        ("true", "true"),
        ("a=b", "a=b"),
    ],
)
def test_what_a_required_claim_may_be(claim, wanted):
    """It is the value, a list that contains it, or a text with it among its words; numbers and flags as in JSON."""
    assert _holds(claim, wanted)


@pytest.mark.parametrize(
    ("claim", "wanted"),
    [
        (None, "None"),
        (None, "null"),
        ([None], "null"),
        (True, "True"),
        (True, "1"),
        (1, "true"),
        (1, "1.0"),
        (0, "false"),
        ("counts.readwrite", "counts.read"),
        ("xcounts.read", "counts.read"),
        ("counts.read\tx", "counts.read"),
        ("openid,counts.read", "counts.read"),
        ("Counts.Read", "counts.read"),
        (["openid counts.read"], "counts.read"),
        ([["counts.read"]], "counts.read"),
        ({"counts.read": True}, "counts.read"),
        ({}, "{}"),
        ([], "[]"),
        ("two words", "words two"),
    ],
)
def test_what_a_required_claim_may_not_be(claim, wanted):
    """A part of a word, another spelling, a nested list, an object and null are not the value."""
    assert not _holds(claim, wanted)


WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" "), min_size=1, max_size=8)


@given(words=st.lists(WORD, max_size=5), wanted=WORD)
def test_words_and_lists_are_the_same(words, wanted):
    """A space-separated text has what a list of the same words has."""
    assert _holds(words, wanted) == _holds(" ".join(words), wanted) == (wanted in words)


async def test_every_required_claim_counts(issuer):
    """All required claims have to hold, also two about one claim."""
    provider = Provider("Auth0", issuer)
    tokens = provider.checker(JWT_REQUIRED_CLAIMS="scope=counts.read,scope=profile,permissions=counts.read")
    await tokens.check(provider.authorization())
    await refused(tokens, provider.authorization(scope="counts.read"))
    await refused(tokens, provider.authorization(permissions=[]))


@pytest.mark.parametrize("end", [10**300, 10**4000, 4e9, 1e300])
async def test_distant_ends(issuer, end):
    """A token may end at any time to come; its end is a moment that can be reckoned with."""
    provider = Provider("Firebase", issuer)
    ends_at = (await provider.checker().check(provider.authorization(exp=end))).ends_at
    assert 1e9 < ends_at < 1e12


async def test_the_log_says_which_condition_is_not_met(issuer, caplog):
    """The operator learns which setting a token does not meet, and nothing of the token."""
    caplog.set_level("INFO")
    provider = Provider("Auth0", issuer)
    await refused(provider.checker(), provider.authorization(scope="private.matter"))
    await refused(provider.checker(), provider.authorization(aud="private.matter"))
    told = [each.getMessage() for each in caplog.records if each.name == "shared.serving.auth"]
    assert told == [
        "tokens refused: 1, the last one: scope is not, and does not contain, counts.read",
        "tokens refused: 1, the last one: aud names no audience of JWT_AUDIENCE",
    ]
