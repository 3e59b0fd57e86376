"""What size costs: the arithmetic of docs/scaling.md, as functions, and the tables there, which this writes.

``python -m bench.scaling`` rewrites the tables between their markers; a test holds document, formulas and a few
simulations together. Nothing is measured here: what was measured is in docs/benchmarks.md, what is assumed is named
so. Prices are inputs: put in your own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DOCS = Path(__file__).parents[1] / "docs" / "scaling.md"

HOURS_A_MONTH = 730
MILLION = 1_000_000
BLOBS = (10, 1_000, 100_000, MILLION, 10 * MILLION)
PHONES = (10, 100, 1_000, 10_000, 100_000, MILLION)
IMAGES_A_DAY = (1_000, 10_000, 100_000, MILLION, 10 * MILLION)


def _from(what: str, source: str) -> dict[str, str]:
    """Say what a number is, and where it is from."""
    return {"what": what, "source": source}


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars, list prices as of 2026-11, East US where a region matters; check before use."""

    gb_second: float = field(
        default=0.000026,
        metadata=_from("a GB-second of an instance that executes", "Modal, *Azure Functions pricing*, 2025"),
    )
    execution: float = field(
        default=0.40 / MILLION, metadata=_from("an execution", "not confirmed; pricing page *Azure Functions*")
    )
    event_operation: float = field(
        default=0.60 / MILLION,
        metadata=_from("an Event Grid operation", "not confirmed; pricing page *Azure Event Grid*"),
    )
    list_call: float = field(
        default=5.00 / MILLION, metadata=_from("a List call", "not confirmed; pricing page *Azure Blob Storage*, hot")
    )
    table_call: float = field(
        default=0.036 / MILLION,
        metadata=_from("a table request or transaction", "not confirmed; pricing page *Azure Table Storage*"),
    )
    egress_gb: float = field(
        default=0.087, metadata=_from("a GB to the internet", "C3X, *Azure egress bandwidth cost*")
    )
    front_request: float = field(
        default=0.009 / 10_000,
        metadata=_from("a request to Front Door Standard", "CDNsun, *Microsoft Azure Front Door pricing*, 2026"),
    )
    front_month: float = field(default=35.0, metadata=_from("Front Door Standard, a month", "CDNsun, the same page"))
    hub_unit_hour: float = field(
        default=0.03,
        metadata=_from("an Event Hubs throughput unit, an hour", "not confirmed; pricing page *Event Hubs*"),
    )
    hub_event: float = field(
        default=0.028 / MILLION, metadata=_from("an event into Event Hubs", "not confirmed; pricing page *Event Hubs*")
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What the platform and the app set."""

    names_a_page: float = field(default=5_000, metadata=_from("names a List call", "`shared/listing.py`"))
    names_a_second: float = field(
        default=49_000, metadata=_from("names a second, listed by the SDK", "azure-sdk-for-python, PR 25747")
    )
    entities_a_page: float = field(
        default=1_000, metadata=_from("entities a page of a scan", "Microsoft Learn, *Query timeout and pagination*")
    )
    partition_a_second: float = field(
        default=2_000,
        metadata=_from("entities a second, one partition", "Microsoft Learn, *Scalability targets for Table storage*"),
    )
    blobs_a_commit: float = field(default=99, metadata=_from("blobs a transaction", "`shared/planning.py`"))
    bytes_a_key: float = field(default=17, metadata=_from("bytes a counted blob in a comparison", "`shared/keyset.py`"))
    tombstone_days: float = field(
        default=16, metadata=_from("days that a deleted name is kept: 14, 1, and 1", "`shared/tombstones.py`")
    )
    instance_gb: float = field(default=2, metadata=_from("GB of an instance", "`instanceMemoryMB` in `infra/`"))
    phones_an_instance: float = field(
        default=1_000, metadata=_from("requests an instance holds", "`httpConcurrency` in `infra/`")
    )
    quota_instances: float = field(
        default=250,
        metadata=_from(
            "instances of 2 GB a region and subscription, until raised", "Microsoft Learn, *Flex Consumption plan*"
        ),
    )
    shortest_bill: float = field(
        default=1, metadata=_from("seconds that an execution is billed at least", "the same page")
    )
    slice_seconds: float = field(default=420, metadata=_from("seconds a slice", "`RECONCILE_SLICE_SECONDS`"))


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody has measured for this app in Azure."""

    scans_a_second: float = field(
        default=10_000, metadata=_from("rows a second of a scan", "a page of 1,000 in 0.1 s; `verify` shows yours")
    )
    checkpoint_seconds: float = field(default=0.02, metadata=_from("seconds of a table write", "same region"))
    answers_a_second: float = field(
        default=300, metadata=_from("answers a second and instance", "`make bench-serve` on your machine")
    )
    bytes_an_answer: float = field(
        default=900,
        metadata=_from("bytes of a 200, headers included", "body 165, the app's headers 250, the rest the platform's"),
    )
    operations_an_event: float = field(
        default=2,
        metadata=_from(
            "Event Grid operations an event", "Microsoft Q&A, *Azure Event Grid pricing*: one in, one delivery"
        ),
    )
    events_an_image: float = field(
        default=5, metadata=_from("events an image", "flat account: created 3 times, deleted 2 times")
    )


PRICES, FACTS, ASSUMED = Prices(), Facts(), Assumptions()


# --- blobs


def list_calls(names: int, folders: int = 3) -> int:
    """Return the List calls of a pass, at most: each folder's last page may be short."""
    return math.ceil(names / FACTS.names_a_page) + folders - 1


def pass_seconds(names: int) -> float:
    """Return the seconds of a clean pass: listing, and a checkpoint a page."""
    return names / FACTS.names_a_second + list_calls(names) * ASSUMED.checkpoint_seconds


def instance_dollars(seconds: float) -> float:
    """Return the price of one instance that executes for so long; at least a second is billed."""
    return max(seconds, FACTS.shortest_bill) * FACTS.instance_gb * PRICES.gb_second


def pass_dollars(names: int) -> float:
    """Return the price of a clean pass: List calls, checkpoints, the instance."""
    calls = list_calls(names) * (PRICES.list_call + PRICES.table_call)
    return calls + instance_dollars(pass_seconds(names))


def passes_a_month(minutes: float) -> float:
    """Return how many passes a month has at this interval."""
    return HOURS_A_MONTH * 60 / minutes


def tombstones(deletions_a_day: float) -> float:
    """Return the rows of deleted names that the ledger holds besides the present ones."""
    return deletions_a_day * FACTS.tombstone_days


def scan_seconds(rows: float, rows_a_second: float = ASSUMED.scans_a_second) -> float:
    """Return the seconds of a scan of the ledger."""
    return rows / rows_a_second


def comparison_bytes(present: int) -> int:
    """Return what a comparison holds: a key and a mark for each counted blob, and two sets of 512 sums."""
    return int(present * FACTS.bytes_a_key) + 2 * 512 * 8


def comparison_slices(rows: int, names: int, rows_a_second: float, slice_seconds: float) -> int | None:
    """Return the slices of a comparison, each of which scans anew; None: the scan alone takes longer than a slice."""
    left = slice_seconds - scan_seconds(rows, rows_a_second)
    return math.ceil(pass_seconds(names) / left) if left > 0 else None


def rows_made_a_second() -> float:
    """Return how many rows a second a partition takes, in transactions of 99 and the tally."""
    return FACTS.partition_a_second * FACTS.blobs_a_commit / (FACTS.blobs_a_commit + 1)


def first_count_seconds(names: int) -> float:
    """Return the seconds of the first count, at the partition's ceiling, in one piece."""
    return max(names / rows_made_a_second(), pass_seconds(names))


def first_count_slices(names: int, rows_a_second: float, slice_seconds: float) -> int | None:
    """Return the slices of the first count; each begins with a scan of what the earlier ones made.

    So there are never more than ``slice_seconds * rows_a_second`` rows; None: there are more blobs than that.
    """
    if names >= slice_seconds * rows_a_second:
        return None
    rows, slices = 0.0, 0
    while rows < names:
        rows += (slice_seconds - scan_seconds(rows, rows_a_second)) * rows_made_a_second()
        slices += 1
    return slices


# --- events


def writer_events_a_second(batch: float, commit_seconds: float) -> float:
    """Return the events a second of commits that follow each other: they all change the tally."""
    return min(batch / commit_seconds, rows_made_a_second())


def busy_share(requests_a_second: float) -> float:
    """Return the share of the time that an instance is billed, when requests come at random and take no time.

    Each is billed a second at least; the share is that of the time with a request within the last second.
    """
    return 1 - math.exp(-requests_a_second * FACTS.shortest_bill)


def month_of_instances(instances: float) -> float:
    """Return the price of so many instances that execute all month."""
    return instances * instance_dollars(3600 * HOURS_A_MONTH)


def event_dollars(events: float) -> tuple[float, float, float]:
    """Return Event Grid, executions and table transactions (two an event, at worst) for so many events."""
    grid = events * ASSUMED.operations_an_event * PRICES.event_operation
    return grid, events * PRICES.execution, events * 2 * PRICES.table_call


def hub_pays_from(batch: int) -> float:
    """Return the events a month from which one throughput unit costs less than the executions that it saves."""
    saved = PRICES.execution * (1 - 1 / batch) - PRICES.hub_event
    return PRICES.hub_unit_hour * HOURS_A_MONTH / saved


# --- phones


def held_requests_an_hour(wait_seconds: float, changes_an_hour: float = 0) -> float:
    """Return a phone's requests: a wait ends 1/32 early on average, and each change ends one (few changes assumed)."""
    return 3600 / (wait_seconds * (1 - 1 / 32)) + changes_an_hour


def held_instances(phones: int) -> int:
    """Return the instances that so many held phones keep."""
    return math.ceil(phones / FACTS.phones_an_instance)


def held_dollars(phones: int, wait_seconds: float) -> float:
    """Return a month of held phones, without a change: instances and executions."""
    requests = phones * held_requests_an_hour(wait_seconds) * HOURS_A_MONTH
    return month_of_instances(held_instances(phones)) + requests * PRICES.execution


def polling_instances(phones: int, every_seconds: float) -> float:
    """Return the instances that plain polls keep, on average; below one: the share of the time that one is billed."""
    rate = phones / every_seconds
    if rate <= ASSUMED.answers_a_second:
        return busy_share(rate)
    return math.ceil(rate / ASSUMED.answers_a_second)


def polling_dollars(phones: int, every_seconds: float) -> float:
    """Return a month of plain polls: instances and executions."""
    requests = phones / every_seconds * 3600 * HOURS_A_MONTH
    return month_of_instances(polling_instances(phones, every_seconds)) + requests * PRICES.execution


def table_reads_a_second(instances: float, poll_interval_seconds: float) -> float:
    """Return the reads of the tally: one loop an instance, however many phones."""
    return instances / poll_interval_seconds


def wake_seconds(phones: int) -> float:
    """Return when the last phone of an instance is answered after a change."""
    return min(phones, FACTS.phones_an_instance) / ASSUMED.answers_a_second


def wake_bytes(phones: int) -> float:
    """Return what one change sends."""
    return phones * ASSUMED.bytes_an_answer


def egress_dollars(phones: int, changes_an_hour: float) -> float:
    """Return a month of answers to changes, without the 100 GB that are free."""
    return wake_bytes(phones) * changes_an_hour * HOURS_A_MONTH / 1e9 * PRICES.egress_gb


def front_dollars(phones: int, every_seconds: float) -> float:
    """Return a month of plain polls answered by a front cache, which asks the app about once a second."""
    requests = phones / every_seconds * 3600 * HOURS_A_MONTH * PRICES.front_request
    return PRICES.front_month + requests + month_of_instances(busy_share(1))


def first_wave_a_second(phones: int, wait_seconds: float) -> float:
    """Return the requests a second when waits that began together end: over a sixteenth of the wait."""
    return phones / (wait_seconds / 16)


# --- the tables


def _number(value: float) -> str:
    """Write a number with three digits that count."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


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
        return f"{_number(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(number_of_bytes: float) -> str:
    """Write a size."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number_of_bytes >= size:
            return f"{_number(number_of_bytes / size)} {unit}"
    return f"{number_of_bytes:.0f} B"


def _slices(slices: int | None) -> str:
    return "never" if slices is None else str(slices)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _inputs(of: Prices | Facts | Assumptions) -> str:
    rows = []
    for each in fields(of):
        value = getattr(of, each.name)
        shown = f"{value * MILLION:g} a million" if value < 0.001 else f"{value:,g}"
        rows.append((f"`{each.name}`", shown, each.metadata["what"], each.metadata["source"]))
    return _table(("Input", "Value", "What", "Source"), rows)


def _clean_passes() -> str:
    head = ("Blobs", "List calls", "Time", "$ a pass", "$ a month, every 15 min", "hourly", "daily")
    return _table(
        head,
        (
            (
                _number(names),
                _number(list_calls(names)),
                _time(pass_seconds(names)),
                _dollars(pass_dollars(names)),
                *(_dollars(pass_dollars(names) * passes_a_month(minutes)) for minutes in (15, 60, 1440)),
            )
            for names in BLOBS
        ),
    )


def _comparisons() -> str:
    slow, usual, cut = FACTS.partition_a_second, ASSUMED.scans_a_second, FACTS.slice_seconds
    head = ("Rows", "Pages", "Memory", f"Scan at {usual:,.0f}/s", "slices", f"Scan at {slow:,.0f}/s", "slices")
    return _table(
        head,
        (
            (
                _number(rows),
                _number(math.ceil(rows / FACTS.entities_a_page)),
                _size(comparison_bytes(rows)),
                *(
                    text
                    for rate in (usual, slow)
                    for text in (_time(scan_seconds(rows, rate)), _slices(comparison_slices(rows, rows, rate, cut)))
                ),
            )
            for rows in BLOBS
        ),
    )


def _first_counts() -> str:
    slow, usual, cut = FACTS.partition_a_second, ASSUMED.scans_a_second, FACTS.slice_seconds
    head = ("Blobs", "Transactions", "In one piece", f"Slices, scan {usual:,.0f}/s", f"Slices, scan {slow:,.0f}/s")
    return _table(
        head,
        (
            (
                _number(names),
                _number(math.ceil(names / FACTS.blobs_a_commit)),
                _time(first_count_seconds(names)),
                *(_slices(first_count_slices(names, rate, cut)) for rate in (usual, slow)),
            )
            for names in BLOBS
        ),
    )


def _events() -> str:
    head = ("Images a day", "Events/s", "Of the ceiling", "Tombstones", "Event Grid $", "Executions $", "Table $")
    rows = []
    for images in IMAGES_A_DAY:
        a_day = images * ASSUMED.events_an_image
        rate = a_day / 86_400
        dollars = [_dollars(each) for each in event_dollars(a_day * HOURS_A_MONTH / 24)]
        share, dropped = f"{_number(rate / rows_made_a_second() * 100)} %", _number(tombstones(images * 2))
        instance = _dollars(month_of_instances(busy_share(rate)))
        rows.append((_number(images), _number(rate), share, dropped, *dollars, instance))
    return _table((*head, "Instance $"), rows)


def _commits() -> str:
    times = (0.02, 0.05, 0.1)
    head = ("Blobs a commit", *(f"Commit takes {each * 1000:.0f} ms" for each in times))
    batches = (1, 10, 99)
    return _table(
        head, ((str(each), *(f"{_number(writer_events_a_second(each, time))}/s" for time in times)) for each in batches)
    )


def _held() -> str:
    head = ("Phones open", "Instances", "Instances $", "Executions $, 25 s", "60 s", "Reads/s at 0.5 s", "at 2 s")
    rows = []
    for phones in PHONES:
        count = held_instances(phones)
        month = month_of_instances(count)
        executions = (_dollars(held_dollars(phones, wait) - month) for wait in (25, 60))
        reads = (_number(table_reads_a_second(count, interval)) for interval in (0.5, 2))
        over = " (over the quota)" if count > FACTS.quota_instances else ""
        rows.append((_number(phones), f"{count:,}{over}", _dollars(month), *executions, *reads))
    return _table(head, rows)


def _modes() -> str:
    head = ("Phones open", "Held, 60 s", "Poll every 3 s", "every 30 s", "every 60 s", "every 5 min")
    return _table(
        head,
        (
            (
                _number(phones),
                _dollars(held_dollars(phones, 60)),
                *(_dollars(polling_dollars(phones, every)) for every in (3, 30, 60, 300)),
            )
            for phones in PHONES
        ),
    )


def _wakes() -> str:
    head = ("Phones open", "One change sends", "Last phone after", "$ a month: a change a minute", "a change every 2 s")
    return _table(
        head,
        (
            (
                _number(phones),
                _size(wake_bytes(phones)),
                _time(wake_seconds(phones)),
                *(_dollars(egress_dollars(phones, changes)) for changes in (60, 1800)),
            )
            for phones in PHONES
        ),
    )


def _front() -> str:
    head = ("Phones open", "Polls/s", "App alone $", "With a front cache $")
    return _table(
        head,
        (
            (
                _number(phones),
                _number(phones / 30),
                _dollars(polling_dollars(phones, 30)),
                _dollars(front_dollars(phones, 30)),
            )
            for phones in PHONES[1:]
        ),
    )


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
        begin, end = f"<!-- bench.scaling: {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"docs/scaling.md has not one place for {name!r}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    DOCS.write_text(rewritten(DOCS.read_text()))
    print(f"{len(TABLES)} tables written to docs/scaling.md")
