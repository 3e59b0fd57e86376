"""Waiting until something is so, and failing with the words of what was not."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition, awaited where it can be, is true; fail after so many seconds."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            while not (await found if inspect.isawaitable(found := condition()) else found):
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert not limit.expired(), _unmet(condition, seconds)
        raise


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait, where no loop runs, until the condition is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, _unmet(condition, seconds)
        time.sleep(0.02)


def _unmet(condition: Callable[[], object], seconds: float) -> str:
    return f"not so within {seconds:g} s: {inspect.getsource(condition).strip()}"
