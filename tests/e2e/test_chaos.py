"""Everything goes wrong at once, on real processes: the counts come out exact.

Images are uploaded and moved by the Azure SDK while the bridge delivers events late, twice and out of order, the
functions host is killed (SIGKILL) and Azurite restarted (SIGTERM: killed, it would lose what it has acknowledged).
``make chaos`` runs the whole size; CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom

import httpx
import pytest

from localdev.testbed import Stack
from tests.e2e.load import Load
from tests.e2e.stack import App, bridge_stats, listed, newest_blob, running_stack
from tests.waiting import eventually

FULL = os.environ.get("CHAOS") == "full"
IMAGES, HOST_KILLS, AZURITE_RESTARTS = (2000, 5, 2) if FULL else (300, 2, 1)
SECONDS_TO_CONVERGE = 60
#: Faults come while this share of the images is on its way.
FAULTY = (0.05, 0.9)


class Faults:
    """One kind of fault, each time when a random share of the images has been uploaded.

    Args:
        fault: What happens; returns when it is over.
        times: How often.
        random: When.
    """

    def __init__(self, fault: Callable[[], None], times: int, random: Random) -> None:
        self._fault = fault
        self._shares = sorted(random.uniform(*FAULTY) for _ in range(times))
        self.last_at = 0.0

    def run(self, load: Load) -> None:
        """Do them all; each waits for its share of the images."""
        for share in self._shares:
            deadline = time.monotonic() + 2 * SECONDS_TO_CONVERGE
            while load.uploaded < share * IMAGES:
                assert time.monotonic() < deadline, f"stuck at {load.uploaded} images"
                if load.is_stopped:
                    return
                time.sleep(0.01)
            self._fault()
            self.last_at = time.monotonic()


def seed_of_this_run() -> int:
    """Return CHAOS_SEED, or one to repeat this run with."""
    seed = int(os.environ.get("CHAOS_SEED") or SystemRandom().randrange(10_000))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    return seed


async def through_chaos(stack: Stack, app: App, seed: int) -> tuple[Load, float]:
    """Upload while everything breaks; return the load, and when the last fault and the last upload were over."""
    load, random = Load(stack, IMAGES, seed), Random(seed)
    hosts = stack.programs[:1]  # the first that a stack starts

    def kill_host() -> None:
        hosts[-1].kill()
        hosts.append(stack.start_host(RECONCILE_ON_START="false"))

    def restart_azurite() -> None:
        stack.azurite.stop()
        stack.azurite.start()

    kills, restarts = Faults(kill_host, HOST_KILLS, random), Faults(restart_azurite, AZURITE_RESTARTS, random)
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(each, load) for each in (kills.run, restarts.run, Load.run)]
        try:
            while not all(each.done() for each in running):
                await app.tolerant_status()
                if any(each.done() and each.exception() for each in running):
                    break
        finally:
            load.stop()
    problems = [error for each in running if isinstance(error := each.exception(), Exception)]
    if problems:
        raise ExceptionGroup("the load or a fault failed", problems)
    assert listed(stack) == load.expected
    return load, max(kills.last_at, restarts.last_at, load.ended_at)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("drop", [0.0, 0.05], ids=["no event is lost", "5 % of the events are lost"])
async def test_i2_i4_chaos(tmp_path: Path, drop: float) -> None:
    """Exact within a minute of the last restart (and upload); where events were lost, after one reconciliation."""
    seed = seed_of_this_run()
    chaos = f"dup=0.3,reorder=0.5,delay=2,drop={drop:g}"
    with running_stack(tmp_path, "--chaos", chaos, "--seed", str(seed)) as stack:
        async with httpx.AsyncClient(base_url=stack.host_url, timeout=40) as http:
            app = App(http)
            load, over_at = await through_chaos(stack, app, seed)
            assert load.retries, "no client ever met a storage that was away"
            if drop:
                await eventually(lambda: everything_is_delivered(stack), SECONDS_TO_CONVERGE)
                assert bridge_stats(stack)["dropped"] > 0
                assert await app.counts() != load.expected
                await eventually(lambda: is_a_second_old(stack), 10)
                over_at = time.monotonic()
                await http.post("/admin/functions/reconcile", json={"input": ""})
            left = over_at + SECONDS_TO_CONVERGE - time.monotonic()
            await app.wait_for(load.expected, left)
            await eventually(lambda: everything_is_delivered(stack), SECONDS_TO_CONVERGE)
            assert await app.counts() == load.expected, "a late event moved the counts"
            stats = bridge_stats(stack)
            assert stats["dead_lettered"] == 0
            print(f"{load.operations} operations, {load.retries} tries in vain, {stats}")  # noqa: T201


async def everything_is_delivered(stack: Stack) -> bool:
    """Tell whether the bridge has nothing left to deliver, duplicates included."""
    stats = bridge_stats(stack)
    return stats["queued"] == stats["in_flight"] == 0


async def is_a_second_old(stack: Stack) -> bool:
    """Tell whether every blob is older than a pass that begins now: HTTP dates have whole seconds."""
    return time.time() > newest_blob(stack) + 1
