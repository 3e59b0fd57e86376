"""docs/benchmarks.md quotes what was measured, and nothing else."""

from __future__ import annotations

import json
import re

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


def measured(name: str, metric: str, line: str = "") -> float:
    """Return a figure of a result file; of one of its lines, where it has some."""
    results = json.loads((report.RESULTS / f"{name}.json").read_text())
    found = next(each for each in results["lines"] if each["name"] == line) if line else results
    return float(found[metric])


@pytest.mark.parametrize(
    ("document", "words", "value"),
    [
        ("benchmarks", "about 5,400 a second from an empty ledger", measured("write", "events_per_second")),
        ("benchmarks", "14 times a plain counter at its best", measured("write", "times_naive")),
        ("benchmarks", "runs at about 5,400 events a second", measured("write", "events_per_second")),
        ("benchmarks", "manages about 380 at its best", measured("write", "naive_events_per_second")),
        ("benchmarks", "69 MB for a million names", measured("reconcile", "peak_mb_1m_names")),
        ("benchmarks", "1.05 times a bare one", measured("reconcile", "times_listing_at_100_per_second")),
        ("benchmarks", "41 KB each", measured("serve", "memory_kb_per_waiter")),
        ("benchmarks", "woken within 109 ms (p99)", measured("serve", "wake_p99_ms")),
        ("benchmarks", "any Functions app can do takes 120 ms", measured("serve", "floor_wake_p99_ms")),
        ("scaling", "(p99 8.5 s)", measured("writers", "p99_ms", "ten-minutes") / 1000),
        ("decisions/hand-over", "wait 0.26 s (median", measured("writers", "p50_ms", "steady-100-500") / 1000),
        ("decisions/hand-over", "p99 0.68 s) for their count", measured("writers", "p99_ms", "steady-100-500") / 1000),
    ],
)
def test_the_text_around_the_tables_says_what_they_say(document: str, words: str, value: float) -> None:
    """Within five per cent: who measures anew reads the sentences again, too."""
    text = re.sub(r"\s+", " ", (report.DOCS.parent / f"{document}.md").read_text())
    assert words in text
    stated = re.search(r"(?<![p0-9])[0-9][0-9,.]*", words)
    assert stated is not None
    assert float(stated.group().replace(",", "")) == pytest.approx(value, rel=0.05)
