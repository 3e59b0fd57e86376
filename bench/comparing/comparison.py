"""The comparison table of the methods, measured: long poll, SSE, smart polling, and polling with listing.

``make bench-compare``; ``ARGS=--redraw`` makes tables and pictures anew from ``bench/results/compare.json`` without
measuring. Every method is measured with 1 and with 1,000 clients (:mod:`bench.comparing.phones`, raw sockets in a
process of their own, on the loopback) against one functions host and an account of 1,000 blobs on Azurite.

- A *delay* is the time from the commit of a change to the first answer at a client that shows it, or a later one; one
  for each change and client. The commit is seen by a relay in front of Azurite's tables; of a listing it is the return
  of the upload.
- *Bytes* and *requests* are counted by the clients, *storage requests* by the relay, *processor time* is the host's.
- A change every 0.5 s and every 5 s is measured in windows of 20 s. A change every 60 s is composed: 5 s as in the
  window with a change every 5 s, 55 s as in a window without changes. The composition is confirmed by one real window
  of 66 s with one change, for 1,000 long polls and 1,000 streams; their figures are then the measured ones.
- A stream is opened again 20 times an hour; no window is that long, so the price of that is measured apart and added.
- 1,000 clients that poll a listing ask for more than one host can do. How many listings a second it does is measured
  with 30 clients, who ask for more than that already; the rest of 1,000 would only stand in the queue.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.comparing.cells import Cell, Rates, composed
from bench.comparing.costs import costs
from bench.comparing.methods import BLOBS, CLIENTS, METHODS, figure
from bench.comparing.pictures import draw
from bench.comparing.tables import tables
from bench.load.counting import counting
from bench.load.driver import Driver, get
from bench.report import DOCS, RESULTS, quoted, surroundings
from bench.serving.hosts import Naive, app_host, our_host
from bench.serving.listing import account
from localdev.testbed import STATUS, STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.comparing.methods import Method
    from bench.load.counting import Counter
    from bench.serving.hosts import Ours
    from localdev.testbed import Stack

NAME = "compare"
NAIVE = "/api/naive"
MINUTE_SECONDS = 66.0
MANY = CLIENTS[-1]
#: More than a host that lists can serve, and few enough for some rounds of answers in a window.
CROWD = 30


def ours(driver: Driver, stack: Stack, method: Method, seconds: float) -> dict[str, float]:
    """Measure a method on the app."""
    found: dict[str, float] = {}
    path = STREAM if method.kind == "stream" else STATUS
    with our_host(stack) as served:
        request = get(STATUS)
        with Driver() as warming:
            warming.ask("load", port=served.port, connections=10, request=request, count=1000)
        crowd: Rates | None = None
        for clients in reversed(CLIENTS):
            cell = Cell(driver, served, served.storage, lambda: _commit(served), clients)
            cell.start(method, path)
            quiet = cell.window(seconds * (1.5 if method.is_held else 0.5))
            real = cell.watched(MINUTE_SECONDS, [MINUTE_SECONDS / 2]) if clients == MANY and method.is_held else None
            if clients == MANY:
                again = cell.reconnection() if method.kind == "stream" else None
                crowd = quiet
            assert crowd is not None
            # one client's few requests say little about an hour: those of many do
            quiet.requests, quiet.bytes_up, quiet.bytes_down = crowd.requests, crowd.bytes_up, crowd.bytes_down
            five, half = cell.window(seconds, 5.0), cell.window(seconds, 0.5)
            cell.stop()
            found |= _figures(method, clients, quiet, five, half, real, again)
    return found


def _figures(
    method: Method, clients: int, quiet: Rates, five: Rates, half: Rates, real: Rates | None, again: Rates | None
) -> dict[str, float]:
    minute = composed(quiet, five, 5.0, 60.0)
    if not method.is_held and clients == 1:  # few changes; how long a poll takes to come does not depend on them
        five.delays_ms = minute.delays_ms = half.delays_ms = five.delays_ms + half.delays_ms
    found: dict[str, float] = {}
    for every_seconds, rates in ((0.5, half), (5.0, five), (60.0, real or minute)):
        found |= _with(rates, again, clients).figures(method, clients, every_seconds)
        found[figure(method, clients, every_seconds, "changes")] = rates.changes
    if real is not None:
        as_composed = _with(minute, again, clients).figures(method, clients, 60.0)
        found |= {f"{name}_composed": value for name, value in as_composed.items()}
    return found


def _with(rates: Rates, again: Rates | None, clients: int) -> Rates:
    """Add what it costs to open streams again, which no window was long enough for."""
    if again is None:
        return rates
    scaled = Rates(again.requests, again.bytes_up, again.bytes_down, again.cpu_seconds * clients / MANY, 0)
    return rates.plus(scaled)


def listing(driver: Driver, stack: Stack, method: Method, seconds: float) -> dict[str, float]:
    """Measure the endpoint that lists: one client, and as many as it cannot serve."""
    found: dict[str, float] = {}
    with naive_host(stack) as (served, storage):
        cell = Cell(driver, served, storage, lambda: _upload(stack), 1)
        cell.start(method, NAIVE)
        five, half = cell.window(seconds, 5.0), cell.window(seconds, 0.5)
        cell.stop()
        found |= _figures(method, 1, five, five, half, None, None)  # a listing does not know whether anything changed
        found["listing_cpu_ms"] = five.cpu_seconds / five.requests * 1000
        crowd = Cell(driver, served, storage, lambda: 0.0, CROWD)
        crowd.start(method, NAIVE)
        full = crowd.window(seconds * 1.5)
    rate = full.requests * CROWD / 3600
    return found | {
        "listing_saturated_per_second": rate,
        "listing_wanted_per_second": MANY / method.interval_seconds,
        "listing_queue_seconds": MANY / rate,
        "listing_saturated_cpu_percent": full.cpu_seconds / 36,
        "listing_saturated_storage": full.storage,
    }


@contextmanager
def naive_host(stack: Stack) -> Iterator[tuple[Naive, Counter]]:
    """Run the endpoint that lists, its blobs behind a relay that counts the List calls."""
    port = stack.azurite.blob_port
    with counting(port) as storage:
        through = stack.azurite.connection_string.replace(f":{port}/", f":{storage.port}/")
        with app_host(Naive, stack.folder, STORAGE=through) as served:
            yield served, storage


def _commit(served: Ours) -> float:
    served.wake()
    return served.storage.written_at


def _upload(stack: Stack) -> float:
    stack.direct_blobs().get_blob_client("queued", f"{uuid.uuid4().hex}.jpg").upload_blob(b"x")
    return time.monotonic()


def measured(folder: Path, seconds: float, methods: list[str]) -> dict[str, float]:
    """Measure all methods, one after the other, each on a fresh host."""
    found: dict[str, float] = {}
    with account(folder / "account", BLOBS) as stack:
        for method in METHODS:
            if methods and method.key not in methods:
                continue
            began = time.monotonic()
            with Driver("bench.comparing.clients") as driver:
                found |= (listing if method.lists else ours)(driver, stack, method, seconds)
            print(f"{method.name}: measured in {time.monotonic() - began:.0f} s", flush=True)
    return found


def redraw() -> None:
    """Make tables and pictures of what is stored."""
    results = json.loads((RESULTS / f"{NAME}.json").read_text())
    DOCS.write_text(quoted(DOCS.read_text(), NAME, tables(results)))
    for path, svg in draw(results).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg)
        print(f"written to {path.relative_to(DOCS.parents[1])}")


def main() -> None:
    """Measure, store, quote, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a window with changes")
    parser.add_argument("--only", nargs="*", default=[], help="print figures of these methods, store nothing")
    parser.add_argument("--redraw", action="store_true", help="do not measure")
    options = parser.parse_args()
    if not options.redraw:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(Path(folder), options.seconds, options.only)
        if options.only:
            print(json.dumps(found, indent=2))
            return
        store(found, options.seconds)
    redraw()


def store(found: dict[str, float], seconds: float) -> None:
    """Write the figures, rounded, beside the machine, the date and the versions; add what follows from them."""
    path = RESULTS / f"{NAME}.json"
    results = {**surroundings(), "window_seconds": seconds, **found}
    results |= costs(results)
    rounded = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in results.items()}
    path.write_text(json.dumps(rounded, indent=2) + "\n")
    print(f"written to bench/results/{NAME}.json")


if __name__ == "__main__":
    main()
