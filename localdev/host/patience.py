"""How long the host bears with a client: one that sends slowly, and one that sends no more.

*Slow.* A request that does not get complete is closed, as Kestrel does it: its head has 30 s, its body 240 bytes a
second. Without that a handful of half-open connections stay for ever.

*No more.* The end of what a client sends (a FIN) is all that TCP tells both of a client that has left and of one that
has closed its sending half and waits for the answer (`nc -N`). Most answers come before it matters. If one does not, an
interim answer (100 Continue, which every HTTP/1.1 client has to take at any time) finds out: the machine of a client
that has left replies to it with a reset. Where that cannot be asked, because the answer has begun or the client speaks
HTTP/1.0, a client that is sent nothing for a moment has left: it has to be forgotten within two seconds, app included.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

REQUEST_SECONDS = 30.0
"""Time for a head, and for each SLOWEST_BODY_BYTES of a body."""

SLOWEST_BODY_BYTES = 240 * 30
"""Kestrel's `MinRequestBodyDataRate`, over REQUEST_SECONDS."""

ANSWER_SECONDS = 0.25
"""An answer that takes longer after the client's FIN, or pauses for so long, is worth the question who waits for it."""

RESET_SECONDS = 0.05
"""A reset by the own machine has arrived by then."""

SILENCE_SECONDS = 0.5
"""Who is sent nothing for so long later on, and cannot be asked, has left."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Client(Protocol):
    """A connection whose client sends no more."""

    @property
    def sent(self) -> int:
        """How many bytes it has been sent."""

    @property
    def started(self) -> bool:
        """Whether the answer has begun."""

    @property
    def can_be_asked(self) -> bool:
        """Whether an interim answer can be sent: the final one has not begun, and the client knows them."""

    @property
    def awaits_answer(self) -> bool:
        """Whether a request is being answered."""

    def abort(self) -> None:
        """Cut the connection."""


class SendsNoMore:
    """Finds out whether a client that has sent its FIN is still there, for as long as it awaits an answer."""

    __slots__ = ("_client", "_sent_by_then", "_timer", "_transport")

    def __init__(self, client: Client, transport: asyncio.Transport) -> None:
        self._client = client
        self._transport = transport
        self._sent_by_then = client.sent
        self._timer = self._later(ANSWER_SECONDS, self._ask)

    def stop(self) -> None:
        """Ask no more: the connection has ended."""
        self._timer.cancel()

    def _ask(self) -> None:
        if self._client.awaits_answer and self._client.can_be_asked:
            self._transport.write(CONTINUE)
            self._timer = self._later(RESET_SECONDS, self._look)
        elif self._client.started:
            self._listen(self._sent_by_then)
        else:
            self._timer = self._later(SILENCE_SECONDS, self._listen, self._sent_by_then)

    def _look(self) -> None:
        """Let a client that is there stay for its answer, however long that takes; then listen to it again."""
        connected: socket.socket = self._transport.get_extra_info("socket")
        if connected.fileno() < 0 or connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._client.abort()
        else:
            self._timer = self._later(SILENCE_SECONDS, self._listen, self._client.sent)

    def _listen(self, sent_before: int) -> None:
        idle = self._client.sent == sent_before and not self._transport.get_write_buffer_size()
        if idle and self._client.awaits_answer and not self._client.can_be_asked:
            self._client.abort()
        else:
            self._timer = self._later(SILENCE_SECONDS, self._listen, self._client.sent)

    @staticmethod
    def _later(seconds: float, step: Callable[..., None], *values: int) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, step, *values)
