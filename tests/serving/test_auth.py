"""shared.serving.auth: bearer tokens against a key server on this machine, with keys made for the run."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Unavailable
from shared.serving.auth import LEEWAY_SECONDS, BearerTokens, Open, Permission
from shared.serving.issuer_keys import LIFESPAN_SECONDS, REFETCH_SECONDS
from shared.serving.problems import Forbidden, Unauthorized
from shared.settings.tokens import JwtSettings
from tests.e2e.issuer import AUDIENCE, ISSUER, KEY, LocalIssuer, page, public
from tests.fakes.memory_blobs import FakeClock
from tests.leaks.secrets import secret

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"keys": [public(kid="1")]}


@pytest.fixture
def tokens(issuer: LocalIssuer, clock: FakeClock) -> BearerTokens:
    """Return the check under test, with nothing cached."""
    return checker(issuer, clock=clock)


def checker(issuer: LocalIssuer, *algorithms: str, clock: FakeClock | None = None) -> BearerTokens:
    """Return a check of tokens of this issuer."""
    settings = JwtSettings(ISSUER, (AUDIENCE,), f"{issuer.url}/keys", algorithms or ("RS256",))
    return BearerTokens(settings, clock or FakeClock())


def claims(**changed: object) -> dict[str, object]:
    """Return the claims of a good token; a claim of None is left out, one of a timedelta is so far from now."""
    now = int(time.time())
    made = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "sub": "someone"} | changed
    dated = {name: now + each.total_seconds() for name, each in made.items() if isinstance(each, timedelta)}
    return {name: value for name, value in (made | dated).items() if value is not None}


def signed(key: Any = KEY, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changed: object) -> str:
    """Return a bearer header; of its claims and header fields some are changed."""
    token = jwt.encode(claims(**changed), key, algorithm, headers={"kid": "1"} | (header or {}))
    return f"Bearer {secret('a token', token)}"


def part(value: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def crafted(header: bytes, payload: bytes = b"{}", sign: Callable[[bytes], bytes] = lambda _: b"x") -> str:
    """Return a bearer header with these very parts."""
    content = f"{part(header)}.{part(payload)}"
    return f"Bearer {content}.{part(sign(content.encode()))}"


async def refused(tokens: BearerTokens, authorization: str | None) -> Unauthorized:
    """Return the refusal of a header, which challenges and says nothing of why."""
    with pytest.raises(Unauthorized) as caught:
        await tokens.check(authorization)
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert str(caught.value) in {
        "send Authorization: Bearer <token>",
        "the bearer token is too long",
        "the bearer token is not valid",
    }
    return caught.value


@pytest.mark.parametrize(
    "changed", [{}, {"aud": ["other", AUDIENCE]}, {"nbf": 0}, {"iat": 0}, {"exp": timedelta(seconds=9.5)}]
)
async def test_good_tokens(tokens, changed):
    """A token signed by a published key, for us, by the issuer, in its time, is let through."""
    await tokens.check(signed(**changed))


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer   ", "  Bearer "])
async def test_schemes_in_any_spelling(tokens, scheme):
    """The scheme has no case (RFC 9110, 11.1), and blanks around the token mean nothing."""
    await tokens.check(signed().replace("Bearer ", scheme) + " ")


@pytest.mark.parametrize("authorization", [None, "", " ", "Bearer", "Bearer ", "Basic dTpw", "Token x", signed()[7:]])
async def test_no_token(tokens, issuer, authorization):
    """Without a bearer token the answer is a plain challenge, and no key is fetched."""
    assert (await refused(tokens, authorization)).headers["WWW-Authenticate"] == "Bearer"
    assert issuer.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": timedelta(seconds=-LEEWAY_SECONDS - 60)},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"nbf": timedelta(hours=1)},
        {"iat": timedelta(hours=1)},
        {"aud": "api://other"},
        {"aud": None},
        {"aud": []},
        {"aud": {"a": AUDIENCE}},
        {"iss": ISSUER.removesuffix("/")},
        {"iss": None},
    ],
    ids=lambda changed: "-".join(f"{name}={value!s:.12}" for name, value in changed.items()),
)
async def test_wrong_claims(tokens, changed):
    """Expired, not yet valid, for others, by others, or without what must be there: refused as an invalid token."""
    assert 'error="invalid_token"' in (await refused(tokens, signed(**changed))).headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("claim", "seconds"), [("exp", -LEEWAY_SECONDS + 10), ("nbf", LEEWAY_SECONDS - 10), ("iat", LEEWAY_SECONDS - 10)]
)
async def test_clocks_may_differ(tokens, claim, seconds):
    """Within the leeway the issuer's clock may be ahead of ours or behind."""
    await tokens.check(signed(**{claim: timedelta(seconds=seconds)}))


async def test_another_key(tokens):
    """A token signed by a key that is not published is refused, also when it names one that is."""
    await refused(tokens, signed(OTHER_KEY))


async def test_a_changed_payload(tokens):
    """A signature holds for its payload only."""
    head, _, signature = signed().split(".")
    await refused(tokens, f"{head}.{part(json.dumps(claims(sub='admin')).encode())}.{signature}")


async def test_no_signature(tokens):
    """Algorithm "none" is refused, with and without a signature part."""
    payload = json.dumps(claims()).encode()
    for name in (b"none", b"None", b"NONE"):
        await refused(tokens, crafted(b'{"alg":"' + name + b'","kid":"1"}', payload, lambda _: b""))


async def test_the_public_key_is_no_secret(tokens):
    """HS256 keyed with the published key, the classic confusion, is refused."""
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    payload = json.dumps(claims()).encode()
    forged = crafted(b'{"alg":"HS256","kid":"1"}', payload, lambda text: hmac.digest(pem, text, hashlib.sha256))
    await refused(tokens, forged)


async def test_only_configured_algorithms(issuer):
    """A good signature of another kind is refused unless the settings allow it."""
    issuer.pages["/keys"] = page({"keys": [public(CURVE_KEY, kid="1")]})
    token = signed(CURVE_KEY, "ES256")
    await refused(checker(issuer), token)
    await checker(issuer, "RS256", "ES256").check(token)


@pytest.mark.parametrize("header", [{"kid": "2"}, {"kid": ""}])
async def test_unknown_keys(tokens, header):
    """A token that names no published key is refused."""
    await refused(tokens, signed(header=header))


async def test_keys_for_encryption_sign_nothing(tokens, issuer):
    """A published key whose use is encryption is none to check signatures with."""
    issuer.pages["/keys"] = page({"keys": [public(OTHER_KEY, kid="2"), public(kid="1", use="enc")]})
    await refused(tokens, signed())


@pytest.mark.parametrize(
    ("claim", "permitted"),
    [
        ("a", {"a"}),
        (["a", "b"], {"a", "b"}),
        (["a", 5, "", None, ["b"]], {"a"}),
        ("*", None),
        (["a", "*"], None),
        *((nothing, set()) for nothing in (None, "", [], 5, {"a": 1}, True)),
    ],
)
async def test_a_token_permits_the_cases_that_it_names(issuer, claim, permitted):
    """One, a list of them, or all; whatever else the claim is, none."""
    settings = JwtSettings(ISSUER, (AUDIENCE,), f"{issuer.url}/keys", cases_claim="cases")
    permission = await BearerTokens(settings, FakeClock()).check(signed(cases=claim))
    assert permission.cases == permitted
    for case, may_see in (("a", permitted is None or "a" in permitted), ("c", permitted is None)):
        with nullcontext() if may_see else pytest.raises(Forbidden):
            permission.require(case)


async def test_unknown_keys_do_not_drive_the_issuer(tokens, issuer):
    """Many tokens with unknown keys do not become as many requests to the issuer."""
    for number in range(10):
        await refused(tokens, signed(header={"kid": f"unknown {number}"}))
    assert len(issuer.asked) <= 2


async def test_keys_are_fetched_once(tokens, issuer):
    """The key set is cached: ten checks are one request."""
    for _ in range(10):
        await tokens.check(signed())
    assert len(issuer.asked) == 1


async def test_no_keys_and_no_issuer(tokens, issuer):
    """With the issuer down and nothing cached nobody can tell: 503, not 401, for the client would sign out."""
    issuer.close()
    with pytest.raises(Unavailable):
        await tokens.check(signed())


async def test_cached_keys_outlive_the_issuer(tokens, issuer):
    """With the issuer down the keys that are cached go on serving."""
    await tokens.check(signed())
    issuer.close()
    await tokens.check(signed())
    await refused(tokens, signed(OTHER_KEY))


@pytest.mark.parametrize("status", [302, 404, 500, 503])
async def test_an_issuer_that_fails(tokens, issuer, clock, status):
    """Any failing answer of the issuer is its trouble, not the client's; after a moment a check tries again."""
    issuer.pages["/keys"] = page(KEYS, status)
    with pytest.raises(Unavailable):
        await tokens.check(signed())
    asked, issuer.pages["/keys"] = len(issuer.asked), page(KEYS)
    with pytest.raises(Unavailable):
        await tokens.check(signed())
    assert len(issuer.asked) == asked
    clock.advance(REFETCH_SECONDS)
    await tokens.check(signed())


async def test_an_issuer_that_hangs_up(tokens, issuer):
    """A connection reset by the issuer is an outage like any other."""

    def reset(request):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()

    issuer.pages["/keys"] = reset
    with pytest.raises(Unavailable):
        await tokens.check(signed())


JUNK = [
    b"<html>",
    b"[]",
    b"{}",
    b'{"keys":[]}',
    b'{"keys":null}',
    b'{"keys":[1]}',
    b'{"keys":[{"kty":"RSA"}]}',
    b"\xff",
]


@pytest.mark.parametrize("body", [*JUNK, b"[" * 20_000], ids=lambda body: str(body[:12]))
async def test_an_issuer_that_talks_nonsense(tokens, issuer, body):
    """A key set that cannot be read leaves a good token undecided: 503, not 401."""
    issuer.pages["/keys"] = page(body)
    with pytest.raises(Unavailable):
        await tokens.check(signed())


async def test_a_key_set_without_names(tokens, issuer, clock):
    """A key set that names none of its keys does not push out the keys at hand."""
    await tokens.check(signed())
    issuer.pages["/keys"] = page({"keys": [public(OTHER_KEY)]})
    clock.advance(LIFESPAN_SECONDS + 1)
    await tokens.check(signed())


def silenced(issuer: LocalIssuer) -> threading.Event:
    """Let the issuer answer only after the event that is returned."""
    answers = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        answers.wait(10)
        page(KEYS)(request)

    issuer.pages["/keys"] = answer
    return answers


async def while_fetching(
    tokens: BearerTokens, issuer: LocalIssuer, clock: FakeClock
) -> tuple[asyncio.Task[Permission], threading.Event]:
    """Have a good token checked, and then one with an unknown key, for which the issuer is asked and is silent."""
    await tokens.check(signed())
    clock.advance(REFETCH_SECONDS)
    answers = silenced(issuer)
    stranger = asyncio.create_task(tokens.check(signed(header={"kid": "unknown"})))
    while len(issuer.asked) < 2:
        await asyncio.sleep(0.005)
    return stranger, answers


async def test_a_slow_issuer_holds_up_nobody_with_a_known_key(tokens, issuer, clock):
    """A stranger's token makes nobody else wait: while its key is looked for, known keys go on serving."""
    stranger, answers = await while_fetching(tokens, issuer, clock)
    try:
        await asyncio.wait_for(tokens.check(signed()), 1)
    finally:
        answers.set()
        await asyncio.gather(stranger, return_exceptions=True)


async def test_a_check_that_is_cancelled(tokens, issuer, clock):
    """A check that is cancelled while the issuer is asked leaves the others their keys."""
    stranger, answers = await while_fetching(tokens, issuer, clock)
    stranger.cancel()
    await asyncio.gather(stranger, return_exceptions=True)
    answers.set()
    await tokens.check(signed())


async def test_a_first_check_that_is_cancelled(tokens, issuer):
    """The first fetch is everybody's: cancelling the check that began it does not leave the others without keys."""
    answers = silenced(issuer)
    first = asyncio.create_task(tokens.check(signed()))
    while len(issuer.asked) < 1:
        await asyncio.sleep(0.005)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    answers.set()
    await tokens.check(signed())


async def test_a_withdrawn_key(tokens, issuer, clock):
    """A key that the issuer has withdrawn is refused once the cached key set has run out."""
    await tokens.check(signed())
    issuer.pages["/keys"] = page({"keys": [public(OTHER_KEY, kid="2")]})
    clock.advance(LIFESPAN_SECONDS + 1)
    await refused(tokens, signed())


async def test_a_new_key(tokens, issuer, clock):
    """A key that the issuer has added is found once the cached key set has run out."""
    await tokens.check(signed())
    issuer.pages["/keys"] = page({"keys": [public(kid="1"), public(OTHER_KEY, kid="2")]})
    clock.advance(LIFESPAN_SECONDS + 1)
    await tokens.check(signed(OTHER_KEY, header={"kid": "2"}))


GOOD_HEADER = b'{"alg":"RS256","kid":"1"}'
CRAFTED = {
    "one part": "Bearer x",
    "two parts": "Bearer x.y",
    "four parts": "Bearer a.b.c.d",
    "only dots": "Bearer ..",
    "not base64": "Bearer !.!.!",
    "beyond ASCII": "Bearer \u2713.\u2713.\u2713",
    "lone surrogate": "Bearer \ud800.b.c",
    "null": "Bearer \x00",
    "two tokens": "Bearer a.b.c, Bearer d.e.f",
    "header not UTF-8": crafted(b"\xff\xff"),
    "header a list": crafted(b"[]"),
    "header too deep": crafted(b"[" * 11_000),
    "header huge number": crafted(b'{"alg":"RS256","kid":' + b"9" * 5000 + b"}"),
    "payload a list": crafted(GOOD_HEADER, b"[]"),
    "payload too deep": crafted(GOOD_HEADER, b'{"a":' * 2000),
    "no algorithm": crafted(b'{"kid":"1"}'),
    "odd algorithm": crafted(b'{"alg":["RS256"],"kid":"1"}'),
    "no kid": crafted(b'{"alg":"RS256"}'),
    "odd kid": crafted(b'{"alg":"RS256","kid":{"a":[1]}}'),
    "critical": crafted(b'{"alg":"RS256","kid":"1","crit":["x"]}'),
    "detached": crafted(b'{"alg":"RS256","kid":"1","b64":false,"crit":["b64"]}'),
    "own key": crafted(b'{"alg":"RS256","kid":"1","jku":"file:///etc/passwd","jwk":{"kty":"oct","k":"AA"}}'),
    "no claims": crafted(GOOD_HEADER),
}


@pytest.mark.parametrize("authorization", CRAFTED.values(), ids=CRAFTED)
async def test_crafted_tokens(tokens, authorization):
    """Whatever a stranger sends as a token is refused, never a crash."""
    await refused(tokens, authorization)


async def test_long_tokens(tokens):
    """A token may be as long as the headers may be."""
    await tokens.check(signed(note="x" * 8_000))


async def test_refused_tokens_are_logged_once_a_minute(tokens, clock, caplog):
    """Anybody can send any number of them, and each line is paid for."""
    caplog.set_level("INFO")
    for _ in range(100):
        await refused(tokens, "Bearer x")
    clock.advance(60)
    await refused(tokens, "Bearer x")
    told = [each.getMessage() for each in caplog.records if each.name == "shared.serving.auth"]
    assert told == [f"tokens refused: {times}, the last one: DecodeError" for times in (1, 100)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(text=st.text(st.characters(), max_size=60), prefix=st.sampled_from(["", "Bearer ", "bearer a."]))
async def test_any_header_is_refused(tokens, text, prefix):
    """Arbitrary header text is refused and nothing else."""
    await refused(tokens, prefix + text)


async def test_open_asks_nothing():
    """Without token checks everybody may ask, whatever they send."""
    for authorization in (None, "", "Bearer x"):
        await Open().check(authorization)
