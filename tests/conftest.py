"""What all tests share: one Azurite for the whole run, addresses on it, and that no secret is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from localdev.azurite import Azurite

pytest_plugins = ["tests.leaks.plugin"]


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
