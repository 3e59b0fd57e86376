"""A request on its way in, and what answers it."""

from dataclasses import dataclass, field
from typing import Protocol

HEAD_LIMIT_BYTES = 32 * 1024
"""Request line and headers; Kestrel's default for the headers of a request."""

BODY_LIMIT_BYTES = 100 * 1024 * 1024
"""The platform's limit for HTTP request bodies."""


@dataclass(slots=True, eq=False)
class Request:
    """A request: its head, and the part of its body that was not yet handed on."""

    method: str = ""
    target: bytes = b""
    version: str = "1.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    keep_alive: bool = True
    chunked: bool = False
    expects: bool = False
    length: int = 0
    size: int = 0
    body: list[bytes] = field(default_factory=list)
    complete: bool = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Handler(Protocol):
    """What answers one request. It is told everything that happens on the client's side."""

    def receive(self, data: bytes) -> None:
        """Take a part of the body."""

    def received(self) -> None:
        """Note that the request is complete."""

    def abandon(self) -> None:
        """Stop: the client left, there is nobody to answer."""

    def pause(self) -> None:
        """Produce no more for now: the client reads slowly."""

    def resume(self) -> None:
        """Go on: the client has caught up."""


def is_well_formed(request: Request) -> bool:
    """Tell whether there is one Host, as HTTP/1.1 wants it (RFC 9112, 3.2); the parser lets version 2.0 pass."""
    hosts = sum(name == b"host" for name, _ in request.headers)
    return hosts == 1 if request.version == "1.1" else request.version == "1.0" and hosts <= 1
