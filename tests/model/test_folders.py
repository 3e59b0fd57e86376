"""shared.model.folders: which folder a name counts in, and the fingerprint of all that decides it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.folders import FOLDERS, INPUT, OUTPUT, QUEUED, Location, in_order
from tests.builders import folder_map

SHARED = {QUEUED: "images/queued/", INPUT: "images/input/", OUTPUT: "archive"}


@pytest.mark.parametrize(
    ("container", "name", "folder"),
    [
        ("images", "queued/a.jpg", QUEUED),
        ("images", "queued/case/a.jpg", QUEUED),
        ("images", "input/a.jpg", INPUT),
        ("archive", "a.jpg", OUTPUT),
        ("archive", "queued/a.jpg", OUTPUT),
        ("images", "a.jpg", None),
        ("images", "queueda.jpg", None),
        ("images", "queued2/a.jpg", None),
        ("images", "Queued/a.jpg", None),
        ("images", "/queued/a.jpg", None),
        ("queued", "a.jpg", None),
        ("archive2", "a.jpg", None),
        ("archiv", "e.jpg", None),
        ("images", "queued/", None),
        ("images", "queued/.jpg/", None),
        ("images", "queued/a.txt", None),
    ],
)
def test_folder_of(container, name, folder):
    """A name counts where container and prefix hold it exactly, and only when it is an image."""
    assert folder_map("jpg", **SHARED).folder_of(container, name) == folder


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "a.b.JpG", "a/b.png", ".jpg", "a b.png", "a\n.jpg", "jpg.png"])
def test_images_by_their_ending(name):
    """The ending after the last dot decides, in any case."""
    assert folder_map("jpg", "png").is_image(name)


@pytest.mark.parametrize(
    "name", ["", "jpg", "ajpg", "a.jpg ", "a.jpg.txt", "a.jpg/", "a.jpg/b", "a.jpeg", "a.", "a.j\u0440g"]
)
def test_what_is_no_image(name):
    """Anything else is none: no ending, another one, a directory marker, a look-alike letter."""
    assert not folder_map("jpg", "png").is_image(name)


@pytest.mark.parametrize(("name", "counts"), [("a", True), ("a.txt", True), ("a.", True), ("a/", False)])
def test_any_suffix(name, counts):
    """With * every blob counts, directory markers excepted."""
    assert folder_map("*").is_image(name) is counts


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Location("images"), Location("images"), True),
        (Location("images"), Location("images", "a/"), True),
        (Location("images", "a/"), Location("images", "a/b/"), True),
        (Location("images", "a/"), Location("images", "a/"), True),
        (Location("images", "a/"), Location("images", "ab/"), False),
        (Location("images", "a/"), Location("images", "b/a/"), False),
        (Location("images", "a/"), Location("images2", "a/"), False),
        (Location("images"), Location("images2"), False),
    ],
)
def test_overlaps(one, other, overlap):
    """Two places overlap when some name could lie in both, whichever is asked."""
    assert one.overlaps(other) is overlap
    assert other.overlaps(one) is overlap


PREFIXES = st.lists(st.sampled_from("ab"), max_size=3).map(lambda parts: "".join(f"{part}/" for part in parts))


@given(one=PREFIXES, other=PREFIXES, name=st.text("ab/", min_size=1, max_size=8))
def test_no_name_lies_in_two_places(one, other, name):
    """Places that do not overlap never hold the same name: nothing counts twice."""
    places = Location("images", one), Location("images", other)
    if not places[0].overlaps(places[1]):
        assert not all(place.holds("images", name) for place in places)


def test_fingerprint_changes_with_every_input():
    """Account, each folder's container and prefix, and the suffixes: another value is another fingerprint."""
    base = folder_map("jpg")
    maps = [folder_map("png"), folder_map("jpg", "png"), folder_map("*")]
    maps += [folder_map("jpg", **{folder: place}) for folder in FOLDERS for place in ("other", f"{folder}/sub/")]
    maps += [folder_map("jpg", queued="input", input="queued")]
    maps += [folder_map("jpg", **extra) for extra in ({"failed": "failed"}, {"failed": "other"}, {"review": "failed"})]
    found = {base.fingerprint("account"), base.fingerprint("account2"), *(each.fingerprint("account") for each in maps)}
    assert len(found) == len(maps) + 2


def test_fingerprint_stays_with_the_same_meaning():
    """The order in which suffixes are written means nothing."""
    assert folder_map("png", "jpg").fingerprint("account") == folder_map("jpg", "png").fingerprint("account")


def test_fingerprint_of_the_three_alone():
    """It is what releases without further folders made: their counts go on."""
    assert folder_map("jpg").fingerprint("account") == "a3c241080bb5bbe25a233cdd"


@pytest.mark.parametrize(
    ("folders", "served"),
    [
        ([OUTPUT, QUEUED, INPUT], [QUEUED, INPUT, OUTPUT]),
        (["review", OUTPUT, "failed", "a", QUEUED, INPUT], [QUEUED, INPUT, OUTPUT, "a", "failed", "review"]),
        ([OUTPUT, "failed", OUTPUT], [OUTPUT, "failed"]),
    ],
)
def test_the_order_of_folders(folders, served):
    """The three as the pipeline has them, then further ones by name, each once."""
    assert in_order(folders) == served
