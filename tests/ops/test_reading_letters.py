"""What Event Grid's dead-letter blobs hold, and what they must not be mistaken for."""

from __future__ import annotations

import json

import pytest

from ops.dead_letters import NotDeadLetters, read_letters
from shared.intake.event_grid import parse
from shared.model.changes import BlobChange
from tests.ops.conftest import LETTERS


@pytest.mark.parametrize(("schema", "names"), [("eventgrid", [1, 2, 3]), ("cloudevents", [11, 12])])
def test_events_are_as_they_were_to_be_delivered(schema: str, names: list[int]) -> None:
    """Both schemas: what Event Grid added is gone, the rest is understood; a lost specversion is put back."""
    letters = read_letters((LETTERS / f"{schema}.json").read_bytes())
    changes = [change for letter in letters for change in parse(letter.text)]
    assert [isinstance(change, BlobChange) and change.name for change in changes] == [
        f"case-0042/IMG_{number:04}.jpg" for number in names
    ]
    for letter in letters:
        assert not [name for name in json.loads(letter.text) if "elivery" in name or "eadletter" in name.lower()]
        assert "publishtime" not in letter.text.lower()
    assert letters[0].why == "MaxDeliveryAttemptsExceeded, NotFound"


def test_what_is_no_event_is_kept_as_it_is() -> None:
    """A dead letter of any content is handed on: the app, not the tool, decides what it understands."""
    (letter,) = read_letters(b'\xef\xbb\xbf[{"deadLetterReason": "Other", "x": "\\ud83d"}]')
    assert json.loads(letter.text) == {"x": "\ud83d"}
    assert read_letters(b"[]") == []


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
def test_an_event_alone_is_an_array_of_one(schema: str) -> None:
    """Each event is the same letter alone in its blob as among others."""
    together = json.loads((LETTERS / f"{schema}.json").read_bytes())
    letters = read_letters(json.dumps(together).encode())
    assert [letter for event in together for letter in read_letters(json.dumps(event).encode())] == letters


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"[{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"eventType": "y"}', "element 1 has no deadLetterReason"),
        (b"null", "neither an event nor an array"),
        (b'"deadLetterReason"', "neither an event nor an array"),
        (b'[{"deadLetterReason": "x"}, {"eventType": "y"}]', "element 2 has no deadLetterReason"),
        (b"[7]", "element 1 has no deadLetterReason"),
        (b"[[]]", "element 1 has no deadLetterReason"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_anything_else_is_no_dead_letter(body: bytes, problem: str) -> None:
    """Other people's JSON is neither counted, nor quarantined, nor (later) deleted."""
    with pytest.raises(NotDeadLetters, match=problem):
        read_letters(body)
