"""The status as it is served: one snapshot, its bytes made once and shared by all requests.

It is a pure function of the tally, so two answers with the same ETag have identical bodies, from whichever instance.
``timestamp`` is when the counts last changed, not the time of the request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.clock import to_iso
from shared.model.folders import INPUT, OUTPUT

if TYPE_CHECKING:
    from shared.model.cases import CaseTally
    from shared.model.tally import Tally

#: The table's clock and ours may differ by this much.
LAST_MODIFIED_MARGIN: Final = timedelta(seconds=2)
#: Limits the length of a client's number before it is converted.
_REVISION: Final = re.compile(r"[0-9]{1,18}(?![0-9])")
#: What is said of a case that nobody has heard of: it has not changed since.
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = frozenset("0123456789")
#: What a frame calls a folder, where that is not the folder's name.
_IN_FRAME: Final = {INPUT: "processing", OUTPUT: "completed"}


@dataclass(frozen=True)
class StatusSnapshot:
    """The counts as of one read of the tally.

    Attributes:
        tally: The tally that was read, or a case's.
        read_at: When the read began, by this machine's clock.
        written_at: When the tally was last written, by the table's clock; None counts as its ``changed_at``. A
            commit is stamped before it lands, and may land late: this is the time of landing, or later.
    """

    tally: Tally | CaseTally
    read_at: datetime
    written_at: datetime | None = None

    @cached_property
    def version(self) -> str:
        """The opaque version, unquoted."""
        return self.tally.version

    @cached_property
    def etag(self) -> str:
        """The strong entity tag."""
        return f'"{self.version}"'

    @property
    def _timestamp(self) -> str | None:
        return to_iso(self.tally.changed_at) if self.tally.changed_at is not None else None

    def _counts(self) -> dict[str, int]:
        """Return the counts as they are shown: one that something else has made negative is none until it is right."""
        return {folder: max(0, count) for folder, count in self.tally.counts().items()}

    @property
    def data(self) -> dict[str, object]:
        """What the status endpoint and the topic say of the counts."""
        return {
            **{f"{folder}_count": count for folder, count in self._counts().items()},
            "timestamp": self._timestamp,
            "version": self.version,
        }

    @cached_property
    def body(self) -> bytes:
        """The JSON of ``GET /api/cases/storage/status``."""
        return _json({"success": True, "data": self.data})

    @cached_property
    def frame(self) -> bytes:
        """The Server-Sent Event of the same counts."""
        data = {
            **{_IN_FRAME.get(folder, folder): count for folder, count in self._counts().items()},
            "timestamp": self._timestamp,
            "version": self.version,
        }
        return b"id: %b\nevent: status_update\ndata: %b\n\n" % (self.version.encode(), _json(data))

    @cached_property
    def last_modified(self) -> datetime:
        """The whole second after the change since which nothing has changed, as far as this read can know.

        HTTP dates have whole seconds, so "not modified since T" is only claimed when the change lies before T and the
        read after it: a client with older counts must not get 304 after a further change in the same second, or one
        that landed during the read.
        """
        seen_until = (self.read_at - LAST_MODIFIED_MARGIN).replace(microsecond=0)
        return min(self._after_change, seen_until)

    @property
    def dated_at(self) -> datetime:
        """From when on a read gives these counts their final ``last_modified``, which holds until they change."""
        return self._after_change + LAST_MODIFIED_MARGIN

    def modified_since(self, moment: datetime) -> bool:
        """Tell whether the counts may have changed at or after this moment; one in the future says nothing."""
        return self._landed_at >= moment or moment > self.read_at

    def is_named(self, tag: str) -> bool:
        """Tell whether a client's validator names this version."""
        return names(tag, self.version)

    def is_behind(self, tag: str) -> bool:
        """Tell whether a validator names a later revision of the same tally."""
        claimed = claimed_revision(tag, self.tally.epoch)
        return claimed is not None and claimed > self.tally.revision

    @property
    def _after_change(self) -> datetime:
        return self._landed_at.replace(microsecond=0) + timedelta(seconds=1)

    @property
    def _landed_at(self) -> datetime:
        return max(filter(None, (self.tally.changed_at, self.written_at)), default=_NEVER)


def claimed_revision(tag: str, epoch: str) -> int | None:
    """Return the revision that a validator names, or None if it is of another epoch."""
    prefix = f"{epoch}-"
    claimed = _REVISION.match(tag, len(prefix)) if tag.startswith(prefix) else None
    return int(claimed[0]) if claimed is not None else None


def names(tag: str, version: str) -> bool:
    """Tell whether a validator is a version, perhaps with a proxy's addition.

    Compressing proxies add to a tag: ``-gzip`` (Apache), ``--gzip`` (Jetty), ``-df`` (Traffic Server). An addition
    never begins with a digit, which would make another revision.
    """
    return tag.startswith(version) and tag[len(version) : len(version) + 1] not in _DIGITS


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
