"""What the arithmetic of docs/scaling.md starts from: prices, what platform and app set, and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

HOURS_A_MONTH = 730
MILLION = 1_000_000


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

    names_a_page: float = field(default=5_000, metadata=_from("names a List call", "`shared/azure/listing.py`"))
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
    blobs_a_commit: float = field(default=99, metadata=_from("blobs a transaction", "`shared/writing/plan.py`"))
    rows_at_once: float = field(
        default=500_000, metadata=_from("rows that a comparison scans at a time", "`shared/reconciling/comparison.py`")
    )
    bytes_a_key: float = field(
        default=17, metadata=_from("bytes a counted blob in a comparison", "`shared/reconciling/row_key_sets.py`")
    )
    tombstone_days: float = field(
        default=16,
        metadata=_from("days that a deleted name is kept: 14, 1, and 1", "`shared/reconciling/tombstones.py`"),
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
