"""How far a reconciliation is: what the next process needs to go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.clock import from_iso, to_iso
from shared.model.sketch import Sketch
from shared.model.tally import Sum
from shared.reconciling.report import Report
from shared.reconciling.row_key_sets import Buckets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Stage(StrEnum):
    """What a run does next."""

    LISTING = "listing"
    SETTLING = "settling what differs"
    COMPARING = "comparing"
    AUDITING = "auditing the tally"
    AUDITING_CASES = "adding up the cases"
    COLLECTING = "collecting tombstones"
    SKETCHING = "sketching the ledger"


@dataclass(slots=True)
class Run:
    """All there is to know of a run, so that another process can go on with it.

    Attributes:
        started_at: When it began, by the clock of the process that began it.
        subject: Epoch and fingerprint of the tally that it reconciles.
        report: What it has found so far.
        stage: What it is doing.
        folders_done: How many folders are listed to their end.
        token: Where the next folder's listing goes on, "" for its beginning.
        since: When it began, by the storage service's clock: what changed later is live, and left to its events.
        before: The tally's sums when the run began.
        tally_etag: The tally's ETag at that time. AUDITING: when the audit began.
        digest_key: The tally's.
        sketch: LISTING, SETTLING: the sketch of what was listed so far; None where the tally had none to compare with.
        listed: The sums of what was listed so far in this stage; COMPARING: of that which was compared; AUDITING: of
            the rows that say "present".
        differs: COMPARING: whether listing and rows differ in what was compared so far.
        is_miscounted: Whether the tally was seen not to be the sum of its rows, which only an audit settles.
        seen: COMPARING: the row keys of what was listed so far.
        compared: COMPARING: how many those are. AUDITING: rows read so far.
        after_key: COMPARING, AUDITING, COLLECTING: the row keys up to this one are dealt with.
        upto_key: COMPARING: the last row key of the range that is compared now; "" for all the rest.
    """

    started_at: datetime
    subject: str
    report: Report
    stage: Stage = Stage.LISTING
    folders_done: int = 0
    token: str = ""
    since: datetime | None = None
    before: Mapping[str, Sum] = field(default_factory=dict)
    tally_etag: str = ""
    digest_key: bytes = b""
    sketch: Sketch | None = None
    listed: dict[str, Sum] = field(default_factory=dict)
    differs: bool = False
    is_miscounted: bool = False
    seen: Buckets = field(default_factory=Buckets)
    compared: int = 0
    after_key: str = ""
    upto_key: str = ""

    @property
    def is_listing_begun(self) -> bool:
        """Whether some of this stage's listing, or of this range's, was dealt with."""
        return bool(self.folders_done or self.token)

    def resume(self) -> None:
        """Begin another slice."""
        self.report.slices += 1
        self.report.finished = False  # its last words may have been lost

    def enter(self, stage: Stage) -> None:
        """Begin a stage, at its beginning."""
        self.stage, self.sketch = stage, None
        self.listed = dict.fromkeys(self.listed, Sum())
        self.compared = 0
        self.go_on_after("")

    def go_on_after(self, key: str) -> None:
        """Begin the listing anew, for the row keys after this one."""
        self.folders_done, self.token, self.seen = 0, "", Buckets()
        self.after_key, self.upto_key = key, ""

    def to_text(self) -> str:
        """Write it as JSON."""
        changed = {
            "started_at": to_iso(self.started_at),
            "since": to_iso(self.since) if self.since is not None else "",
            "before": {name: [total.count, total.digest] for name, total in self.before.items()},
            "listed": {name: [total.count, total.digest] for name, total in self.listed.items()},
            "digest_key": self.digest_key.hex(),
            "sketch": self.sketch.to_texts() if self.sketch is not None else [],
            "seen": self.seen.encode() if self.stage is Stage.COMPARING else "",
            "report": asdict(self.report),
        }
        return json.dumps({each.name: getattr(self, each.name) for each in fields(self)} | changed)

    @classmethod
    def from_text(cls, text: str) -> Run:
        """Read it back; one of ``errors.NONSENSE`` where another version of the app has written it, or somebody."""
        found = json.loads(text)
        digest_key = bytes.fromhex(found["digest_key"])
        changed = {
            "digest_key": digest_key,
            "sketch": Sketch.from_texts(digest_key, found["sketch"]),
            "started_at": from_iso(found["started_at"]),
            "since": from_iso(found["since"]) if found["since"] else None,
            "before": {name: Sum(*total) for name, total in found["before"].items()},
            "listed": {name: Sum(*total) for name, total in found["listed"].items()},
            "seen": Buckets(found["seen"]),
            "report": Report(**found["report"]),
            "stage": Stage(found["stage"]),
        }
        return cls(**(found | changed))
