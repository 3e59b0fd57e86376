"""Prepares a storage account: the folders' containers, and CORS for the live page."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, CorsRule

from localdev.azurite import AzuriteError

if TYPE_CHECKING:
    from shared.model.folders import FolderMap

# The key of local storage is published, so no origin has to be kept out.
CORS: Final = CorsRule(
    ["*"],
    ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"],
    allowed_headers=["*"],
    exposed_headers=["*"],
    max_age_in_seconds=86_400,
)


# Azurite answers in milliseconds by now: one more try, a second later (the SDK's own first pause is 15 to 21 s).
PATIENCE: Final[dict[str, Any]] = {
    "retry_total": 1,
    "connection_timeout": 5,
    "read_timeout": 10,
    "initial_backoff": 1,
    "increment_base": 0,
    "random_jitter_range": 0,
}


def prepare(connection_string: str, folders: FolderMap) -> None:
    """Make the missing containers and let browsers in.

    Raises:
        AzuriteError: Azurite refuses or does not answer.
    """
    try:
        with BlobServiceClient.from_connection_string(connection_string, **PATIENCE) as service:
            service.set_service_properties(cors=[CORS])
            for container in {location.container for location in folders.locations.values()}:
                with suppress(ResourceExistsError):
                    service.create_container(container)
    except AzureError as error:
        said = str(error).partition("\n")[0]
        raise AzuriteError(f"Azurite could not be prepared: {said}") from error
