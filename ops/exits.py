"""The exit codes, and the error that the operator corrects."""

from __future__ import annotations

from enum import IntEnum

from shared.errors import BlobStatusError, SettingsError, StorageError, advice
from shared.reconciling.lease import AlreadyRunning
from shared.writing.tally_row import ForeignTally


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    #: Counts differ, an event stays in quarantine, a blob is no dead letter: read the output.
    DIFFERENCES = 1
    USAGE = 2
    BUSY = 3
    STORAGE = 4
    MISTAKE = 5
    INTERRUPTED = 130


class WrongArgument(BlobStatusError):  # noqa: N818
    """An argument names nothing that exists. The message says what would."""


def exit_of(error: Exception) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, WrongArgument | SettingsError | ForeignTally):
        return Exit.USAGE
    if isinstance(error, AlreadyRunning):
        return Exit.BUSY
    return Exit.STORAGE if isinstance(error, StorageError) else Exit.MISTAKE


def explain(error: Exception) -> str:
    """Return one line: the error, and what to do."""
    line = " ".join(str(error).split()).rstrip(".")
    if exit_of(error) is Exit.MISTAKE:
        return f"{type(error).__name__}: {line} (a bug in this tool; --debug shows where)"
    if exit_of(error) is Exit.BUSY:
        return f"{line}; wait for it (--wait), or try again"
    return f"{line}; {advice(error)}" if isinstance(error, StorageError) and exit_of(error) is Exit.STORAGE else line
