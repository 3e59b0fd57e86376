"""shared.model.tally: counts and digests as sets, the revision that moves only with a count, and the stored form."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.folders import FOLDERS, INPUT, OUTPUT, QUEUED
from shared.model.ledger import path_hashes
from shared.model.sketch import Sketch
from shared.model.tally import (
    Change,
    NamedWriter,
    Sum,
    Tally,
    changed_properties,
    fold,
    from_properties,
    to_properties,
    without_sketch,
)
from tests.builders import START, at, tally

KEY = b"0123456789abcdef"
PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PATH_SETS = st.sets(PATHS, max_size=8)
CHANGES = st.lists(st.builds(Change, st.sampled_from(FOLDERS), PATHS, st.sampled_from([-1, 1])), max_size=8)


@given(PATH_SETS.flatmap(lambda paths: st.tuples(st.permutations(sorted(paths)), st.integers(0, 8))))
def test_digests_add_and_commute(drawn):
    """A set folds to the same sum in any order and cut into any two pages."""
    paths, cut = drawn
    assert fold(KEY, paths[cut:], fold(KEY, paths[:cut])) == fold(KEY, sorted(paths))


@given(PATH_SETS, PATH_SETS)
def test_equal_sums_mean_equal_sets(one, other):
    """Two sets have the same sum exactly when they are the same set."""
    assert (fold(KEY, one) == fold(KEY, other)) is (one == other)


def test_the_digest_is_keyed():
    """Another key is another hash, in the whole range of 128 bits: names cannot be chosen so that they cancel."""
    hashes = {next(path_hashes(["queued/a.jpg"], bytes([number]) * 16)) for number in range(50)}
    assert len(hashes) == 50
    assert 2**120 < max(hashes) < 2**128
    assert len({*path_hashes(["queued/a.jpg", "queued/a.JPG"], KEY)}) == 2


@given(st.sets(PATHS, min_size=1, max_size=8))
def test_i1_leaving_undoes_entering(paths):
    """I1: paths that enter and leave, in any two batches, leave count and digest as they were."""
    base = tally(queued=3, sums={folder: Sum(3, 12345) for folder in FOLDERS})
    entered = base.apply([Change(QUEUED, path, 1) for path in paths], at(1))
    left = entered.apply([Change(QUEUED, path, -1) for path in sorted(paths, reverse=True)], at(2))
    assert entered.sums[QUEUED].count == 3 + len(paths)
    assert entered.sums[QUEUED] == fold(KEY, paths, Sum(3, 12345))
    assert left.sums == base.sums


@given(CHANGES.flatmap(lambda changes: st.tuples(st.just(changes), st.permutations(changes))))
def test_a_batch_has_no_order(drawn):
    """The changes of a batch give the same tally in any order."""
    changes, shuffled = drawn
    assert tally().apply(changes, at(1)) == tally().apply(shuffled, at(1))


@given(st.lists(st.tuples(CHANGES, st.integers(-100, 100)), max_size=5))
def test_i7_the_revision_moves_with_the_counts_only(batches):
    """I7: revision and changed_at move exactly when a count does; changed_at never goes back."""
    known = tally()
    for changes, seconds in batches:
        moved = known.apply(changes, at(seconds))
        visible = moved.counts() != known.counts()
        assert moved.revision - known.revision == visible
        assert (moved.version != known.version) is visible
        assert moved.changed_at == (max(known.changed_at, at(seconds)) if visible else known.changed_at)
        net = Counter(dict.fromkeys(FOLDERS, 0))
        for folder, _, delta in changes:
            net[folder] += delta
        assert moved.counts() == {folder: known.counts()[folder] + net[folder] for folder in FOLDERS}
        known = moved


def test_i7_one_name_replaced_by_another_wakes_nobody():
    """I7: the digest moves, no count does, and so the version stays."""
    base = tally(queued=1)
    moved = base.apply([Change(QUEUED, "queued/a", -1), Change(QUEUED, "queued/b", 1)], at(60))
    assert moved.version == base.version
    assert moved.sums[QUEUED].digest != base.sums[QUEUED].digest


def test_a_move_between_folders_is_one_change():
    """A blob that goes from one folder to the next moves two counts and the revision once."""
    moved = tally(queued=1).apply([Change(QUEUED, "queued/a", -1), Change(INPUT, "input/a", 1)], at(60))
    assert moved.counts() == {QUEUED: 0, INPUT: 1, OUTPUT: 0}
    assert (moved.revision, moved.changed_at) == (8, at(60))


def test_apply_leaves_the_rest_alone():
    """Epoch, key, fingerprint, known_since and ready do not move, and neither does the tally applied to."""
    base = tally(ready=False)
    moved = base.apply([Change(QUEUED, "queued/a", 1)], at(1))
    for name in ("epoch", "digest_key", "fingerprint", "known_since", "ready"):
        assert getattr(moved, name) == getattr(base, name)
    assert base == tally(ready=False)


def test_versions_tell_tallies_apart():
    """A version names tally and revision: a rebuilt tally at the same revision has another."""
    versions = {tally().version, tally(revision=8).version, tally(epoch="beef").version}
    assert versions == {"c0ffee-7", "c0ffee-8", "beef-7"}


def test_a_new_tally_counts_nothing():
    """Every folder is there from the start, at zero, and the tally is not ready."""
    new = Tally("e", KEY, "f", changed_at=START, known_since=START)
    assert new.counts() == dict.fromkeys(FOLDERS, 0)
    assert (new.revision, new.ready) == (0, False)


SUMS = st.builds(Sum, st.integers(0, 2**53), st.integers(0, 2**128 - 1))
TALLIES = st.builds(
    tally,
    epoch=st.text(st.characters(exclude_categories=["Cs"])),
    digest_key=st.binary(min_size=16, max_size=16),
    fingerprint=st.text(),
    changed_at=st.timedeltas(timedelta(0), timedelta(days=9999)).map(lambda each: START + each),
    known_since=st.timedeltas(timedelta(0), timedelta(days=9999)).map(lambda each: START + each),
    revision=st.integers(0, 2**63 - 1),
    ready=st.booleans(),
    sums=st.fixed_dictionaries(dict.fromkeys(FOLDERS, SUMS), optional=dict.fromkeys(("failed", "a", "x_digest"), SUMS)),
)


@given(TALLIES)
def test_tallies_survive_storage(known):
    """A tally is read back as it was written, in types and sizes that a table takes."""
    properties = to_properties(known)
    assert all(isinstance(value, str | int | bool) for value in properties.values())
    assert all(-(2**63) <= value < 2**63 for value in properties.values() if isinstance(value, int))
    assert from_properties(properties) == known


def test_a_tally_of_the_three_is_stored_as_ever():
    """Releases without further folders read and write the same properties."""
    assert to_properties(tally(1, 2, 3)) == {
        "epoch": "c0ffee",
        "digest_key": KEY.hex(),
        "fingerprint": "f",
        "changed_at": "2026-11-22T18:20:31.123456+00:00",
        "known_since": "2026-11-22T18:20:31.123456+00:00",
        "revision": 7,
        "ready": True,
        **{f"{folder}_count": number for number, folder in enumerate(FOLDERS, 1)},
        **{f"{folder}_digest": "0" * 32 for folder in FOLDERS},
    }


@given(TALLIES)
def test_all_but_the_sketch_is_named(known):
    """What is read of a tally that is shown: every property but its sketch, further folders included."""
    properties = to_properties(replace(known, doubt="d", writer=NamedWriter("p", 1, START)))
    assert set(without_sketch(known.sums)) == {*properties, "moved_to"}
    assert not any(name.startswith("sketch") for name in without_sketch(known.sums))


@given(TALLIES, TALLIES, CHANGES, st.booleans())
def test_what_changes_ends_in_the_tally_afterwards(before, after, moves, has_sketch):
    """Written over what is stored, whichever of the two drops a name, a doubt or its sketch."""
    sketched = replace(before, sketch=Sketch(before.digest_key))
    folder = {change.folder for change in moves}
    moved = sketched.apply([change for change in moves if folder <= before.sums.keys()], at(1))
    after = replace(after, digest_key=before.digest_key, sums=before.sums, sketch=moved.sketch if has_sketch else None)
    named = replace(moved, writer=NamedWriter("p", 1, START))
    for old, new in [(sketched, moved), (moved, after), (named, after), (after, named), (named, moved), (moved, named)]:
        properties, merges = changed_properties(old, new)
        stored = {**to_properties(old), **properties} if merges else properties
        assert from_properties(stored) == new


def test_a_commit_writes_the_texts_of_the_sketch_that_it_changes():
    """Four of them at most for a name; and a further folder called like them is none of them."""
    before = replace(tally(), sketch=Sketch(KEY), sums={**tally().sums, "sketch": Sum(), "sketch001": Sum()})
    properties, merges = changed_properties(before, before.apply([Change("sketch", "x/a.jpg", 1)], at(1)))
    assert merges
    assert 1 <= len(properties.keys() - without_sketch(before.sums)) <= 4
    assert from_properties({**to_properties(before), **properties}).sketch is not None


@pytest.mark.parametrize("missing", ["epoch", "revision", "queued_count", "output_digest", "ready"])
def test_half_a_tally_is_none(missing):
    """A stored tally that lacks a property is not read as zeros."""
    properties = {name: value for name, value in to_properties(tally()).items() if name != missing}
    with pytest.raises(KeyError):
        from_properties(properties)
