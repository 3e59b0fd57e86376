"""The launcher: ready when it says so, stopped without loss, gone with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from localdev import azurite as module
from localdev.azurite import Azurite, AzuriteError
from localdev.ports import LOOPBACK, PortInUseError, free_port, require_free
from localdev.processes import ProcessError
from tests.waiting import eventually


async def test_what_was_written_is_there_after_stop_and_start(tmp_path: Path) -> None:
    """Blobs and table rows survive SIGTERM and a start on the same ports and folder."""
    with Azurite(location=tmp_path / "data") as azurite:
        ports = (azurite.blob_port, azurite.queue_port, azurite.table_port)
        with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
            table = tables.create_table("ttt")
            table.create_entity({"PartitionKey": "p", "RowKey": "r", "n": 1})
            async with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
                await (await blobs.create_container("c1c")).upload_blob("x", b"data")
                azurite.stop()
                assert azurite.process is not None
                assert not azurite.process.is_running
                azurite.start()
                assert ports == (azurite.blob_port, azurite.queue_port, azurite.table_port)
                assert await (await blobs.get_blob_client("c1c", "x").download_blob()).readall() == b"data"
            assert table.get_entity("p", "r")["n"] == 1
        azurite.kill()
        assert not azurite.process.is_running
    assert (tmp_path / "data").is_dir()


def test_a_temporary_folder_goes_with_it() -> None:
    """Without a location the data leaves nothing behind."""
    with Azurite() as azurite:
        location = azurite.location
        assert location is not None
        assert location.is_dir()
    assert not location.exists()


def test_a_taken_port_is_named() -> None:
    """Who wanted which port stands in the error."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port}, wanted by Azurite's table service"):
            Azurite(table_port=port, in_memory=True).start()


def test_a_missing_installation_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without node_modules the error names the setup script; without Node it names Node."""
    monkeypatch.setattr(module, "ENTRY", tmp_path / "missing.js")
    with pytest.raises(AzuriteError, match=r"run localdev/setup\.sh"):
        Azurite(in_memory=True).start()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AzuriteError, match="install Node 20"):
        Azurite(in_memory=True).start()


def test_a_failing_start_shows_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the process ends at once its last words are in the error."""
    broken = tmp_path / "azurite.js"
    broken.write_text("console.error('no luck today'); process.exit(3)", encoding="utf-8")
    monkeypatch.setattr(module, "ENTRY", broken)
    with pytest.raises(ProcessError, match="no luck today"):
        Azurite(in_memory=True).start()


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent ends Azurite too, with its data written."""
    port = free_port()
    program = (
        "import pathlib, time; from localdev.azurite import Azurite;"
        f"a = Azurite(blob_port={port}, location=pathlib.Path({str(tmp_path)!r})); a.start();"
        "print(a.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    def gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{child}/stat")  # an orphan that nobody reaps stays as a zombie
        return status.exists() and status.read_text(encoding="ascii").split()[2] == "Z"

    try:
        await eventually(gone)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    def is_free() -> bool:
        with contextlib.suppress(PortInUseError):
            require_free(port, "nobody")
            return True
        return False

    await eventually(is_free)  # a process whose threads are still ending is a zombie already
