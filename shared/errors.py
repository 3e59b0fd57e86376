"""Everything that can go wrong, each with its own reaction.

::

    BlobStatusError
    ├── SettingsError          a setting is wrong: the start stops, the message names it and the fix
    ├── EventNotUnderstood     the event is quarantined with the reason and acknowledged
    │   └── OtherTopic             the event is of an account that is not counted here: acknowledged, a number
    ├── Unavailable            the counts, or an answer, cannot be had right now: asking again later helps
    │   ├── CountsNotReady         until the first reconciliation has completed
    │   └── TooManyWaiters         there is no room for one more who wants to be held
    ├── StorageError           storage did not do what was asked
    │   ├── Conflict               a condition did not hold; nothing was written: re-read, re-decide
    │   ├── Rejected               this operation will never be taken (a 400); nothing was written
    │   ├── Refused                storage is there and says no (403); an outage for us
    │   │   ├── TableAbsent            there is no such table, or it is being deleted
    │   │   └── CountsUnreadable       something else has written to the row of the counts
    │   ├── ContainerAbsent        a definite answer that there is no such container
    │   └── OutcomeUnknown         anything else: it may or may not have been written; re-read, re-decide
    └── NotPublished           a topic did not take an event

What a request gets for an error is a matter of ``shared/serving/problems.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


class BlobStatusError(Exception):
    """The base of all errors that this app raises on purpose."""


class SettingsError(BlobStatusError):
    """A setting is missing or wrong. The message names the variable and the fix."""


class EventNotUnderstood(BlobStatusError):  # noqa: N818 - the name says what happened
    """A delivered event from which no blob change can be read. The message is the reason kept with it."""


class OtherTopic(EventNotUnderstood):
    """An event from a topic that the settings do not name. There may be as many as of ours: none is kept."""


class Unavailable(BlobStatusError):  # noqa: N818
    """What was asked for cannot be had right now. The message is safe to show to whoever asks."""


class CountsNotReady(Unavailable):
    """The account has never been reconciled: the counts are not known yet, and zeros would be a lie."""


class TooManyWaiters(Unavailable):
    """There is no room for one more client that is held; those that are answered at once are still answered."""


class StorageError(BlobStatusError):
    """Storage did not do what was asked."""


class Conflict(StorageError):  # noqa: N818
    """A condition of a transaction did not hold; nothing of it was written.

    Attributes:
        index: Position of the operation that failed. A hint: the service reports the first one it saw.
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class Rejected(StorageError):  # noqa: N818
    """An operation is refused whatever its state (400, 413); nothing was written.

    Attributes:
        index: Position of the operation that is refused. A hint, as in :class:`Conflict`.
        by_service: Whether storage itself says so. Something in between may find a request too large: then a smaller
            one may pass, and no row is to blame.
    """

    def __init__(self, message: str, index: int = 0, *, by_service: bool = True) -> None:
        super().__init__(message)
        self.index = index
        self.by_service = by_service


class Refused(StorageError):  # noqa: N818
    """Storage answers, and says no: no permission, no such table. Nothing was written, and retrying is for later.

    Attributes:
        status: The HTTP status of the answer; 0 where it is the app that says no.
        code: Storage's own name of the error, "" if it gave none.
    """

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TableAbsent(Refused):
    """The table was never made, was deleted, or is being deleted: then it cannot be made for a while."""


class CountsUnreadable(Refused):
    """The row of the counts makes no sense: a person or a script has written to it."""


class ContainerAbsent(StorageError):  # noqa: N818
    """Storage says definitely that this container does not exist; a failed or refused listing never says that.

    Attributes:
        date: The ``Date`` of the answer (the storage service's clock).
    """

    def __init__(self, message: str, date: datetime) -> None:
        super().__init__(message)
        self.date = date


class OutcomeUnknown(StorageError):  # noqa: N818
    """No definite answer: what was asked may or may not have happened.

    Attributes:
        retry_after_seconds: How long storage, being busy, asks to be left alone; 0 when it does not say.
    """

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotPublished(BlobStatusError):  # noqa: N818
    """The topic did not take the event."""


#: What reading stored data raises that no release has written.
NONSENSE: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def advice(error: StorageError) -> str:
    """Return what an operator does about a storage error, by what storage has answered."""
    if "Credential" in str(error):
        return "sign in (az login), with an identity that has the roles of docs/configuration.md"
    if isinstance(error, Rejected) or (isinstance(error, Refused) and error.status in {400, 405, 501}):
        return (
            "storage does not take the request, whoever sends it: is it too old for the SDK's API version "
            "(Azurite: start it with --skipApiVersionCheck), or does something in between change what is sent?"
        )
    if isinstance(error, Refused) and error.status in {401, 403}:
        return "check the key, or the roles of the identity that is signed in (docs/configuration.md), and the firewall"
    if isinstance(error, TableAbsent) or (isinstance(error, Refused) and error.status == 409):  # noqa: PLR2004
        return "something is being deleted or changed there: try again in a minute, that is always safe"
    if isinstance(error, Refused):
        is_edited = isinstance(error, CountsUnreadable)
        how = "check STORAGE, COUNTS_TABLE and the folders (docs/configuration.md)"
        return "start the counts anew: `python -m ops recount --yes`" if is_edited else how
    return "check that the storage account of STORAGE is reachable, then try again: that is always safe"
