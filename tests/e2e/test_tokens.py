"""AUTH_MODE=jwt and function on the real runtime: who may ask, and what the others are told."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from localdev.testbed import STATUS, STREAM, Stack
from shared.serving.auth import LEEWAY_SECONDS
from tests.e2e.issuer import AUDIENCE, ISSUER, KEY, running_issuer, token
from tests.leaks.secrets import secret

FUNCTION_KEY = secret("a function key", "the-function-key-of-these-tests")
MASTER_KEY = secret("a master key", "the-master-key-of-these-tests")
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run a host that asks for tokens of an issuer on this machine."""
    folder: Path = tmp_path_factory.mktemp("secured")
    with running_issuer() as settings, Stack(folder, **settings) as stack:
        stack.azurite.start()
        stack.start_host()
        with httpx.Client(base_url=stack.host_url, timeout=20) as client:
            yield client


def signed_with_the_public_key() -> str:
    """Make a token of the old trick: HS256, with the issuer's public key, which everybody has, as the secret."""

    def encoded(raw: bytes) -> bytes:
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = encoded(b'{"alg":"HS256","typ":"JWT","kid":"1"}')
    signed = head + b"." + encoded(json.dumps({"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000}).encode())
    return secret("a token", (signed + b"." + encoded(hmac.digest(public, signed, "sha256"))).decode())


GOOD = "good"
TOKENS = {
    "none": None,
    "empty": "Bearer",
    "basic": "Basic dXNlcjpwYXNz",
    "garbage": "Bearer garbage",
    "three parts": "Bearer a.b.c",
    "expired": f"Bearer {token(exp=1)}",
    "without expiry": f"Bearer {token(exp=None)}",
    "not yet valid": f"Bearer {token(nbf=4_000_000_000)}",
    "wrong audience": f"Bearer {token(aud='api://other')}",
    "wrong issuer": f"Bearer {token(iss='https://evil.example.com/')}",
    "wrong key": f"Bearer {token(OTHER_KEY)}",
    "alg none": f"Bearer {jwt.encode({'iss': ISSUER, 'aud': AUDIENCE}, '', 'none')}",
    "HS256 with the public key": f"Bearer {signed_with_the_public_key()}",
    GOOD: f"Bearer {token(exp=4_000_000_000)}",
}
#: Route → what it answers without a token that holds; with one all answer 200.
ROUTES = {STATUS: 401, STREAM: 401, "/api/health": 200, "/api/openapi.json": 200}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", TOKENS)
def test_every_route_with_every_token(secured: httpx.Client, method: str, path: str, name: str) -> None:
    """The matrix: a token that does not hold gets a problem document with a challenge, and nothing of the counts."""
    authorization = TOKENS[name]
    with secured.stream(method, path, headers={"Authorization": authorization} if authorization else {}) as response:
        assert response.status_code == (200 if name == GOOD else ROUTES[path])
        if response.status_code == 200 or method == "HEAD":
            return
        response.read()
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["success"] is False
    assert "count" not in response.text


def test_health_is_alive_for_everybody_and_detailed_for_some(secured: httpx.Client) -> None:
    """Without a token only the status; with one what an operator asks."""
    assert secured.get("/api/health").json() == {"status": "ok"}
    detailed = secured.get("/api/health", headers={"Authorization": f"Bearer {token()}"}).json()
    assert {"storage_reachable", "last_reconciliation", "waiters"} <= set(detailed)


def ending(seconds: float) -> tuple[dict[str, str], float]:
    """Return the header with a token that holds for so long, and when it ends."""
    exp = int(time.time() + seconds - LEEWAY_SECONDS)
    return {"Authorization": f"Bearer {token(exp=exp)}"}, exp + LEEWAY_SECONDS


@pytest.mark.parametrize("how", ["query", "prefer"])
def test_a_token_that_ends_while_a_request_is_held(secured: httpx.Client, how: str) -> None:
    """The wait is cut to the token's end, leeway included, and answered 304; then the token holds no more."""
    headers, ends_at = ending(3.5)
    headers |= {"If-None-Match": "*"} | ({"Prefer": "wait=15"} if how == "prefer" else {})
    answer = secured.get(STATUS, headers=headers, params={"wait": "15"} if how == "query" else {})
    assert answer.status_code == 304
    assert -0.1 <= time.time() - ends_at < 2
    if how == "prefer":
        applied = answer.headers["preference-applied"].removeprefix("wait=")
        assert 0 < float(applied) <= 3.5
        assert len(applied) <= 3
    assert secured.get(STATUS, headers=headers).status_code == 401


def test_a_wait_that_ends_before_its_token(secured: httpx.Client) -> None:
    """A token that ends later than the wait changes nothing."""
    headers, _ = ending(60)
    answer = secured.get(STATUS, headers=headers | {"If-None-Match": "*", "Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=1")


def test_a_token_that_ends_while_a_stream_is_open(secured: httpx.Client) -> None:
    """The stream ends with its token, in good order; it cannot be opened again with it."""
    headers, ends_at = ending(3.5)
    with secured.stream("GET", STREAM, headers=headers) as answer:
        assert b"event: status_update" in answer.read()
    assert -0.1 <= time.time() - ends_at < 2
    assert secured.get(STREAM, headers=headers).status_code == 401


@pytest.mark.skipif(os.environ.get("FUNCTIONS_HOST") == "func", reason="Core Tools makes up its own keys")
def test_function_keys(tmp_path: Path) -> None:
    """AUTH_MODE=function: the platform asks for the key before the app is reached; liveness is open to all."""
    with Stack(tmp_path, AUTH_MODE="function", HOST_FUNCTION_KEY=FUNCTION_KEY, HOST_MASTER_KEY=MASTER_KEY) as stack:
        stack.azurite.start()
        stack.start_host(stack.host_port, "--enable-auth")
        with httpx.Client(base_url=stack.host_url, timeout=20) as client:
            for path in (STATUS, STREAM):
                assert client.get(path).status_code == 401
                assert client.get(path, headers={"x-functions-key": "garbage"}).status_code == 401
                assert client.head(path, headers={"x-functions-key": FUNCTION_KEY}).status_code == 200
            assert client.get(STATUS, params={"code": FUNCTION_KEY}).status_code == 200
            assert client.get("/api/health").json() == {"status": "ok"}
            assert client.post(stack.webhook, headers={"aeg-event-type": "Notification"}, json=[]).status_code == 401
