"""A write on its own is a request of its own: what its refusals mean, in the real adapter over the SDK's surface."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.azure.table import AzureTable
from shared.errors import Conflict, OutcomeUnknown, Rejected
from shared.model.ports import Write
from tests.fakes.memory_table import TableState
from tests.simulation.sdk import DirectWire, TableClient, storage_error


class RefusingWire(DirectWire):
    """Answers the first commits by itself, as a proxy or a front end may."""

    def __init__(self, *answers: int) -> None:
        super().__init__(lambda: datetime.now(UTC))
        self._answers = list(answers)
        self.commits = 0

    async def call(self, what: str, execute: Callable[[], Any], timeout_seconds: float) -> Any:
        """Refuse, or have the service execute it."""
        self.commits += what == "commit"
        if what == "commit" and self._answers:
            raise storage_error(self._answers.pop(0), "Refused")
        return await super().call(what, execute, timeout_seconds)


def table_behind(*answers: int) -> tuple[AzureTable, RefusingWire]:
    """Return a table, and the way to it."""
    wire = RefusingWire(*answers)
    return AzureTable(TableClient(TableState(), wire)), wire  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [400, 413])
async def test_i5_a_refusal_that_may_not_be_the_row_s_is_asked_again_as_a_batch(status: int) -> None:
    """Taken for the row's fault it would put a good event into quarantine."""
    table, wire = table_behind(status)
    (etag,) = await table.commit("p", [Write("a", {"path": "x"}, None)])
    found = await table.read("p", "a")
    assert (found.etag if found else None, wire.commits) == (etag, 2)


async def test_i5_a_row_that_storage_does_not_take_is_rejected() -> None:
    """Alone and in the batch that follows."""
    table, wire = table_behind()
    with pytest.raises(Rejected):
        await table.commit("p", [Write("a", {"path": "poison"}, None)])
    assert wire.commits == 2


async def test_a_condition_that_does_not_hold_is_a_conflict() -> None:
    """There already, changed since, gone: one request each."""
    table, wire = table_behind()
    (etag,) = await table.commit("p", [Write("a", {"path": "x"}, None)])
    await table.commit("p", [Write("a", {"path": "y"}, etag)])
    for write in (
        Write("a", {"path": "z"}, None),
        Write("a", {"path": "z"}, etag),
        Write("b", {"path": "z"}, etag),
        Write("b", None, etag),
    ):
        with pytest.raises(Conflict):
            await table.commit("p", [write])
    assert wire.commits == 6


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_an_outcome_that_is_unknown_is_not_tried_again(status: int) -> None:
    """The SDK would, and nobody could tell afterwards whose write it was that is there."""
    table, wire = table_behind(status)
    with pytest.raises(OutcomeUnknown):
        await table.commit("p", [Write("a", {"path": "x"}, None)])
    assert wire.commits == 1
