"""What the arithmetic of docs/scaling.md starts from: prices, what platform and app set, and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

HOURS_A_MONTH = 730
MILLION = 1_000_000


def _is(value: float, what: str, source: str) -> float:
    """Say what a number is, and where it is from."""
    return cast("float", field(default=value, metadata={"what": what, "source": source}))


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars, list prices as of 2026-11, East US where a region matters; check before use."""

    gb_second: float = _is(
        0.000026, "a GB-second of an instance that executes", "Modal, *Azure Functions pricing*, 2025"
    )
    execution: float = _is(0.40 / MILLION, "an execution", "not confirmed; pricing page *Azure Functions*")
    event_operation: float = _is(
        0.60 / MILLION, "an Event Grid operation", "not confirmed; pricing page *Azure Event Grid*"
    )
    list_call: float = _is(5.00 / MILLION, "a List call", "not confirmed; pricing page *Azure Blob Storage*, hot")
    table_call: float = _is(
        0.036 / MILLION, "a table request or transaction", "not confirmed; pricing page *Azure Table Storage*"
    )
    egress_gb: float = _is(0.087, "a GB to the internet", "C3X, *Azure egress bandwidth cost*")
    front_request: float = _is(
        0.009 / 10_000, "a request to Front Door Standard", "CDNsun, *Microsoft Azure Front Door pricing*, 2026"
    )
    front_month: float = _is(35.0, "Front Door Standard, a month", "CDNsun, the same page")
    hub_unit_hour: float = _is(
        0.03, "an Event Hubs throughput unit, an hour", "not confirmed; pricing page *Event Hubs*"
    )
    telemetry_gb: float = _is(
        2.76, "a GB into Log Analytics, kept for 30 days", "not confirmed; pricing page *Azure Monitor*: 2.30 to 2.76"
    )
    hub_event: float = _is(0.028 / MILLION, "an event into Event Hubs", "not confirmed; pricing page *Event Hubs*")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the platform and the app set."""

    names_a_page: float = _is(5_000, "names a List call", "`shared/azure/listing.py`")
    names_a_second: float = _is(49_000, "names a second, listed by the SDK", "azure-sdk-for-python, PR 25747")
    entities_a_page: float = _is(1_000, "entities a page of a scan", "Microsoft Learn, *Query timeout and pagination*")
    partition_a_second: float = _is(
        2_000, "entities a second, one partition", "Microsoft Learn, *Scalability targets for Table storage*"
    )
    blobs_a_commit: float = _is(99, "blobs a transaction", "`shared/writing/plan.py`")
    rows_at_once: float = _is(500_000, "rows that a comparison scans at a time", "`shared/reconciling/comparison.py`")
    bytes_a_key: float = _is(17, "bytes a counted blob in a comparison", "`shared/reconciling/row_key_sets.py`")
    tombstone_days: float = _is(
        16, "days that a deleted name is kept: 14, 1, and 1", "`shared/reconciling/tombstones.py`"
    )
    instance_gb: float = _is(2, "GB of an instance", "`instanceMemoryMB` in `infra/`")
    small_instance_gb: float = _is(0.5, "GB of the smallest instance", "Azure/azure-rest-api-specs, issue 40898")
    phones_an_instance: float = _is(1_000, "requests an instance holds", "`httpConcurrency` in `infra/`")
    quota_gb: float = _is(
        500, "GB of instances a region and subscription, until raised", "Microsoft Learn, *Flex Consumption plan*"
    )
    shortest_bill: float = _is(1, "seconds that an execution is billed at least", "the same page")
    slice_seconds: float = _is(420, "seconds a slice", "`RECONCILE_SLICE_SECONDS`")
    rows_kept_a_second: float = _is(
        1, "telemetry rows of requests per second per instance, at most", "`maxTelemetryItemsPerSecond` in `host.json`"
    )
    spans_kept: float = _is(
        0.01, "of the app's own spans, the share that is kept", "`OTEL_TRACES_SAMPLER_ARG` in `infra/`"
    )


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody has measured for this app in Azure."""

    scans_a_second: float = _is(10_000, "rows a second of a scan", "a page of 1,000 in 0.1 s; `verify` shows yours")
    checkpoint_seconds: float = _is(0.02, "seconds of a table write", "same region")
    answers_a_second: float = _is(300, "answers per second per instance", "`make bench-serve` on your machine")
    bytes_an_answer: float = _is(
        900, "bytes of a 200, headers included", "body 165, the app's headers 250, the rest the platform's"
    )
    bytes_a_row: float = _is(
        1_000, "bytes of a telemetry row, as billed", "the workbook's last chart shows yours, of requests"
    )
    rows_a_call: float = _is(
        3, "rows of a call without sampling and levels", "a request, and the host's *Executing* and *Executed*"
    )
    spans_an_event: float = _is(2, "the app's own spans of an event, at most", "`take event`, `commit`")
    metric_rows_a_minute: float = _is(
        12,
        "rows of measurements per minute per instance",
        "the app exports every 60 s; a row for each set of attributes",
    )
    operations_an_event: float = _is(
        2, "Event Grid operations an event", "Microsoft Q&A, *Azure Event Grid pricing*: one in, one delivery"
    )
    events_an_image: float = _is(5, "events an image", "flat account: created 3 times, deleted 2 times")


PRICES, FACTS, ASSUMED = Prices(), Facts(), Assumptions()
