"""Cases on the running stack: each phone sees its own, uploads by the SDK, events by the bridge, counts by the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from localdev.testbed import STATUS, Stack, container
from tests.e2e.stack import counts_of, running_stack
from tests.waiting import eventually

CASES = 10
UPLOADS = 200


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack that counts cases."""
    with running_stack(tmp_path_factory.mktemp("cases"), CASE_FROM="first-segment") as running:
        yield running


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Return a connection to the app that has reconciled."""
    async with httpx.AsyncClient(base_url=stack.host_url, timeout=40) as client:

        async def is_ready() -> bool:
            return (await client.get(STATUS)).status_code == 200

        await eventually(is_ready, 30)
        yield client


def of(case: str) -> str:
    """Return the path of a case's status."""
    return f"/api/cases/{quote(case, safe='')}/storage/status"


async def test_phones_follow_their_cases_through_a_burst(stack: Stack, http: httpx.AsyncClient) -> None:
    """200 uploads to 10 cases: each phone ends with its 20, and none is answered 200 with the counts that it has."""
    false_wakes: list[str] = []

    async def follow(case: str, answer: httpx.Response) -> int:
        while counts_of(answer)[0] < UPLOADS // CASES:
            before, tag = answer.text, answer.headers["ETag"]
            held = await http.get(of(case), params={"wait": "20"}, headers={"If-None-Match": tag})
            if held.status_code == 200:
                false_wakes.extend([case] * (counts_of(held) == counts_of(answer)))
                answer = held
            else:
                assert (held.status_code, held.headers["ETag"]) == (304, tag), before
        return counts_of(answer)[0]

    phones = []
    for case in (f"case {number}" for number in range(CASES)):
        nothing = await http.get(of(case))
        assert (counts_of(nothing), nothing.json()["data"]["timestamp"]) == ((0, 0, 0), None)
        phones.append(asyncio.create_task(follow(case, nothing)))
    queued = container(stack, "queued")
    names = [f"case {number % CASES}/{number}.jpg" for number in range(UPLOADS)]

    async def upload(some: list[str]) -> None:
        for name in some:
            await asyncio.to_thread(queued.upload_blob, name, b"x")

    await asyncio.gather(*(upload(names[start::8]) for start in range(8)))
    assert await asyncio.wait_for(asyncio.gather(*phones), 60) == [UPLOADS // CASES] * CASES
    assert false_wakes == []
    assert counts_of(await http.get(STATUS))[0] == UPLOADS


@pytest.mark.parametrize("case", ["a b", "häuser", "50%", "a+b&c=d", "x?y#z", "q" * 200, "storage"])
async def test_any_case_is_found_by_its_bytes(stack: Stack, http: httpx.AsyncClient, case: str) -> None:
    """Percent-encoded in the path, compared exactly."""
    container(stack, "input").upload_blob(f"{case}/1.jpg", b"x")

    async def is_counted() -> bool:
        return counts_of(await http.get(of(case))) == (0, 1, 0)

    await eventually(is_counted, 20)
    assert counts_of(await http.get(of(case.upper() if case != case.upper() else f"{case}!"))) == (0, 0, 0)


async def test_a_frame_has_the_counts_of_its_case(stack: Stack, http: httpx.AsyncClient) -> None:
    """The stream of a case that has images shows its counts and its version."""
    container(stack, "output").upload_blob("streamed/1.jpg", b"x")

    async def is_counted() -> bool:
        return counts_of(await http.get(of("streamed"))) == (0, 0, 1)

    await eventually(is_counted, 20)
    version = (await http.get(of("streamed"))).json()["data"]["version"]
    async with http.stream("GET", f"{of('streamed')}/stream") as stream:
        lines = aiter(stream.aiter_lines())
        while not (line := await anext(lines)).startswith("data:"):
            pass
    assert '"completed":1' in line
    assert version in line


def test_without_the_setting_there_are_no_cases(tmp_path: Path) -> None:
    """The platform answers: an empty 404."""
    with Stack(tmp_path) as plain:
        plain.start_azurite()
        plain.start_host()
        answer = httpx.get(f"{plain.host_url}{of('a')}", timeout=20)
        assert (answer.status_code, answer.content) == (404, b"")
