"""Directories that have to be reconciled, remembered in the table until it is done."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.clock import from_iso, to_iso
from shared.errors import Conflict
from shared.model.folders import Location
from shared.model.ledger import row_key
from shared.model.ports import PropertyRange, Write
from shared.reconciling.lease import CONTROL_PARTITION

if TYPE_CHECKING:
    from datetime import datetime

    from shared.model.ports import Entity, Table

log = logging.getLogger(__name__)

_PREFIX: Final = "directory-"
_EVERYTHING: Final = PropertyRange("marked_at", "0", ":")


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked directory, when it changed (storage clock), and where its mark is."""

    location: Location
    changed_at: datetime
    row_key: str
    etag: str


class Marks:
    """The marks in the table.

    Args:
        table: The ledger's table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, location: Location, changed_at: datetime) -> None:
        """Mark a directory; one that is marked is marked anew, so that a run that has begun does not unmark it.

        Args:
            location: The directory.
            changed_at: When it changed, by the storage service's clock.
        """
        key = _PREFIX + row_key(str(location))
        while True:
            found = await self._table.read(CONTROL_PARTITION, key)
            mark = _mark(found) if found is not None else None
            newest = max(changed_at, mark.changed_at) if mark is not None else changed_at
            properties = {"container": location.container, "prefix": location.prefix, "marked_at": to_iso(newest)}
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
        found = [_mark(entity) async for page in pages for entity in page]
        return [mark for mark in found if mark is not None]

    async def remove(self, mark: Mark) -> None:
        """Remove a mark, unless the directory was marked again meanwhile."""
        try:
            await self._table.commit(CONTROL_PARTITION, [Write(mark.row_key, None, mark.etag)])
        except Conflict:
            return

    async def remove_older(self, moment: datetime) -> None:
        """Remove the marks of directories that changed before, by the storage service's clock."""
        for mark in await self.all():
            if mark.changed_at < moment:
                await self.remove(mark)


def _mark(entity: Entity) -> Mark | None:
    """Read a mark; None for what is none, which somebody else must have written."""
    found = entity.properties
    try:
        location = Location(str(found["container"]), str(found["prefix"]))
        return Mark(location, from_iso(str(found["marked_at"])), entity.row_key, entity.etag)
    except (KeyError, ValueError):
        log.exception("the mark of a directory, %r, cannot be read", entity.row_key)
        return None
