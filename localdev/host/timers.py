"""Timer triggers: when they fire.

All times are UTC. A timer never runs twice at once: a run that is due, or asked for by the admin call, while one is
going on waits for its end; occurrences that passed meanwhile are skipped, as on the platform.
"""

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Iterable

from localdev.host.errors import SetupError
from localdev.host.settings import expand
from localdev.host.worker import Function, Worker
from shared.model.schedule import Schedule

LONGEST_SLEEP_SECONDS = 30.0
"""Looked at the clock again after this time at the latest: a laptop that slept must not oversleep."""

log = logging.getLogger(__name__)


class Timer:
    """One timer function.

    Attributes:
        schedule: the expression with its app settings filled in.

    Raises:
        SetupError: the schedule is malformed, is one that the platform misreads, or refers to an app setting that is
            not set.
    """

    def __init__(self, function: Function, worker: Worker) -> None:
        self.function = function
        self.schedule = expand(str(function.trigger.get("schedule", "")), f"The schedule of {function.name}")
        self._worker = worker
        self._lock = asyncio.Lock()
        try:
            self._next_after = Schedule(self.schedule).next_after
        except ValueError as error:
            raise SetupError(f"The schedule of {function.name}: {error}") from error
        self._last: dt.datetime | None = None

    async def fire(self) -> None:
        """Run the function, after the run that may be going on."""
        async with self._lock:
            log.info("timer %s fires", self.function.name)
            started = dt.datetime.now(dt.UTC)
            await self._worker.invoke(self.function, self._input(started))
            self._last = started

    async def run(self) -> None:
        """Fire whenever it is time, for ever."""
        if self.function.trigger.get("runOnStartup"):
            await self.fire()
        while True:
            await _sleep_until(self._next_after(dt.datetime.now(dt.UTC)))
            await self.fire()

    def _input(self, now: dt.datetime) -> str:
        """Return what the function receives (`azure.functions.TimerRequest`)."""
        status = {
            "Last": (self._last or now).isoformat(),
            "Next": self._next_after(now).isoformat(),
            "LastUpdated": now.isoformat(),
        }
        return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False})


class Timers:
    """The timers of an app."""

    def __init__(self, functions: Iterable[Function], worker: Worker) -> None:
        timers = [Timer(function, worker) for function in functions if function.kind == "timerTrigger"]
        self.by_name = {timer.function.name: timer for timer in timers}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the schedules of those that are not disabled."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(timer.run()) for timer in self.by_name.values() if not timer.function.disabled]

    def stop(self) -> None:
        """Fire no more; runs that are going on are the worker's to end."""
        for task in self._tasks:
            task.cancel()


async def _sleep_until(moment: dt.datetime) -> None:
    while (seconds := (moment - dt.datetime.now(dt.UTC)).total_seconds()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(seconds, LONGEST_SLEEP_SECONDS))
