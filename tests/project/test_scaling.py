"""docs/scaling.md says what bench/sizing/tables.py computes.

The formulas are held against hand-checked values, the app's own numbers, and small simulations of what they describe.
"""

from __future__ import annotations

import heapq
import json
import sys
from bisect import bisect_right, insort
from datetime import UTC, datetime
from random import Random

import pytest

from bench.sizing import formulas, slices, tables
from bench.sizing.facts import ASSUMED, FACTS, PRICES
from shared.azure.listing import PAGE_SIZE
from shared.model.ledger import TOMBSTONE_HORIZON
from shared.model.ports import Page
from shared.model.snapshot import StatusSnapshot
from shared.model.tally import Sum, Tally
from shared.reconciling import comparison, repair, row_key_sets, tombstones
from shared.reconciling.row_key_sets import KeySet
from shared.reconciling.stages import COLLECT_EVERY
from shared.serving.endpoints import JITTER
from shared.serving.responses import StatusAnswers
from shared.settings import app
from shared.writing import batch
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.fakes.memory_blobs import FakeClock, MemoryBlobs
from tests.fakes.memory_table import MemoryTable
from tests.fakes.world import Process


def test_the_document_is_up_to_date():
    """`python -m bench.sizing.tables` would change nothing."""
    text = tables.DOCS.read_text()
    assert tables.rewritten(text) == text


def test_a_table_needs_its_place():
    """A document without a marker, or with two, is refused."""
    text = tables.DOCS.read_text()
    for broken in ("", text + text, text.replace("<!-- end of held -->", "")):
        with pytest.raises(ValueError, match="has not one place"):
            tables.rewritten(broken)


def test_the_facts_are_those_of_the_app():
    """What the app sets is written here as it is there."""
    assert FACTS.names_a_page == PAGE_SIZE
    assert FACTS.rows_at_once == comparison.ROWS_AT_ONCE
    assert FACTS.blobs_a_commit == batch.MAX_BLOBS
    days = TOMBSTONE_HORIZON + tombstones._MARGIN + COLLECT_EVERY
    assert days.days == FACTS.tombstone_days
    defaults = app.Settings.from_environ({})
    assert defaults.reconcile_slice_seconds == FACTS.slice_seconds
    assert defaults.max_wait_seconds == 60
    assert defaults.poll_interval_seconds == 0.5
    assert JITTER == 1 / 16


def test_hand_checked():
    """Values worked out with pencil and paper."""
    assert [formulas.list_calls(names) for names in (0, 10, 5_000, 5_001, 1_000_000)] == [2, 3, 3, 4, 202]
    assert formulas.pass_seconds(1_000_000) == pytest.approx(20.408 + 4.04, abs=0.001)
    assert formulas.pass_dollars(10) == pytest.approx(3 * 5.036e-6 + 2 * 26e-6)  # a second is billed at least
    assert formulas.pass_dollars(1_000_000) == pytest.approx(202 * 5.036e-6 + 24.448 * 2 * 26e-6, rel=1e-4)
    assert formulas.passes_a_month(15) == 2_920
    assert formulas.comparison_bytes(FACTS.rows_at_once) == 8_508_192
    assert formulas.rows_made_a_second() == 1_980
    assert formulas.rows_made_a_second() * 86_400 == 171_072_000
    assert formulas.first_count_seconds(1_000_000) == pytest.approx(505.051 + 24.448, abs=0.001)
    assert formulas.tombstones(2_000_000) == 32_000_000
    assert formulas.month_of_instances(1) == pytest.approx(136.656)
    assert formulas.event_dollars(1_000_000) == pytest.approx((1.2, 0.4, 0.072))
    assert formulas.telemetry_dollars(0.4, 1) == pytest.approx((0.4 + 0.2) * 2_628_000 * 1e-6 * 2.76)
    assert formulas.telemetry_dollars(40, 2) == pytest.approx((2 + 0.4) * 2_628_000 * 1e-6 * 2.76)
    assert formulas.telemetry_dollars(0, 0) == 0
    assert formulas.unsampled_dollars(40, 2) == pytest.approx(40 * 5 * 2_628_000 * 1e-6 * 2.76)
    assert formulas.month_of_instances(1, 0.5) == pytest.approx(34.164)
    assert formulas.held_instances(1_000) == 1
    assert formulas.held_instances(1_001) == 2
    assert formulas.held_requests_an_hour(60) == pytest.approx(61.935, abs=0.001)
    assert formulas.held_requests_an_hour(25, changes_an_hour=60) == pytest.approx(208.645, abs=0.001)
    assert formulas.polling_instances(100_000, 30) == 12  # 3,333 a second, 300 an instance
    assert formulas.table_reads_a_second(1_000, 0.5) == 2_000
    assert formulas.egress_dollars(1_000, 60) == pytest.approx(900_000 * 60 * 730 / 1e9 * 0.087)
    assert formulas.first_wave_a_second(1_000, 60) == pytest.approx(266.67, abs=0.01)
    assert formulas.writer_events_a_second(10, 0.02) == 500
    assert formulas.writer_events_a_second(99, 0.02) == 1_980  # not 4,950


def test_event_hubs_pays_where_the_costs_are_equal():
    """At the break-even a throughput unit and its events cost what the executions saved would have."""
    events = formulas.hub_pays_from(99)
    with_hub = PRICES.hub_unit_hour * 730 + events * PRICES.hub_event + events / 99 * PRICES.execution
    assert with_hub == pytest.approx(events * PRICES.execution)
    assert events == pytest.approx(59.5e6, rel=0.01)


def test_what_a_comparison_holds():
    """The real key set takes 17 bytes a key, and at most an eighth more for growth."""
    count = 50_000
    keys = KeySet()
    for number in range(count):
        keys.append(number << 100)
    held = sum(map(sys.getsizeof, (keys._high, keys._low, keys._marks)))
    assert FACTS.bytes_a_key <= held / count <= FACTS.bytes_a_key * 9 / 8


def test_what_an_answer_weighs():
    """Body and the app's own headers leave room for the platform's."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    sums = {"queued": Sum(12_345), "input": Sum(1_234), "output": Sum(9_876_543)}
    snapshot = StatusSnapshot(Tally("9f2c1e07ab", b"0" * 16, "f", now, now, 123_456, ready=True, sums=sums), now)
    answer = StatusAnswers(snapshot).counts
    own = len(snapshot.body) + sum(len(name) + len(value) + 4 for name, value in answer.raw_headers)
    assert 350 < own < 500 < ASSUMED.bytes_an_answer


class SlowTable(MemoryTable):
    """A table with few rows, each of which takes the time of many."""

    def __init__(self, clock: FakeClock, many: int, rows_a_second: float) -> None:
        super().__init__()
        self.clock, self.many, self.rows_a_second = clock, many, rows_a_second
        self.keys: list[str] = []
        self.pause = no_pause

    async def commit(self, partition, writes):
        """Take the time of a write, or of as many rows as these stand for."""
        rows = [write.row_key for write in writes if partition == PARTITION and write.row_key != TALLY_KEY]
        self.clock.advance(len(rows) * self.many / formulas.rows_made_a_second() or ASSUMED.checkpoint_seconds)
        etags = await super().commit(partition, writes)
        for write in writes:
            if write.row_key in rows and write.etag is None:
                insort(self.keys, write.row_key)
        return etags

    async def scan(self, partition, select=None, *, after="", within=None):
        """Scan row by row; the tally, which comes last, costs nothing."""
        if partition != PARTITION:
            async for page in super().scan(partition, select, after=after, within=within):
                yield page
            return
        while (place := bisect_right(self.keys, after)) < len(self.keys):
            after = self.keys[place]
            self.clock.advance(self.many / self.rows_a_second)
            yield [self.state.partitions[partition][after]]


class SlowBlobs(MemoryBlobs):
    """Few blobs, each of which stands for a page of a listing."""

    def __init__(self, clock: FakeClock, blobs: int) -> None:
        super().__init__(clock, page_size=1)
        self.pause = no_pause
        self.names = [f"{number}.jpg" for number in range(blobs)]
        for name in self.names:
            self.put(f"input/{name}")

    async def pages(self, container, prefix, token=""):
        """List blob by blob."""
        names = self.names if (container, prefix) == ("input", "") else []
        for place in range(int(token or 0), len(names)):
            self.clock.advance(PAGE_SIZE / FACTS.names_a_second)
            yield Page([names[place]], self.clock.now(), str(place + 1) if place + 1 < len(names) else "")


async def no_pause() -> None:
    """Be at once."""


class Small:
    """The app's own reconciler on a small account in slow motion: each blob stands for a page of 5,000."""

    def __init__(self, blobs: int, rows_a_second: float) -> None:
        self.clock = FakeClock()
        self.blobs = SlowBlobs(self.clock, blobs // PAGE_SIZE)
        self.table = SlowTable(self.clock, PAGE_SIZE, rows_a_second)

    async def slices(self, most: int, *, full: bool = False) -> int | None:
        """Run slice after slice, one every 15 minutes, each in a new process. Returns how many it took."""
        for number in range(most):
            began = self.clock.monotonic()
            process = Process(self.table, self.blobs, Random(3))
            report = await process.reconciler.run(slice_seconds=FACTS.slice_seconds, full=full and not number)
            if report.finished:
                return number + 1
            self.clock.advance(900 - (self.clock.monotonic() - began))
        return None


@pytest.fixture
def slow_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a range of as many rows as stand for 500,000, and look at one blob at a time."""
    monkeypatch.setattr(comparison, "ROWS_AT_ONCE", comparison.ROWS_AT_ONCE // PAGE_SIZE)
    monkeypatch.setattr(repair, "CONCURRENT_LOOKS", 1)
    monkeypatch.setattr(row_key_sets, "_BUCKET_SHIFT", 123)


@pytest.mark.usefixtures("slow_motion")
@pytest.mark.parametrize(
    ("blobs", "rows_a_second"),
    [(1_000_000, 2_000), (1_000_000, 10_000), (2_000_000, 10_000), (2_000_000, 2_000), (3_000_000, 50_000)],
)
async def test_slices(blobs, rows_a_second):
    """The formulas say what the reconciler itself comes to: a first count to two slices, a comparison exactly."""
    account = Small(blobs, rows_a_second)
    computed, _ = slices.first_count(blobs, rows_a_second, FACTS.slice_seconds)
    assert await account.slices(slices.SLICES_A_DAY) == pytest.approx(computed, abs=2)
    computed = slices.comparison_slices(blobs, blobs, rows_a_second, FACTS.slice_seconds)
    assert await account.slices(slices.SLICES_A_DAY, full=True) == computed


def test_a_comparison_ends_at_any_size_unless_a_range_takes_longer_than_a_slice():
    """At 420 s that is below 1,190 rows a second; or where the runs of a day are not enough."""
    assert formulas.slowest_scan(420) == pytest.approx(1_190.5, abs=0.1)
    assert slices.comparison_slices(30_000_000, 30_000, 1_250, 420) == 60
    assert slices.comparison_slices(30_000_000, 30_000, 1_180, 420) is None
    assert slices.comparison_slices(10_000_000, 10_000_000, 2_000, 420, slices_a_day=24) is None
    for rate, by_quarters, by_hours in ((10_000, 25_000_000, 12_000_000), (2_000, 15_900_000, 6_000_000)):
        assert slices.comparison_slices(by_quarters, by_quarters, rate, 420, slices_a_day=96)
        assert slices.comparison_slices(by_hours, by_hours, rate, 420, slices_a_day=24)
    assert [formulas.comparison_listings(rows) for rows in (10, 499_999, 500_000, 10_000_000)] == [1, 1, 2, 21]


@pytest.mark.parametrize("rate", [0.03, 0.3, 1.0, 4.0])
def test_billed_time_of_requests_at_random(rate):
    """The union of the seconds that each request is billed at least."""
    random = Random(7)
    now = billed = covered_until = 0.0
    for _ in range(20_000):
        now += random.expovariate(rate)
        billed += 1 - max(0.0, min(1.0, covered_until - now))
        covered_until = now + 1
    assert billed / now == pytest.approx(formulas.busy_share(rate), rel=0.03)


def busiest_second(phones: int, wait_seconds: float, waves: int, *, jitter: float) -> list[float]:
    """Have phones hold polls that all begin at once; return each wave's most requests within a tenth, a second."""
    random = Random(11)
    waiting = [(0.0, 0)] * phones
    seen = [dict[int, int]() for _ in range(waves)]
    while waiting:
        began, wave = heapq.heappop(waiting)
        if wave == waves:
            continue
        ends = began + wait_seconds * (1 - random.uniform(0, jitter))
        tenth = int(ends * 10)
        seen[wave][tenth] = seen[wave].get(tenth, 0) + 1
        heapq.heappush(waiting, (ends, wave + 1))
    return [max(wave.values()) * 10 for wave in seen]


def test_reconnects_spread():
    """Phones that were woken together come back together once, then ever further apart."""
    waves = busiest_second(1_000, 60, 12, jitter=JITTER)
    expected = formulas.first_wave_a_second(1_000, 60)
    assert expected < waves[0] < expected * 1.6  # the busiest tenth is a little above the average
    assert waves[-1] < waves[0] / 2
    assert busiest_second(1_000, 60, 3, jitter=0) == [10_000, 10_000, 10_000]


def test_group_commit_keeps_up_below_the_ceiling():
    """One writer whose commits take 50 ms: batches grow with the rate, until 99 a commit are not enough."""

    def backlog(rate: float, commit_seconds: float = 0.05, seconds: float = 60) -> float:
        queued = 0.0
        for _ in range(int(seconds / commit_seconds)):
            queued = max(0.0, queued - FACTS.blobs_a_commit) + rate * commit_seconds
        return queued

    ceiling = FACTS.blobs_a_commit / 0.05
    assert formulas.writer_events_a_second(99, 0.05) == ceiling == 1_980
    assert backlog(100) == pytest.approx(5)
    assert backlog(1_900) == pytest.approx(95)
    assert backlog(2_200) > 10_000


def test_the_table_is_read_too_often_by_a_thousand_instances():
    """A million held phones at the default interval read as often as a partition is meant to be asked at all."""
    instances = formulas.held_instances(1_000_000)
    assert formulas.table_reads_a_second(instances, 0.5) >= FACTS.partition_a_second
    assert formulas.table_reads_a_second(instances, 2) <= FACTS.partition_a_second / 4


@pytest.mark.parametrize("phones", [10, 1_000, 100_000])
@pytest.mark.parametrize("gb", [FACTS.small_instance_gb, FACTS.instance_gb])
def test_telemetry_costs_less_than_half_of_the_rest(phones, gb):
    """As it is set by default; with all rows it would be several times the rest, at every size but the smallest."""
    rest = formulas.month_of_instances(formulas.held_instances(phones), gb) + formulas.held_execution_dollars(
        phones, 25
    )
    assert formulas.held_dollars(phones, 25, gb) < 1.5 * rest
    whole = formulas.unsampled_dollars(phones * formulas.held_requests_an_hour(25) / 3600)
    assert (rest + whole > 1.5 * rest) == (phones > 10)


def test_the_facts_are_those_of_the_deployment():
    """host.json and infra/ set what the arithmetic starts from."""
    sampling = json.loads((tables.ROOT / "host.json").read_text())["logging"]["applicationInsights"]["samplingSettings"]
    assert sampling["maxTelemetryItemsPerSecond"] == FACTS.rows_kept_a_second
    made = json.loads((tables.ROOT / "infra/cases/new-account.snapshot.json").read_text())["predictedResources"]
    (app,) = (each for each in made if each["type"] == "Microsoft.Web/sites")
    scale = app["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["instanceMemoryMB"] == FACTS.instance_gb * 1024
    assert scale["triggers"]["http"]["perInstanceConcurrency"] == FACTS.phones_an_instance
    (settings,) = (each["properties"] for each in made if each["type"] == "Microsoft.Web/sites/config")
    assert float(settings["OTEL_TRACES_SAMPLER_ARG"]) == FACTS.spans_kept


def test_polling_is_cheaper_for_few_and_for_many():
    """Held polls keep whole instances: alone that is dear, and above a thousand phones too."""
    assert formulas.polling_dollars(10, 60) < formulas.held_dollars(10, 60) / 5
    assert formulas.held_dollars(1_000, 60) < formulas.polling_dollars(1_000, 30)
    assert formulas.polling_dollars(100_000, 60) < formulas.held_dollars(100_000, 60) / 5


def test_a_front_cache_pays_by_the_request():
    """At the prices given, each request to the cache costs more than an execution of the app."""
    assert PRICES.front_request > PRICES.execution
    assert formulas.front_dollars(100_000, 30) > formulas.polling_dollars(100_000, 30)
