"""What the writer remembers: the rows used last, a tally for so long, and whether guesses are worth it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model.ports import Write
from shared.model.tally import Tally
from shared.writing import cache
from shared.writing.cache import MAX_WRONG_GUESSES, Guesses, Remembered, RowMemory, TallyMemory
from shared.writing.tally_row import TRUSTED_SECONDS, StoredTally
from tests.fakes.memory_blobs import START

TALLY = StoredTally(Tally("e", b"k" * 16, "f", START, START), "0x1")


def seen(etag: str, partition: str = "g1") -> Remembered:
    """Return a row as last seen."""
    return Remembered(None, etag, 1.0, partition)


def test_the_row_that_was_not_used_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and writing are use; so many rows are remembered and no more."""
    monkeypatch.setattr(cache, "MAX_REMEMBERED", 3)
    rows = RowMemory()
    for path in "abc":
        assert rows.remember(path, seen(path)) == seen(path)
    assert rows.get("a", "g1") is not None
    rows.remember("b", seen("b2"))
    rows.remember("d", seen("d"))
    found = {path: row.etag for path in "abcd" if (row := rows.get(path, "g1")) is not None}
    assert found == {"a": "a", "b": "b2", "d": "d"}


def test_a_row_is_remembered_in_its_own_generation() -> None:
    """In another one nothing is known of it, and being asked for there is no use of it."""
    rows = RowMemory()
    rows.remember("a", seen("a", "g2"))
    assert rows.get("a", "g1") is None
    assert rows.get("a", "g2") == seen("a", "g2")


def test_rows_are_forgotten_one_by_one_or_all() -> None:
    """Forgetting what is not remembered does no harm."""
    rows = RowMemory()
    for path in "ab":
        rows.remember(path, seen(path))
    rows.forget("a")
    rows.forget("a")
    assert (rows.get("a", "g1") is None, rows.get("b", "g1") is None) == (True, False)
    rows.clear()
    assert rows.get("b", "g1") is None


def test_a_tally_is_fresh_for_half_a_minute() -> None:
    """From when it was asked for; none is never fresh, and an old one is still known."""
    known = TallyMemory()
    assert known.get() is None
    assert not known.is_fresh(0.0)
    known.remember(TALLY, 100.0)
    assert known.is_fresh(100.0 + TRUSTED_SECONDS)
    assert not known.is_fresh(100.1 + TRUSTED_SECONDS)
    assert known.get() is TALLY
    known.remember(replace(TALLY, etag="0x2"), 200.0)
    assert known.is_fresh(200.0)
    forgotten = known.forget()
    assert forgotten is not None
    assert forgotten.etag == "0x2"
    assert known.get() is known.forget() is None
    assert not known.is_fresh(200.0)


def guesses(wrong: int) -> Guesses:
    """Return guesses of which so many were wrong in a row."""
    made = Guesses()
    for _ in range(wrong):
        made.note_conflict([Write("row", {}, "0x1"), Write("new", {}, None)], 1)
    return made


def test_guessing_stops_after_eight_that_were_wrong() -> None:
    """A conflict of a row that was there, or of none that is known, is no wrong guess."""
    assert guesses(MAX_WRONG_GUESSES - 1).are_good
    assert not guesses(MAX_WRONG_GUESSES).are_good
    made = Guesses()
    for index in (0, 2, 3):
        for _ in range(9):
            made.note_conflict([Write("row", {}, "0x1"), Write("new", {}, None)], index)
    assert made.are_good


def spoil(made: Guesses, times: int) -> bool:
    """Have guesses turn out wrong; tell whether they are good still."""
    for _ in range(times):
        made.note_conflict([Write("new", {}, None)], 0)
    return made.are_good


def test_names_that_are_new_make_up_for_wrong_guesses() -> None:
    """One for one, but never ahead."""
    made = guesses(MAX_WRONG_GUESSES - 1)
    made.note_batch(5, 2)
    assert spoil(made, 2)
    assert not spoil(made, 1)
    ahead = Guesses()
    ahead.note_batch(50, 50)
    assert spoil(ahead, MAX_WRONG_GUESSES - 1)
    assert not spoil(ahead, 1)


@pytest.mark.parametrize(("blobs", "new", "good"), [(16, 15, True), (16, 14, False), (16, 0, False), (1, 1, True)])
def test_guessing_begins_again_when_most_names_are_new(blobs: int, new: int, good: bool) -> None:
    """When more than seven in eight are; as if none had been wrong."""
    made = guesses(MAX_WRONG_GUESSES)
    made.note_batch(blobs, new)
    assert made.are_good is good
    assert spoil(made, MAX_WRONG_GUESSES - 1) is good
    assert not spoil(made, 1)
