"""The README's commands are those that are tried (``make bench-readme``), in both languages."""

from __future__ import annotations

import pytest

from bench.starting import readme


@pytest.mark.parametrize("name", ["README.md", "README.id.md"])
def test_every_command_is_known(name):
    """A new one is tried, or said to need what is not here."""
    found = list(readme.commands((readme.ROOT / name).read_text()))
    assert len(found) > 15
    assert not set(found) - readme.known()


def test_a_command_that_is_not_tried_is_noticed():
    """In a block and in the text."""
    text = "Do `make coffee`:\n\n```sh\nmake tea      # hot\n```\n"
    assert set(readme.commands(text)) - readme.known() == {"make coffee", "make tea"}
