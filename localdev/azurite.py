"""Starts and stops Azurite, the storage emulator, as a child process.

    with Azurite() as azurite:
        client = BlobServiceClient.from_connection_string(azurite.connection_string)

A stopped instance can be started again with the same ports and data.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from localdev.ports import LOOPBACK, free_ports, require_free
from localdev.processes import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from localdev.processes import ProcessError

# The account that every Azurite has, published at
# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

ENTRY = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
START_SECONDS = 30.0  # measured: under 2 s; a busy machine may need several times that

# Runs inside Node before Azurite, which before 3.37 cuts the boundary of a Blob Batch at its first "=", and the Python
# SDK's boundaries start with one (Azurite #2413): every batch delete fails. The handlers get the header's boundary.
_PRELOAD = """
import { createRequire } from "node:module";
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
    """Azurite cannot be started or prepared; the message says what to do."""


class Azurite:
    """One Azurite process with the blob, queue and table services on the loopback interface.

    Ports that are not given are chosen once and kept, so that `stop()` and `start()` return to the same addresses.
    Without `location` the data is in a temporary folder that `close()` (the end of the `with` block) removes.
    `on_end` is called when the process ends by itself.

    Attributes:
        process: The process that was started last.
    """

    def __init__(
        self,
        *,
        blob_port: int | None = None,
        queue_port: int | None = None,
        table_port: int | None = None,
        location: Path | None = None,
        in_memory: bool = False,
        on_end: Callable[[ProcessError], None] | None = None,
    ) -> None:
        chosen = free_ports(3)
        self.blob_port = blob_port or chosen[0]
        self.queue_port = queue_port or chosen[1]
        self.table_port = table_port or chosen[2]
        self._in_memory = in_memory
        self._temporary = None if location or in_memory else tempfile.TemporaryDirectory(prefix="azurite-")
        self.location = Path(self._temporary.name) if self._temporary else location
        self._on_end = on_end
        self.process: Process | None = None

    @property
    def blob_url(self) -> str:
        """The blob service without the account, for example `http://127.0.0.1:10000`."""
        return f"http://{LOOPBACK}:{self.blob_port}"

    @property
    def connection_string(self) -> str:
        """The connection string of Azurite itself: operations through it raise no events."""
        return self.connection_string_through(self.blob_url)

    def connection_string_through(self, blob_url: str) -> str:
        """Return the connection string with the blob service at `blob_url`, which is the bridge's address."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={blob_url.rstrip('/')}/{ACCOUNT};"
            f"QueueEndpoint=http://{LOOPBACK}:{self.queue_port}/{ACCOUNT};"
            f"TableEndpoint=http://{LOOPBACK}:{self.table_port}/{ACCOUNT};"
        )

    def start(self) -> None:
        """Start the process, unless it runs, and return once blob, queue and table answer.

        Raises:
            AzuriteError: Azurite is not installed.
            PortInUseError: One of the three ports is taken.
            ProcessError: Azurite ended at once, or did not answer within START_SECONDS.
        """
        if self.process is not None and self.process.is_running:
            return
        node = shutil.which("node")
        if node is None:
            raise AzuriteError("Node is missing: install Node 20 or newer (https://nodejs.org, or nvm install 20)")
        if not ENTRY.is_file():
            raise AzuriteError("Azurite is not installed: run localdev/setup.sh")
        ports = {"blob": self.blob_port, "queue": self.queue_port, "table": self.table_port}
        for service, port in ports.items():
            require_free(port, f"Azurite's {service} service")
        if self.location is not None:
            self.location.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            "azurite",
            [node, "--import", f"data:text/javascript,{quote(_PRELOAD)}", str(ENTRY), *self._options()],
            output=lambda _: None,
            # AZURITE_ACCOUNTS and AZURITE_DB are for another Azurite, whose accounts and data are not ours.
            env={name: value for name, value in os.environ.items() if not name.startswith("AZURITE_")},
            on_end=self._on_end,
        )
        self.process.until(lambda: all(map(_answers, ports.values())), START_SECONDS)

    def stop(self) -> None:
        """Send SIGTERM, which makes Azurite write its data, and wait for the end."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """End the process at once; acknowledged writes of the last seconds may be lost."""
        if self.process is not None:
            self.process.kill()

    def close(self) -> None:
        """Stop the process and remove a temporary data folder."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _options(self) -> list[str]:
        ports = ["--blobPort", str(self.blob_port), "--queuePort", str(self.queue_port)]
        ports += ["--tablePort", str(self.table_port)]
        data = ["--inMemoryPersistence"] if self._in_memory else ["--location", str(self.location)]
        return [*ports, *data, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _answers(port: int) -> bool:
    """Tell whether an HTTP server gives any answer on the loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(1) != b""
    except OSError:
        return False
