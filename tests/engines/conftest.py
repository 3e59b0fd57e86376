"""A world that has been reconciled once."""

from __future__ import annotations

import pytest

from tests.fakes.world import World


@pytest.fixture
async def world() -> World:
    """Return a storage account whose (empty) counts are ready."""
    return await World().bootstrap()
