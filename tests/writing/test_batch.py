"""Which intents go together in one transaction, and who of them is told what when none is made."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import OutcomeUnknown
from shared.model.folders import first_segment
from shared.writing.batch import MAX_BLOBS, Group, Intent, fail, grouped, is_full, take_batch


def case_of(path: str) -> str:
    """Return the first segment of a path's name."""
    return first_segment(path.partition("/")[2]) or ""


@given(st.sampled_from([0, 1, 97, 98, 99, 100]), st.lists(st.integers(0, 110), max_size=20))
def test_a_batch_is_the_longest_run_of_intents_with_at_most_99_blobs(distinct: int, more: list[int]) -> None:
    """A transaction holds 100 operations, one is the tally; nobody is left out or put before another of his path."""

    async def take() -> None:
        intents = [Intent(str(path), "queued") for path in (*range(distinct), *more)]
        queue = deque(intents)
        groups = take_batch(queue)
        taken = intents[: len(intents) - len(queue)]
        assert list(queue) == intents[len(taken) :]
        assert len(groups) == len({intent.path for intent in taken}) <= 99
        assert not queue or (len(groups) == 99 and queue[0].path not in {group.path for group in groups})
        for group in groups:
            assert group.intents == [intent for intent in taken if intent.path == group.path]

    asyncio.run(take())


async def test_what_is_queued_fails_each_by_itself() -> None:
    """Whoever was answered or cancelled meanwhile is passed over, and all others are told."""
    intents = [Intent("a.jpg", "queued") for _ in range(3)]
    intents[0].done.cancel()
    groups = grouped(deque(intents))
    assert [(group.path, group.intents) for group in groups] == [("a.jpg", [intent]) for intent in intents]
    fail(groups, OutcomeUnknown("no"))
    assert [type(intent.done.exception()) for intent in intents[1:]] == [OutcomeUnknown] * 2


async def test_who_has_no_time_left_is_taken_out() -> None:
    """And nobody else."""
    intents = [Intent("a.jpg", "queued", deadline=float(seconds)) for seconds in (3, 1, 2)]
    group = Group("a.jpg", intents, must_read=True)
    late = group.split_late(2.0)
    assert [[intent.deadline for intent in each.intents] for each in (late, group)] == [[1], [3, 2]]
    assert late.path == "a.jpg"


@example([(case, name) for case in range(61) for name in range(2)])
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), max_size=150))
def test_a_batch_has_room_for_the_cases_of_its_blobs(names: list[tuple[int, int]]) -> None:
    """The cases that have waited longest come first, each with all that is queued of it; the rest stays in order."""

    async def take() -> None:
        intents = [
            Intent(f"queued/{case}/{name}.jpg" if case else f"queued/{name}.jpg", "queued") for case, name in names
        ]
        queue = deque(intents)
        groups = take_batch(queue, case_of)
        taken = [intent for group in groups for intent in group.intents]
        cases = {case_of(intent.path) for intent in taken}
        assert len(groups) + len(cases - {""}) <= MAX_BLOBS
        assert list(queue) == [intent for intent in intents if intent not in taken]
        by_arrival = list(dict.fromkeys(case_of(intent.path) for intent in intents))
        assert [case for case in by_arrival if case in cases] == by_arrival[: len(cases)]
        whole = by_arrival[: len(cases) - 1]
        assert not {case_of(intent.path) for intent in queue} & set(whole)
        assert not queue or is_full(groups, case_of)

    asyncio.run(take())
