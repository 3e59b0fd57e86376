"""Storage goes while a stream is open: what the poller says then reaches Application Insights with the next request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from localdev.host.logs import MARK
from localdev.testbed import STATUS, STREAM
from tests.e2e.stack import App, running_stack
from tests.waiting import eventually

UNREADABLE = "the tally cannot be read"


@pytest.mark.timeout(120)
async def test_an_outage_seen_by_a_poller_only(tmp_path: Path) -> None:
    """Marked by the local host as dropped; said again, unmarked, by the first request that comes."""
    with running_stack(tmp_path, HEARTBEAT_SECONDS="1") as stack:
        log = stack.programs[0].log

        def lines(text: str, *, marked: bool) -> list[str]:
            return [line for line in log.read_text().splitlines() if text in line and (MARK in line) is marked]

        async def is_said(text: str, *, marked: bool) -> bool:
            return bool(lines(text, marked=marked))

        async with httpx.AsyncClient(base_url=stack.host_url, timeout=40) as http:
            await App(http).wait_for_ready()
            async with http.stream("GET", STREAM) as stream:
                assert stream.status_code == 200
                frames = stream.aiter_bytes()
                await anext(frames)
                await asyncio.to_thread(stack.azurite.stop)
                await eventually(lambda: is_said("a stream ends", marked=True))
            assert len(lines(UNREADABLE, marked=True)) > 1
            assert lines(UNREADABLE, marked=False) == []
            assert (await http.get(STATUS)).status_code == 503
            await eventually(lambda: is_said(f"{UNREADABLE}: ", marked=False))
            repeated = [line for line in lines(UNREADABLE, marked=False) if "outside of an invocation" in line]
            assert len(repeated) == 1
            assert len([line for line in lines("a stream ends", marked=False) if "said 1 times" in line]) == 1
            await asyncio.to_thread(stack.azurite.start)
