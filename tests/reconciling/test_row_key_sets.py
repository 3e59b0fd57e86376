"""shared.reconciling.row_key_sets: sets of row keys that stay small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.reconciling.row_key_sets import Buckets, KeySet

KEYS = st.integers(0, 2**128 - 1)
#: Keys that share their upper half, so that the lower half has to decide.
NEIGHBOURS = st.integers(0, 3).flatmap(lambda high: st.integers(high << 64, (high << 64) + 5))


def key_set(keys: set[int]) -> KeySet:
    """Return the keys, as a scan would give them."""
    found = KeySet()
    for key in sorted(keys):
        found.append(key)
    return found


@given(st.sets(KEYS | NEIGHBOURS), st.sets(KEYS | NEIGHBOURS))
def test_it_is_a_set_with_marks(keys, asked):
    """What is in the set is found and marked, what is not is not, and the rest stays unmarked, in order."""
    found = key_set(keys)
    assert {key for key in asked if found.mark(key)} == asked & keys
    assert list(found.unmarked()) == sorted(keys - asked)


@pytest.mark.parametrize("keys", [(5, 5), (5, 4), (1 << 64, 5), ((1 << 64) + 1, 1 << 64)])
def test_keys_come_in_order(keys):
    """A scan out of order would not be found by bisection: it is refused."""
    found = KeySet()
    found.append(keys[0])
    with pytest.raises(ValueError, match="ascending"):
        found.append(keys[1])


@given(st.lists(KEYS, max_size=20), st.randoms(use_true_random=False), KEYS)
def test_buckets_do_not_know_order_and_tell_sets_apart(keys, random, other):
    """The same keys in any order agree everywhere; one key more disagrees in its bucket, and only there."""
    first, second = Buckets(), Buckets()
    for key in keys:
        first.add(key)
    for key in random.sample(keys, len(keys)):
        second.add(key)
    assert all(first.agree_on(key, second) for key in keys)
    if other % 2**64:
        second.add(other)
        assert not first.agree_on(other, second)
        assert all(first.agree_on(key, second) for key in keys if key >> 119 != other >> 119)


@given(st.sets(KEYS, min_size=1, max_size=50))
def test_buckets_survive_being_written_down(keys):
    """Sums read back go on where they were, and those of a set of keys are the same."""
    once, twice = Buckets(), Buckets()
    key_set(keys).add_to(once)
    for index, key in enumerate(sorted(keys)):
        if index == len(keys) // 2:
            twice = Buckets(twice.encode())
        twice.add(key)
    assert all(once.agree_on(key, twice) for key in keys)
    assert len(once.encode()) < 6000


@pytest.mark.parametrize("text", ["AAAA", "not base64!", "AAAAAAAAAAA=", f"!{Buckets().encode()}"])
def test_what_is_not_buckets_is_refused(text):
    """A checkpoint of another make is not taken for one of ours."""
    with pytest.raises(ValueError, match=r".+"):
        Buckets(text)
