"""Times and sizes that the platform, host.json and the app must agree on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import Finding
from infra.checks.project import SUBSCRIPTION_TYPE
from infra.checks.rules.settings import as_environment
from shared.errors import SettingsError
from shared.settings.app import LONGEST_SLICE_SECONDS, LONGEST_STREAM_SECONDS, LONGEST_WAIT_SECONDS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Case, Project

#: Left between the longest work and functionTimeout, which restarts the whole worker.
MARGIN_SECONDS: Final = 30
#: Per-instance HTTP concurrency and batches: https://learn.microsoft.com/azure/azure-functions/functions-concurrency,
#: https://learn.microsoft.com/azure/event-grid/delivery-and-retry
LARGEST_CONCURRENCY: Final = 1000
_RANGES: Final = {
    ("retryPolicy", "maxDeliveryAttempts"): (1, 30),
    ("retryPolicy", "eventTimeToLiveInMinutes"): (1, 1440),
    ("destination", "maxEventsPerBatch"): (2, 5000),  # one at a time leaves group commit nothing to group
    ("destination", "preferredBatchSizeInKilobytes"): (1, 1024),
}


def check(project: Project) -> Iterator[Finding]:
    """Check the limits."""
    timeout = _function_timeout(project.host)
    longest = {
        "MAX_WAIT_SECONDS": LONGEST_WAIT_SECONDS,
        "MAX_STREAM_SECONDS": LONGEST_STREAM_SECONDS,
        "RECONCILE_SLICE_SECONDS": LONGEST_SLICE_SECONDS,
    }
    for name, seconds in longest.items():
        if seconds + MARGIN_SECONDS > timeout:
            text = (
                f"functionTimeout is {timeout:g} s, and {name} may be {seconds:g} s: leave {MARGIN_SECONDS} s between"
            )
            yield Finding("host.json", text)
    for case in project.cases:
        yield from _check_app(case, timeout)
        yield from _check_subscriptions(case)


def _function_timeout(host: dict[str, Any]) -> float:
    hours, minutes, seconds = (int(part) for part in str(host.get("functionTimeout", "00:30:00")).split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()


def _check_app(case: Case, timeout: float) -> Iterator[Finding]:
    app = case.app
    try:
        settings = Settings.from_environ(as_environment(case))
    except SettingsError:
        return  # rules/settings.py says so
    for name in ("max_wait_seconds", "max_stream_seconds", "reconcile_slice_seconds"):
        if getattr(settings, name) + MARGIN_SECONDS > timeout:
            yield app.finding(f"{name.upper()} reaches functionTimeout ({timeout:g} s in host.json)")
    config = app.properties.get("functionAppConfig", {})
    scale = config.get("scaleAndConcurrency", {})
    concurrency = scale.get("triggers", {}).get("http", {}).get("perInstanceConcurrency")
    if concurrency is None:
        text = "perInstanceConcurrency is not set: with the default, 1 for Python, each parked waiter has an instance"
        yield app.finding(text)
    elif not 1 <= concurrency <= LARGEST_CONCURRENCY:
        yield app.finding(f"perInstanceConcurrency is {concurrency}, not 1 to {LARGEST_CONCURRENCY}")
    elif settings.max_waiters < concurrency:
        text = (
            f"MAX_WAITERS ({settings.max_waiters}) is below perInstanceConcurrency ({concurrency}): the app would "
            "refuse while the platform sees no need to scale"
        )
        yield app.finding(text)
    if config.get("runtime") != {"name": "python", "version": "3.13"}:
        yield app.finding(f"functionAppConfig.runtime is {config.get('runtime')}, not python 3.13")


def _check_subscriptions(case: Case) -> Iterator[Finding]:
    for each in case.made(SUBSCRIPTION_TYPE):
        for (part, name), (least, most) in _RANGES.items():
            found = each.properties.get(part, {})
            value = found.get("properties", found).get(name)
            if value is None:
                yield each.finding(f"{part}.{name} is not set")
            elif not least <= value <= most:
                yield each.finding(f"{name} is {value}, not {least} to {most}")
