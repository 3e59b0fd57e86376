"""shared.process.stop_signal: SIGTERM is heard beside whoever handled it before."""

from __future__ import annotations

import asyncio
import signal
import threading

from shared.process import stop_signal


async def test_the_signal_is_heard_and_passed_on() -> None:
    """Who handled SIGTERM before still does, after us."""
    heard: list[object] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        ours = signal.getsignal(signal.SIGTERM)
        with stop_signal.heard(lambda: heard.append("stop")) as is_heard:
            assert is_heard
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                while len(heard) < 2:
                    await asyncio.sleep(0)
            assert heard == [signal.SIGTERM, "stop"]
        assert signal.getsignal(signal.SIGTERM) is ours  # and nothing of it is left
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_signal_that_nobody_handles_still_ends_the_process() -> None:
    """Without a handler to pass it on to, none is installed; nor outside of the main thread."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with stop_signal.heard(lambda: None) as is_heard:
            assert not is_heard
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(stop_signal.heard(lambda: None).__enter__()))
        thread.start()
        thread.join()
        assert found == [False]
    finally:
        signal.signal(signal.SIGTERM, before)
