"""Runs the scripts of the client package."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from tests.client.conftest import ROOT

CLIENT = ROOT / "client"
LIMIT_SECONDS = 480  # the longest part, the page, takes about two minutes when alone


def run_script(name: str, *arguments: str, limit_seconds: int = LIMIT_SECONDS, **environ: str) -> None:
    """Run one script of the package to its end; fail with its output."""
    npm = shutil.which("npm")
    assert npm, "npm is not on PATH"
    assert (CLIENT / "node_modules").is_dir(), "the client is not installed: run `make client`"
    with subprocess.Popen(
        [npm, "run", "--silent", name, "--", *arguments],
        cwd=CLIENT,
        env={**os.environ, "CI": "1", "NO_COLOR": "1", "FUNCTIONS_HOST": "bundled", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what the stack started ends with it
            output, _ = process.communicate()
            pytest.fail(f"{name} took longer than {limit_seconds} s:\n{output}", pytrace=False)
    if process.returncode != 0:
        pytest.fail(f"{name} failed:\n{output}", pytrace=False)
