"""Starting the counts anew after the folder map or the suffixes have changed: the operator's one command.

::

    new generation, empty, not ready ──► old writers are stopped ──► first reconciliation ──► ready ──► old rows dropped

While it runs the status is 503 ``counts-not-ready``: the old counts are of other folders, and half of the new ones
would be wrong. Events are counted into the new generation from the start.
"""

from __future__ import annotations

import asyncio
from itertools import batched
from typing import TYPE_CHECKING, Final

from shared.reconciling.lease import AlreadyRunning
from shared.reconciling.report import Progress
from shared.reconciling.tombstones import drop
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.model.ports import Table
    from shared.reconciling.reconciler import Reconciler
    from shared.reconciling.report import OnProgress, Report
    from shared.writing.tally_row import Counts

_OPERATIONS: Final = 100
_CONCURRENT: Final = 4
_PAUSE_SECONDS: Final = 1.0


async def recount(
    table: Table, counts: Counts, reconciler: Reconciler, clock: Clock, on_progress: OnProgress = lambda _: None
) -> Report:
    """Count everything anew with what this process is set to count.

    Raises:
        StorageError: Storage did not answer. The new generation stays; the next reconciliation makes it ready.
    """
    await counts.start_anew()
    while True:
        try:
            report = await reconciler.run(full=True, on_progress=on_progress)
        except AlreadyRunning:
            await clock.sleep(_PAUSE_SECONDS)  # one of the old generation, which cannot finish, or of the new one
            continue
        break
    await _drop_former(table, counts, on_progress)
    return report


async def _drop_former(table: Table, counts: Counts, on_progress: OnProgress) -> None:
    """Drop the rows of all former generations; their tallies stay, because they say where the counts are."""
    dropped = 0
    for number in range(1, int(counts.partition.removeprefix("g"))):
        partition = f"g{number}"
        async for page in table.scan(partition, ["present"]):
            rows = [entity for entity in page if entity.row_key != TALLY_KEY]
            for some in batched(batched(rows, _OPERATIONS, strict=False), _CONCURRENT, strict=False):
                dropped += sum(await asyncio.gather(*(drop(table, partition, each) for each in some)))
                on_progress(Progress("dropping the old rows", dropped, None))
