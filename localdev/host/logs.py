"""The log, with what the platform would lose marked.

The platform's host drops a line of the app unless the invocation that it belongs to is running. Tasks inherit that
from the task that made them, so a background task's lines are kept until the invocation that began it ends; those of a
callback, of a streamed body, or of the import of the app belong to none (Azure/azure-functions-host,
`GrpcWorkerChannel.Log`). Here all lines are printed, and those say so.
"""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any

MARK = "[not in Application Insights]"
_NOT_THE_APP_S = ("localdev", "__main__", "azure_functions", "asyncio")


class _Invocation:
    """Whether an invocation is running."""

    __slots__ = ("is_running",)

    def __init__(self) -> None:
        self.is_running = True

    def end(self, _: object) -> None:
        self.is_running = False


_current: contextvars.ContextVar[_Invocation | None] = contextvars.ContextVar("invocation", default=None)


def start_invocation[Result](coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Start a task whose lines, and those of the tasks that it makes, belong to a new invocation: until it ends."""
    invocation, context = _Invocation(), contextvars.copy_context()
    context.run(_current.set, invocation)
    task = asyncio.get_running_loop().create_task(coroutine, context=context)
    task.add_done_callback(invocation.end)
    return task


class Formatter(logging.Formatter):
    """Marks the lines that the platform would drop."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line, before any traceback."""
        line = super().formatMessage(record)
        return line if record.name.startswith(_NOT_THE_APP_S) or _is_kept() else f"{line} {MARK}"


def _is_kept() -> bool:
    invocation = _current.get()
    try:
        is_in_task = asyncio.current_task() is not None
    except RuntimeError:  # a thread: the platform has the invocation of a synchronous function there
        is_in_task = True
    return is_in_task and invocation is not None and invocation.is_running
