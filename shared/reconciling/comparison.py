"""The comparison of the ledger with a listing, name by name: what differs is nominated, and nothing is decided.

Neither side is a snapshot: both are read under traffic. :mod:`shared.reconciling.repair` looks at each nominee.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.model.ledger import folder_counted_in, path_hashes
from shared.reconciling.row_key_sets import Buckets, KeySet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

    from shared.model.ports import Entity

_ALL_KEYS: Final = 1 << 128
_KEY: Final = re.compile(r"[0-9a-f]{32}")
#: Rows compared in one go: 9 MB, and a scan that is far shorter than a slice. A larger ledger is compared range by
#: range of its keys, each with a listing of its own.
ROWS_AT_ONCE: Final = 500_000


class KeyRange(NamedTuple):
    """The row keys after one ("": from the first on) up to and with another ("": to the last)."""

    after: str
    upto: str


class Listed(NamedTuple):
    """What a page of the listing holds of the range: row key → path, and the paths that are not counted."""

    paths: dict[int, str]
    missing: list[str]


class Comparison:
    """The rows of one range of keys that say "present", and which of them were listed.

    Args:
        folders: All of them, whatever is listed: a row may name another folder than its path does.
        keys: The range. Its end is known when the rows are read.

    Attributes:
        unreadable: How many rows make no sense.
    """

    def __init__(self, folders: Iterable[str], keys: KeyRange) -> None:
        self.keys = keys
        self.unreadable = 0
        self._counted = {folder: KeySet() for folder in folders}
        self._missing = Buckets()

    async def read(
        self,
        pages: AsyncIterator[list[Entity]],
        keep_going: Callable[[str, int], Awaitable[None]],
        *,
        may_end_early: bool,
    ) -> None:
        """Read the rows.

        Args:
            pages: A scan of the columns that say what a row counts in, from the beginning of the range.
            keep_going: Called after each page; may raise to end the run.
            may_end_early: Whether the range ends when it is as large as is held at once.
        """
        visited, last = 0, ""
        async for page in pages:
            for entity in page:
                if self.keys.upto and entity.row_key > self.keys.upto:
                    return
                last = entity.row_key if self._note_row(entity) else last
            visited += len(page)
            if visited >= ROWS_AT_ONCE and last and may_end_early:
                self.keys = self.keys._replace(upto=last)
                return
            await keep_going("scanning the ledger", visited)

    def _note_row(self, entity: Entity) -> bool:
        """Note what a row says. Returns whether its key is one."""
        key = entity.row_key
        if not _KEY.fullmatch(key):
            self.unreadable += 1
            return False
        folder = folder_counted_in(key, entity.properties, self._counted)
        if folder:
            self._counted[folder].append(int(key, 16))
        else:
            self.unreadable += entity.properties.get("present") is not False
        return True

    def take(self, folder: str, paths: Sequence[str]) -> Listed:
        """Take note of a page of the listing."""
        counted, missing = self._counted[folder], self._missing
        after = int(self.keys.after, 16) if self.keys.after else -1
        upto = int(self.keys.upto, 16) if self.keys.upto else _ALL_KEYS
        listed = Listed({}, [])
        for key, path in zip(path_hashes(paths), paths, strict=True):
            if not after < key <= upto:
                continue
            listed.paths[key] = path
            if not counted.mark(key):
                listed.missing.append(path)
                missing.add(key)
        return listed

    def unlisted(self, seen: Buckets | None) -> Iterator[int]:
        """Iterate over the keys of what is counted and was not listed.

        Args:
            seen: The row keys of the whole listing, when this process has seen only a part of it: then it is what lies
                in buckets that do not add up.
        """
        expected = self._missing
        for keys in self._counted.values() if seen is not None else ():
            keys.add_to(expected)
        for keys in self._counted.values():
            for key in keys.unmarked():
                if seen is None or not expected.agree_on(key, seen):
                    yield key
