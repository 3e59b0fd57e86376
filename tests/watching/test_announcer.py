"""Changes are announced to a topic: at most once a second, the latest, and never in the way of a commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.model.tally import Change, Tally
from shared.watching.announcer import Announcer
from tests.fakes.memory_blobs import START, FakeClock
from tests.fakes.memory_topic import MemoryTopic

EMPTY = Tally("e", b"k" * 16, "f", START, START, ready=True)


def tally_of(count: int) -> Tally:
    """Return a tally with so many queued blobs."""
    return replace(EMPTY.apply([Change("queued", str(n), 1) for n in range(count)], START), revision=count)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_change_is_announced_at_once() -> None:
    """Nobody waits for the next second when nothing was published lately."""
    clock = FakeClock()
    topic = MemoryTopic(clock)
    Announcer(topic, clock).offer(tally_of(3))
    await settle()
    assert topic.published == [(0.0, 3)]


async def test_a_burst_is_two_announcements_a_second_apart() -> None:
    """The first one and the latest; never more than one a second."""
    clock = FakeClock()
    topic = MemoryTopic(clock)
    announcer = Announcer(topic, clock)
    for count in range(1, 50):
        announcer.offer(tally_of(count))
        if count == 1:
            await asyncio.sleep(0)
    await settle()
    assert topic.published == [(0.0, 1), (1.0, 49)]
    announcer.offer(tally_of(7))
    await settle()
    assert topic.published[-1] == (2.0, 7)


async def test_what_fails_is_tried_again_with_the_newest_counts() -> None:
    """A topic that is away for a moment gets the newest counts, not each of the missed ones."""
    clock = FakeClock()
    topic = MemoryTopic(clock)
    topic.failing = 2
    announcer = Announcer(topic, clock)
    announcer.offer(tally_of(1))
    await asyncio.sleep(0)
    announcer.offer(tally_of(2))
    await settle()
    assert topic.published == [(3.0, 2)]


async def test_a_topic_that_is_gone_is_given_up_until_the_next_change(caplog: pytest.LogCaptureFixture) -> None:
    """Attempts are bounded; the next change begins anew."""
    clock = FakeClock()
    topic = MemoryTopic(clock)
    topic.failing = 5
    announcer = Announcer(topic, clock)
    announcer.offer(tally_of(1))
    await settle()
    assert topic.published == []
    assert "not announced" in caplog.text
    announcer.offer(tally_of(2))
    await settle()
    assert topic.published == [(1 + 2 + 4 + 8 + 1, 2)]


async def test_closing_stops_it() -> None:
    """Whatever it waits for: no task is left behind."""
    asked = asyncio.Event()

    class SilentTopic(MemoryTopic):
        async def publish(self, _: Tally) -> None:
            asked.set()
            await asyncio.Event().wait()

    announcer = Announcer(SilentTopic(FakeClock()), FakeClock())
    announcer.close()  # nothing has begun
    announcer.offer(tally_of(1))
    await asked.wait()
    announcer.close()
    await settle()
    assert announcer._task is None
