"""What callers want written, and what of it goes together in one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model.changes import BlobChange
    from shared.model.ledger import Observation, Transition
    from shared.writing.cache import Remembered

#: From a delivery's start, looks included. Event Grid waits 30 s for an answer; one that comes later counts as a
#: failure and is redelivered.
BUDGET_SECONDS: Final = 15.0
#: A transaction holds 100 operations; one is the tally. The cases of the blobs need room too.
MAX_BLOBS: Final = 99


@dataclass(slots=True)
class Intent:
    """One caller's wish, and where its answer goes.

    Either ``change`` (an event) or ``seen`` with ``base`` (a look that started from that row) is given.

    Attributes:
        path: Of the blob.
        folder: The folder that it counts in.
        deadline: When its caller gives up, by the monotonic clock.
        origin: The caller's place in a trace.
        is_bound: It is not to be handed over to another process, whoever is named.
        owner: The process that has handed it over, "" for this one.
        since: When this process came to know of it, by its monotonic clock.
        is_repeated: Another process may have committed it already: its row is read, and not guessed.
        generation: The partition and fingerprint that it was handed over for, or None: whatever this process counts.
        done: Where the answer goes.
    """

    path: str
    folder: str
    change: BlobChange | None = None
    seen: Observation | None = None
    base: Remembered | None = None
    deadline: float = float("inf")
    origin: object = None
    is_bound: bool = False
    owner: str = ""
    since: float = float("-inf")
    is_repeated: bool = False
    generation: tuple[str, str] | None = None
    done: asyncio.Future[Transition] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class Group:
    """All intents of a batch that concern one path, in order of arrival."""

    path: str
    intents: list[Intent] = field(default_factory=list)
    must_read: bool = False

    @property
    def is_bound(self) -> bool:
        """Tell whether this process has to commit it."""
        return any(intent.is_bound for intent in self.intents)

    def split_late(self, at: float) -> Group:
        """Take out the intents whose callers will have given up by then."""
        late = Group(self.path, [intent for intent in self.intents if intent.deadline < at])
        self.intents = [intent for intent in self.intents if intent.deadline >= at]
        return late

    @property
    def may_be_new(self) -> bool:
        """Tell whether it is worth assuming that no row exists: a wrong guess costs a conflict, never a count."""
        return all(
            intent.change is not None and intent.change.present and not intent.is_repeated for intent in self.intents
        )


def take_batch(queue: deque[Intent], case_of: Callable[[str], str] | None = None) -> list[Group]:
    """Take what one transaction can hold off the queue, in order; intents of one path go together.

    Args:
        queue: The queue.
        case_of: Returns the case of a path, which needs room of its own, so that intents of the cases that have waited
            longest go together; None where there are no counts of cases.
    """
    groups: dict[str, Group] = {}
    cases: set[str] = set()
    waiting = deque(_by_case(queue, case_of)) if case_of is not None else queue
    while waiting:
        intent = waiting[0]
        if intent.path not in groups:
            needed = cases | _cases_of([intent.path], case_of)
            if len(groups) + 1 + len(needed) > MAX_BLOBS:
                break
            cases = needed
        groups.setdefault(intent.path, Group(intent.path)).intents.append(waiting.popleft())
    if waiting is not queue:
        left = set(map(id, waiting))
        kept = [intent for intent in queue if id(intent) in left]
        queue.clear()
        queue.extend(kept)
    return list(groups.values())


def _by_case(queue: deque[Intent], case_of: Callable[[str], str]) -> list[Intent]:
    found: dict[str, list[Intent]] = {}
    for intent in queue:
        found.setdefault(case_of(intent.path), []).append(intent)
    return [intent for intents in found.values() for intent in intents]


def is_full(batch: list[Group], case_of: Callable[[str], str] | None) -> bool:
    """Tell whether a batch has no room for another blob of a case of its own."""
    cases = _cases_of([group.path for group in batch], case_of)
    return len(batch) + len(cases) >= MAX_BLOBS - (case_of is not None)


def _cases_of(paths: list[str], case_of: Callable[[str], str] | None) -> set[str]:
    return {case_of(path) for path in paths} - {""} if case_of is not None else set()


def grouped(queue: deque[Intent]) -> list[Group]:
    """Return all that is queued, each intent alone."""
    return [Group(intent.path, [intent]) for intent in queue]


def origins(groups: list[Group]) -> list[object]:
    """Return where in traces the intents came from."""
    return [intent.origin for group in groups for intent in group.intents]


def fail(groups: list[Group], error: BaseException) -> None:
    """Tell every caller that it failed."""
    for group in groups:
        for intent in group.intents:
            if not intent.done.done():
                intent.done.set_exception(error)
