"""The demo's display: a progress bar over the legend of the three counts; plain lines without a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from shared.model.folders import FOLDERS, INPUT, OUTPUT, QUEUED

if TYPE_CHECKING:
    from localdev.demo_counts import Counts

LEGEND: Final = ((QUEUED, "Queued", "#FFB74D"), (INPUT, "Processing", "#1E90FF"), (OUTPUT, "Completed", "#4CAF50"))
FURTHER: Final = "#E53935"
REFRESH_PER_SECOND: Final = 10
LINE_SECONDS: Final = 1.0  # without a terminal at most one line in this time


class View:
    """The live display, as a context manager.

    Args:
        images: How many will move.
        console: Where to draw.
    """

    def __init__(self, images: int, console: Console) -> None:
        self._console = console
        self._images = images
        self._moved = 0
        self._counts: Counts = {}
        self._line_at = float("-inf")
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
        )
        self._task = self._progress.add_task("images moved", total=images)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=REFRESH_PER_SECOND)

    def moved(self) -> None:
        """Note that one more image has reached its end."""
        self._moved += 1
        self._progress.update(self._task, completed=self._moved)

    def counts(self, counts: Counts) -> None:
        """Show the counts."""
        self._counts = counts
        now = time.monotonic()
        if not self._console.is_terminal and now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self._console.print(self._legend(), Text(f"  moved {self._moved}/{self._images}"), sep="")

    def _render(self) -> Group:
        return Group(self._progress, self._legend())

    def _legend(self) -> Text:
        text = Text()
        further = [(name, name.replace("_", " ").capitalize(), FURTHER) for name in self._counts if name not in FOLDERS]
        for folder, title, colour in (*LEGEND, *further):
            text.append("● ", style=colour).append(f"{title} ").append(f"{self._counts.get(folder, 0):<6}", "bold")
        return text

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()


class _Rate(ProgressColumn):
    """Images a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f}/s")
