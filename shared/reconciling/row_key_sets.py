"""Sets of row keys that stay small: what a comparison of millions of names holds in memory, and in a checkpoint.

A :class:`KeySet` takes 17 bytes a key, however long the names are. :class:`Buckets` take 4 KiB for any number of
keys: two sets that differ are told apart, and where they differ is narrowed down to 1/512 of the key space.
"""

from __future__ import annotations

import base64
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOW_BITS: Final = 64
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_BUCKET_BITS: Final = 9
_BUCKET_SHIFT: Final = 128 - _BUCKET_BITS


class KeySet:
    """128-bit keys, appended in ascending order (as the table is scanned), each of which can be marked."""

    def __init__(self) -> None:
        self._high = array("Q")
        self._low = array("Q")
        self._marks = bytearray()

    def append(self, key: int) -> None:
        """Add a key.

        Raises:
            ValueError: It is not greater than the last one.
        """
        high, low = key >> _LOW_BITS, key & _LOW_MASK
        if self._high and (high, low) <= (self._high[-1], self._low[-1]):
            raise ValueError("keys must be appended in ascending order")
        self._high.append(high)
        self._low.append(low)
        self._marks.append(0)

    def mark(self, key: int) -> bool:
        """Mark a key. Returns False when it is not in the set."""
        high, low = key >> _LOW_BITS, key & _LOW_MASK
        index = bisect_left(self._high, high)
        while index < len(self._high) and self._high[index] == high:
            if self._low[index] == low:
                self._marks[index] = 1
                return True
            index += 1
        return False

    def unmarked(self) -> Iterator[int]:
        """Iterate over the keys that were not marked."""
        return (
            (high << _LOW_BITS) | low
            for high, low, mark in zip(self._high, self._low, self._marks, strict=True)
            if not mark
        )

    def add_to(self, sums: Buckets) -> None:
        """Add all keys, marked or not, to these sums."""
        for high, low in zip(self._high, self._low, strict=True):
            sums.add((high << _LOW_BITS) | low)


class Buckets:
    """Sums of keys by their first nine bits.

    Args:
        text: What :meth:`encode` returned, or "" for empty sums.

    Raises:
        ValueError: The text is something else.
    """

    def __init__(self, text: str = "") -> None:
        self._sums = array("Q", bytes(8 << _BUCKET_BITS))
        if text:
            sums = array("Q", base64.b64decode(text, validate=True))
            if len(sums) != len(self._sums):
                raise ValueError("not the sums of 512 buckets")
            self._sums = sums

    def add(self, key: int) -> None:
        """Add a key to its bucket."""
        bucket = key >> _BUCKET_SHIFT
        self._sums[bucket] = (self._sums[bucket] + key) & _LOW_MASK

    def agree_on(self, key: int, other: Buckets) -> bool:
        """Tell whether the bucket of this key has the same sum in both."""
        bucket = key >> _BUCKET_SHIFT
        return self._sums[bucket] == other._sums[bucket]

    def encode(self) -> str:
        """Return the sums as text of 5.5 KB."""
        return base64.b64encode(self._sums.tobytes()).decode()
