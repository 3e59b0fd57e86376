"""`python leash.py COMMAND [ARGUMENT...]`: run a command that ends when its standard input does.

Standard input is a pipe whose other end the starter holds. The starter closes it to stop the command; the operating
system closes it too when the starter is gone, for whatever reason. So every command has one way to stop, and is never
left behind, also when it cannot watch a pipe itself. Until then each byte on the pipe is the number of a signal for
the command.

At the end the command gets SIGTERM, and after a grace it is killed with all its children. Its exit status is passed
on, as the shell does (128 + signal) when a signal ended it. The leash imports the standard library only and runs under
`python -I -S`, so it starts in milliseconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_SECONDS = 12.0  # the bridge lets deliveries in flight end for up to 10 s


def main(command: list[str]) -> int:
    """Run the command to its end; return the exit status."""
    child = subprocess.Popen(  # noqa: S603  # the starter's own command line
        command, stdin=subprocess.DEVNULL, start_new_session=os.name == "posix"
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_follow_input, args=(child,), daemon=True).start()
    status = child.wait()
    _kill_all(child)
    return status if status >= 0 else 128 - status


def _follow_input(child: subprocess.Popen[bytes]) -> None:
    # Not sys.stdin: a thread that waits inside it makes the interpreter abort at its end.
    with suppress(OSError):
        while numbers := os.read(0, 4096):
            for number in numbers:
                child.send_signal(number)
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _kill_all(child)


def _kill_all(child: subprocess.Popen[bytes]) -> None:
    """Kill the command and its children, which are a process group of their own."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
