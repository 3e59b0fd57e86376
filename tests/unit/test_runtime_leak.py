"""shared.process.leak_guard: against the real runtime's coordinator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from azure_functions_runtime import http_v2

from shared.process import leak_guard


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
    assert leak_guard.install()
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
    assert leak_guard.install()
    assert await one_request(coordinator, "a") == "response"
    assert "await_http_response_async" not in vars(coordinator)
    assert await one_request(coordinator, "b") == "response"


@pytest.mark.usefixtures("coordinator")
def test_it_is_installed_once():
    """A second call does not wrap the wrapper."""
    assert leak_guard.install()
    assert not leak_guard.install()


@pytest.mark.parametrize("shape", [None, object(), type("Other", (), {"_context_references": []})()])
def test_another_runtime_is_left_alone(monkeypatch, shape):
    """Without the shape that leaks there is nothing to guard."""
    monkeypatch.setattr(http_v2, "http_coordinator", shape)
    assert not leak_guard.install()
