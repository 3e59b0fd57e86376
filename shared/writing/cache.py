"""What the writer remembers between flushes: rows, the tally, and how well its guesses went.

Nothing of it is trusted for a write: every operation carries its condition.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.writing.tally_row import TRUSTED_SECONDS

if TYPE_CHECKING:
    from shared.model.cases import CaseTally
    from shared.model.ledger import Row
    from shared.model.ports import Write
    from shared.writing.tally_row import StoredTally

#: Rows remembered, newest use last.
MAX_REMEMBERED: Final = 4096
#: So many wrong guesses that a name is new, not made up for by right ones, and rows are read first.
MAX_WRONG_GUESSES: Final = 8


@dataclass(frozen=True, slots=True)
class Remembered:
    """A row as last seen.

    Attributes:
        row: The row, or None when there was none.
        etag: Its ETag, or None when there was none.
        at: Before it was asked for, by the monotonic clock.
        partition: In which generation's partition.
        doubt: The tally's, before it was asked for.
    """

    row: Row | None
    etag: str | None
    at: float
    partition: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class RememberedCase:
    """A case as last seen.

    Attributes:
        tally: Its counts.
        etag: Its row's ETag, or None when there was none.
        partition: In which generation's partition.
    """

    tally: CaseTally
    etag: str | None
    partition: str


class Memory[Seen: (Remembered, RememberedCase)]:
    """The rows of blobs, by path, or of cases, last seen; least recently used out first."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Seen] = OrderedDict()

    def get(self, name: str, partition: str) -> Seen | None:
        """Return what is remembered of a row in this generation."""
        found = self._rows.get(name)
        if found is None or found.partition != partition:
            return None
        self._rows.move_to_end(name)
        return found

    def remember(self, name: str, seen: Seen) -> Seen:
        """Remember a row as just read or written."""
        self._rows[name] = seen
        self._rows.move_to_end(name)
        if len(self._rows) > MAX_REMEMBERED:
            self._rows.popitem(last=False)
        return seen

    def forget(self, name: str) -> None:
        """Forget one row."""
        self._rows.pop(name, None)

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()


RowMemory = Memory[Remembered]
CaseMemory = Memory[RememberedCase]


class Guesses:
    """Whether it is worth assuming that a name, or a case, never seen has no row.

    Args:
        most_wrong: So many wrong guesses, not made up for by right ones, and rows are read first.

    A wrong guess costs a failed transaction and the read that it would have saved. A burst of redeliveries to a
    process that remembers nothing is all wrong guesses: then rows are read first, until most names are new again.
    """

    def __init__(self, most_wrong: int = MAX_WRONG_GUESSES) -> None:
        self._most_wrong = most_wrong
        self._wrong = 0

    @property
    def are_good(self) -> bool:
        """Tell whether to guess."""
        return self._wrong < self._most_wrong

    def note_conflict(self, writes: list[Write], index: int) -> None:
        """Note what conflicted: a row that was to be made is one that was there."""
        self._wrong += index < len(writes) and writes[index].etag is None

    def note_batch(self, blobs: int, new: int) -> None:
        """Note a batch that is decided: how many blobs, and of how many there was no row."""
        if self.are_good:
            self._wrong = max(0, self._wrong - new)
        elif new > blobs * (1 - 1 / MAX_WRONG_GUESSES):
            self._wrong = 0


class TallyMemory:
    """The tally as last read or written.

    Attributes:
        asked_at: Before it was asked for, by the monotonic clock.
    """

    def __init__(self) -> None:
        self._stored: StoredTally | None = None
        self.asked_at = float("-inf")

    def get(self) -> StoredTally | None:
        """Return the tally, however old."""
        return self._stored

    def is_fresh(self, now: float) -> bool:
        """Tell whether the tally was read or written lately: a new generation may have begun since."""
        return self._stored is not None and now - self.asked_at <= TRUSTED_SECONDS

    def remember(self, stored: StoredTally, asked_at: float) -> None:
        """Remember the tally as read or written; it is as old as the question, however late the answer came."""
        self._stored, self.asked_at = stored, asked_at

    def forget(self) -> StoredTally | None:
        """Forget the tally; return what it was."""
        stored, self._stored = self._stored, None
        return stored
