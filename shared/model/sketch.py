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
    from collections.abc import Callable, Collection, Iterable, MutableSequence, Sequence

#: A cell takes 20 bytes, so these are 14 KB of the tally, of which a commit writes what it changes.
CELLS: int = 512
#: Up to this share of the cells differences are decoded nearly always.
CAPACITY_SHARE: Final = 0.68
LAST_KEY: Final = (1 << 128) - 1

_PARTS: Final = 4
_KEY_BYTES: Final = 16
_CELLS_A_TEXT: Final = 16
_CELL_BYTES: Final = 20
_CELL_MASK: Final = (1 << 8 * _CELL_BYTES) - 1


def capacity() -> int:
    """Return how many differences can be told."""
    return int(CAPACITY_SHARE * CELLS)


#: Adds row keys to cells, or takes them out.
type _Adding = Callable[[MutableSequence[int] | dict[int, int], Iterable[int], int], None]


class Sketch:
    """The sketch of a set of row keys.

    Args:
        key: Of the hash that places the row keys, 16 bytes.
        upto: Row keys up to this one are in the sketch; those after it are passed over.
    """

    __slots__ = ("_add", "_parts", "_texts", "upto")

    def __init__(self, key: bytes, upto: int = LAST_KEY) -> None:
        self._add = _adding(key)
        #: The cells, in the parts that they are written in: a commit changes four, and copies no other.
        self._parts = [bytes(size) for size in _sizes()]
        #: The parts as texts, "" where one has changed since it was last written.
        self._texts = [""] * len(self._parts)
        self.upto = upto

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self.upto == other.upto and self._parts == other._parts

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_complete(self) -> bool:
        """Tell whether it holds the whole set."""
        return self.upto == LAST_KEY

    def copy(self) -> Sketch:
        """Return a sketch of the same set that is changed apart from this one."""
        made = object.__new__(Sketch)
        made._add, made._parts, made._texts, made.upto = self._add, self._parts.copy(), self._texts.copy(), self.upto
        return made

    def add(self, row_keys: Collection[int], sign: int = 1) -> None:
        """Add row keys; a negative sign takes them out."""
        if not self.is_complete:
            row_keys = [row_key for row_key in row_keys if row_key <= self.upto]
        if len(row_keys) < _CELLS_A_TEXT:
            few: defaultdict[int, int] = defaultdict(int)
            self._add(few, row_keys, sign)
            self._add_to_cells(few.items())
        else:
            many = [0] * (len(self._parts) * _CELLS_A_TEXT)  # faster for many keys, slower for one
            self._add(many, row_keys, sign)
            self._add_to_cells((index, value) for index, value in enumerate(many) if value)

    def _add_to_cells(self, values: Iterable[tuple[int, int]]) -> None:
        for index, value in values:
            number, place = divmod(index, _CELLS_A_TEXT)
            part, start, end = self._parts[number], place * _CELL_BYTES, (place + 1) * _CELL_BYTES
            cell = (int.from_bytes(part[start:end]) + value) & _CELL_MASK
            self._parts[number] = part[:start] + cell.to_bytes(_CELL_BYTES) + part[end:]
            self._texts[number] = ""

    def minus(self, other: Sketch) -> dict[int, int] | None:
        """Return what the sets differ by: row key → 1 where only this one has it, -1 where only the other one has.

        None if they differ by more than can be told.
        """
        cells = [(mine - its) & _CELL_MASK for mine, its in zip(self._cells(), other._cells(), strict=True)]
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

    def _cells(self) -> list[int]:
        data = b"".join(self._parts)
        return [int.from_bytes(data[at : at + _CELL_BYTES]) for at in range(0, len(data), _CELL_BYTES)]

    def to_texts(self) -> list[str]:
        """Write it as texts, the last key first, then the cells, 16 in each: a key that comes or goes changes four."""
        pairs = zip(self._texts, self._parts, strict=True)
        self._texts = [text or base64.b64encode(part).decode() for text, part in pairs]
        return [f"{self.upto:032x}", *self._texts]

    @classmethod
    def from_texts(cls, key: bytes, texts: Sequence[str]) -> Sketch | None:
        """Read what :meth:`to_texts` has written; None for anything else, another number of cells for one."""
        try:
            upto, *parts = [bytes.fromhex(texts[0]), *(base64.b64decode(text, validate=True) for text in texts[1:])]
        except (IndexError, ValueError):
            return None
        if [len(upto), *map(len, parts)] != [_KEY_BYTES, *_sizes()]:
            return None
        made = cls(key, int.from_bytes(upto))
        made._parts, made._texts = parts, list(texts[1:])
        return made


def _sizes() -> list[int]:
    """Return how many bytes of cells each text holds."""
    return [_CELL_BYTES * min(_CELLS_A_TEXT, CELLS - start) for start in range(0, CELLS, _CELLS_A_TEXT)]


def _adding(key: bytes) -> _Adding:
    """Return how row keys are added under this key: copying a keyed hash is cheaper than making one."""
    part = CELLS // _PARTS
    second, third, fourth = part, 2 * part, 3 * part
    copy = hashlib.blake2b(key=key, digest_size=_KEY_BYTES, person=b"sketch").copy
    fields = struct.Struct(">4xIHHHH").unpack

    def add(cells: MutableSequence[int] | dict[int, int], row_keys: Iterable[int], sign: int) -> None:
        for row_key in row_keys:
            each = copy()
            each.update(row_key.to_bytes(_KEY_BYTES))
            check, d, c, b, a = fields(each.digest())
            value = check << 128 | row_key
            if sign < 0:
                value = -value
            cells[a % part] += value
            cells[second + b % part] += value
            cells[third + c % part] += value
            cells[fourth + d % part] += value

    return add
