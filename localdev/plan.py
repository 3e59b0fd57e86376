"""The plan of `up`, from command line and environment, checked before anything starts.

A flag wins over its variable. `local.settings.json` sets variables that the environment does not, as in Core Tools.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from localdev.bridge import Schema, chaos
from localdev.host.errors import HostError
from localdev.host.settings import is_disabled, load_local_settings
from localdev.ports import LOOPBACK, PortInUseError, free_ports, require_free
from localdev.processes import ROOT
from shared.errors import SettingsError
from shared.settings.app import Settings
from shared.settings.storage import is_storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE: Final = ROOT / "client" / "demo" / "dist"
HOSTS: Final = ("func", "bundled")


class PlanError(Exception):
    """An argument or variable cannot be used; the message names it and the remedy, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The public ports; the names are those of the flags and, in capitals, of the variables.

    `blob` is the bridge's: it is where every SDK looks for the development storage. Azurite's own blob service is
    behind it, on any free port.
    """

    functions: int = 7071
    blob: int = 10000
    queue: int = 10001
    table: int = 10002
    page: int = 7080

    @property
    def are_development_storage(self) -> bool:
        """Whether `UseDevelopmentStorage=true` finds the storage."""
        default = Ports()
        return (self.blob, self.queue, self.table) == (default.blob, default.queue, default.table)


_WANTED_BY: Final = {
    "functions": "the functions host",
    "blob": "the blob service",
    "queue": "the queue service",
    "table": "the table service",
    "page": "the live page",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parts to start.

    Attributes:
        ports: The public ports; free when the plan was made.
        data: The folder of Azurite's data and the bridge's journal.
        host: `func`, `bundled`, or "" for no functions host (the user runs it).
        timer: Whether the reconcile timer runs.
        page: Whether the live page is built and can be served.
        schema: The schema that events are delivered in.
        chaos: The bridge's deliberate faults.
        settings: The app's settings, for the folder map.
    """

    ports: Ports
    data: Path
    host: str
    timer: bool
    page: bool
    schema: Schema
    chaos: chaos.Chaos
    settings: Settings

    @property
    def functions_url(self) -> str:
        """The functions host's address, without a path."""
        return f"http://{LOOPBACK}:{self.ports.functions}"

    @property
    def blob_url(self) -> str:
        """The bridge's address, without the account."""
        return f"http://{LOOPBACK}:{self.ports.blob}"

    @property
    def page_url(self) -> str:
        """The live page's address."""
        return f"http://{LOOPBACK}:{self.ports.page}"


def without_storage(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the app's storage settings: the storage is the one started here."""
    return {name: value for name, value in environ.items() if not is_storage(name)}


def make_plan(arguments: Sequence[str]) -> Plan:
    """Read the command line and the environment, completed from `local.settings.json`.

    Raises:
        PlanError: A value is wrong, or a port is taken.
    """
    given = _parser().parse_args(arguments)
    try:
        load_local_settings(ROOT)
        plan = Plan(
            ports=_ports(given),
            data=Path(given.data or os.environ.get("STATE_DIR") or ".local").resolve(),
            host="" if given.without_functions else _host(),
            timer=not (given.no_reconcile_timer or is_disabled("reconcile")),
            page=(PAGE / "index.html").is_file(),
            schema=Schema(_one_of("EVENT_SCHEMA", list(Schema)) or Schema.EVENT_GRID),
            chaos=chaos.parse(os.environ.get("EVENT_CHAOS", "")),
            settings=Settings.from_environ(without_storage(os.environ)),
        )
    except (HostError, SettingsError, ValueError) as error:
        raise PlanError(str(error)) from error
    _require_ports(plan)
    return plan


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev.up",
        description="Runs Azurite, the blob event bridge, the functions host and the live page in one terminal.",
    )
    for name, default in asdict(Ports()).items():
        parser.add_argument(
            f"--{name}-port",
            type=int,
            metavar="N",
            help=f"of {_WANTED_BY[name]}; or {name.upper()}_PORT; default {default}",
        )
    parser.add_argument("--free-ports", action="store_true", help="choose a free port for each that is not given")
    parser.add_argument("--data", metavar="DIR", help="folder of the local storage; or STATE_DIR; default .local")
    parser.add_argument(
        "--no-reconcile-timer",
        action="store_true",
        help="switch the timer off (as AzureWebJobs.reconcile.Disabled=true does), except for a first run",
    )
    parser.add_argument(
        "--without-functions",
        action="store_true",
        help="storage and events only: you run the functions host yourself (debugger, func start)",
    )
    return parser


def _ports(given: argparse.Namespace) -> Ports:
    ports = Ports()
    if given.free_ports:
        ports = Ports(**dict(zip(_WANTED_BY, free_ports(len(_WANTED_BY)), strict=True)))
    for name in _WANTED_BY:
        flag: int | None = getattr(given, f"{name}_port")
        variable = f"{name.upper()}_PORT"
        value = os.environ.get(variable, "").strip()
        if flag is not None:
            ports = replace(ports, **{name: flag})
        elif value and not given.free_ports:
            if not value.isdecimal():
                raise ValueError(f"{variable}={value} is not a port number")
            ports = replace(ports, **{name: int(value)})
    return ports


def _require_ports(plan: Plan) -> None:
    seen: dict[int, str] = {}
    for name, port in asdict(plan.ports).items():
        if (name == "functions" and not plan.host) or (name == "page" and not plan.page):
            continue
        choose = f"choose another with --{name}-port or {name.upper()}_PORT"
        if port in seen:
            raise PlanError(f"port {port} is meant for {seen[port]} and for {_WANTED_BY[name]}; {choose}")
        if not 0 < port < 65536:  # noqa: PLR2004  # 16 bits
            raise PlanError(f"{port} is not a port for {_WANTED_BY[name]}; {choose}")
        seen[port] = _WANTED_BY[name]
        try:
            require_free(port, _WANTED_BY[name])
        except PortInUseError as error:
            raise PlanError(f"port {port}, wanted by {_WANTED_BY[name]}, is in use; {choose}") from error


def _one_of(variable: str, allowed: Sequence[str]) -> str:
    value = os.environ.get(variable, "").strip()
    if value and value not in allowed:
        raise ValueError(f"{variable}={value} is unknown; use one of {', '.join(allowed)}")
    return value


def _host() -> str:
    wanted = _one_of("FUNCTIONS_HOST", HOSTS)
    if wanted == "func" and not shutil.which("func"):
        raise ValueError(
            "FUNCTIONS_HOST=func, but Azure Functions Core Tools are not on PATH: npm install -g "
            "azure-functions-core-tools@4, or leave FUNCTIONS_HOST unset"
        )
    return wanted or ("func" if shutil.which("func") else "bundled")
