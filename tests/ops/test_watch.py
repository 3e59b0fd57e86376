"""`watch`, progress bars, and the ends of a process: Ctrl-C and a reader that goes away."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest
from rich.console import Console

from ops import bars
from shared.reconciling.report import Progress
from tests.ops.conftest import Account


def interrupted(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C; return the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(15)


def test_i7_watch_prints_a_line_per_change(account: Account) -> None:
    """The counts at once, then a JSON line for each change; Ctrl-C ends it quietly with 130."""
    account.upload("a.jpg")
    process = account.start("watch", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = json.loads(process.stdout.readline())
        assert first["counts"] == {"queued": 0, "input": 0, "output": 0}
        account.deliver(account.event("a.jpg"))
        second = json.loads(process.stdout.readline())
        assert second["counts"] == {"queued": 1, "input": 0, "output": 0}
        assert second["version"] != first["version"]
        assert second["changed_at"] > first["changed_at"]
        assert interrupted(process) == 130
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_watch_on_a_terminal(account: Account) -> None:
    """On a terminal one table stays in place, with what has changed since the start."""
    account.upload("a.jpg")
    ours, theirs = pty.openpty()
    process = account.start("watch", stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    try:
        seen = read_until(ours, r"queued +0 +\+0")
        account.deliver(account.event("a.jpg"))
        seen = read_until(ours, r"queued +1 +\+1")
        assert interrupted(process) == 130
        seen += read_until(ours, "$")
        assert "Traceback" not in seen
    finally:
        process.kill()
        process.wait(15)
        os.close(ours)


def read_until(terminal: int, pattern: str) -> str:
    """Read what a terminal shows, without colours and movements, until this is there."""
    seen = ""
    deadline = time.monotonic() + 30
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen
        seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 65_536).decode())
    return seen


def test_a_reader_that_has_seen_enough(account: Account) -> None:
    """A closed pipe (`| head -1`) is no error."""
    reading, writing = os.pipe()
    process = account.start("status", "--json", stdout=writing)
    os.close(reading)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("visible", [True, False])
def test_bars(visible: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar with rate and time left, elsewhere a line now and then with the same."""
    monkeypatch.setattr(bars, "LINE_SECONDS", 0)
    file = io.StringIO()
    console = Console(file=file, force_terminal=visible, width=150, color_system=None)
    with bars.Bars(console, visible=visible) as progress:
        progress(Progress("listing", 1000, 4000))
        progress(Progress("listing", 5000, 4000))
        progress(Progress("comparing", 7, None))
    shown = file.getvalue()
    assert re.search(r"listing.*5000/5000.*/s" if visible else r"listing: 5,000 of 5000, [\d,]+/s", shown)
    assert re.search(r"comparing.*7/\?" if visible else r"comparing: 7 of \?", shown)
    assert ("left" in shown) is True
