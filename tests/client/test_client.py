"""The client package's own tests, each part as one test: what it prints is shown when it fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.client.conftest import INSTALL_SECONDS, ROOT

CLIENT = ROOT / "client"
LIMIT_SECONDS = 300  # the longest part takes about 60 s when alone
CONSUMERS_LIMIT_SECONDS = 900  # four minutes with two cores to itself, of which the installations are half


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


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_core() -> None:
    """The client alone, with a fake clock and the protocol in memory; its size."""
    run_script("test:core")


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_hook_and_component() -> None:
    """React Native: the hook, the legend, the pulse, the app."""
    run_script("test:native")


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_http_on_the_real_stack() -> None:
    """Every transport against the functions host, through a proxy with faults."""
    run_script("test:stack", "test/http")


@pytest.mark.timeout(LIMIT_SECONDS + INSTALL_SECONDS + 60)
def test_page_on_the_real_stack(chromium: str) -> None:
    """The page in Chromium: upload, pulse, pipeline, delete; the server lost and back."""
    run_script("test:stack", "test/browser", CHROMIUM_PATH=chromium)


@pytest.mark.timeout(CONSUMERS_LIMIT_SECONDS + INSTALL_SECONDS + 60)
def test_consumers(chromium: str) -> None:
    """Apps of other people, made of the packed package: React Native, the web, Node, Jest, TypeScript."""
    run_script("test:consumers", limit_seconds=CONSUMERS_LIMIT_SECONDS, CHROMIUM_PATH=chromium)
