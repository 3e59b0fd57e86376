"""The event filters let through all that concerns the counts, whatever the folder map."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from infra.checks import snapshots
from infra.checks.project import Resource
from infra.checks.sample_events import Event, concerns, passes, samples
from shared.errors import SettingsError
from shared.intake.event_grid import BLOB_CREATED, BLOB_DELETED
from shared.settings.app import Settings

ROOT = Path(__file__).parents[2]
NAMES = ("QUEUED_FOLDER", "INPUT_FOLDER", "OUTPUT_FOLDER", "EXTRA_FOLDERS")

folders = st.builds(
    lambda container, parts, before, after: f"{before}{container}{''.join(f'/{part}' for part in parts)}{after}",
    st.sampled_from(["images", "queued", "a-1", "$web"]),
    st.lists(st.text(st.sampled_from("aZ ü.-|'$%"), max_size=4) | st.just("p" * 500), max_size=4),
    st.sampled_from(["", " "]),
    st.sampled_from(["", "/", "//", " "]),
)


#: An empty setting, or folders of these names, with spaces and empty entries around them.
extra = st.lists(
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["", " "]),
        st.sampled_from(["failed", "review"]),
        folders | st.just("x-1/a=b"),
    ),
    max_size=2,
).map(",".join) | st.just(" , ")


def subscriptions(bicep, values):
    """Return the event subscriptions of a folder map."""
    outputs = snapshots.committed(ROOT, "new-account")[0]["outputs"] | dict(zip(NAMES, values, strict=True))
    return [Resource(each) for each in snapshots.predict_events(bicep, ROOT, outputs)["predictedResources"]]


@settings(max_examples=25, deadline=None)
@given(st.tuples(folders, folders, folders, extra))
def test_nothing_is_missed(bicep, values):
    """For any folder map that the app takes, each event that the app would count is delivered."""
    try:
        mapped = Settings.from_environ(dict(zip(NAMES, values, strict=True))).folders
    except SettingsError:
        assume(False)
    made = subscriptions(bicep, values)
    for event in samples(mapped):
        assert any(passes(each, event) for each in made) or not concerns(mapped, event), event


def test_what_is_beside_stays_out(bicep):
    """A name that only begins like a folder, or another container, is not delivered."""
    made = subscriptions(bicep, ("images/queued", "images/input", "archive", "failed=bad/x"))
    for container, name in (
        ("images", "queued2/a.jpg"),
        ("images", "a.jpg"),
        ("archive2", "a.jpg"),
        ("bad", "x2/a.jpg"),
    ):
        for kind in (BLOB_CREATED, BLOB_DELETED):
            assert not any(passes(each, Event(kind, container, name)) for each in made)


@pytest.mark.parametrize(
    ("conditions", "delivered"),
    [
        ({}, True),
        ({"includedEventTypes": ["Microsoft.Storage.BlobDeleted"]}, False),
        ({"subjectBeginsWith": "/blobServices/default/containers/IMAGES/"}, True),
        ({"subjectBeginsWith": "/blobServices/default/containers/IMAGES/", "isSubjectCaseSensitive": True}, False),
        ({"subjectEndsWith": ".png"}, False),
        ({"advancedFilters": [{"operatorType": "StringContains", "key": "Subject", "values": ["/A.J"]}]}, True),
        ({"advancedFilters": [{"operatorType": "StringNotContains", "key": "Subject", "values": ["/A.J"]}]}, False),
        ({"advancedFilters": [{"operatorType": "StringBeginsWith", "key": "data.api", "values": ["P"]}]}, False),
        ({"advancedFilters": [{"operatorType": "NumberIn", "key": "Subject", "values": ["1"]}]}, False),
    ],
)
def test_filter_semantics(conditions, delivered):
    """Types are compared exactly, subjects without case unless asked for, and all conditions must hold."""
    subscription = Resource({"properties": {"filter": conditions}})
    assert passes(subscription, Event(BLOB_CREATED, "images", "a.jpg")) is delivered
