"""The comparison of the methods: its document, its pictures and its arithmetic."""

from __future__ import annotations

import asyncio
import json
from random import Random
from xml.etree import ElementTree as ET

import pytest

from bench import report
from bench.comparing import comparison
from bench.comparing.cells import Rates, composed, delays_ms, moments
from bench.comparing.costs import costs, dollars_a_day
from bench.comparing.methods import CLIENTS, EVERY_SECONDS, METHODS, figure
from bench.comparing.phones import PHONES
from bench.comparing.pictures import draw
from bench.comparing.svg import LEFT, WIDTH, Bar, Panel, picture
from bench.comparing.tables import dollars, milliseconds, tables

BY_KEY = {method.key: method for method in METHODS}


@pytest.fixture(scope="module")
def results():
    """What was measured last."""
    return json.loads((report.RESULTS / "compare.json").read_text())


def test_the_docs_quote_the_results(results):
    """The tables between the markers are those that the result file makes."""
    assert report.quote_in(report.DOCS.read_text(), comparison.NAME) == tables(results)


def test_the_pictures_show_the_results(results):
    """`make bench-compare ARGS=--redraw` would change no picture, and the document shows each of them."""
    pictures = draw(results)
    assert pictures == {path: path.read_text() for path in pictures}
    docs = report.DOCS.read_text()
    assert all(f"]({path.relative_to(report.DOCS.parent)})" in docs for path in pictures)


def test_no_figure_is_missing(results):
    """Metric to value, for every method, number of clients and rate; machine, date and versions beside them."""
    cells = {
        figure(method, clients, every, what)
        for method in METHODS
        for clients in CLIENTS
        for every in EVERY_SECONDS
        for what in ("requests", "kb", "cpu_percent", "storage", "p50_ms", "p99_ms", "samples")
        if not (method.lists and clients > 1)
    }
    prices = {figure(method, 1_000, every, "dollars_total") for method in METHODS for every in EVERY_SECONDS}
    assert cells | prices | {"machine", "date", "python", "azurite", "listing_saturated_per_second"} <= results.keys()
    assert all(isinstance(value, int | float | str) for value in results.values())


def test_the_prices_follow_from_the_figures(results):
    """Stored prices are those that the formulas make of the stored figures."""
    made = costs(results)
    assert {name: results[name] for name in made} == pytest.approx(made, rel=2e-3)


def test_the_tables_have_the_row_that_was_not_built(results):
    """WebSocket stays in the table, and says so."""
    assert "| WebSocket | not built | not built | not built | Not built, not measured:" in tables(results)


def test_pictures_are_whole(results):
    """Well-formed, with title and description, and nothing reaches over the edge or over other words."""
    for path, svg in draw(results).items():
        root = ET.fromstring(svg)  # noqa: S314
        space = "{http://www.w3.org/2000/svg}"
        assert root.findtext(f"{space}title"), path
        assert len(root.findtext(f"{space}desc") or "") > 200, path
        height = float(root.get("height", 0))
        for text in root.iter(f"{space}text"):
            x, wide = float(text.get("x", 0)), 6.6 * len(text.text or "")
            is_title = text.get("class") == "title"
            begin = {"start": x, "middle": x - wide / 2, "end": x - wide}[text.get("text-anchor", "")]
            assert begin >= 0, text.text
            assert begin + wide * (1.4 if is_title else 1) <= WIDTH, text.text
            assert float(text.get("y", 0)) < height - 4


def test_bars_are_to_scale():
    """On a logarithmic scale, half of the powers of ten is half of the way; words are escaped."""
    panel = Panel("heading", {"a & b": [Bar("#000", 10, "ten", upto=100)]}, {1.0: "1", 100.0: "100"})
    svg = picture("title", "words", {}, [panel])
    rectangles = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")  # noqa: S314
    bars = [each for each in rectangles if each.get("fill")]
    assert [float(bar.get("width", 0)) for bar in bars] == [235, 235]
    assert [float(bar.get("x", 0)) for bar in bars] == [LEFT, LEFT + 235]
    assert "a &amp; b" in svg


def test_a_change_that_was_superseded_counts_as_shown_with_the_newer_one():
    """One delay a change and client, each until the first answer that includes it."""
    commits = [1.0, 2.0, 3.0]
    seen = [[(1.5, 11), (3.25, 13)], [(3.5, 13)]]
    assert delays_ms(commits, 10, seen) == [500, 1250, 250, 2500, 1500, 500]
    with pytest.raises(AssertionError, match="not seen change 3"):
        delays_ms(commits, 10, [[(2.5, 12)]])


def test_changes_come_once_in_each_interval():
    """At a random moment of it."""
    found = moments(20, 5, Random(3))
    assert [int(moment / 5) for moment in found] == [0, 1, 2, 3]
    assert len({round(moment % 5, 3) for moment in found}) == 4


def test_rarer_changes_are_composed():
    """A change every 60 s: 5 s with a change, 55 s without."""
    quiet, busy = Rates(120, 1_200, 2_400, 12, 7_200), Rates(720, 7_200, 14_400, 60, 8_400, 4, [1.0])
    found = composed(quiet, busy, 5, 60)
    assert [found.requests, found.bytes_up, found.bytes_down] == pytest.approx([170, 1_700, 3_400])
    assert [found.cpu_seconds, found.storage] == pytest.approx([16, 7_300])
    assert (found.changes, found.delays_ms) == (4, [1.0])


def figures(method, every, **values):
    """Name figures of 1,000 clients, and of one."""
    return {figure(method, clients, every, what): value for what, value in values.items() for clients in CLIENTS}


@pytest.mark.parametrize(
    ("key", "requests", "instances"),
    [("sse", 20, 1), ("long_poll", 720, 1), ("long_poll", 3_600, 4), ("smart_2s", 1_800, 2), ("smart_5s", 720, 1)],
)
def test_hand_checked_prices(key, requests, instances):
    """An instance is 2 GB for 86,400 s; 300 answers a second fill one, and parked phones keep one."""
    method = BY_KEY[key]
    parts = dollars_a_day(method, 5.0, figures(method, 5.0, requests=requests, kb_down=1_000, storage=7_200))
    assert parts["instances"] == pytest.approx(instances * 4.4928, rel=1e-3)  # polls at random: hardly less than one
    assert parts["executions"] == pytest.approx(requests * 24 * 1_000 * 0.4e-6)
    assert parts["storage"] == pytest.approx(7_200 * 24 * 0.036e-6)
    assert parts["egress"] == pytest.approx(24 * 0.087)
    events = 17_280 * (2 * 0.6e-6 + 0.4e-6)
    shared = 4.4928 * 0.18127 + 96 * (3 * 5.036e-6 + 2 * 26e-6)  # an instance, and reconciliations of a second
    assert parts["changes"] == pytest.approx(events + shared, rel=1e-3)


def test_hand_checked_price_of_listing():
    """Three List calls a request, and as many instances as the processor time of 500 listings a second takes."""
    method = BY_KEY["listing_2s"]
    parts = dollars_a_day(method, 60.0, figures(method, 60.0, kb_down=400) | {"listing_cpu_ms": 135})
    assert parts["storage"] == pytest.approx(500 * 86_400 * 3 * 5e-6) == pytest.approx(648)
    assert parts["instances"] == pytest.approx(68 * 4.4928)
    assert parts["changes"] == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.44, "1.4 ms"), (9.96, "10 ms"), (999.4, "999 ms"), (999.6, "1 s"), (2_512, "2.51 s"), (165_000, "165 s")],
)
def test_delays_are_written_short(value, text):
    """Milliseconds below a second, with a tenth below ten; then seconds."""
    assert milliseconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0.00"), (0.0062, "0.006"), (4.4928, "4.49"), (955.2, "955")])
def test_dollars_are_written_short(value, text):
    """Cents; whole dollars from a hundred on."""
    assert dollars(value) == text


class Wire(asyncio.WriteTransport):
    """What a phone writes, and whether it hung up."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.is_aborted = False

    def write(self, data):
        """Keep it."""
        self.sent.append(data.decode())

    def abort(self):
        """Note it."""
        self.is_aborted = True


def phone_of(kind, interval_seconds=0.0):
    """Return a phone that is connected to a wire."""
    phone = PHONES[kind](0, "/status", interval_seconds, Random(5))
    wire = Wire()
    phone.connection_made(wire)
    return phone, wire


def answer(count, status="200 OK"):
    """Return an answer of the app."""
    body = b'{"success":true,"data":{"queued_count":%d,"input_count":2,"output_count":3}}' % count
    body = body if status.startswith("200") else b""
    return b'HTTP/1.1 %b\r\nETag: "v%d"\r\nContent-Length: %d\r\n\r\n%b' % (status.encode(), count, len(body), body)


async def test_a_long_poll_asks_as_the_client_package_does():
    """First plainly; then held by its validator, the first time for a part of the wait; only ever once at a time."""
    phone, wire = phone_of("long_poll")
    phone.ask()
    assert "Prefer" not in wire.sent[0]
    whole = answer(10)
    phone.data_received(whole[:40])
    assert phone.answers == 0
    phone.data_received(whole[40:])
    assert (phone.shown, phone.answers, phone.down) == (15, 1, len(whole))
    phone.ask()
    assert 'If-None-Match: "v10"' in wire.sent[1]
    assert "Prefer: wait=" in wire.sent[1]
    assert "Prefer: wait=25\r" not in wire.sent[1]
    phone.data_received(answer(10, "304 Not Modified"))
    phone.ask()
    assert "Prefer: wait=25\r" in wire.sent[2]
    assert (phone.requests, phone.up) == (3, sum(map(len, wire.sent)))
    assert [phone.pause_seconds(status, 20) for status in (200, 304, 503)] == [0.1, 0.0, 1.0]


async def test_a_plain_poll_asks_an_interval_after_it_last_asked():
    """Whatever the answer; at once when the answer took longer."""
    phone, _ = phone_of("poll", interval_seconds=2.0)
    assert [phone.pause_seconds(status, taken) for status, taken in ((200, 0.5), (304, 0.5), (200, 3))] == [1.5, 1.5, 0]


async def test_no_phone_asks_more_than_once_a_second_for_long():
    """Its bucket is empty after 20 requests at once."""
    phone, wire = phone_of("poll")
    for _ in range(30):
        phone.ask()
    assert len(wire.sent) == 20
    phone.spend()
    phone.ask()
    assert len(wire.sent) == 20


async def test_a_stream_is_read_frame_by_frame():
    """However it is cut; it sends the last id when it opens again, and it hangs up after the last chunk."""
    phone, wire = phone_of("stream")
    phone.ask()
    data = b'id: v10\nevent: status_update\ndata: {"queued":10,"processing":2,"completed":3,"version":"v10"}\n\n'
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n70\r\nretry: 3000\n" + data + b"\r\n"
    for number in range(len(text)):
        phone.data_received(text[number : number + 1])
    assert (phone.shown, phone.answers, phone.errors) == (15, 1, 0)
    phone.data_received(b"10\r\n: keep-alive\n\n\r\n")
    assert (phone.shown, phone.answers) == (15, 2)
    assert not wire.is_aborted
    phone.data_received(b"0\r\n\r\n")
    assert wire.is_aborted
    again = Wire()
    phone.connection_made(again)
    phone.ask()
    assert "Last-Event-ID: v10\r" in again.sent[0]
    phone.close()
