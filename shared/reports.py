"""The last reconciliation's report: in the table for the operator, in the log, and as measurements."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from shared import telemetry
from shared.checkpoint import CONTROL_PARTITION
from shared.errors import Conflict
from shared.ports import Write

if TYPE_CHECKING:
    from shared.ports import Table
    from shared.report import Report

log = logging.getLogger(__name__)

REPORT_KEY: Final = "last-reconciliation"


async def last_report(table: Table) -> dict[str, object] | None:
    """Return the report of the run that finished last, or None."""
    entity = await table.read(CONTROL_PARTITION, REPORT_KEY)
    if entity is None:
        return None
    report: dict[str, object] = json.loads(str(entity.properties["report"]))
    return report


async def publish(table: Table, report: Report) -> None:
    """Keep, log and measure a finished report."""
    await _store(table, report)
    _measure(report)
    level = logging.WARNING if report.corrected and not report.bootstrap else logging.INFO
    log.log(level, "reconciled: %s", asdict(report))
    if report.vanished:
        log.error("nothing is left of %s: is that meant?", ", ".join(report.vanished))


async def _store(table: Table, report: Report) -> None:
    entity = await table.read(CONTROL_PARTITION, REPORT_KEY)
    write = Write(REPORT_KEY, {"report": json.dumps(asdict(report))}, entity.etag if entity else None)
    try:
        await table.commit(CONTROL_PARTITION, [write])
    except Conflict:
        log.info("another reconciliation has stored its report")


def _measure(report: Report) -> None:
    result = "bootstrap" if report.bootstrap else "clean" if report.clean else "compared"
    telemetry.RECONCILIATION.record(report.duration_seconds, {"result": result})
    if report.bootstrap:
        return
    for side, folders in (("added", report.added), ("removed", report.removed)):
        for folder, blobs in folders.items():
            telemetry.DRIFT.add(blobs, {"folder": folder, "side": side})
