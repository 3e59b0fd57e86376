"""AUTH_MODE=jwt and function on the real runtime: who may ask, and what the others are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.issuer import AUDIENCE, ISSUER, running_issuer, token
from tests.e2e.stack import STATUS, STREAM, Stack

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run a host that asks for tokens of an issuer on this machine."""
    folder: Path = tmp_path_factory.mktemp("secured")
    with running_issuer() as settings:
        stack = Stack(folder, **settings)
        try:
            stack.azurite.start_blocking()
            stack.start_host()
            with httpx.Client(base_url=stack.host_url, timeout=20) as client:
                yield client
        finally:
            stack.close()


@pytest.mark.parametrize("path", [STATUS, STREAM])
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer", id="empty"),
        pytest.param("Basic dXNlcjpwYXNz", id="basic"),
        pytest.param("Bearer garbage", id="garbage"),
        pytest.param("Bearer a.b.c", id="three parts"),
        pytest.param(f"Bearer {token(exp=1)}", id="expired"),
        pytest.param(f"Bearer {token(exp=None)}", id="without expiry"),
        pytest.param(f"Bearer {token(nbf=4_000_000_000)}", id="not yet valid"),
        pytest.param(f"Bearer {token(aud='api://other')}", id="wrong audience"),
        pytest.param(f"Bearer {token(iss='https://evil.example.com/')}", id="wrong issuer"),
        pytest.param(f"Bearer {token(OTHER_KEY)}", id="wrong key"),
        pytest.param(f"Bearer {jwt.encode({'iss': ISSUER, 'aud': AUDIENCE}, '', 'none')}", id="alg none"),
    ],
)
def test_a_token_that_does_not_hold_is_401(secured: httpx.Client, path: str, authorization: str | None) -> None:
    """A problem document with a challenge, and nothing of the counts."""
    response = secured.get(path, headers={"Authorization": authorization} if authorization else {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["success"] is False
    assert "count" not in response.text


def test_a_good_token_is_served(secured: httpx.Client) -> None:
    """The counts, for whoever may ask."""
    response = secured.get(STATUS, headers={"Authorization": f"Bearer {token()}"})
    assert response.status_code == 200


def test_health_is_alive_for_everybody_and_detailed_for_some(secured: httpx.Client) -> None:
    """Without a token only the status; with one what an operator asks."""
    assert secured.get("/api/health").json() == {"status": "ok"}
    detailed = secured.get("/api/health", headers={"Authorization": f"Bearer {token()}"}).json()
    assert {"storage_reachable", "last_reconciliation", "waiters"} <= set(detailed)


def test_a_preflight_needs_no_token(secured: httpx.Client) -> None:
    """Browsers send none with OPTIONS."""
    assert secured.options(STATUS).status_code == 204


@pytest.mark.skipif(os.environ.get("FUNCTIONS_HOST") == "func", reason="Core Tools makes up its own keys")
def test_function_keys(tmp_path: Path) -> None:
    """AUTH_MODE=function: the platform asks for the key before the app is reached; liveness is open to all."""
    stack = Stack(tmp_path, AUTH_MODE="function", HOST_FUNCTION_KEY="the-key", HOST_MASTER_KEY="the-master-key")
    try:
        stack.azurite.start_blocking()
        stack.start_host(stack.host_port, "--enable-auth")
        with httpx.Client(base_url=stack.host_url, timeout=20) as client:
            for path in (STATUS, STREAM):
                assert client.get(path).status_code == 401
                assert client.get(path, headers={"x-functions-key": "garbage"}).status_code == 401
                assert client.head(path, headers={"x-functions-key": "the-key"}).status_code == 200
            assert client.get(STATUS, params={"code": "the-key"}).status_code == 200
            assert client.get("/api/health").json() == {"status": "ok"}
            assert client.post(stack.webhook, headers={"aeg-event-type": "Notification"}, json=[]).status_code == 401
    finally:
        stack.close()
