"""Cases on the running stack: each phone sees its own, uploads by the SDK, events by the bridge, counts by the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from localdev.testbed import STATUS, STREAM, Stack, container
from tests.e2e.stack import counts_of, eventually, running_stack

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


async def test_the_protocol_is_the_same(stack: Stack, http: httpx.AsyncClient) -> None:
    """HEAD, OPTIONS, 304, 405, problem documents, the stream; and bytes that are no UTF-8 are refused."""
    container(stack, "output").upload_blob("protocol/1.jpg", b"x")

    async def is_counted() -> bool:
        return counts_of(await http.get(of("protocol"))) == (0, 0, 1)

    await eventually(is_counted, 20)
    answer = await http.get(of("protocol"))
    head = await http.head(of("protocol"))
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])
    again = await http.get(of("protocol"), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert (await http.options(of("protocol"))).status_code == 204
    assert (await http.post(of("protocol"))).json()["code"] == "method-not-allowed"
    assert (await http.get("/api/cases/%ff/storage/status")).json()["code"] == "bad-request"
    async with http.stream("GET", f"{of('protocol')}/stream") as stream:
        lines = aiter(stream.aiter_lines())
        while not (line := await anext(lines)).startswith("data:"):
            pass
    assert '"completed":1' in line
    assert answer.json()["data"]["version"] in line


async def test_the_counts_of_everything_are_untouched(http: httpx.AsyncClient) -> None:
    """Their paths, and what they say, are those without cases."""
    assert set((await http.get(STATUS)).json()["data"]) == {
        *("queued_count", "input_count", "output_count", "timestamp", "version")
    }
    async with http.stream("GET", STREAM) as stream:
        assert stream.status_code == 200


def test_without_the_setting_there_are_no_cases(tmp_path: Path) -> None:
    """The platform answers: an empty 404."""
    with Stack(tmp_path) as plain:
        plain.start_azurite()
        plain.start_host()
        answer = httpx.get(f"{plain.host_url}{of('a')}", timeout=20)
        assert (answer.status_code, answer.content) == (404, b"")
