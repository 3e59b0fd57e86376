"""What configures the host: `host.json`, `local.settings.json` and the environment."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localdev.host.errors import SetupError

PRODUCTION_MARKERS = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME")
"""Set by Azure on every instance; never on a developer's machine."""

DEFAULT_FUNCTION_TIMEOUT_SECONDS = 30 * 60
"""The platform's default for every plan but Consumption (functions-scale, "Function app timeout duration")."""

_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The parts of `host.json` that this host honours.

    Attributes:
        route_prefix: first segment(s) of every HTTP route, without slashes; may be empty.
        function_timeout_seconds: how long an invocation may take, None for no limit.
    """

    route_prefix: str = "api"
    function_timeout_seconds: float | None = DEFAULT_FUNCTION_TIMEOUT_SECONDS


def refuse_production() -> None:
    """Raise SetupError when the environment is that of a deployed app."""
    for marker in PRODUCTION_MARKERS:
        if marker in os.environ:
            raise SetupError(
                f"{marker} is set: this looks like Azure. This host is a development tool and does not run there."
            )


def read_host_json(app_dir: Path) -> HostSettings:
    """Read `host.json`; a missing file means the defaults, as for the real host."""
    document = _read_object(app_dir / "host.json")
    http = _object(_object(document.get("extensions")).get("http"))
    prefix = http.get("routePrefix", "api")
    timeout = document.get("functionTimeout")
    return HostSettings(
        route_prefix=str(prefix).strip("/"),
        function_timeout_seconds=DEFAULT_FUNCTION_TIMEOUT_SECONDS if timeout is None else _function_timeout(timeout),
    )


def load_local_settings(app_dir: Path) -> None:
    """Put "Values" of `local.settings.json` into the environment; what is set already wins, as with Core Tools."""
    document = _read_object(app_dir / "local.settings.json")
    if document.get("IsEncrypted"):
        raise SetupError("local.settings.json is encrypted: run `func settings decrypt`, or set IsEncrypted to false.")
    for name, value in _object(document.get("Values")).items():
        os.environ.setdefault(name, value if isinstance(value, str) else json.dumps(value))
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")


def timespan_seconds(text: str) -> float | None:
    """Return the seconds of a .NET TimeSpan such as `00:05:00` or `1.00:00:00`; None if it is not one."""
    match = _TIMESPAN.fullmatch(text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if hours > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 - a clock's limits
        return None
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def is_disabled(function_name: str) -> bool:
    """Tell whether an app setting switches the function off: `AzureWebJobs.<name>.Disabled` is `true` or `1`.

    The spelling with double underscores is for shells that cannot set a name with dots.
    """
    for separator in (".", "__"):
        value = os.environ.get(f"AzureWebJobs{separator}{function_name}{separator}Disabled", "")
        if value.strip().lower() in ("true", "1"):
            return True
    return False


def expand(text: str, used_by: str) -> str:
    """Replace every `%NAME%` by the app setting of that name, as the platform does in binding attributes."""

    def setting(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise SetupError(f"{used_by} refers to the app setting {match[1]}, which is not set.")
        return value

    return re.sub(r"%([^%]+)%", setting, text)


def _function_timeout(value: Any) -> float | None:
    if value == "-1":  # the platform's spelling of "no limit"
        return None
    seconds = timespan_seconds(value) if isinstance(value, str) else None
    if not seconds:
        raise SetupError(f'host.json: functionTimeout {value!r} is not a time span such as "00:10:00".')
    return seconds


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise SetupError(f"{path}: a JSON object is expected.")
    return document


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
