"""The ledger: one row per blob name, and the pure decision what an event does to it.

::

    row   = what is known of one name: present or absent, as of a sequencer
    event = "this name became present/absent as of sequencer S"

    decide(row, event) ──► applied     the name's presence changes: row and tally are written together
                       ├─► unchanged   newer, same presence (an overwrite): the sequencer advances, no count moves
                       ├─► duplicate   this very event is in the row already
                       ├─► stale       something newer is in the row already
                       └─► look        the event cannot decide: HEAD the blob, then decide_observed

Counts are numbers of distinct present names; no event ever increments a count. So any order and any number of
deliveries of the same events ends in the same rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shared.clock import from_iso, to_iso
from shared.model.changes import normalise_sequencer

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from datetime import datetime

    from shared.model.changes import BlobChange

type Value = str | int | bool
type Properties = dict[str, Value]

#: The properties by which a row is part of a count.
COUNTED_BY: Final = ("path", "folder", "present")
#: Two clocks of the storage service (an event's time and a HEAD's Date) may differ by this much.
SKEW_MARGIN: Final = timedelta(seconds=30)
#: A later event about a name without a row is looked at: a reconciliation may have passed meanwhile, and a clean one
#: leaves no mark of what it saw (a container that was deleted with a blob that had no row).
LATE_AFTER: Final = timedelta(minutes=5)
#: A time further ahead of our own clock is wrong, and tells nothing.
LATEST_AHEAD: Final = timedelta(minutes=5)
#: Longer than every redelivery path: 24 h of retries, then dead letters that an operator replays.
TOMBSTONE_HORIZON: Final = timedelta(days=14)


class Outcome(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    STALE = "stale"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one blob name.

    Attributes:
        path: ``container/name``, exact.
        folder: The folder it counts in.
        present: Whether the blob exists.
        sequencer: The newest sequencer seen for this name, normalised; "" when none is known.
        etag: The blob's eTag when present and known, else "".
        event_time: When the newest event happened (storage clock), or None.
        observed_at: When the blob itself was last looked at (storage clock), or None.
        is_sound: False when something other than the app has written to it: only the blob can tell what is true.
    """

    path: str
    folder: str
    present: bool
    sequencer: str = ""
    etag: str = ""
    event_time: datetime | None = None
    observed_at: datetime | None = None
    is_sound: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look at the blob itself found.

    Attributes:
        path: ``container/name``.
        folder: The folder it counts in.
        present: Whether it exists.
        observed_at: The ``Date`` of the storage service's answer, never our own clock.
        etag: The blob's eTag, or "".
        sequencer: A sequencer that the look is known to be newer than: that of the event that asked for it.
        is_listed: The name was in a listing, without a HEAD. Good enough until the first listing is complete.
    """

    path: str
    folder: str
    present: bool
    observed_at: datetime
    etag: str = ""
    sequencer: str = ""
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """A decision, and the row to write.

    Attributes:
        outcome: What became of the event.
        row: The row to write, or None when there is nothing to write.
        delta: How the folder's count moves: -1, 0 or 1.
    """

    outcome: Outcome
    row: Row | None = None
    delta: int = 0


def row_key(path: str) -> str:
    """Return the RowKey of a path: 128 bits of BLAKE2b as 32 hex digits.

    Names may hold characters that a key must not (slashes, ``#``, ``?``, controls), and may be longer than 1 KiB.
    The path is kept in the row and compared on every hit.
    """
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest()


def path_hashes(paths: Iterable[str], key: bytes = b"") -> Iterator[int]:
    """Iterate over hashes of paths, 128 bits of BLAKE2b each: without a key their RowKeys, as numbers."""
    copy = hashlib.blake2b(key=key, digest_size=16).copy  # of a hash is cheaper than to make one
    from_bytes = int.from_bytes
    for path in paths:
        each = copy()
        each.update(path.encode())
        yield from_bytes(each.digest())


def is_credible(moment: datetime, now: datetime) -> bool:
    """Tell whether something can have happened at a moment: not further ahead than clocks may be wrong."""
    return moment - now <= LATEST_AHEAD


def _may_precede(event_time: datetime, moment: datetime) -> bool:
    """Tell whether an event may have come first, by two clocks of the service that differ."""
    return event_time - moment <= SKEW_MARGIN


def decide(
    row: Row | None, change: BlobChange, folder: str, known_since: datetime, now: datetime, *, is_ready: bool = True
) -> Transition:
    """Decide what an event does to the row of its name.

    Args:
        row: The row as stored, or None when there is none.
        change: The event.
        folder: The folder that the name counts in.
        known_since: Events older than this may have been overtaken by changes that left no row.
        now: The time, which says how late the event is.
        is_ready: False until the account has been listed: a name without a row may have been there before.
    """
    if change.look or change.sequencer is None or change.event_time is None:
        return Transition(Outcome.LOOK)
    if not is_credible(change.event_time, now):
        return Transition(Outcome.LOOK)
    if row is not None:
        return _decide_against(row, change, change.sequencer, change.event_time, known_since, folder)
    if not is_ready or _may_precede(change.event_time, known_since) or now - change.event_time >= LATE_AFTER:
        return Transition(Outcome.LOOK)
    return _apply(None, change, folder)


def _decide_against(
    row: Row, change: BlobChange, sequencer: str, event_time: datetime, known_since: datetime, folder: str
) -> Transition:
    if not row.is_sound:
        return Transition(Outcome.LOOK)
    if sequencer == row.sequencer:
        return Transition(Outcome.DUPLICATE if change.present == row.present else Outcome.LOOK)
    if row.sequencer and len(row.sequencer) != len(sequencer):
        return Transition(Outcome.LOOK)  # padding the shorter one would be a guess
    if sequencer < row.sequencer:
        return Transition(Outcome.STALE)
    certain_since = [row.observed_at] if row.observed_at is not None else []  # what was seen may be its effect already
    if change.present != row.present:
        certain_since.append(known_since)  # a directory that came or went has left no mark in this row
    if any(_may_precede(event_time, moment) for moment in certain_since):
        return Transition(Outcome.LOOK)
    return _apply(row, change, folder)


def decide_observed(row: Row | None, seen: Observation) -> Transition:
    """Decide what a look at the blob does to its row. A look always writes a row, even "absent"."""
    known = row.sequencer if row is not None else ""
    newest = max(known, seen.sequencer) if len(known) == len(seen.sequencer) else seen.sequencer or known
    was_present = row is not None and row.present
    new = Row(
        seen.path,
        seen.folder,
        present=seen.present,
        sequencer=newest,
        etag=seen.etag,
        event_time=row.event_time if row is not None else None,
        observed_at=seen.observed_at,
    )
    delta = int(seen.present) - int(was_present)
    return Transition(Outcome.APPLIED if delta else Outcome.UNCHANGED, new, delta)


def _apply(row: Row | None, change: BlobChange, folder: str) -> Transition:
    was_present = row is not None and row.present
    new = Row(
        change.path,
        folder,
        present=change.present,
        sequencer=change.sequencer or "",
        etag=change.etag,
        event_time=change.event_time,
        observed_at=row.observed_at if row is not None else None,
    )
    delta = int(change.present) - int(was_present)
    return Transition(Outcome.APPLIED if delta else Outcome.UNCHANGED, new, delta)


def to_properties(row: Row) -> Properties:
    """Write a row as a table entity's properties, without those that are unknown."""
    properties: Properties = {"path": row.path, "folder": row.folder, "present": row.present}
    if row.sequencer:
        properties["sequencer"] = row.sequencer
    if row.etag:
        properties["blob_etag"] = row.etag
    if row.event_time is not None:
        properties["event_time"] = to_iso(row.event_time)
    if row.observed_at is not None:
        properties["observed_at"] = to_iso(row.observed_at)
    return properties


def from_properties(properties: Mapping[str, object], folders: Container[object]) -> Row:
    """Read a row back from an entity's properties.

    A property that makes no sense, such as a folder that is none of those that are counted, is left out, and the row
    is then not sound. A row that does not say whether, and where, it is present counts as absent.
    """
    path, folder, present = properties.get("path"), properties.get("folder"), properties.get("present")
    sequencer = normalise_sequencer(properties["sequencer"]) if "sequencer" in properties else ""
    event_time, is_time = _moment(properties.get("event_time"))
    observed_at, is_look = _moment(properties.get("observed_at"))
    is_placed = isinstance(path, str) and folder in folders and isinstance(present, bool)
    return Row(
        path=path if isinstance(path, str) else "",
        folder=str(folder) if folder in folders else "",
        present=is_placed and present is True,
        sequencer=sequencer or "",
        etag=str(properties.get("blob_etag", "")),
        event_time=event_time,
        observed_at=observed_at,
        is_sound=is_placed and sequencer == properties.get("sequencer", "") and is_time and is_look,
    )


def from_entity(key: str, properties: Mapping[str, object], folders: Container[object]) -> Row:
    """Read a row back and check its path against its key; the path is "" when they differ."""
    row = from_properties(properties, folders)
    if row.path and row_key(row.path) == key:
        return row
    return replace(row, path="", present=False, is_sound=False)


def folder_counted_in(key: str, properties: Mapping[str, object], folders: Container[object]) -> str:
    """Return the folder whose count a row is part of, "" for none: :func:`from_entity` for scans of millions."""
    path, folder = properties.get("path"), properties.get("folder")
    if properties.get("present") is not True or folder not in folders or not isinstance(path, str):
        return ""
    return str(folder) if row_key(path) == key else ""


def _moment(value: object) -> tuple[datetime | None, bool]:
    """Read a stored moment; the second value tells whether it is a moment or missing."""
    if value is None:
        return None, True
    try:
        return from_iso(str(value)), True
    except ValueError:
        return None, False
