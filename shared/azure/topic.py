"""A custom Event Grid topic behind the :class:`shared.model.ports.Topic` port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from shared.errors import NotPublished
from shared.model.snapshot import StatusSnapshot

if TYPE_CHECKING:
    from azure.core.credentials import AzureKeyCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AioHttpTransport

    from shared.model.tally import Tally

STATUS_CHANGED: Final = "Storage.StatusChanged"
SOURCE: Final = "/cases/storage"
_TIMEOUT_SECONDS: Final = 10


class GridTopic:
    """Publishes ``Storage.StatusChanged`` CloudEvents.

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
        try:
            await self._client.send(event, connection_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS)
        except (AzureError, OSError, TimeoutError) as error:
            raise NotPublished(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()
