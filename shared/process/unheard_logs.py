"""Keeps log lines that the platform drops until the next invocation logs them again.

The host keeps a worker's log line only while its invocation runs; the id is that of the task, which tasks inherit from
the task that made them (Azure/azure-functions-host, ``GrpcWorkerChannel.Log``). The lines of a poller whose first
client has gone, of a failed announcement, or of a stream at its end never reach Application Insights. This handler
recognises them by the same rule; the next invocation of any trigger repeats the last one of each kind, with their
number, once a minute at most.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import ReferenceType, ref

from shared.clock import to_iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.clock import Clock

#: The shortest time between two repetitions of a kind of line.
AGAIN_SECONDS: Final = 60.0
#: More than the app has; it bounds memory should every line become a kind of its own.
MAX_KINDS: Final = 100
MAX_CHARACTERS: Final = 4000

_invocation: ContextVar[ReferenceType[asyncio.Task[object]] | None] = ContextVar("invocation", default=None)


@dataclass(slots=True)
class _Kind:
    """The lines of one kind since they were last repeated."""

    name: str
    level: int
    text: str = ""
    times: int = 0
    last_at: datetime | None = None
    repeated_at: float = float("-inf")


class Unheard(logging.Handler):
    """Keeps the lines that a logger writes outside a running invocation.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.INFO)
        self._clock = clock
        self._kinds: dict[tuple[str, int, str], _Kind] = {}

    @contextmanager
    def listening(self, to: logging.Logger) -> Iterator[None]:
        """Keep this logger's lines inside this context."""
        to.addHandler(self)
        try:
            yield
        finally:
            to.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record."""
        if _is_heard():
            return
        key = (record.name, record.levelno, str(record.msg))
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            return
        kind = self._kinds.setdefault(key, _Kind(record.name, record.levelno))
        kind.text = self.format(record)[:MAX_CHARACTERS]
        kind.times += 1
        kind.last_at = self._clock.now()

    def begin_invocation(self) -> None:
        """Note that the current task is an invocation's, and log the kept lines."""
        task = asyncio.current_task()
        _invocation.set(ref(task) if task is not None else None)
        now = self._clock.monotonic()
        for kind in self._kinds.values():
            if kind.times and kind.last_at is not None and now - kind.repeated_at >= AGAIN_SECONDS:
                times, kind.times, kind.repeated_at = kind.times, 0, now
                logging.getLogger(kind.name).log(
                    kind.level,
                    "%s (said %d times outside of an invocation, last at %s)",
                    kind.text,
                    times,
                    to_iso(kind.last_at),
                )


def _is_heard() -> bool:
    """Tell whether the host keeps a line that is logged now."""
    began = _invocation.get()
    invocation = began() if began is not None else None
    try:
        is_in_task = asyncio.current_task() is not None
    except RuntimeError:  # a thread without a loop
        is_in_task = False
    return is_in_task and invocation is not None and not invocation.done()
