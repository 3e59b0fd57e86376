"""The bridge's journal: events that are not delivered yet, and the last sequencer.

An event is written here before the client hears that its request succeeded, and removed when it is delivered. The
process may be killed at any moment. It is SQLite in WAL mode with `synchronous=OFF`: a commit is handed to the
operating system, which keeps it when the process dies. Only a crash of the machine could lose it, and that loses
the emulator's own last seconds too; waiting for the disk on every upload would buy nothing.

Sequencers are hybrid times: the wall clock in nanoseconds, or one more than the last if the clock has not advanced.
They increase across restarts, clock steps, and even a deleted journal as long as the clock runs forward.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localdev.bridge.events import Event

SEQUENCER_WIDTH: Final = 48  # hexadecimal digits; the service has been seen to use 32 and 48

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
INSERT OR IGNORE INTO clock VALUES (1, 0);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON events (state);
"""


class JournalError(Exception):
    """The journal cannot be opened; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the journal; `created_at` in seconds since the epoch."""

    number: int
    created_at: float
    event: Event
    reason: str = ""


class Journal:
    """Events by state: `queued`, then removed; or kept as `dropped` (by chaos) or `dead` (with a reason)."""

    def __init__(self, path: Path, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: every statement outside BEGIN is a transaction of its own.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"{path} cannot be opened: {error}; choose a folder that can be written to (STATE_DIR)"
            ) from error
        try:
            # Two bridges on one journal would deliver twice and hand out equal sequencers.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.executescript(_SCHEMA)
            self._last: int = self._db.execute("SELECT last FROM clock").fetchone()[0]
        except sqlite3.Error as error:
            self._db.close()
            raise JournalError(
                f"{path}: {error}; does another bridge use it? Stop it or choose another file"
            ) from error

    def next_sequencer(self) -> str:
        """Return a sequencer that is greater, as a string too, than every one before; kept by the next `append`."""
        self._last = max(self._last + 1, self._clock_ns())
        return f"{self._last:0{SEQUENCER_WIDTH}x}"

    def append(self, events: list[Event], *, states: list[str]) -> list[Entry]:
        """Store events, all or none, together with the last sequencer; return them numbered."""
        now = self._clock_ns() / 1e9
        entries = []
        with self._db:  # commits, or rolls back on an exception
            self._db.execute("BEGIN IMMEDIATE")
            for event, state in zip(events, states, strict=True):
                row = (state, now, "dropped by chaos" if state == "dropped" else "", json.dumps(event))
                cursor = self._db.execute("INSERT INTO events (state, created_at, reason, body) VALUES (?,?,?,?)", row)
                entries.append(Entry(int(cursor.lastrowid or 0), now, event))
            self._db.execute("UPDATE clock SET last = ?", (self._last,))
        return entries

    def entry(self, number: int) -> Entry | None:
        """Return one queued event."""
        row = self._db.execute(
            "SELECT number, created_at, body, reason FROM events WHERE number = ? AND state = 'queued'", (number,)
        ).fetchone()
        return _entry(row) if row else None

    def queued(self) -> list[int]:
        """Return the numbers of all undelivered events, oldest first."""
        return [row[0] for row in self._db.execute("SELECT number FROM events WHERE state = 'queued' ORDER BY number")]

    def delivered(self, number: int) -> None:
        """Forget an event."""
        self._db.execute("DELETE FROM events WHERE number = ?", (number,))

    def dead_letter(self, number: int, reason: str) -> None:
        """Keep an event that will not be delivered, with the reason."""
        self._db.execute("UPDATE events SET state = 'dead', reason = ? WHERE number = ?", (reason, number))

    def kept(self, state: str, limit: int = 1000) -> list[Entry]:
        """Return the newest events in state `dead` or `dropped`."""
        rows = self._db.execute(
            "SELECT number, created_at, body, reason FROM events WHERE state = ? ORDER BY number DESC LIMIT ?",
            (state, limit),
        )
        return [_entry(row) for row in rows]

    def count(self, state: str) -> int:
        """Return how many events are in a state."""
        return int(self._db.execute("SELECT COUNT(*) FROM events WHERE state = ?", (state,)).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _entry(row: tuple[int, float, str, str]) -> Entry:
    number, created_at, body, reason = row
    return Entry(number, created_at, json.loads(body), reason)
