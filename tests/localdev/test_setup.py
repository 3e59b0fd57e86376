"""What `make setup` and `make client` say when they cannot install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from localdev.ports import free_ports

ROOT = Path(__file__).parents[2]
SCRIPTS = ("localdev/setup.sh", "client/setup.sh")


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_network_npm_says_why(tmp_path: Path, script: str) -> None:
    """The error is npm's own, and the script ends with it."""
    (port,) = free_ports(1)
    folder = tmp_path / Path(script).parent
    folder.mkdir()
    shutil.copy(ROOT / script, folder)
    needs = {"name": "x", "version": "1.0.0", "dependencies": {"y": "1.0.0"}}
    (folder / "package.json").write_text(json.dumps(needs))
    there = {"version": "1.0.0", "resolved": f"http://127.0.0.1:{port}/y.tgz", "integrity": "sha512-AAAA"}
    lock = {"name": "x", "lockfileVersion": 3, "packages": {"": needs, "node_modules/y": there}}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (tmp_path / "requirements-dev.txt").write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.stamp").write_text("4294967295 0\n")  # the sum of nothing
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "npm_config_fetch_retries": "0"}
    done = subprocess.run([tmp_path / script], env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "ECONNREFUSED" in done.stderr
    assert not (folder / "node_modules/.stamp").exists()


def test_the_operator_needs_no_node() -> None:
    """`make ops` makes .venv, and nothing else."""
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}  # of a `make` that runs this
    command = ["make", "--no-print-directory", "-n", "ops", "ARGS=status"]
    shown = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["./localdev/setup.sh python", ".venv/bin/python -m ops status"]
