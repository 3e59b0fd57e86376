"""An issuer of bearer tokens on this machine: what it publishes, good or bad, and tokens that hold or do not."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.leaks.secrets import secret

ISSUER, AUDIENCE = "https://issuer.example.com/", "api://status"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DISCOVERY = "/.well-known/openid-configuration"

type PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
type Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def public(key: PrivateKey = KEY, **members: object) -> dict[str, Any]:
    """Return the public half as it stands in a key set: ``kty`` and the numbers, and these members."""
    algorithms = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm = next((each for kind, each in algorithms.items() if isinstance(key, kind)), OKPAlgorithm)
    made = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | members


def page(body: object, status: int = 200, **headers: str) -> Answer:
    """Answer with a document (bytes as they are, anything else as JSON)."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def endless(chunk: bytes, interval_seconds: float = 0.0, total_bytes: int = 2 * 1024**3) -> Answer:
    """Answer with the same bytes over and over, until there are so many, or nobody takes them."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(total_bytes // len(chunk)):
            request.wfile.write(chunk)
            time.sleep(interval_seconds)

    return answer


class LocalIssuer(http.server.ThreadingHTTPServer):
    """Serves what is in ``pages``.

    Attributes:
        pages: Path → what answers there; anything else is 404.
        asked: The paths that were asked for.
        busy: How many answers are being given, and the most there were at a time.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Answer] = {"/keys": page({"keys": [public(kid="1", use="sig", alg="RS256")]})}
        self.asked: list[str] = []
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def publish(self, path: str, *keys: dict[str, Any], **changed: object) -> str:
        """Be an issuer at this path, with discovery; return its name."""
        issuer = f"{self.url}{path}"
        self.pages[f"{path}/keys"] = page({"keys": keys})
        self.pages[f"{path}{DISCOVERY}"] = page({"issuer": issuer, "jwks_uri": f"{issuer}/keys"} | changed)
        return issuer

    def close(self) -> None:
        """Refuse connections from now on."""
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: LocalIssuer

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.asked.append(self.path)
            server.busy += 1
            server.most_busy = max(server.busy, server.most_busy)
        try:
            with contextlib.suppress(ConnectionError):  # the other side has had enough
                server.pages.get(self.path, page({}, 404))(self)
        finally:
            with server.lock:
                server.busy -= 1

    def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextlib.contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """Run an issuer."""
    issuer = LocalIssuer()
    try:
        yield issuer
    finally:
        issuer.close()


@contextlib.contextmanager
def running_issuer() -> Iterator[dict[str, str]]:
    """Serve the keys; yields the settings of an app that trusts them."""
    with local_issuer() as issuer:
        yield settings_of(issuer)


def settings_of(issuer: LocalIssuer) -> dict[str, str]:
    """Return the settings of an app that trusts the issuer's keys."""
    return {
        "AUTH_MODE": "jwt",
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "JWT_JWKS_URL": f"{issuer.url}/keys",
    }


def token(key: PrivateKey = KEY, algorithm: str = "RS256", kid: str = "1", **changes: object) -> str:
    """Make a token that holds, but for the changes; a claim of None is left out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "phone", "exp": now + 300, "nbf": now - 10, **changes}
    made = jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers={"kid": kid})
    return secret("a token", made)
