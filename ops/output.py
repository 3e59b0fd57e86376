"""A command's output: text for people, one JSON document for machines; messages and bars go to standard error."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.bars import Bars
from shared.clock import from_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    type Renderable = str | Table

#: Wide enough that lines into a pipe are not wrapped.
PIPE_WIDTH = 1000


class Output:
    """One command's output.

    Args:
        as_json: Whether it is for machines.
        works_on: What the command works on, by name: every result says it.
    """

    def __init__(self, works_on: Mapping[str, object], *, as_json: bool) -> None:
        self.as_json = as_json
        self.is_terminal = sys.stdout.isatty()
        self.console = _console(sys.stdout)
        self._messages = _console(sys.stderr)
        self._works_on = works_on

    def show(self, data: dict[str, object], *text: Renderable) -> None:
        """Print the command's result: the JSON document, or the text."""
        if self.as_json:
            _write_json({**self._works_on, **data}, indent=2)
            return
        for each in text:
            _print(self.console, each)

    def line(self, data: Mapping[str, object], text: str) -> None:
        """Print one of many results, at once: a JSON document on a line of its own, or the text."""
        if self.as_json:
            _write_json(data)
        else:
            _print(self.console, text)
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print a message that is not the result."""
        _print(self._messages, text)

    def bars(self) -> Bars:
        """Return the progress bars: a context manager, called with each progress."""
        return Bars(self._messages, visible=self.is_terminal and sys.stderr.isatty())


def fail(message: str, code: int, *, as_json: bool) -> int:
    """Print in one line why there is no result; return the exit code."""
    _print(_console(sys.stderr), f"ops: {message}")
    if as_json:
        _write_json({"error": message, "exit_code": code}, indent=2)
    return code


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[int] = ()) -> Table:
    """Return a plain table; the columns in ``numbers`` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for index, header in enumerate(headers):
        made.add_column(header, justify="right" if index in set(numbers) else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(str(cell))) for cell in row))
    return made


def printable(text: str) -> str:
    """Return a text with every character escaped that could move the cursor or hide text."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def moment(iso: str, now: datetime | None = None) -> str:
    """Return a stored moment for people: to the second, and how long ago."""
    then = from_iso(iso)
    seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{then:%Y-%m-%d %H:%M:%S} UTC ({seconds // size} {unit} ago)"
    return f"{then:%Y-%m-%d %H:%M:%S} UTC ({seconds} s ago)"


def _console(stream: object) -> Console:
    width = None if getattr(stream, "isatty", bool)() else PIPE_WIDTH
    return Console(stderr=stream is sys.stderr, markup=False, highlight=False, emoji=False, width=width)


def _print(console: Console, what: Renderable) -> None:
    if isinstance(what, str):
        console.print(Text(printable(what)), soft_wrap=True)
    else:
        console.print(what)


def _write_json(data: object, indent: int | None = None) -> None:
    sys.stdout.write(json.dumps(data, indent=indent) + "\n")
