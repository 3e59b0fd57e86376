"""The tally, and the cases, against their own rows: the one thing that no event and no look at a blob can put right.

The app changes rows and tally in one transaction, so they agree unless something else has written to the table: a
person, a script, a copy that was restored in part.

The sums that are written are those of the rows themselves, and only if the tally has not moved from before the first
row was read until it is written, on condition of its ETag. A row's presence never changes without the tally, so
those sums are what that very tally ought to say, whatever the listing showed, and however the run was cut.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import Conflict
from shared.model import cases
from shared.model.ledger import COUNTED_BY, folder_counted_in
from shared.model.ports import Write
from shared.writing.tally_row import TALLY_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Mapping

    from shared.model.cases import CaseTally
    from shared.model.ports import Entity, Table
    from shared.model.tally import Sum
    from shared.reconciling.parts import Parts
    from shared.reconciling.report import Report
    from shared.writing.tally_row import StoredTally

log = logging.getLogger(__name__)


def counted_paths(page: Iterable[Entity], folders: Container[object]) -> dict[str, list[str]]:
    """Return folder → the paths that count in it: those of rows that make sense."""
    found: dict[str, list[str]] = {}
    for entity in page:
        folder = folder_counted_in(entity.row_key, entity.properties, folders)
        if folder:
            found.setdefault(folder, []).append(str(entity.properties["path"]))
    return found


async def correct(parts: Parts, stored: StoredTally, sums: Mapping[str, Sum], *, commit: bool) -> dict[str, int] | None:
    """Correct a tally that is not the sum of its rows.

    Args:
        parts: What a reconciliation works with.
        stored: The tally, as it was before the first row was read.
        sums: Folder → the sum of its rows.
        commit: False to change nothing.

    Returns:
        Folder → how many more than its rows the tally counted; nothing where they agree. None if it has changed
        meanwhile, which leaves open what it should be.
    """
    if sums == stored.tally.sums:
        return {}
    try:
        if commit:
            tally = stored.tally.holding(sums, None, parts.clock.now())  # its sketch is as wrong as it was
            await parts.table.commit(stored.partition, [stored.write(tally)])
        elif (now := await parts.counts.read()) is None or now.etag != stored.etag:
            return None
    except Conflict:
        return None
    before = stored.tally.sums
    miscounted = {folder: before[folder].count - held.count for folder, held in sums.items() if before[folder] != held}
    log.error("the tally disagreed with its rows: %s", miscounted)
    return miscounted


async def correct_cases(
    parts: Parts, report: Report, keep_going: Callable[[str, int], Awaitable[None]], *, commit: bool
) -> None:
    """Correct the cases that are not the sums of their rows.

    Whatever changes a row of a case writes the case's row too. So a case whose row is, with its ETag, as it was before
    the first row was read has the rows that were read; one that has changed meanwhile is left to the next time.

    Args:
        parts: What a reconciliation works with.
        report: Takes how many were, or would be, corrected.
        keep_going: Called after each page, and each case; may raise to end the run. What was corrected stays.
        commit: False to change nothing.
    """
    case_of, stored = parts.counts.case_of, await parts.counts.read()
    if case_of is None or stored is None:
        return
    rows = await _rows_of_cases(parts.table, stored, parts.counts.folders)
    held: dict[str, Counter[str]] = defaultdict(Counter)
    names = {key: row.case for key, row in rows.items()}
    visited = 0
    async for page in parts.table.scan(stored.partition, COUNTED_BY, after=TALLY_KEY):
        for folder, paths in counted_paths(page, parts.counts.folders).items():
            for case in filter(None, map(case_of, paths)):
                key = cases.key_of(case)
                names[key], held[key][folder] = case, held[key][folder] + 1
        visited += len(page)
        await keep_going("adding up the cases", visited)
    before = report.miscounted_cases
    try:
        for key, case in names.items():
            row, sums = rows.get(key, _NO_ROW), held[key]
            is_stray = cases.key_of(case) != key  # a manual edit of its name; no blob is of this case, and says it
            if not is_stray and row.case == case and row.tally is not None and Counter(row.tally.sums) == sums:
                continue
            if not commit:
                report.miscounted_cases += await _is_still(parts, stored.partition, key, row)
            elif is_stray:
                stray = Write(f"{cases.ROW_PREFIX}{key}", None, row.etag)
                report.miscounted_cases += await _remove(parts, stored.partition, stray)
            else:
                report.miscounted_cases += await _write_case(parts, case, row, sums)
            await keep_going("correcting the cases", report.miscounted_cases)
    finally:
        if corrected := report.miscounted_cases - before:
            log.error("%d cases disagreed with their rows", corrected)


class _CaseRow(NamedTuple):
    """The row of a case, as it was before the rows of its names were read: nothing but its key is believed."""

    case: str
    etag: str | None
    tally: CaseTally | None


_NO_ROW: Final = _CaseRow("", None, None)


async def _rows_of_cases(table: Table, stored: StoredTally, folders: Iterable[str]) -> dict[str, _CaseRow]:
    found: dict[str, _CaseRow] = {}
    async for page in table.scan(stored.partition, after=cases.ROW_PREFIX):
        for entity in page:
            if not entity.row_key.startswith(cases.ROW_PREFIX):
                return found
            tally = None
            with suppress(KeyError, ValueError):
                tally = cases.from_properties(entity.properties, stored.tally.epoch, folders)
            case = str(entity.properties.get("case", ""))
            found[entity.row_key.removeprefix(cases.ROW_PREFIX)] = _CaseRow(case, entity.etag, tally)
    return found


async def _remove(parts: Parts, partition: str, row: Write) -> bool:
    """Remove the row of a case, unless it has changed since it was read. Returns whether it was removed."""
    try:
        await parts.table.commit(partition, [row])
    except Conflict:
        return False
    return True


async def _is_still(parts: Parts, partition: str, key: str, row: _CaseRow) -> bool:
    """Tell whether a case has not changed since its row was read."""
    entity = await parts.table.read(partition, f"{cases.ROW_PREFIX}{key}")
    return (entity.etag if entity is not None else None) == row.etag


async def _write_case(parts: Parts, case: str, row: _CaseRow, sums: Mapping[str, int]) -> bool:
    """Write the sums of a case, unless it has changed since its row was read. Returns whether it was written."""
    key = cases.key_of(case)
    while True:
        stored = await parts.counts.open()
        recent = stored.tally.recent or cases.Recent()
        base = row.tally or cases.nothing(stored.tally.epoch, parts.counts.folders)
        base = replace(base, epoch=stored.tally.epoch)
        by = {folder: sums.get(folder, 0) - count for folder, count in base.sums.items()}
        marks = parts.counts.marks_drained and stored.tally.ready
        tally = base.moved(by, recent.revision + 1, parts.clock.now(), marks=marks)
        after = replace(stored.tally, recent=recent.adding([cases.Changed(key, tally)]))
        writes = [stored.write(after), Write(f"{cases.ROW_PREFIX}{key}", cases.to_properties(case, tally), row.etag)]
        try:
            await parts.table.commit(stored.partition, writes)
        except Conflict:
            if not await _is_still(parts, stored.partition, key, row):
                return False
            continue
        return True
