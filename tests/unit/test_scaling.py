"""docs/scaling.md says what bench/scaling.py computes.

The formulas are held against hand-checked values, the app's own numbers, and small simulations of what they describe.
"""

from __future__ import annotations

import heapq
import math
import sys
from datetime import UTC, datetime
from random import Random

import pytest

from bench import scaling
from bench.scaling import ASSUMED, FACTS, PRICES
from shared import planning, settings, tombstones
from shared.answers import StatusAnswers
from shared.endpoints import JITTER
from shared.keyset import KeySet
from shared.ledger import TOMBSTONE_HORIZON
from shared.listing import PAGE_SIZE
from shared.passes import COLLECT_EVERY
from shared.status import StatusSnapshot
from shared.tally import Sum, Tally


def test_the_document_is_up_to_date():
    """`python -m bench.scaling` would change nothing."""
    text = scaling.DOCS.read_text()
    assert scaling.rewritten(text) == text


def test_a_table_needs_its_place():
    """A document without a marker, or with two, is refused."""
    text = scaling.DOCS.read_text()
    for broken in ("", text + text, text.replace("<!-- end of held -->", "")):
        with pytest.raises(ValueError, match="has not one place"):
            scaling.rewritten(broken)


def test_the_facts_are_those_of_the_app():
    """What the app sets is written here as it is there."""
    assert FACTS.names_a_page == PAGE_SIZE
    assert FACTS.blobs_a_commit == planning.MAX_BLOBS
    days = TOMBSTONE_HORIZON + tombstones._MARGIN + COLLECT_EVERY
    assert days.days == FACTS.tombstone_days
    defaults = settings.Settings.from_environ({})
    assert defaults.reconcile_slice_seconds == FACTS.slice_seconds
    assert defaults.max_wait_seconds == 60
    assert defaults.poll_interval_seconds == 0.5
    assert JITTER == 1 / 16


def test_hand_checked():
    """Values worked out with pencil and paper."""
    assert [scaling.list_calls(names) for names in (0, 10, 5_000, 5_001, 1_000_000)] == [2, 3, 3, 4, 202]
    assert scaling.pass_seconds(1_000_000) == pytest.approx(20.408 + 4.04, abs=0.001)
    assert scaling.pass_dollars(10) == pytest.approx(3 * 5.036e-6 + 2 * 26e-6)  # a second is billed at least
    assert scaling.pass_dollars(1_000_000) == pytest.approx(202 * 5.036e-6 + 24.448 * 2 * 26e-6, rel=1e-4)
    assert scaling.passes_a_month(15) == 2_920
    assert scaling.comparison_bytes(10_000_000) == 170_008_192
    assert scaling.rows_made_a_second() == 1_980
    assert scaling.rows_made_a_second() * 86_400 == 171_072_000
    assert scaling.first_count_seconds(1_000_000) == pytest.approx(505.05, abs=0.01)
    assert scaling.tombstones(2_000_000) == 32_000_000
    assert scaling.month_of_instances(1) == pytest.approx(136.656)
    assert scaling.event_dollars(1_000_000) == pytest.approx((1.2, 0.4, 0.072))
    assert scaling.held_instances(1_000) == 1
    assert scaling.held_instances(1_001) == 2
    assert scaling.held_requests_an_hour(60) == pytest.approx(61.935, abs=0.001)
    assert scaling.held_requests_an_hour(25, changes_an_hour=60) == pytest.approx(208.645, abs=0.001)
    assert scaling.polling_instances(100_000, 30) == 12  # 3,333 a second, 300 an instance
    assert scaling.table_reads_a_second(1_000, 0.5) == 2_000
    assert scaling.egress_dollars(1_000, 60) == pytest.approx(900_000 * 60 * 730 / 1e9 * 0.087)
    assert scaling.first_wave_a_second(1_000, 60) == pytest.approx(266.67, abs=0.01)
    assert scaling.writer_events_a_second(10, 0.02) == 500
    assert scaling.writer_events_a_second(99, 0.02) == 1_980  # not 4,950


def test_event_hubs_pays_where_the_costs_are_equal():
    """At the break-even a throughput unit and its events cost what the executions saved would have."""
    events = scaling.hub_pays_from(99)
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


def slices_by_page(blobs: int, rows_a_second: float, slice_seconds: float) -> int | None:
    """Run the first count page by page: a slice scans what is there, then adds pages, and ends after its time."""
    rows = 0
    for number in range(1, 50):
        clock = rows / rows_a_second
        if clock > slice_seconds:
            return None
        while clock <= slice_seconds:
            rows += min(PAGE_SIZE, blobs - rows)
            clock += PAGE_SIZE / scaling.rows_made_a_second()
            if rows == blobs:
                return number
    return None


@pytest.mark.parametrize("blobs", [10, 100_000, 1_000_000, 2_000_000, 3_000_000, 10_000_000])
@pytest.mark.parametrize("rows_a_second", [2_000, 10_000, 50_000])
def test_slices_of_a_first_count(blobs, rows_a_second):
    """The formula says what a run page by page comes to, to a slice; and when that never ends."""
    simulated = slices_by_page(blobs, rows_a_second, FACTS.slice_seconds)
    computed = scaling.first_count_slices(blobs, rows_a_second, FACTS.slice_seconds)
    if computed is None or simulated is None:
        assert computed is simulated
    else:
        assert abs(computed - simulated) <= 1


def test_a_sliced_comparison_needs_a_scan_shorter_than_the_slice():
    """At 10,000 rows a second the limit is 4.2 million rows."""
    assert scaling.comparison_slices(1_000_000, 1_000_000, 10_000, 420) == 1
    assert scaling.comparison_slices(4_000_000, 4_000_000, 10_000, 420) == math.ceil(
        scaling.pass_seconds(4_000_000) / 20
    )
    assert scaling.comparison_slices(4_200_000, 4_200_000, 10_000, 420) is None


@pytest.mark.parametrize("rate", [0.03, 0.3, 1.0, 4.0])
def test_billed_time_of_requests_at_random(rate):
    """The union of the seconds that each request is billed at least."""
    random = Random(7)
    now = billed = covered_until = 0.0
    for _ in range(20_000):
        now += random.expovariate(rate)
        billed += 1 - max(0.0, min(1.0, covered_until - now))
        covered_until = now + 1
    assert billed / now == pytest.approx(scaling.busy_share(rate), rel=0.03)


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
    expected = scaling.first_wave_a_second(1_000, 60)
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
    assert scaling.writer_events_a_second(99, 0.05) == ceiling == 1_980
    assert backlog(100) == pytest.approx(5)
    assert backlog(1_900) == pytest.approx(95)
    assert backlog(2_200) > 10_000


def test_the_table_is_read_too_often_by_a_thousand_instances():
    """A million held phones at the default interval read as often as a partition is meant to be asked at all."""
    instances = scaling.held_instances(1_000_000)
    assert scaling.table_reads_a_second(instances, 0.5) >= FACTS.partition_a_second
    assert scaling.table_reads_a_second(instances, 2) <= FACTS.partition_a_second / 4


def test_polling_is_cheaper_for_few_and_for_many():
    """Held polls keep whole instances: alone that is dear, and above a thousand phones too."""
    assert scaling.polling_dollars(10, 60) < scaling.held_dollars(10, 60) / 5
    assert scaling.held_dollars(1_000, 60) < scaling.polling_dollars(1_000, 30)
    assert scaling.polling_dollars(100_000, 60) < scaling.held_dollars(100_000, 60) / 5


def test_a_front_cache_pays_by_the_request():
    """At the prices given, each request to the cache costs more than an execution of the app."""
    assert PRICES.front_request > PRICES.execution
    assert scaling.front_dollars(100_000, 30) > scaling.polling_dollars(100_000, 30)
