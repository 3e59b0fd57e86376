"""What an instance's memory has to hold: the app with 1,000 held polls, 1,000 streams, and under plain requests.

``python -m bench.serving.memory``: one fresh process of the local host, which is host and worker in one, one after the
other and twice, because memory that was taken once is used again. RSS is read when nothing is on its way. Not in it:
the platform's own host, a .NET process whose size cannot be known here.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.load.driver import Driver, get
from bench.serving.hosts import Ours, our_host
from localdev.testbed import Stack

CLIENTS = 1000
ROUNDS = 2
LOAD_SECONDS = 10.0


def measure(served: Ours, driver: Driver) -> dict[str, float]:
    """Return MB by situation, of the last round, and the most of all."""
    found = {"started_mb": served.rss_kb() / 1024}
    for _ in range(ROUNDS):
        for name, stream in (("polls_held_mb", False), ("streams_held_mb", True)):
            path, headers = (served.stream, ["Accept: text/event-stream"]) if stream else served.poll
            request = get(path, *headers)
            driver.ask("park", name="held", port=served.port, count=CLIENTS, request=request, stream=stream)
            served.settle(20)
            found[name] = served.rss_kb() / 1024
            driver.tell("woken", name="held", stream=stream)
            served.wake()
            driver.answer()
            driver.ask("close", name="held")
        path, headers = served.plain
        load = driver.ask("load", port=served.port, connections=20, request=get(path, *headers), seconds=LOAD_SECONDS)
        found["answers_a_second"] = sum(load["statuses"].values()) / load["seconds"]
        found["answering_mb"] = served.rss_kb() / 1024
        print({name: round(value, 1) for name, value in found.items()}, flush=True)
    return found | {"most_mb": served.rss_kb("VmHWM") / 1024}


def main() -> None:
    """Measure and print one JSON object."""
    with tempfile.TemporaryDirectory() as folder, Driver() as driver, Stack(Path(folder)) as stack:
        stack.start_reconciled()
        with our_host(stack) as served:
            found = measure(served, driver)
    print(json.dumps({name: round(value, 1) for name, value in found.items()}))


if __name__ == "__main__":
    main()
