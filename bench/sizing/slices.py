"""The slices of a comparison and of a first count: what ``shared/reconciling`` does, in large steps.

A slice scans the rows of its range, of 500,000 at most; then it goes on with the range's
listing where the last slice ended. Row keys are hashes, so a range is a share of the names, evenly spread over the
listing. Positions in the key space and in the listing are written as shares of it, from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.sizing.facts import FACTS
from bench.sizing.formulas import pass_seconds, rows_made_a_second, scan_seconds

#: A timer tick every 15 minutes; a run that is a day old is begun anew.
SLICES_A_DAY = 96
MOST_DAYS = 7


@dataclass(slots=True)
class Part:
    """A part of the key space: up to ``key``, the names up to ``counted`` of the listing have rows."""

    key: float
    counted: float


@dataclass(slots=True)
class SlicedRun:
    """A comparison that is cut into slices.

    Attributes:
        names: What is listed.
        rows: What the ledger has in the end, tombstones included.
        rows_a_second: How fast it is scanned.
        slice_seconds: How long a slice is.
        parts: Which names have rows, by part of the key space.
        after: Where the range begins.
        upto: Where it ends, once a scan has found that out; 1.0 for all the rest.
        place: How far the range is listed.
        most_rows: The most that were held at a time.
    """

    names: int
    rows: int
    rows_a_second: float
    slice_seconds: float
    parts: list[Part] = field(default_factory=lambda: [Part(1.0, 1.0)])
    after: float = 0.0
    upto: float = 1.0
    place: float = 0.0
    most_rows: float = 0.0

    def begin_anew(self) -> None:
        """Begin anew, with the rows that there are."""
        self.after, self.upto, self.place = 0.0, 1.0, 0.0

    def one_slice(self) -> bool:
        """Do a slice's work. Returns whether all is done."""
        left = self.slice_seconds
        while True:
            upto = self._end_of_range()
            scanned = self._rows_upto(upto)
            left -= scan_seconds(scanned, self.rows_a_second)
            if left <= 0:
                return False
            self.most_rows = max(self.most_rows, scanned)
            self.upto = upto
            left = self._list_range(left)
            if left <= 0:
                return False
            if self.upto >= 1:
                return True
            self.after, self.upto, self.place = self.upto, 1.0, 0.0

    def _end_of_range(self) -> float:
        """Return where the scan ends: earlier than it did if there are too many rows by now."""
        if self._rows_upto(self.upto) < FACTS.rows_at_once - 1:
            return self.upto
        rows, begin = 0.0, self.after
        for part in self._in_range(self.upto):
            density = part.counted * self.rows
            if rows + (part.key - begin) * density >= FACTS.rows_at_once:
                return min(begin + (FACTS.rows_at_once - rows) / density, 1.0 - 1e-9)
            rows, begin = rows + (part.key - begin) * density, part.key
        return min(self.upto, 1.0 - 1e-9)  # exactly so many: the scan ends here, and only the tally is left

    def _in_range(self, upto: float) -> list[Part]:
        """Return the parts from ``after`` to here, cut to size."""
        for edge in (self.after, upto):
            found = next((part for part in self.parts if part.key >= edge), None)
            if found is not None and 0 < edge < found.key:
                self.parts.insert(self.parts.index(found), Part(edge, found.counted))
        return [part for part in self.parts if self.after < part.key <= upto]

    def _rows_upto(self, upto: float) -> float:
        rows, begin = 0.0, self.after
        for part in self._in_range(upto):
            rows, begin = rows + (part.key - begin) * part.counted * self.rows, part.key
        return rows

    def _list_range(self, left: float) -> float:
        """Go on with the listing, and count what is missing. Returns the seconds left; none: it is not done."""
        parts = self._in_range(self.upto)
        while self.place < 1:
            stop = min((part.counted for part in parts if part.counted > self.place), default=1.0)
            wanted, begin = 0.0, self.after
            for part in parts:
                wanted += (part.key - begin) * (part.counted <= self.place)
                begin = part.key
            pace = pass_seconds(self.names) + wanted * self.rows / rows_made_a_second()
            is_cut = left < (stop - self.place) * pace
            share = left / pace if is_cut else stop - self.place
            self.place = self.place + share if is_cut else stop
            for part in parts:
                part.counted = max(part.counted, self.place)
            if is_cut:
                return 0.0
            left -= share * pace
        return left


def comparison_slices(
    rows: int, names: int, rows_a_second: float, slice_seconds: float, slices_a_day: int = SLICES_A_DAY
) -> int | None:
    """Return the slices of a comparison that finds nothing; None: it takes more than a day, and is begun anew."""
    run = SlicedRun(names, rows, rows_a_second, slice_seconds)
    return next((number for number in range(1, slices_a_day + 1) if run.one_slice()), None)


def first_count(names: int, rows_a_second: float, slice_seconds: float) -> tuple[int | None, float]:
    """Return the slices of a first count, begun anew each day with what is counted, and the most rows held at a time.

    None: it takes more than ``MOST_DAYS``.
    """
    run = SlicedRun(names, names, rows_a_second, slice_seconds, parts=[Part(1.0, 0.0)])
    for number in range(MOST_DAYS * SLICES_A_DAY):
        if number and number % SLICES_A_DAY == 0:
            run.begin_anew()
        if run.one_slice():
            return number + 1, run.most_rows
    return None, run.most_rows
