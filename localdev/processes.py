"""The processes that `make dev`, the tests and the benchmarks start: one way to start, to wait for and to stop them.

Each is on a leash (`localdev/leash.py`): it ends, with all its children, when it is stopped and also when its starter
is gone. This module imports the standard library only.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from localdev.leash import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

ROOT: Final = Path(__file__).parents[1]
LEASH: Final = Path(__file__).with_name("leash.py")
#: Where Event Grid, and the bridge, deliver to the app.
WEBHOOK: Final = "/runtime/webhooks/EventGrid?functionName=on_blob_event"
LAST_LINES: Final = 20
MARGIN_SECONDS: Final = 3.0  # for the leash's own work after its grace
READY_SECONDS: Final = 60.0  # measured: under 3 s for every one of ours; a busy machine may need many times that
POLL_SECONDS: Final = 0.02


class ProcessError(Exception):
    """A process ended by itself, or does not get ready. The message has its last lines."""

    def __init__(self, name: str, problem: str, last_lines: Sequence[str]) -> None:
        shown = "".join(f"\n    {line}" for line in last_lines) or " none"
        super().__init__(f"{name} {problem}; its last lines:{shown}")


class Process:
    """A running command; as a context manager it is stopped at the end.

    Args:
        name: Its name in messages.
        command: The command line.
        output: A file to append its output to, or a function that is called with each line, in a thread.
        env: Its whole environment; None for this process's own.
        cwd: Its working folder.
        on_end: Called with the error, in a thread, when it ends by itself.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        output: Path | Callable[[str], None],
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        on_end: Callable[[ProcessError], None] | None = None,
    ) -> None:
        self.name = name
        self._log = output if isinstance(output, Path) else None
        self._show = output if callable(output) else None
        self._on_end = on_end
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._stopped = False
        log = self._log.open("ab") if self._log else None
        self._leash = subprocess.Popen(  # noqa: S603  # our own command lines
            [sys.executable, "-I", "-S", str(LEASH), *command],
            stdin=subprocess.PIPE,
            stdout=log or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PYTHONUNBUFFERED": "1", **(os.environ if env is None else env)},
            cwd=cwd,
            # Ctrl-C goes to the whole group of the terminal, but the processes must stop one after the other.
            start_new_session=os.name == "posix",
        )
        if log:
            log.close()
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    @property
    def log(self) -> Path:
        """The file of its output."""
        if self._log is None:
            raise ValueError(f"the output of {self.name} goes elsewhere")
        return self._log

    @property
    def pid(self) -> int:
        """The process id of the command itself. Linux only: it is read from `/proc`, as are its memory and time."""
        leash = self._leash.pid
        return int(Path(f"/proc/{leash}/task/{leash}/children").read_text(encoding="ascii").split()[0])

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._leash.poll() is None

    @property
    def last_lines(self) -> list[str]:
        """The last lines of its output."""
        if self._log is None:
            return list(self._last_lines)
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]

    def until(self, is_ready: Callable[[], object], seconds: float = READY_SECONDS) -> Self:
        """Wait for a condition; stop a process that ends instead, or takes longer.

        Raises:
            ProcessError: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            problem = "" if self.is_running else f"ended while starting (exit status {self.wait()})"
            problem = problem or (f"was not ready within {seconds:.0f} s" if time.monotonic() > deadline else "")
            if problem:
                self.stop()
                raise ProcessError(self.name, problem, self.last_lines)
            time.sleep(POLL_SECONDS)
        return self

    def send_signal(self, number: int) -> None:
        """Send the command a signal, unless it has ended."""
        if self._leash.stdin is not None:
            with suppress(OSError, ValueError):
                self._leash.stdin.write(bytes([number]))
                self._leash.stdin.flush()

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end; return the exit status, 128 + signal when a signal ended it.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        status = self._leash.wait(seconds)
        self._follower.join(MARGIN_SECONDS)
        return status

    def stop(self) -> int:
        """Send SIGTERM, after a grace SIGKILL to it and all its children; return the exit status."""
        self._stopped = True
        if self._leash.stdin is not None:
            with suppress(OSError):
                self._leash.stdin.close()  # lets go of the leash
        try:
            return self.wait(GRACE_SECONDS + MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            return self.wait()

    def kill(self) -> int:
        """Kill it, as a crash would; return the exit status."""
        self._stopped = True
        self.send_signal(signal.SIGKILL)
        self.wait(GRACE_SECONDS)
        return self.stop()

    def _follow(self) -> None:
        """Read the output to its end, then notice the end of the process."""
        if self._leash.stdout is not None and self._show is not None:
            with self._leash.stdout as lines:
                for line in lines:
                    if text := line.decode(errors="replace").rstrip():
                        self._last_lines.append(text)
                        self._show(text)
        status = self._leash.wait()
        if self._on_end is not None and not self._stopped:
            self._on_end(ProcessError(self.name, f"ended unexpectedly (exit status {status})", self.last_lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def host_command(port: int, *options: str, core_tools: bool) -> list[str]:
    """Return the command line of a functions host with the app: Core Tools, or the bundled one, which takes options."""
    if core_tools:
        return [shutil.which("func") or "func", "start", "--port", str(port)]
    return [sys.executable, "-m", "localdev.host", str(ROOT), "--port", str(port), *options]


def bridge_command(port: int, azurite_url: str, functions_url: str, journal: Path, *options: str) -> list[str]:
    """Return the command line of the bridge between storage clients and Azurite, which delivers to the app."""
    command = [sys.executable, "-m", "localdev.bridge", "--port", str(port), "--azurite", azurite_url]
    return [*command, "--function-url", f"{functions_url}{WEBHOOK}", "--journal", str(journal), *options]


def memory_kb(pid: int | str, what: str = "VmRSS") -> int:
    """Return the memory that a process has now (``VmRSS``), or has had at most (``VmHWM``). Linux only."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def told_to_stop() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM of this process set, from now on, in the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop
