"""shared.intake.event_grid: what an event says, in both schemas, and that nothing else than a reason ever comes out."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from azure.eventgrid import SystemEventNames
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import EventNotUnderstood, OtherTopic
from shared.intake.event_grid import (
    BLOB_CREATED,
    BLOB_DELETED,
    BLOB_RENAMED,
    DIRECTORY_DELETED,
    DIRECTORY_RENAMED,
    MAX_NAME_CHARACTERS,
    SAYS_NOTHING,
    parse,
)
from shared.model.changes import BlobChange, DirectoryChange, normalise_sequencer
from tests.builders import PATH, SAMPLES, cloud_event, event_grid, sample, sequencer, subject_of, to_text

# Sample (without its schema's prefix) → path, presence and the digits in which its sequencer ends; () says nothing.
READS = {
    "created-put-blob": ("queued/case-0042/IMG_0001.jpg", True, "9d5e0000000000028963"),
    "created-put-block-list": ("queued/case-0042/IMG_0002.HEIC", True, "9d5e000000000002896b"),
    "created-copy-blob": ("input/case-0042/IMG_0001.jpg", True, "9d5e0000000000028971"),
    "created-flush-with-close": ("output/case-0042/IMG_0001.jpg", True, "04420000000000028972"),
    "created-sftp-commit": ("queued/case-0043/scan 1.tiff", True, "04420000000000028990"),
    "deleted": ("queued/case-0042/IMG_0001.jpg", False, "9d5e0000000000028974"),
    "deleted-file": ("output/case-0042/IMG_0001.jpg", False, "04420000000000028a01"),
    "renamed": ("output/case-0044/IMG_0009.jpg", True, "04420000000000028963"),
    "directory-renamed": (DirectoryChange("output", "case-0045/"), DirectoryChange("output", "case-45/")),
    "directory-deleted": (DirectoryChange("input", "case-0046/"),),
    "tier-changed": (),
}
SCHEMAS = {"eventgrid": event_grid, "cloudevents": cloud_event}
MADE_BY = pytest.mark.parametrize("make", SCHEMAS.values(), ids=SCHEMAS)
RENAME_DATA = {
    "sourceUrl": "https://caseimages.dfs.core.windows.net/input/old%20name.jpg",
    "destinationUrl": "https://caseimages.dfs.core.windows.net/output/new.jpg",
    "sequencer": sequencer(9),
}


def only(event: dict[str, Any]) -> BlobChange:
    """Return the one change of an event."""
    (found,) = parse(to_text(event))
    return found


def reason(event: object) -> str:
    """Return why an event is not understood."""
    with pytest.raises(EventNotUnderstood) as caught:
        parse(event if isinstance(event, str) else to_text(event))
    return str(caught.value)


@pytest.mark.parametrize("file", sorted(path.stem for path in SAMPLES.glob("*.json")))
def test_every_sample_is_read(file: str):
    """Each recorded event says what its file's name promises, in both schemas."""
    schema, _, name = file.partition("-")
    assert schema in SCHEMAS
    assert ("specversion" in json.loads(sample(file))) is (schema == "cloudevents")
    changes = parse(sample(file))
    if name.startswith("directory") or not READS[name]:
        assert all(found.event_time is not None for found in changes)
        assert [replace(found, event_time=None) for found in changes] == [*READS[name]]
        return
    path, present, digits = READS[name]
    assert (changes[0].path, changes[0].present) == (path, present)
    assert name == "renamed" or str(changes[0].sequencer).endswith(digits)
    assert changes[0].event_time is not None
    assert bool(changes[0].etag) is name.startswith("created")
    assert len(changes) == (2 if name == "renamed" else 1)


def test_no_sample_is_missing():
    """The samples cover each kind of event in Event Grid schema, and all but one in the other."""
    files = {path.stem for path in SAMPLES.glob("*.json")}
    assert {f"eventgrid-{name}" for name in READS} | {f"cloudevents-{name}" for name in READS} == files | {
        "cloudevents-deleted-file"
    }


@MADE_BY
def test_both_schemas_say_the_same(make):
    """A creation is read with name, sequencer, time and eTag whichever schema the subscription uses."""
    expected = BlobChange(
        "queued",
        "case-0042/IMG_0001.jpg",
        present=True,
        sequencer=sequencer(7),
        event_time=datetime(2026, 11, 22, 18, 20, 31, 123456, tzinfo=UTC),
        etag="0x8DE29F3C4835CD0",
    )
    assert only(make()) == expected
    assert only(make(BLOB_DELETED)).present is False


def test_event_types_are_those_of_the_platform():
    """Every storage event type that the platform's SDK knows is decided about, and no other."""
    published = {name.value for name in SystemEventNames if name.value.startswith("Microsoft.Storage.")}
    ours = {BLOB_CREATED, BLOB_DELETED, BLOB_RENAMED, DIRECTORY_DELETED, DIRECTORY_RENAMED} | SAYS_NOTHING
    assert {name for name in ours if name.startswith("Microsoft.Storage.")} == published
    assert ours - published <= {name.value for name in SystemEventNames}


@MADE_BY
@pytest.mark.parametrize("event_type", sorted(SAYS_NOTHING))
def test_events_that_say_nothing_are_understood(make, event_type):
    """An event type without a blob's presence gives no change, whatever else is in it."""
    assert parse(to_text(make(event_type, subject=None, data=None))) == []


@pytest.mark.parametrize(
    "text", ["", " ", "{", "null", "[]", "1", '"x"', "NaN", "true", "[{}]", "\ufeff{}", "{'a': 1}"]
)
def test_what_is_no_object_is_not_understood(text):
    """Text that is not one JSON object is refused with a reason."""
    assert reason(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"specversion": ' + "[" * 9000 + "]" * 9000 + "}"],
    ids=["deep list", "deep object", "huge integer", "deep version"],
)
def test_texts_that_break_parsers_are_not_understood(text):
    """Nesting and numbers that Python refuses become a reason, not a crash."""
    assert reason(text)


@MADE_BY
@pytest.mark.parametrize(
    "event_type", [None, "", 5, [], {}, "Microsoft.Storage.blobcreated", "Contoso.Thing", "x" * 9999]
)
def test_unknown_types_are_not_understood(make, event_type):
    """A missing, odd or unknown event type is refused, and the reason stays short."""
    assert 0 < len(reason(make(event_type))) < 300


@pytest.mark.parametrize("version", ["0.3", "1.1", "", None, 1, 1.0, [], {"a": float("nan")}])
def test_only_cloud_events_1_0_is_understood(version):
    """Another CloudEvents version is refused instead of being read as something else."""
    assert "1.0" in reason(cloud_event(specversion=version))


@MADE_BY
@pytest.mark.parametrize("data", [None, [], "{}", 5, float("nan"), True])
def test_without_a_data_object_nothing_is_understood(make, data):
    """A blob event whose data is no object is refused."""
    assert "data" in reason(make(data=data))


@MADE_BY
@pytest.mark.parametrize(
    "subject",
    [
        None,
        "",
        7,
        [],
        "/blobServices/default/containers/queued",
        "/blobServices/default/containers/queued/blobs/",
        "/blobServices/default/containers//blobs/a.jpg",
        "/blobservices/default/containers/queued/blobs/a.jpg",
        " /blobServices/default/containers/queued/blobs/a.jpg",
        "https://caseimages.blob.core.windows.net/queued/a.jpg",
    ],
)
def test_a_subject_without_a_blob_is_not_understood(make, subject):
    """The subject is the only source of the name; one that names no blob is refused."""
    assert "names no blob" in reason(make(subject=subject))


@pytest.mark.parametrize(
    ("name", "words"),
    [("a\ufffd.jpg", "corrupted"), ("a\ud800.jpg", "surrogate"), ("a" * (MAX_NAME_CHARACTERS + 1), "characters")],
)
def test_names_that_cannot_be_are_not_understood(name, words):
    """Corrupted, invalid and over-long names are refused, in words that an operator understands."""
    assert words in reason(event_grid(path=f"queued/{name}"))


@pytest.mark.parametrize(
    "name",
    [
        "a#b?c%20d.jpg",
        "a/b//c.jpg",
        "/a.jpg",
        "a\nb.jpg",
        "caf\u00e9.jpg",
        "cafe\u0301.jpg",
        "\U0001f4ca.png",
        "marker/",
        "blobs/queued/blobs/x.jpg",
        " a.jpg ",
        "A.JPG",
        "a" * MAX_NAME_CHARACTERS,
    ],
)
def test_names_are_taken_exactly(name):
    """No decoding, no normalisation, no case folding: the name is the subject's, character for character."""
    found = only(event_grid(path=f"queued/{name}"))
    assert (found.container, found.name, found.path) == ("queued", name, f"queued/{name}")


def test_the_url_is_not_the_name():
    """The name comes from the subject, also when the url says something else (it is cut at a #)."""
    assert only(event_grid(path="queued/a#b.jpg", data={"url": "https://x/queued/a"})).name == "a#b.jpg"


@MADE_BY
@pytest.mark.parametrize("when", [None, "", "yesterday", 5, [], "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_odd_times_are_no_time(make, when):
    """A time that cannot be read is None: then the blob is looked at, and the event is not lost."""
    assert only(make(eventTime=when, time=when)).event_time is None


@pytest.mark.parametrize(
    ("when", "microsecond"),
    [
        ("2026-11-22T18:20:31.9584103Z", 958410),
        ("2026-11-22T18:20:31Z", 0),
        ("2026-11-22T18:20:31", 0),
        ("2026-11-22T19:20:31+01:00", 0),
    ],
)
def test_times_are_utc(when, microsecond):
    """Seven digits of a second, an offset or none: the moment is the same, in UTC."""
    assert only(event_grid(eventTime=when)).event_time == datetime(2026, 11, 22, 18, 20, 31, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ("00AbC", "00abc"),
        (" \t0f\n", "0f"),
        ("0" * 64, "0" * 64),
        ("0" * 65, None),
        ("", None),
        ("0x1f", None),
        ("xyz", None),
        ("0 1", None),
        ("\u0661", None),
        (7, None),
        (None, None),
        (["0a"], None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_sequencers_have_one_form(given_value, expected):
    """Hex in either case is folded; what is not a sequencer is None, never a guess."""
    assert normalise_sequencer(given_value) == expected
    assert only(event_grid(data={"sequencer": given_value})).sequencer == expected


def test_a_ligature_is_no_sequencer():
    """Characters outside of ASCII never become hex digits."""
    assert normalise_sequencer("\ufb00") is None


@pytest.mark.parametrize("etag", [None, 5, [], {}])
def test_an_odd_etag_is_none(etag):
    """The eTag is for information: an odd one is left out, the event counts."""
    assert only(event_grid(data={"sequencer": "1", "eTag": etag})).etag == ""


@MADE_BY
def test_a_rename_asks_for_looks(make):
    """A rename gives both names, the source also decoded, and all of them are to be looked at."""
    changes = parse(to_text(make(BLOB_RENAMED, "output/new.jpg", data=RENAME_DATA)))
    assert [(found.path, found.present) for found in changes] == [
        ("output/new.jpg", True),
        ("input/old%20name.jpg", False),
        ("input/old name.jpg", False),
    ]
    assert all(found.look for found in changes)
    assert all(found.sequencer is None for found in changes[1:])


def test_a_plain_source_is_named_once():
    """A source URL without escapes names one blob, not two."""
    data = RENAME_DATA | {"sourceUrl": "https://caseimages.dfs.core.windows.net/input/a/b.jpg"}
    changes = parse(to_text(event_grid(BLOB_RENAMED, "output/b.jpg", data=data)))
    assert [found.path for found in changes] == ["output/b.jpg", "input/a/b.jpg"]


@MADE_BY
@pytest.mark.parametrize(
    ("event_type", "prefixes"),
    [
        (DIRECTORY_DELETED, [("output", "a/new/")]),
        (DIRECTORY_RENAMED, [("output", "a/new/"), ("input", "old%20dir/"), ("input", "old dir/")]),
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_directory_event_names_the_directories(make, event_type, prefixes, end):
    """A directory's path ends with one slash, however the event writes it; a source is taken both ways."""
    data = {"sourceUrl": f"https://caseimages.dfs.core.windows.net/input/old%20dir{end}", "recursive": "true"}
    found = parse(to_text(make(event_type, f"output/a/new{end}", data=data)))
    assert [(each.container, each.prefix) for each in found] == prefixes
    assert all(each.event_time is not None for each in found)


@pytest.mark.parametrize(
    "source",
    [
        None,
        5,
        "",
        "input/a.jpg",
        "https://host",
        "https://host/",
        "https://host/input/",
        "https://host/i/\ufffd.jpg",
        [1],
    ],
)
def test_a_rename_without_a_source_is_not_understood(source):
    """Half a rename is no rename: it is refused as a whole."""
    assert "sourceUrl" in reason(event_grid(BLOB_RENAMED, "output/b.jpg", data=RENAME_DATA | {"sourceUrl": source}))


def test_a_source_is_decoded_to_valid_names_only():
    """Decoding a source that was never encoded does not invent a name that cannot be."""
    data = RENAME_DATA | {"sourceUrl": "https://caseimages.dfs.core.windows.net/input/100%FF.jpg"}
    changes = parse(to_text(event_grid(BLOB_RENAMED, "output/b.jpg", data=data)))
    assert not [found.path for found in changes if "\ufffd" in found.path]


SEGMENTS = st.one_of(
    st.sampled_from([".", "..", "...", ".a", "a.", "a\x01", "\x7f", "\x85", "\ufffe", "\uffff", "a b", "é", "%41"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd/"), max_size=10),
)
ANY_NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join).filter(bool)


def is_blobs_name(name: str) -> bool:
    """Tell whether a blob can have a name: by the characters that Azure's documentation excludes, and by its URL."""
    return all(unicodedata.category(each) != "Cc" for each in name) and not {".", ".."} & {*name.split("/")}


@given(name=ANY_NAMES)
@pytest.mark.parametrize("event_type", [BLOB_RENAMED, DIRECTORY_RENAMED])
def test_a_source_is_named_as_it_stands_and_decoded_if_a_blob_can_have_that_name(event_type: str, name: str) -> None:
    """Storage would refuse to look at any other, and the delivery would fail for a day."""
    assume(name not in {".", ".."})  # dots are not encoded
    data = RENAME_DATA | {"sourceUrl": f"https://caseimages.dfs.core.windows.net/input/{quote(name, safe='')}"}
    _, *found = parse(to_text(event_grid(event_type, PATH, data=data)))
    spellings = [each.name if isinstance(each, BlobChange) else each.prefix for each in found]
    end = "/" if event_type == DIRECTORY_RENAMED else ""
    expected = [quote(name, safe=""), *([name.rstrip("/") if end else name] if is_blobs_name(name) else [])]
    assert spellings == [each + end for each in dict.fromkeys(expected)]


@MADE_BY
@pytest.mark.parametrize("name", ["..", "../x.jpg", "a/../../input/x.jpg", "./x.jpg", "a/./x.jpg", "a/.", "a/.."])
def test_a_name_that_leaves_its_place_is_not_understood(make, name):
    """Its URL is of another blob: a look at it would be refused, or answered for that one."""
    source = RENAME_DATA | {"sourceUrl": f"https://caseimages.dfs.core.windows.net/input/{name}"}
    for event in (
        make(path=f"queued/{name}"),
        make(DIRECTORY_DELETED, f"queued/{name}"),
        make(BLOB_RENAMED, data=source),
    ):
        assert "segment . or .." in reason(event)


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), min_size=1, max_size=60))
def test_any_name_survives(name):
    """Whatever a blob is called, the event in either schema and the source of a rename name that very blob."""
    assume(is_blobs_name(name))
    assert only(event_grid(path=f"input/{name}")).name == name
    assert only(cloud_event(path=f"input/{name}")).name == name
    data = RENAME_DATA | {"sourceUrl": f"https://caseimages.dfs.core.windows.net/input/{quote(name)}"}
    assert name in {found.name for found in parse(to_text(event_grid(BLOB_RENAMED, PATH, data=data)))[1:]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
ODD = JSON | st.sampled_from([subject_of(PATH), BLOB_CREATED, BLOB_DELETED, BLOB_RENAMED, "1.0", sequencer(1)])
NAMES = ("eventType", "type", "subject", "eventTime", "time", "data", "specversion")
DATA = st.fixed_dictionaries({}, optional=dict.fromkeys(("sequencer", "eTag", "sourceUrl", "api"), ODD))
EVENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ODD) | {"data": DATA | ODD})


def reads_or_refuses(text: str) -> None:
    """Check that a text gives changes or a reason, and that both can be stored."""
    changes: list[BlobChange] = []
    refusal = "none"
    try:
        changes = parse(text)
    except EventNotUnderstood as error:
        refusal = str(error)
    assert refusal.encode()
    for found in changes:
        assert found.path.encode()
        assert found.name
        assert found.event_time is None or found.event_time.tzinfo is UTC


@given(event=EVENTS | JSON)
def test_any_json_is_read_or_refused(event):
    """Arbitrary JSON, close to an event or far from one, gives a list or EventNotUnderstood and nothing else."""
    reads_or_refuses(to_text(event))


@given(event=st.builds(lambda base, odd: base | odd, st.sampled_from([event_grid(), cloud_event()]), EVENTS))
def test_any_spoilt_event_is_read_or_refused(event):
    """A true event with some fields replaced by anything gives a list or EventNotUnderstood and nothing else."""
    reads_or_refuses(to_text(event))


@given(text=st.text(st.characters()))
def test_any_text_is_read_or_refused(text):
    """Arbitrary text, lone surrogates included, gives a list or EventNotUnderstood and nothing else."""
    reads_or_refuses(text)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_only_events_of_the_topics_that_are_named(schema):
    """With an allow-list an event of another account is told apart, whatever it says; case does not matter."""
    text = sample(f"{schema}-created-put-blob")
    topic = str(json.loads(text)["topic" if schema == "eventgrid" else "source"])
    assert parse(text, frozenset({topic.lower()}))
    for event in (json.loads(text), json.loads(text) | {"data": None, "type": 7, "eventType": None}):
        with pytest.raises(OtherTopic, match="EVENT_TOPICS"):
            parse(json.dumps(event), frozenset({"/subscriptions/other"}))
    for nothing in (None, "", 7, {}):
        with pytest.raises(EventNotUnderstood, match="names no topic") as caught:
            parse(to_text(event_grid() | {"topic": nothing, "source": nothing}), frozenset({"/subscriptions/other"}))
        assert not isinstance(caught.value, OtherTopic)


def test_what_is_larger_than_an_event_is_not_parsed():
    """Nobody can make the app read more than Event Grid would ever deliver."""
    assert "characters" in reason('{"a": "' + "x" * 1_500_000 + '"}')
