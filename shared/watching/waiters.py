"""The waiting clients: a registry with one sweeper for all, and a wake that yields to other tasks.

A parked client is a future, its timer and an entry in a dictionary; nothing runs for it until its wait ends.

1. A wait ends once, for one reason: something changed, the time is up, the client has gone, or the process stops.
   Who waits for one topic is not touched by a change of another.
2. A wake frees the waiters a few at a time, the longest waiting first: the first answers leave while the last waiters
   are still being freed, and other tasks run meanwhile.
3. Once a second a sweep asks all clients, a few at a time, whether they are still there. Who joins is asked too: a
   stream leaves and joins at each change, and while there are many no sweep may come upon it.
4. When the process stops the waits end one after the other over a second, so that clients do not return all at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto
from itertools import batched
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    type Waiter = asyncio.Future[End]

#: How often the sweeper asks whether the clients are still there.
SWEEP_SECONDS: Final = 1.0
#: How many clients are asked (1 µs each) before other tasks run.
SWEEP_CHUNK: Final = 200
#: How many waiters are freed before other tasks run.
WAKE_CHUNK: Final = 100
#: Within this time the waits of a stopping process end. A platform grants a few seconds at least.
DRAIN_SECONDS: Final = 1.0
DRAIN_STEPS: Final = 50


class End(Enum):
    """Why a wait has ended."""

    CHANGED = auto()
    TIME_UP = auto()
    GONE = auto()
    STOPPING = auto()


class _Place(NamedTuple):
    topic: str
    is_gone: Callable[[], bool] | None
    timer: asyncio.TimerHandle


class Waiters:
    """The waits of one process."""

    def __init__(self) -> None:
        self._places: dict[Waiter, _Place] = {}
        self._by_topic: dict[str, dict[Waiter, None]] = {}
        self._freed: deque[Waiter] = deque()
        self._sweeper: asyncio.Task[None] | None = None

    def join(self, seconds: float, is_gone: Callable[[], bool] | None, topic: str = "") -> Waiter:
        """Register a wait, which any later change of its topic ends. Await it, and :meth:`leave` in any case.

        Args:
            seconds: How long it lasts at most.
            is_gone: Tells whether the client has left.
            topic: What it waits for.
        """
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._places[waiter] = _Place(topic, is_gone, loop.call_later(seconds, end, waiter, End.TIME_UP))
        self._by_topic.setdefault(topic, {})[waiter] = None
        if is_gone is not None:
            if self._sweeper is None:
                self._sweeper = loop.create_task(self._sweep(), name="sweep of departed clients")
            if is_gone():
                end(waiter, End.GONE)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Forget a wait."""
        place = self._places.pop(waiter)
        place.timer.cancel()
        self._by_topic[place.topic].pop(waiter)
        if not self._by_topic[place.topic]:
            del self._by_topic[place.topic]
        if not self._places and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def wake(self, topic: str = "") -> int:
        """End all current waits for a topic, because it changed. Returns how many there are."""
        is_idle, waiting = not self._freed, self._by_topic.get(topic, {})
        self._freed.extend(waiting)
        if is_idle:
            self._free_some()
        return len(waiting)

    def topics(self) -> list[str]:
        """Return what is waited for."""
        return list(self._by_topic)

    def drain(self) -> None:
        """End all current waits, one after the other, because the process stops."""
        loop = asyncio.get_running_loop()
        waiting = list(self._places)
        for step in range(DRAIN_STEPS):
            loop.call_later(DRAIN_SECONDS * step / DRAIN_STEPS, _end_all, waiting[step::DRAIN_STEPS])

    def close(self) -> None:
        """Stop sweeping."""
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _free_some(self) -> None:
        for _ in range(min(WAKE_CHUNK, len(self._freed))):
            end(self._freed.popleft(), End.CHANGED)
        if self._freed:
            asyncio.get_running_loop().call_soon(self._free_some)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for some in batched(list(self._places.items()), SWEEP_CHUNK, strict=False):
                for waiter, place in some:
                    if place.is_gone is not None and place.is_gone():
                        end(waiter, End.GONE)
                await asyncio.sleep(0)


def end(waiter: Waiter, reason: End) -> None:
    """End a wait, unless it has ended."""
    if not waiter.done():
        waiter.set_result(reason)


def _end_all(waiters: list[Waiter]) -> None:
    for waiter in waiters:
        end(waiter, End.STOPPING)
