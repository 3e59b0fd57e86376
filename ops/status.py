"""`status`: an operator's first questions, answered from storage itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.exits import Exit, WrongArgument
from ops.output import moment, table
from shared.clock import to_iso
from shared.intake.quarantine import MAX_COUNTED
from shared.model.cases import CaseTally

if TYPE_CHECKING:
    import argparse

    from ops.output import Output
    from shared.model.tally import Tally
    from shared.services import Services
    from shared.writing.tally_row import StoredTally


async def status(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Show counts, version, last reconciliation and the size of the quarantine; or the counts of one case."""
    stored = await services.counts.read()
    if given.case is not None:
        return await _status_of_case(services, given.case, stored, out)
    report = await services.reconciler.last_report()
    quarantined = await services.quarantine.count()
    waiting = len(await services.writer.waiting_paths())
    tally = stored.tally if stored is not None else None
    locations = {folder: str(location) for folder, location in services.settings.folders.locations.items()}
    data: dict[str, object] = {
        "ready": tally is not None and tally.ready,
        "counts": tally.counts() if tally is not None else None,
        "version": tally.version if tally is not None else None,
        "changed_at": to_iso(tally.changed_at) if tally is not None else None,
        "folders": locations,
        "last_reconciliation": report,
        "handed_over": waiting,
        "quarantined": min(quarantined, MAX_COUNTED),
        "quarantined_more": quarantined > MAX_COUNTED,
    }
    counts = tally.counts() if tally is not None else {}
    rows: list[tuple[str, object, str]] = [(each, counts.get(each, "-"), at) for each, at in locations.items()]
    out.show(
        data, table(("folder", "images", "where"), rows, numbers=[1]), *_lines(tally, report, quarantined, waiting)
    )
    return Exit.DONE


async def _status_of_case(services: Services, case: str, stored: StoredTally | None, out: Output) -> Exit:
    if services.counts.case_of is None:
        raise WrongArgument(f"--case {case}: cases are not counted here, because CASE_FROM is not set")
    tally, entity = CaseTally("", {}), None
    if stored is not None:
        tally, entity = await services.counts.read_case(case, stored.partition, stored.tally.epoch)
    data: dict[str, object] = {
        "case": case,
        "ready": stored is not None and stored.tally.ready,
        "known": tally.revision > 0,
        "counts": tally.counts() if stored is not None else None,
        "version": tally.version if stored is not None else None,
        "changed_at": to_iso(tally.changed_at) if tally.changed_at is not None else None,
    }
    lines = ["", f"case         {case}", _ready(stored.tally if stored is not None else None)]
    if tally.changed_at is not None:
        lines.append(f"version      {tally.version}, counts changed {moment(to_iso(tally.changed_at))}")
    elif entity is not None:
        lines.append("unreadable   its row makes no sense: `reconcile --full` counts the case anew")
    else:
        lines.append("unknown      nothing was ever counted of it, or it is long gone")
    locations = services.settings.folders.locations
    rows = [(folder, tally.sums.get(folder, "-"), str(location)) for folder, location in locations.items()]
    out.show(data, table(("folder", "images", "where"), rows, numbers=[1]), *lines)
    return Exit.DONE


def _ready(tally: Tally | None) -> str:
    is_ready = tally is not None and tally.ready
    return f"ready        {'yes' if is_ready else 'no: not reconciled to the end yet, the app answers 503'}"


def _lines(tally: Tally | None, report: dict[str, Any] | None, quarantined: int, waiting: int) -> list[str]:
    lines = ["", _ready(tally)]
    if tally is not None:
        lines.append(f"version      {tally.version}, counts changed {moment(to_iso(tally.changed_at))}")
    if tally is not None and tally.writer is not None:
        lines.append(f"writer       one instance commits for all, until {to_iso(tally.writer.until)} if not renewed")
    if waiting:
        lines.append(f"handed over  {waiting:,} blob{'' if waiting == 1 else 's'}, not committed yet")
    lines.append(f"reconciled   {_reconciled(report)}")
    count = f"more than {MAX_COUNTED:,}" if quarantined > MAX_COUNTED else f"{quarantined:,}"
    lines.append(f"quarantine   {count} event{'' if quarantined == 1 else 's'}")
    return lines


def _reconciled(report: dict[str, Any] | None) -> str:
    if report is None:
        return "never"
    numbers = {side: sum(report.get(side, {}).values()) for side in ("added", "removed")}
    numbers |= {"folders miscounted": len(report.get("miscounted", {}))}
    wrong = ("miscounted_cases", "refused", "disputed", "unreadable")
    numbers |= {name.replace("_", " "): int(report.get(name, 0)) for name in wrong}
    if report.get("bootstrap"):
        del numbers["added"]
    found = ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)
    found = found or ("first time" if report.get("bootstrap") else "clean")
    vanished = "".join(f"; {folder} had VANISHED" for folder in report.get("vanished", []))
    listed, seconds = int(report.get("listed", 0)), float(report.get("duration_seconds", 0))
    return f"{moment(str(report['started_at']))}: {found}, {listed:,} listed in {seconds:.1f} s{vanished}"
