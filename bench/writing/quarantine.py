"""What a delivery of rubbish costs: ``make bench-quarantine`` (ARGS="--events 5000").

One delivery of many objects that are no events goes through the whole stack (the runtime host, the app, Azurite), and
is answered when all of them are kept. Measured: the time to the answer, for which Event Grid has 30 s, and by how much
the memory of host and app together, which are one process here, grew above what it was before, at its peak. The host's
own part of both is in it: it starts an invocation for each element, and 20,000 of them that do nothing but wait take
some 100 MB the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

import httpx

from localdev.processes import memory_kb
from localdev.testbed import Stack, running_stack
from shared.services import Services
from shared.settings.app import Settings

HEADERS = {"aeg-event-type": "Notification", "Content-Type": "application/json"}


def loads(events: int) -> dict[str, str]:
    """Return the deliveries, by what they are."""
    distinct = [{"eventType": "Microsoft.Storage.Unheard", "number": number} for number in range(events)]
    large = [{"number": number, "text": "x" * 29_000} for number in range(50)]
    larger = [{"number": number, "text": "x" * 290_000} for number in range(5)]
    return {
        "equal objects": json.dumps([distinct[0] | {"number": -1}] * events),
        "distinct objects": json.dumps(distinct),
        "the same again": json.dumps(distinct),
        "29 KB each": json.dumps(large),
        "290 KB each": json.dumps(larger),
    }


async def measure(stack: Stack, pid: int, body: str) -> dict[str, float]:
    """Deliver, and return what it took."""
    before_mb = _begin_peak(pid)
    used_before = _cpu_seconds(pid)
    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=300, trust_env=False) as http:
        response = await http.post(stack.webhook, headers=HEADERS, content=body)
    seconds = time.perf_counter() - began
    used_seconds = _cpu_seconds(pid) - used_before
    return {
        "status": response.status_code,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used_seconds, 1),
        "delivery_mb": round(len(body) / 1e6, 1),
        "growth_mb": round(memory_kb(pid, "VmHWM") / 1024 - before_mb, 1),
        "kept_in_all": await _kept(stack),
    }


async def _kept(stack: Stack) -> int:
    services = Services(Settings.from_environ({"STORAGE": stack.azurite.connection_string}))
    try:
        return sum([1 async for _ in services.quarantine.entries()])
    finally:
        await services.close()


def _begin_peak(pid: int) -> float:
    """Let the peak begin anew; return the memory that is used now, in MB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory_kb(pid) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print one JSON object a delivery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        pid = stack.programs[0].pid  # the host; the other is the bridge
        for name, body in loads(events).items():
            print(json.dumps({"delivery": name, **asyncio.run(measure(stack, pid, body))}), flush=True)


if __name__ == "__main__":
    main()
