"""The arithmetic of docs/scaling.md, but for the slices of a reconciliation (bench/sizing/slices.py)."""

from __future__ import annotations

import math

from bench.sizing.facts import ASSUMED, FACTS, HOURS_A_MONTH, PRICES
from shared.model.sketch import capacity

# --- blobs


def list_calls(names: int) -> int:
    """Return the List calls of a pass, at most: the last page of each of the three folders may be short."""
    return math.ceil(names / FACTS.names_a_page) + 2


def pass_seconds(names: int) -> float:
    """Return the seconds of a clean pass: listing, and a checkpoint a page."""
    return names / FACTS.names_a_second + list_calls(names) * ASSUMED.checkpoint_seconds


def pass_slices(names: int) -> int:
    """Return the slices of a clean pass."""
    return math.ceil(pass_seconds(names) / FACTS.slice_seconds)


def changes_a_second(names: int) -> float:
    """Return how many names may change a second, for a pass to tell them without reading the ledger."""
    return capacity() / pass_seconds(names)


def instance_dollars(seconds: float, gb: float = FACTS.instance_gb) -> float:
    """Return the price of one instance that executes for so long; at least a second is billed."""
    return max(seconds, FACTS.shortest_bill) * gb * PRICES.gb_second


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


def comparison_bytes(rows: float) -> int:
    """Return what a range of so many rows takes: a key and a mark for each counted blob, and two sets of 512 sums."""
    return int(rows * FACTS.bytes_a_key) + 2 * 512 * 8


def comparison_listings(rows: int) -> int:
    """Return the listings of a comparison: one for each range of 500,000 rows. The tally, last of all, is a row too."""
    return int(rows // FACTS.rows_at_once) + 1


def comparison_dollars(rows: int, names: int) -> float:
    """Return the price of a comparison that finds nothing, in one piece: listings, a scan, the instance."""
    listings = comparison_listings(rows)
    calls = listings * list_calls(names) * (PRICES.list_call + PRICES.table_call)
    pages = math.ceil(rows / FACTS.entities_a_page) * PRICES.table_call
    return calls + pages + instance_dollars(listings * pass_seconds(names) + scan_seconds(rows))


def slowest_scan(slice_seconds: float) -> float:
    """Return the rows a second below which the scan of one range takes longer than a slice."""
    return FACTS.rows_at_once / slice_seconds


def rows_made_a_second() -> float:
    """Return how many rows a second a partition takes, in transactions of 99 and the tally."""
    return FACTS.partition_a_second * FACTS.blobs_a_commit / (FACTS.blobs_a_commit + 1)


def first_count_seconds(names: int) -> float:
    """Return the seconds of the first count, in one piece: a listing, and rows at the partition's ceiling."""
    return names / rows_made_a_second() + pass_seconds(names)


# --- events


def writer_events_a_second(batch: float, commit_seconds: float) -> float:
    """Return the events a second of commits that follow each other: they all change the tally."""
    return min(batch / commit_seconds, rows_made_a_second())


def busy_share(requests_a_second: float) -> float:
    """Return the share of the time that an instance is billed, when requests come at random and take no time.

    Each is billed a second at least; the share is that of the time with a request within the last second.
    """
    return 1 - math.exp(-requests_a_second * FACTS.shortest_bill)


def month_of_instances(instances: float, gb: float = FACTS.instance_gb) -> float:
    """Return the price of so many instances that execute all month."""
    return instances * instance_dollars(3600 * HOURS_A_MONTH, gb)


def event_dollars(events: float) -> tuple[float, float, float]:
    """Return Event Grid, executions and table transactions (two an event, at worst) for so many events."""
    grid = events * ASSUMED.operations_an_event * PRICES.event_operation
    return grid, events * PRICES.execution, events * 2 * PRICES.table_call


def hub_pays_from(batch: int) -> float:
    """Return the events a month from which one throughput unit costs less than the executions that it saves."""
    saved = PRICES.execution * (1 - 1 / batch) - PRICES.hub_event
    return PRICES.hub_unit_hour * HOURS_A_MONTH / saved


# --- telemetry


def telemetry_dollars(calls_a_second: float, instances: float, spans_a_call: float = 0) -> float:
    """Return a month of telemetry as it is set here.

    Args:
        calls_a_second: Requests, or events.
        instances: That are at work, on average: below one, the share of the time that one is.
        spans_a_call: The app's own spans of a call, before sampling.
    """
    kept = min(calls_a_second, math.ceil(instances) * FACTS.rows_kept_a_second)
    spans = calls_a_second * spans_a_call * FACTS.spans_kept
    return _row_dollars(kept + spans + instances * ASSUMED.metric_rows_a_minute / 60)


def unsampled_dollars(calls_a_second: float, spans_a_call: float = 0) -> float:
    """Return what a month of all rows of all calls would cost, without sampling and levels."""
    return _row_dollars(calls_a_second * (ASSUMED.rows_a_call + spans_a_call))


def _row_dollars(rows_a_second: float) -> float:
    return rows_a_second * 3600 * HOURS_A_MONTH * ASSUMED.bytes_a_row / 1e9 * PRICES.telemetry_gb


# --- phones


def held_requests_an_hour(wait_seconds: float, changes_an_hour: float = 0) -> float:
    """Return a phone's requests: a wait ends 1/32 early on average, and each change ends one (few changes assumed)."""
    return 3600 / (wait_seconds * (1 - 1 / 32)) + changes_an_hour


def held_instances(phones: int) -> int:
    """Return the instances that so many held phones keep."""
    return math.ceil(phones / FACTS.phones_an_instance)


def held_execution_dollars(phones: int, wait_seconds: float) -> float:
    """Return the executions of a month of held phones, without a change."""
    return phones * held_requests_an_hour(wait_seconds) * HOURS_A_MONTH * PRICES.execution


def held_telemetry_dollars(phones: int, wait_seconds: float) -> float:
    """Return the telemetry of a month of held phones, without a change."""
    return telemetry_dollars(phones * held_requests_an_hour(wait_seconds) / 3600, held_instances(phones))


def held_dollars(phones: int, wait_seconds: float, gb: float = FACTS.instance_gb) -> float:
    """Return a month of held phones, without a change: instances, executions and telemetry."""
    instances = month_of_instances(held_instances(phones), gb)
    return instances + held_execution_dollars(phones, wait_seconds) + held_telemetry_dollars(phones, wait_seconds)


def polling_instances(phones: int, every_seconds: float) -> float:
    """Return the instances that plain polls keep, on average; below one: the share of the time that one is billed."""
    rate = phones / every_seconds
    if rate <= ASSUMED.answers_a_second:
        return busy_share(rate)
    return math.ceil(rate / ASSUMED.answers_a_second)


def polling_dollars(phones: int, every_seconds: float) -> float:
    """Return a month of plain polls: instances, executions and telemetry."""
    rate, instances = phones / every_seconds, polling_instances(phones, every_seconds)
    executions = rate * 3600 * HOURS_A_MONTH * PRICES.execution
    return month_of_instances(instances) + executions + telemetry_dollars(rate, instances)


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
    instances = busy_share(1)
    return PRICES.front_month + requests + month_of_instances(instances) + telemetry_dollars(1, instances)


def first_wave_a_second(phones: int, wait_seconds: float) -> float:
    """Return the requests a second when waits that began together end: over a sixteenth of the wait."""
    return phones / (wait_seconds / 16)
