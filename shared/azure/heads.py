"""HEAD requests behind the :class:`shared.model.ports.Heads` port, and the clock they bring along."""

from __future__ import annotations

from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from shared.errors import OutcomeUnknown, Refused, StorageError
from shared.model.ports import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
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
        except Exception as error:
            raise translate(error) from error
        if is_directory(found.metadata, dates.resource_type):
            return Head(present=False, date=dates.date)
        if not (found.etag and found.last_modified and found.blob_type):  # a page of something in between
            raise OutcomeUnknown(f"the answer about {container}/{name} is not Blob Storage's")
        return Head(present=True, date=dates.date, etag=str(found.etag), last_modified=found.last_modified)


def is_directory(metadata: Mapping[str, str] | None, resource_type: str | None) -> bool:
    """Tell whether what has the name of a blob is a directory, which is no image whatever it is called.

    With a hierarchical namespace the service says so; without one, drivers for Hadoop mark an empty blob.
    """
    marks = {name.lower(): value for name, value in (metadata or {}).items()}
    return resource_type == "directory" or marks.get("hdi_isfolder", "").lower() == "true"


class AnswerDate:
    """Notes the ``Date`` of an SDK call's answer; pass :meth:`note` as ``raw_response_hook``.

    Attributes:
        resource_type: What the answer says that the blob is, where the account has a hierarchical namespace.
    """

    def __init__(self) -> None:
        self._date: datetime | None = None
        self.resource_type: str | None = None

    def note(self, response: Any) -> None:
        """Note the answer's date, if it has one."""
        with suppress(OutcomeUnknown):
            self._date = answer_date(response.http_response)
        self.resource_type = response.http_response.headers.get("x-ms-resource-type")

    @property
    def is_dated(self) -> bool:
        """Whether there was an answer with a date."""
        return self._date is not None

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
    """Turn whatever escapes the blob SDK into the app's: its own exceptions, and those of any decoder."""
    if isinstance(error, StorageError):
        return error
    if not isinstance(error, HttpResponseError) or not error.status_code:
        return OutcomeUnknown(f"no usable answer from Blob Storage: {type(error).__name__}")
    text = str(error.message).partition("\n")[0]
    status, code = error.status_code, error_code(error)
    message = f"Blob Storage answered {status} {code}: {text}"
    return Refused(message, status, code) if 400 <= status < 500 else OutcomeUnknown(message)  # noqa: PLR2004
