"""What a storage account needs before it is used: the folders' containers, and CORS for the live page."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, CorsRule

if TYPE_CHECKING:
    from shared.folders import FolderMap

# Local storage with a published key: there is nothing to protect from any origin.
CORS: Final = CorsRule(
    ["*"],
    ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"],
    allowed_headers=["*"],
    exposed_headers=["*"],
    max_age_in_seconds=86_400,
)


def prepare(connection_string: str, folders: FolderMap) -> None:
    """Makes the containers that are missing and lets browsers in."""
    with BlobServiceClient.from_connection_string(connection_string) as service:
        service.set_service_properties(cors=[CORS])
        for container in {location.container for location in folders.locations.values()}:
            with suppress(ResourceExistsError):
                service.create_container(container)
