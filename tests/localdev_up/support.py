"""Helpers of these tests: `up` as a process of its own, its output, and all that it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from tests.waiting import until

ROOT = Path(__file__).parents[2]
READY_SECONDS = 90.0  # seconds when alone; the machine may be busy with other tests


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, without what a developer may have set for `make dev`."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_PORT")}
    return {"FUNCTIONS_HOST": "bundled", **inherited, **changes}


def run(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a module with the given arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=ROOT,
        env=environment(**changes),
    )


class Up:
    """A running `python -m localdev.up`; as a context manager it leaves nothing behind, whatever happens."""

    def __init__(self, *arguments: str, **changes: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localdev.up", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment(**changes),
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.seen: set[int] = set()

    def until_ready(self) -> None:
        """Wait for the line that says so."""
        until(lambda: self.find(r"^(?:storage )?ready ") or self.process.poll() is not None, READY_SECONDS)
        assert self.process.poll() is None, self.text
        self.seen = descendants(self.process.pid)

    @property
    def text(self) -> str:
        """All that it has printed."""
        return "\n".join(self.lines)

    def find(self, pattern: str) -> str:
        """Return what the pattern finds in the output: its group, or all of it; "" when nothing."""
        match = re.search(pattern, self.text, re.MULTILINE)
        return (match[1] if match.re.groups else match[0]) if match else ""

    @property
    def functions_url(self) -> str:
        """The functions host."""
        return self.find(r"^ready (\S+)$")

    @property
    def connection_string(self) -> str:
        """The storage, through the bridge."""
        return self.find(r"^  storage +(\S+)$")

    def end(self, number: int) -> int:
        """Send a signal and wait for the end; return the exit status."""
        self.seen |= descendants(self.process.pid)
        self.process.send_signal(number)
        return self.process.wait(30)

    def nothing_left(self) -> bool:
        """Tell whether all that it has ever been seen to start is gone."""
        return not self.seen & set(processes())

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self._reader.join(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def processes() -> dict[int, int]:
    """Return the running processes, each with its parent; zombies do not run."""
    rows = [line.split() for line in _ps("pid=,ppid=,stat=")]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def descendants(pid: int) -> set[int]:
    """Return the processes that this one has started, and they in turn."""
    parents = processes()
    found: set[int] = set()
    level = {pid}
    while level := {child for child, parent in parents.items() if parent in level}:
        found |= level
    return found


def named(pids: set[int], text: str) -> int:
    """Return the one process whose command line begins with a Python that runs the module `text`."""
    rows = [line.split(maxsplit=1) for line in _ps("pid=,args=")]
    (found,) = [int(pid) for pid, args in rows if int(pid) in pids and text in args and "leash.py" not in args]
    return found


def _ps(columns: str) -> list[str]:
    command = ["ps", "-eo", columns]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
