"""A sketch of a set of row keys: two sets that differ by a few hundred keys are told apart key by key, at any size.

An invertible Bloom lookup table (Goodrich and Mitzenmacher, *Invertible Bloom Lookup Tables*, 2011; its use for this:
Eppstein, Goodrich, Uyeda and Varghese, *What's the Difference?*, SIGCOMM 2011). Each key is added to one cell in each
of four parts, together with a check of its own. Adding is addition, so keys come and go in any order, and the sketch
of one set minus that of another holds only what is in one of them: where such a key is alone in a cell, the cell shows
it, and it is taken out of its other cells, until nothing is left.

The places and the check come from a keyed hash: nobody can choose names that lie in each other's way. A sketch says
where to look and decides nothing: what it shows is held against the digests (:mod:`shared.model.tally`).
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableSequence

#: A cell takes 20 bytes, so this is a property of 14 KB in every commit of the tally.
CELLS: int = 512
#: Up to this share of the cells differences are decoded nearly always.
CAPACITY_SHARE: Final = 0.68
LAST_KEY: Final = (1 << 128) - 1

_PARTS: Final = 4
_KEY_BYTES: Final = 16
_CELL_BYTES: Final = 20
_CELL_MASK: Final = (1 << 8 * _CELL_BYTES) - 1


def capacity() -> int:
    """Return how many differences can be told."""
    return int(CAPACITY_SHARE * CELLS)


#: Adds row keys to cells, so many times.
type _Adding = Callable[[MutableSequence[int] | dict[int, int], Iterable[int], int], None]


class Sketch:
    """The sketch of a set of row keys.

    Args:
        key: Of the hash that places the row keys, 16 bytes.
        upto: Row keys up to this one are in the sketch; those after it are passed over.
    """

    __slots__ = ("_add", "_cells", "_written", "upto")

    def __init__(self, key: bytes, upto: int = LAST_KEY) -> None:
        self._add = _adding(key)
        self._cells = [0] * CELLS
        #: The cells as they were last written or read, and their bytes: a commit changes a few of them.
        self._written = [0] * CELLS, bytes(CELLS * _CELL_BYTES)
        self.upto = upto

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self.upto == other.upto and not any(self._cells_minus(other))

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_complete(self) -> bool:
        """Tell whether it holds the whole set."""
        return self.upto == LAST_KEY

    def copy(self) -> Sketch:
        """Return a sketch of the same set that is changed apart from this one."""
        made = object.__new__(Sketch)
        made._add, made._cells, made._written, made.upto = self._add, self._cells.copy(), self._written, self.upto
        return made

    def add(self, row_keys: Iterable[int], times: int = 1) -> None:
        """Add row keys; ``times`` -1 takes them out."""
        if not self.is_complete:
            row_keys = [row_key for row_key in row_keys if row_key <= self.upto]
        self._add(self._cells, row_keys, times)

    def minus(self, other: Sketch) -> dict[int, int] | None:
        """Return what the sets differ by: row key → 1 where only this one has it, -1 where only the other one has.

        None if they differ by more than can be told.
        """
        cells = self._cells_minus(other)
        found: dict[int, int] = {}
        left = [index for index, cell in enumerate(cells) if cell]
        while left:
            index = left.pop()
            for sign in (1, -1):
                value = sign * cells[index] & _CELL_MASK
                row_key = value & LAST_KEY
                alone: defaultdict[int, int] = defaultdict(int)
                self._add(alone, [row_key], 1)
                if value and alone.get(index) == value:
                    if row_key in found or len(found) > CELLS:
                        return None  # no set is like that
                    found[row_key] = sign
                    for each in alone:
                        cells[each] = (cells[each] - sign * value) & _CELL_MASK
                        left.append(each)
                    break
        return None if any(cells) else found

    def _cells_minus(self, other: Sketch) -> list[int]:
        return [(mine - its) & _CELL_MASK for mine, its in zip(self._cells, other._cells, strict=True)]

    def to_text(self) -> str:
        """Write it as text, encoding the cells that have changed since it was last written or read."""
        before, encoded = self._written
        data = bytearray(encoded)
        for index in [index for index, cell in enumerate(self._cells) if cell is not before[index]]:
            start = index * _CELL_BYTES
            data[start : start + _CELL_BYTES] = (self._cells[index] & _CELL_MASK).to_bytes(_CELL_BYTES)
        self._written = self._cells.copy(), bytes(data)
        return base64.b64encode(self.upto.to_bytes(_KEY_BYTES) + data).decode()

    @classmethod
    def from_text(cls, key: bytes, text: str) -> Sketch | None:
        """Read what :meth:`to_text` has written; None for anything else, another number of cells for one."""
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        if len(data) != _KEY_BYTES + CELLS * _CELL_BYTES:
            return None
        made = cls(key, int.from_bytes(data[:_KEY_BYTES]))
        starts = range(_KEY_BYTES, len(data), _CELL_BYTES)
        made._cells = [int.from_bytes(data[start : start + _CELL_BYTES]) for start in starts]
        made._written = made._cells.copy(), data[_KEY_BYTES:]
        return made


def _adding(key: bytes) -> _Adding:
    """Return how row keys are added under this key: copying a keyed hash is cheaper than making one."""
    part = CELLS // _PARTS
    second, third, fourth = part, 2 * part, 3 * part
    copy = hashlib.blake2b(key=key, digest_size=_KEY_BYTES, person=b"sketch").copy
    fields = struct.Struct(">4xIHHHH").unpack

    def add(cells: MutableSequence[int] | dict[int, int], row_keys: Iterable[int], times: int) -> None:
        for row_key in row_keys:
            each = copy()
            each.update(row_key.to_bytes(_KEY_BYTES))
            check, d, c, b, a = fields(each.digest())
            value = check << 128 | row_key
            if times < 0:
                value = -value
            cells[a % part] += value
            cells[second + b % part] += value
            cells[third + c % part] += value
            cells[fourth + d % part] += value

    return add
