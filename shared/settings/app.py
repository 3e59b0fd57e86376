"""Every setting of the app: read once from the environment, checked at the start, never looked up again.

docs/configuration.md documents each one (a test holds the two together).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import re2

from shared.errors import SettingsError
from shared.model.folders import ANY_SUFFIX, FOLDERS, RESERVED, CaseRule, FolderMap, Location, first_segment
from shared.model.schedule import Schedule
from shared.settings import tokens
from shared.settings.storage import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.settings.tokens import JwtSettings

DEFAULT_SUFFIXES: Final = "jpg,jpeg,png,webp,heic,heif,gif,bmp,tif,tiff"
TELEMETRY_TARGETS: Final = ("auto", "off", "azure", "otlp", "console")
#: The case is what stands before the first slash of a blob's name, less its folder's prefix.
FIRST_SEGMENT: Final = "first-segment"
#: What is answered for a case of which nothing was ever counted.
UNKNOWN_CASES: Final = ("zeros", "not-found")
AUTH_MODES: Final = ("anonymous", "function", "jwt")
#: The front end drops a connection after 230 s without traffic, and a wait has none.
LONGEST_WAIT_SECONDS: Final = 200.0
#: A streamed response counts against functionTimeout until its last byte (host.json sets ten minutes).
LONGEST_STREAM_SECONDS: Final = 480.0
#: Our own client takes a stream that says nothing for 35 s for a dead one.
LONGEST_HEARTBEAT_SECONDS: Final = 30.0
#: The platform gives an instance at most 1,000 concurrent HTTP requests; it should scale out before the app refuses.
DEFAULT_MAX_WAITERS: Final = 1200
MOST_WAITERS: Final = 100_000
DEFAULT_RETENTION_DAYS: Final = 90
MOST_RETENTION_DAYS: Final = 36_500
#: A function that overruns functionTimeout takes its whole worker down.
LONGEST_SLICE_SECONDS: Final = 540.0

#: Event Grid takes 25 filter values in a subscription, and each folder is one.
#: https://learn.microsoft.com/azure/event-grid/event-filtering#limitations
MOST_EXTRA_FOLDERS: Final = 25 - len(FOLDERS)

_FOLDER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CONTAINER = re.compile(r"(\$root|\$web|[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,62})")
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,57}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_-][a-z0-9._-]*|\[[0-9a-f:]+\])(:[0-9]+)?")
_EXAMPLE_ORIGIN: Final = "https://app.example.com"
#: Browsers leave these out.
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_IN_AZURE: Final = "WEBSITE_SITE_NAME"


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where measurements go.

    Attributes:
        target: "off", "azure", "otlp" or "console".
        connection_string: Application Insights' connection string, for "azure".
        client_id: Client id of the identity to send with, or "" for the connection string alone.
    """

    target: str = "off"
    connection_string: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings, named as the variables are, in lower case."""

    storage: Connection
    folders: FolderMap
    counts_table: str
    quarantine_container: str
    quarantine_retention: timedelta
    poll_interval_seconds: float
    max_wait_seconds: float
    max_stream_seconds: float
    heartbeat_seconds: float
    max_waiters: int
    case_unknown: str
    reconcile_schedule: str
    reconcile_on_start: bool
    reconcile_slice_seconds: float
    verify_deletes: bool
    event_topics: frozenset[str]
    auth_mode: str
    jwt: JwtSettings | None
    cors_origins: tuple[str, ...]
    status_topic_endpoint: str
    telemetry: TelemetrySettings

    @property
    def inbox_table(self) -> str:
        """Return the name of the table through which processes hand over to each other."""
        return f"{self.counts_table}inbox"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check all settings.

        Raises:
            SettingsError: Names the variable, the mistake and the right form.
        """
        folders = _folders(environ)
        quarantine = _matching(environ, "QUARANTINE_CONTAINER", "eventgrid-quarantine", _CONTAINER, "a container name")
        for folder, location in folders.locations.items():
            if location.container == quarantine:
                raise SettingsError(
                    f"QUARANTINE_CONTAINER={quarantine} is the container of {_setting_of(folder)} and would count "
                    "its own blobs; choose a container of its own"
                )
        auth_mode = _one_of(environ, "AUTH_MODE", AUTH_MODES)
        jwt = tokens.read(partial(_text, environ)) if auth_mode == "jwt" else None
        if jwt is not None and jwt.cases_claim and folders.cases is None:
            raise SettingsError("JWT_CASES_CLAIM needs CASE_FROM: without it there are no counts of cases to permit")
        return cls(
            storage=Connection.from_environ(environ, in_azure=_IN_AZURE in environ),
            folders=folders,
            counts_table=_matching(environ, "COUNTS_TABLE", "storagecounts", _TABLE, "3 to 58 letters and digits"),
            quarantine_container=quarantine,
            quarantine_retention=timedelta(
                days=_count(environ, "QUARANTINE_RETENTION_DAYS", DEFAULT_RETENTION_DAYS, MOST_RETENTION_DAYS)
            ),
            poll_interval_seconds=_seconds(environ, "POLL_INTERVAL_SECONDS", 0.5, 0.05, 30),
            max_wait_seconds=_seconds(environ, "MAX_WAIT_SECONDS", 60, 1, LONGEST_WAIT_SECONDS),
            max_stream_seconds=_seconds(environ, "MAX_STREAM_SECONDS", 180, 1, LONGEST_STREAM_SECONDS),
            heartbeat_seconds=_seconds(environ, "HEARTBEAT_SECONDS", 15, 0.1, LONGEST_HEARTBEAT_SECONDS),
            max_waiters=_count(environ, "MAX_WAITERS", DEFAULT_MAX_WAITERS, MOST_WAITERS),
            case_unknown=_one_of(environ, "CASE_UNKNOWN", UNKNOWN_CASES),
            reconcile_schedule=_schedule(environ),
            reconcile_on_start=_flag(environ, "RECONCILE_ON_START", default=_IN_AZURE not in environ),
            reconcile_slice_seconds=_seconds(environ, "RECONCILE_SLICE_SECONDS", 420, 10, LONGEST_SLICE_SECONDS),
            verify_deletes=_flag(environ, "VERIFY_DELETES", default=False),
            event_topics=_topics(environ),
            auth_mode=auth_mode,
            jwt=jwt,
            cors_origins=_origins(environ),
            status_topic_endpoint=_topic(environ),
            telemetry=_telemetry(environ),
        )


def _text(environ: Mapping[str, str], name: str, default: str = "") -> str:
    return environ.get(name, "").strip() or default


def _matching(environ: Mapping[str, str], name: str, default: str, pattern: re.Pattern[str], what: str) -> str:
    value = _text(environ, name, default)
    if not pattern.fullmatch(value):
        raise SettingsError(f"{name}={value} is not {what}; try {name}={default}")
    return value


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = _text(environ, name, allowed[0])
    if value not in allowed:
        raise SettingsError(f"{name}={value} is unknown; use one of {', '.join(allowed)}")
    return value


def _seconds(environ: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    value = _text(environ, name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise SettingsError(f"{name}={value} is not a number of seconds from {least:g} to {most:g}")
    return number


def _count(environ: Mapping[str, str], name: str, default: int, most: int) -> int:
    value = _text(environ, name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) > most:
        raise SettingsError(f"{name}={value} is not a whole number from 1 to {most} (0: the default, {default})")
    return int(value) or default


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = _text(environ, name, str(default)).lower()
    if value not in {"true", "false", "1", "0"}:
        raise SettingsError(f"{name}={value} is neither true nor false")
    return value in {"true", "1"}


def _folders(environ: Mapping[str, str]) -> FolderMap:
    written = {folder: _text(environ, _setting_of(folder), folder) for folder in FOLDERS}
    locations: dict[str, Location] = {}
    for folder, value in (written | _extra_folders(environ)).items():
        name = _setting_of(folder)
        container, _, prefix = value.partition("/")
        if not _CONTAINER.fullmatch(container):
            example = folder.replace("_", "-")
            raise SettingsError(f"{name}={value} does not begin with a container name; try {name}={example}")
        prefix = prefix.strip("/")
        location = Location(container, f"{prefix}/" if prefix else "")
        for other, taken in locations.items():
            if location.overlaps(taken):
                raise SettingsError(
                    f"{name}={value} overlaps {_setting_of(other)}={taken}: a blob would count twice; "
                    "use two containers, or two prefixes that do not contain each other"
                )
        locations[folder] = location
    return FolderMap(locations, _suffixes(environ), _cases(environ))


def _cases(environ: Mapping[str, str]) -> CaseRule | None:
    value = _text(environ, "CASE_FROM")
    if value in {"", FIRST_SEGMENT}:
        return CaseRule(value, first_segment) if value else None
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(value, options)
    except re2.error as error:
        raise SettingsError(
            f"CASE_FROM={value} is no regular expression of RE2 ({error}); write one, or {FIRST_SEGMENT}"
        ) from None
    if pattern.groups != 1:
        raise SettingsError(
            f"CASE_FROM={value} has {pattern.groups} groups; put parentheses round the case, such as ^([^/]+)/, and "
            "(?:…) round anything else"
        )

    def find(name: str) -> str:
        found = pattern.search(name)
        return found[1] or "" if found is not None else ""

    return CaseRule(value, find)


def _setting_of(folder: str) -> str:
    """Return what stands before a folder's location, as messages quote it."""
    return f"{folder.upper()}_FOLDER" if folder in FOLDERS else f"EXTRA_FOLDERS: {folder}"


def _extra_folders(environ: Mapping[str, str]) -> dict[str, str]:
    """Return name → location as written. By name: the order in the setting does not matter."""
    found: dict[str, str] = {}
    for each in filter(str.strip, _text(environ, "EXTRA_FOLDERS").split(",")):
        name, equals, value = (part.strip() for part in each.partition("="))
        if not equals or not _FOLDER.fullmatch(name):
            raise SettingsError(
                f"EXTRA_FOLDERS={each.strip()}: write name=container or name=container/prefix, separated by commas; "
                "a name has up to 32 lower-case letters, digits and underscores, a letter first"
            )
        if name in RESERVED or name in found:
            why = "is there twice" if name in found else "is taken: the status says something else by it"
            raise SettingsError(f"EXTRA_FOLDERS: the name {name} {why}; choose another")
        found[name] = value
    if len(found) > MOST_EXTRA_FOLDERS:
        raise SettingsError(
            f"EXTRA_FOLDERS has {len(found)} folders, more than {MOST_EXTRA_FOLDERS}; "
            "Event Grid could not filter by all of them in one subscription"
        )
    return dict(sorted(found.items()))


def _suffixes(environ: Mapping[str, str]) -> tuple[str, ...]:
    value = _text(environ, "IMAGE_SUFFIXES", DEFAULT_SUFFIXES)
    suffixes = tuple(dict.fromkeys(each.strip().lower().removeprefix(".") for each in value.split(",") if each.strip()))
    bad = [each for each in suffixes if each != ANY_SUFFIX and not re.fullmatch(r"[a-z0-9_-]+", each)]
    if bad or not suffixes:
        raise SettingsError(f"IMAGE_SUFFIXES={value}: write endings without a dot, such as jpg,png, or * for all")
    return suffixes


def _schedule(environ: Mapping[str, str]) -> str:
    default = "0 */15 * * * *"
    value = environ.get("RECONCILE_SCHEDULE", "")
    value = (
        value.strip(" ") if value.strip() else default
    )  # a tab at an end is not stripped, because the platform refuses it
    try:
        Schedule(value)
    except ValueError as error:
        raise SettingsError(f"RECONCILE_SCHEDULE={value}: {error}; try {default}") from None
    return value


def _origins(environ: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(
        each.strip().rstrip("/").lower() for each in _text(environ, "CORS_ORIGINS").split(",") if each.strip()
    )
    for each in origins:
        if each != "*" and (sent := _as_browsers_send(each)) != each:
            raise SettingsError(
                f"CORS_ORIGINS={each} is not an origin as browsers send it: scheme, host (xn--… for other letters than "
                f"ASCII) and a port that is not the scheme's own; write {sent}, or * for all"
            )
    return origins


def _as_browsers_send(origin: str) -> str:
    """Return the Origin header of a page at this address, or an example where there is none (RFC 6454, 6.2)."""
    try:
        address = urlsplit(origin)
        named, port = address.hostname or "", address.port
        host = named.encode("idna").decode()
        if not named.isascii() and host.encode().decode("idna") != named:
            return _EXAMPLE_ORIGIN  # a later standard than Python's may encode it differently
        if ":" in host:
            host = f"[{IPv6Address(host).compressed}]"
    except ValueError:
        return _EXAMPLE_ORIGIN
    if port is not None and port != _DEFAULT_PORTS.get(address.scheme):
        host += f":{port}"
    sent = f"{address.scheme}://{host}"
    return sent if _ORIGIN.fullmatch(sent) else _EXAMPLE_ORIGIN


def _topic(environ: Mapping[str, str]) -> str:
    value = _text(environ, "STATUS_TOPIC_ENDPOINT")
    if value and not re.match(r"https://[^/\s]", value):
        raise SettingsError(
            f"STATUS_TOPIC_ENDPOINT={value} must be https://<topic>.<region>.eventgrid.azure.net/api/events"
        )
    return value


def _telemetry(environ: Mapping[str, str]) -> TelemetrySettings:
    target = _one_of(environ, "TELEMETRY", TELEMETRY_TARGETS)
    connection_string = _text(environ, "APPLICATIONINSIGHTS_CONNECTION_STRING")
    collector = _text(environ, "OTEL_EXPORTER_OTLP_ENDPOINT")
    if target == "auto":
        target = "azure" if connection_string else "otlp" if collector else "off"
    if target == "azure" and not connection_string:
        raise SettingsError("TELEMETRY=azure needs APPLICATIONINSIGHTS_CONNECTION_STRING")
    return TelemetrySettings(target, connection_string, _text(environ, "APPLICATIONINSIGHTS_CLIENT_ID"))


def _topics(environ: Mapping[str, str]) -> frozenset[str]:
    topics = [each.strip().lower() for each in _text(environ, "EVENT_TOPICS").split(",") if each.strip()]
    bad = [each for each in topics if not each.startswith("/subscriptions/")]
    if bad:
        raise SettingsError(f"EVENT_TOPICS={bad[0]} is not the resource id of a storage account (/subscriptions/…)")
    return frozenset(topics)
