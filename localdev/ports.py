"""Local TCP ports: finding free ones, reaching them directly, and saying clearly when a wanted one is taken."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("localhost", LOOPBACK, "::1")


class PortInUseError(Exception):
    """A wanted port is taken. The message names the port and what wanted it."""


def free_ports(count: int) -> list[int]:
    """Returns `count` different TCP ports that are free on the loopback interface right now.

    All are held open until the last one is chosen, so one call never returns a port twice. Another process may
    still take one before it is used: whoever starts a server there must report that (`require_free`).
    """
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def free_port() -> int:
    """Returns one TCP port that is free on the loopback interface right now."""
    return free_ports(1)[0]


def require_free(port: int, wanted_by: str, *, host: str = LOOPBACK) -> None:
    """Raises PortInUseError when `port` cannot be listened on; `wanted_by` says who needs it, for the message."""
    with socket.socket() as probe:
        if os.name == "posix":
            # Connections of a server that has just stopped linger in TIME_WAIT: no reason to refuse the port.
            # On Windows the same option means "take over a port in use".
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"port {port}, wanted by {wanted_by}, is in use; stop what listens there or choose another port"
            ) from error


def reach_directly(environ: MutableMapping[str, str]) -> None:
    """Keeps what talks to this machine from going through the proxies of an environment, here and in child processes.

    A proxy cannot reach our loopback interface: the SDKs, which honour HTTP_PROXY, would wait for it in vain. What is
    elsewhere (a token issuer) is still reached through it. Both spellings are set, because programs differ in which
    one they prefer.
    """
    spellings = ("NO_PROXY", "no_proxy")
    given = [name.strip() for each in spellings for name in environ.get(each, "").split(",") if name.strip()]
    if "*" not in given:  # which only means "all" when it stands alone
        environ.update(dict.fromkeys(spellings, ",".join(dict.fromkeys([*given, *LOCAL_NAMES]))))
