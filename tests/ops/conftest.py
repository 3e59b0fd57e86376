"""A storage account of its own for each test, on the one Azurite, and the command line on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from localdev.azurite import Azurite
from ops.__main__ import main
from shared.intake.event_grid import BLOB_CREATED
from shared.model.folders import FOLDERS
from shared.services import Services
from shared.settings.app import Settings

ROOT = Path(__file__).parents[2]
LETTERS = Path(__file__).parent / "dead_letters"


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON document."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class Account:
    """The settings of one test, its blobs, and the commands on them.

    Args:
        environ: The settings.
        read: Returns what was printed since the last call.
    """

    def __init__(self, environ: dict[str, str], read: Callable[[], tuple[str, str]]) -> None:
        self.environ = environ
        self._read = read
        self.blobs = BlobServiceClient.from_connection_string(environ["STORAGE"])
        self.folders = {folder: environ[f"{folder.upper()}_FOLDER"] for folder in FOLDERS}

    def run(self, *arguments: str) -> Result:
        """Run a command in this process."""
        self._read()
        code = main(arguments)
        return Result(code, *self._read())

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        environ = {"PATH": os.environ["PATH"], **self.environ}
        return subprocess.Popen([sys.executable, "-m", "ops", *arguments], cwd=ROOT, env=environ, **pipes)

    def upload(self, name: str, folder: str = "queued", body: bytes = b"x") -> None:
        """Upload a blob; Azurite raises no event."""
        self.blobs.get_blob_client(self.folders.get(folder, folder), name).upload_blob(body, overwrite=True)

    def upload_before_now(self, *names: str, folder: str = "queued") -> None:
        """Upload blobs, and wait for the next second: what changed in the second of a pass is live, and left alone."""
        for name in names:
            self.upload(name, folder)
        uploaded_at = int(time.time())
        while int(time.time()) == uploaded_at:
            time.sleep(0.02)

    def container(self, name: str) -> str:
        """Make a container of this account, if there is none; return its name."""
        full = f"{self.environ['COUNTS_TABLE']}-{name}"
        with contextlib.suppress(ResourceExistsError):
            self.blobs.create_container(full)
        return full

    def names(self, container: str) -> list[str]:
        """Return what is in a container, if there is one."""
        try:
            return sorted(self.blobs.get_container_client(container).list_blob_names())
        except ResourceNotFoundError:
            return []

    def event(
        self, name: str, event_type: str = BLOB_CREATED, folder: str = "queued", number: int = 1, padding: int = 0
    ) -> str:
        """Return an event as it is delivered, with so much in it that nobody looks at."""
        event = {
            "id": f"{name}-{number}",
            "eventType": event_type,
            "subject": f"/blobServices/default/containers/{self.folders.get(folder, folder)}/blobs/{name}",
            "eventTime": "2026-11-22T18:20:31.1234567Z",
            "data": {"api": "PutBlob", "eTag": "0x1", "sequencer": f"{number:048x}", "padding": "x" * padding},
        }
        return json.dumps(event)

    def letters(self, schema: str) -> bytes:
        """Return a dead-letter blob as Event Grid writes it, about this account's containers."""
        text = (LETTERS / f"{schema}.json").read_text()
        for folder, container in self.folders.items():
            text = text.replace(f"containers/{folder}/", f"containers/{container}/")
        return text.encode()

    def do(self, work: Callable[[Services], Awaitable[Any]]) -> Any:
        """Do something as the app would, on services of its own."""

        async def on_services() -> Any:
            services = Services(Settings.from_environ(self.environ))
            try:
                return await work(services)
            finally:
                await services.close()

        return asyncio.run(on_services())

    def deliver(self, *events: str) -> None:
        """Deliver events to the app."""

        async def take(services: Services) -> None:
            await asyncio.gather(*map(services.delivery.take, events))

        self.do(take)

    def keep(self, text: str, reason: str = "an older release knew better") -> str:
        """Quarantine any text, also an event that this release understands; return its key."""
        key = self.do(lambda services: services.quarantine.put(text, reason))
        assert isinstance(key, str)
        return key

    def counts(self) -> tuple[int, ...]:
        """Return the counts of the three folders, as `status` says them."""
        return tuple(self.run("status", "--json").data["counts"].values())

    def kept(self) -> list[str]:
        """Return the keys in quarantine."""
        return [entry["key"] for entry in self.run("quarantine", "list", "--json").data["entries"]]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let the commands hear Ctrl-C also when the tests run in the background, where shells have it ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fresh(
    azurite: Azurite, unique: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Account]:
    """Return an account with empty containers on which the app has never run."""
    environ = {
        "STORAGE": azurite.connection_string,
        "COUNTS_TABLE": unique,
        "QUARANTINE_CONTAINER": f"{unique}-quarantine",
        "POLL_INTERVAL_SECONDS": "0.1",
        **{f"{folder.upper()}_FOLDER": f"{unique}-{folder}" for folder in FOLDERS},
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def read() -> tuple[str, str]:
        return tuple(capsys.readouterr())  # type: ignore[return-value]

    made = Account(environ, read)
    for folder in FOLDERS:
        made.container(folder)
    yield made
    made.blobs.close()


@pytest.fixture
def account(fresh: Account) -> Account:
    """Return an account that has been reconciled once: all counts are 0."""
    assert fresh.run("reconcile").code == 0
    return fresh
