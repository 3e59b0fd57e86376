"""Cases: the counts of one of them, by the rules of the counts of everything."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.protocol.conftest import calling, other_deployment
from tests.protocol.deployment import STATUS, Caller, is_problem, quoted, version_of

if TYPE_CHECKING:
    from localdev.testbed import Stack


def of(case: str, path: str = "") -> str:
    """Return the path of a case's status, or of what lies below it."""
    return f"/api/cases/{case}/storage/status{path}"


@pytest.fixture
def caller(caller: Caller) -> Caller:
    """Return who asks a deployment that counts cases."""
    if not caller.deployment.setting("CASE_FROM"):
        pytest.skip("the deployment does not count cases: give --setting CASE_FROM=…")
    return caller


@pytest.fixture
def unknown() -> str:
    """Return a case that nobody has heard of."""
    return f"never-{uuid.uuid4().hex}"


async def test_p24_a_case_that_nobody_has_heard_of(caller: Caller, unknown: str) -> None:
    """A case of which nothing was ever counted has zeros, a version, and `timestamp` null; with `CASE_UNKNOWN=not-found` it is 404."""  # noqa: E501
    answer = await caller.get(of(unknown))
    if caller.deployment.setting("CASE_UNKNOWN") == "not-found":
        assert is_problem(answer, 404, "case-unknown")
        return
    data = answer.json()["data"]
    counts = {name: count for name, count in data.items() if name.endswith("_count")}
    assert set(counts.values()) == {0}
    assert counts.keys() == {name for name in (await caller.current()).json()["data"] if name.endswith("_count")}
    assert data["timestamp"] is None
    assert answer.headers["etag"] == f'"{version_of(answer)}"'
    held = asyncio.create_task(caller.get(of(unknown), quoted(version_of(answer)), wait="2"))
    await caller.held(held)
    assert (await held).status_code == 304


async def test_set_so_an_unknown_case_is_not_found(stack: Stack, unknown: str) -> None:
    """A case of which nothing was ever counted … is answered 404 `case-unknown`."""
    async with calling(other_deployment(stack, CASE_UNKNOWN="not-found")) as hiding:
        for path in (of(unknown), of(unknown, "/stream")):
            assert is_problem(await hiding.get(path), 404, "case-unknown")


async def test_p25_the_same_rules(caller: Caller, unknown: str) -> None:
    """Status and stream of a case answer by all of these rules: validators, waits, HEAD, OPTIONS, errors."""
    if caller.deployment.setting("CASE_UNKNOWN") == "not-found":
        pytest.skip("the deployment hides unknown cases, and no other is known here")
    answer = await caller.get(of(unknown))
    again = await caller.get(of(unknown), quoted(version_of(answer)))
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    head = await caller.get(of(unknown), method="HEAD")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
    for path in (of(unknown), of(unknown, "/stream")):
        assert (await caller.get(path, method="OPTIONS", is_known=False)).status_code == 204
        assert is_problem(await caller.get(path, method="POST"), 405, "method-not-allowed")
    assert is_problem(await caller.get(of(unknown), wait="soon"), 400, "bad-request")
    for path in (f"{of(unknown)}/", of(unknown).replace("status", "STATUS"), of(unknown).replace("st", "%73t")):
        assert (await caller.get(path)).headers["etag"] == answer.headers["etag"]
    async with caller.http.stream("GET", of(unknown, "/stream"), headers=caller.deployment.credentials) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        while not (line := await anext(lines)).startswith("id:"):
            pass
    assert line == f"id: {version_of(answer)}"


async def test_p26_each_case_by_itself(caller: Caller, unknown: str) -> None:
    """A change of another case wakes nobody who waits for this one."""
    caller.require_changes()
    if caller.deployment.setting("CASE_UNKNOWN") == "not-found":
        pytest.skip("the deployment hides unknown cases, and no other is known here")
    answer = await caller.get(of(unknown))
    held = asyncio.create_task(caller.get(of(unknown), quoted(version_of(answer)), wait="4"))
    before = version_of(await caller.current())
    await caller.change()
    await caller.get(STATUS, quoted(before), wait="10")
    await caller.held(held)
    assert (await held).status_code == 304


async def test_p27_not_utf_8(caller: Caller) -> None:
    """400 `bad-request`: a case whose bytes are not UTF-8, or that has over 2,048 characters."""
    assert is_problem(await caller.get(of("%ff")), 400, "bad-request")
    assert is_problem(await caller.get(of("x" * 2049)), 400, "bad-request")


async def test_p73_a_token_that_does_not_permit_it(of_cases: Caller, unknown: str) -> None:
    """403 `case-not-permitted`: a token that does not permit the case, or not the counts of everything."""
    from tests.e2e.issuer import token

    one = of_cases
    assert (await one.get(of("mine"))).status_code == 200
    assert is_problem(await one.get(of(unknown)), 403, "case-not-permitted")
    assert is_problem(await one.get(of(unknown, "/stream")), 403, "case-not-permitted")
    assert is_problem(await one.get(STATUS), 403, "case-not-permitted")
    for claim, permitted in ((["x", "mine"], {"mine"}), ("*", {"mine", unknown, ""}), (7, set()), (None, set())):
        headers = {"Authorization": f"Bearer {token(cases=claim)}"}
        for case in ("mine", unknown, ""):
            answer = await one.get(of(case) if case else STATUS, headers, is_known=False)
            assert answer.status_code == (200 if case in permitted else 403), (claim, case)
