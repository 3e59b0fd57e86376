"""The pictures of the comparison, made of its results only: docs/pictures/compare-*.svg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.comparing.costs import PHONES
from bench.comparing.methods import CLIENTS, EVERY_SECONDS, METHODS, figure
from bench.comparing.svg import Bar, Panel, picture
from bench.comparing.tables import dollars, milliseconds
from bench.report import ROOT, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.comparing.methods import Method

    type Results = Mapping[str, float | str]

PICTURES = ROOT / "docs" / "pictures"
COLOURS = dict(zip(EVERY_SECONDS, ("#b3541e", "#1f6fb2", "#3c8d5a"), strict=True))
LEGEND = {f"a change every {every:g} s": colour for every, colour in COLOURS.items()}


def draw(results: Results) -> dict[Path, str]:
    """Return the pictures and where they belong."""
    return {
        PICTURES / "compare-latency.svg": _latency(results),
        PICTURES / "compare-requests.svg": _requests(results),
        PICTURES / "compare-cost.svg": _cost(results),
    }


def _latency(results: Results) -> str:
    def bar(method: Method, clients: int, every: float) -> Bar:
        p50, p99 = (float(results[figure(method, clients, every, what)]) for what in ("p50_ms", "p99_ms"))
        return Bar(COLOURS[every], p50, f"{milliseconds(p50)} / {milliseconds(p99)}", p99)

    def groups(clients: int) -> dict[str, list[Bar]]:
        found = {}
        for method in METHODS:
            if method.lists and clients > 1:
                queue = float(results["listing_queue_seconds"])
                found[method.name] = [Bar("#59636e", queue * 1000, f"saturated: a queue of {number(round(queue))} s")]
            else:
                found[method.name] = [bar(method, clients, every) for every in EVERY_SECONDS]
        return found

    ticks = {
        0.1: "0.1 ms",
        1.0: "1 ms",
        10.0: "10 ms",
        100.0: "100 ms",
        1e3: "1 s",
        1e4: "10 s",
        1e5: "100 s",
        1e6: "1,000 s",
    }
    heading = "{} client{}: from the commit to the client, p50 and (paler) p99, logarithmic"
    panels = [Panel(heading.format(f"{clients:,}", "s" * (clients > 1)), groups(clients), ticks) for clients in CLIENTS]
    return picture("How long until a client shows a change", _words(panels), LEGEND, panels)


def _requests(results: Results) -> str:
    ticks = {10.0: "10", 100.0: "100", 1e3: "1,000", 1e4: "10,000"}
    panels = []
    for what, heading in (("requests", "Requests"), ("kb", "Kilobytes, both ways")):
        groups = _by_method(results, what, number, lambda method: 1 if method.lists else CLIENTS[-1])
        panels.append(Panel(f"{heading}, per client per hour, logarithmic", groups, ticks))
    return picture(
        "What one client of 1,000 sends and receives (listing: one client alone)", _words(panels), LEGEND, panels
    )


def _cost(results: Results) -> str:
    groups = _by_method(results, "dollars_total", lambda value: f"${dollars(value)}", lambda _: PHONES)
    ticks = {1.0: "$1", 10.0: "$10", 100.0: "$100", 1e3: "$1,000"}
    panels = [Panel("US dollars a day, logarithmic", groups, ticks)]
    return picture(
        "What 1,000 phones cost in Azure, from list prices (listing: if all were answered)",
        _words(panels),
        LEGEND,
        panels,
    )


def _by_method(
    results: Results, what: str, words: Callable[[float], str], clients: Callable[[Method], int]
) -> dict[str, list[Bar]]:
    found = {}
    for method in METHODS:
        values = [(every, float(results[figure(method, clients(method), every, what)])) for every in EVERY_SECONDS]
        found[method.name] = [Bar(COLOURS[every], value, words(value)) for every, value in values]
    return found


def _words(panels: list[Panel]) -> str:
    """Say what the bars show, in the order of the legend."""
    found = []
    for panel in panels:
        bars = "; ".join(f"{name}: {', '.join(bar.text for bar in bars)}" for name, bars in panel.groups.items())
        found.append(f"{panel.heading}. {bars}.")
    return f"Bars for {', '.join(LEGEND)}, in this order. {' '.join(found)}"
