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
from shared.model.ledger import COUNTED_BY, folder_counted_in
from shared.model.tally import fold

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from shared.model.ports import Entity
    from shared.reconciling.parts import Parts
    from shared.reconciling.run import Run
    from shared.writing.tally_row import StoredTally

log = logging.getLogger(__name__)


async def audit(
    parts: Parts, run: Run, stored: StoredTally, keep_going: Callable[[str, int], Awaitable[None]], *, commit: bool
) -> None:
    """Correct a tally that is not the sum of its rows.

    Args:
        parts: What a reconciliation works with.
        run: In its stage AUDITING; what is found is noted in its report.
        stored: The tally as it is now; when it is not the one that the audit began with, it is left to the next run.
        keep_going: Called after each page; may raise to end the run, which goes on there.
        commit: False to change nothing.
    """
    if stored.etag != run.tally_etag:
        return
    async for page in parts.table.scan(stored.partition, COUNTED_BY, after=run.after_key):
        for folder, paths in _present(page).items():
            run.listed[folder] = fold(stored.tally.digest_key, paths, run.listed[folder])
        run.compared += len(page)
        run.after_key = page[-1].row_key if page else run.after_key
        await keep_going(run.stage, run.compared)
    before = dict(stored.tally.sums)
    if run.listed == before:
        return
    try:
        if commit:
            tally = stored.tally.holding(run.listed, parts.clock.now())
            await parts.table.commit(stored.partition, [stored.write(tally)])
        elif (now := await parts.counts.read()) is None or now.etag != stored.etag:
            return
    except Conflict:
        return  # counts have changed meanwhile: the next run will see
    for folder, held in run.listed.items():
        if before[folder] != held:
            run.report.miscounted[folder] = before[folder].count - held.count
    log.error("the tally disagreed with its rows: %s", run.report.miscounted)


def _present(page: Iterable[Entity]) -> dict[str, list[str]]:
    """Return folder → the paths that count in it: those of rows that make sense."""
    found: dict[str, list[str]] = {}
    for entity in page:
        folder = folder_counted_in(entity.row_key, entity.properties)
        if folder:
            found.setdefault(folder, []).append(str(entity.properties["path"]))
    return found
