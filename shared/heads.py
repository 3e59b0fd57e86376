"""HEAD requests behind the :class:`shared.ports.Heads` port, and the clock they bring along."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from shared.errors import OutcomeUnknown, Refused, StorageError
from shared.ports import Head

if TYPE_CHECKING:
    from datetime import datetime

    from azure.storage.blob.aio import BlobServiceClient

ABSENT_CODES = frozenset({"BlobNotFound", "ContainerNotFound"})


class BlobHeads:
    """Looks at single blobs through the SDK.

    Args:
        service: The SDK's client; closed by whoever made it.
    """

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service

    async def head(self, container: str, name: str) -> Head:
        """Look at a blob. Only BlobNotFound and ContainerNotFound mean absent."""
        dates = AnswerDate()
        blob = self._service.get_blob_client(container, name)
        try:
            found = await blob.get_blob_properties(raw_response_hook=dates.note)
        except ResourceNotFoundError as error:
            if error_code(error) in ABSENT_CODES:
                return Head(present=False, date=answer_date(error.response))
            raise translate(error) from error
        except (AzureError, OSError, TimeoutError, ValueError) as error:
            raise translate(error) from error
        return Head(present=True, date=dates.date, etag=str(found.etag), last_modified=found.last_modified)


class AnswerDate:
    """Notes the ``Date`` of an SDK call's answer; pass :meth:`note` as ``raw_response_hook``."""

    def __init__(self) -> None:
        self._date: datetime | None = None

    def note(self, response: Any) -> None:
        """Note the answer's date."""
        self._date = answer_date(response.http_response)

    @property
    def date(self) -> datetime:
        """The date noted last.

        Raises:
            OutcomeUnknown: There was no answer with a date.
        """
        if self._date is None:
            raise OutcomeUnknown("storage's answer carried no Date")
        return self._date


def answer_date(response: Any) -> datetime:
    """Read the ``Date`` of an HTTP answer: the storage service's clock, to a second.

    Raises:
        OutcomeUnknown: It has none, so nothing can be placed in time.
    """
    try:
        return parsedate_to_datetime(response.headers["Date"])
    except (AttributeError, KeyError, ValueError) as error:
        raise OutcomeUnknown("storage's answer carried no Date") from error


def error_code(error: HttpResponseError) -> str:
    """Return the storage error code of an exception, or ""."""
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")


def translate(error: Exception) -> StorageError:
    """Turn an exception of the blob SDK into the app's."""
    if isinstance(error, HttpResponseError) and error.status_code and 400 <= error.status_code < 500:  # noqa: PLR2004
        message = str(error.message).partition("\n")[0]
        return Refused(f"Blob Storage answered {error.status_code} {error_code(error)}: {message}", error.status_code)
    return OutcomeUnknown(f"no usable answer from Blob Storage: {type(error).__name__}")
