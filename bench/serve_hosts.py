"""What is measured: the app and the floor on the runtime host, each in a fresh process, and Nchan on nginx."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.serve_counting import counting
from localdev.ports import free_ports
from localdev.testbed import ROOT, STATUS, STREAM, Program, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.serve_counting import Counter

FLOOR_APP = ROOT / "bench" / "floor_app"
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
#: Parked clients cost a process less than this part of a core: nothing is on its way any more.
QUIET_LOAD = 0.2
#: Above all that is parked here.
MAX_WAITERS = "6000"


class Served:
    """A server under measurement.

    Args:
        name: What it is called in the results.
        pids: Its processes.
        port: Where clients connect.
    """

    def __init__(self, name: str, pids: list[int], port: int) -> None:
        self.name = name
        self.port = port
        self._pids = pids

    def wake(self) -> None:
        """Make one change; returns when it has been taken."""
        raise NotImplementedError

    def poll_request(self) -> tuple[str, list[str]]:
        """Return path and headers of a held poll."""
        raise NotImplementedError

    def stream_path(self) -> str:
        """Return where the stream is."""
        raise NotImplementedError

    def plain_request(self) -> tuple[str, list[str]]:
        """Return path and headers of a conditional request that is answered 304 at once, without them 200."""
        raise NotImplementedError

    def rss_kb(self) -> int:
        """Return the memory that it has now."""
        return sum(memory_kb(pid) for pid in self._pids)

    def cpu_us(self) -> float:
        """Return the processor time that it has used."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self._pids) / 1e3

    def busy_seconds(self) -> float:
        """Return the time for which it has run or would have liked to."""
        fields = [Path(f"/proc/{pid}/schedstat").read_text().split() for pid in self._pids]
        return sum(int(each[0]) + int(each[1]) for each in fields) / 1e9

    def settle(self, seconds: float = 60) -> None:
        """Wait until it has nothing left to do."""
        deadline = time.monotonic() + seconds
        quiet = 0
        while quiet < 2 and time.monotonic() < deadline:
            before = self.busy_seconds()
            time.sleep(0.25)
            quiet = quiet + 1 if self.busy_seconds() - before < 0.25 * QUIET_LOAD else 0


class Ours(Served):
    """The app, its table on Azurite behind a relay; a change is the delivery of an event to the webhook.

    Attributes:
        storage: What the relay has seen.
    """

    def __init__(self, stack: Stack, program: Program, port: int, storage: Counter) -> None:
        super().__init__("ours", [program.pid], port)
        self.storage = storage
        self._webhook = stack.webhook

    def wake(self) -> None:
        """Deliver the event of a new blob."""
        post(self._webhook, json.dumps([created_event()]).encode(), {"aeg-event-type": "Notification"})

    def health(self) -> dict[str, float]:
        """Return the details of its health."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/health", timeout=30) as response:
            return dict(json.load(response))

    def etag(self) -> str:
        """Return the current version, quoted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{STATUS}", timeout=30) as response:
            return str(response.headers["etag"])

    def poll_request(self) -> tuple[str, list[str]]:
        """As our client asks."""
        return STATUS, [f"If-None-Match: {self.etag()}", "Prefer: wait=60"]

    def plain_request(self) -> tuple[str, list[str]]:
        """A conditional request that is answered at once."""
        return STATUS, [f"If-None-Match: {self.etag()}"]

    def stream_path(self) -> str:
        """Return where the stream is."""
        return STREAM


class Floor(Served):
    """The floor app on the same host."""

    def __init__(self, program: Program, port: int) -> None:
        super().__init__("floor", [program.pid], port)

    def wake(self) -> None:
        """Set its event."""
        post(f"http://127.0.0.1:{self.port}/api/floor/wake", b"", {})

    def poll_request(self) -> tuple[str, list[str]]:
        """With the same headers as ours."""
        return "/api/floor?wait=60", ['If-None-Match: "0123456789-1"', "Prefer: wait=60"]

    def plain_request(self) -> tuple[str, list[str]]:
        """A conditional request that is answered at once."""
        return "/api/floor", ['If-None-Match: "floor"']

    def stream_path(self) -> str:
        """Return where the stream is."""
        return "/api/floor/stream"


class Nchan(Served):
    """Nchan, the long-poll and SSE module of nginx, with one worker process."""

    def wake(self) -> None:
        """Publish a message of the size of ours."""
        post(f"http://127.0.0.1:{self.port}/pub", b"x" * 147, {})

    def poll_request(self) -> tuple[str, list[str]]:
        """Wait for the next message."""
        return "/poll", []

    def stream_path(self) -> str:
        """Return where the stream is."""
        return "/sse"


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send a request, expect it to be taken."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        assert response.status < 300, response.status


def created_event() -> dict[str, object]:
    """Return the Event Grid event of a new blob."""
    name = f"{uuid.uuid4().hex}.jpg"
    return {
        "topic": "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
        "subject": f"/blobServices/default/containers/queued/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": str(uuid.uuid4()),
        "data": {
            "api": "PutBlob",
            "eTag": "0x8DE29F3C4835CD0",
            "contentType": "image/jpeg",
            "contentLength": 1,
            "blobType": "BlockBlob",
            "url": f"http://127.0.0.1/devstoreaccount1/queued/{name}",
            "sequencer": f"{time.time_ns():048X}",
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": datetime.now(UTC).isoformat(),
    }


@contextmanager
def our_host(stack: Stack, **environ: str) -> Iterator[Ours]:
    """Start a fresh host with the app."""
    with counting(stack.azurite.table_port) as storage:
        through = stack.environ["STORAGE"].replace(f":{stack.azurite.table_port}/", f":{storage.port}/")
        settings = {"MAX_WAITERS": MAX_WAITERS, "RECONCILE_ON_START": "false", "STORAGE": through, **environ}
        program = stack.start_host(None, **settings)
        try:
            yield Ours(stack, program, stack.host_port, storage)
        finally:
            program.stop()


@contextmanager
def floor_host(folder: Path) -> Iterator[Floor]:
    """Start a fresh host with the floor."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "localdev.host", str(FLOOR_APP), "--port", str(port)]
    program = Program(command, folder / "floor.log", dict(os.environ))
    try:
        program.wait_ready(lambda: _takes(f"http://127.0.0.1:{port}/api/floor"))
        yield Floor(program, port)
    finally:
        program.stop()


def nchan_version() -> str:
    """Return nginx's version, or "" where nginx or its module is not installed."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None or not NCHAN_MODULE.exists():
        return ""
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"nginx/([\d.]+)", said)
    return found[1] if found else "unknown"


@contextmanager
def nchan(folder: Path) -> Iterator[Nchan]:
    """Start nginx with one worker."""
    (port,) = free_ports(1)
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
load_module {NCHAN_MODULE};
user root;
worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 15000; }}
http {{
  access_log off; client_body_temp_path {folder}; keepalive_timeout 300;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location = /pub {{ nchan_publisher; nchan_channel_id one; nchan_message_buffer_length 1; }}
    location = /poll {{ nchan_subscriber longpoll; nchan_channel_id one; nchan_subscriber_first_message newest; }}
    location = /sse {{ nchan_subscriber eventsource; nchan_channel_id one; nchan_subscriber_first_message oldest; }}
  }}
}}""")
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(configuration)]
    program = Program(command, folder / "nginx.out", dict(os.environ))
    try:
        program.wait_ready(lambda: _publishes(port))
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        yield Nchan("nchan", [program.pid, *map(int, children)], port)
    finally:
        program.stop()


def _publishes(port: int) -> bool:
    try:
        post(f"http://127.0.0.1:{port}/pub", b"first", {})
    except OSError:
        return False
    return True


def _takes(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return True
    except OSError:
        return False


def memory_kb(pid: int) -> int:
    """Return what a process has in memory now."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
