"""The target of the commands: the app's settings, from the environment or from a local.settings.json."""

from __future__ import annotations

import ipaddress
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from ops.exits import WrongArgument
from shared.errors import SettingsError, TableAbsent
from shared.services import Services
from shared.settings.app import Settings
from shared.settings.storage import is_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shared.settings.storage import Connection

DEFAULT_FILE: Final = "local.settings.json"


@dataclass(frozen=True, slots=True)
class Target:
    """A storage account and the table of its counts.

    Attributes:
        settings: The app's settings.
        source: Where they come from, in words.
    """

    settings: Settings
    source: str

    @property
    def account(self) -> str:
        """The storage account, without anything secret."""
        return _account(self.settings.storage)

    def __str__(self) -> str:
        return f"account {self.account}, table {self.settings.counts_table} (settings: {self.source})"


def read_target(file: str | None, environ: Mapping[str, str]) -> Target:
    """Read the settings.

    Args:
        file: A local.settings.json that goes before the environment. None for the one in this folder, if any, which
            gives what the environment does not say.
        environ: The environment.

    Raises:
        SettingsError: A setting or the file is wrong; the message says what would be right.
    """
    if file is not None:
        return Target(Settings.from_environ(_merged(environ, _values(Path(file)))), f"{file}, environment")
    if Path(DEFAULT_FILE).is_file():
        merged = _merged(_values(Path(DEFAULT_FILE)), environ)
        return Target(Settings.from_environ(merged), f"environment, ./{DEFAULT_FILE}")
    return Target(Settings.from_environ(environ), "environment")


@asynccontextmanager
async def connected(target: Target, *, creates_table: bool, any_counts: bool = False) -> AsyncIterator[Services]:
    """Wire the app's services, and make sure that the table answers and holds the counts of these settings.

    Args:
        target: The account and table.
        creates_table: Whether to make the table if there is none, as the start of the app does.
        any_counts: Whether the table may hold the counts of other settings, or some that cannot be read.

    Raises:
        SettingsError: The SDK cannot use the connection string.
        WrongArgument: There is no such table.
        StorageError: Storage does not answer, or refuses.
    """
    services = Services(target.settings, proxy_to(_blob_url(target.settings.storage)))
    try:
        if creates_table:
            await services.table.create()  # the rest of the app's start is left out: signals end this tool at once
        try:
            if not any_counts:
                await services.counts.read()
        except TableAbsent:
            raise WrongArgument(
                f"account {target.account} has no table {target.settings.counts_table}: check STORAGE and "
                "COUNTS_TABLE, or count for the first time: start the app, or run reconcile"
            ) from None
        yield services
    finally:
        await services.close()


def proxy_to(url: str) -> str | None:
    """Return the proxy that the environment names for an address: HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY has it.

    This machine is always reached directly, because no proxy could reach it.
    """
    found = urlsplit(url)
    host = found.hostname or ""
    if host == "localhost" or is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(found.scheme)


def is_loopback(host: str) -> bool:
    """Tell whether a host is an address of this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _blob_url(storage: Connection) -> str:
    """Return the blob service's address; refuse a connection string that the SDK cannot use."""
    if not storage.connection_string:
        return storage.blob_url
    try:
        TableServiceClient.from_connection_string(storage.connection_string)
        return str(BlobServiceClient.from_connection_string(storage.connection_string).url)
    except ValueError as error:
        raise SettingsError(f"STORAGE is not a usable connection string: {error}") from None


def _values(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8-sig"))
        values = found["Values"]
        encrypted = found.get("IsEncrypted", False)
    except OSError as error:
        raise SettingsError(f"--settings {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SettingsError(
            f'{path} is not a settings file; it looks like {{"IsEncrypted": false, "Values": {{…}}}}'
        ) from None
    if encrypted:
        raise SettingsError(f"{path} is encrypted; run `func settings decrypt`, or set the environment variables")
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise SettingsError(f"{path}: every entry of Values is a text in quotes")
    return values


def _merged(low: Mapping[str, str], high: Mapping[str, str]) -> dict[str, str]:
    """Merge two environments; the address of storage is taken from one of them only."""
    said = {name: value for name, value in high.items() if value.strip()}
    if any(map(is_storage, said)):
        low = {name: value for name, value in low.items() if not is_storage(name)}
    return {**low, **said}


def _account(storage: Connection) -> str:
    if storage.blob_url:
        return urlsplit(storage.blob_url).hostname or storage.blob_url
    parts = dict(part.strip().partition("=")[::2] for part in storage.connection_string.split(";") if part.strip())
    named = {name.lower(): value for name, value in parts.items()}
    if named.get("usedevelopmentstorage", "").lower() == "true":
        return "devstoreaccount1 (Azurite)"
    address = urlsplit(named.get("blobendpoint", ""))
    return " at ".join(filter(None, (named.get("accountname"), address.netloc.rpartition("@")[2])))
