"""What size costs: the tables of docs/scaling.md, which this writes.

``python -m bench.sizing.tables`` rewrites the tables between their markers; a test holds document, formulas and a few
simulations together. Nothing is measured here: what was measured is in docs/benchmarks.md, what is assumed is named
so. Prices are inputs (bench/sizing/facts.py): put in your own.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from bench.report import ROOT, markdown, number
from bench.sizing.facts import ASSUMED, FACTS, HOURS_A_MONTH, MILLION, PRICES
from bench.sizing.formulas import (
    busy_share,
    changes_a_second,
    comparison_bytes,
    comparison_dollars,
    comparison_listings,
    egress_dollars,
    event_dollars,
    first_count_seconds,
    front_dollars,
    held_dollars,
    held_execution_dollars,
    held_instances,
    held_requests_an_hour,
    held_telemetry_dollars,
    list_calls,
    month_of_instances,
    pass_dollars,
    pass_seconds,
    pass_slices,
    passes_a_month,
    polling_dollars,
    rows_made_a_second,
    table_reads_a_second,
    telemetry_dollars,
    tombstones,
    unsampled_dollars,
    wake_bytes,
    wake_seconds,
    writer_events_a_second,
)
from bench.sizing.slices import SLICES_A_DAY, comparison_slices, first_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bench.sizing.facts import Assumptions, Facts, Prices

DOCS = ROOT / "docs" / "scaling.md"

BLOBS = (10, 1_000, 100_000, MILLION, 10 * MILLION)
PHONES = (10, 100, 1_000, 10_000, 100_000, MILLION)
IMAGES_A_DAY = (1_000, 10_000, 100_000, MILLION, 10 * MILLION)


def _dollars(value: float) -> str:
    """Write an amount: cents, or two digits of less than a cent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value >= 0.095 else f"{float(f'{value:.2g}'):.10f}".rstrip("0")


def _time(seconds: float) -> str:
    """Write a time."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 120:
        return f"{number(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(number_of_bytes: float) -> str:
    """Write a size."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number_of_bytes >= size:
            return f"{number(number_of_bytes / size)} {unit}"
    return f"{number_of_bytes:.0f} B"


def _by[T](values: Iterable[T], columns: Mapping[str, Callable[[T], str]]) -> str:
    """Write a table with a row for each value."""
    return markdown(tuple(columns), [[make(value) for make in columns.values()] for value in values])


def _inputs(of: Prices | Facts | Assumptions) -> str:
    rows = []
    for each in fields(of):
        value = getattr(of, each.name)
        shown = f"{value * MILLION:g} a million" if value < 0.001 else f"{value:,g}"
        rows.append((f"`{each.name}`", shown, each.metadata["what"], each.metadata["source"]))
    return markdown(("Input", "Value", "What", "Source"), rows)


def _clean_passes() -> str:
    def month(minutes: float) -> Callable[[int], str]:
        return lambda names: _dollars(pass_dollars(names) * passes_a_month(minutes))

    columns: dict[str, Callable[[int], str]] = {
        "Blobs": number,
        "List calls": lambda names: number(list_calls(names)),
        "Time": lambda names: _time(pass_seconds(names)),
        "Slices": lambda names: number(pass_slices(names)),
        "Changes/s": lambda names: number(changes_a_second(names)),
        "$ a pass": lambda names: _dollars(pass_dollars(names)),
    }
    return _by(BLOBS, columns | {"$ a month, every 15 min": month(15), "hourly": month(60), "daily": month(1440)})


def _comparisons() -> str:
    def slices(rate: float) -> Callable[[int], str]:
        return lambda rows: str(comparison_slices(rows, rows, rate, FACTS.slice_seconds) or "not in a day")

    columns: dict[str, Callable[[int], str]] = {
        "Rows": number,
        "Listings": lambda rows: number(comparison_listings(rows)),
        "Memory": lambda rows: _size(comparison_bytes(min(rows, FACTS.rows_at_once))),
        "$ each": lambda rows: _dollars(comparison_dollars(rows, rows)),
    }
    rates = (ASSUMED.scans_a_second, FACTS.partition_a_second)
    columns |= {f"Slices, scan {rate:,.0f}/s": slices(rate) for rate in rates}
    return _by((*BLOBS[:-1], 3 * MILLION, BLOBS[-1]), columns)


def _first_counts() -> str:
    rates, cut = (ASSUMED.scans_a_second, FACTS.partition_a_second), FACTS.slice_seconds
    sliced = (text for rate in rates for text in (f"Slices, scan {rate:,.0f}/s", "memory"))
    rows = []
    for names in (*BLOBS[:-1], 3 * MILLION, BLOBS[-1]):
        counts = [first_count(names, rate, cut) for rate in rates]
        texts = (text for each, held in counts for text in (_first_slices(each), _size(comparison_bytes(held))))
        transactions = math.ceil(names / FACTS.blobs_a_commit)
        rows.append((number(names), number(transactions), _time(first_count_seconds(names)), *texts))
    return markdown(("Blobs", "Transactions", "In one piece", *sliced), rows)


def _first_slices(slices: int | None) -> str:
    if slices is None:
        return "not in a week"
    days = math.ceil(slices / SLICES_A_DAY)
    return str(slices) if days == 1 else f"{slices}, in {days} days"


def _events() -> str:
    head = ("Images a day", "Events/s", "Of the ceiling", "Tombstones", "Event Grid $", "Executions $", "Table $")
    rows = []
    for images in IMAGES_A_DAY:
        a_day = images * ASSUMED.events_an_image
        rate = a_day / 86_400
        dollars = [_dollars(each) for each in event_dollars(a_day * HOURS_A_MONTH / 24)]
        share, dropped = f"{number(rate / rows_made_a_second() * 100)} %", number(tombstones(images * 2))
        instance = _dollars(month_of_instances(busy_share(rate)))
        telemetry = _dollars(telemetry_dollars(rate, busy_share(rate), ASSUMED.spans_an_event))
        rows.append((number(images), number(rate), share, dropped, *dollars, instance, telemetry))
    return markdown((*head, "Instance $", "Telemetry $"), rows)


def _commits() -> str:
    def a_second(commit_seconds: float) -> Callable[[int], str]:
        return lambda batch: f"{number(writer_events_a_second(batch, commit_seconds))}/s"

    times = {f"Commit takes {each * 1000:.0f} ms": a_second(each) for each in (0.02, 0.05, 0.1)}
    return _by((1, 10, 99), {"Blobs a commit": str, **times})


def _held() -> str:
    head = ("Phones open", "Instances", "Instances $", "Executions $, 25 s", "60 s", "Telemetry $, 25 s")
    rows = []
    for phones in PHONES:
        count = held_instances(phones)
        month = month_of_instances(count)
        executions = (_dollars(held_execution_dollars(phones, wait)) for wait in (25, 60))
        telemetry = _dollars(held_telemetry_dollars(phones, 25))
        reads = (number(table_reads_a_second(count, interval)) for interval in (0.5, 2))
        over = " (over the quota)" if count * FACTS.instance_gb > FACTS.quota_gb else ""
        rows.append((number(phones), f"{count:,}{over}", _dollars(month), *executions, telemetry, *reads))
    return markdown((*head, "Reads/s at 0.5 s", "at 2 s"), rows)


def _telemetry() -> str:
    head = (
        "Phones held, 25 s",
        "Instances and executions $",
        "Telemetry before $",
        "now $",
        "All before $",
        "All now $",
    )
    rows = []
    for phones in (10, 1_000, 100_000):
        rest = month_of_instances(held_instances(phones)) + held_execution_dollars(phones, 25)
        whole = unsampled_dollars(phones * held_requests_an_hour(25) / 3600)
        kept = held_telemetry_dollars(phones, 25)
        shown = (f"{_dollars(rest + each)} ({(rest + each) / rest:.2f} times)" for each in (whole, kept))
        rows.append((number(phones), _dollars(rest), _dollars(whole), _dollars(kept), *shown))
    return markdown(head, rows)


def _memory() -> str:
    sizes = (FACTS.small_instance_gb, FACTS.instance_gb, 2 * FACTS.instance_gb)

    def month(phones: int) -> Callable[[float], str]:
        return lambda gb: _dollars(held_dollars(phones, 25, gb))

    columns: dict[str, Callable[[float], str]] = {
        "Instance": lambda gb: f"{gb * 1024:.0f} MB",
        "Processors": lambda gb: f"{gb / FACTS.instance_gb:g}",
        "Last of 1,000 phones woken after": lambda gb: _time(wake_seconds(1_000) * FACTS.instance_gb / gb),
        "Of them in the quota": lambda gb: f"{FACTS.quota_gb / gb:,.0f}",
        "Around the clock $": lambda gb: _dollars(month_of_instances(1, gb)),
    }
    return _by(sizes, columns | {f"{phones:,} phones $": month(phones) for phones in (10, 1_000, 100_000)})


def _modes() -> str:
    def polling(every_seconds: float) -> Callable[[int], str]:
        return lambda phones: _dollars(polling_dollars(phones, every_seconds))

    columns: dict[str, Callable[[int], str]] = {
        "Phones open": number,
        "Held, 60 s": lambda phones: _dollars(held_dollars(phones, 60)),
        "Poll every 3 s": polling(3),
    }
    return _by(PHONES, columns | {"every 30 s": polling(30), "every 60 s": polling(60), "every 5 min": polling(300)})


def _wakes() -> str:
    columns: dict[str, Callable[[int], str]] = {
        "Phones open": number,
        "One change sends": lambda phones: _size(wake_bytes(phones)),
        "Last phone after": lambda phones: _time(wake_seconds(phones)),
        "$ a month: a change a minute": lambda phones: _dollars(egress_dollars(phones, 60)),
        "a change every 2 s": lambda phones: _dollars(egress_dollars(phones, 1800)),
    }
    return _by(PHONES, columns)


def _front() -> str:
    columns: dict[str, Callable[[int], str]] = {
        "Phones open": number,
        "Polls/s": lambda phones: number(phones / 30),
        "App alone $": lambda phones: _dollars(polling_dollars(phones, 30)),
        "With a front cache $": lambda phones: _dollars(front_dollars(phones, 30)),
    }
    return _by(PHONES[1:], columns)


TABLES: dict[str, Callable[[], str]] = {
    "prices": lambda: _inputs(PRICES),
    "facts": lambda: _inputs(FACTS),
    "assumptions": lambda: _inputs(ASSUMED),
    "clean passes": _clean_passes,
    "comparisons": _comparisons,
    "first counts": _first_counts,
    "events": _events,
    "commits": _commits,
    "held": _held,
    "telemetry": _telemetry,
    "memory": _memory,
    "modes": _modes,
    "wakes": _wakes,
    "front": _front,
}


def rewritten(text: str) -> str:
    """Return the document with all tables made anew.

    Raises:
        ValueError: A table has no place in it.
    """
    for name, make in TABLES.items():
        begin, end = f"<!-- bench.sizing: {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"docs/scaling.md has not one place for {name!r}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    DOCS.write_text(rewritten(DOCS.read_text()))
    print(f"{len(TABLES)} tables written to docs/scaling.md")
