"""An issuer of bearer tokens on this machine, and the clock that its keys age by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.issuer import LocalIssuer, local_issuer
from tests.fakes.memory_blobs import FakeClock


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """Run an issuer."""
    with local_issuer() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    """Return the clock that the keys age by."""
    return FakeClock()
