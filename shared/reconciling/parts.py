"""What a reconciliation works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.model.folders import FolderMap
    from shared.model.ports import Heads, Listing, Table
    from shared.writing.tally_row import Counts
    from shared.writing.writer import Writer

#: An event is normally here within a second; a difference that lasts longer is drift.
GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reconciliation works with.

    Attributes:
        table: The ledger's table.
        counts: The tally.
        writer: The way into the ledger.
        heads: Looks at blobs.
        listing: Lists containers.
        folders: What to list.
        clock: Time.
        grace_seconds: How long a difference may be an event on its way.
    """

    table: Table
    counts: Counts
    writer: Writer
    heads: Heads
    listing: Listing
    folders: FolderMap
    clock: Clock
    grace_seconds: float = GRACE_SECONDS
