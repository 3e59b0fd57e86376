"""The tally's row in the table: made once, read by everyone, and only ever opened for what it counts.

The fingerprint of account, folder map and suffixes stands in the row itself: a process with other settings cannot
read it as its own, and its ETag stops an old process whose settings were current when it started.

When the folder map or the suffixes change, the counts are started anew in another partition, the next *generation*;
the old tally says where (``moved_to``), which is its last change: who still writes there is stopped by its ETag.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from shared.errors import Conflict, CountsUnreadable, Refused
from shared.model import cases
from shared.model import tally as tallies
from shared.model.cases import StoredCase
from shared.model.folders import FOLDERS, in_order
from shared.model.ports import Write
from shared.model.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from shared.clock import Clock
    from shared.model.cases import CaseTally
    from shared.model.ports import Entity, Table
    from shared.model.tally import Tally

log = logging.getLogger(__name__)

#: The partition of the first generation. One partition a generation, because that is what gives a snapshot, a version,
#: and atomic moves.
PARTITION: Final = "g1"
_GENERATION: Final = re.compile("g[0-9]{1,9}")
#: "Nothing to do" is believed of a remembered row for so long, and a tally to be the current generation's; then they
#: are read again.
TRUSTED_SECONDS: Final = 30.0
#: What is known is said when the account has been listed, by the storage service's clock.
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Sorts after the rows of cases, and before those of blobs (hex digits).
TALLY_KEY: Final = "!tally"


def _number_of(partition: str) -> int:
    return int(partition.removeprefix("g"))


class ForeignTally(Refused):
    """The table holds counts of something else: another account, folder map or suffix list."""


@dataclass(frozen=True, slots=True)
class StoredTally:
    """The tally as it stands in the table.

    Attributes:
        tally: The tally.
        etag: The ETag it was read with.
        written_at: When it was last written, by the table's clock, if known.
        read_at: When it was read, by the table's clock, if it was.
        partition: Where it stands, with the rows that it counts.
    """

    tally: Tally
    etag: str
    written_at: datetime | None = None
    partition: str = PARTITION
    read_at: datetime | None = None

    def write(self, tally: Tally) -> Write:
        """Return the write that replaces what was read by this tally."""
        properties, merges = tallies.changed_properties(self.tally, tally)
        return Write(TALLY_KEY, properties, self.etag, merges)


class Counts:
    """Reads the tally, and makes it when there is none.

    Args:
        table: Where it is.
        fingerprint: What this process counts.
        clock: For the first ``changed_at``.
        folders: The folders that this process counts.
        case_of: Returns the case of a counted blob's path, or ""; None where there are no counts of cases.
        marks_drained: Whether a case that is drained is marked, because somebody is to be told.
    """

    def __init__(
        self,
        table: Table,
        fingerprint: str,
        clock: Clock,
        folders: Iterable[str] = FOLDERS,
        case_of: Callable[[str], str] | None = None,
        *,
        marks_drained: bool = False,
    ) -> None:
        self.folders = frozenset(folders)
        self.case_of = case_of
        self.marks_drained = marks_drained and case_of is not None
        self._table = table
        self._fingerprint = fingerprint
        self._clock = clock
        self._without_sketch = tallies.without_sketch(in_order(self.folders), has_cases=case_of is not None)
        self._partition = PARTITION
        self._confirmed_at = float("-inf")
        self._confirming: asyncio.Task[None] | None = None

    @property
    def partition(self) -> str:
        """Return the partition of the current generation, as far as this process knows."""
        return self._partition

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of what this process counts."""
        return self._fingerprint

    async def read(self) -> StoredTally | None:
        """Read the tally, or None when there is none yet: one point read, and one more for a new generation.

        Raises:
            ForeignTally: It counts something else than this process would.
            StorageError: As the table raises it.
        """
        return self._mine(await self._read_current())

    async def glance(self) -> StoredTally | None:
        """Read the tally without its sketch, which is most of it: for who shows it, not to be written back.

        Raises:
            ForeignTally: As :meth:`read` does.
            StorageError: As the table raises it.
        """
        return self._mine(await self._read_current(self._without_sketch))

    def _mine(self, stored: StoredTally | None) -> StoredTally | None:
        if stored is None:
            return None
        if stored.tally.fingerprint != self._fingerprint or stored.tally.sums.keys() != self.folders:
            raise ForeignTally(
                "the table holds the counts of another storage account, folder map, IMAGE_SUFFIXES or CASE_FROM; put "
                "the old settings back, or start the counts anew with the new ones: `python -m ops recount --yes`"
            )
        return stored

    async def read_case(self, case: str, partition: str, epoch: str) -> tuple[CaseTally, Entity | None]:
        """Read the counts of a case, and its row, if it has one.

        Raises:
            StorageError: As the table raises it.
        """
        nothing = cases.nothing(epoch, self.folders)
        entity = await self._table.read(partition, f"{cases.ROW_PREFIX}{cases.key_of(case)}")
        if entity is None:
            return nothing, None
        try:
            return cases.from_properties(entity.properties, epoch, self.folders, case), entity
        except (KeyError, ValueError):
            log.exception("the counts of the case %r make no sense; a comparison of everything counts them anew", case)
            return nothing, entity

    async def marked_cases(self) -> AsyncIterator[StoredCase]:
        """Iterate over the cases that are marked as drained: a scan of the rows of all cases.

        Raises:
            StorageError: As the table raises it.
        """
        stored = await self.read()
        if stored is None:
            return
        async for page in self._table.scan(stored.partition, after=cases.ROW_PREFIX):
            for entity in page:
                if not entity.row_key.startswith(cases.ROW_PREFIX):
                    return
                if cases.is_marked(entity.properties):
                    with suppress(KeyError, ValueError):  # a comparison of everything counts it anew
                        tally = cases.from_properties(entity.properties, stored.tally.epoch, self.folders)
                        yield StoredCase(str(entity.properties["case"]), tally, entity.etag, stored.partition)

    async def open(self) -> StoredTally:
        """Read the tally, making an empty one (not ready) when there is none."""
        while (stored := await self.read()) is None:
            try:
                return await self._make(self._partition)
            except Conflict:
                continue  # another process was first
        return stored

    async def change(self, how: Callable[[Tally], Tally]) -> StoredTally:
        """Change what the tally says besides its counts; nobody is woken. Tried again until nobody comes between.

        Raises:
            StorageError: As the table raises it.
        """
        while True:
            stored = await self.open()
            changed = how(stored.tally)
            if changed == stored.tally:
                return stored
            try:
                (etag,) = await self._table.commit(stored.partition, [stored.write(changed)])
            except Conflict:
                continue
            return StoredTally(changed, etag, partition=stored.partition)

    async def doubt_until(self, moment: datetime) -> None:
        """Have every process look at the blob when an event up to this moment would change a count.

        Once this returns nothing is committed any more that was decided without knowing it, nor what a look has seen
        that began before.
        """
        doubt = secrets.token_hex(4)
        await self.change(lambda tally: replace(tally, known_since=max(tally.known_since, moment), doubt=doubt))

    async def confirm(self) -> None:
        """Make sure, at the cost of a read in 30 s at most, that what this process counts is still what is counted.

        For what is acknowledged without touching the ledger.

        Raises:
            ForeignTally: It is not; the event is for another process.
        """
        if self._clock.monotonic() - self._confirmed_at <= TRUSTED_SECONDS:
            return
        if self._confirming is None:  # one read for all who wait for it
            self._confirming = asyncio.create_task(self._confirm(), name="confirm what is counted")
        await asyncio.shield(self._confirming)

    async def _confirm(self) -> None:
        began = self._clock.monotonic()
        try:
            await self.open()
            self._confirmed_at = began
        finally:
            self._confirming = None

    async def start_anew(self) -> StoredTally:
        """Begin the next generation, empty and not ready, with what this process counts.

        Every process that writes to the old one is stopped: at once where it would change a count, and when it
        next reads the tally (at most :data:`TRUSTED_SECONDS` later) in all other cases.

        Raises:
            StorageError: As the table raises it; what was begun may be begun again.
        """
        current = await self._current_row()
        if current is None:
            return await self.open()
        partition, row = current
        number = _number_of(partition)
        while True:
            number += 1
            try:
                made = await self._make(f"g{number}")
            except Conflict:
                continue  # left over from an attempt that was cut short
            break
        while True:
            moved = Write(TALLY_KEY, {"moved_to": made.partition}, row.etag, merges=True)  # whatever else it says
            try:
                await self._table.commit(partition, [moved])
            except Conflict:
                current = await self._current_row()
                if current is None:  # somebody has deleted it: nothing is counted that could be moved
                    return await self.open()
                partition, row = current
                continue
            self._partition = made.partition
            return made

    async def _read_current(self, select: Sequence[str] | None = None) -> StoredTally | None:
        """Read the tally of the last generation, whatever it counts.

        Raises:
            CountsUnreadable: Its row cannot be read.
            StorageError: As the table raises it.
        """
        current = await self._current_row(select)
        if current is None:
            return None
        partition, entity = current
        try:
            tally = tallies.from_properties(entity.properties)
        except (KeyError, ValueError) as error:
            raise CountsUnreadable(
                f"something else has written to the row of the counts, which cannot be read any more ({error!r})"
            ) from error
        return StoredTally(tally, entity.etag, entity.written_at, partition, entity.read_at)

    async def _current_row(self, select: Sequence[str] | None = None) -> tuple[str, Entity] | None:
        """Read the row of the tally of the last generation, whatever it says; remember, and return, where it is.

        One that is gone from where it was remembered is looked for from the first generation on, as a process does that
        remembers nothing: after the table was lost both are to make the same one.
        """
        is_remembered, partition = True, self._partition
        while True:
            entity = await self._table.read(partition, TALLY_KEY, select)
            if entity is not None:
                moved_to = str(entity.properties.get("moved_to"))
                if not _GENERATION.fullmatch(moved_to) or _number_of(moved_to) <= _number_of(partition):
                    return partition, entity
                self._partition = partition = moved_to
            elif partition == PARTITION or not is_remembered:
                return None
            else:
                self._partition = partition = PARTITION
            is_remembered = False

    def empty(self) -> tallies.Tally:
        """Return a tally of nothing, not ready, with an epoch of its own."""
        now, digest_key = self._clock.now(), secrets.token_bytes(16)
        return tallies.Tally(
            epoch=secrets.token_hex(5),
            digest_key=digest_key,
            fingerprint=self._fingerprint,
            changed_at=now,
            known_since=_LONG_AGO,
            sums=dict.fromkeys(in_order(self.folders), tallies.Sum()),
            sketch=Sketch(digest_key),
            recent=cases.Recent() if self.case_of is not None else None,
        )

    async def _make(self, partition: str) -> StoredTally:
        empty = self.empty()
        (etag,) = await self._table.commit(partition, [Write(TALLY_KEY, tallies.to_properties(empty), None)])
        return StoredTally(empty, etag, partition=partition)
