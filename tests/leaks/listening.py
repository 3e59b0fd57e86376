"""Listens to everything that tests have written, where it passes anyway, so that no test needs to know of it.

| What | Where it passes |
|---|---|
| Output of processes: pipes and log files | ``subprocess.Popen``, which asyncio's processes are made of too |
| Answers | httpx's transports; ``asyncio.open_connection`` for what no client library would send |
| Log records of this process | a handler of the root logger; the project's own loggers say everything |
| What the tests themselves and code in this process print | pytest's capture (:mod:`tests.leaks.plugin`) |

Not listened to: what Azurite answers to the storage SDKs and to the bridge (it repeats the source of a copy, signature
and all), and what a test reads through a pipe or terminal of its own.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from tests.leaks import secrets
from tests.leaks.written import Text, Written

OWN = ("shared", "localdev", "ops")
_CHUNK_BYTES = 65_536


def listen(patch: pytest.MonkeyPatch, written: Written) -> None:
    """Begin to listen, until the patch is undone."""
    patch.setattr(subprocess.Popen, "__init__", _popen(subprocess.Popen.__init__, written))
    patch.setattr(asyncio, "open_connection", _open_connection(asyncio.open_connection, written))
    sync, asynchronous = httpx.HTTPTransport, httpx.AsyncHTTPTransport
    patch.setattr(sync, "handle_request", _handle(sync.handle_request, written))
    patch.setattr(asynchronous, "handle_async_request", _handle_async(asynchronous.handle_async_request, written))
    patch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, Records(written)])
    for name in OWN:
        patch.setattr(logging.getLogger(name), "level", logging.DEBUG)


class Records(logging.Handler):
    """Takes every log record, with what it carries beside its text.

    Args:
        written: Where to.
    """

    def __init__(self, written: Written) -> None:
        super().__init__()
        self._written = written

    def emit(self, record: logging.LogRecord) -> None:
        """Take one."""
        text = f"{self.format(record)}\n{record.__dict__}"  # the latter has what was given as `extra`
        self._written.text("log record", record.name, text.encode(errors="replace"), is_over=True)


class Copied:
    """Copies what comes out of a pipe on its way to the test that reads it.

    Args:
        stream: The end that the test reads. It is given another pipe.
        text: Gets the copy.
    """

    def __init__(self, stream: IO[Any], text: Text) -> None:
        self._text = text
        self._source = os.dup(stream.fileno())
        reading, self._sink = os.pipe()
        os.dup2(reading, stream.fileno(), inheritable=False)
        os.close(reading)
        threading.Thread(target=self._copy, name="copy output", daemon=True).start()

    def _copy(self) -> None:
        with os.fdopen(self._source, "rb", 0) as source, os.fdopen(self._sink, "wb", 0) as sink:
            while chunk := source.read(_CHUNK_BYTES):
                self._text.add(chunk)
                try:
                    sink.write(chunk)
                except BrokenPipeError:  # the test has read enough: the process shall see that too
                    break
        self._text.is_over = True


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's body that is noted as it is read.

    Args:
        stream: The body.
        text: Gets what is read.
    """

    def __init__(self, stream: Any, text: Text) -> None:
        self._stream = stream
        self._text = text

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._text.add(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._text.add(chunk)
            yield chunk

    def close(self) -> None:
        """Close it."""
        self._text.is_over = True
        self._stream.close()

    async def aclose(self) -> None:
        """Close it."""
        self._text.is_over = True
        await self._stream.aclose()


def _popen(init: Callable[..., None], written: Written) -> Callable[..., None]:
    @functools.wraps(init)
    def popen(self: subprocess.Popen[Any], args: Any, *more: Any, **options: Any) -> None:
        init(self, args, *more, **options)
        label = _command(args)
        written.counts["process"] += 1
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                Copied(stream, written.text("output", label))
        for target in (options.get("stdout"), options.get("stderr")):
            if isinstance(path := getattr(target, "name", None), str):  # Azurite's has none; it is silent, and not ours
                written.log_file(Path(path).absolute())

    return popen


def _command(args: Any) -> str:
    """Return the beginning of a command line, without what is secret in it."""
    words = [str(args)] if isinstance(args, (str, bytes, Path)) else [str(word) for word in args]
    shown = [word.rpartition("/")[2] for word in words[:8] if not secrets.found(word.encode())]
    return " ".join(shown)[:120]


def _open_connection(connect: Callable[..., Any], written: Written) -> Callable[..., Any]:
    @functools.wraps(connect)
    def open_connection(*args: Any, **options: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        return (connect if caller.partition(".")[0] in OWN else noted)(*args, **options)

    async def noted(*args: Any, **options: Any) -> Any:
        reader, writer = await connect(*args, **options)
        text = written.text("response", f"to bytes, from port {writer.get_extra_info('peername')[1]}")
        feed, feed_eof = reader.feed_data, reader.feed_eof

        def feed_data(data: bytes) -> None:
            text.add(data)
            feed(data)

        def end() -> None:
            text.is_over = True
            feed_eof()

        reader.feed_data, reader.feed_eof = feed_data, end
        return reader, writer

    return open_connection


def _handle(handle: Callable[..., httpx.Response], written: Written) -> Callable[..., httpx.Response]:
    @functools.wraps(handle)
    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return _noted(handle(self, request), request, written)

    return handle_request


def _handle_async(handle: Callable[..., Any], written: Written) -> Callable[..., Any]:
    @functools.wraps(handle)
    async def handle_async_request(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return _noted(await handle(self, request), request, written)

    return handle_async_request


def _noted(response: httpx.Response, request: httpx.Request, written: Written) -> httpx.Response:
    text = written.text("response", f"{response.status_code} to {request.method} {request.url.path}")
    for name, value in response.headers.raw:
        text.add(name + b": " + value + b"\n")
    response.stream = Body(response.stream, text)
    return response
