"""One request and its response, relayed byte for byte, recorded when it changes blobs.

How a mutation is ordered and made durable:

    client            bridge                                 Azurite
      │ head, body ─────► forwards all but the last piece ─────►│
      │                   takes the blob's lock                 │
      │                   forwards the last piece ─────────────►│ takes effect here
      │                   ◄──────────────────────── 201, ETag ──│
      │                   sequencer, journal; releases the lock │
      │ ◄──── 201 ────────                                      │

Azurite cannot complete a request that it has not received, so the lock is held only for the moment in which the
effect happens: a slow upload blocks nobody. Once the last piece is out the client is not needed any more: if it has
vanished, the answer is still read and the event still raised.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from localdev.bridge import batch
from localdev.bridge.http1 import Body, Head, ProtocolError, Stream, read_head
from localdev.bridge.operations import Batch, Change, Mutation, change_of, classify

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from localdev.bridge.recorder import Recorder

# Of a mutation's response body, which is empty or the (at most 256) small parts of a batch.
ANSWER_LIMIT: Final = 16 * 1024 * 1024


class UpstreamError(Exception):
    """Azurite is unreachable, or hung up before it answered."""


class ClientGoneError(Exception):
    """The client went away in the middle of its request."""


class Exchange:
    """Relays one request to Azurite and its response back; sending and receiving run at the same time."""

    def __init__(self, head: Head, client: Stream, azurite: Stream, recorder: Recorder) -> None:
        self._head = head
        self._body = Body.of_request(client[0], head)
        self._client = client[1]
        self._azurite = azurite
        self._recorder = recorder
        self._operation = classify(head)
        self._asked: list[tuple[str, Mutation]] = []  # of a batch
        self._found: batch.Found = {}

    async def run(self) -> bool:
        """Relay; tell whether both connections can be used again.

        Raises:
            UpstreamError: there is no response, and nothing was sent to the client.
            ClientGoneError: the client went away in the middle of its request.
            ConnectionError: either side went away in the middle of the response.
            TooLargeError: a batch is larger than the service allows.
        """
        async with AsyncExitStack() as held:
            sender = asyncio.create_task(self._send(held))
            try:
                return await self._receive(held, sender)
            except UpstreamError:
                if sender.done() and not sender.cancelled() and (cause := sender.exception()) is not None:
                    raise cause from None  # it was the sender that hung up, for this reason
                raise
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, held: AsyncExitStack) -> bool:
        """Send the request; False if Azurite hung up before the end of it, so that some of it is still unread."""
        try:
            if isinstance(self._operation, Batch):
                await self._send_batch(held)
            else:
                await self._send_request(self._operation, held)
        except ConnectionError:
            return False  # its answer, or the absence of one, decides
        except BaseException:
            self._azurite[1].transport.abort()  # half a request must not look like a whole one
            raise
        return True

    async def _send_request(self, mutation: Mutation | None, held: AsyncExitStack) -> None:
        """Forward head and body; for a mutation the last piece (the head, if it has no body) waits for the lock."""
        last = self._head.raw
        if self._body.expected:
            await self._forward(last)  # at once: the client may wait for 100 Continue before it sends the body
            last = b""
        while (piece := await _unless_gone(self._body.read(), ClientGoneError())) is not None:
            await self._forward(last)
            last = piece.raw
        if mutation is not None:
            await held.enter_async_context(self._recorder.hold([mutation]))
            if mutation.deletes:
                self._found = await self._recorder.look([mutation])
        await self._forward(last)

    async def _send_batch(self, held: AsyncExitStack) -> None:
        """Forward a batch, whose body has to be read whole to know the blobs that it touches."""
        await self._forward(self._head.raw)
        raw, content = await _unless_gone(self._body.read_all(batch.REQUEST_LIMIT), ClientGoneError())
        self._asked = batch.mutations(self._head, content)
        mutations = [mutation for _, mutation in self._asked]
        await held.enter_async_context(self._recorder.hold(mutations))
        self._found = await self._recorder.look(mutations)
        await self._forward(raw)

    async def _forward(self, data: bytes) -> None:
        self._azurite[1].write(data)
        await self._azurite[1].drain()

    async def _receive(self, held: AsyncExitStack, sender: asyncio.Task[bool]) -> bool:
        answer = await self._answer_head()
        body = Body.of_response(self._azurite[0], answer, self._head.method)
        await self._relay_piece(answer.raw + await self._record(answer, body, held))
        try:
            while (piece := await body.read()) is not None:
                await self._relay_piece(piece.raw)
        except ProtocolError as error:
            self._client.transport.abort()  # a clean end would make the truncated body look complete
            raise ConnectionAbortedError("Azurite hung up in the middle of a response") from error
        return await sender and not (body.until_close or answer.closes or self._head.closes)

    async def _answer_head(self) -> Head:
        """Return the final response's head; interim ones (100 Continue) are passed on."""
        hung_up = UpstreamError("Azurite hung up before it answered")
        while True:
            answer = await _unless_gone(read_head(self._azurite[0]), hung_up)
            if answer is None or not answer.start[1].isdecimal():
                raise hung_up
            if answer.status >= 200:  # noqa: PLR2004  # the first final status
                return answer
            self._client.write(answer.raw)

    async def _record(self, answer: Head, body: Body, held: AsyncExitStack) -> bytes:
        """Journal what a mutation did, then let others at its blobs; return the response body as far as read."""
        raw = b""
        if self._operation is not None and answer.status < 300:  # noqa: PLR2004  # success
            hung_up = UpstreamError("Azurite hung up in the middle of its answer")
            raw, content = await _unless_gone(body.read_all(ANSWER_LIMIT), hung_up)
            self._recorder.record(await self._changes(self._operation, answer, content))
        await held.aclose()
        return raw

    async def _changes(self, operation: Mutation | Batch, answer: Head, content: bytes) -> list[Change]:
        if isinstance(operation, Batch):
            return batch.changes(self._asked, answer, content, self._found)
        if not operation.deletes and operation.declared is None:
            self._found = await self._recorder.look([operation])
        change = change_of(operation, answer, self._found.get(operation), self._body.received)
        return [change] if change else []

    async def _relay_piece(self, data: bytes) -> None:
        self._client.write(data)
        await self._client.drain()


async def _unless_gone[Read](reading: Awaitable[Read], error: Exception) -> Read:
    """Return what a peer sends; raise this error when it goes away or sends what is no HTTP."""
    try:
        return await reading
    except (ProtocolError, ConnectionError) as cause:
        raise error from cause
