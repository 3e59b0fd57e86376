"""The bridge's own endpoint, under a path that no account can have: account names have no underscores.

- `GET /__bridge__/stats`: counts as JSON.
- `GET /__bridge__/dead-letters`: events that will not be delivered, with the reason.
- `PUT /__bridge__/chaos`, body like `dup=0.3,reorder=0.5`: misbehave from now on; an empty body ends it.
- `POST /__bridge__/redeliver?last=N`: deliver the last N delivered events once more.

A web page in the developer's browser can send requests here, too. It is refused (403): it names a Host of its own, or
an Origin.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from localdev.bridge import chaos
from localdev.bridge.http1 import response
from localdev.ports import names_this_machine

if TYPE_CHECKING:
    from localdev.bridge.delivery import Delivery
    from localdev.bridge.http1 import Head
    from localdev.bridge.journal import Journal

PREFIX: Final = "/__bridge__/"


class Control:
    """Answers requests to the control endpoint."""

    def __init__(self, journal: Journal, delivery: Delivery) -> None:
        self._journal = journal
        self._delivery = delivery

    def owns(self, target: str) -> bool:
        """Tell whether a request target belongs to the control endpoint."""
        return target.startswith(PREFIX)

    def answer(self, head: Head, body: bytes) -> bytes:
        """Return the whole response as bytes."""
        try:
            status, value = self._route(head, body)
        except ValueError as error:
            status, value = HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return response(status, "application/json", json.dumps(value).encode())

    def _route(self, head: Head, body: bytes) -> tuple[HTTPStatus, Any]:
        if head.get("origin") or not names_this_machine(head.get("host")):
            return HTTPStatus.FORBIDDEN, {"error": "the control endpoint answers tools on this machine, no web pages"}
        target = urlsplit(head.target)
        match head.method, target.path.removeprefix(PREFIX):
            case "GET", "stats":
                return HTTPStatus.OK, {**self._delivery.stats(), "chaos": str(self._delivery.chaos)}
            case "GET", "dead-letters":
                return HTTPStatus.OK, [{"reason": e.reason, "event": e.event} for e in self._journal.kept("dead")]
            case "PUT", "chaos":
                self._delivery.chaos = chaos.parse(body.decode())
                return HTTPStatus.OK, {"chaos": str(self._delivery.chaos)}
            case "POST", "redeliver":
                last = int(parse_qs(target.query).get("last", ["1"])[0])
                return HTTPStatus.ACCEPTED, {"redelivering": self._delivery.redeliver(last)}
        return HTTPStatus.NOT_FOUND, {"error": f"{head.method} {target.path} is not part of the control endpoint"}
