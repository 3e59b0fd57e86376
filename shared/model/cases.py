"""The counts of each case: a share of the blobs that their names put together, such as all images of one upload.

A case's counts change in the transaction that changes the tally. Which cases changed lately stands in the tally itself,
in a ring of :data:`RING` entries, so that whoever reads the tally knows of them without a read a case.

A case of which nothing is queued or in process any more is *drained*. Where that is announced, the commit that drains
it marks its row, so that no process's end can lose it; the mark goes once it is announced, or the case is refilled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.clock import from_iso, to_iso
from shared.model.folders import FOLDERS, INPUT, QUEUED, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.model.ledger import Properties

#: So many of the last changes stand in the tally, in texts of :data:`_A_TEXT`: a commit writes those that it changes.
RING: Final = 256
#: A case's row key begins with it: they sort before the tally and the blobs.
ROW_PREFIX: Final = "!case:"

_A_TEXT: Final = 16
RING_TEXTS: Final = RING // _A_TEXT
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COUNT: Final = "_count"
_DRAINED: Final = "drained"


@dataclass(frozen=True, slots=True)
class CaseTally:
    """The counts of one case, as of the last commit that changed one of them.

    Attributes:
        epoch: The tally's; part of the version.
        sums: Folder → how many.
        revision: The number of that change among all changes of cases; 0: none of its names was ever counted, or they
            are all gone for so long that the case is forgotten.
        changed_at: When that was, or None.
        drained: It is marked: it was drained, and that is to be announced. No part of what is served.
    """

    epoch: str
    sums: Mapping[str, int]
    revision: int = 0
    changed_at: datetime | None = None
    drained: bool = False

    @property
    def version(self) -> str:
        """The version that the ETag quotes; of one case, it identifies the counts of one commit."""
        return f"{self.epoch}-{self.revision}"

    def counts(self) -> dict[str, int]:
        """Return folder → count, in the order in which they are served."""
        return {folder: self.sums[folder] for folder in in_order(self.sums)}

    @property
    def has_work(self) -> bool:
        """Whether something is queued or in process."""
        return bool(self.sums[QUEUED] or self.sums[INPUT])

    def moved(self, by: Mapping[str, int], revision: int, now: datetime, *, marks: bool = False) -> CaseTally:
        """Return the counts after so many have come to, or gone from, these folders.

        Args:
            by: Folder → how many more.
            revision: The number of the change.
            now: The time.
            marks: Whether it is marked when this drains it. A mark stays as long as it is true.
        """
        sums = {folder: count + by.get(folder, 0) for folder, count in self.sums.items()}
        moved = replace(self, sums=sums, revision=revision, changed_at=max(now, self.changed_at or now))
        return replace(moved, drained=not moved.has_work and (self.drained or (marks and self.has_work)))


class StoredCase(NamedTuple):
    """A case as it stands in the table.

    Attributes:
        case: The case.
        tally: Its counts.
        etag: Its row's ETag.
        partition: Where its row stands.
    """

    case: str
    tally: CaseTally
    etag: str
    partition: str


class Changed(NamedTuple):
    """A change of a case, as the ring tells it.

    Attributes:
        key: Of the case (:func:`key_of`).
        tally: Its counts afterwards.
    """

    key: str
    tally: CaseTally


@dataclass(frozen=True, slots=True)
class Recent:
    """The last changes of cases.

    Attributes:
        revision: The number of the last one.
        entries: The changes as text, each at the place of its number modulo :data:`RING`.
    """

    revision: int = 0
    entries: tuple[str, ...] = ("",) * RING

    def adding(self, changes: Iterable[Changed]) -> Recent:
        """Return the ring after these changes, which have the numbers that follow."""
        entries, revision = list(self.entries), self.revision
        for key, tally in changes:
            revision = tally.revision
            moment = (tally.changed_at or _EPOCH) - _EPOCH
            entries[revision % RING] = ":".join([key, str(moment // _MICROSECOND), *map(str, tally.counts().values())])
        return Recent(revision, tuple(entries))

    def after(self, revision: int, epoch: str, folders: Iterable[str]) -> list[Changed] | None:
        """Return the changes after this number, in order; None if not all of them are here, or can be read.

        Args:
            revision: The number.
            epoch: The tally's.
            folders: The folders that the tally counts.
        """
        if not self.revision - RING <= revision <= self.revision:
            return None
        names = in_order(folders)
        found = []
        for number in range(revision + 1, self.revision + 1):
            try:
                key, micros, *counts = self.entries[number % RING].split(":")
                changed_at = _EPOCH + int(micros) * _MICROSECOND
                sums = dict(zip(names, map(int, counts), strict=True))
            except (ValueError, OverflowError):
                return None  # a manual edit
            found.append(Changed(key, CaseTally(epoch, sums, number, changed_at)))
        return found

    def to_texts(self) -> list[str]:
        """Write the entries, some in a text."""
        return [";".join(self.entries[start : start + _A_TEXT]) for start in range(0, RING, _A_TEXT)]

    @classmethod
    def from_texts(cls, revision: int, texts: Sequence[str]) -> Recent:
        """Read what :meth:`to_texts` has written.

        Raises:
            ValueError: It is something else.
        """
        entries = tuple(entry for text in texts for entry in text.split(";"))
        if len(entries) != RING:
            raise ValueError("the tally's ring of cases is not whole")
        return cls(revision, entries)


def key_of(case: str) -> str:
    """Return what stands for a case in the ring and in its row's key: 128 bits of a hash, as with blobs."""
    return blake2b(case.encode(), digest_size=16).hexdigest()


def nothing(epoch: str, folders: Iterable[str] = FOLDERS) -> CaseTally:
    """Return the counts of a case that nobody has heard of."""
    return CaseTally(epoch, dict.fromkeys(in_order(folders), 0))


def to_properties(case: str, tally: CaseTally) -> Properties:
    """Write a case as its row's properties."""
    return {
        "case": case,
        "total": sum(tally.sums.values()),
        "revision": tally.revision,
        "changed_at": to_iso(tally.changed_at or _EPOCH),
        **{f"{folder}{_COUNT}": count for folder, count in tally.sums.items()},
        **({_DRAINED: True} if tally.drained else {}),
    }


def from_properties(
    properties: Mapping[str, object], epoch: str, folders: Iterable[str], case: str | None = None
) -> CaseTally:
    """Read a case from its row's properties.

    Args:
        properties: The row's.
        epoch: The tally's.
        folders: The folders that it counts.
        case: Whose row it is, or None: that of any case.

    Raises:
        KeyError: A property is missing.
        ValueError: A property makes no sense.
    """
    if case not in {None, properties["case"]}:  # no two cases share 128 bits of a hash: a manual edit
        raise ValueError(f"it is the row of {properties['case']!r}")
    sums = {folder: int(str(properties[f"{folder}{_COUNT}"])) for folder in in_order(folders)}
    changed_at = from_iso(str(properties["changed_at"]))
    return CaseTally(epoch, sums, int(str(properties["revision"])), changed_at, is_marked(properties))


def is_marked(properties: Mapping[str, object]) -> bool:
    """Tell whether a case's row says that it was drained, and that nobody has announced it."""
    return properties.get(_DRAINED) is True


def is_forgotten(properties: Mapping[str, object], oldest_kept: datetime) -> bool:
    """Tell whether a case's row counts nothing, has not changed since, and has nothing to be announced."""
    changed_at = properties.get("changed_at")
    if properties.get("total") != 0 or not isinstance(changed_at, str) or is_marked(properties):
        return False
    try:
        return from_iso(changed_at) < oldest_kept
    except ValueError:
        return False
