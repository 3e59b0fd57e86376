"""How storage is reached: `STORAGE`, or `STORAGE__blobServiceUri` and `STORAGE__tableServiceUri` with an identity.

The platform's own connections have more spellings (`__accountName`, `__serviceUri`, `__credential`). A user of one
means an account in Azure, and would get Azurite's counts if it were ignored: so the app refuses unknown spellings and
names the known ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "STORAGE"
_BLOBS: Final = f"{_NAME}__blobServiceUri"
_TABLES: Final = f"{_NAME}__tableServiceUri"
_CLIENT: Final = f"{_NAME}__clientId"
_KNOWN: Final = (_NAME, _BLOBS, _TABLES, _CLIENT)
_AZURITE: Final = "UseDevelopmentStorage=true"
#: Matches any case, because a name in the wrong case would be ignored too; `__` stands for `:`.
_OURS: Final = re.compile(rf"{_NAME}(__.*|:.*)?", re.IGNORECASE | re.DOTALL)


def is_storage(name: str) -> bool:
    """Tell whether a variable sets, or tries to set, how storage is reached."""
    return _OURS.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach storage: a connection string, or the service addresses and an identity.

    Attributes:
        connection_string: Set for Azurite, "" otherwise.
        blob_url: Address of the blob service, for an identity.
        table_url: Address of the table service, for an identity.
        client_id: Client id of a user-assigned identity, or "".
    """

    connection_string: str = ""
    blob_url: str = ""
    table_url: str = ""
    client_id: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, in_azure: bool) -> Connection:
        """Read and check the variables; without any of them, outside Azure, Azurite is meant.

        Raises:
            SettingsError: Names the variable, the mistake and the right form.
        """
        _refuse_unknown(environ)
        text, blob_url, table_url, client_id = (environ.get(name, "").strip() for name in _KNOWN)
        if text and (blob_url or table_url):
            raise SettingsError(f"{_NAME} and {_NAME}__…ServiceUri are both set; remove one of the two")
        if blob_url or table_url:
            for name, url in ((_BLOBS, blob_url), (_TABLES, table_url)):
                if not url.startswith("https://"):
                    kind = "blob" if name == _BLOBS else "table"
                    raise SettingsError(f"{name}={url} must be https://<account>.{kind}.core.windows.net")
            return cls(blob_url=blob_url, table_url=table_url, client_id=client_id)
        if not text and in_azure:
            raise SettingsError(f"{_NAME} is not set; set {_BLOBS} and {_TABLES} to the account's addresses")
        text = text or _AZURITE
        if text != _AZURITE and "=" not in text:
            raise SettingsError(f"{_NAME} is not a connection string; try {_NAME}={_AZURITE}")
        return cls(connection_string=text)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        if is_storage(name) and name not in _KNOWN and value.strip():
            raise SettingsError(
                f"{name} is not a setting of this app, and would be ignored; use {_BLOBS} and {_TABLES} "
                f"(https://<account>.blob.core.windows.net and https://<account>.table.core.windows.net), {_CLIENT} "
                f"for a user-assigned identity, or {_NAME} for a connection string"
            )
