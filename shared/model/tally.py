"""The tally: for each folder a count and a digest of its set of names, in one row that is the whole snapshot.

The digest is the sum, mod 2**128, of a keyed hash of each present path. Adding and removing commute, so the same
commits maintain it as the counts, and a listing folded the same way can be compared in O(1): equal counts *and*
digests mean equal sets of names. The key is made at first start, so that no one can choose names whose hashes cancel.

Beside the digests stands one sketch of all names that count, in any folder. The digests decide whether two sets are
the same; the sketch says by which names they differ, and is believed as far as the digests agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.clock import from_iso, to_iso
from shared.model.cases import RING_TEXTS, Recent
from shared.model.folders import FOLDERS, in_order
from shared.model.ledger import path_hashes
from shared.model.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from shared.model.ledger import Properties

_MODULUS: Final = 1 << 128
_DIGEST: Final = "_digest"
#: Begin the names of the properties that hold the sketch and the ring; a number follows, so that no folder's do.
_SKETCH: Final = "sketch"
_CASES: Final = "case"


@dataclass(frozen=True, slots=True)
class Sum:
    """A set of paths, folded: how many, and their digest."""

    count: int = 0
    digest: int = 0


class Change(NamedTuple):
    """A path that entered (+1) or left (-1) the set of its folder."""

    folder: str
    path: str
    delta: int


@dataclass(frozen=True, slots=True)
class NamedWriter:
    """The process that commits for the others, for a while. It is a hint: only the ETags protect the ledger.

    Attributes:
        process: The id of this start of the process.
        format: The format of handed-over intents that it reads.
        until: When its time is over, by the table's clock.
    """

    process: str
    format: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of all folders, as of one commit.

    Attributes:
        epoch: Identifies this tally among all that were ever made; part of the version.
        digest_key: Key of the path hashes, 16 bytes.
        fingerprint: What is counted (:meth:`shared.model.folders.FolderMap.fingerprint`).
        changed_at: When a count last changed. Never decreases.
        known_since: Events older than this (storage clock) may have been overtaken by changes that left no row: those
            from before the account was listed, and directories that came or went as a whole.
        revision: Bumped when, and only when, a count changes.
        ready: False until the account has been reconciled once.
        sums: Folder → its :class:`Sum`.
        doubt: A token that changes whenever a blob may have come or gone without leaving a row: a look that began
            under another one is repeated.
        writer: The process that is named to commit for the others, or None.
        sketch: The sketch of the row keys of all that counts, as far as it is made; or None: it was never begun, an
            older release has written the tally since and dropped it, or it was found not to be right.
        recent: The cases that changed lately; None where there are no counts of cases.
    """

    epoch: str
    digest_key: bytes
    fingerprint: str
    changed_at: datetime
    known_since: datetime
    revision: int = 0
    ready: bool = False
    sums: Mapping[str, Sum] = field(default_factory=lambda: dict.fromkeys(FOLDERS, Sum()))
    doubt: str = ""
    writer: NamedWriter | None = None
    sketch: Sketch | None = None
    recent: Recent | None = None

    @property
    def version(self) -> str:
        """The version that the ETag quotes; it identifies the counts of one commit."""
        return f"{self.epoch}-{self.revision}"

    def counts(self) -> dict[str, int]:
        """Return folder → count, in the order in which they are served."""
        return {folder: self.sums[folder].count for folder in in_order(self.sums)}

    def apply(self, changes: Iterable[Change], now: datetime) -> Tally:
        """Return the tally after these changes.

        The revision and ``changed_at`` move only when a count does: a batch in which one name replaces another wakes
        no client.
        """
        sums = dict(self.sums)
        moved: dict[int, list[int]] = {-1: [], 1: []}
        for folder, path, delta in changes:
            total = sums[folder]
            (hashed,), (row_key,) = path_hashes([path], self.digest_key), path_hashes([path])
            sums[folder] = Sum(total.count + delta, (total.digest + delta * hashed) % _MODULUS)
            moved[delta].append(row_key)
        sketch = self.sketch.copy() if self.sketch is not None else None
        for delta, row_keys in moved.items():
            if sketch is not None:
                sketch.add(row_keys, delta)
        return self.holding(sums, sketch, now)

    def holding(self, sums: Mapping[str, Sum], sketch: Sketch | None, now: datetime) -> Tally:
        """Return the tally with these sums and this sketch."""
        moved = replace(self, sums=sums, sketch=sketch)
        if moved.counts() == self.counts():
            return moved
        return replace(moved, revision=self.revision + 1, changed_at=max(self.changed_at, now))


def fold(key: bytes, paths: Iterable[str], start: Sum = Sum()) -> Sum:
    """Fold paths (each named once) into a sum that begins with ``start``."""
    hashes = list(path_hashes(paths, key))
    return Sum(start.count + len(hashes), (start.digest + sum(hashes)) % _MODULUS)


def without_sketch(folders: Iterable[str], *, has_cases: bool = False) -> tuple[str, ...]:
    """Return the names of the properties of a tally of these folders, but for its sketch."""
    return (
        *(("case_revision", *_names(_CASES, RING_TEXTS)) if has_cases else ()),
        *("epoch", "digest_key", "fingerprint", "changed_at", "known_since", "revision", "ready", "doubt", "moved_to"),
        *("writer", "writer_format", "writer_until"),
        *(f"{folder}_{what}" for folder in folders for what in ("count", "digest")),
    )


def to_properties(tally: Tally, stored: Tally | None = None) -> Properties:
    """Write the tally as a table entity's properties; of its sketch and its ring, what is not as in the stored one."""
    properties: Properties = {
        "epoch": tally.epoch,
        "digest_key": tally.digest_key.hex(),
        "fingerprint": tally.fingerprint,
        "changed_at": to_iso(tally.changed_at),
        "known_since": to_iso(tally.known_since),
        "revision": tally.revision,
        "ready": tally.ready,
    }
    if tally.sketch is not None:
        known = stored.sketch.to_texts() if stored is not None and stored.sketch is not None else []
        properties |= _texts(_SKETCH, tally.sketch.to_texts(), known)
    if tally.recent is not None:
        known = stored.recent.to_texts() if stored is not None and stored.recent is not None else []
        properties |= {"case_revision": tally.recent.revision, **_texts(_CASES, tally.recent.to_texts(), known)}
    if tally.doubt:
        properties["doubt"] = tally.doubt
    if tally.writer is not None:
        properties |= name_properties(tally.writer)
    for folder, total in tally.sums.items():
        properties[f"{folder}_count"] = total.count
        properties[f"{folder}{_DIGEST}"] = f"{total.digest:032x}"
    return properties


def name_properties(writer: NamedWriter) -> Properties:
    """Write the name of who commits for the others."""
    return {"writer": writer.process, "writer_format": writer.format, "writer_until": to_iso(writer.until)}


def changed_properties(before: Tally, after: Tally) -> tuple[Properties, bool]:
    """Return what to write where the tally before stands, and whether the properties that it does not name stay.

    They are those of the sketch and of the ring, which are most of a tally, that are as they were.
    """
    goes = before.writer is not None and after.writer is None
    merges = before.sketch is not None and after.sketch is not None and not goes
    return to_properties(after, before if merges else None), merges


def _texts(prefix: str, texts: list[str], known: list[str]) -> dict[str, str]:
    pairs = zip_longest(_names(prefix, len(texts)), texts, known)
    return {name: text for name, text, old in pairs if text != old}


@cache
def _names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number:03}" for number in range(count))


def _numbered(prefix: str, properties: Mapping[str, object]) -> list[str]:
    return [str(properties[name]) for name in sorted(properties) if name.removeprefix(prefix).isdecimal()]


def from_properties(properties: Mapping[str, object]) -> Tally:
    """Read the tally back from an entity's properties. It is of the folders that they name, whatever is counted now.

    Raises:
        KeyError: A property is missing without which there are no counts.
        ValueError: One makes no sense.
    """
    digest_key = bytes.fromhex(str(properties["digest_key"]))
    return Tally(
        epoch=str(properties["epoch"]),
        digest_key=digest_key,
        fingerprint=str(properties["fingerprint"]),
        changed_at=from_iso(str(properties["changed_at"])),
        known_since=from_iso(str(properties["known_since"])),
        revision=int(str(properties["revision"])),
        ready=properties["ready"] is True,
        sums={
            folder: Sum(int(str(properties[f"{folder}_count"])), int(str(properties[f"{folder}_digest"]), 16))
            for folder in in_order((*FOLDERS, *_named(properties)))
        },
        doubt=str(properties.get("doubt", "")),
        writer=_named_writer(properties),
        sketch=Sketch.from_texts(digest_key, _numbered(_SKETCH, properties)),
        recent=_recent(properties),
    )


def _recent(properties: Mapping[str, object]) -> Recent | None:
    """Read the ring; one that is damaged tells of no change, so that whoever needs to know reads the cases."""
    if "case_revision" not in properties:
        return None
    revision = int(str(properties["case_revision"]))
    try:
        return Recent.from_texts(revision, _numbered(_CASES, properties))
    except ValueError:
        return Recent(revision)


def _named(properties: Iterable[str]) -> Iterator[str]:
    """Iterate over the folders of which there is a digest."""
    return (name.removesuffix(_DIGEST) for name in properties if name.endswith(_DIGEST))


def _named_writer(properties: Mapping[str, object]) -> NamedWriter | None:
    """Read the named writer; None if it makes no sense, or an older release has written the tally."""
    if "writer" not in properties:
        return None
    try:
        return NamedWriter(
            process=str(properties["writer"]),
            format=int(str(properties["writer_format"])),
            until=from_iso(str(properties["writer_until"])),
        )
    except (KeyError, ValueError):
        return None
