"""What anybody can cause any number of times is logged once a minute."""

from __future__ import annotations

from shared.process.log_limit import SECONDS, LogLimit
from tests.fakes.memory_blobs import FakeClock


def test_each_time_is_said_once() -> None:
    """The first at once, the others together when a minute is over."""
    clock = FakeClock()
    limit = LogLimit(clock)
    assert [limit.count() for _ in range(4)] == [1, 0, 0, 0]
    clock.advance(SECONDS - 0.1)
    assert limit.count() == 0
    clock.advance(0.1)
    assert [limit.count(), limit.count()] == [5, 0]
