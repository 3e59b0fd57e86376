"""Errors of the runtime host.

::

    HostError
    ├── SetupError   the host cannot start as asked: arguments, settings files, ports, environment
    └── AppError     the function app cannot be indexed, or uses what this host does not support
"""


class HostError(Exception):
    """Base of all. The message is printed as it stands: it says what is wrong and what to do."""


class SetupError(HostError):
    """The host cannot start as asked."""


class AppError(HostError):
    """The function app cannot run on this host.

    Attributes:
        details: the app's traceback, or an empty string where the message says it all.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
