"""The hand-over: who is not named appends to the inbox and waits; who is named commits what it finds there.

::

    owner    append ── wait ─────────────────── outcomes read: acknowledge ── remove
                         │                        ▲
    named              look, every 50 to 250 ms ──┴─ commit with its own, in full batches ── write the outcomes

Only an outcome that was read acknowledges. When the time of whoever is named has passed, one of those who wait names
itself and goes on with what is in the inbox; nothing is taken back. What is applied twice, late, or in another order
changes nothing (I1, I2).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shared.errors import Conflict, OutcomeUnknown, StorageError
from shared.model.ledger import Transition
from shared.process import telemetry
from shared.writing.batch import BUDGET_SECONDS, MAX_BLOBS
from shared.writing.inbox import MAX_INTENTS
from shared.writing.plan import OtherGeneration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.clock import Clock
    from shared.writing.batch import Intent
    from shared.writing.contention import Pauses
    from shared.writing.group_commit import GroupCommit
    from shared.writing.inbox import Answer, Handed, Inbox, Waiting
    from shared.writing.naming import Naming

log = logging.getLogger(__name__)

# The hand-over is as quick as storage is: these are shares of the time that a commit takes, and what they are at most.
#: Between two looks into the inbox while something waits there; doubled each time that nothing does.
LOOK_SHARE: Final = 0.25
MAX_LOOK_SECONDS: Final = 0.25
#: An owner looks for its outcomes after this share of the time that it took lately, then each after another such share.
FIRST_WAIT_SHARE: Final = 0.7
WAIT_SHARE: Final = 0.25
MAX_WAIT_SECONDS: Final = 0.4
#: What was answered is removed with the next append, or after this time.
REMOVED_AFTER_SECONDS: Final = 1.0
#: Before a commit of whoever is named, unless there is a full batch: its own deliveries come no sooner than others'.
GATHER_SHARE: Final = 0.25
OWN_GATHER_SHARE: Final = 1.0
MAX_GATHER_SECONDS: Final = 0.1

#: The delivery that stays is relieved by another one that comes within this time.
RELIEVED_SECONDS: Final = 1.0
#: When the time of whoever was named has passed, those who wait look for a successor after a random time up to this.
SUCCESSION_SECONDS: Final = 0.5


class Handover:
    """Both ends of the inbox.

    Args:
        inbox: The inbox.
        naming: Who is named.
        commits: Reads the tally.
        clock: Time.
        pauses: When to wait.
        submit: Puts intents into this process's own queue.
        claim: Has this process named by its next commit, unless somebody else is by then.
    """

    def __init__(
        self,
        inbox: Inbox,
        naming: Naming,
        commits: GroupCommit,
        clock: Clock,
        pauses: Pauses,
        submit: Callable[[Sequence[Intent]], None],
        claim: Callable[[], Awaitable[None]],
    ) -> None:
        self._inbox = inbox
        self._naming = naming
        self._commits = commits
        self._clock = clock
        self._pauses = pauses
        self._submit = submit
        self._claim = claim
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining: asyncio.Task[None] | None = None
        self._in_hand: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._succeeding = asyncio.Lock()
        #: From an append to its outcomes, lately; 0 before the first.
        self._round_trip_seconds = 0.0

    def _share(self, share: float, most_seconds: float) -> float:
        """Return a share of the time that a commit takes."""
        return min(share * self._pauses.commit_seconds, most_seconds)

    # Who is not named

    async def hand_over(self, generation: tuple[str, str], intents: list[Intent]) -> None:
        """Append intents to the inbox; they are answered when their outcomes are known."""
        for start in range(0, len(intents), MAX_INTENTS):
            some = intents[start : start + MAX_INTENTS]
            began = self._clock.monotonic()
            try:
                handed = await self._inbox.append(generation, some)
            except StorageError:
                self._commit_here(intents[start:])
                return
            self._pauses.took(self._clock.monotonic() - began)
            self._round_trip_seconds = self._round_trip_seconds or 4 * self._pauses.commit_seconds
            telemetry.HANDED_OVER.add(len(some))
            self._keep(asyncio.create_task(self._wait(handed, some), name="wait for outcomes"))

    def _commit_here(self, intents: Sequence[Intent]) -> None:
        """Commit without another process: it is not known that one will, and to do it twice changes nothing."""
        for intent in intents:
            intent.is_bound = True
        self._submit(intents)

    async def _wait(self, handed: Handed, intents: list[Intent]) -> None:
        try:
            await self._wait_for_outcomes(handed, intents)
        except Exception:
            log.exception("the wait for outcomes failed")
            self._commit_here([intent for intent in intents if not intent.done.done()])

    async def _wait_for_outcomes(self, handed: Handed, intents: list[Intent]) -> None:
        deadline, began = min(intent.deadline for intent in intents), self._clock.monotonic()
        pause = min(FIRST_WAIT_SHARE * self._round_trip_seconds, MAX_WAIT_SECONDS)
        while True:
            await self._clock.sleep(pause)
            asked_at = self._clock.monotonic()
            try:
                found = await self._inbox.answers(handed, len(intents))
            except Conflict:
                self._commit_here(intents)
                return
            except StorageError:
                found = None
            now = self._clock.monotonic()
            if found is not None:
                if found.writer is not None and found.date is not None:
                    self._naming.told(found.writer, found.date, asked_at)
                    self.drain()  # it may be this process that follows
                self._tell(intents, found.answers)
                self._round_trip_seconds += (now - began - self._round_trip_seconds) / 5
                await self._clock.sleep(REMOVED_AFTER_SECONDS)
                await self._inbox.remove(handed)
                return
            if now + pause > deadline:
                late = OutcomeUnknown("what was handed over to another process was not answered in time")
                self._tell(intents, [late] * len(intents))
                return
            if self._naming.living(now) is None and not await self._find_successor():
                self._commit_here(intents)
                return
            pause = min(WAIT_SHARE * self._round_trip_seconds, MAX_WAIT_SECONDS)

    def _tell(self, intents: list[Intent], answers: Sequence[Answer]) -> None:
        for intent, answer in zip(intents, answers, strict=True):
            if intent.done.done():
                continue
            if isinstance(answer, Transition):
                intent.done.set_result(answer)
            elif isinstance(answer, OtherGeneration):
                self._commit_here([intent])
            else:
                intent.done.set_exception(answer)

    async def _find_successor(self) -> bool:
        """Find out who is named by now, or have this process named. Returns whether anybody is."""
        async with self._succeeding:
            if self._naming.living(self._clock.monotonic()) is not None:
                return True
            await self._clock.sleep(self._pauses.jitter(SUCCESSION_SECONDS))
            try:
                await self._commits.read_tally()
            except StorageError:
                return True  # an outage, perhaps: the budget of those who wait ends it
            if self._naming.living(self._clock.monotonic()) is None:
                await self._claim()
            return self._naming.living(self._clock.monotonic()) is not None

    # Who is named

    def drain(self) -> None:
        """Look into the inbox from now on, for as long as this process is named."""
        if self._draining is None and self._naming.is_mine(self._clock.monotonic()):
            self._draining = asyncio.create_task(self._drain(), name="drain the inbox")

    async def gather(self, queued: Sequence[Intent]) -> None:
        """Let a batch gather what others hand over, unless there is a full one; one of own intents only, for longer."""
        is_followed = self._draining is not None and self._naming.is_followed(self._clock.monotonic())
        if is_followed and len(queued) < MAX_BLOBS:
            share = GATHER_SHARE if any(intent.owner for intent in queued) else OWN_GATHER_SHARE
            await self._clock.sleep(self._share(share, MAX_GATHER_SECONDS))

    async def stay(self, seconds: float, until: float) -> None:
        """Stay for what others hand over, as the last delivery of a process that is named.

        Args:
            seconds: At most so long.
            until: When to leave what is still being committed then, by the monotonic clock: it is the successor's.
        """
        if self._draining is None or self._naming.leaves_at < float("inf"):
            return
        began = self._clock.monotonic()
        self._naming.leaves_at = began + seconds
        try:
            while self._draining is not None and (now := self._clock.monotonic()) < self._naming.leaves_at:
                if self._naming.deliveries > 1 and now < began + RELIEVED_SECONDS:
                    return  # where deliveries are that frequent, one or another runs all the time
                if self._naming.is_leaving:
                    break
                await self._clock.sleep(MAX_LOOK_SECONDS)
            if self._draining is not None and self._naming.deliveries == 1:
                await asyncio.wait([self._draining], timeout=max(0.0, until - self._clock.monotonic()))
        finally:
            self._naming.leaves_at = float("inf")

    async def _drain(self) -> None:
        try:
            await self._look(follows=True)
            pause = 0.0
            while self._naming.is_on_duty(self._clock.monotonic()):
                is_new, shortest = await self._look(), self._share(LOOK_SHARE, MAX_GATHER_SECONDS)
                pause = shortest if is_new else min(max(2 * pause, shortest), MAX_LOOK_SECONDS)
                await self._clock.sleep(pause)
            if self._naming.other(self._clock.monotonic()) is None:
                await self._look()  # once more, for those who have not heard yet
            await asyncio.gather(*self._in_hand.values())
        finally:
            self._draining = None

    async def _look(self, *, follows: bool = False) -> bool:
        """Take what waits. Returns whether there was anything new.

        Args:
            follows: It may be what whoever was named before has committed, and not answered yet.
        """
        now = self._clock.monotonic()
        # What is answered while the inbox is read may still be read as waiting.
        self._in_hand = {key: task for key, task in self._in_hand.items() if not task.done()}
        try:
            found = await self._inbox.look(now + BUDGET_SECONDS)
        except StorageError as error:
            log.info("the inbox cannot be read: %s", error)
            return False
        if self._naming.other(self._clock.monotonic()) is not None:
            return False  # succeeded meanwhile: what waits is the successor's, or both commit it
        is_new = False
        for each in found:
            if each.key in self._in_hand:
                continue
            is_new = True
            for intent in each.intents:
                intent.is_repeated, intent.since = follows, now
            self._in_hand[each.key] = asyncio.create_task(self._serve(each), name="answer what was handed over")
        if is_new:
            self._naming.drained(now)
        return is_new

    async def _serve(self, waiting: Waiting) -> None:
        self._submit(waiting.intents)
        results = await asyncio.gather(*(each.done for each in waiting.intents), return_exceptions=True)
        if any(each.done.cancelled() for each in waiting.intents):
            return  # left to the successor
        answers = [
            each if isinstance(each, Transition | StorageError) else OutcomeUnknown(repr(each)) for each in results
        ]
        await self._inbox.answer(waiting, answers, self._naming.living(self._clock.monotonic()))

    async def waiting_paths(self) -> set[str]:
        """Return the names about which something waits in the inbox, as far as can be told."""
        try:
            return await self._inbox.waiting_paths()
        except StorageError as error:
            log.info("the inbox cannot be read: %s", error)
            return set()

    async def clear(self) -> None:
        """Remove what is left over, of processes that are gone."""
        with suppress(StorageError):
            await self._inbox.look(0.0)

    def close(self) -> None:
        """Stop waiting and draining: what waits is found by whoever is named next."""
        for task in (*self._tasks, *self._in_hand.values(), self._draining):
            if task is not None:
                task.cancel()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
