"""The packed package in apps of nine kinds; what is printed is shown when it fails."""

from __future__ import annotations

import pytest

from tests.client.conftest import INSTALL_SECONDS
from tests.client.support import run_script

CONSUMERS_LIMIT_SECONDS = 900  # four minutes with two cores to itself, of which the installations are half


@pytest.mark.timeout(CONSUMERS_LIMIT_SECONDS + INSTALL_SECONDS + 60)
def test_consumers(chromium: str) -> None:
    """Apps of other people, made of the packed package: React Native, the web, Node, Jest, TypeScript."""
    run_script("test:consumers", limit_seconds=CONSUMERS_LIMIT_SECONDS, CHROMIUM_PATH=chromium)
