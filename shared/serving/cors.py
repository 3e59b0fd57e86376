"""CORS: which browser origins may read the answers, and which headers of them.

The platform's own CORS setting replaces these headers and cannot expose ``ETag``; leave it empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from azurefunctions.extensions.http.fastapi import Request

    from shared.serving.responses import Header

EXPOSED: Final = "Date, ETag, Last-Modified, Preference-Applied, Retry-After"
ALLOWED: Final = (
    "Authorization, Cache-Control, If-Modified-Since, If-None-Match, Last-Event-ID, Prefer, X-Functions-Key"
)
PREFLIGHT_SECONDS: Final = 7200


def headers(origins: tuple[str, ...], request: Request, methods: str) -> tuple[Header, ...]:
    """Return the CORS headers of the answer to a request.

    A shared cache may give an answer to the next client, also of another origin or of none, and after the origins have
    been changed. So either the answer is the same for all, or it carries ``Vary: Origin``.

    Args:
        origins: The origins that may read it; ``*`` stands for all.
        request: The request.
        methods: The methods that a preflight is told.
    """
    is_open = "*" in origins
    found = [] if is_open else [("Vary", "Origin")]
    origin = ", ".join(request.headers.getlist("origin"))
    if not is_open and origin not in origins:
        return tuple(found)
    found += [("Access-Control-Allow-Origin", "*" if is_open else origin), ("Access-Control-Expose-Headers", EXPOSED)]
    if request.method == "OPTIONS":
        found += [
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", ALLOWED),
            ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
        ]
    return tuple(found)
