"""How `up` ends, and how it does not start."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from localdev import demo, up
from localdev.ports import LOOPBACK
from tests.localdev_up.support import Up, named, run
from tests.waiting import until


def test_killed_up_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL gives `up` no chance to stop its parts; they end all the same."""
    with Up("--free-ports", "--data", str(tmp_path)) as running:
        running.until_ready()
        assert len(running.seen) >= 5, "Azurite, and bridge and functions host each with a leash"
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
        until(running.nothing_left)


def test_second_stack_touches_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    environ: pytest.MonkeyPatch,  # noqa: ARG001
) -> None:
    """A folder in use is refused before Azurite opens it; ports in use before anything starts."""
    with Up("--free-ports", "--data", str(tmp_path), "--without-functions") as first:
        first.until_ready()
        same_folder = run("localdev.up", "--free-ports", "--data", str(tmp_path), "--without-functions")
        assert same_folder.returncode == 1
        assert "bridge ended unexpectedly" in same_folder.stderr
        assert "does another bridge use it?" in same_folder.stderr
        blob_port = first.find(r"^storage ready http://[^:]+:(\d+)$")
        assert up.main(["--free-ports", "--blob-port", blob_port, "--without-functions"]) == 1
        assert capsys.readouterr().err == (
            f"port {blob_port}, wanted by the blob service, is in use; choose another with --blob-port or BLOB_PORT\n"
        )
        assert first.end(signal.SIGTERM) == 0
        until(first.nothing_left)
        assert "stopping" in first.lines
        assert first.lines[-1] == "stopped"


def test_environment_of_a_real_shell(tmp_path: Path) -> None:
    """Proxies for the internet and the accounts of another Azurite do not reach what runs here."""
    with socket.socket() as proxy:  # takes connections and never answers
        proxy.bind((LOOPBACK, 0))
        proxy.listen()
        proxy.setblocking(False)
        address = f"http://{LOOPBACK}:{proxy.getsockname()[1]}"
        shell = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), address)
        shell |= {"NO_PROXY": "", "no_proxy": "intranet.example", "AZURITE_ACCOUNTS": "other:eA=="}
        shell |= {"AZURITE_DB": "mysql://nobody@127.0.0.1:1/none"}
        with Up("--free-ports", "--data", str(tmp_path), **shell) as running:
            running.until_ready()
            given = ["--base-url", running.functions_url, "--connection-string", running.connection_string]
            done = run("localdev.demo", "--images", "3", *given, **shell)
            assert done.returncode == 0, done.stdout + done.stderr
            assert running.end(signal.SIGTERM) == 0
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_default_ports_are_checked(tmp_path: Path) -> None:
    """A port given by its variable is checked like the default one, and nothing is left running."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("localdev.up", "--data", str(tmp_path), FUNCTIONS_PORT=port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"port {port}, wanted by the functions host, is in use;")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_part_that_dies_is_named(tmp_path: Path) -> None:
    """When a part ends by itself its last lines are shown, the others are stopped and the exit status is 1."""
    with Up("--free-ports", "--data", str(tmp_path), "--without-functions") as running:
        running.until_ready()
        os.kill(named(running.seen, "localdev.bridge"), signal.SIGKILL)
        assert running.process.wait(30) == 1
        until(lambda: running.find(r"^bridge ended unexpectedly \(exit status 137\); its last lines:$"))
        assert running.find(r"^    ready http")
        until(running.nothing_left)


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize(
    ("values", "problem"),
    [({"STORAGE": "another account's"}, "nothing answers at URL: start"), ({"QUEUED_FOLDER": "A"}, "QUEUED_FOLDER=A ")],
)
def test_demo_reads_what_dev_reads(
    values: dict[str, str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The settings of local.settings.json are the demo's too, but for the storage, which `make dev` starts itself."""
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    file = tmp_path / "local.settings.json"
    with socket.socket() as reserved:
        reserved.bind((LOOPBACK, 0))
        port = str(reserved.getsockname()[1])
        file.write_text(json.dumps({"Values": values | {"FUNCTIONS_PORT": port}}))
        assert demo.main([]) == 1
    assert capsys.readouterr().err.startswith(problem.replace("URL", f"http://{LOOPBACK}:{port}"))
    file.write_text("{")
    assert demo.main([]) == 1
    assert str(file) in capsys.readouterr().err


@pytest.mark.usefixtures("environ")
def test_demo_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing running is said in one line."""
    with socket.socket() as reserved:
        reserved.bind((LOOPBACK, 0))
        url = f"http://{LOOPBACK}:{reserved.getsockname()[1]}"
        assert demo.main(["--base-url", url]) == 1
    assert capsys.readouterr().err == f"nothing answers at {url}: start it with `make dev`\n"
