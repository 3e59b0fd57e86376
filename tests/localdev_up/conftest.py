"""Fixtures: one stack with a misbehaving bridge and no reconcile timer, for all tests that do not stop it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.localdev_up.support import Up
from tests.waiting import until

CHAOS = "dup=0.3,reorder=0.5,delay=2"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A whole stack; at the end SIGTERM stops it cleanly."""
    data = tmp_path_factory.mktemp("data")
    with Up("--free-ports", "--data", str(data), "--no-reconcile-timer", EVENT_CHAOS=CHAOS) as running:
        running.until_ready()
        yield running
        assert running.end(signal.SIGTERM) == 0, running.text
        until(running.nothing_left)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without settings for `up`, put back afterwards also where the code itself changed it."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.endswith("_PORT") or name in {"EVENT_CHAOS", "EVENT_SCHEMA", "STATE_DIR", "FUNCTIONS_HOST"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("FUNCTIONS_HOST", "bundled")
    yield monkeypatch
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)
