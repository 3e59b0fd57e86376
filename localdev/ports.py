"""Local TCP ports: find free ones, reach them directly, and say clearly when a wanted one is taken."""

from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("localhost", LOOPBACK, "::1")
_THIS_MACHINE = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])\.?(:\d+)?", re.IGNORECASE)


class PortInUseError(Exception):
    """A wanted port is taken. The message names the port and its purpose."""


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that are free on the loopback interface right now.

    All are held open until the last one is chosen, so one call never returns a port twice. Another process may still
    take one before it is used: the caller must report that (`require_free`).
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
    """Return one TCP port that is free on the loopback interface right now."""
    return free_ports(1)[0]


def require_free(port: int, wanted_by: str) -> None:
    """Raise PortInUseError when `port` is not free; `wanted_by` names its purpose in the message."""
    with socket.socket() as probe:
        if os.name == "posix":
            # Connections of a server that has just stopped linger in TIME_WAIT: no reason to refuse the port.
            # On Windows the same option means "take over a port in use".
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortInUseError(
                f"port {port}, wanted by {wanted_by}, is in use; stop what listens there or choose another port"
            ) from error


def names_this_machine(host: str) -> bool:
    """Tell whether a Host header addresses this machine by name.

    A page of any site can make its own name resolve to 127.0.0.1 (DNS rebinding), and its requests are then of the same
    origin to the browser: their Host gives them away.
    """
    return _THIS_MACHINE.fullmatch(host) is not None


def reach_directly(environ: MutableMapping[str, str]) -> None:
    """Keep connections to this machine from the environment's proxies, here and in child processes.

    A proxy cannot reach our loopback interface: the SDKs, which honour HTTP_PROXY, would wait for it in vain. Other
    hosts (a token issuer) are still reached through it. Both spellings are set, because programs prefer one or the
    other.
    """
    spellings = ("NO_PROXY", "no_proxy")
    given = [name.strip() for each in spellings for name in environ.get(each, "").split(",") if name.strip()]
    if "*" not in given:  # which only means "all" when it stands alone
        environ.update(dict.fromkeys(spellings, ",".join(dict.fromkeys([*given, *LOCAL_NAMES]))))
