"""shared.model.snapshot: the bytes that are served, and the promise of "not modified since"."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.folders import RESERVED
from shared.model.snapshot import LAST_MODIFIED_MARGIN, StatusSnapshot
from shared.model.tally import Sum
from tests.builders import START, at, snapshot, tally

COUNTS = {"queued": 12, "processing": 3, "completed": 85}
MARGIN = LAST_MODIFIED_MARGIN.total_seconds()


def test_body_bytes():
    """The body is PROTOCOL's, byte for byte: names, order, no spaces."""
    assert snapshot(**COUNTS).body == (
        b'{"success":true,"data":{"queued_count":12,"input_count":3,"output_count":85,'
        b'"timestamp":"2026-11-22T18:20:31.123456+00:00","version":"c0ffee-7"}}'
    )


def test_frame_bytes():
    """The frame is PROTOCOL's, byte for byte, and ends with the blank line that dispatches it."""
    assert snapshot(**COUNTS).frame == (
        b"id: c0ffee-7\nevent: status_update\n"
        b'data: {"queued":12,"processing":3,"completed":85,'
        b'"timestamp":"2026-11-22T18:20:31.123456+00:00","version":"c0ffee-7"}\n\n'
    )


def test_a_count_that_was_made_negative_is_none():
    """Something else has written to the table; it is right again after the next reconciliation."""
    shown = snapshot(queued=-3, processing=3, completed=0)
    assert [shown.data[f"{folder}_count"] for folder in ("queued", "input", "output")] == [0, 3, 0]
    assert b'"queued":0,' in shown.frame


EXTRA = {"review": Sum(2), "output": Sum(85), "input": Sum(3), "failed": Sum(1), "queued": Sum(12)}


def test_body_bytes_with_further_folders():
    """Their counts come after the three, by name, in whichever order the tally has them."""
    assert snapshot(sums=EXTRA).body == (
        b'{"success":true,"data":{"queued_count":12,"input_count":3,"output_count":85,'
        b'"failed_count":1,"review_count":2,'
        b'"timestamp":"2026-11-22T18:20:31.123456+00:00","version":"c0ffee-7"}}'
    )


def test_frame_bytes_with_further_folders():
    """The frame calls them by their names."""
    assert snapshot(sums=EXTRA).frame == (
        b"id: c0ffee-7\nevent: status_update\n"
        b'data: {"queued":12,"processing":3,"completed":85,"failed":1,"review":2,'
        b'"timestamp":"2026-11-22T18:20:31.123456+00:00","version":"c0ffee-7"}\n\n'
    )


@pytest.mark.parametrize("served", [snapshot().data, json.loads(snapshot().frame.partition(b"data: ")[2])])
def test_no_further_folder_is_called_as_something_else(served):
    """Whatever body and frame say of the three and besides is reserved."""
    assert served.keys() <= RESERVED


def test_the_tag_quotes_the_version():
    """The ETag is strong, and the same opaque value stands in the body for clients that cannot read headers."""
    found = snapshot()
    assert found.etag == f'"{json.loads(found.body)["data"]["version"]}"' == '"c0ffee-7"'


@given(st.floats(0, 10_000), st.floats(0, 10_000), st.integers(0, 2**127), st.booleans())
def test_i6_same_version_same_bytes(one, other, digest, ready):
    """I6: body, frame and tag depend on the counts only: not on when they were read, nor on what is not served."""
    hidden = tally(**COUNTS, ready=ready, known_since=at(5), fingerprint="other")
    hidden_sums = {folder: Sum(total.count, digest) for folder, total in hidden.sums.items()}
    first, second = snapshot(one, **COUNTS), StatusSnapshot(tally(**COUNTS, sums=hidden_sums), at(other))
    assert (first.body, first.frame, first.etag) == (second.body, second.frame, second.etag)


def test_bytes_are_made_once():
    """One snapshot hands out one and the same body, however many ask."""
    found = snapshot()
    assert found.body is found.body
    assert found.frame is found.frame


def test_last_modified_is_the_next_second():
    """Read long after the change, Last-Modified is the second after it: "not modified" covers the whole second."""
    found = snapshot(read_seconds=100)
    assert found.last_modified == START.replace(microsecond=0) + timedelta(seconds=1)
    assert not found.modified_since(found.last_modified)


def test_last_modified_of_a_young_change_claims_nothing():
    """Read just after the change, Last-Modified lies before it: a client that quotes it is answered in full."""
    found = snapshot(read_seconds=0.5)
    assert found.last_modified < START
    assert found.modified_since(found.last_modified)


@given(st.floats(-100, 100), st.floats(0, 1000))
def test_last_modified_has_whole_seconds_in_the_past(changed, later):
    """Last-Modified is a whole second and never later than the read."""
    found = StatusSnapshot(tally(changed_at=at(changed)), at(changed + later))
    assert found.last_modified.microsecond == 0
    assert found.last_modified <= found.read_at


@given(
    first=st.floats(0, 3),
    read=st.floats(0, 8),
    second=st.floats(0, 8),
    lands=st.floats(0, MARGIN, exclude_max=True),
)
def test_a_later_change_is_never_not_modified(first, read, second, lands):
    """A change that lands after a read, stamped up to the margin earlier, is modified since that read's date."""
    held = StatusSnapshot(tally(changed_at=at(first)), at(first + read))
    landed = first + read + second  # after the read, or the read would have seen it
    stamped = max(at(first), at(landed - lands))
    assert StatusSnapshot(tally(changed_at=stamped, revision=8), at(landed)).modified_since(held.last_modified)


def test_an_unchanged_tally_becomes_not_modified():
    """The promise is not kept by never answering 304: once the change is old, the date that was served holds."""
    random = Random(20261122)
    for _ in range(200):
        found = snapshot(read_seconds=random.uniform(MARGIN + 2, 1000))
        assert not snapshot(read_seconds=2000).modified_since(found.last_modified)


def test_a_commit_that_landed_late_is_dated_by_its_landing():
    """Stamped at once, landed seconds later: a client that read in between is not told that it has this already."""
    held = snapshot(read_seconds=4, changed_at=at(0.1))
    late = replace(snapshot(read_seconds=9, changed_at=at(0.5), revision=8), written_at=at(5))
    assert late.modified_since(held.last_modified)
    assert late.last_modified > held.last_modified
