"""The tables of the comparison, made of its results only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.comparing.costs import PARTS, PHONES
from bench.comparing.methods import CLIENTS, EVERY_SECONDS, METHODS, WEBSOCKET, figure
from bench.report import markdown, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.comparing.methods import Method

    type Results = Mapping[str, float | str]
    type Text = Callable[[Method, int, float], str]

#: The row of the seed's table is that of a busy account.
TYPICAL_SECONDS = 5.0
MANY = CLIENTS[-1]


def milliseconds(value: float) -> str:
    """Write a delay: milliseconds, below ten with a tenth, or seconds with three digits."""
    if value < 9.95:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 999.5 else f"{number(value / 1000)} s"


def dollars(value: float) -> str:
    """Write an amount: cents, whole dollars from a hundred on, two digits of less than a cent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.01 or not value else f"{value:.1g}"


def tables(results: Results) -> str:
    """Return all of them, as Markdown."""
    made = "Python {python}, Azurite {azurite}, {machine}; {date}; windows of {window_seconds:g} s."
    parts = [
        made.format(**results),
        _summary(results),
        "**From the commit to the client**, p50 / p99:",
        _matrix(lambda *cell: _delay(results, *cell)),
        "**Requests and kilobytes** (both ways), per client per hour:",
        _matrix(lambda *cell: _traffic(results, *cell)),
        "**The functions host**, processor time in % of a core / **storage requests** an hour, all clients together:",
        _matrix(lambda *cell: _load(results, *cell)),
        "**Azure, 1,000 phones**, US dollars a day; the parts are those of a change every 5 s:",
        _costs(results),
        _confirmation(results),
    ]
    return "\n\n".join(parts)


def _summary(results: Results) -> str:
    columns = ("Latency", "Bandwidth, per client per hour", "Server load", "Complexity", "Scalability")
    rows = []
    for method in METHODS:
        cell = (method, MANY, TYPICAL_SECONDS)
        alone = (method, 1, TYPICAL_SECONDS) if method.lists else cell
        traffic = _traffic(results, *alone).replace(" / ", " requests, ") + (" asked for" if method.lists else "")
        load = _load(results, *cell).replace(" / ", " of a core, ") + " storage requests an hour"
        rows.append((method.name, _delay(results, *cell), traffic, load, method.complexity, method.scalability))
    rows.append(("WebSocket", "not built", "not built", "not built", WEBSOCKET, "not built"))
    return markdown(("1,000 clients, a change every 5 s", *columns), rows)


def _matrix(text: Text) -> str:
    cells = [(clients, every) for clients in CLIENTS for every in EVERY_SECONDS]
    head = ["", *(f"{clients:,} client{'s' * (clients > 1)}, {every:g} s" for clients, every in cells)]
    return markdown(head, ([method.name, *(text(method, *cell) for cell in cells)] for method in METHODS))


def _is_saturated(method: Method, clients: int) -> bool:
    return method.lists and clients == MANY


def _delay(results: Results, method: Method, clients: int, every: float) -> str:
    if _is_saturated(method, clients):
        rate, queue = (float(results[f"listing_{what}"]) for what in ("saturated_per_second", "queue_seconds"))
        return f"saturated at {number(rate)} requests/s: a queue of {queue:.0f} s"
    return " / ".join(milliseconds(float(results[figure(method, clients, every, f"{p}_ms")])) for p in ("p50", "p99"))


def _traffic(results: Results, method: Method, clients: int, every: float) -> str:
    if _is_saturated(method, clients):
        served = float(results["listing_saturated_per_second"]) * 3600 / MANY
        return f"{number(round(served))} of {3600 / method.interval_seconds:,.0f} requests answered"
    requests, kilobytes = (float(results[figure(method, clients, every, what)]) for what in ("requests", "kb"))
    return f"{number(round(requests))} / {number(round(kilobytes))} KB"


def _load(results: Results, method: Method, clients: int, every: float) -> str:
    if _is_saturated(method, clients):
        values = [float(results[f"listing_saturated_{what}"]) for what in ("cpu_percent", "storage")]
    else:
        values = [float(results[figure(method, clients, every, what)]) for what in ("cpu_percent", "storage")]
    return f"{number(values[0])} % / {number(round(values[1]))}"


def _costs(results: Results) -> str:
    def of(method: Method, every: float, part: str) -> str:
        return dollars(float(results[figure(method, PHONES, every, f"dollars_{part}")]))

    head = ["", *PARTS, *(f"total, {every:g} s" for every in EVERY_SECONDS)]
    return markdown(
        head,
        (
            [
                method.name,
                *(of(method, TYPICAL_SECONDS, part) for part in PARTS),
                *(of(method, every, "total") for every in EVERY_SECONDS),
            ]
            for method in METHODS
        ),
    )


def _confirmation(results: Results) -> str:
    rows = []
    for method in METHODS:
        if method.is_held:
            for what, words in (("requests", "requests"), ("kb", "KB"), ("cpu_percent", "% of a core")):
                name = figure(method, MANY, 60.0, what)
                measured, composed = float(results[name]), float(results[f"{name}_composed"])
                share = f"{composed / measured:.2f}"
                rows.append((f"{method.name}: {words}", number(measured), number(composed), share))
    head = ("1,000 clients, a change every 60 s", "Measured", "Composed", "Composed over measured")
    return markdown(head, rows)
