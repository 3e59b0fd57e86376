"""What a reconciliation found: returned, logged, measured, and kept in the table for the operator."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from shared.process import telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.model.tally import Sum

log = logging.getLogger(__name__)


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        stage: What it is doing, in words.
        done: Names, rows or looks dealt with in this stage.
        expected: How many there will be, as far as is known.
    """

    stage: str
    done: int
    expected: int | None


type OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class Report:
    """What a reconciliation found.

    Attributes:
        started_at: ISO 8601.
        duration_seconds: How long it worked, all slices together.
        listed: Blobs that count, as listed.
        clean: True when the listing equals the tally, but for what changed while it was listed.
        bootstrap: True when it was the account's first.
        finished: False while slices are to come.
        slices: In how many pieces it was done; more than one when time was up or a process died.
        looks: Blobs looked at (HEAD).
        added: Folder → names that were there and not counted.
        removed: Folder → names that were counted and not there.
        miscounted: Folder → how many more than its rows the tally counted; 0 when it was other names. The app writes
            both in one transaction, so something else has written to the table.
        miscounted_cases: Cases that did not count what their rows add up to.
        vanished: Folders whose container does not exist, or that were counted and list nothing: look into it.
        refused: Blobs whose row storage would not take; they are not counted.
        disputed: By how many names at least listing and ledger differ, although no look at a blob says so and no count
            has changed meanwhile: storage contradicts itself, or a name is read otherwise than it was written.
        unreadable: Rows that make no sense: something else has written to the table. They count nothing.
        tombstones_collected: Rows of names long gone that were dropped.
        differences: By how many names listing and ledger differed, most of them live; 0 after a comparison.
        capacity: How many such names are told without reading the ledger; 0 after a comparison.
    """

    started_at: str
    duration_seconds: float = 0.0
    listed: int = 0
    clean: bool = False
    bootstrap: bool = False
    finished: bool = False
    slices: int = 1
    looks: int = 0
    added: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    miscounted: dict[str, int] = field(default_factory=dict)
    miscounted_cases: int = 0
    vanished: list[str] = field(default_factory=list)
    refused: int = 0
    disputed: int = 0
    unreadable: int = 0
    tombstones_collected: int = 0
    differences: int = 0
    capacity: int = 0

    @property
    def corrected(self) -> int:
        """How many rows were wrong, the tally being one of them."""
        blobs = sum(self.added.values()) + sum(self.removed.values())
        return blobs + bool(self.miscounted) + self.miscounted_cases

    @property
    def is_exact(self) -> bool:
        """Whether a finished comparison has found that listing, rows and tally are the same."""
        return self.finished and not self.corrected and not self.disputed and not self.unreadable

    @property
    def resumed(self) -> bool:
        """Whether the run went on where an earlier slice had ended."""
        return self.slices > 1

    def dispute(self, listed: Mapping[str, Sum], counted: Mapping[str, Sum]) -> None:
        """Note that these are not the same, and that no look at a blob says so."""
        self.disputed = sum(abs(listed[name].count - counted[name].count) for name in counted) or 1

    def count(self, folder: str, delta: int) -> None:
        """Note one correction (0 is none)."""
        if delta:
            side = self.added if delta > 0 else self.removed
            side[folder] = side.get(folder, 0) + 1


def publish(report: Report) -> None:
    """Log and measure a finished report."""
    _measure(report)
    level = logging.WARNING if report.corrected and not report.bootstrap else logging.INFO
    log.log(level, "reconciled: %s", asdict(report))
    if report.disputed:
        log.error("listing and ledger differ by %s names, and no look at a blob says so", report.disputed)
    if report.vanished:
        log.error("nothing is left of %s: is that meant?", ", ".join(report.vanished))


def _measure(report: Report) -> None:
    settled = "clean" if report.clean else "repaired" if report.capacity else "compared"
    result = "bootstrap" if report.bootstrap else settled
    telemetry.RECONCILIATION.record(report.duration_seconds, {"result": result})
    if report.bootstrap:
        return
    for folder, blobs in report.miscounted.items():
        telemetry.DRIFT.add(max(abs(blobs), 1), {"folder": folder, "side": "tally"})
    for side, folders in (("added", report.added), ("removed", report.removed)):
        for folder, blobs in folders.items():
            telemetry.DRIFT.add(blobs, {"folder": folder, "side": side})
