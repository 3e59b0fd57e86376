"""A fresh clone of the committed state, and ``make dev`` in it: with the standard library alone."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localdev.processes import ROOT, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

READY_SECONDS = 1800  # everything may have to be downloaded


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """Clone into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        yield clone


@contextmanager
def running(command: Sequence[str], clone: Path, ready: str, environ: dict[str, str]) -> Iterator[float]:
    """Run a command that goes on until it is stopped.

    Args:
        command: What to run.
        clone: Where.
        ready: How the line begins that says that it is ready.
        environ: Its environment.

    Yields:
        Seconds until that line.
    """
    is_ready = threading.Event()

    def read(line: str) -> None:
        if line.startswith(ready):
            is_ready.set()

    started = time.perf_counter()
    with Process(" ".join(command), command, output=read, env=environ, cwd=clone) as process:
        process.until(is_ready.is_set, READY_SECONDS)
        yield time.perf_counter() - started
