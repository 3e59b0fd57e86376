"""Does pieces of work in forked processes, a few at a time: what is imported already need not be imported again."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

_LOOK_EVERY_SECONDS = 0.02
Work = Callable[[Callable[[Any], None]], None]


@dataclass(frozen=True, slots=True)
class Done[Key]:
    """A piece of work that is done.

    Attributes:
        key: Which one.
        result: What it said last; None when its process ended, or was ended, without a word.
        seconds: How long it took.
    """

    key: Key
    result: Any
    seconds: float


def forked[Key](works: Iterable[tuple[Key, Work]], jobs: int, limit_seconds: float) -> Iterator[Done[Key]]:
    """Do each piece of work in a process of its own, with its output thrown away.

    Args:
        works: Each is given what takes its result, which JSON can hold.
        jobs: So many at a time.
        limit_seconds: A process that takes longer is killed.
    """
    waiting = iter(works)
    running: dict[int, tuple[Key, IO[str], float]] = {}
    try:
        while True:
            while len(running) < jobs and (following := next(waiting, None)) is not None:
                answer = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when it has been read
                running[_fork(following[1], answer)] = (following[0], answer, time.monotonic())
            if not running:
                return
            time.sleep(_LOOK_EVERY_SECONDS)
            for process, (key, answer, began) in list(running.items()):
                seconds = time.monotonic() - began
                if seconds > limit_seconds:
                    os.kill(process, signal.SIGKILL)
                if os.waitpid(process, os.WNOHANG)[0]:
                    del running[process]
                    with answer:
                        answer.seek(0)
                        said = answer.read().splitlines()
                    yield Done(key, json.loads(said[-1]) if said else None, seconds)
    finally:
        for process in running:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _fork(work: Work, answer: IO[str]) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        work(lambda result: print(json.dumps(result), file=answer, flush=True))
    finally:
        os._exit(0)  # whatever was raised: nothing of the parent's is for this process to end
