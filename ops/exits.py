"""What the exit code says, and the error that is the operator's to correct."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from shared.checkpoint import AlreadyRunning
from shared.counts import ForeignTally
from shared.errors import BlobStatusError, Refused, SettingsError, StorageError

_NOT_ALLOWED: Final = "check the key, or the roles of the identity that you are signed in with (docs/configuration.md)"
_BUSY: Final = "storage is busy: try again in a while; that is always safe"
#: What to do about a status of storage's that says more than "no".
_REFUSED: Final = {
    400: (
        "storage does not understand the request: an Azurite that is older than the SDK needs --skipApiVersionCheck, "
        "and an address in STORAGE must be that of the service it is given for"
    ),
    401: _NOT_ALLOWED,
    403: _NOT_ALLOWED,
    408: _BUSY,
    409: "something there is about to be deleted or changed: try again in a minute",
    429: _BUSY,
}


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    #: Counts differ, an event stays in quarantine, a blob is no dead letter: look at the output.
    DIFFERENCES = 1
    USAGE = 2
    BUSY = 3
    STORAGE = 4
    MISTAKE = 5
    INTERRUPTED = 130


class WrongArgument(BlobStatusError):  # noqa: N818
    """An argument names nothing that is there. The message says what would."""


def exit_of(error: Exception) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, WrongArgument | SettingsError | ForeignTally):
        return Exit.USAGE
    if isinstance(error, AlreadyRunning):
        return Exit.BUSY
    return Exit.STORAGE if isinstance(error, StorageError) else Exit.MISTAKE


def explain(error: Exception) -> str:
    """Return one line: what is wrong, and what to do."""
    line = " ".join(str(error).split()).rstrip(".")
    if exit_of(error) is Exit.MISTAKE:
        return f"{type(error).__name__}: {line} (a mistake in this tool; --debug shows where)"
    if exit_of(error) is Exit.BUSY:
        return f"{line}; wait for it (--wait), or try again"
    return f"{line}; {_advice(error)}" if isinstance(error, StorageError) and exit_of(error) is Exit.STORAGE else line


def _advice(error: StorageError) -> str:
    if "Credential" in str(error):
        return "sign in (az login), with an identity that has the roles of docs/configuration.md"
    if isinstance(error, Refused) and error.status in _REFUSED:
        return _REFUSED[error.status]
    if isinstance(error, Refused):
        return "storage will not take this request however often: its code says why"
    return "check that the storage account of STORAGE is reachable, then try again: that is always safe"
