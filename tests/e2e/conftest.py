"""One running stack for all end-to-end tests that do not break it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from localdev.testbed import Stack
from tests.e2e.stack import App, running_stack

#: What is measured goes to the host's log: it is searched for secrets as everything is (tests/leaks).
SETTINGS = {"CORS_ORIGINS": "https://app.example.com", "TELEMETRY": "console"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run Azurite, bridge and functions host once."""
    with running_stack(tmp_path_factory.mktemp("stack"), **SETTINGS) as running:
        yield running


@pytest.fixture
async def app(stack: Stack) -> AsyncIterator[App]:
    """Return a phone that asks the stack's host."""
    async with httpx.AsyncClient(base_url=stack.host_url, timeout=40) as http:
        yield App(http)
