"""A client that returns what it was given is held: a date that is too young to tell, a tag that a proxy has changed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from localdev import virtual_time
from shared.model.ports import Write
from shared.model.tally import to_properties
from shared.serving import endpoints
from shared.serving.auth import Permission
from shared.serving.protocol import LONGEST_DATE_HOLD_SECONDS
from shared.serving.responses import LatestAnswers
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts
from tests.fakes.world import FINGERPRINT, World

INTERVAL_SECONDS = 0.5
#: The way there and back.
TRIP_SECONDS = 0.02
ADDED = ["", "-gzip", "--gzip", "-df", ";br", ":0"]

type Returned = Callable[[Mapping[str, str]], dict[str, str]]

FRACTIONS = [0.0, 0.001, 0.1, 0.25, 0.5, 0.7, 0.877, 0.999]


class Served:
    """One process's endpoint, in virtual time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = virtual_time.VirtualClock()
        self.watch = Watch(Counts(world.table, FINGERPRINT, self.clock), self.clock, INTERVAL_SECONDS)
        self.api: Any = SimpleNamespace(
            watch=self.watch,
            clock=self.clock,
            random=Random(1),
            answers=LatestAnswers(),
            hides_unknown_cases=False,
            max_wait_seconds=60.0,
        )

    async def get(self, query: str = "", **headers: str) -> Any:
        """Ask for the status."""
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        request: Any = SimpleNamespace(
            headers=SimpleNamespace(raw=raw),
            scope={"query_string": query.encode(), "path": "/api/cases/storage/status"},
            state=SimpleNamespace(permission=Permission(), case=""),
            receive=lambda: None,
        )
        await asyncio.sleep(TRIP_SECONDS)
        return await endpoints.status(self.api, request)

    async def change(self) -> str:
        """Change a count now; return the version."""
        stored = self.world.table.entities(PARTITION)[TALLY_KEY]
        tally = self.world.stored_tally()
        changed = dataclasses.replace(tally, revision=tally.revision + 1, changed_at=self.clock.now())
        await self.world.table.commit(PARTITION, [Write(TALLY_KEY, to_properties(changed), stored.etag)])
        return changed.version

    async def until(self, seconds: float) -> None:
        """Let time pass until this second of the wall clock's."""
        await asyncio.sleep(seconds - virtual_time.START.microsecond / 1e6 - self.clock.monotonic())


@contextmanager
def running(task: asyncio.Task[None]) -> Iterator[None]:
    """End a task at the end."""
    yield
    task.cancel()


def version_of(answer: Any) -> str:
    """Return the version in a 200."""
    return str(json.loads(answer.body)["data"]["version"])


def by_date(given: Mapping[str, str]) -> dict[str, str]:
    """Return the date."""
    return {"if_modified_since": given["last-modified"]}


def by_tag(added: str) -> Returned:
    """Return what returns the tag with something added to it."""
    return lambda given: {"if_none_match": f'W/"{given["etag"].strip(chr(34))}{added}"'}


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("returned", [by_date, *map(by_tag, ADDED)])
def test_a_client_that_returns_what_it_was_given_is_answered_three_times_a_change(
    fraction: float, returned: Returned
) -> None:
    """And it has each change within a poll of it."""
    answers = virtual_time.run(follow([10 + fraction, 30 + fraction, 47 + fraction], returned))
    for changed_at, got in answers.items():
        assert 1 <= len(got) <= (3 if returned is by_date else 1)
        assert got[0] - changed_at <= INTERVAL_SECONDS + 0.1


async def follow(changes: list[float], returned: Returned) -> dict[float, list[float]]:
    """Follow changes by what was given alone; return when each was answered."""
    served = Served(await World().bootstrap())
    got: dict[str, list[float]] = {}

    async def ask() -> None:
        answer = await served.get()
        while True:
            answer = await served.get("wait=25", **returned(answer.headers))
            if answer.status_code == 200:
                got.setdefault(version_of(answer), []).append(served.clock.monotonic())

    versions: dict[float, str] = {}
    await served.until(5)
    with running(asyncio.create_task(ask())):
        for seconds in changes:
            await served.until(seconds)
            changed_at = served.clock.monotonic()
            versions[changed_at] = await served.change()
        await served.until(70)
    served.watch.close()
    return {changed_at: got[version] for changed_at, version in versions.items()}


@pytest.mark.parametrize("ahead_seconds", [0, 1, 2, 3, 60, 10**8, 3 * 10**11])
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_a_date_that_no_answer_exceeds_is_held_for_three_seconds(fraction: float, ahead_seconds: int) -> None:
    """Of this second, of the next one or of another age: such a client is answered in full, and not at once."""

    async def ask() -> None:
        served = Served(await World().bootstrap())
        await served.until(20 + fraction)
        await served.change()
        await asyncio.sleep(0.6)
        date = date_of(served, ahead_seconds)
        answered: list[float] = [served.clock.monotonic()]
        while served.clock.monotonic() < 32:
            answer = await served.get("wait=25", if_modified_since=date)
            answered.append(served.clock.monotonic())
            if answer.status_code == 304 or is_later(answer, date):
                break
        holds = [after - before - TRIP_SECONDS for before, after in pairwise(answered)]
        assert len(holds) <= 5
        if answer.status_code == 200:
            assert max(holds) <= LONGEST_DATE_HOLD_SECONDS + 0.01
        served.watch.close()

    virtual_time.run(ask())


def date_of(served: Served, ahead_seconds: float) -> str:
    """Return the wall clock's date, so much later, or the last one that there is."""
    now = served.clock.now()
    try:
        moment = now + timedelta(seconds=ahead_seconds)
    except OverflowError:
        moment = now.replace(year=9999)
    return format_datetime(moment, usegmt=True)


def is_later(answer: Any, date: str) -> bool:
    """Tell whether an answer's date is later than the one that was sent."""
    return parsedate_to_datetime(answer.headers["last-modified"]) > parsedate_to_datetime(date)


def test_a_change_ends_such_a_hold_at_once() -> None:
    """Whoever is held for a date is held for the counts too."""

    async def ask() -> None:
        served = Served(await World().bootstrap())
        await served.until(20.2)
        await served.change()
        date = date_of(served, 0)
        waiting = asyncio.create_task(served.get("wait=25", if_modified_since=date))
        await served.until(20.9)
        version, changed_at = await served.change(), served.clock.monotonic()
        assert version_of(await waiting) == version
        assert served.clock.monotonic() - changed_at <= INTERVAL_SECONDS
        served.watch.close()

    virtual_time.run(ask())


@pytest.mark.parametrize("ahead_seconds", [2, 60, 10**8])
def test_from_now_with_a_date_in_the_future_is_held_until_a_change(ahead_seconds: float) -> None:
    """A date in the future says nothing, so there is no validator, and from=now holds."""

    async def ask() -> None:
        served = Served(await World().bootstrap())
        await served.until(60)
        started, date = served.clock.monotonic(), date_of(served, ahead_seconds)
        assert (await served.get("wait=25&from=now", if_modified_since=date)).status_code == 304
        assert served.clock.monotonic() - started > 23
        waiting = asyncio.create_task(served.get("wait=25&from=now", if_modified_since=date_of(served, ahead_seconds)))
        await asyncio.sleep(5)
        version = await served.change()
        assert version_of(await waiting) == version
        served.watch.close()

    virtual_time.run(ask())


def test_a_date_before_the_change_is_answered_at_once() -> None:
    """Who has nothing but an old date is not kept waiting for a better one."""

    async def ask() -> None:
        served = Served(await World().bootstrap())
        date = date_of(served, 0)
        await served.until(60.5)
        await served.change()
        await asyncio.sleep(INTERVAL_SECONDS)
        started = served.clock.monotonic()
        answer = await served.get("wait=25", if_modified_since=date)
        assert (answer.status_code, served.clock.monotonic() - started) == (200, pytest.approx(TRIP_SECONDS))
        assert is_later(answer, date)
        served.watch.close()

    virtual_time.run(ask())


def test_a_wait_shorter_than_the_hold_is_kept() -> None:
    """Nobody is held for longer than it asked for, and the answer is still the counts."""

    async def ask() -> None:
        served = Served(await World().bootstrap())
        await served.until(20.2)
        await served.change()
        started = served.clock.monotonic()
        answer = await served.get("wait=1", if_modified_since=date_of(served, 0))
        assert answer.status_code == 200
        assert 15 / 16 <= served.clock.monotonic() - started - TRIP_SECONDS <= 1
        served.watch.close()

    virtual_time.run(ask())
