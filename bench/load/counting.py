"""What storage is asked and when it was written, seen from outside: a relay of bytes before Azurite's table port."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localdev.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ, WRITE = b"GET /", b"POST /"


@dataclass(slots=True)
class Counter:
    """What has passed.

    Attributes:
        port: To connect to.
        reads: How many GET requests went through.
        writes: How many POST requests did.
        written_at: When the last answer to a POST (a transaction) came back.
    """

    port: int
    reads: int = 0
    writes: int = 0
    written_at: float = 0.0


@contextlib.contextmanager
def counting(table_port: int) -> Iterator[Counter]:
    """Relay to this port of Azurite's, in a thread."""
    counter = Counter(free_ports(1)[0])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_listen(counter, table_port), loop).result()
        yield counter
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(counter: Counter, table_port: int) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b""  # the SDK waits for an answer before it asks again

        def is_asking(data: bytes) -> None:
            nonlocal asked
            if data.startswith((READ, WRITE)):
                asked = data[: len(WRITE)]
                counter.reads += asked.startswith(READ)
                counter.writes += asked == WRITE

        def is_answering(_: bytes) -> None:
            if asked == WRITE:
                counter.written_at = time.monotonic()

        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", table_port)
            await asyncio.gather(_pump(reader, back, is_asking), _pump(there, writer, is_answering))

    await asyncio.start_server(relay, "127.0.0.1", counter.port)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            note(data)
            writer.write(data)
            await writer.drain()
    writer.close()


async def _end() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
