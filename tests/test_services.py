"""The composition root: what the timer does, and what a start that fails leaves behind."""

from __future__ import annotations

import logging

import pytest

from shared import services
from shared.errors import OutcomeUnknown
from shared.services import AppProcess, Services
from shared.settings.app import Settings


async def test_what_is_too_old_goes_although_the_account_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails, so that the platform shows it, and the rest of the timer's work is done."""
    app = Services(Settings.from_environ({}))
    done = []

    def note(what: object, name: str, error: Exception | None = None) -> None:
        async def noted(*_: object) -> None:
            done.append(name)
            if error is not None:
                raise error

        monkeypatch.setattr(what, name, noted)

    note(app.counts, "open")
    note(app.reconciler, "run_scheduled", OutcomeUnknown("listing lost"))
    note(app.writer, "clear_inbox")
    note(app.quarantine, "purge_daily")
    with pytest.raises(OutcomeUnknown, match="listing lost"):
        await app.reconcile()
    assert done == ["open", "run_scheduled", "clear_inbox", "purge_daily"]
    await app.close()


async def test_a_start_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """However early: each invocation tries again, and would leave one more handler of the log."""
    process, log = AppProcess(Settings.from_environ({})), logging.getLogger("shared")
    before = list(log.handlers)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such address")

    monkeypatch.setattr(services, "Services", broken)
    for _ in range(3):
        with pytest.raises(ValueError, match="no such address"):
            await process.services()
    assert log.handlers == before
    await process.close()
