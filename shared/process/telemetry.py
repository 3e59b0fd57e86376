"""The app's measurements, as OpenTelemetry instruments: they cost nothing until they are exported.

Names follow the semantic conventions (dots, units in the unit field). No path, token, key or address is ever an
attribute: paths are too many, and the rest is confidential.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.trace import Span

SCOPE: Final = "blob-status"

_meter = metrics.get_meter(SCOPE)
_tracer = trace.get_tracer(SCOPE)

EVENTS = _meter.create_counter("blob_status.events", "{event}", "Delivered events, by outcome")
EVENT_AGE = _meter.create_histogram("blob_status.event.age", "s", "From a blob's change to its count, by folder")
COMMIT_BLOBS = _meter.create_histogram("blob_status.commit.blobs", "{blob}", "Blobs a committed transaction")
COMMIT_DURATION = _meter.create_histogram("blob_status.commit.duration", "s", "Time of a transaction, by result")
HANDED_OVER = _meter.create_counter("blob_status.handed_over", "{blob}", "Blobs handed over to the named writer")
DRIFT = _meter.create_counter("blob_status.drift", "{blob}", "Blobs corrected by reconciliation, by folder and side")
RECONCILIATION = _meter.create_histogram("blob_status.reconciliation.duration", "s", "Reconciliations, by result")
QUARANTINED = _meter.create_counter("blob_status.quarantined", "{event}", "Events put into quarantine")
QUARANTINE_SIZE = _meter.create_gauge("blob_status.quarantine.size", "{event}", "Events in quarantine")
WAITERS = _meter.create_up_down_counter("blob_status.waiters", "{client}", "Held polls and open streams")
WAKES = _meter.create_counter("blob_status.wakes", "{client}", "Waiters woken by a change")
POLL_DURATION = _meter.create_histogram("blob_status.poll.duration", "s", "Reads of the tally, by result")
ANSWERS = _meter.create_counter("blob_status.answers", "{answer}", "HTTP answers, by status")


def _memory(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
    """Measure the resident memory of this process; without Linux's ``/proc`` there is no measurement."""
    if (statm := Path("/proc/self/statm")).exists():
        yield metrics.Observation(int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


MEMORY = _meter.create_observable_gauge("blob_status.memory", [_memory], "By", "Resident memory of the app's process")


@contextmanager
def span(name: str, *, links: Iterable[object] = (), **attributes: str | int | bool) -> Iterator[Span]:
    """Time the block as a span.

    Args:
        name: The span's name: one of a few, without variables.
        links: Results of :func:`here` in the spans that asked for this one: many events ask for one commit.
        **attributes: The span's attributes.
    """
    linked = [trace.Link(each) for each in links if isinstance(each, trace.SpanContext) and each.is_valid]
    with _tracer.start_as_current_span(name, links=linked, attributes=attributes) as current:
        yield current


def here() -> object:
    """Return the current span, for a later link."""
    return trace.get_current_span().get_span_context()
