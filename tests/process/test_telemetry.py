"""What the app says of itself: a trace from the event through the commit, and the numbers an operator looks at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from azurefunctions.extensions.http.fastapi import Request
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from localdev.processes import ROOT
from shared.errors import Refused
from shared.process import telemetry
from shared.services import Services
from shared.serving import endpoints
from tests.fakes.world import World
from tests.leaks.written import WRITTEN


class SearchedSpans(InMemorySpanExporter):
    """Keeps the spans, and has them searched for secrets."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        for span in spans:
            WRITTEN.text("span", span.name, span.to_json().encode(), is_over=True)
        return super().export(spans)


SPANS = SearchedSpans()
READER = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def _providers() -> Iterator[None]:
    """Collect in memory; providers can be set once a process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([READER]))
    yield
    WRITTEN.text("metric", "all metrics", str(READER.get_metrics_data()).encode(), is_over=True)


def measured() -> dict[str, dict[tuple[tuple[str, object], ...], float]]:
    """Return metric → attributes → sum (of a histogram: how many)."""
    found: dict[str, dict[tuple[tuple[str, object], ...], float]] = {}
    data = READER.get_metrics_data()
    if data is None:
        return found
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = found.setdefault(metric.name, {})
                for point in metric.data.data_points:
                    key = tuple(sorted((point.attributes or {}).items()))
                    points[key] = point.value if hasattr(point, "value") else point.count
    return found


def grown(before: dict[str, dict], name: str, **attributes: str | int) -> float:
    """Return by how much a metric has grown."""
    key = tuple(sorted(attributes.items()))
    return measured().get(name, {}).get(key, 0) - before.get(name, {}).get(key, 0)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_the_memory_of_this_process_is_measured() -> None:
    """In bytes, as the system accounts it: what is held counts, and what was given back does not."""
    (before,) = measured()["blob_status.memory"].values()
    held = bytearray(b"x") * 2**26
    (during,) = measured()["blob_status.memory"].values()
    assert 2**26 * 0.9 < during - before < 2**26 * 1.5
    del held
    (after,) = measured()["blob_status.memory"].values()
    assert after < during - 2**25


def test_the_metrics_are_documented() -> None:
    """Each has a row in docs/operations.md, and each row is of one."""
    made = re.findall(r'"(blob_status\.[a-z_.]+)"', Path(telemetry.__file__).read_text())
    rows = re.findall(r"^\| `(blob_status\.[a-z_.]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(made)


async def test_a_trace_leads_from_the_event_to_its_commit(world: World) -> None:
    """The commit is a span of its own, linked to each event that it is made of."""
    SPANS.clear()
    await world.process.delivery.take(world.blobs.put("queued/a.jpg"))
    spans = {span.name: span for span in SPANS.get_finished_spans()}
    assert {"take event", "commit"} <= set(spans)
    (link,) = spans["commit"].links
    assert link.context.span_id == spans["take event"].context.span_id
    assert spans["commit"].attributes["blobs"] == 1


async def test_an_answer_is_counted_as_what_it_is() -> None:
    """A 503 counts as one, also where it goes as an event of a stream, to a client that takes nothing else."""

    async def away() -> Services:
        raise Refused("storage is away")

    site = endpoints.Site(away, ("https://app.example.com",))
    for handler, accept, status in (
        (endpoints.stream, b"text/event-stream", 200),
        (endpoints.stream, b"*/*", 503),
        (endpoints.status, b"text/event-stream", 503),
    ):
        before = measured()
        headers = [(b"accept", accept), (b"origin", b"https://app.example.com")]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        response = await endpoints.serve(site, Request(scope), handler)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == "https://app.example.com"
        assert grown(before, "blob_status.answers", status=503) == 1


async def test_events_are_counted_by_outcome(world: World) -> None:
    """Applied, duplicate, of no concern, quarantined; with folder where there is one, and with their age."""
    before = measured()
    event = world.blobs.put("queued/b.jpg")
    world.clock.advance(3)
    for text in (event, event, world.blobs.put("elsewhere/c.jpg"), "not JSON"):
        await world.process.delivery.take(text)
    name = "blob_status.events"
    assert grown(before, name, outcome="applied", folder="queued") == 1
    assert grown(before, name, outcome="duplicate", folder="queued") == 1
    assert grown(before, name, outcome="of no concern") == 1
    assert grown(before, name, outcome="quarantined") == 1
    assert grown(before, "blob_status.event.age", folder="queued") == 2
    assert grown(before, "blob_status.commit.duration", result="committed") == 1
    assert grown(before, "blob_status.commit.blobs") == 1


async def test_drift_is_a_number(world: World) -> None:
    """What a reconciliation corrects is counted by folder and side, and the run by its result: told, or compared."""
    await world.process.delivery.take(world.blobs.put("input/a.jpg"))
    world.blobs.delete("input/a.jpg")
    world.blobs.put("output/a.jpg")
    world.clock.advance(5)
    before = measured()
    await world.process.reconciler.run()
    await world.process.reconciler.run()
    await world.process.reconciler.run(full=True)
    assert grown(before, "blob_status.drift", folder="input", side="removed") == 1
    assert grown(before, "blob_status.drift", folder="output", side="added") == 1
    assert grown(before, "blob_status.reconciliation.duration", result="repaired") == 1
    assert grown(before, "blob_status.reconciliation.duration", result="compared") == 1
    assert grown(before, "blob_status.reconciliation.duration", result="clean") == 1
    assert "reconcile" in {span.name for span in SPANS.get_finished_spans()}


async def test_no_path_is_measured(world: World) -> None:
    """Names of blobs appear in no span and in no metric: they are many, and they are the users'."""
    SPANS.clear()
    await world.process.delivery.take(world.blobs.put("queued/secret-name.jpg"))
    spans = "".join(span.to_json() for span in SPANS.get_finished_spans())
    assert "take event" in spans
    assert "secret-name" not in spans
    assert "secret-name" not in str(READER.get_metrics_data())


async def test_waiters_and_wakes(world: World) -> None:
    """How many are held, how many a change has woken, and how long the tally's reads take."""
    watch = world.process.watch
    before = measured()
    version = (await watch.latest()).version
    waiting = [asyncio.create_task(watch.changed(version, 20)) for _ in range(3)]
    await asyncio.sleep(0)
    assert grown(before, "blob_status.waiters") == 3
    await world.process.delivery.take(world.blobs.put("queued/w.jpg"))
    watch.offer(world.stored_tally())
    await asyncio.gather(*waiting)
    assert grown(before, "blob_status.waiters") == 0
    assert grown(before, "blob_status.wakes") == 3
    assert grown(before, "blob_status.poll.duration", result="read") >= 1
    watch.close()
