"""Clients that poll and wait for changes, and what they must never see."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.errors import CountsNotReady, StorageError, Unavailable
from shared.model.cases import key_of
from shared.model.tally import Tally
from tests.simulation.app import POLL_INTERVAL_SECONDS, App
from tests.simulation.loop import ProcessLoop
from tests.simulation.world import World

#: While all is well, a change is known everywhere after one poll interval and the reads before and after it.
WAKE_SECONDS = POLL_INTERVAL_SECONDS + 0.25
#: A request that waits is answered after its time and, when storage does not answer, two reads that time out.
SLACK_SECONDS = 25.0
MAX_WAIT_SECONDS = 20.0
BACK_OFF_SECONDS = 2.0
#: Storage is well again for so long: who asks is answered.
RECOVERED_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Request:
    """One held request.

    Attributes:
        app: The process that holds it.
        version: What the client has; "" for nothing.
        case: What it follows; "" for everything.
        waits: Whether it is waiting by now.
        is_over: Whether it was answered, or its process died.
    """

    app: App
    version: str
    case: str = ""
    waits: bool = False
    is_over: bool = False


class Clients:
    """Some clients, each of which asks one process after the other.

    Args:
        world: Whom they ask.
        count: How many.
    """

    def __init__(self, world: World, count: int) -> None:
        self._world = world
        self._loop = ProcessLoop(world.scheduler, "clients")
        self._held: list[Request] = []
        #: Since when storage is well: from then on a wake that is late is lost.
        self.well_since = float("inf")
        self.is_over = False
        world.checker.on_visible_change = self._counts_changed
        world.checker.on_case_change = self._case_changed
        for number in range(count):
            follows_case = world.folders.cases is not None and number % 2
            self._loop.spawn(self._poll(f"case {number % 3 + 1}" if follows_case else ""))

    @property
    def _is_well(self) -> bool:
        return self._world.scheduler.now >= self.well_since

    async def _poll(self, case: str) -> None:
        """One client: asks, waits, asks again with what it has got."""
        world, random = self._world, self._world.random
        version = ""
        while not self.is_over:
            if not world.apps or random.random() < 0.3:
                await asyncio.sleep(random.random())
            if not world.apps:
                continue
            app = world.apps[int(random.random() * len(world.apps))]
            answer = await self._ask(app, case, version, random.choice([0.0, 2.0, MAX_WAIT_SECONDS]))
            if answer is None:
                await asyncio.sleep(random.random() * BACK_OFF_SECONDS)
                continue
            self._check(case, version, *answer)
            version = answer[0]

    async def _ask(self, app: App, case: str, version: str, wait_seconds: float) -> tuple[str, bytes] | None:
        """Send a request; return version and body, or None for anything but a 200."""
        answered = self._loop.create_future()
        request = Request(app, version, case)
        self._held.append(request)

        def ended(result: tuple[str, bytes] | None, error: BaseException | None) -> None:
            request.is_over = True
            if error is not None and self._world.grid.unexpected is None:
                self._world.grid.unexpected = error
                self._world.checker.is_over = True
                self._world.scheduler.stopped = True
            if not answered.done():
                answered.set_result(result)

        def over(task: asyncio.Task[tuple[str, bytes] | None]) -> None:
            error = task.exception()
            self._loop.call_soon(ended, None if error else task.result(), error)

        task = app.loop.spawn(self._serve(request, wait_seconds))
        task.add_done_callback(over)
        app.loop.on_death.append(lambda: self._loop.call_soon(ended, None, None))
        self._loop.call_later(wait_seconds + SLACK_SECONDS, self._overdue, request)
        try:
            return await answered
        finally:
            self._held.remove(request)

    async def _serve(self, request: Request, wait_seconds: float) -> tuple[str, bytes] | None:
        """Answer a request as the app's endpoint does (runs in the process)."""
        watch, stats = request.app.watch, self._world.stats
        topic = watch.of(request.case) if request.case else watch
        try:
            snapshot = await topic.latest(newer_than=frozenset({request.version}))
            if snapshot.version == request.version:
                request.waits = True
                changed = await topic.changed(request.version, wait_seconds) if wait_seconds else None
                if changed is None:
                    stats["answers 304"] += 1
                    return None
                stats["wakes for cases" if request.case else "wakes"] += 1
                snapshot = changed
        except CountsNotReady:
            stats["answers not ready"] += 1
            return None
        except (Unavailable, StorageError):
            stats["answers unavailable"] += 1
            if self._world.scheduler.now > self.well_since + RECOVERED_SECONDS:
                self._world.checker.fail("I9", "a client was refused although storage was well")
            return None
        stats["answers 200"] += 1
        if watch.snapshot is None or not isinstance(watch.snapshot.tally, Tally) or not watch.snapshot.tally.ready:
            self._world.checker.fail("ready", "counts were served before they were ready")
        return snapshot.version, snapshot.body

    def _check(self, case: str, known: str, version: str, body: bytes) -> None:
        checker = self._world.checker
        checker.note("answer", version)
        checker.answered(case, version, body)
        if known == version:
            checker.fail("I7", f"a client was woken with the version that it had, {version}")
        (epoch, _, revision), (known_epoch, _, known_revision) = version.partition("-"), known.partition("-")
        if epoch == known_epoch and int(revision) < int(known_revision):
            checker.fail("I6", f"a client that had {known} was shown {version}")

    def _overdue(self, request: Request) -> None:
        if not request.is_over and not request.app.loop.was_frozen:
            self._world.checker.fail("I9", "a request was held for longer than it asked for")

    def _counts_changed(self) -> None:
        """Hold everybody who waits for another version to being woken in time."""
        checker = self._world.checker
        if not self._is_well:
            return
        version = checker.visible_changes[-1][1]
        self._expect_wakes("", version)

    def _case_changed(self, key: str, version: str) -> None:
        """The same for those who follow a case."""
        if self._is_well:
            for case in {each.case for each in self._held if each.case and key_of(each.case) == key}:
                self._expect_wakes(case, version)

    def _expect_wakes(self, case: str, version: str) -> None:
        waiting = [each for each in self._held if each.case == case and each.waits and not each.is_over]
        late = [each for each in waiting if each.version != version]
        if late:
            self._loop.call_later(WAKE_SECONDS, self._require_woken, late, version.partition("-")[0])

    def _require_woken(self, requests: list[Request], epoch: str) -> None:
        tally = self._world.checker.tally
        if tally is None or tally["epoch"] != epoch:
            return  # the table was deleted or restored meanwhile
        for request in requests:
            if not request.is_over and not request.app.loop.is_dead and self._is_well:
                self._world.checker.fail("I7", f"a waiter that has {request.version} was not woken by a change")
