"""The whole stack as processes for tests and benchmarks: Azurite, the event bridge and functions hosts."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import httpx
from azure.data.tables import TableClient, UpdateMode
from azure.storage.blob import BlobServiceClient, ContainerClient

from localdev.azurite import Azurite
from localdev.ports import free_ports
from localdev.processes import WEBHOOK, Process, bridge_command, host_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = "/api/cases/storage/status"
STREAM = "/api/cases/storage/status/stream"
FOLDERS = ("queued", "input", "output")
#: A schedule that leaves only the reconciliations that a test asks for.
NEVER = "0 0 0 29 2 *"


class Stack:
    """One storage account with its bridge and functions hosts.

    Args:
        folder: The folder for data and logs.
        environ: Settings of the app.

    Attributes:
        digest_key: The secret in the tally, "" until it has been read.
    """

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.azurite = Azurite(location=folder / "azurite")
        self.bridge_port, self.host_port, self.second_host_port = free_ports(3)
        self.host_url = f"http://127.0.0.1:{self.host_port}"
        self.bridge_url = f"http://127.0.0.1:{self.bridge_port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("STORAGE", "AUTH_", "JWT_"))},
            "STORAGE": self.azurite.connection_string,
            "AzureWebJobsStorage": self.azurite.connection_string,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "RECONCILE_SCHEDULE": NEVER,
            **environ,
        }
        self.programs: list[Process] = []
        self.digest_key = ""

    @property
    def webhook(self) -> str:
        """The address that Event Grid delivers to."""
        return f"{self.host_url}{WEBHOOK}"

    def start_azurite(self) -> None:
        """Start the storage, and make the three containers."""
        self.azurite.start()
        for name in FOLDERS:
            self.direct_blobs().create_container(name)

    def start_reconciled(self) -> None:
        """Start the storage with an empty ledger that is an hour old; a host makes it and is stopped again."""
        self.start_azurite()
        self.start_host().stop()
        self.age()

    def start_host(self, port: int | None = None, *options: str, answers: int = 200, **environ: str) -> Process:
        """Start a functions host (the bundled one, or Core Tools with FUNCTIONS_HOST=func) until health answers."""
        port = port or self.host_port
        command = host_command(port, *options, core_tools=os.environ.get("FUNCTIONS_HOST") == "func")
        log, env = self.folder / f"host-{port}.log", {**self.environ, **environ}
        host = self.run(Process("the functions host", command, output=log, env=env))
        return host.until(lambda: _answers(f"http://127.0.0.1:{port}/api/health", answers))

    def start_bridge(self, *options: str) -> Process:
        """Start the bridge between the storage clients and Azurite."""
        journal = self.folder / "bridge.sqlite"
        command = bridge_command(self.bridge_port, self.azurite.blob_url, self.host_url, journal, *options)
        bridge = self.run(Process("the bridge", command, output=self.folder / "bridge.log", env=self.environ))
        return bridge.until(lambda: _answers(f"{self.bridge_url}/__bridge__/stats", 200))

    def run(self, program: Process) -> Process:
        """Stop this process with the stack."""
        self.programs.append(program)
        return program

    def blobs(self, **options: Any) -> BlobServiceClient:
        """Return a client of the storage SDK that goes through the bridge."""
        address = self.azurite.connection_string_through(self.bridge_url)
        return BlobServiceClient.from_connection_string(address, **options)

    def direct_blobs(self) -> BlobServiceClient:
        """Return a client of the storage SDK that bypasses the bridge: its changes raise no events."""
        return BlobServiceClient.from_connection_string(self.azurite.connection_string)

    def age(self) -> None:
        """Make the (empty) ledger an hour old: events of its first seconds are looked at instead of ordered."""
        with TableClient.from_connection_string(self.azurite.connection_string, "storagecounts") as table:
            tally = table.get_entity("g1", "!tally")
            self.digest_key = str(tally["digest_key"])
            tally["known_since"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
            table.update_entity(tally, mode=UpdateMode.REPLACE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything that was started."""
        for program in reversed(self.programs):
            program.stop()
        self.azurite.close()


@contextlib.contextmanager
def running_stack(folder: Path, *bridge_options: str, **environ: str) -> Iterator[Stack]:
    """Run Azurite, bridge and one host, with the three containers made."""
    with Stack(folder, **environ) as stack:
        stack.start_azurite()
        stack.start_host()
        stack.age()
        stack.start_bridge(*bridge_options)
        yield stack


def container(stack: Stack, name: str) -> ContainerClient:
    """Return a container through the bridge."""
    return stack.blobs().get_container_client(name)


def _answers(url: str, status: int) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == status
    except httpx.HTTPError:
        return False
