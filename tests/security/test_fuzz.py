"""Requests and events made up at random, with the token path on: no 5xx, and no memory that stays.

``make fuzz`` sends 20,000 of each; ``make test`` a tenth.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from localdev.processes import memory_kb
from localdev.testbed import STATUS, Stack
from tests.e2e.issuer import running_issuer, token
from tests.e2e.test_hostile_input import answer_to, bad_request, malformed, valid_event
from tests.waiting import eventually

MANY = int(os.environ.get("FUZZ", "2000"))
BATCH = 20
CONCURRENT = 32
#: A delivery is 20 events, each of which is two writes to quarantine.
CONCURRENT_DELIVERIES = 4
MOST_GROWTH_KB = 5 * 1024


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run a host that asks for tokens."""
    with running_issuer() as settings, Stack(tmp_path, EXTRA_FOLDERS="failed=failed", **settings) as stack:
        stack.azurite.start()
        stack.start_host()
        yield stack


def crafted_token(random: Random, good: str) -> str:
    """Return a token that holds, one that was bitten into, or something that only looks like one."""
    head, body, signature = good.split(".")
    match random.randrange(6):
        case 0:
            return good
        case 1:
            place = random.randrange(len(good))
            return good[:place] + chr(random.randrange(33, 127)) + good[place + 1 :]
        case 2:
            header = {"alg": random.choice(["RS256", "none", "HS256", "", "x"]), "kid": "k" * random.randrange(300)}
            return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode()}.{body}.{signature}"
        case 3:
            return f"{head}.{random.randbytes(40).hex()}.{signature}"
        case 4:
            return "." * random.randrange(9)
        case _:
            return random.randbytes(random.randrange(200)).hex()


def with_token(random: Random, request: bytes, good: str) -> bytes:
    """Add an Authorization header to a request's bytes."""
    first, rest = request.split(b"\r\n", 1)
    return b"\r\n".join([first, b"Authorization: Bearer " + crafted_token(random, good).encode(), rest])


async def in_parallel(count: int, concurrent: int, step) -> list:
    """Do a step so many times, a few at a time."""
    limit = asyncio.Semaphore(concurrent)

    async def bounded(number: int):
        async with limit:
            return await step(number)

    return await asyncio.gather(*(bounded(number) for number in range(count)))


@pytest.mark.timeout(900)
async def test_fuzzed_requests_and_events_with_tokens(stack: Stack) -> None:
    """Every answer is below 500, every delivery is taken; after a fifth of them memory does not grow any more."""
    random, good = Random(20261123), token(exp=4_000_000_000)
    pid = stack.programs[0].pid
    headers = {"aeg-event-type": "Notification"}
    async with httpx.AsyncClient(base_url=stack.host_url, timeout=60) as http:

        async def is_ready() -> bool:
            return (await http.get(STATUS, headers={"Authorization": f"Bearer {good}"})).status_code == 200

        await eventually(is_ready)

        async def request(_: int) -> int:
            answer = await answer_to(stack, with_token(random, bad_request(random), good))
            return int(answer.split(b" ", 2)[1])

        async def deliver(number: int) -> int:
            batch = [malformed(random, number * BATCH + each) for each in range(BATCH - 1)]
            folder = random.choice(["input", "failed"])  # one of the three, and one beside them
            batch.append(valid_event(f"good-{number % 50}.jpg", number + 1, folder))
            # Escaped: a lone surrogate cannot be written otherwise.
            return (await http.post(stack.webhook, content=json.dumps(batch), headers=headers)).status_code

        held_kb = []
        for share in (0.2, 0.4, 0.4):
            statuses = await in_parallel(int(MANY * share), CONCURRENT, request)
            assert all(200 <= status < 500 for status in statuses), set(statuses)
            deliveries = int(MANY * share) // BATCH
            assert set(await in_parallel(deliveries, CONCURRENT_DELIVERIES, deliver)) == {202}
            held_kb.append(memory_kb(pid))
        assert await is_ready()
    assert held_kb[2] - held_kb[1] < MOST_GROWTH_KB, held_kb
