"""``GET /api/health``: each docstring is a line of docs/protocol.md."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx

from tests.protocol.deployment import EVENT_SECONDS, HEALTH, Caller, quoted, version_of

if TYPE_CHECKING:
    from localdev.testbed import Stack

DETAILS = {
    "storage_reachable",
    "waiters",
    "waiters_limit",
    "status_reads",
    "asyncio_tasks",
    "counts_changed_at",
    "last_event_age_seconds",
    "events",
    "quarantined_by_this_instance",
    "last_reconciliation",
    "runtime_leak_guard",
    "named_writer",
}


def is_report(answer: httpx.Response) -> bool:
    """Assert what every report has."""
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] in {"ok", "degraded", "not-ready"}
    return True


async def test_p100_open_to_all(caller: Caller) -> None:
    """It answers `{"status": "ok" | "degraded" | "not-ready"}` and needs no token."""
    assert is_report(await caller.get(HEALTH, is_known=False))


async def test_p101_status(caller: Caller, unreconciled: Caller) -> None:
    """It is 503 when not ready, and 200 otherwise."""
    assert (await caller.get(HEALTH)).status_code == 200
    answer = await unreconciled.get(HEALTH)
    assert is_report(answer)
    assert (answer.status_code, answer.json()["status"]) == (503, "not-ready")


async def test_p102_details(caller: Caller, secured: Caller) -> None:
    """With a good token that permits the counts of everything, or `AUTH_MODE=anonymous`, it has the details; otherwise the status only."""  # noqa: E501
    assert (await secured.get(HEALTH)).json().keys() >= DETAILS
    assert (await secured.get(HEALTH, is_known=False)).json().keys() == {"status"}
    assert (await secured.get(HEALTH, {"Authorization": "Bearer a.b.c"}, is_known=False)).json().keys() == {"status"}
    if not caller.deployment.credentials:
        assert (await caller.get(HEALTH)).json().keys() >= DETAILS


async def test_a_token_of_some_cases_shows_the_status_only(of_cases: Caller) -> None:
    """The details count events and images of all cases."""
    from tests.e2e.issuer import token

    assert (await of_cases.get(HEALTH)).json().keys() == {"status"}
    headers = {"Authorization": f"Bearer {token(cases='*')}"}
    assert (await of_cases.get(HEALTH, headers, is_known=False)).json().keys() >= DETAILS


async def test_p103_function_keys(keyed: Caller) -> None:
    """With `AUTH_MODE=function` it shows the status only."""
    assert (await keyed.get(HEALTH)).json().keys() == {"status"}


async def test_p104_made_once_a_second(stack: Stack, caller: Caller) -> None:
    """The report is made at most once a second."""
    del stack  # of several instances each makes its own
    before = version_of(await caller.current())
    waiting = asyncio.create_task(caller.get(headers=quoted(before), wait=str(EVENT_SECONDS)))
    await caller.held(waiting)
    await caller.change()
    await waiting  # from the first event on each report has an age, which differs
    await asyncio.sleep(1.1)  # what was made before is old
    started = time.monotonic()
    answers = await asyncio.gather(*(caller.get(HEALTH) for _ in range(40)))
    assert len({answer.content for answer in answers}) <= 1 + int(time.monotonic() - started)
