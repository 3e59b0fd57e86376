"""shared.serving.protocol: its table row by row, and that any header or query gives an answer or a 400."""

from __future__ import annotations

import ast
import json
import re
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localdev.host.routes import Router
from localdev.host.worker import Function
from localdev.processes import ROOT
from shared.errors import BlobStatusError, CountsNotReady, SettingsError, TooManyWaiters, Unavailable
from shared.serving import openapi, problems, protocol
from shared.serving.problems import BadRequest, InternalError, MethodNotAllowed, Unauthorized
from shared.serving.protocol import (
    MAX_VALUE_CHARACTERS,
    EntityTags,
    StatusQuery,
    http_date,
    parse_last_event_id,
    parse_status_query,
    parse_tags,
)
from tests.builders import MAX_WAIT_SECONDS, START, at, query, snapshot

SECOND = timedelta(seconds=1)


def matching(value: str) -> StatusQuery:
    """Read a request with this If-None-Match."""
    return query({"if-none-match": value})


def since(moment: datetime, **parameters: str) -> StatusQuery:
    """Read a request with this If-Modified-Since."""
    return query({"if-modified-since": http_date(moment)}, **parameters)


# --- If-None-Match --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ('"c0ffee-7"', True),
        ('W/"c0ffee-7"', True),
        ('"old", "c0ffee-7"', True),
        ('"old" ,W/"c0ffee-7",', True),
        ("*", True),
        (" * ", True),
        ("c0ffee-7", True),
        ('"c0ffee-8"', False),
        ('"C0FFEE-7"', False),
        ('"c0ffee-70"', False),
        ('"c0ffee-70-gzip"', False),
        ('"c0ffee-"', False),
        ('"c0ffee--7"', False),
        ('"c0ffee-07"', False),
        ('"x-c0ffee-7"', False),
        ('"old,c0ffee-7"', False),
        ('"x, c0ffee-7, y"', False),
        ("old", False),
    ],
)
def test_if_none_match(value, holds):
    """`If-None-Match: "<version>"` (lists, weak, `*` as RFC 9110): 304 when it still holds."""
    assert matching(value).holds_for(snapshot()) is holds


ADDED = ["-gzip", "--gzip", "-df", ";gzip", ":br", ".zst", "+1", "-1", " ", "/0", "_", "\u00e9", "\u00b2", "-gzip-df"]


@pytest.mark.parametrize("added", ADDED)
def test_what_a_proxy_has_added(added):
    """A version comes back with something added to it: it is that version, wherever a version is taken."""
    tag = f"c0ffee-7{added}"
    for value in (f'"{tag}"', f'W/"{tag}"', f'"old-gzip", "{tag}"', f'"c0ffee-7"{added}'):
        assert matching(value).holds_for(snapshot())
    assert query(since=tag).holds_for(snapshot())
    assert snapshot().is_named(parse_last_event_id([("last-event-id", tag)], []))
    assert snapshot(revision=6).is_behind(tag)


@given(st.integers(0, 10**20), st.text(max_size=20))
def test_what_is_added_never_makes_another_version_of_it(revision, added):
    """Whatever is added: a version is itself, and never the one that its further digits would make it."""
    other = snapshot(revision=revision)
    is_longer = added[:1] in set("0123456789")
    assert other.is_named(other.version + added) is not is_longer
    assert not snapshot(revision=revision + 1).is_named(other.version + ("" if is_longer else added))


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ('"a', {"a"}),
        ('a", "b"', {"a", ", ", "b"}),
        ('"a" junk "b"', {"a", "junk", "b"}),
        ('"a";;,"b"', {"a", ";;", "b"}),
        ('"a", "', {"a"}),
        ('w/"a"', {"w/", "a"}),
        ('"a"\x00"b"', {"a", "\x00", "b"}),
    ],
)
def test_junk_in_a_list_hides_nothing_after_it(value, tags):
    """What is no entity tag is taken as it stands, or skipped; the tags around it still count."""
    assert parse_tags(value) == EntityTags(frozenset(tags))


@pytest.mark.parametrize("value", ["", " ", ",", " , ,", '""', 'W/""'])
def test_an_empty_if_none_match_counts_as_absent(value):
    """An **empty** value (the seed's client sends one) counts as absent: answered in full and at once."""
    found = query({"if-none-match": value}, wait="20")
    assert found == query(wait="20")
    assert not found.holds_for(snapshot())
    assert not found.is_held_from(snapshot())


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ('"a", W/"b" ,"c"', {"a", "b", "c"}),
        ('"a,b", "c"', {"a,b", "c"}),
        ("a, b", {"a", "b"}),
        (',,"a",,', {"a"}),
        ('"a"\t,\t"b"', {"a", "b"}),
        ('"W/a"', {"W/a"}),
        ('"\u00e9"', {"\u00e9"}),
        ('"*"', {"*"}),
    ],
)
def test_tags_are_read_as_rfc_9110(value, tags):
    """`If-None-Match: "<version>"` (lists, weak, `*` as RFC 9110): commas inside quotes separate nothing."""
    assert parse_tags(value) == EntityTags(frozenset(tags))


def test_repeated_if_none_match_is_one_list():
    """`If-None-Match: "<version>"` (lists …): several header lines are one list."""
    found = parse_status_query([("if-none-match", '"a"'), ("if-none-match", 'W/"b"')], [], MAX_WAIT_SECONDS)
    assert found.tags.versions == {"a", "b"}


def test_a_quoted_star_is_a_tag():
    """`*` as RFC 9110: only without quotes does it stand for any version."""
    assert not matching('"*"').holds_for(snapshot())


@pytest.mark.parametrize(
    "value",
    ["a" * 4095 + '"', " " * 4096, '"' * 4095, "wait=" + " " * 4000 + "5 5", 'wait="' + "\\" * 4000, "wait;" * 800],
)
@pytest.mark.parametrize("name", ["if-none-match", "prefer"])
def test_long_values_are_read_quickly(name, value):
    """The longest value allowed is read in milliseconds: nobody stops the loop that serves everyone."""
    started = time.process_time()
    query({name: value})
    assert time.process_time() - started < 0.05


# --- If-Modified-Since ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_the_change", "holds"),
    [(-60, False), (-1, False), (0, False), (1, True), (2, True), (99, True), (999, False)],
)
def test_if_modified_since(after_the_change, holds):
    """`If-Modified-Since`: one-second resolution, so never a 304 for something that may have changed within it."""
    moment = START.replace(microsecond=0) + after_the_change * SECOND
    assert since(moment).holds_for(snapshot()) is holds


def test_a_change_on_the_whole_second_is_modified():
    """`If-Modified-Since`: a change at the very second that is quoted counts as modified."""
    moment = START.replace(microsecond=0)
    assert not since(moment).holds_for(snapshot(changed_at=moment))
    assert since(moment + SECOND).holds_for(snapshot(changed_at=moment))


@pytest.mark.parametrize("header", [{"if-none-match": '"old"'}, {"if-none-match": "c0ffee-6"}])
def test_if_modified_since_only_without_if_none_match(header):
    """`If-Modified-Since` only without `If-None-Match`: the tag alone decides."""
    found = query(header | {"if-modified-since": http_date(at(3600))})
    assert found.unmodified_since is None
    assert not found.holds_for(snapshot())


def test_if_modified_since_beside_an_empty_if_none_match():
    """An **empty** value counts as absent, so `If-Modified-Since` decides."""
    assert query({"if-none-match": "", "if-modified-since": http_date(at(60))}).holds_for(snapshot())


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "0",
        "-1",
        "2026-11-22T18:20:31Z",
        "Sun, 22 Nov 2026 25:20:31 GMT",
        "Sun, 32 Nov 2026 18:20:31 GMT",
        "Sun, 22 Nov 2026 18:20:31 +9999",
        "Sun, 22 Nov 99999999999999999999 18:20:31 GMT",
        "Sun, 22 Nov 2026",
        ", , ,",
        "\x00",
    ],
)
def test_odd_dates_are_ignored(value):
    """`If-Modified-Since`: a value that is no date is as if it were absent (RFC 9110, 13.1.3)."""
    found = query({"if-modified-since": value}, wait="20")
    assert found.unmodified_since is None
    assert not found.is_held_from(snapshot())


@pytest.mark.parametrize(
    "value", ["Sun, 22 Nov 2026 18:20:32 GMT", "Sunday, 22-Nov-26 18:20:32 GMT", "Sun, 22 Nov 2026 19:20:32 +0100"]
)
def test_dates_in_other_spellings(value):
    """`If-Modified-Since`: a date is understood in its current and in its obsolete spelling."""
    assert query({"if-modified-since": value}).unmodified_since == datetime(2026, 11, 22, 18, 20, 32, tzinfo=UTC)


def test_asctime_dates():
    """`If-Modified-Since`: the third spelling of RFC 9110, 5.6.7 must be accepted as well; it is UTC."""
    assert query({"if-modified-since": "Sun Nov 22 18:20:32 2026"}).unmodified_since is not None


@pytest.mark.parametrize("value", ["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"])
def test_dates_at_the_ends_of_time_compare(value):
    """`If-Modified-Since`: a date that UTC cannot express is compared like any other, without a crash."""
    assert query({"if-modified-since": value}).holds_for(snapshot()) in {True, False}


def test_two_dates_are_none():
    """`If-Modified-Since`: more than one is ignored (RFC 9110, 13.1.3)."""
    header = ("if-modified-since", http_date(at(3600)))
    assert parse_status_query([header, header], [], MAX_WAIT_SECONDS).unmodified_since is None


# --- waiting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("wait=25", 25),
        ("WAIT=25", 25),
        ("wait = 25", 25),
        ('wait="25"', 25),
        (r'wait="2\5"', 25),
        ("wait=25;", 25),
        ("wait=25 ; ; x", 25),
        (", ,wait=25", 25),
        ('x="a, wait=5", wait=25', 25),
        (r'x="\", wait=5", wait=25', 25),
        ("wait=25, wait=5", 25),
        ("wait=25, wait=abc", 25),
        ("return=minimal; wait=5, wait=25", 25),
        ("respond-async, wait=25", 25),
        ("wait=25; x=1, return=minimal", 25),
        ("wait=0", 0),
        ("wait=0.5", 0.5),
        ("wait=61", MAX_WAIT_SECONDS),
        ("wait=999999999", MAX_WAIT_SECONDS),
    ],
)
def test_prefer_wait(value, seconds):
    """`Prefer: wait=N` (RFC 7240): N over the maximum is clamped, and `Preference-Applied` answers it."""
    found = query({"prefer": value})
    assert (found.wait_seconds, found.wait_was_preferred) == (seconds, True)


@pytest.mark.parametrize(
    "value",
    ["", "respond-async", "awaits=5", "wait-for=5", "return=minimal; wait=5", '"wait"=5', 'x="a, wait=5', "x=wait=5"],
)
def test_other_preferences_are_ignored(value):
    """`Prefer: wait=N` (RFC 7240): preferences that are not known are ignored."""
    assert query({"prefer": value}) == StatusQuery()


@pytest.mark.parametrize(
    "first", ["wait", "wait=", 'wait=""', "WAIT ;x=1", "wait 5", "wait=5 5", "wait='5'", 'wait="5']
)
def test_a_wait_without_a_value_is_none(first):
    """RFC 7240, 2: no value and an empty one are the same; the first counts, so the next one does not."""
    assert query({"prefer": first}) == StatusQuery()
    assert parse_status_query([("prefer", first), ("prefer", "wait=7")], [], MAX_WAIT_SECONDS) == StatusQuery()


@pytest.mark.parametrize("lines", [["wait=1, wait=2"], ["wait=1", "wait=2"], ["x, WAIT=1", "", "wait=2", "wait=1"]])
def test_the_first_preference_counts(lines):
    """RFC 7240, 2: of several only the first is considered, across header lines too."""
    found = parse_status_query([("prefer", line) for line in lines], [], MAX_WAIT_SECONDS)
    assert found == StatusQuery(wait_seconds=1, wait_was_preferred=True)


@pytest.mark.parametrize(
    ("value", "seconds"), [("25", 25), ("0", 0), ("0.25", 0.25), ("60", 60), ("61", 60), ("1000000", 60)]
)
def test_query_wait(value, seconds):
    """`?wait=N`: hold up to N seconds; N over the maximum (60) is clamped. No preference was applied."""
    assert query(wait=value) == StatusQuery(wait_seconds=seconds)


def test_a_very_long_wait_is_clamped():
    """N over the server's maximum (60) is clamped, however many digits it has."""
    assert query(wait="10000000000").wait_seconds == MAX_WAIT_SECONDS


@given(st.one_of(st.floats(0, 200), st.integers(0, 200), st.floats(0, 0.001)))
def test_an_applied_wait_is_written_as_waits_are(seconds):
    """In plain decimals, however short: as the OpenAPI document has it, and as it is read."""
    name, value = protocol.applied_wait(seconds)
    schema = openapi.document()["components"]["headers"]["Preference-Applied"]["schema"]
    assert (name, bool(re.search(schema["pattern"], value))) == ("Preference-Applied", True)
    assert query({"prefer": value}).wait_seconds == pytest.approx(min(seconds, MAX_WAIT_SECONDS), abs=1e-6)
    assert not value.endswith("0") or not value.count(".")


def test_query_wait_wins():
    """`Prefer: wait=N` or `?wait=N`: of both, the query decides, and nothing is said of the preference."""
    assert query({"prefer": "wait=5"}, wait="7") == StatusQuery(wait_seconds=7)


def test_the_maximum_is_the_servers():
    """N over the server's maximum is clamped to the setting, whatever it is."""
    assert parse_status_query([], [("wait", "30")], 12.5).wait_seconds == 12.5


@pytest.mark.parametrize(
    ("headers", "parameters", "held"),
    [
        ({"if-none-match": '"c0ffee-7"'}, {"wait": "20"}, True),
        ({"if-none-match": '"old"'}, {"wait": "20"}, False),
        ({"if-none-match": '"c0ffee-7"'}, {}, False),
        ({"if-none-match": '"c0ffee-7"'}, {"wait": "0"}, False),
        ({"if-none-match": '"c0ffee-7"', "prefer": "wait=20"}, {}, True),
        ({"if-none-match": "*"}, {"wait": "20"}, True),
        ({"if-modified-since": http_date(at(10))}, {"wait": "20"}, True),
        ({"if-modified-since": http_date(at(-10))}, {"wait": "20"}, False),
        ({}, {"wait": "20"}, False),
        ({}, {"wait": "20", "from_": "now"}, True),
        ({}, {"from_": "now"}, False),
        ({"if-none-match": '"old"'}, {"wait": "20", "from_": "now"}, False),
        ({}, {"wait": "20", "since": "c0ffee-7"}, True),
        ({}, {"wait": "20", "since": "c0ffee-6"}, False),
    ],
)
def test_what_is_held(headers, parameters, held):
    """Hold while the validator still matches. Without a validator: answer at once, unless `from=now`. With `*`: any."""
    assert query(headers, **parameters).is_held_from(snapshot()) is held


@pytest.mark.parametrize(
    ("given_value", "holds"),
    [("c0ffee-7", True), ('"c0ffee-7"', True), ('W/"c0ffee-7"', True), ("old", False), ("", False)],
)
def test_since(given_value, holds):
    """`?since=<version>`: as `If-None-Match`, for paths that lose headers."""
    assert query(since=given_value).holds_for(snapshot()) is holds


def test_the_header_wins_over_since():
    """`?since=<version>`: as `If-None-Match`, when that is absent (or empty)."""
    assert query({"if-none-match": '"a"'}, since="b").tags.versions == {"a"}
    assert query({"if-none-match": ""}, since="b").tags.versions == {"b"}


# --- bad input ------------------------------------------------------------------------------------------------------

BAD_WAITS = ["abc", "-1", "+1", "NaN", "nan", "inf", "1e3", "", " ", "1_0", "0x10", "1,5", "\u0663", ".5", "5.", "5 5"]


@pytest.mark.parametrize("value", BAD_WAITS)
def test_bad_waits(value):
    """Bad input (`wait=abc`, negative, NaN …): 400 in the query; in `Prefer` it is as if it were not there."""
    with pytest.raises(BadRequest, match="wait"):
        query(wait=value)
    assert query({"prefer": f'wait="{value}"'}) == StatusQuery()
    if "," not in value:
        assert query({"prefer": f"wait={value}, wait=5"}) == StatusQuery()


@pytest.mark.parametrize("name", ["wait", "since", "from"])
def test_repeated_parameters(name):
    """Bad input (… repeated …): 400, and the detail names the parameter."""
    with pytest.raises(BadRequest, match=name):
        parse_status_query([], [(name, "1"), (name, "1")], MAX_WAIT_SECONDS)


@pytest.mark.parametrize("value", ["", "NOW", "then", "c0ffee-7"])
def test_from_takes_only_now(value):
    """Bad input: `from` has one value."""
    with pytest.raises(BadRequest, match="now"):
        query(from_=value)


@pytest.mark.parametrize("name", ["if-none-match", "if-modified-since", "prefer"])
def test_over_long_headers(name):
    """Bad input (… an over-long header): 400, counted over all lines of that name; one less is taken."""
    half = "x" * (MAX_VALUE_CHARACTERS // 2)
    parse_status_query([(name, half)] * 2, [], MAX_WAIT_SECONDS)
    with pytest.raises(BadRequest, match=name):
        parse_status_query([(name, half), (name, half + "x")], [], MAX_WAIT_SECONDS)


@pytest.mark.parametrize("name", ["since", "wait", "from"])
def test_over_long_parameters(name):
    """Bad input: an over-long query value is a 400 like an over-long header."""
    with pytest.raises(BadRequest, match="longer"):
        parse_status_query([], [(name, "1" * (MAX_VALUE_CHARACTERS + 1))], MAX_WAIT_SECONDS)


# --- Accept ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "only"),
    [
        (["text/event-stream"], True),
        (["TEXT/Event-Stream; charset=utf-8"], True),
        (["text/event-stream;q=0.1"], True),
        (["application/json", "text/event-stream"], True),
        (["text/*"], True),
        (["text/event-stream, */*;q=0"], True),
        (["text/event-stream, */*, application/problem+json;q=0"], True),
        (["text/event-stream, application/*;q=0.0, */*"], True),
        (['text/event-stream; x="a, */*"'], True),
        (["text/event-stream;;, ,;"], True),
        (["text/event-stream, application/problem+json"], False),
        (["text/event-stream", "Application/Problem+JSON;q=0.1"], False),
        (["text/event-stream, application/*"], False),
        (["text/event-stream, */*;q=0.001"], False),
        (["*/*"], False),
        (["text/event-stream;q=0"], False),
        (["text/event-stream; a=b; Q=0.000, text/html"], False),
        (["text/event-stream;q=0, text/*, application/json"], False),
        (["application/json"], False),
        (["text/event-streams"], False),
        (["text", "*", ";q=0", "\u00e9"], False),
        ([""], False),
        ([], False),
    ],
)
def test_who_takes_events_only(lines, only):
    """An EventSource accepts an event stream and no problem document; `*/*` accepts both (RFC 9110, 12.5.1)."""
    assert protocol.takes_events_only([("accept", line) for line in lines]) is only


@given(st.lists(st.text(st.sampled_from('*/,;=q01."\\ aetx'), max_size=40), max_size=3))
def test_any_accept_is_read(lines):
    """Arbitrary text is an answer, never an error."""
    assert protocol.takes_events_only([("accept", line) for line in lines]) in {True, False}


# --- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "parameters", "expected"),
    [
        ([], [], ""),
        ([("last-event-id", "c0ffee-7")], [], "c0ffee-7"),
        ([("last-event-id", ' "c0ffee-7" ')], [], "c0ffee-7"),
        ([("last-event-id", "")], [], ""),
        ([], [("last_event_id", "c0ffee-7")], "c0ffee-7"),
        ([], [("lastEventId", "c0ffee-7")], "c0ffee-7"),
        ([("last-event-id", "")], [("lastEventId", ""), ("last_event_id", "c0ffee-7")], "c0ffee-7"),
        ([], [("last_event_id", "old"), ("lastEventId", "new")], "new"),
        ([("last-event-id", "new")], [("lastEventId", "old")], "new"),
        ([("last-event-id", 'W/"c0ffee-7"')], [], "c0ffee-7"),
        ([("last-event-id", "new")], [("last_event_id", "old")], "new"),
        ([("last-event-id", "a"), ("last-event-id", "b")], [], "b"),
    ],
)
def test_last_event_id(headers, parameters, expected):
    """`Last-Event-ID`, then `?lastEventId=` (polyfills add it to an address), then `?last_event_id=`: newest first."""
    assert parse_last_event_id(headers, parameters) == expected


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ([], [("last_event_id", "a"), ("last_event_id", "b")]),
        ([], [("lastEventId", "a"), ("lastEventId", "a")]),
        ([], [("lastEventId", "x" * (MAX_VALUE_CHARACTERS + 1))]),
        ([], [("last_event_id", "x" * (MAX_VALUE_CHARACTERS + 1))]),
        ([("last-event-id", "x" * (MAX_VALUE_CHARACTERS + 1))], []),
    ],
)
def test_bad_last_event_ids(headers, parameters):
    """Bad input (… repeated; an over-long header): 400 for a stream too."""
    with pytest.raises(BadRequest):
        parse_last_event_id(headers, parameters)


def test_an_outage_as_an_event():
    """`retry:` and one event with the problem: no id, which would be forgotten, and no comment, which confirms."""
    error = Unavailable("storage is away")
    retry, event, data, *end = protocol.unavailable(error, 4213).split(b"\n")
    assert (retry, event, end) == (b"retry: 4213", b"event: unavailable", [b"", b""])
    assert data == b"data: " + problems.document(error)


def test_stream_frames():
    """First frame at once, after `retry: 3000`; comments are lines that no client dispatches."""
    frames = protocol.retry_line(3000) + snapshot().frame
    assert frames.startswith(b"retry: 3000\nid: c0ffee-7\nevent: status_update\ndata: {")
    assert (protocol.KEEP_ALIVE, protocol.UNCHANGED) == (b": keep-alive\n\n", b": unchanged\n\n")


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("d"), 400, "bad-request"),
        (Unauthorized("d"), 401, "unauthorized"),
        (MethodNotAllowed("d"), 405, "method-not-allowed"),
        (Unavailable("d"), 503, "unavailable"),
        (CountsNotReady("d"), 503, "counts-not-ready"),
        (TooManyWaiters("d"), 503, "too-many-waiters"),
        (InternalError("d"), 500, "internal-error"),
        (SettingsError("d"), 500, "internal-error"),
    ],
)
def test_problem_documents(error: BlobStatusError, status, code):
    """Every error that a request can meet is a problem document (RFC 9457) with the extra member `"success": false`."""
    found = json.loads(problems.document(error))
    assert found == {
        "type": "about:blank",
        "title": problems.problem_of(error).title,
        "status": status,
        "detail": "d",
        "code": code,
        "success": False,
    }
    assert problems.MEDIA_TYPE == "application/problem+json"


def test_a_challenge_goes_with_401():
    """No or bad token: 401 with `WWW-Authenticate`."""
    assert Unauthorized("d").headers == {"WWW-Authenticate": "Bearer"}


def test_http_dates():
    """200 and 304 carry `Last-Modified`: an IMF-fixdate, which reads back as the same second."""
    assert http_date(snapshot().last_modified) == "Sun, 22 Nov 2026 18:20:32 GMT"
    assert since(snapshot().last_modified).unmodified_since == snapshot().last_modified


# --- anything at all ------------------------------------------------------------------------------------------------

ODD_VALUES = st.text(st.characters(), max_size=40) | st.sampled_from(
    [
        "*",
        '"c0ffee-7"',
        'W/"a", "b,c"',
        "wait=5",
        'wait="',
        "now",
        "25",
        http_date(START),
        "Sun, 99 Foo -1 99:99:99 +99999",
    ]
)
HEADERS = st.sampled_from(["if-none-match", "if-modified-since", "prefer", "last-event-id"])
PARAMETERS = st.sampled_from(["wait", "since", "from", "last_event_id", "lastEventId"])


def pairs(names: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Return lists of names with odd values."""
    return st.lists(st.tuples(names, ODD_VALUES), max_size=4)


@given(headers=pairs(HEADERS), parameters=pairs(PARAMETERS))
def test_any_request_is_read_or_refused(headers, parameters):
    """Arbitrary header and query text gives a StatusQuery that can decide, or BadRequest, and nothing else."""
    try:
        found = parse_status_query(headers, parameters, MAX_WAIT_SECONDS)
    except BadRequest:
        return
    assert 0 <= found.wait_seconds <= MAX_WAIT_SECONDS
    assert found.holds_for(snapshot()) in {True, False}
    assert not found.is_held_from(snapshot()) or found.wait_seconds


@given(headers=pairs(HEADERS), parameters=pairs(PARAMETERS))
def test_any_last_event_id_is_read_or_refused(headers, parameters):
    """Arbitrary header and query text gives an id, "", or BadRequest, and nothing else."""
    try:
        found = parse_last_event_id(headers, parameters)
    except BadRequest:
        return
    assert snapshot().is_named(found) in {True, False}


VERSIONS = st.text(st.characters(exclude_characters='"'), min_size=1, max_size=30).filter(lambda tag: tag != "*")


@given(VERSIONS, st.booleans())
def test_any_tag_comes_back(tag, weak):
    """Whatever a version looks like, its quoted form is read as that version and no other."""
    value = f'"{tag}"'
    found = parse_tags(f'W/{value} , "other"' if weak else value)
    assert found == EntityTags(frozenset({tag, "other"} if weak else {tag}))


def routes() -> dict[str, bool]:
    """Return the routes of the counts in function_app.py, and whether each says that it is of a case."""
    found = {}
    for trigger in ast.walk(ast.parse((ROOT / "function_app.py").read_text())):
        if isinstance(trigger, ast.AsyncFunctionDef) and trigger.decorator_list:
            source = ast.unparse(trigger)
            if route := re.search(r"@app.route\('(cases/[^']+)', methods=endpoints.METHODS", source):
                found[route[1]] = "of_case=True" in source
    return found


ROUTES = routes()
ROUTER = Router(
    [Function(route, "id", {"type": "httpTrigger", "route": route}, disabled=False) for route in ROUTES], "api"
)


@st.composite
def spellings(draw) -> tuple[str, str, str]:
    """Return a route, a case, and a path that the host takes for them."""
    route, case = draw(st.sampled_from(sorted(ROUTES))), draw(st.text(min_size=1, max_size=5))
    ways = [str, str.upper, lambda char: f"%{ord(char):02X}", lambda char: f"%{ord(char.upper()):02x}"]
    parts = []
    for segment in ["api", *route.split("/")]:
        chars = (draw(st.sampled_from(ways))(char) for char in segment)
        parts.append(quote(case, safe="") if segment == "{case}" else "".join(chars))
    return route, case, "/" + "/".join(parts) + draw(st.sampled_from(["", "/"]))


@given(spellings())
def test_a_path_is_of_the_case_that_the_host_takes_it_for(spelling):
    """However it is spelled: upper case, percent-encoded, with a slash at the end."""
    route, case, path = spelling
    taken = ROUTER.match("GET", path)
    assert taken is not None
    assert taken[0].name == route
    assert ROUTES[route] is ("{case}" in route)
    if ROUTES[route]:
        assert protocol.parse_case(path.encode()) == case


@pytest.mark.parametrize("case", ["storage", "cases", "status", "stream", "api", "4711", "a/b", "a%2Fb"])
@pytest.mark.parametrize("end", ["", "/stream"])
def test_a_case_may_be_called_as_a_part_of_the_path(case, end):
    """What stands where the case stands is the case."""
    path = f"/api/cases/{quote(case, safe='')}/storage/status{end}"
    assert protocol.parse_case(path.encode()) == case


@given(st.lists(st.sampled_from(["", "api", "cases", "storage", "status", "stream", "4711"]), max_size=8))
def test_a_path_without_a_case_is_refused(segments):
    """It is never the path of everything."""
    path = "/" + "/".join(segments)
    named = re.search(r"(?:^|/)cases/([^/]+)/storage/status(?:/stream)?/*$", path)
    if named:
        assert protocol.parse_case(path.encode()) == named[1]
    else:
        with pytest.raises(BadRequest, match="no case"):
            protocol.parse_case(path.encode())


def test_a_case_that_is_no_text_is_refused():
    """It cannot be one that is counted."""
    with pytest.raises(BadRequest, match="UTF-8"):
        protocol.parse_case(b"/api/cases/%FF/storage/status")
