"""Thousands of HTTP clients in one process: raw sockets and epoll, nothing between the bytes and the clock.

``python -m bench.load.clients`` takes one JSON command a line on its standard input and answers one line each (see
:class:`bench.load.driver.Driver`, its other end). A client writes the same bytes again and again and looks at an
answer only as far as it must: where it ends. That it is not the bottleneck is shown by driving Nchan with it.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import Counter
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
IDLE_SECONDS = 60.0


class Client:
    """One connection.

    Attributes:
        data: What has arrived of the current answer.
        seen: When its last piece did.
    """

    __slots__ = ("data", "seen", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.data = b""
        self.seen = 0.0

    @property
    def status(self) -> int:
        """The status of the answer, 0 without one."""
        return int(self.data[9:12]) if self.data[:5] == b"HTTP/" else 0

    def is_whole(self) -> bool:
        """Tell whether the answer, which has a length or no body, is complete."""
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return False
        length = LENGTH.search(head)
        return length is None or len(body) >= int(length[1])


class Group:
    """Clients that do the same.

    Args:
        port: Of the server.
        count: How many.
        request: What each sends.
    """

    def __init__(self, port: int, count: int, request: bytes) -> None:
        self._request = request
        self._epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients[connection.fileno()] = Client(connection)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def send(self) -> None:
        """Forget the last answers and ask."""
        for client in self.clients.values():
            client.data, client.seen = b"", 0.0
            client.socket.send(self._request)

    def receive(self, until: float) -> list[Client]:
        """Take what has arrived; return whom it came to."""
        found = []
        for number, _ in self._epoll.poll(max(0.0, until - time.monotonic())):
            client = self.clients[number]
            data = client.socket.recv(65536)
            client.seen = time.monotonic()
            client.data += data
            if not data:
                self._epoll.unregister(number)
            found.append(client)
        return found

    def close(self) -> None:
        """Hang up."""
        for client in self.clients.values():
            client.socket.close()
        self._epoll.close()


class Clients:
    """What can be asked of this process; each method is a command."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def park(self, name: str, port: int, count: int, request: str, *, stream: bool) -> dict[str, Any]:
        """Connect and ask; of a stream, wait until each has its head and first frame."""
        group = self._groups[name] = Group(port, count, request.encode())
        group.send()
        if stream:
            self._take(group, lambda client: b"\n\n" in client.data.partition(b"\r\n\r\n")[2])
        return {"clients": len(group.clients)}

    def woken(self, name: str, *, stream: bool) -> dict[str, Any]:
        """Wait until each client has its answer (of a stream: one more frame); return when, and the statuses."""
        group = self._groups[name]
        if stream:
            for client in group.clients.values():
                client.data = b""
        self._take(group, (lambda client: b"\n\n" in client.data) if stream else Client.is_whole)
        clients = group.clients.values()
        return {"seen": [client.seen for client in clients], "statuses": sorted({client.status for client in clients})}

    def close(self, name: str, part: float = 1.0) -> dict[str, Any]:
        """Hang up; with a part, only so many, which then count no more."""
        group = self._groups[name]
        if part == 1.0:
            self._groups.pop(name).close()
            return {}
        for number in list(group.clients)[: round(len(group.clients) * part)]:
            group.clients.pop(number).socket.close()
        return {"clients": len(group.clients)}

    def load(
        self, port: int, connections: int, request: str, count: int | None = None, seconds: float = IDLE_SECONDS
    ) -> dict[str, Any]:
        """Ask on each connection, again as soon as the answer is there, so many times or for so long.

        Returns the time and the answers by status.
        """
        group, data = Group(port, connections, request.encode()), request.encode()
        group.send()
        started = time.monotonic()
        sent, statuses = connections, Counter[str]()
        while (count is None or statuses.total() < count) and (left := started + seconds - time.monotonic()) > 0:
            for client in group.receive(time.monotonic() + left):
                if client.is_whole():
                    statuses[str(client.status)] += 1
                    client.data = b""
                    if count is None or sent < count:
                        sent += 1
                        client.socket.send(data)
        taken = time.monotonic() - started
        group.close()
        assert count is None or statuses.total() == count, f"{statuses.total()} answers, not {count}"
        return {"statuses": statuses, "seconds": taken}

    @staticmethod
    def _take(group: Group, is_done: Any) -> None:
        left = {number for number, client in group.clients.items() if not is_done(client)}
        while left:
            found = group.receive(time.monotonic() + IDLE_SECONDS)
            assert found, f"{len(left)} clients have no answer"
            for client in found:
                if client.socket.fileno() in left and is_done(client):
                    left.discard(client.socket.fileno())


def main() -> None:
    """Do what standard input says."""
    clients = Clients()
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(clients, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
