"""Event loops on virtual time: one for each simulated process, one scheduler that drives them all.

What is ready is run in seeded random order, one step at a time; when nothing is ready, time jumps to the next timer.
So every await is a place where anything else may come first, and a seed replays exactly.

Each process has a loop of its own, as in reality: futures of one cannot be awaited in another, and a process that is
killed simply never runs again. No ``finally`` runs, nothing is cancelled, its memory is gone; what it had sent is on
its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any


class Step:
    """One callback that is to run: what asyncio calls a handle."""

    __slots__ = ("args", "callback", "context", "loop", "when")

    def __init__(
        self, loop: ProcessLoop, callback: Callable[..., object], args: tuple[object, ...], context: Context | None
    ) -> None:
        self.loop = loop
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context
        self.when = 0.0

    def cancel(self) -> None:
        """Do not run it."""
        self.callback = None

    def cancelled(self) -> bool:
        """Tell whether it will not run."""
        return self.callback is None


class Scheduler:
    """Virtual time, and the order in which everything happens.

    Args:
        seed: Of that order.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.steps = 0
        self.reordered = 0
        self.stopped = False
        self.loops: list[ProcessLoop] = []
        self._random = Random(seed).random
        self._ready: list[Step] = []
        self._timers: list[tuple[float, int, Step]] = []
        self._sequence = 0

    def at(self, when: float, step: Step) -> None:
        """Run a step at this time (seconds since the start)."""
        step.when = when
        if when <= self.now:
            self._ready.append(step)
            return
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, step))

    def run(self, until: float = float("inf"), done: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen until this time, until ``done``, or until the scheduler is stopped."""
        random, ready, timers = self._random, self._ready, self._timers
        try:
            while not self.stopped and not done():
                if not ready and not self._jump(until):
                    return
                while ready and not self.stopped:
                    index = int(random() * len(ready))
                    last = ready.pop()
                    if index < len(ready):
                        last, ready[index] = ready[index], last
                        self.reordered += 1
                    self._execute(last)
                    while timers and timers[0][0] <= self.now:
                        ready.append(heapq.heappop(timers)[2])
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Throw away every process: nothing of them runs any more."""
        self.stopped = True
        for loop in self.loops:
            loop.is_dead = True
        for loop in self.loops:
            loop.bury()

    def _jump(self, until: float) -> bool:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers or timers[0][0] > until:
            self.now = max(self.now, until) if until != float("inf") else self.now
            return False
        self.now = timers[0][0]
        while timers and timers[0][0] <= self.now:
            self._ready.append(heapq.heappop(timers)[2])
        return True

    def _execute(self, step: Step) -> None:
        callback, loop = step.callback, step.loop
        if callback is None or loop.is_dead:
            return
        if loop.frozen_until > self.now:
            loop.was_frozen = True
            self.at(loop.frozen_until, step)
            return
        if loop.steps_to_live is not None:
            loop.steps_to_live -= 1
            if loop.steps_to_live < 0:
                loop.kill()
                return
        self.steps += 1
        asyncio._set_running_loop(loop)  # type: ignore[arg-type]
        if step.context is not None:
            step.context.run(callback, *step.args)
        else:
            callback(*step.args)


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated process.

    Args:
        scheduler: What drives it.
        name: For messages.
    """

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.scheduler = scheduler
        self.name = name
        self.is_dead = False
        #: After so many more steps the process is killed, wherever it is then.
        self.steps_to_live: int | None = None
        #: Until then nothing of the process runs, and then all of it: a machine that was suspended.
        self.frozen_until = 0.0
        self.was_frozen = False
        self.on_death: list[Callable[[], object]] = []
        self.unexpected: list[BaseException] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        scheduler.loops.append(self)

    def kill(self) -> None:
        """End the process between two steps: nothing of it ever runs again."""
        if not self.is_dead:
            self.is_dead = True
            for tell in self.on_death:
                tell()

    def bury(self) -> None:
        """Free what a dead process held; its coroutines are closed where nobody sees it."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(BaseException):
                    task.get_coro().close()  # type: ignore[union-attr]
            elif not task.cancelled():
                task.exception()
        self._tasks.clear()

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        """Run a callback next, in any order with the others."""
        step = Step(self, callback, args, context)
        if not self.is_dead:
            self.scheduler._ready.append(step)
        return step

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        """Run a callback after so many seconds of virtual time."""
        step = Step(self, callback, args, context)
        if not self.is_dead:
            self.scheduler.at(self.scheduler.now + delay, step)
        return step

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        """Run a callback at this time."""
        step = Step(self, callback, args, context)
        if not self.is_dead:
            self.scheduler.at(when, step)
        return step

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Nothing to do: a cancelled step is passed over."""

    def time(self) -> float:
        """Return the virtual time."""
        return self.scheduler.now

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this process."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: Any) -> Any:
        """Start a task in this process."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        return task

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task from outside of the process."""
        task: asyncio.Task[Any] = self.create_task(coroutine)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what nobody has caught."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.unexpected.append(error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what nobody has caught."""
        self.call_exception_handler(context)

    def get_debug(self) -> bool:
        """Tell that this is not debug mode."""
        return False

    def is_running(self) -> bool:
        """Tell that it runs."""
        return not self.is_dead

    def is_closed(self) -> bool:
        """Tell that it is open: what is dead is not closed, it is gone."""
        return False
