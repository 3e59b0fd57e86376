"""`reconcile`, `verify` and `recount`: run the app's reconciler to its end."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from ops.exits import Exit, WrongArgument
from ops.output import table
from shared.model.folders import Location, in_order
from shared.reconciling.lease import AlreadyRunning
from shared.reconciling.recount import recount

if TYPE_CHECKING:
    import argparse

    from ops.output import Output, Renderable
    from shared.reconciling.report import OnProgress, Report
    from shared.services import Services
    from shared.settings.app import Settings

ASK_AGAIN_SECONDS: Final = 2.0


def check_reconcile(settings: Settings, given: argparse.Namespace) -> None:
    """Check the arguments of `reconcile`.

    Raises:
        WrongArgument: No folder counts anything under ``--prefix``.
    """
    if given.prefix is not None:
        _location(settings, given.prefix)


def check_recount(settings: Settings, given: argparse.Namespace) -> None:
    """Check the arguments of `recount`.

    Raises:
        WrongArgument: ``--yes`` was not given.
    """
    if not given.yes:
        places = ", ".join(f"{folder} in {place}/" for folder, place in settings.folders.locations.items())
        raise WrongArgument(
            f"this counts {places} anew; until that is done (45 s and the time of a listing, at least) the status is "
            "503 counts-not-ready. Add --yes to do it"
        )


async def reconcile(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """List the account, or a prefix, and correct the counts.

    Raises:
        AlreadyRunning: Another process is reconciling, and ``--wait`` was not given.
    """
    with out.bars() as bars:
        if given.prefix is not None:
            location = _location(services.settings, given.prefix)
            report = await services.reconciler.run_prefix(location.container, location.prefix, on_progress=bars)
        else:
            location = None
            report = await _run(services, given, out, bars)
    has_cases = services.settings.folders.cases is not None
    _show(report, out, "corrected", ("added", "removed"), location, of_cases=has_cases)
    return _exit_of(report)


async def verify(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Compare counts and listing, and change nothing; the exit code says whether they are equal."""
    del given
    with out.bars() as bars:
        report = await services.reconciler.verify(on_progress=bars)
    _show(report, out, "differences", ("not counted", "counted, not there"))
    return Exit.DONE if report.is_exact else Exit.DIFFERENCES


async def recount_(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Start the counts anew with the present settings, and wait until they are exact."""
    del given
    with out.bars() as bars:
        report = await recount(services.table, services.counts, services.reconciler, services.clock, bars)
    _show(report, out, "corrected", ("added", "removed"))
    return _exit_of(report)


def _exit_of(report: Report) -> Exit:
    """Tell whether a run has put everything right."""
    return Exit.DIFFERENCES if report.refused or report.disputed or report.unreadable else Exit.DONE


async def _run(services: Services, given: argparse.Namespace, out: Output, on_progress: OnProgress) -> Report:
    told = False
    while True:
        try:
            return await services.reconciler.run(full=given.full, on_progress=on_progress)
        except AlreadyRunning as running:
            if not given.wait:
                raise
            if not told:
                out.say(f"{running}; waiting for its end")
            told = True
            await asyncio.sleep(ASK_AGAIN_SECONDS)


def _location(settings: Settings, text: str) -> Location:
    """Read ``container/prefix``; a prefix is a path, so that ``queued/a`` does not mean ``queued/ab.jpg``."""
    container, _, prefix = text.strip("/").partition("/")
    location = Location(container, f"{prefix}/" if prefix else "")
    places = settings.folders.locations
    if not any(location.overlaps(place) for place in places.values()):
        known = ", ".join(f"{place}/" for place in places.values())
        raise WrongArgument(f"--prefix {text}: no folder counts anything there; the folders are {known}")
    return location


def _show(
    report: Report,
    out: Output,
    what: str,
    sides: tuple[str, str],
    location: Location | None = None,
    *,
    of_cases: bool = False,
) -> None:
    """Show a report; ``what`` names all differences, also in the document, ``sides`` the two kinds.

    With a ``location`` it is about that alone; ``of_cases``: there are counts of cases, which only a comparison of
    everything looks at.
    """
    data: dict[str, object] = asdict(report) | {what: report.corrected}
    text: list[Renderable] = []
    if report.added or report.removed:
        folders = in_order(report.added.keys() | report.removed.keys())
        rows = [(folder, report.added.get(folder, 0), report.removed.get(folder, 0)) for folder in folders]
        text.append(table(("folder", *sides), rows, numbers=[1, 2]))
    if report.vanished:
        text.append(f"VANISHED: {', '.join(report.vanished)}: counted before, and now its container is gone or empty")
    if report.miscounted:
        off = ", ".join(
            f"{folder} {more:+,}" if more else f"{folder} (names)" for folder, more in report.miscounted.items()
        )
        text.append(f"MISCOUNTED: {off}: the tally disagreed with its own rows, so something else writes to the table")
    if report.miscounted_cases:
        text.append(
            f"miscounted cases: {report.miscounted_cases:,}: their counts disagreed with their rows, so something else "
            f"writes to the table{'' if what == 'corrected' else '; `reconcile --full` corrects them'}"
        )
    if report.refused:
        text.append(f"REFUSED: {report.refused:,} blobs are not counted: storage does not take their rows")
    if report.disputed:
        text.append(
            f"DISPUTED: listing and ledger differ by {report.disputed:,} names, but looking at the blobs finds no "
            "difference (docs/operations.md)"
        )
    if report.unreadable:
        text.append(
            f"UNREADABLE: {report.unreadable:,} rows make no sense and count nothing: something else wrote them"
        )
    is_first = report.bootstrap and what == "corrected" and location is None
    is_told_by_sketch = of_cases and (report.clean or bool(report.capacity))
    whole = "the totals are exact (cases: reconcile --full)" if is_told_by_sketch else "the counts are exact"
    exact = whole if location is None else f"nothing differs under {location.container}/{location.prefix}"
    found = exact if report.is_exact else f"{report.corrected:,} {'counted' if is_first else what}"
    how = "first reconciliation, " if is_first else "resumed, " if report.resumed else ""
    text.append(f"{found}: {how}{report.listed:,} listed in {report.duration_seconds:.1f} s")
    out.show(data, *text)
