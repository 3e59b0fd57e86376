"""What happened to a blob, or to a directory of blobs: the values that everything else works with.

An event never says "+1": it says that a name became present or absent as of a sequencer. An overwrite raises
BlobCreated again, and a BlobDeleted carries neither eTag nor contentLength, so the name is all there is to go by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_SEQUENCER: Final = re.compile(r"[0-9A-Fa-f]{1,64}")


@dataclass(frozen=True, slots=True)
class BlobChange:
    """One name became present or absent.

    Attributes:
        container: The container's name.
        name: The blob's name, exactly as the event has it: no normalisation, no case folding.
        present: True when the name came to be (or was overwritten), False when it went.
        sequencer: Lower-case hex that orders the events of this very name (by string comparison, equal widths
            only), or None when the event has none that can be used: then only the blob itself can tell.
        event_time: When it happened by the storage service's clock, or None when that cannot be read.
        etag: The blob's eTag, or "" (deletions have none).
        look: True when the event alone does not decide, whatever the sequencer says: both halves of a rename.
    """

    container: str
    name: str
    present: bool
    sequencer: str | None
    event_time: datetime | None
    etag: str = ""
    look: bool = False

    @property
    def path(self) -> str:
        """``container/name``: what the ledger knows the blob by."""
        return f"{self.container}/{self.name}"


@dataclass(frozen=True, slots=True)
class DirectoryChange:
    """Blobs under a directory came or went, without events of their own (hierarchical namespace).

    Attributes:
        container: The container's name.
        prefix: The directory's path, with "/" at its end.
        event_time: When it happened by the storage service's clock, or None when that cannot be read.
    """

    container: str
    prefix: str
    event_time: datetime | None = None


def normalise_sequencer(value: object) -> str | None:
    """Return the sequencer in the one form that is compared, or None when it cannot be used.

    Seen in deliveries: 32 and 48 hex digits, both cases.
    """
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    return stripped.lower() if _SEQUENCER.fullmatch(stripped) else None
