"""Who answers a request: a function over the relay, or an endpoint of the host; and who may ask."""

import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_plus

import httptools

from localdev.host import admin, webhook
from localdev.host.connection import ClientConnection
from localdev.host.endpoint import Call, Endpoint
from localdev.host.relay import Exchange
from localdev.host.request import Handler, Request
from localdev.host.routes import Router
from localdev.host.timers import Timers
from localdev.host.upstream import WorkerPool
from localdev.host.worker import Worker
from localdev.ports import names_this_machine

_ABSOLUTE_FORM = re.compile(rb"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)


class Keys(NamedTuple):
    """The keys that callers must know, in `x-functions-key` or `?code=`. Without any key nobody is let in."""

    function: str
    master: str

    def allow(self, level: str, offered: str) -> bool:
        """Tell whether a key is good for an authorization level (`anonymous`, `function`, `admin`)."""
        if level == "anonymous":
            return True
        accepted = (self.master,) if level == "admin" else (self.function, self.master)
        # No early exit: the time taken says nothing about which key was nearly right.
        given = offered.encode(errors="surrogatepass")
        matches = [bool(key) and hmac.compare_digest(key.encode(), given) for key in accepted]
        return any(matches)


class Dispatcher:
    """All that serves clients; a `connection.Server`.

    Attributes:
        connections: the clients' connections.
        draining: whether answers end their connections.
    """

    def __init__(self, worker: Worker, router: Router, timers: Timers, keys: Keys | None) -> None:
        """Let everybody call everything, as under `func start`, with `keys` None."""
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self.pool = WorkerPool(worker)
        self._router = router
        self._keys = keys
        self._webhook = webhook.EventGridWebhook(worker)
        self._admin = admin.Admin(worker, timers)

    def open(self, request: Request, client: ClientConnection) -> Handler | None:
        """Take a request."""
        target = origin_form(request.target)
        if target is None:
            client.respond(HTTPStatus.BAD_REQUEST)
            return None
        path, _, query = target.decode("ascii").partition("?")
        lowered = path.lower().rstrip("/")
        if lowered == webhook.PATH:
            endpoint, level = self._webhook.answer, "function"
        elif lowered.startswith(admin.PREFIX):
            endpoint, level = self._admin.answer, "admin"
        else:
            return self._relay(target, path, query, request, client)
        call = Call(request.method, path, _query(query), _headers(request))
        if not names_this_machine(call.headers.get("host", "")):
            client.respond(HTTPStatus.FORBIDDEN)
            return None
        if self._keys and not self._keys.allow(level, _key(call.query, call.headers)):
            client.respond(HTTPStatus.UNAUTHORIZED)
            return None
        return Endpoint(client, call, endpoint)

    def _relay(
        self, target: bytes, path: str, query: str, request: Request, client: ClientConnection
    ) -> Exchange | None:
        match = self._router.match(request.method, path)
        if match is None:
            client.respond(HTTPStatus.NOT_FOUND)
            return None
        level = str(match[0].trigger.get("authLevel", "function")).lower()
        if self._keys and level != "anonymous" and not self._keys.allow(level, _key(_query(query), _headers(request))):
            client.respond(HTTPStatus.UNAUTHORIZED)
            return None
        exchange = Exchange(self.pool, client, request, target, match)
        exchange.start()
        return exchange


def origin_form(target: bytes) -> bytes | None:
    """Return path and query of a target, without scheme, host and fragment; None if the worker cannot parse it."""
    target = _ABSOLUTE_FORM.sub(b"", target, count=1) if not target.startswith(b"/") else target
    target = target.partition(b"#")[0]
    if target.startswith(b"?") or not target:
        target = b"/" + target
    try:
        parsed = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return None
    return target if target.startswith(b"/") and parsed.path and target.isascii() else None


def _query(query: str) -> dict[str, list[str]]:
    """Return the values by the lower-case name; a name without `=` is none, as for .NET."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            found.setdefault(unquote_plus(name).lower(), []).append(unquote_plus(value))
    return found


def _headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.headers)}


def _key(query: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    return headers.get("x-functions-key") or query.get("code", [""])[0]
