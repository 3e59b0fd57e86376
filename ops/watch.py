"""`watch`: show the counts live, through the app's own watch: one small read of the table per poll interval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from ops.output import table
from shared.errors import Unavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from types import TracebackType

    from ops.exits import Exit
    from ops.output import Output
    from shared.model.snapshot import StatusSnapshot
    from shared.services import Services

#: The longest wait for a change; when it ends the counts have been confirmed.
HOLD_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0


async def watch(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Show the counts now, and again whenever they change, until Ctrl-C."""
    del given
    shown: StatusSnapshot | None = None
    with _View(out) as view:
        while True:
            try:
                if shown is None:
                    snapshot: StatusSnapshot | None = await services.watch.latest()
                else:
                    snapshot = await services.watch.changed(shown.version, HOLD_SECONDS)
                view.note("")
                if snapshot is not None:
                    shown = snapshot
                    view.show(snapshot)
            except Unavailable as error:
                view.note(str(error))
                await asyncio.sleep(RETRY_SECONDS)


class _View:
    """A table that stays in place; a line per change where there is no terminal."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._live = Live(console=out.console, auto_refresh=False)
        self._is_live = out.is_terminal and not out.as_json
        self._first: Mapping[str, int] = {}
        self._snapshot: StatusSnapshot | None = None
        self._note = ""

    def show(self, snapshot: StatusSnapshot) -> None:
        """Show new counts."""
        tally = snapshot.tally
        self._snapshot = snapshot
        self._first = self._first or tally.counts()
        if self._is_live:
            self._draw()
            return
        changed_at = snapshot.data["timestamp"]
        counts = "  ".join(f"{folder} {count}" for folder, count in tally.counts().items())
        data = {"counts": tally.counts(), "version": tally.version, "changed_at": changed_at}
        self._out.line(data, f"{changed_at}  {counts}")

    def note(self, text: str) -> None:
        """Show why the counts may be old; "" when they are current."""
        if text == self._note:
            return
        self._note = text
        if self._is_live:
            self._draw()
        elif text:
            self._out.say(text)

    def _draw(self) -> None:
        rows: list[tuple[str, int, str]] = []
        if self._snapshot is not None:
            counts = self._snapshot.tally.counts()
            rows = [(folder, count, f"{count - self._first[folder]:+}") for folder, count in counts.items()]
            changed = f"version {self._snapshot.version}, changed {self._snapshot.data['timestamp']}"
        else:
            changed = ""
        table_ = table(("folder", "images", "since start"), rows, numbers=[1, 2])
        self._live.update(Group(table_, Text(changed), Text(self._note or "Ctrl-C ends")), refresh=True)

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._live.stop()
