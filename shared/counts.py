"""The tally's row in the table: made once, read by everyone, and only ever opened for what it counts.

The fingerprint of account, folder map and suffixes stands in the row itself: a process with other settings cannot
read it as its own, and its ETag stops an old process whose settings were current when it started.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared import tally as tallies
from shared.errors import Conflict, Refused
from shared.ports import Write

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock
    from shared.ports import Table
    from shared.tally import Tally

#: The partition of the counts: one, because one partition is what gives a snapshot, a version, and atomic moves.
PARTITION: Final = "g1"
#: Sorts before every row key (hex digits).
TALLY_KEY: Final = "!tally"


class ForeignTally(Refused):
    """The table holds counts of something else: another account, folder map or suffix list."""


@dataclass(frozen=True, slots=True)
class StoredTally:
    """The tally, the ETag it was read with, and when it was last written by the table's clock, if known."""

    tally: Tally
    etag: str
    written_at: datetime | None = None

    def write(self, tally: Tally) -> Write:
        """Return the write that replaces what was read by this tally."""
        return Write(TALLY_KEY, tallies.to_properties(tally), self.etag)


class Counts:
    """Reads the tally, and makes it when there is none.

    Args:
        table: Where it is.
        fingerprint: What this process counts.
        clock: For the first ``changed_at``.
    """

    def __init__(self, table: Table, fingerprint: str, clock: Clock) -> None:
        self._table = table
        self._fingerprint = fingerprint
        self._clock = clock

    async def read(self) -> StoredTally | None:
        """Read the tally, or None when there is none yet (one point read).

        Raises:
            ForeignTally: It counts something else than this process would.
            StorageError: As the table raises it.
        """
        entity = await self._table.read(PARTITION, TALLY_KEY)
        if entity is None:
            return None
        tally = tallies.from_properties(entity.properties)
        if tally.fingerprint != self._fingerprint:
            raise ForeignTally(
                "the table holds the counts of another storage account, folder map or suffix list; "
                "put the old settings back, or set COUNTS_TABLE to a new name to count anew"
            )
        return StoredTally(tally, entity.etag, entity.written_at)

    async def open(self) -> StoredTally:
        """Read the tally, making an empty one (not ready) when there is none."""
        while (stored := await self.read()) is None:
            now = self._clock.now()
            empty = tallies.Tally(
                epoch=secrets.token_hex(5),
                digest_key=secrets.token_bytes(16),
                fingerprint=self._fingerprint,
                changed_at=now,
                known_since=now,
            )
            try:
                (etag,) = await self._table.commit(PARTITION, [Write(TALLY_KEY, tallies.to_properties(empty), None)])
            except Conflict:
                continue  # another process was first
            return StoredTally(empty, etag)
        return stored
