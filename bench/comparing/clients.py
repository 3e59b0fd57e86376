"""All phones of a measurement, in one process.

``python -m bench.comparing.clients`` takes one JSON command a line on its standard input and answers one line each
(:class:`bench.load.driver.Driver` is its other end).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from random import Random
from typing import Any

from bench.comparing.phones import PHONES, Phone

CONNECTING = 100


class Phones:
    """What can be asked of this process; each method is a command."""

    def __init__(self) -> None:
        self._phones: list[Phone] = []

    async def start(self, kind: str, port: int, path: str, count: int, interval_seconds: float) -> dict[str, Any]:
        """Open so many phones."""
        random = Random(count)
        self._phones = [PHONES[kind](port, path, interval_seconds, random) for _ in range(count)]
        for begin in range(0, count, CONNECTING):
            await asyncio.gather(*(phone.connect() for phone in self._phones[begin : begin + CONNECTING]))
        return {}

    async def answered(self, seconds: float) -> dict[str, Any]:
        """Wait until all have been answered since they connected."""
        return {"left": await self._until(lambda phone: phone.answers > 0, seconds)}

    async def caught_up(self, count: int, seconds: float) -> dict[str, Any]:
        """Wait until all show so many blobs."""
        left = await self._until(lambda phone: phone.shown >= count, seconds)
        return {"left": left, "shown": max(phone.shown for phone in self._phones)}

    async def totals(self) -> dict[str, Any]:
        """Return what all of them have counted until now."""
        names = ("up", "down", "requests", "errors")
        return {name: sum(getattr(phone, name) for phone in self._phones) for name in names}

    async def seen(self) -> dict[str, Any]:
        """Return when each showed what for the first time, since this was asked last."""
        found = [phone.seen for phone in self._phones]
        for phone in self._phones:
            phone.seen = []
        return {"seen": found}

    async def spend(self) -> dict[str, Any]:
        """Empty the buckets, as they are after an hour of requests faster than one a second."""
        for phone in self._phones:
            phone.spend()
        return {}

    async def reconnect(self) -> dict[str, Any]:
        """Have all streams end."""
        for phone in self._phones:
            phone.answers = 0
            phone.hang_up()
        return {}

    async def stop(self) -> dict[str, Any]:
        """Put all phones away."""
        for phone in self._phones:
            phone.close()
        return {}

    async def _until(self, is_done: Any, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while (left := sum(not is_done(phone) for phone in self._phones)) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return left


async def main() -> None:
    """Do what standard input says."""
    phones = Phones()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps({}), flush=True)
    while line := await lines.readline():
        command = json.loads(line)
        print(json.dumps(await getattr(phones, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
