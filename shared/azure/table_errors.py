"""What answers of Table Storage mean to the app, whoever has sent the request: the SDK, or :mod:`shared.azure.batch`.

Only a 4xx with an error code of the service is a known outcome. Everything else is :class:`OutcomeUnknown`: what
azure-core calls "never sent" (it says so of a server that hung up on a reused connection), an answer that cannot be
understood, and the error page of something in between.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableTransactionError

from shared.errors import Conflict, OutcomeUnknown, Refused, Rejected, StorageError, TableAbsent

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What answers of storage mean for a transaction, by status; other 4xx are :class:`Refused`.
_CONFLICTS: Final = {404, 409, 412}
TOO_LARGE: Final = 413
_REJECTIONS: Final = {400, TOO_LARGE}
#: These speak of the table, not of a row: https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
_TABLE_CODES: Final = {"TableNotFound", "TableBeingDeleted"}
_SERVICE_CODE: Final = re.compile(r"[A-Z][A-Za-z0-9]{2,}")


@contextmanager
def translated(*, is_one_write: bool = False) -> Iterator[None]:
    """Turn whatever escapes the SDK into the app's errors; ``is_one_write`` where a refusal is that of one row."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        # A connection cut in the middle, or an answer that cannot be decoded: the SDK lets the exceptions of every
        # decoder through, zlib's and the XML parser's among them. None of them says what storage has done.
        text = str(error).partition("\n")[0]
        if not isinstance(error, HttpResponseError) or error.status_code is None:
            raise OutcomeUnknown(f"no usable answer from Table Storage: {type(error).__name__}: {text}") from error
        is_commit = is_one_write or isinstance(error, TableTransactionError)
        index = getattr(error, "index", 0) if is_commit else None
        raise failure(error.status_code, code_of(error), text, index, error.response) from error


def failure(status: int, code: str, text: str, index: int | None, response: Any) -> StorageError:
    """Return what an answer means that is no success.

    Args:
        status: HTTP status, of the answer or of an operation in it.
        code: The service's error code; anything else when it is no answer of the service.
        text: The service's message.
        index: Which operation failed, and with it all; None where no row is to blame.
        response: The answer: its headers say how long a busy service is to be left alone.
    """
    code = code if _SERVICE_CODE.fullmatch(code) else ""  # the SDK also takes any tag of a page that has "code" in it
    message = f"Table Storage answered {status} {code}: {text}"
    if not 400 <= status < 500 or status in {408, 429}:  # noqa: PLR2004
        return OutcomeUnknown(message, _retry_after(response))
    if not code:
        message = f"something between the app and Table Storage answered {status}"
        is_too_large = index is not None and status == TOO_LARGE
        return Rejected(message, by_service=False) if is_too_large else OutcomeUnknown(message)
    if index is not None:
        if status in _CONFLICTS and code not in _TABLE_CODES:
            return Conflict(message, index)
        if status in _REJECTIONS:
            return Rejected(message, index)
    return (TableAbsent if code in _TABLE_CODES else Refused)(message, status, code)


def code_of(error: HttpResponseError) -> str:
    """Return the error code of the SDK's exception, or ""."""
    code = getattr(error, "error_code", None)
    if code is None and error.response is not None:  # the SDK's create_entity raises what it has not decoded
        response: Any = error.response
        with suppress(AttributeError, ValueError):
            code = response.headers.get("x-ms-error-code") or code_and_text(response.text())[0]
    return str(getattr(code, "value", code) or "")


def code_and_text(body: str | bytes) -> tuple[str, str]:
    """Return code and message of an error as the service writes it; "" where it is no JSON, or not the service's."""
    try:
        error = json.loads(body)["odata.error"]
        return str(error["code"]), str(error["message"]["value"])
    except (KeyError, TypeError, ValueError):
        return "", ""


def _retry_after(response: Any) -> float:
    """Return the seconds that a busy service asks for; it gives no dates.

    https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
    """
    text = str((getattr(response, "headers", None) or {}).get("Retry-After") or "")
    return float(text) if text.isdecimal() else 0.0
