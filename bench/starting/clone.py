"""A fresh clone of the committed state, and ``make dev`` in it: with the standard library alone."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30


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
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=clone, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith(ready):
                    break
            else:
                raise SystemExit(f"{' '.join(command)} ended before it was ready:\n{''.join(said[-20:])}")
            seconds = time.perf_counter() - started
            threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop it
            yield seconds
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_SECONDS)
