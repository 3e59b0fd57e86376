"""The sketch of a set of row keys: a difference is told exactly, or not at all."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import sketch
from shared.model.sketch import LAST_KEY, Sketch, capacity

KEY = bytes(range(16))
keys = st.integers(0, LAST_KEY)


def of(row_keys: set[int], upto: int = LAST_KEY) -> Sketch:
    """Return the sketch of a set."""
    made = Sketch(KEY, upto)
    made.add(row_keys)
    return made


@given(common=st.sets(keys, max_size=50), mine=st.sets(keys, max_size=40), its=st.sets(keys, max_size=40))
def test_two_sets_are_told_apart_key_by_key(common: set[int], mine: set[int], its: set[int]) -> None:
    """Whatever they have in common does not matter."""
    only_mine, only_its = mine - common - its, its - common - mine
    expected = dict.fromkeys(only_mine, 1) | dict.fromkeys(only_its, -1)
    assert of(common | mine).minus(of(common | its)) == expected or mine & its


@given(steps=st.lists(st.tuples(keys, st.sampled_from([1, -1])), max_size=60))
def test_any_order_of_coming_and_going_ends_in_the_same_sketch(steps: list[tuple[int, int]]) -> None:
    """It is a sum."""
    there, back = Sketch(KEY), Sketch(KEY)
    for key, times in steps:
        there.add([key], times)
    for key, times in reversed(steps):
        back.add([key], times)
    assert there == back
    assert Sketch.from_texts(KEY, there.to_texts()) == there


@given(steps=st.lists(st.tuples(keys, st.sampled_from([1, -1, 0])), max_size=60))
def test_its_text_is_that_of_all_its_cells_however_often_it_is_written(steps: list[tuple[int, int]]) -> None:
    """Only what has changed is encoded: a step of 0 writes it, or goes on with a copy or with what was read."""
    one, at_once = Sketch(KEY), Sketch(KEY)
    for number, (key, times) in enumerate(steps):
        if times:
            one.add([key], times)
            at_once.add([key], times)
            continue
        read = Sketch.from_texts(KEY, one.to_texts())
        assert read is not None
        one = [one, one.copy(), read][number % 3]
    assert one.to_texts() == at_once.to_texts()


@pytest.mark.parametrize("size", [1, 100, capacity()])
def test_a_difference_within_the_capacity_is_told(size: int) -> None:
    """With a key of its own each time: which names meet in a cell is chance."""
    for _ in range(20):
        key = secrets.token_bytes(16)
        mine, its = Sketch(key), Sketch(key)
        expected = {secrets.randbits(128): 1 - 2 * (number % 2) for number in range(size)}
        mine.add([each for each, sign in expected.items() if sign > 0])
        its.add([each for each, sign in expected.items() if sign < 0])
        assert mine.minus(its) == expected


@given(st.sets(keys, min_size=1, max_size=60))
def test_what_is_too_much_is_never_told_in_part(row_keys: set[int]) -> None:
    """With eight cells nearly everything is."""
    cells, sketch.CELLS = sketch.CELLS, 8
    try:
        assert of(row_keys).minus(of(set())) in (None, dict.fromkeys(row_keys, 1))
    finally:
        sketch.CELLS = cells


@given(st.sets(keys, max_size=30), keys)
def test_what_lies_beyond_its_last_key_is_passed_over(row_keys: set[int], upto: int) -> None:
    """It grows in the order of the keys."""
    made = of(row_keys, upto)
    assert made.minus(of({key for key in row_keys if key <= upto}, upto)) == {}
    assert made.is_complete is (upto == LAST_KEY)


TEXTS = Sketch(KEY).to_texts()


@pytest.mark.parametrize(
    "texts",
    [
        *([], ["nonsense"], ["AAAA"], TEXTS[:1], TEXTS[1:], TEXTS[:-1], [*TEXTS, TEXTS[-1]]),
        *([TEXTS[0][2:], *TEXTS[1:]], ["ä", *TEXTS[1:]], [*TEXTS[:-1], "ä"], [*TEXTS[:-1], TEXTS[-1][:-4]]),
    ],
)
def test_what_is_no_sketch_is_none(texts: list[str]) -> None:
    """An older release's, a longer one's, or somebody else's."""
    assert Sketch.from_texts(KEY, texts) is None


def test_a_key_that_comes_changes_four_texts_at_most() -> None:
    """That is what a commit writes."""
    one = of(set(range(100)))
    before = one.to_texts()
    one.add([secrets.randbits(128)])
    assert 1 <= sum(old != new for old, new in zip(before, one.to_texts(), strict=True)) <= 4


def test_a_key_counted_twice_is_not_told_as_one() -> None:
    """No set holds a key twice, so there is no difference that looks like that."""
    twice = of({7})
    twice.add([7])
    assert twice.minus(Sketch(KEY)) is None


def test_a_copy_changes_apart() -> None:
    """A tally that is kept stays as it is."""
    one = of({7})
    other = one.copy()
    other.add([8])
    assert one == of({7})
    assert other == of({7, 8})
    assert one != other
    assert one != 7


def test_two_that_reach_to_other_keys_are_not_the_same() -> None:
    """One of them says nothing of what lies beyond."""
    assert Sketch(KEY, 5) == Sketch(KEY, 5)
    assert Sketch(KEY, 5) != Sketch(KEY, 6)
