"""What is compared: the methods, how many clients, and how often something changes; and what a figure is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

type Kind = Literal["long_poll", "stream", "poll"]

#: Clients at a time.
CLIENTS = (1, 1000)
#: Seconds from one change to the next.
EVERY_SECONDS = (0.5, 5.0, 60.0)
#: Blobs in the account, all of which an endpoint that lists has to go through.
BLOBS = 1_000
#: As the client package asks (client/src/client.ts).
WAIT_SECONDS = 25.0
#: What a stream lives on average: ``MAX_STREAM_SECONDS``, up to a sixteenth less.
STREAM_SECONDS = 180 * 31 / 32


@dataclass(frozen=True, slots=True)
class Method:
    """One way to follow the counts.

    Attributes:
        key: Begins the names of its figures.
        name: As the tables say it.
        kind: How its clients ask.
        complexity: In a sentence.
        scalability: In a sentence.
        interval_seconds: From one request to the next, for polls that are not held.
        lists: It asks the endpoint that lists the containers.
    """

    key: str
    name: str
    kind: Kind
    complexity: str
    scalability: str
    interval_seconds: float = 0.0
    lists: bool = False

    @property
    def is_held(self) -> bool:
        """Whether its clients keep a request open, and so an instance."""
        return self.kind != "poll"


METHODS = (
    Method(
        "long_poll",
        "Long poll + ETag",
        "long_poll",
        "The server has to hold requests and wake them; the client is a loop that keeps a validator.",
        "A parked phone costs no storage and hardly any CPU; each change costs a request of every phone.",
    ),
    Method(
        "sse",
        "SSE",
        "stream",
        "The server holds streams; the client has to read frames by itself, because the built-in reader sends no"
        " token, and to fall back where something on the way buffers.",
        "The cheapest change, a frame and no request; 1,000 open streams fill an instance.",
    ),
    Method(
        "smart_2s",
        "Smart polling, 2 s, ETag",
        "poll",
        "A timer and a validator; nothing is held anywhere.",
        "Requests grow with the phones, changes or not; storage reads stop growing at two a second.",
        interval_seconds=2.0,
    ),
    Method(
        "smart_5s",
        "Smart polling, 5 s, ETag",
        "poll",
        "A timer and a validator, as with 2 s.",
        "Two fifths of the requests of 2 s, and a change shows up to 5 s late.",
        interval_seconds=5.0,
    ),
    Method(
        "listing_2s",
        "Polling with listing, 2 s",
        "poll",
        "The least code: no events, no table, no counter.",
        "Work is phones times blobs, and each request pays three List calls: it does not reach 1,000 phones.",
        interval_seconds=2.0,
        lists=True,
    ),
)

WEBSOCKET = (
    "Not built, not measured: a function that is triggered by HTTP cannot take a WebSocket, so it would need a second"
    " service (Azure Web PubSub) or a server that is always on, for numbers that go one way only."
)


def figure(method: Method, clients: int, every_seconds: float, what: str) -> str:
    """Return the name of a figure in the results."""
    return f"{method.key}_{clients}_{every(every_seconds)}_{what}"


def every(seconds: float) -> str:
    """Return how often something changes, as names and headings have it."""
    return f"{seconds:g}s"
