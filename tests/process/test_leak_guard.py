"""shared.process.leak_guard: against the real runtime's coordinator."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from azure_functions_runtime import http_v2, version

from shared.process import leak_guard
from shared.process.leak_guard import LEAKING_VERSION, Status


@pytest.fixture
def coordinator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a coordinator of the real runtime in place of the process's own."""
    fresh = object.__new__(http_v2.HttpCoordinator)  # the class makes one instance a process
    fresh.__init__()
    monkeypatch.setattr(http_v2, "http_coordinator", fresh)
    return fresh


async def one_request(coordinator: Any, invocation_id: str) -> object:
    """Let the runtime serve one request."""
    coordinator.set_http_request(invocation_id, "request")
    waiting = asyncio.create_task(coordinator.await_http_response_async(invocation_id))
    await coordinator.get_http_request_async(invocation_id)
    coordinator.set_http_response(invocation_id, "response")
    return await waiting


async def test_the_runtime_still_leaks(coordinator):
    """The reason for the guard: when this fails, the guard can go."""
    await one_request(coordinator, "a")
    assert list(coordinator._context_references) == ["a"]


async def test_finished_invocations_are_forgotten(coordinator):
    """With the guard nothing is left of a thousand requests, and each gets its response."""
    assert leak_guard.install().status is Status.IN_PLACE
    for number in range(1000):
        assert await one_request(coordinator, str(number)) == "response"
    assert not coordinator._context_references


async def test_a_cancelled_request_leaves_its_invocation_in_peace(coordinator):
    """The client goes, the invocation ends later: the runtime still finds what it looks for."""
    leak_guard.install()
    coordinator.set_http_request("a", "request")
    waiting = asyncio.create_task(coordinator.await_http_response_async("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    coordinator.set_http_response("a", "response")


async def test_the_guard_goes_when_the_runtime_is_mended(coordinator, monkeypatch):
    """A runtime that drops its entries gets its own method back."""
    hand_over = http_v2.HttpCoordinator.await_http_response_async

    async def mended(self: Any, invocation_id: str) -> object:
        response = await hand_over(self, invocation_id)
        del self._context_references[invocation_id]
        return response

    monkeypatch.setattr(http_v2.HttpCoordinator, "await_http_response_async", mended)
    guard = leak_guard.install()
    assert guard.status is Status.IN_PLACE
    assert await one_request(coordinator, "a") == "response"
    assert "await_http_response_async" not in vars(coordinator)
    assert await guard.health() == {"runtime_leak_guard": "not needed"}
    assert await one_request(coordinator, "b") == "response"


async def test_it_is_installed_once(coordinator):
    """A second call does not wrap the wrapper: the guard would take itself for a runtime that is mended."""
    assert leak_guard.install().status is Status.IN_PLACE
    assert leak_guard.install().status is Status.UNKNOWN_SHAPE
    await one_request(coordinator, "a")
    assert "await_http_response_async" in vars(coordinator)


@pytest.mark.parametrize("shape", [None, object(), type("Other", (), {"_context_references": []})()])
def test_another_runtime_is_left_alone(monkeypatch, shape, caplog):
    """Without the shape that leaks there is nothing to guard; the log and the health report say so."""
    monkeypatch.setattr(http_v2, "http_coordinator", shape)
    assert leak_guard.install().status is Status.UNKNOWN_SHAPE
    assert [(each.levelname, "unknown shape" in each.message) for each in caplog.records] == [("WARNING", True)]


def test_outside_of_the_runtime_nothing_is_needed(monkeypatch, caplog):
    """In an operator's process, for one."""
    caplog.set_level(logging.INFO)
    for name in (http_v2.__name__, version.__name__):
        monkeypatch.delitem(sys.modules, name)
    assert leak_guard.install().status is Status.NOT_NEEDED
    assert [(each.levelname, "not needed" in each.message) for each in caplog.records] == [("INFO", True)]


@pytest.mark.usefixtures("coordinator")
@pytest.mark.parametrize(("found", "level"), [(LEAKING_VERSION, "INFO"), ("1.4.0", "WARNING")])
def test_it_says_once_which_runtime_it_guards(monkeypatch, caplog, found, level):
    """One that it was not tested with is guarded all the same, and told apart in the log."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(version, "VERSION", found)
    assert leak_guard.install().status is Status.IN_PLACE
    (record,) = caplog.records
    assert (record.levelname, found in record.message) == (level, True)
