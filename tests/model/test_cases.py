"""shared.model.cases: a case's counts, its row, and the ring that tells of the last changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.model.cases import (
    RING,
    ROW_PREFIX,
    CaseTally,
    Changed,
    Recent,
    from_properties,
    is_forgotten,
    key_of,
    nothing,
    to_properties,
)
from shared.model.folders import FOLDERS, CaseRule, FolderMap, Location, first_segment
from shared.model.snapshot import StatusSnapshot
from tests.builders import START, at

COUNTS = st.fixed_dictionaries(dict.fromkeys(FOLDERS, st.integers(0, 2**40)), optional={"failed": st.integers(0, 9)})
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def changes(count: int, start: Recent, folders: tuple[str, ...] = FOLDERS) -> list[Changed]:
    """Return so many changes that come after those of a ring."""
    tallies = (CaseTally("e", dict.fromkeys(folders, n), start.revision + n, at(n)) for n in range(1, count + 1))
    return [Changed(key_of(f"case {tally.revision}"), tally) for tally in tallies]


@given(st.lists(st.integers(0, 2 * RING), max_size=6), st.integers(0, 3 * RING))
def test_the_ring_tells_what_came_after_or_that_it_cannot(steps: list[int], known: int) -> None:
    """Each change once and in order, as long as it is among the last; never in part."""
    ring, said = Recent(), []
    for step in steps:
        more = changes(step, ring)
        ring, said = ring.adding(more), said + more
        assert Recent.from_texts(ring.revision, ring.to_texts()) == ring
    told = ring.after(known, "e", FOLDERS)
    if ring.revision - RING <= known <= ring.revision:
        assert told == said[known:]
    else:
        assert told is None
    assert ring.after(ring.revision - RING - 1, "e", FOLDERS) is None


def test_an_entry_of_the_ring_is_written_as_ever() -> None:
    """Another release reads it: the case's key, microseconds since 1970, and its counts in the order of the folders."""
    changed_at = datetime(2026, 11, 27, 12, 30, 0, 5, UTC)
    tally = CaseTally("e", {"queued": 3, "input": 2, "output": 1}, 1, changed_at)
    ring = Recent().adding([Changed(key_of("a"), tally)])
    assert ring.entries[1] == "27c35e6e9373877f29e562464e46497e:1795782600000005:3:2:1"
    assert ring.after(0, "e", FOLDERS) == [Changed(key_of("a"), tally)]


@given(st.integers(1, 2 * RING), st.data(), st.text(max_size=40).filter(lambda text: ";" not in text))
def test_a_ring_with_an_entry_that_cannot_be_read_tells_nothing(count: int, data: st.DataObject, edited: str) -> None:
    """A manual edit of the table: who needs the entry reads the cases instead, everybody else goes on."""
    assume(edited.count(":") != 1 + len(FOLDERS))
    ring = Recent().adding(changes(count, Recent()))
    number = data.draw(st.integers(max(1, count - RING + 1), count))
    entries = list(ring.entries)
    entries[number % RING] = edited
    ring = Recent.from_texts(ring.revision, Recent(count, tuple(entries)).to_texts())
    assert ring.after(number - 1, "e", FOLDERS) is None
    assert len(ring.after(number, "e", FOLDERS) or []) == count - number


@pytest.mark.parametrize("edited", ["k:1:1:2", "k:x:1:2:3", "k:1:1:2:", f"k:{10**30}:1:2:3"])
def test_an_edited_entry_is_not_believed(edited: str) -> None:
    """Counts of another number of folders, words, a time beyond the calendar."""
    assert Recent(1, ("", edited, *[""] * (RING - 2))).after(0, "e", FOLDERS) is None


def test_a_commit_changes_few_of_the_rings_texts() -> None:
    """That is what it writes."""
    ring = Recent().adding(changes(300, Recent()))
    after = ring.adding(changes(1, ring))
    assert sum(old != new for old, new in zip(ring.to_texts(), after.to_texts(), strict=True)) == 1


@pytest.mark.parametrize("texts", [[], [""], Recent().to_texts()[1:], [*Recent().to_texts(), ""]])
def test_half_a_ring_is_none(texts: list[str]) -> None:
    """Somebody else has written to the table."""
    with pytest.raises(ValueError, match="ring"):
        Recent.from_texts(1, texts)


@given(NAMES, COUNTS, st.integers(0, 2**53), st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_a_case_survives_storage(case: str, sums: dict[str, int], revision: int, age: timedelta) -> None:
    """In types that a table takes; and its version is that of no other revision."""
    tally = CaseTally("e", sums, revision, START + age)
    properties = to_properties(case, tally)
    assert all(isinstance(value, str | int) for value in properties.values())
    assert from_properties(properties, "e", sums) == tally
    assert tally.version == f"e-{revision}"


@pytest.mark.parametrize("missing", ["revision", "changed_at", "input_count"])
def test_half_a_case_is_none(missing: str) -> None:
    """A stored case that lacks a property is not read as zeros."""
    properties = {name: value for name, value in to_properties("a", nothing("e")).items() if name != missing}
    with pytest.raises(KeyError):
        from_properties(properties, "e", FOLDERS)


def test_its_time_never_goes_back() -> None:
    """Whatever the clock of the process that commits says."""
    tally = nothing("e").moved({"queued": 2}, 1, at(9)).moved({"queued": -1, "input": 1}, 2, at(3))
    assert (tally.counts(), tally.changed_at) == ({"queued": 1, "input": 1, "output": 0}, at(9))


@pytest.mark.parametrize(
    ("changed", "is_dropped"),
    [
        ({}, True),
        ({"total": 1}, False),
        ({"changed_at": "soon"}, False),
        ({"changed_at": None}, False),
        ({"drained": True}, False),
    ],
)
def test_only_a_case_that_counts_nothing_for_long_is_forgotten(changed: dict[str, object], *, is_dropped: bool) -> None:
    """And one that makes no sense is left to whoever looks."""
    properties = {**to_properties("a", nothing("e").moved({}, 1, at(0))), **changed}
    assert is_forgotten(properties, at(1)) is is_dropped
    assert not is_forgotten(properties, at(0))


@pytest.mark.parametrize(
    ("sums", "by", "was_marked", "marks", "is_marked"),
    [
        ((1, 0, 0), {"queued": -1}, False, True, True),
        ((0, 1, 0), {"input": -1, "output": 1}, False, True, True),
        ((1, 0, 0), {"queued": -1}, False, False, False),  # nobody is to be told
        ((1, 0, 0), {"queued": -1, "input": 1}, False, True, False),
        ((2, 0, 0), {"queued": -1}, False, True, False),
        ((0, 0, 0), {"output": 1}, False, True, False),  # it had nothing to do before
        ((0, 0, 1), {"output": 1}, True, True, True),
        ((0, 0, 1), {"output": -1}, True, False, True),  # by a tool that has no topic
        ((0, 0, 1), {"queued": 1}, True, True, False),
        ((0, 0, 1), {"input": 1}, True, False, False),
    ],
)
def test_the_change_that_drains_a_case_marks_it(
    sums: tuple[int, ...], by: dict[str, int], *, was_marked: bool, marks: bool, is_marked: bool
) -> None:
    """As long as that is true, and only where somebody is to be told; the mark is no part of what is served."""
    before = CaseTally("e", dict(zip(FOLDERS, sums, strict=True)), 1, START, was_marked)
    after = before.moved(by, 2, at(1), marks=marks)
    assert after.drained is is_marked
    properties = to_properties("a", after)
    assert from_properties(properties, "e", FOLDERS) == after
    assert ("drained" in properties) is is_marked
    served = [StatusSnapshot(each, START) for each in (after, replace(after, drained=not is_marked))]
    assert len({(each.body, each.frame, each.etag, each.last_modified) for each in served}) == 1


def test_rows_of_cases_sort_before_the_tally() -> None:
    """So whoever reads the rows of blobs begins after them."""
    assert f"{ROW_PREFIX}{key_of('a')}" < "!tally" < "0" * 32


MAP = FolderMap(
    {"queued": Location("queued"), "input": Location("images", "in/"), "output": Location("done")},
    ("*",),
    CaseRule("first-segment", first_segment),
)


@pytest.mark.parametrize(
    ("path", "case"),
    [
        ("queued/a/1.jpg", "a"),
        ("images/in/a/b/1.jpg", "a"),
        ("queued/1.jpg", ""),
        ("images/in/1.jpg", ""),
        ("queued//1.jpg", ""),
        ("elsewhere/a/1.jpg", ""),
        ("queued/ä b/1.jpg", "ä b"),
    ],
)
def test_the_case_stands_below_the_folder(path: str, case: str) -> None:
    """A name without one belongs to none."""
    assert MAP.case_of(path) == case
    assert FolderMap(MAP.locations, MAP.suffixes).case_of(path) == ""


def test_the_rule_is_part_of_what_is_counted() -> None:
    """Without one the fingerprint is what it always was."""
    rules = [None, CaseRule("first-segment", first_segment), CaseRule("^(a)", first_segment)]
    found = {FolderMap(MAP.locations, MAP.suffixes, rule).fingerprint("account") for rule in rules}
    assert len(found) == 3
