"""What all tests share: one Azurite, a reconciled world, how examples are generated, and that no secret is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from localdev.azurite import Azurite
from tests.fakes.world import World

pytest_plugins = ["tests.leaks.plugin"]

settings.register_profile(
    "tests", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Run one Azurite for all tests that do not stop it; each test uses names of its own."""
    with Azurite(in_memory=True) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Azurite, and so Node: ``make quick`` does without."""
    for item in items:
        if "azurite" in getattr(item, "fixturenames", ()):
            item.add_marker("azurite")


@pytest.fixture
def unique() -> str:
    """Return a name that no other test uses: valid for tables and containers."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def world() -> World:
    """Return a storage account in memory whose (empty) counts are ready."""
    return await World().bootstrap()
