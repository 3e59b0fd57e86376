"""Event Grid's dead-letter blobs, which it writes when it gives up delivering.

Their names are ``<SUBSCRIPTION IN CAPITALS>/…/<year>/<month>/<day>/<hour>/<guid>.json``, numbers without leading zeros,
UTC. Each holds one event, or an array of events, as they were to be delivered, with details of the delivery added: in
Event Grid schema ``deadLetterReason``, ``deliveryAttempts``, ``lastDeliveryOutcome``, ``publishTime``,
``lastDeliveryAttemptTime``; in CloudEvents the same in lower case. Source:
https://learn.microsoft.com/azure/event-grid/delivery-and-retry#dead-letter-events

This tool lists the dead-letter container. Invariant I10, that only the reconciler lists, is about the app, and about
the containers that it counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError

from ops.exits import WrongArgument
from shared.azure.heads import ABSENT_CODES, error_code, translate
from shared.azure.listing import BlobListing
from shared.errors import BlobStatusError, ContainerAbsent

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient

#: What Event Grid adds to an event, in lower case.
_ADDED: Final = {
    "deadletterreason",
    "deliveryattempts",
    "lastdeliveryoutcome",
    "lasthttpstatuscode",
    "publishtime",
    "lastdeliveryattempttime",
}


class NotDeadLetters(BlobStatusError):  # noqa: N818
    """The blob was not written by Event Grid. The message says what it is instead."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that was not delivered.

    Attributes:
        text: The event as it was to be delivered, as JSON.
        why: The reason for giving up, and the outcome of the last attempt.
    """

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class LetterBlob:
    """The events of one blob, with its ETag."""

    letters: list[Letter]
    etag: str


class DeadLetters:
    """The dead letters of one container.

    Args:
        service: The SDK's client; its maker closes it.
        container: The container's name.
    """

    def __init__(self, service: BlobServiceClient, container: str) -> None:
        self._listing = BlobListing(service)
        self._name = container
        self._container = service.get_container_client(container)

    async def names(self, prefix: str) -> list[str]:
        """Return the names of all blobs under a prefix that end in ``.json``.

        Raises:
            WrongArgument: There is no such container.
        """
        try:
            pages = [page async for page in self._listing.pages(self._name, prefix)]
        except ContainerAbsent:
            raise WrongArgument(f"there is no container {self._name!r} in this storage account") from None
        return [name for page in pages for name in page.names if name.endswith(".json")]

    async def read(self, name: str) -> LetterBlob | None:
        """Read one blob; return None when it is gone, because another process has replayed and deleted it.

        Raises:
            NotDeadLetters: The blob does not hold dead letters.
        """
        try:
            stream = await self._container.download_blob(name)
            body, etag = await stream.readall(), str(stream.properties.etag)
        except (AzureError, OSError, TimeoutError) as error:
            if isinstance(error, ResourceNotFoundError) and error_code(error) in ABSENT_CODES:
                return None
            raise translate(error) from error
        return LetterBlob(read_letters(body), etag)

    async def delete(self, name: str, etag: str) -> bool:
        """Delete a blob if it is still the one that was read; tell whether it was."""
        try:
            await self._container.delete_blob(name, etag=etag, match_condition=MatchConditions.IfNotModified)
        except (ResourceNotFoundError, ResourceModifiedError):
            return False
        except (AzureError, OSError, TimeoutError) as error:
            raise translate(error) from error
        return True


def read_letters(body: bytes) -> list[Letter]:
    """Read the events of a dead-letter blob.

    Raises:
        NotDeadLetters: The body is something else.
    """
    try:
        found = json.loads(body.decode("utf-8-sig"))
        if not isinstance(found, list | dict):
            raise NotDeadLetters(f"neither an event nor an array of them but a JSON {type(found).__name__}")
        return [_letter(number, event) for number, event in enumerate(found if isinstance(found, list) else [found], 1)]
    except RecursionError:
        raise NotDeadLetters("the JSON is nested too deeply") from None
    except ValueError as error:
        raise NotDeadLetters(f"not JSON: {error}") from None


def _letter(number: int, event: object) -> Letter:
    added = {name.lower(): value for name, value in event.items()} if isinstance(event, dict) else {}
    if not isinstance(event, dict) or "deadletterreason" not in added:
        raise NotDeadLetters(f"element {number} has no deadLetterReason: Event Grid did not write this")
    why = ", ".join(str(added[each]) for each in ("deadletterreason", "lastdeliveryoutcome") if each in added)
    return Letter(json.dumps(_as_delivered(event)), why)


def _as_delivered(event: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in event.items() if name.lower() not in _ADDED}
    # Microsoft's sample of a dead-lettered CloudEvent has lost its specversion; whether real ones do is not known.
    if "deadletterreason" in event and "type" in event and "specversion" not in event:
        kept["specversion"] = "1.0"
    return kept
