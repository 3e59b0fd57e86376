"""Lines that the platform would drop are said by the next invocation: the last of each kind, once a minute."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator
from contextvars import Context
from typing import Any

import pytest

from localdev.azurite import Azurite
from shared.process.unheard_logs import MAX_KINDS, Unheard
from shared.services import AppProcess
from shared.settings.app import Settings
from tests.fakes.memory_blobs import FakeClock

log = logging.getLogger("shared.test_unheard")


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock."""
    return FakeClock()


@pytest.fixture
def unheard(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> Iterator[Unheard]:
    """Return the handler, on the app's logger."""
    caplog.set_level(logging.INFO, logger="shared")
    handler = Unheard(clock)
    logging.getLogger("shared").addHandler(handler)
    yield handler
    logging.getLogger("shared").removeHandler(handler)


async def invocation(unheard: Unheard, then: Coroutine[Any, Any, object] | None = None) -> None:
    """Run an invocation, as the platform does: a task with a context of its own."""

    async def run() -> None:
        unheard.begin_invocation()
        if then is not None:
            await then

    await asyncio.create_task(run(), context=Context())


async def say(text: str, *arguments: object) -> None:
    """Log a warning."""
    log.warning(text, *arguments)


async def test_what_an_invocation_says_is_said_once(unheard: Unheard, caplog: pytest.LogCaptureFixture) -> None:
    """Also by the tasks that it waits for."""

    async def work() -> None:
        log.warning("by itself")
        await asyncio.create_task(say("by its task"))

    await invocation(unheard, work())
    await invocation(unheard)
    assert [record.getMessage() for record in caplog.records] == ["by itself", "by its task"]


async def test_what_is_said_outside_of_one_is_said_again_by_the_next(
    unheard: Unheard, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """By a task that outlives its invocation, a callback, a thread, a stream: the last of each kind, with how many."""
    later: list[asyncio.Task[None]] = []
    goes_on = asyncio.Event()

    async def poller() -> None:
        await goes_on.wait()
        for number in range(3):
            log.warning("the tally cannot be read: %d", number)
        asyncio.get_running_loop().call_soon(log.error, "by a callback")

    async def begin() -> None:
        later.append(asyncio.create_task(poller()))

    await invocation(unheard, begin())
    clock.advance(7)
    goes_on.set()
    await asyncio.gather(*later)
    thread = threading.Thread(target=log.info, args=("by a thread",))
    thread.start()
    thread.join()
    caplog.clear()
    await invocation(unheard)
    at = "outside of an invocation, last at 2026-01-01T00:00:07.000000+00:00)"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"the tally cannot be read: 2 (said 3 times {at}"),
        ("ERROR", f"by a callback (said 1 times {at}"),
        ("INFO", f"by a thread (said 1 times {at}"),
    ]
    assert {record.name for record in caplog.records} == {"shared.test_unheard"}
    caplog.clear()
    await invocation(unheard)
    assert caplog.records == []


async def test_once_a_minute(unheard: Unheard, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is said, and however many invocations there are."""
    caplog.set_level(logging.CRITICAL, logger="shared")
    caplog.set_level(logging.INFO, logger="shared.test_unheard")
    for _ in range(240):
        await asyncio.create_task(say("again"), context=Context())
        clock.advance(0.5)
        await invocation(unheard)
    said = [record.getMessage() for record in caplog.records if "times" in record.getMessage()]
    assert [text.partition(" times")[0].rpartition(" ")[2] for text in said] == ["1", "120"]


async def test_a_traceback_is_said_too_and_memory_is_bounded(
    unheard: Unheard, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody makes up for each line is not kept for ever."""

    def fail() -> None:
        try:
            int("in the middle")
        except ValueError:
            log.exception("failed")

    Context().run(fail)
    for number in range(10 * MAX_KINDS):
        Context().run(log.warning, f"a message of its own: {number}" + "x" * 10_000)
    caplog.clear()
    await invocation(unheard)
    assert len(caplog.records) == MAX_KINDS
    assert "in the middle" in caplog.records[0].getMessage()
    assert max(len(record.getMessage()) for record in caplog.records) < 5000


async def test_each_invocation_says_it_first(azurite: Azurite, unique: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks for the services, which every trigger does at its beginning."""
    settings = Settings.from_environ({"STORAGE": azurite.connection_string, "COUNTS_TABLE": unique})
    process = AppProcess(settings)
    started = await asyncio.create_task(process.services(), context=Context())
    try:
        Context().run(log.warning, "the tally cannot be read")
        assert await asyncio.create_task(process.services(), context=Context()) is started
        assert "the tally cannot be read (said 1 times" in caplog.messages[-1]
    finally:
        await process.close()
