"""The tally against its own rows: the one thing that no event and no look at a blob can put right.

The app changes rows and tally in one transaction, so they agree unless something else has written to the table: a
person, a script, a copy that was restored in part.

The sums that are written are those of the rows themselves, and only if the tally has not moved from before the first
row was read until it is written, on condition of its ETag. A row's presence never changes without the tally, so
those sums are what that very tally ought to say, whatever the listing showed, and however the run was cut.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.errors import Conflict
from shared.model.ledger import folder_counted_in

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from shared.model.ports import Entity
    from shared.model.tally import Sum
    from shared.reconciling.parts import Parts
    from shared.writing.tally_row import StoredTally

log = logging.getLogger(__name__)


def counted_paths(page: Iterable[Entity], folders: Container[object]) -> dict[str, list[str]]:
    """Return folder → the paths that count in it: those of rows that make sense."""
    found: dict[str, list[str]] = {}
    for entity in page:
        folder = folder_counted_in(entity.row_key, entity.properties, folders)
        if folder:
            found.setdefault(folder, []).append(str(entity.properties["path"]))
    return found


async def correct(parts: Parts, stored: StoredTally, sums: Mapping[str, Sum], *, commit: bool) -> dict[str, int]:
    """Correct a tally that is not the sum of its rows.

    Args:
        parts: What a reconciliation works with.
        stored: The tally, as it was before the first row was read.
        sums: Folder → the sum of its rows.
        commit: False to change nothing.

    Returns:
        Folder → how many more than its rows the tally counted. Nothing where they agree, or where counts have changed
        meanwhile: the next run will see.
    """
    if sums == stored.tally.sums:
        return {}
    try:
        if commit:
            tally = stored.tally.holding(sums, None, parts.clock.now())  # its sketch is as wrong as it was
            await parts.table.commit(stored.partition, [stored.write(tally)])
        elif (now := await parts.counts.read()) is None or now.etag != stored.etag:
            return {}
    except Conflict:
        return {}
    before = stored.tally.sums
    miscounted = {folder: before[folder].count - held.count for folder, held in sums.items() if before[folder] != held}
    log.error("the tally disagreed with its rows: %s", miscounted)
    return miscounted
