"""Starts and stops Azurite, the storage emulator, as a child process.

    async with Azurite() as azurite:
        client = BlobServiceClient.from_connection_string(azurite.connection_string)

A stopped instance can be started again: same ports, same data. The child ends with its parent however the parent
ends: it watches its standard input, a pipe that the operating system closes when the parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

from localdev.ports import LOOPBACK, free_ports, require_free

if TYPE_CHECKING:
    from types import TracebackType

# The account that every Azurite has, published at
# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

ENTRY = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
START_SECONDS = 30.0  # measured: under 2 s; a busy machine may need several times that
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02

# Runs inside Node before Azurite.
# - The end of standard input means that the parent is gone. `unref` keeps the watch from holding the process open; an
#   Azurite that is already closing must not get a second signal, which would end it before its data is written.
# - Azurite before 3.37 cuts the boundary of a Blob Batch at its first "=", and the Python SDK's boundaries start with
#   one (Azurite #2413): every batch delete fails. The handlers get the boundary as it stands in the header.
_PRELOAD = """
import { createRequire } from "node:module";
let closing = false;
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => { closing = true; });
process.stdin.on("end", () => { if (!closing) process.kill(process.pid, "SIGTERM"); });
process.stdin.on("error", () => {});
process.stdin.resume();
process.stdin.unref?.();

const boundaryOf = (request) => /boundary="?([^";]+)/i.exec(request.getHeader("content-type") ?? "")?.[1];
try {
  const load = createRequire(process.argv[1]);
  const batches = load("./blob/handlers/BlobBatchHandler.js").BlobBatchHandler.prototype;
  const submit = batches.submitBatch;
  batches.submitBatch = function (body, boundary, ...rest) {
    return submit.call(this, body, boundaryOf(rest[1]) ?? boundary, ...rest);
  };
  for (const name of ["Container", "Service"]) {
    const handler = load(`./blob/handlers/${name}Handler.js`).default.prototype;
    const answer = handler.submitBatch;
    handler.submitBatch = async function (...given) {
      const response = await answer.apply(this, given);
      const boundary = boundaryOf(given.at(-1).request);
      return boundary ? { ...response, contentType: `multipart/mixed; boundary=${boundary}` } : response;
    };
  }
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error; // another layout: a newer Azurite, which needs no help
}
"""


class AzuriteError(Exception):
    """Azurite could not be started or stopped; the message says what to do."""


class Azurite:
    """One Azurite process with the blob, queue and table services on the loopback interface.

    Usable as an async or a plain context manager. Ports that are not given are chosen once and kept, so that
    `stop()` and `start()` come back to the same addresses. Without `location` the data lives in a temporary folder
    that `close()` (the end of the `with` block) removes.
    """

    def __init__(
        self,
        *,
        blob_port: int | None = None,
        queue_port: int | None = None,
        table_port: int | None = None,
        location: Path | None = None,
        in_memory: bool = False,
    ) -> None:
        chosen = free_ports(3)
        self.blob_port = blob_port or chosen[0]
        self.queue_port = queue_port or chosen[1]
        self.table_port = table_port or chosen[2]
        self._in_memory = in_memory
        self._temporary = None if location or in_memory else tempfile.TemporaryDirectory(prefix="azurite-")
        self.location = Path(self._temporary.name) if self._temporary else location
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def blob_url(self) -> str:
        """The blob service without the account, for example `http://127.0.0.1:10000`."""
        return f"http://{LOOPBACK}:{self.blob_port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def connection_string(self) -> str:
        """Talks to Azurite directly: no events are raised for what is done through it."""
        return self.connection_string_through(self.blob_url)

    def connection_string_through(self, blob_url: str) -> str:
        """Returns the connection string with the blob service at `blob_url`, which is the bridge's address."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={blob_url.rstrip('/')}/{ACCOUNT};"
            f"QueueEndpoint=http://{LOOPBACK}:{self.queue_port}/{ACCOUNT};"
            f"TableEndpoint=http://{LOOPBACK}:{self.table_port}/{ACCOUNT};"
        )

    async def start(self) -> None:
        """Starts the process and returns once blob, queue and table answer.

        Raises:
            AzuriteError: it is not installed, ended at once, or did not answer within START_SECONDS.
            PortInUseError: one of the three ports is taken.
        """
        try:
            await asyncio.to_thread(self.start_blocking)
        except asyncio.CancelledError:
            self.kill()
            raise

    def start_blocking(self) -> None:
        """Does what `start` does, for callers without an event loop."""
        if self.pid is not None:
            return
        self._spawn()
        deadline = time.monotonic() + START_SECONDS
        for port in (self.blob_port, self.queue_port, self.table_port):
            while not _answers(port):
                if self.pid is None:
                    said = self._last_output()
                    self.kill()
                    raise AzuriteError(f"Azurite ended while starting: {said}")
                if time.monotonic() > deadline:
                    self.kill()
                    raise AzuriteError(f"Azurite did not answer on port {port} within {START_SECONDS:.0f} s")
                time.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Sends SIGTERM, which makes Azurite write its data, and waits for the end."""
        await asyncio.to_thread(self.stop_blocking)

    def stop_blocking(self) -> None:
        """Does what `stop` does, for callers without an event loop."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._forget()

    def kill(self) -> None:
        """Ends the process at once; acknowledged writes of the last seconds may be lost with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def close(self) -> None:
        """Stops the process and removes the data folder, if it was a temporary one."""
        self.stop_blocking()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _spawn(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise AzuriteError("Node is missing: install Node 20 or newer (https://nodejs.org, or nvm install 20)")
        if not ENTRY.is_file():
            raise AzuriteError("Azurite is not installed: run localdev/setup.sh")
        require_free(self.blob_port, "Azurite's blob service")
        require_free(self.queue_port, "Azurite's queue service")
        require_free(self.table_port, "Azurite's table service")
        if self.location is not None:
            self.location.mkdir(parents=True, exist_ok=True)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _forget
        self._process = subprocess.Popen(  # noqa: S603  # our own command line
            [node, "--import", f"data:text/javascript,{quote(_PRELOAD)}", str(ENTRY), *self._options()],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # AZURITE_ACCOUNTS, AZURITE_DB: of another Azurite, whose accounts and data are not ours.
            env={name: value for name, value in os.environ.items() if not name.startswith("AZURITE_")},
            # Ctrl-C goes to the whole group: Azurite would get it together with our SIGTERM, and a second signal
            # ends it before its data is written. In a session of its own it hears only from us.
            start_new_session=os.name == "posix",
        )

    def _options(self) -> list[str]:
        ports = ["--blobPort", str(self.blob_port), "--queuePort", str(self.queue_port)]
        ports += ["--tablePort", str(self.table_port)]
        data = ["--inMemoryPersistence"] if self._in_memory else ["--location", str(self.location)]
        return [*ports, *data, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]

    def _last_output(self) -> str:
        if self._output is None:
            return "no output"
        self._output.seek(0)
        return self._output.read()[-500:].decode(errors="replace").strip() or "no output"

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._output is not None:
            self._output.close()
        self._process = self._output = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        try:
            self.start_blocking()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _answers(port: int) -> bool:
    """Says whether an HTTP server answers on the loopback port; what it answers does not matter."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(1) != b""
    except OSError:
        return False
