"""The live page's server."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from localdev import page
from localdev.ports import LOOPBACK, free_port


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), (LOOPBACK, 200), ("evil.example", 403)])
async def test_the_page_is_for_this_machine(tmp_path: Path, host: str, status: int) -> None:
    """What it hands out uploads: a site that resolves to this machine gets nothing."""
    port = free_port()
    runner = await page.serve(port, lambda: {"sas": ""}, tmp_path)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{LOOPBACK}:{port}/config.json", headers={"Host": f"{host}:{port}"}) as answer,
        ):
            assert answer.status == status
    finally:
        await runner.cleanup()
