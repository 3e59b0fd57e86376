"""Child processes of `up`: each on a leash, their output merged into one terminal, their unexpected end noticed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from localdev.leash import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEASH: Final = Path(__file__).with_name("leash.py")
LAST_LINES: Final = 20
PREFIX_WIDTH: Final = 9
MARGIN_SECONDS: Final = 3.0  # for the leash's own work after its grace

_COLOURS: Final = {"azurite": 33, "bridge": 36, "functions": 35}  # yellow, cyan, magenta
_CHUNK_BYTES: Final = 65_536


class PartEndedError(Exception):
    """A part of the stack ended although nobody stopped it. The message has its last lines."""

    def __init__(self, name: str, how: str, last_lines: Sequence[str]) -> None:
        shown = "".join(f"\n    {line}" for line in last_lines) or " none"
        super().__init__(f"{name} ended unexpectedly ({how}); its last lines:{shown}")


class Output:
    """The terminal that all parts share: one line at a time, each with the part's name in front.

    Args:
        stream: Where to write; coloured when it is a terminal, unless NO_COLOR is set (https://no-color.org).
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str = "") -> None:
        """Writes a line of `up` itself, without a prefix."""
        with suppress(BrokenPipeError):
            print(text, file=self._stream, flush=True)

    def line(self, name: str, text: str) -> None:
        """Writes a line of one part."""
        prefix = f"{name:<{PREFIX_WIDTH}} |"
        if self._coloured and name in _COLOURS:
            prefix = f"\x1b[{_COLOURS[name]}m{prefix}\x1b[0m"
        self.say(f"{prefix} {text}")


class Child:
    """One child process.

    Args:
        name: What its lines are marked with.
        command: What to run.
        env: Its whole environment.
        cwd: Where it runs.
        output: Where its output goes.
        on_end: Called with the error when it ends although `stop` was not called.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        output: Output,
        on_end: Callable[[PartEndedError], None],
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-I", "-S", str(LEASH), *command]
        self._env = {**env, "PYTHONUNBUFFERED": "1"}
        self._cwd = cwd
        self._output = output
        self._on_end = on_end
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts it; returns at once."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,  # its end is the leash's signal to stop
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            # Ctrl-C goes to the whole group of the terminal; the parts are to stop one after the other instead.
            start_new_session=os.name == "posix",
        )
        self._running = asyncio.create_task(self._run(self._process))

    async def stop(self) -> None:
        """Lets go of the leash and waits for the end."""
        self._stopping = True
        process = self._process
        if process is None or self._running is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GRACE_SECONDS + MARGIN_SECONDS):
                await asyncio.shield(self._running)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            self._running.cancel()

    async def _run(self, process: asyncio.subprocess.Process) -> None:
        await self._relay(process)
        status = await process.wait()
        if not self._stopping:
            self._on_end(PartEndedError(self.name, f"exit status {status}", list(self._last_lines)))

    async def _relay(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("the output is not a pipe")
        rest = b""
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._show(line)
        if rest:
            self._show(rest)

    def _show(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._last_lines.append(text)
            self._output.line(self.name, text)
