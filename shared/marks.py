"""Directories that have to be reconciled, remembered in the table until it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.checkpoint import CONTROL_PARTITION
from shared.clock import from_iso, to_iso
from shared.errors import Conflict
from shared.folders import Location
from shared.ledger import row_key
from shared.ports import PropertyRange, Write

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock
    from shared.ports import Table

_PREFIX: Final = "directory-"
_EVERYTHING: Final = PropertyRange("marked_at", "0", ":")


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked directory, when it was marked, and the ETag of its mark."""

    location: Location
    marked_at: datetime
    row_key: str
    etag: str


class Marks:
    """The marks in the table.

    Args:
        table: The ledger's table.
        clock: For ``marked_at``.
    """

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def add(self, location: Location) -> None:
        """Mark a directory; one that is marked is marked anew, so that a run that has begun does not unmark it."""
        key = _PREFIX + row_key(str(location))
        properties = {
            "container": location.container,
            "prefix": location.prefix,
            "marked_at": to_iso(self._clock.now()),
        }
        while True:
            found = await self._table.read(CONTROL_PARTITION, key)
            try:
                await self._table.commit(
                    CONTROL_PARTITION, [Write(key, dict(properties), found.etag if found is not None else None)]
                )
            except Conflict:
                continue
            return

    async def all(self) -> list[Mark]:
        """Return all marks."""
        pages = self._table.scan(CONTROL_PARTITION, ["container", "prefix", "marked_at"], within=_EVERYTHING)
        return [
            Mark(
                Location(str(entity.properties["container"]), str(entity.properties["prefix"])),
                from_iso(str(entity.properties["marked_at"])),
                entity.row_key,
                entity.etag,
            )
            async for page in pages
            for entity in page
        ]

    async def remove(self, mark: Mark) -> None:
        """Remove a mark, unless the directory was marked again meanwhile."""
        try:
            await self._table.commit(CONTROL_PARTITION, [Write(mark.row_key, None, mark.etag)])
        except Conflict:
            return

    async def remove_older(self, moment: datetime) -> None:
        """Remove the marks that were made before."""
        for mark in await self.all():
            if mark.marked_at < moment:
                await self.remove(mark)
