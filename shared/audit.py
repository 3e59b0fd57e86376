"""The tally against its own rows: the one thing that no event and no look at a blob can put right.

The app changes rows and tally in one transaction, so they agree unless something else has written to the table: a
hand, a script, a copy that was restored in part. It shows when rows and listing have the same names, and the tally
still adds up differently.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.errors import Conflict

if TYPE_CHECKING:
    from shared.checkpoint import Run
    from shared.counts import StoredTally
    from shared.passes import Parts

log = logging.getLogger(__name__)


async def audit(parts: Parts, run: Run, stored: StoredTally, *, commit: bool) -> None:
    """Correct a tally that disagrees with its rows, after a comparison of all of them with the listing.

    If the tally is still the one that the run began with, its rows have not changed either; and if they have the
    names that were listed, then the sums of the listing are what that tally ought to say.

    Args:
        parts: What a reconciliation works with.
        run: After its comparison; what is found is noted in its report.
        stored: The tally as this slice of the run began.
        commit: False to change nothing.
    """
    if run.differs or run.listed == run.before or stored.etag != run.tally_etag:
        return
    try:
        if commit:
            tally = stored.tally.holding(run.listed, parts.clock.now())
            await parts.table.commit(stored.partition, [stored.write(tally)])
        elif (now := await parts.counts.read()) is None or now.etag != stored.etag:
            return
    except Conflict:
        return  # counts have changed meanwhile: the next run will see
    for folder, listed in run.listed.items():
        if (before := run.before[folder]) != listed:
            run.report.miscounted[folder] = before.count - listed.count
    log.error("the tally disagreed with its rows: %s", run.report.miscounted)
