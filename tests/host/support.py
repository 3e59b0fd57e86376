"""Helpers of these tests: the runtime host as a process of its own, and raw HTTP."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from localdev.processes import ROOT, Process
from tests.leaks.secrets import secret

APPS = Path(__file__).parent / "apps"
DEADLINE_SECONDS = 10.0
FUNCTION_KEY = secret("a function key", "function-key-of-the-host-tests")
MASTER_KEY = secret("a master key", "master-key-of-the-host-tests")
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
FULL_SETTINGS = {
    "EVERY": "*/1 * * * * *",
    "AzureWebJobs.switched_off.Disabled": "true",
    "AzureWebJobs.off_event.Disabled": "1",
    "AzureWebJobs.off_timer.Disabled": "true",
}


class Host(Process):
    """A runtime host in a process of its own, once it says `ready` or has ended."""

    def __init__(self, app_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "localdev.host", str(app_dir), *(arguments or ("--port", "0"))]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **(env or {})}
        log = app_dir / f"host-{time.monotonic_ns()}.log"
        super().__init__("the host", command, output=log, env=environment)
        while self.is_running and not (ready := re.search(r"^ready (\S+:(\d+))$", self.said, re.MULTILINE)):
            time.sleep(0.01)
        if self.is_running:
            self.url, self.port = ready[1], int(ready[2])

    @property
    def said(self) -> str:
        """What it has printed and logged."""
        return self.log.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.send_signal(number)
        return self.wait(DEADLINE_SECONDS)


def app(name: str, folder: Path, settings: dict[str, str] | None = None) -> Path:
    """A copy of a fixture app, with its local settings."""
    target = folder / name
    shutil.copytree(APPS / name, target, ignore=shutil.ignore_patterns("__pycache__"))
    if settings is not None:
        (target / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": settings}))
    return target


@contextlib.contextmanager
def running(app_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Host]:
    """A host that is ended, whatever happens."""
    host = Host(app_dir, *arguments, env=env)
    try:
        yield host
    finally:
        host.kill()


async def seen(client: httpx.AsyncClient) -> dict[str, Any]:
    """What the app's functions noted."""
    return dict((await client.get("/api/seen")).json())


async def raw(host: Host, data: bytes) -> bytes:
    """Everything that the host answers to some bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(data)
    async with asyncio.timeout(DEADLINE_SECONDS):
        answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def get(path: str, *headers: str) -> bytes:
    """A GET request; the connection stays open unless a header says otherwise."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *headers, "", ""]).encode("latin-1")
