"""shared.model.schedule: what the real timer extension reads, and why the rest is refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.schedule import Schedule
from tests.builders import ROOT

FACTS = [json.loads(line) for line in (ROOT / "tests" / "facts" / "timer_schedules.jsonl").read_text().splitlines()]
#: What the platform takes and reads in another way than it is written, each with the word that gives the reason.
MISREAD = {"50-10 * * * * *": "backwards", "0 0 22-2 * * *": "backwards", "0 0 0 * * FRI-MON": "backwards"}
LOWEST_AND_HIGHEST = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def at(text: str) -> dt.datetime:
    """Return a moment in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def refusal(expression: str) -> str:
    """Return why an expression is refused."""
    with pytest.raises(ValueError, match=r".+") as caught:
        Schedule(expression)
    return str(caught.value)


@pytest.mark.parametrize("fact", FACTS, ids=[fact["schedule"] or "(empty)" for fact in FACTS])
def test_facts(fact):
    """Each schedule that the real extension was given fires when it does there, or is refused for a reason."""
    if "next" not in fact or fact["schedule"] in MISREAD:
        reason = "period" if fact.get("kind") == "period" else MISREAD.get(fact["schedule"], "")
        assert reason in refusal(fact["schedule"])
        return
    schedule = Schedule(fact["schedule"])
    for moment, expected in fact["next"].items():
        now, found = at(moment), []
        for _ in expected:
            now = schedule.next_after(now)
            found.append(now)
        assert found == [at(each) for each in expected]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * * *", "2026-11-22T10:00:00.5", "2026-11-22T10:00:01"),
        ("30 5,35 9-17/4 * * *", "2026-11-22T09:35:30", "2026-11-22T13:05:30"),
        ("0 0 0 13 * 5", "2026-11-22T00:00:00", "2027-08-13T00:00:00"),
        ("0 0 0 1 novem WEDNESDAY", "2026-11-22T00:00:00", "2028-11-01T00:00:00"),
        ("*/+20 * * * * *", "2026-11-22T10:00:05", "2026-11-22T10:00:20"),
        ("59/7 * * * * *", "2026-11-22T10:00:05", "2026-11-22T10:00:59"),
    ],
)
def test_next(expression, after, expected):
    """The next occurrence is the first second after the moment that satisfies every field."""
    assert Schedule(expression).next_after(at(after)) == at(expected)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("*/0 * * * * *", "at least 1"),
        ("5/0 * * * * *", "at least 1"),
        ("1-9/-3 * * * * *", "at least 1"),
        ("0 0 0 * DEC-FEB *", "backwards"),
        ("0 0 0 1,31-30 * *", "backwards"),
        ("\t0 */5 * * * *", "blanks only"),
        ("0 */5 * * * *\n", "blanks only"),
        ("0\u00a0*/5 * * * *", "blanks only"),
        ("00:05", "period"),
        ("5.00:00", "period"),
        ("-5", "period"),
        ("00:00:00.5", "period"),
        ("0 0 0 1 J *", "three letters"),
        ("0 0 0 * * su", "three letters"),
        ("0 0 0 30 2 *", "never comes"),
        ("0 0 0 * januxyz *", "is not a month"),
        ("0 0 0 * * 1_0", "is not a day of week"),
        ("\u0663 * * * * *", "is not a second"),
        ("*/\u0663 * * * * *", "a step is a number"),
        ("99999999999 * * * * *", "is not a second"),
        ("1,,2 * * * * *", "is not a second"),
        ("1/ * * * * *", "a step is a number"),
        ("*/5/2 * * * * *", "a step is a number"),
        ("* * * *", "4 fields"),
    ],
)
def test_reasons(expression, reason):
    """A schedule that is refused says which of its parts is wrong, and why."""
    assert reason in refusal(expression)


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Return the text of a field with the values that it means."""
    number = st.integers(low, high)
    step = st.integers(1, high + 2)
    part = st.one_of(
        st.just(("*", frozenset(range(low, high + 1)))),
        number.map(lambda n: (str(n), frozenset([n]))),
        step.map(lambda s: (f"*/{s}", frozenset(range(low, high + 1, s)))),
        st.tuples(number, step).map(lambda t: (f"{t[0]}/{t[1]}", frozenset(range(t[0], high + 1, t[1])))),
        st.tuples(number, number, step).map(
            lambda t: (
                f"{min(t[:2])}-{max(t[:2])}/{t[2]}",
                frozenset(range(min(t[:2]), max(t[:2]) + 1, t[2])),
            )
        ),
    )
    return st.lists(part, min_size=1, max_size=3).map(
        lambda parts: (",".join(text for text, _ in parts), frozenset().union(*(values for _, values in parts)))
    )


@given(
    st.tuples(*(field(low, high) for low, high in LOWEST_AND_HIGHEST)),
    st.integers(1_577_836_800_000, 2_051_222_400_000).map(lambda ms: dt.datetime.fromtimestamp(ms / 1000, dt.UTC)),
)
def test_the_next_is_the_first_that_fits(fields, moment):
    """The next occurrence fits every field, lies ahead on a whole second, and nothing lies between."""
    try:
        schedule = Schedule(" ".join(text for text, _ in fields))
    except ValueError as error:
        assert "never comes" in str(error)  # noqa: PT017
        return
    found = schedule.next_after(moment)
    values = (found.second, found.minute, found.hour, found.day, found.month, found.isoweekday() % 7)
    assert all(value in fits for value, (_, fits) in zip(values, fields, strict=True))
    assert found > moment
    assert found.microsecond == 0
    assert schedule.next_after(found - dt.timedelta(seconds=1)) == found


@given(st.text(alphabet="0123456789*/-,:. \tJanMOFri+", max_size=24))
def test_any_text_is_a_schedule_or_refused(text):
    """Whatever is written: a schedule, or a ValueError with a reason."""
    try:
        Schedule(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017
