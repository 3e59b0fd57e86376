"""Storage is away for a while, under load: no event is lost, and the counts are right soon after.

Azurite is ended by SIGTERM and stays away for OUTAGE_SECONDS (8 in ``make test``, 60 in ``make chaos``). Events from
before that are still on their way when it goes (the bridge delays them); their deliveries wait for storage, and fail
when it takes too long, so that they come again. Uploads fail too, and their clients try again.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from shared.writing.batch import BUDGET_SECONDS
from tests.e2e.load import Load
from tests.e2e.stack import App, bridge_stats, listed, running_stack
from tests.waiting import eventually

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "8"))
SECONDS_TO_CONVERGE = 60
IMAGES = 400


@pytest.mark.timeout(300)
async def test_i5_an_outage_of_storage_under_load(tmp_path: Path) -> None:
    """Events accepted before the outage are delivered after it; every image counts within a minute of its end."""
    with running_stack(tmp_path, "--chaos", "delay=3") as stack:
        load = Load(stack, IMAGES, seed=1, pause_seconds=0.1)
        async with httpx.AsyncClient(base_url=stack.host_url, timeout=40) as http:
            app = App(http)
            with ThreadPoolExecutor(1) as pool:
                uploading = pool.submit(load.run)
                try:
                    await eventually(lambda: is_under_way(load))
                    await asyncio.to_thread(stack.azurite.stop)
                    began = time.monotonic()
                    undelivered = bridge_stats(stack)["queued"]
                    assert undelivered > 0, "the outage is to meet events that are on their way"
                    while time.monotonic() < began + OUTAGE_SECONDS:
                        status = await app.tolerant_status()
                        assert status in {0, 200, 503}, status
                        await asyncio.sleep(0.2)
                    assert load.retries > 0
                    await asyncio.to_thread(stack.azurite.start)
                    over_at = time.monotonic()
                    while not uploading.done():
                        await app.tolerant_status()
                finally:
                    load.stop()
                uploading.result()
            assert listed(stack) == load.expected
            await app.wait_for(load.expected, over_at + SECONDS_TO_CONVERGE - time.monotonic())
            stats = bridge_stats(stack)
            if OUTAGE_SECONDS > 2 * BUDGET_SECONDS:  # a shorter one is sat out inside the deliveries
                assert stats["retried"] > 0
            assert (stats["dead_lettered"], stats["dropped"]) == (0, 0)
            seconds = time.monotonic() - over_at
            print(f"exact {seconds:.1f} s after the outage; {undelivered} undelivered before it; {stats}")  # noqa: T201


async def is_under_way(load: Load) -> bool:
    """Tell whether enough has been uploaded for events to be on their way."""
    return load.uploaded >= IMAGES / 4
