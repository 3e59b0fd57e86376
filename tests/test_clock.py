"""shared.clock: moments as they are stored and served."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock, from_iso, is_due, to_iso

#: Whole days from the year 2 to 9998, and something smaller.
MOMENTS_UTC = st.builds(
    lambda days, rest: datetime(2, 1, 1, tzinfo=UTC) + timedelta(days=days) + rest,
    st.integers(0, 3_651_000),
    st.timedeltas(timedelta(0), timedelta(days=1)),
)
OFFSETS = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)
MOMENTS = st.builds(lambda moment, zone: moment.astimezone(zone), MOMENTS_UTC, OFFSETS)


def test_iso_has_always_six_digits():
    """A whole second is written like any other, so that stored moments sort and bodies keep their width."""
    assert to_iso(datetime(2026, 11, 22, 18, 20, 31, tzinfo=UTC)) == "2026-11-22T18:20:31.000000+00:00"


@given(MOMENTS_UTC, st.timedeltas(timedelta(0), timedelta(days=30)), st.timedeltas(timedelta(seconds=1)))
def test_what_was_done_is_due_again(now, every, beyond):
    """After the interval, and not before it; a moment that is still to come is nobody's."""
    assert is_due(now - every, every, now)
    assert is_due(now + timedelta(microseconds=1), every, now)
    assert is_due(now + min(beyond, datetime.max.replace(tzinfo=UTC) - now), every, now)
    later = every + timedelta(microseconds=1)
    assert not is_due(now, later, now)
    assert not is_due(now - every, later, now)


@given(MOMENTS)
def test_iso_round_trip(moment):
    """What is written is read back as the same moment, in UTC."""
    found = from_iso(to_iso(moment))
    assert found == moment
    assert found.tzinfo is UTC


@given(
    st.text(max_size=40)
    | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)?", fullmatch=True)
)
def test_iso_reads_or_raises_value_error(text):
    """Anything that is no moment raises ValueError, and only that."""
    try:
        found = from_iso(text)
    except ValueError:
        return
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_moments_outside_of_time_raise_value_error(text):
    """A moment that UTC cannot express is a ValueError, not an OverflowError."""
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


def test_system_clock_knows_its_zone():
    """The machine's clock tells UTC, and its monotonic side does not go back."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_moment_without_a_zone_is_utc(monkeypatch):
    """A moment without a zone is UTC wherever the process runs, not the machine's local time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "WIB-7")
        time.tzset()
        found = from_iso("2026-11-22T18:20:31")
    time.tzset()
    assert found == datetime(2026, 11, 22, 18, 20, 31, tzinfo=UTC)
