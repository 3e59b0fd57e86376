"""How storage is reached: `STORAGE`, or `STORAGE__blobServiceUri` and `STORAGE__tableServiceUri` with an identity.

The platform's own connections have more spellings (`__accountName`, `__serviceUri`, `__credential`). A user of one
means an account in Azure, and would get Azurite's counts if it were ignored: so the app refuses unknown spellings and
names the known ones.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.errors import SettingsError
from shared.settings.tokens import is_address, is_safe_address

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "STORAGE"
_BLOBS: Final = f"{_NAME}__blobServiceUri"
_TABLES: Final = f"{_NAME}__tableServiceUri"
_CLIENT: Final = f"{_NAME}__clientId"
_KNOWN: Final = (_NAME, _BLOBS, _TABLES, _CLIENT)
_AZURITE: Final = "UseDevelopmentStorage=true"
#: Case does not matter: Windows makes all names upper-case. `__` stands for `:`.
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
        text, blob_url, table_url, client_id = _values(environ)
        if text and (blob_url or table_url):
            raise SettingsError(f"{_NAME} and {_NAME}__…ServiceUri are both set; remove one of the two")
        if blob_url or table_url:
            for name, url in ((_BLOBS, blob_url), (_TABLES, table_url)):
                if not url.lower().startswith("https://") or not is_safe_address(url):
                    kind = "blob" if name == _BLOBS else "table"
                    raise SettingsError(f"{name}={url} must be https://<account>.{kind}.core.windows.net")
            return cls(blob_url=blob_url, table_url=table_url, client_id=client_id)
        if not text and in_azure:
            raise SettingsError(f"{_NAME} is not set; set {_BLOBS} and {_TABLES} to the account's addresses")
        if text.rstrip(";").lower() in {"", _AZURITE.lower()}:
            return cls(connection_string=_AZURITE)
        if wrong := _what_is_wrong(text):
            raise SettingsError(f"{_NAME} is not a usable connection string: {wrong}")
        return cls(connection_string=text)


def _what_is_wrong(text: str) -> str:
    """Return why blobs and tables cannot both be reached by a connection string, or "". It never quotes a value.

    The names in it, and what they mean together, are those of the SDK (``parse_connection_str`` of its two packages).
    """
    parts = [part.partition("=") for part in text.rstrip(";").split(";")]
    found = {name.lower(): value for name, _, value in parts}
    if len(found) < len(parts) or not all(name and value for name, _, value in parts):
        return f"write name=value, separated by semicolons, each name once, or try {_NAME}={_AZURITE}"
    if found.get("usedevelopmentstorage", "").lower() == "true":
        return f"{_AZURITE} stands alone"
    if {"accountname", "accountkey"} <= found.keys():
        try:
            b64decode(found["accountkey"])
        except ValueError:
            return "its AccountKey is not base64; is it cut?"
    elif "sharedaccesssignature" not in found:
        return "it has neither AccountName and AccountKey nor a SharedAccessSignature"
    for service in ("Blob", "Table"):
        if not is_address(_address_of(service.lower(), found)):
            return f"it says no address of a {service.lower()} service: AccountName, or {service}Endpoint=https://…"
    return ""


def _address_of(service: str, found: Mapping[str, str]) -> str:
    """Return what the SDK takes for a service's address, "" for none."""
    address = found.get(f"{service}endpoint", "")
    if address:
        return address if address.lower().startswith("http") else f"https://{address}"
    if "accountname" not in found or f"{service}secondaryendpoint" in found:
        return ""
    suffix = found.get("endpointsuffix", "")
    scheme = found.get("defaultendpointsprotocol", "https") if suffix else "https"
    return f"{scheme}://{found['accountname']}.{service}.{suffix or 'core.windows.net'}"


def _values(environ: Mapping[str, str]) -> list[str]:
    """Return the values of the known variables, whatever the case of their names."""
    found = {name.lower(): environ.get(name, "").strip() for name in _KNOWN}
    for name, value in environ.items():
        if not is_storage(name) or not value.strip():
            continue
        if name.lower() not in found:
            raise SettingsError(
                f"{name} is not a setting of this app, and would be ignored; use {_BLOBS} and {_TABLES} "
                f"(https://<account>.blob.core.windows.net and https://<account>.table.core.windows.net), {_CLIENT} "
                f"for a user-assigned identity, or {_NAME} for a connection string"
            )
        if found[name.lower()] not in {"", value.strip()}:
            raise SettingsError(f"{name} is set twice, in different case; remove one of the two")
        found[name.lower()] = value.strip()
    return list(found.values())
