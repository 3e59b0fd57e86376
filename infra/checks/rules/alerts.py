"""Alerts against the app: the lines and functions that the queries name are logged and exist; none is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import Finding
from infra.checks.project import SUBSCRIPTION_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Case, Project

#: What somebody must hear of, and a word of the rule that says so.
WANTED: Final = {
    "drift found": "reconciled: ",
    "events in quarantine": "event quarantined: ",
    "dead letters": "DeadLetteredCount",
    "server errors": "blob_status.answers",
    "a process that ends": "WorkerProcessExitException",
    "memory that runs out": "MemoryWorkingSet",
    "no reconciliation": "LessThan",
}
#: host.json, as the settings may override it. https://learn.microsoft.com/azure/azure-functions/functions-host-json
_HOST_LOGGING: Final = "AzureFunctionsJobHost__logging__"
#: What the host says of each call otherwise: two lines, and measurements that the app makes itself.
#: https://learn.microsoft.com/azure/azure-functions/configure-monitoring
_AGGREGATOR: Final = "Host.Aggregator"
_LOG_LEVELS: Final = {"debug", "info", "warning", "error", "exception", "log"}


def check(project: Project) -> Iterator[Finding]:
    """Check the alerts of all scenarios."""
    logged, functions, measured = list(_logged(project)), project.functions(), _measured(project)
    for case in project.cases:
        rules = [*case.made("Microsoft.Insights/scheduledQueryRules"), *case.made("Microsoft.Insights/metricAlerts")]
        texts = [str(each.properties) for each in rules]
        for what, word in WANTED.items():
            if not any(word in text for text in texts):
                yield Finding("infra/app/alerts.bicep", f"alerts: nothing tells of {what} ({word!r})")
        for each, text in case.queries():
            lines = re.findall(r'Message startswith "([^"]+)"', text)
            names = _named(text, r"Name in \(([^)]+)\)")
            wrong = [
                *(f"the app logs no line that begins with {line!r}" for line in lines if not _begins(logged, line)),
                *(f"the app measures no {name}" for name in _named(text, r"Name == (\S+)") if name not in measured),
                *(f"there is no function {name}" for name in names if name not in functions),
            ]
            for message in wrong:
                yield each.finding(f"alerts: {message}")
        yield from _check_dimensions(case)
        for name in case.settings:
            if name.startswith(_HOST_LOGGING):
                yield case.app.finding(f"alerts: {name} overrides host.json, which is what is checked")
    yield from _check_logging(project.host.get("logging", {}), functions)


def _begins(logged: list[str], line: str) -> bool:
    return any(each.startswith(line) for each in logged)


def _named(text: str, pattern: str) -> list[str]:
    """Return the quoted names in what a pattern finds."""
    return [name for found in re.findall(pattern, text) for name in re.findall(r'"([^"]+)"', found)]


def _logged(project: Project) -> Iterator[str]:
    """Iterate over the formats of the app's log lines."""
    for calls in project.calls.values():
        for name, _, texts in calls.methods:
            if name in _LOG_LEVELS:
                yield from texts


def _measured(project: Project) -> set[str]:
    """Return the names of the app's instruments."""
    kinds = ("counter", "histogram", "gauge", "observable_gauge", "up_down_counter")
    creators = {f"create_{kind}" for kind in kinds}
    return {
        texts[0] for calls in project.calls.values() for name, _, texts in calls.methods if name in creators and texts
    }


def _check_dimensions(case: Case) -> Iterator[Finding]:
    ours = {each.name for each in case.made(SUBSCRIPTION_TYPE)}
    for alert in case.made("Microsoft.Insights/metricAlerts"):
        for part in alert.properties["criteria"]["allOf"]:
            if part["metricNamespace"] != "Microsoft.EventGrid/systemTopics":
                continue
            looked_at = {value for each in part.get("dimensions", []) for value in each["values"]}
            if looked_at != ours:
                where = sorted(looked_at) or "all subscriptions of the topic"
                yield alert.finding(f"alerts: it looks at {where}, ours are {sorted(ours)}")


def _check_logging(logging: dict[str, Any], functions: dict[str, str]) -> Iterator[Finding]:
    """Check what is stored: every line of the app, for the alerts; of the rest no more than a share, for the bill."""
    sampling = logging.get("applicationInsights", {}).get("samplingSettings", {})
    excluded = str(sampling.get("excludedTypes", "")).split(";")
    if sampling.get("isEnabled", True) and "Trace" not in excluded:
        yield Finding("host.json", "alerts: their lines may be sampled away; exclude Trace from sampling")
    if not sampling.get("isEnabled", True) or "Request" in excluded:
        yield Finding("host.json", "cost: every poll would leave a row; do not exclude Request from sampling")
    levels = logging.get("logLevel", {})
    called = [f"Function.{name}" for name, trigger in functions.items() if trigger != "timer_trigger"]
    for name in (*called, _AGGREGATOR):
        if levels.get(name) != "Warning":
            yield Finding("host.json", f"cost: logLevel of {name} must be Warning, or the host logs each call")
    for name in (*(f"{each}.User" for each in called), "Host.Results", "default"):
        if levels.get(name, levels.get("default")) != "Information":
            yield Finding(
                "host.json", f"alerts: logLevel of {name} must be Information, or lines or requests are missing"
            )
