"""Progress bars with rate and time left; a line now and then where there is no terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich import progress as rich
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from shared.reconciling.report import Progress

LINE_SECONDS: Final = 10.0


class Bars:
    """One bar per stage; called with each :class:`shared.reconciling.report.Progress`.

    Args:
        console: Where to draw.
        visible: Whether to draw bars; otherwise a line is printed every ten seconds.
    """

    def __init__(self, console: Console, *, visible: bool) -> None:
        self._console = console
        self._visible = visible
        self._stage = ""
        self._started_at = self._line_at = time.monotonic()
        self._rich = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            _Rate(),
            rich.TimeElapsedColumn(),
            _Left(),
            console=console,
            transient=True,
        )
        self._task: rich.TaskID | None = None

    def __call__(self, now: Progress) -> None:
        """Show the progress."""
        if now.stage != self._stage:
            self._enter(now.stage)
        expected = max(now.expected, now.done) if now.expected is not None else None
        if self._task is not None:
            self._rich.update(self._task, completed=now.done, total=expected)
        elif time.monotonic() - self._line_at >= LINE_SECONDS:
            self._line_at = time.monotonic()
            rate = now.done / max(self._line_at - self._started_at, 0.001)
            left = f", {(expected - now.done) / rate:.0f} s left" if expected and rate else ""
            self._console.print(f"{now.stage}: {now.done:,} of {expected or '?'}, {rate:,.0f}/s{left}", soft_wrap=True)

    def _enter(self, stage: str) -> None:
        self._stage, self._started_at = stage, time.monotonic()
        if not self._visible:
            return
        if self._task is not None:
            self._rich.stop_task(self._task)
        self._task = self._rich.add_task(stage, total=None)

    def __enter__(self) -> Self:
        if self._visible:
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._visible:
            self._rich.stop()


class _Rate(rich.ProgressColumn):
    """Steps a second."""

    def render(self, task: rich.Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


class _Left(rich.TimeRemainingColumn):
    """The time left, where it can be known."""

    def render(self, task: rich.Task) -> Text:
        left = super().render(task)
        return left.append(" left") if left.plain else left
