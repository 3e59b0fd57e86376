"""An issuer of bearer tokens on this machine: its key set, and tokens that hold or do not."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.leaks.secrets import secret

ISSUER, AUDIENCE = "https://issuer.example.com/", "api://status"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class _Keys(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        public = json.loads(RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "1", "use": "sig", "alg": "RS256"}
        body = json.dumps({"keys": [public]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextlib.contextmanager
def running_issuer() -> Iterator[dict[str, str]]:
    """Serve the keys; yields the settings of an app that trusts them."""
    keys = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{keys.server_port}/keys"
        yield {"AUTH_MODE": "jwt", "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "JWT_JWKS_URL": url}
    finally:
        keys.shutdown()
        keys.server_close()


def token(key: rsa.RSAPrivateKey = KEY, **changes: object) -> str:
    """Make a token that holds, but for the changes."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "phone", "exp": now + 300, "nbf": now - 10, **changes}
    made = jwt.encode({k: v for k, v in claims.items() if v is not None}, key, "RS256", headers={"kid": "1"})
    return secret("a token", made)
