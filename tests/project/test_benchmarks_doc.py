"""docs/benchmarks.md quotes what was measured, and nothing else."""

from __future__ import annotations

import json

import pytest

from bench import report
from bench.reconciling import passes
from bench.serving import cases, scale, soak
from bench.starting import readme
from bench.writing import throughput


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("readme", readme.CLAIMS),
        ("write", throughput.CLAIMS),
        ("reconcile", passes.CLAIMS),
        ("cases", cases.CLAIMS),
        ("serve", scale.CLAIMS),
        ("soak", soak.CLAIMS),
    ],
)
def test_the_docs_quote_the_results(name, claims):
    """The table between the markers is the one that the result file makes; what needs nginx may be missing."""
    results = json.loads((report.RESULTS / f"{name}.json").read_text())
    measured = [claim for claim in claims if claim.metric in results]
    assert len(measured) > len(claims) / 2
    assert report.quote_in(report.DOCS.read_text(), name) == report.table(measured, results)


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        (
            "write",
            {
                "events_per_second",
                "naive_events_per_second",
                "naive_8_workers_events_per_second",
                "transactions_per_event",
                "reads_per_event",
                "attempts_per_transaction_contended",
            },
        ),
        ("reconcile", {"names_per_second", "bare_listing_names_per_second", "ledger_writes"}),
        (
            "serve",
            {
                "parked_waiters",
                "storage_reads_per_second",
                "storage_reads_idle",
                "memory_kb_per_waiter",
                "floor_memory_kb_per_waiter",
                "wake_p99_ms",
                "floor_wake_p99_ms",
                "nchan_wake_p99_ms",
                "sse_wake_p99_ms",
                "floor_sse_wake_p99_ms",
                "requests_per_second_304",
                "floor_requests_per_second",
                "status_ms_at_50k",
                "naive_status_ms_at_50k",
            },
        ),
    ],
)
def test_the_results_are_flat_and_say_where_they_are_from(name, metrics):
    """Metric to value; machine, date and versions beside them."""
    results = json.loads((report.RESULTS / f"{name}.json").read_text())
    assert metrics | {"machine", "date", "python", "azurite"} <= results.keys()
    assert all(isinstance(value, int | float | str) for value in results.values())


def test_a_limit_is_held_against_what_is_printed():
    """A figure is compared as it is read: three digits."""
    claim = report.Claim("reads", "reads an event", at_most=1)
    assert [claim.verdict(value) for value in (0.999, 1.0004, 1.02)] == ["ok", "ok", "NOT REACHED"]
    assert report.Claim("rate", "a second", at_least=20).verdict(19.9) == "NOT REACHED"
    assert report.Claim("rate", "a second").verdict(19.9) == ""
