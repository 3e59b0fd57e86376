"""The answer to each error: one table, from which the OpenAPI document is made too.

An answer is a problem document (RFC 9457) with a stable ``code``, and the extra member ``success``.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from shared.errors import BlobStatusError, CountsNotReady, TooManyWaiters, Unavailable

MEDIA_TYPE: Final = "application/problem+json"


class RequestError(BlobStatusError):
    """A request that is refused. The message says what is wrong and what to do.

    Attributes:
        headers: Headers of the answer.
    """

    def __init__(self, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.headers = headers or {}


class BadRequest(RequestError):  # noqa: N818
    """The request cannot be understood."""


class Unauthorized(RequestError):  # noqa: N818
    """The token is missing or not valid. ``challenge`` becomes ``WWW-Authenticate`` (RFC 6750)."""

    def __init__(self, detail: str, challenge: str = "Bearer") -> None:
        super().__init__(detail, {"WWW-Authenticate": challenge})


class Forbidden(RequestError):  # noqa: N818
    """The token is valid, and does not permit this case."""


class CaseUnknown(RequestError):  # noqa: N818
    """None of the case's images was ever counted."""


class MethodNotAllowed(RequestError):  # noqa: N818
    """The resource exists, the method does not apply to it."""


class InternalError(BlobStatusError):
    """An unexpected failure; the log has it with its traceback."""


class Problem(NamedTuple):
    """How an error is answered.

    Attributes:
        status: The HTTP status code.
        code: A stable, machine-readable name.
        title: The same in words.
    """

    status: int
    code: str
    title: str


#: The first class that an error is an instance of decides.
PROBLEMS: Final[dict[type[BlobStatusError], Problem]] = {
    BadRequest: Problem(400, "bad-request", "Bad request"),
    Unauthorized: Problem(401, "unauthorized", "Unauthorized"),
    Forbidden: Problem(403, "case-not-permitted", "Case not permitted"),
    CaseUnknown: Problem(404, "case-unknown", "Case unknown"),
    MethodNotAllowed: Problem(405, "method-not-allowed", "Method not allowed"),
    CountsNotReady: Problem(503, "counts-not-ready", "Counts are not ready yet"),
    TooManyWaiters: Problem(503, "too-many-waiters", "Too many waiters"),
    Unavailable: Problem(503, "unavailable", "Service unavailable"),
    InternalError: Problem(500, "internal-error", "Internal error"),
}


def problem_of(error: BlobStatusError) -> Problem:
    """Return how an error is answered."""
    return next((problem for kind, problem in PROBLEMS.items() if isinstance(error, kind)), PROBLEMS[InternalError])


def document(error: BlobStatusError) -> bytes:
    """Write the problem document of an error."""
    status, code, title = problem_of(error)
    members = {"type": "about:blank", "title": title, "status": status, "detail": str(error), "code": code}
    return json.dumps(members | {"success": False}).encode()
