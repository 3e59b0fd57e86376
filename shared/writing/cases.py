"""The rows of cases: what this process knows of them, and what a commit makes of them.

A case's row is written in the transaction that changes a row of one of its blobs, on condition of its own ETag. The
ring in the tally says which cases others have changed, so that a remembered one is read again only then.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import Conflict
from shared.model.cases import ROW_PREFIX, Changed, Recent, StoredCase, key_of, nothing, to_properties
from shared.model.ports import Write
from shared.writing.cache import CaseMemory, Guesses, RememberedCase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.model.cases import CaseTally
    from shared.model.ports import Table
    from shared.model.tally import Change, Tally
    from shared.writing.tally_row import Counts, StoredTally

#: So many wrong guesses that a case has no row yet, and rows of cases are read first, until most are new again.
MAX_WRONG_CASES: Final = 2


class CaseWrite(NamedTuple):
    """What a commit makes of a case.

    Attributes:
        case: The case.
        tally: Its counts afterwards.
        write: What writes its row.
    """

    case: str
    tally: CaseTally
    write: Write


@dataclass(slots=True)
class CaseWrites:
    """What a commit makes of all cases.

    Attributes:
        recent: The tally's ring afterwards, or None: it stays as it is.
        written: The cases whose rows are written, in the order of the transaction.
        unread: Cases whose rows must be read before this can be decided.
    """

    recent: Recent | None = None
    written: list[CaseWrite] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def writes(self) -> list[Write]:
        """The part of the transaction that is of cases."""
        return [each.write for each in self.written]


class Cases:
    """What this process knows of the rows of cases.

    Args:
        table: The table.
        counts: Its tally.

    Attributes:
        guesses: Whether one that is not remembered may be taken to have no row.
    """

    def __init__(self, table: Table, counts: Counts) -> None:
        self._table = table
        self._counts = counts
        self._memory = CaseMemory()
        self.guesses = Guesses(MAX_WRONG_CASES)
        #: Of which a guess that they have no row, or what was remembered, has turned out to be wrong: they are read.
        self._doubted: set[str] = set()
        #: Of the last change of a case that the memory has been told of.
        self._revision = 0

    def decide(self, stored: StoredTally, changes: list[Change], now: datetime) -> CaseWrites:
        """Decide what becomes of the cases whose blobs change, each change with a number of its own.

        Args:
            stored: The tally that the commit is conditional on.
            changes: Of the blobs.
            now: The time.
        """
        decided, case_of = CaseWrites(), self._counts.case_of
        if case_of is None:
            return decided
        moves: dict[str, Counter[str]] = {}
        for folder, path, delta in changes:
            if case := case_of(path):
                moves.setdefault(case, Counter())[folder] += delta
        recent, changed = stored.tally.recent or Recent(), list[Changed]()
        marks = self._counts.marks_drained and stored.tally.ready  # before that, what is missing may be not listed yet
        for case, by in moves.items():
            base = self._base(key_of(case), stored)
            if base is None:
                decided.unread.append(case)
                continue
            tally = base.tally
            if any(by.values()):
                tally = tally.moved(by, recent.revision + len(changed) + 1, now, marks=marks)
                changed.append(Changed(key_of(case), tally))
            # Also when one name has replaced another: its ETag stands for the names.
            write = Write(_row_key(case), to_properties(case, tally), base.etag)
            decided.written.insert(0, CaseWrite(case, tally, write))
        decided.recent = recent.adding(changed)
        return decided

    def _base(self, key: str, stored: StoredTally) -> RememberedCase | None:
        """Return a case as remembered or guessed; None when it has to be read."""
        base = self._memory.get(key, stored.partition)
        if base is None and self.guesses.are_good and key not in self._doubted:
            return RememberedCase(nothing(stored.tally.epoch, stored.tally.sums), None, stored.partition)
        return base

    async def read(self, case: str, stored: StoredTally) -> None:
        """Read and remember the row of a case.

        Raises:
            StorageError: As :meth:`shared.writing.tally_row.Counts.read_case` raises it.
        """
        tally, entity = await self._counts.read_case(case, stored.partition, stored.tally.epoch)
        etag = entity.etag if entity is not None else None
        self._remember(case, RememberedCase(tally, etag, stored.partition))

    def learn(self, tally: Tally) -> None:
        """Forget the cases that others have changed: a tally that was read says which, unless there were too many."""
        recent, seen = tally.recent or Recent(), self._revision
        self._revision = recent.revision
        changes = recent.after(seen, tally.epoch, self._counts.folders)
        if changes is None:
            self._memory.clear()
        for key, _ in changes or ():
            self._memory.forget(key)

    def written(self, by: CaseWrites, etags: Iterator[str], partition: str) -> list[StoredCase]:
        """Remember, and return, the cases that a commit has written.

        Args:
            by: What has been written.
            etags: The ETags of the rows, in order, and of others after them.
            partition: Where the rows stand.
        """
        if by.recent is not None:
            self._revision = by.recent.revision
        stored = [StoredCase(case, tally, next(etags), partition) for case, tally, _ in by.written]
        for case, tally, etag, _ in stored:
            self._remember(case, RememberedCase(tally, etag, partition))
        return stored

    def note_batch(self, by: CaseWrites) -> None:
        """Note a batch that is decided: how good guesses would have been."""
        self.guesses.note_batch(len(by.writes), sum(write.etag is None for write in by.writes))

    def doubt(self, by: CaseWrites) -> None:
        """Have the cases that were to be written read before they are written again."""
        for case, _, _ in by.written:
            self._memory.forget(key_of(case))
            self._doubted.add(key_of(case))

    def forget(self, by: CaseWrites | None) -> None:
        """Forget everything: of what was to be written, if anything was, nobody knows what is."""
        self._memory.clear()
        if by is not None:
            self.doubt(by)

    async def unmark(self, drained: StoredCase) -> None:
        """Take the mark off a case that is announced, unless its row has changed: whoever did that has seen the mark.

        Raises:
            StorageError: An outage; it may still be marked.
        """
        tally = replace(drained.tally, drained=False)
        write = Write(_row_key(drained.case), to_properties(drained.case, tally), drained.etag)
        with suppress(Conflict):
            (etag,) = await self._table.commit(drained.partition, [write])
            known = self._memory.get(key_of(drained.case), drained.partition)
            if known is not None and known.etag == drained.etag:
                self._remember(drained.case, RememberedCase(tally, etag, drained.partition))

    def _remember(self, case: str, seen: RememberedCase) -> None:
        self._memory.remember(key_of(case), seen)
        self._doubted.discard(key_of(case))


def _row_key(case: str) -> str:
    return f"{ROW_PREFIX}{key_of(case)}"
