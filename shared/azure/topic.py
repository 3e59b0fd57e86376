"""A custom Event Grid topic behind the :class:`shared.model.ports.Topic` port."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from shared.errors import NotPublished
from shared.model.snapshot import StatusSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.core.credentials import AzureKeyCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AioHttpTransport

    from shared.model.cases import CaseTally, StoredCase
    from shared.model.tally import Tally

STATUS_CHANGED: Final = "Storage.StatusChanged"
CASE_DRAINED: Final = "Storage.CaseDrained"
SOURCE: Final = "/cases/storage"
_TIMEOUT_SECONDS: Final = 10


class GridTopic:
    """Publishes ``Storage.StatusChanged`` and ``Storage.CaseDrained`` CloudEvents.

    Args:
        endpoint: The topic's address.
        credential: The app's identity.
        transport: The connections to use, or None: its own.
    """

    def __init__(
        self,
        endpoint: str,
        credential: AsyncTokenCredential | AzureKeyCredential,
        transport: AioHttpTransport | None = None,
    ) -> None:
        options = {"transport": transport} if transport is not None else {}
        self._client = EventGridPublisherClient(endpoint, credential, retry_total=0, **options)

    async def publish(self, tally: Tally) -> None:
        """Publish these counts. The event's id is their version, its data that of the status endpoint."""
        data = StatusSnapshot(tally, tally.changed_at).data
        event = CloudEvent(SOURCE, STATUS_CHANGED, id=tally.version, data=data, time=tally.changed_at, subject="status")
        await self._send([event])

    async def publish_drained(self, drained: Sequence[StoredCase]) -> None:
        """Publish an event a case. Its id is made of the version, so that who gets one twice can tell."""
        await self._send([_drained(case, tally) for case, tally, _, _ in drained])

    async def _send(self, events: list[CloudEvent[dict[str, object]]]) -> None:
        try:
            await self._client.send(events, connection_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS)
        except (AzureError, OSError, TimeoutError) as error:
            raise NotPublished(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def _drained(case: str, tally: CaseTally) -> CloudEvent[dict[str, object]]:
    changed_at = tally.changed_at or datetime.now(UTC)
    data = {"case": case, **StatusSnapshot(tally, changed_at).data}
    return CloudEvent(SOURCE, CASE_DRAINED, id=f"drained-{tally.version}", data=data, time=changed_at, subject=case)
