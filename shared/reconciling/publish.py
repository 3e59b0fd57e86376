"""What becomes of a finished reconciliation's report besides its place in the table: the log, and measurements."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from shared.process import telemetry

if TYPE_CHECKING:
    from shared.reconciling.report import Report

log = logging.getLogger(__name__)


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
    result = "bootstrap" if report.bootstrap else "clean" if report.clean else "compared"
    telemetry.RECONCILIATION.record(report.duration_seconds, {"result": result})
    if report.bootstrap:
        return
    for folder, blobs in report.miscounted.items():
        telemetry.DRIFT.add(max(abs(blobs), 1), {"folder": folder, "side": "tally"})
    for side, folders in (("added", report.added), ("removed", report.removed)):
        for folder, blobs in folders.items():
            telemetry.DRIFT.add(blobs, {"folder": folder, "side": side})
