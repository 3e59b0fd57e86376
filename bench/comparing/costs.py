"""What a day of 1,000 phones costs in Azure: the formulas and prices of docs/scaling.md, fed with what was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.comparing.methods import BLOBS, EVERY_SECONDS, METHODS, figure
from bench.sizing.facts import ASSUMED, HOURS_A_MONTH, PRICES
from bench.sizing.formulas import (
    busy_share,
    event_dollars,
    held_instances,
    month_of_instances,
    pass_dollars,
    polling_instances,
    telemetry_dollars,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.comparing.methods import Method

PHONES = 1_000
LIST_CALLS = 3
DAY_HOURS = 24
DAY_SECONDS = 86_400
#: The timer's default.
PASSES_A_DAY = 96
PARTS = ("instances", "executions", "storage", "changes", "telemetry", "egress")


def dollars_a_day(method: Method, every_seconds: float, results: Mapping[str, float | str]) -> dict[str, float]:
    """Return the price of a day by its parts.

    - *instances*: those that hold the phones, or answer their requests, whichever is more.
    - *executions*: one a request.
    - *storage*: table requests as the relay counted them; for a listing, List calls.
    - *changes*: Event Grid, executions and an instance for the events, and the reconciliation; a listing has neither.
    - *telemetry*: what is stored of the requests, and of the events where there are any.
    - *egress*: what the phones receive.
    """

    def measured(what: str, clients: int = PHONES) -> float:
        return float(results[figure(method, clients, every_seconds, what)])

    if method.lists:  # a thousand phones that are all answered: a thousand times what one gets
        rate = PHONES / method.interval_seconds
        instances = max(busy_share(rate), math.ceil(rate * float(results["listing_cpu_ms"]) / 1000))
        storage = rate * DAY_SECONDS * LIST_CALLS * PRICES.list_call
        changes, telemetry_of_events, received = 0.0, 0.0, measured("kb_down", clients=1)
    else:
        rate = measured("requests") * PHONES / 3600
        instances = max(held_instances(PHONES) if method.is_held else 0, polling_instances(PHONES, PHONES / rate))
        storage = measured("storage") * DAY_HOURS * PRICES.table_call
        changes, received = changes_a_day(every_seconds), measured("kb_down")
        telemetry_of_events = telemetry_dollars(
            1 / every_seconds, busy_share(1 / every_seconds), ASSUMED.spans_an_event
        )
    return {
        "instances": _day(month_of_instances(instances)),
        "executions": rate * DAY_SECONDS * PRICES.execution,
        "storage": storage,
        "changes": changes,
        "telemetry": _day(telemetry_dollars(rate, instances) + telemetry_of_events),
        "egress": received * 1e3 * PHONES * DAY_HOURS / 1e9 * PRICES.egress_gb,
    }


def changes_a_day(every_seconds: float) -> float:
    """Return a day of events, besides their table requests, and of reconciliations."""
    grid, executions, _ = event_dollars(DAY_SECONDS / every_seconds)
    return (
        grid + executions + _day(month_of_instances(busy_share(1 / every_seconds))) + pass_dollars(BLOBS) * PASSES_A_DAY
    )


def _day(month_dollars: float) -> float:
    return month_dollars / HOURS_A_MONTH * DAY_HOURS


def costs(results: Mapping[str, float | str]) -> dict[str, float]:
    """Return all prices by the names of the results."""
    found = {}
    for method in METHODS:
        for every_seconds in EVERY_SECONDS:
            parts = dollars_a_day(method, every_seconds, results)
            for part, dollars in [*parts.items(), ("total", sum(parts.values()))]:
                found[figure(method, PHONES, every_seconds, f"dollars_{part}")] = dollars
    return found
