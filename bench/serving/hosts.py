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

from bench.load.counting import counting
from localdev.ports import free_ports
from localdev.processes import Process, memory_kb
from localdev.testbed import STATUS, STREAM, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from bench.load.counting import Counter

APPS = Path(__file__).parent
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
#: Parked clients cost a process less than this part of a core: nothing is on its way any more.
QUIET_LOAD = 0.2
#: Above all that is parked here.
MAX_WAITERS = "6000"


class Served:
    """A server under measurement.

    Args:
        pids: Its processes.
        port: Where clients connect.

    Attributes:
        name: What it is called in the results.
        poll: Path and headers of a held poll.
        plain: Path and headers of a conditional request that is answered 304 at once, without them 200.
        stream: Where the stream is.
        publish: Path and body of the POST that makes one change.
    """

    name: str
    poll: tuple[str, list[str]]
    plain: tuple[str, list[str]]
    stream: str
    publish: tuple[str, bytes]

    def __init__(self, pids: list[int], port: int) -> None:
        self.port = port
        self._pids = pids

    def wake(self) -> None:
        """Make one change; returns when it has been taken."""
        path, body = self.publish
        ask(f"http://127.0.0.1:{self.port}{path}", body)

    def rss_kb(self, what: str = "VmRSS") -> int:
        """Return the memory that it has now, or (``VmHWM``) has had at most."""
        return sum(memory_kb(pid, what) for pid in self._pids)

    def cpu_us(self) -> float:
        """Return the processor time that it has used."""
        return sum(run_and_wait_seconds(pid)[0] for pid in self._pids) * 1e6

    def busy_seconds(self) -> float:
        """Return the time for which it has run or would have liked to."""
        return sum(sum(run_and_wait_seconds(pid)) for pid in self._pids)

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

    name = "ours"
    stream = STREAM

    def __init__(self, stack: Stack, program: Process, storage: Counter) -> None:
        super().__init__([program.pid], stack.host_port)
        self.storage = storage
        self._stack = stack

    def wake(self) -> None:
        """Deliver the event of a new blob."""
        ask(self._stack.webhook, json.dumps([created_event()]).encode(), **{"aeg-event-type": "Notification"})

    def health(self) -> dict[str, float]:
        """Return the details of its health."""
        return health(self._stack.host_url)

    @property
    def plain(self) -> tuple[str, list[str]]:
        """With the current version."""
        return STATUS, [f"If-None-Match: {ask(f'{self._stack.host_url}{STATUS}')[1]['etag']}"]

    @property
    def poll(self) -> tuple[str, list[str]]:
        """As our client asks."""
        path, headers = self.plain
        return path, [*headers, "Prefer: wait=60"]


class Floor(Served):
    """The floor app on the same host; the headers are as long as ours."""

    name = "floor"
    poll = "/api/floor?wait=60", ['If-None-Match: "0123456789-1"', "Prefer: wait=60"]
    plain = "/api/floor", ['If-None-Match: "floor"']
    stream = "/api/floor/stream"
    publish = "/api/floor/wake", b""


class Nchan(Served):
    """Nchan, the long-poll and SSE module of nginx, with one worker process; a message is of the size of ours."""

    name = "nchan"
    poll = "/poll", []
    stream = "/sse"
    publish = "/pub", b"x" * 147


class Naive(Served):
    """The endpoint that lists."""

    name = "naive"


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[bytes, Message]:
    """Send a request, a POST if it has a body; return body and headers of the answer, which must not be an error."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return response.read(), response.headers


def run_and_wait_seconds(pid: int) -> tuple[float, float]:
    """Return for how long a process's main thread has run, and for how long it has waited for a processor."""
    run_ns, wait_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(run_ns) / 1e9, int(wait_ns) / 1e9


def health(url: str) -> dict[str, float]:
    """Return the details of a host's health."""
    return dict(json.loads(ask(f"{url}/api/health")[0]))


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
        with stack.start_host(None, **settings) as program:
            yield Ours(stack, program, storage)


@contextmanager
def app_host[App: Served](kind: type[App], folder: Path, **environ: str) -> Iterator[App]:
    """Start a fresh host with the floor or the endpoint that lists."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "localdev.host", str(APPS / f"{kind.name}_app"), "--port", str(port)]
    log = folder / f"{kind.name}-{port}.log"
    with Process(kind.name, command, output=log, env={**os.environ, **environ}) as program:
        program.until(lambda: "ready " in log.read_text())
        yield kind([program.pid], port)


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
    with Process("nginx", command, output=folder / "nginx.out") as program:
        program.until(lambda: _publishes(port))
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        yield Nchan([program.pid, *map(int, children)], port)


def _publishes(port: int) -> bool:
    try:
        ask(f"http://127.0.0.1:{port}/pub", b"first")
    except OSError:
        return False
    return True
