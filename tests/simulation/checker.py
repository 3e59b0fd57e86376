"""The invariants, checked after every commit that takes effect and every acknowledgement: in O(batch).

The checker stands beside the service and sees every change of the table and of the blobs at the instant it happens.
It keeps its own sums of what the rows say and compares; it shares no code with what it checks but the format of the
rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from shared.clock import read_moment
from shared.model import cases
from shared.model import tally as tallies
from shared.model.folders import FolderMap
from shared.model.ports import Entity
from shared.model.sketch import Sketch
from shared.model.tally import Tally
from shared.reconciling.lease import CONTROL_PARTITION
from shared.writing.tally_row import PARTITION, TALLY_KEY

MODULUS = 1 << 128
#: So many are added up at every commit.
_FEW_CASES = 8


@dataclass(slots=True)
class Ticket:
    """One transaction, as its sender sees it."""

    has_landed: bool = False
    is_denied: bool = False


@dataclass(slots=True)
class Ledger:
    """What the table says in one generation: the tally, and what its rows add up to.

    Attributes:
        tally: The tally's properties, None while there is none.
        sums: Folder → count and digest of the rows that say "present".
        rows: Path → whether its row says "present".
        cases: Case → folder → how many rows of its names say "present".
        case_rows: Key of a case → its row's properties.
        moved_cases: Cases of which the last transaction has changed a row.
    """

    tally: dict[str, Any] | None = None
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[str, bool] = field(default_factory=dict)
    cases: dict[str, Counter[str]] = field(default_factory=dict)
    case_rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    moved_cases: set[str] = field(default_factory=set)


class Checker:
    """Holds the invariants.

    Args:
        maps: Fingerprint → the folder map that it is of.
        now: Virtual time, seconds.
        stop: Called when an invariant is broken: ends the simulation.
        random: Of the misleading indexes.
        stats: Where is counted what happened.
    """

    def __init__(
        self,
        maps: Mapping[str, FolderMap],
        now: Callable[[], float],
        stop: Callable[[], None],
        random: Random,
        stats: Counter[str],
    ) -> None:
        self._maps = maps
        self._now = now
        self._stop = stop
        self._random = random
        self.stats = stats
        self.violation: str | None = None
        self.is_over = False
        self.ledger_writes = 0
        self.max_operations = 100
        self.misleads = 0.0
        self.splits_evenly = True
        self.trace = hashlib.blake2b(digest_size=8)
        self.ledgers: dict[str, Ledger] = {PARTITION: Ledger()}
        #: The partition of the generation that counts.
        self.current = PARTITION
        #: Directories that are marked: what lies under them may be wrong until they were compared.
        self.marks: set[str] = set()
        #: Somebody else has written to the table: rows and tally may disagree until it is reconciled.
        self.is_tampered = False
        self.served: dict[tuple[str, str], bytes] = {}
        self.versions: dict[str, tuple[object, ...]] = {}
        self.case_versions: dict[tuple[str, str], tuple[object, ...]] = {}
        #: Key and version of the cases that were announced as drained.
        self.told: set[tuple[str, str]] = set()
        #: Key of a case that was drained, and is → its versions since.
        self.drained: dict[str, set[str]] = {}
        self.visible_changes: list[tuple[float, str]] = []
        self.on_visible_change: Callable[[], None] = lambda: None
        self.on_case_change: Callable[[str, str], None] = lambda _key, _version: None
        self.on_listed: Callable[[], None] = lambda: None
        #: What looks at blobs were answered: path, Date, present.
        self._looks: set[tuple[str, datetime, bool]] = set()
        self._listed: set[tuple[str, datetime]] = set()
        #: path → whether the storage account holds it.
        self.present: dict[str, bool] = {}
        #: path → events raised and not yet acknowledged.
        self.pending: Counter[str] = Counter()
        #: Paths of which an event is lost, or that changed without one: right after the next reconciliation only.
        self.drifting: set[str] = set()
        #: Paths that were there before anybody listened: right once the first reconciliation has ended.
        self.unlisted: set[str] = set()

    def note(self, *what: object) -> None:
        """Add to the trace."""
        self.trace.update(repr((round(self._now(), 6), *what)).encode())

    def fail(self, invariant: str, message: str) -> None:
        """Record that an invariant is broken; the first one counts, and nothing that comes of an error."""
        if self.violation is None and not self.is_over:
            self.violation = f"{invariant}: {message}"
            self._stop()

    # What the storage account holds

    def blob_changed(self, path: str, *, present: bool) -> None:
        """Note what the account holds from now on."""
        self.present[path] = present
        self.note("blob", path, present)
        if self.current != PARTITION and self.tally is not None and not self.tally["ready"]:
            self.unlisted.add(path)  # its event may still be taken by a process of the former generation

    def looked(self, path: str, date: datetime, *, present: bool) -> None:
        """A HEAD is answered."""
        self._looks.add((path, date.replace(microsecond=0), present))

    def listed(self, container: str, names: list[str], date: datetime) -> None:
        """A page of a listing is answered."""
        self._listed.update((f"{container}/{name}", date.replace(microsecond=0)) for name in names)
        self.on_listed()

    # What senders are told

    def page_size(self) -> int:
        """Return how many entities the service puts into the next page of a scan: few, so that scans are torn."""
        return 16 if self.splits_evenly else 1 + int(self._random.random() * 16)

    def misleading(self, index: int, operations: int) -> int:
        """Return the index that the service reports: a hint, in some worlds always the first operation."""
        if self._random.random() < self.misleads:
            self.stats["misleading indexes"] += 1
            return 0 if self.misleads == 1.0 else int(self._random.random() * operations)
        return index

    def landed(self, ticket: Ticket) -> None:
        """A transaction takes effect."""
        ticket.has_landed = True
        if ticket.is_denied:
            self.fail("I3", "a transaction took effect of which its sender had been told that nothing was written")

    def told_not_done(self, ticket: Ticket, error: Exception) -> None:
        """The sender of a transaction is told that nothing was written."""
        ticket.is_denied = True
        if ticket.has_landed:
            self.fail("I3", f"{type(error).__name__} was reported for a transaction that took effect")

    def told_done(self, ticket: Ticket) -> None:
        """The sender of a transaction is told that it was done."""
        if not ticket.has_landed:
            self.fail("I3", "success was reported for a transaction that took no effect")

    # What the table holds

    @property
    def tally(self) -> dict[str, Any] | None:
        """The tally of the generation that counts."""
        return self.ledgers[self.current].tally

    @property
    def has_sketch(self) -> bool:
        """Tell whether the tally of the generation that counts has a sketch of all of it."""
        read = self._read(self.tally) if self.tally is not None else None
        return read is not None and read.sketch is not None and read.sketch.is_complete

    def _read(self, tally: Mapping[str, Any]) -> Tally | None:
        try:
            return tallies.from_properties(tally)
        except (KeyError, ValueError) as error:
            self.fail("I3", f"the tally cannot be read: {error!r}")
            return None

    def is_counted(self, path: str) -> bool:
        """Tell whether the generation that counts has a row that says "present"."""
        return self.ledgers[self.current].rows.get(path, False)

    def should_count(self, path: str) -> bool:
        """Tell whether the account holds a blob of this name, in a folder of the generation that counts."""
        return self.present.get(path, False) and self._folder_of(path, self.tally) is not None

    def _folder_of(self, path: str, tally: Mapping[str, Any] | None) -> str | None:
        container, _, name = path.partition("/")
        return self._folders_of(tally).folder_of(container, name)

    def _folders_of(self, tally: Mapping[str, Any] | None) -> FolderMap:
        return self._maps[tally["fingerprint"]] if tally is not None else next(iter(self._maps.values()))

    def committed(self, partition: str, changes: list[tuple[str, Entity | None, Mapping[str, Any] | None]]) -> None:
        """Check everything that one transaction may have broken."""
        self.stats["commits"] += 1
        self.note("commit", partition, [key for key, _, _ in changes])
        if partition == CONTROL_PARTITION:
            for key, old, new in changes:
                self._marked(key, old, new)
        elif partition.startswith("g"):
            self._ledger_written(partition, changes)

    def inbox_written(self, partition: str, changes: list[tuple[str, Entity | None, Mapping[str, Any] | None]]) -> None:
        """Count what is handed over, and what becomes of it."""
        for key, old, new in changes:
            what = "handed over" if old is None else "answered" if new is not None else "taken out of the inbox"
            self.stats[what] += 1
            self.note(what, partition, key)

    def _marked(self, key: str, old: Entity | None, new: Mapping[str, Any] | None) -> None:
        known = new if new is not None else old.properties if old is not None else {}
        if not key.startswith("directory-"):
            return
        directory = f"{known['container']}/{known['prefix']}"
        if new is not None:
            self.marks.add(directory)
            return
        self.stats["directories compared"] += 1
        self.marks.discard(directory)
        for path in sorted(self.present):
            if path.startswith(directory):
                self.check_settled(path, "after its directory was compared")

    def _goes_on(self, before: Mapping[str, Any] | None, after: Mapping[str, Any], operations: int) -> bool:
        """Tell whether the tally that was written is one, of a generation that counts."""
        if "fingerprint" not in after:
            self.fail("I3", "the tally was deleted, or replaced by something else")
            return False
        if before is None or "moved_to" not in before:
            return True
        if operations > 1 or _nameless(before) != _nameless(after):
            self.fail("I3", "the tally of a former generation was written")
        return False

    def _ledger_written(
        self, partition: str, changes: list[tuple[str, Entity | None, Mapping[str, Any] | None]]
    ) -> None:
        ledger = self.ledgers.setdefault(partition, Ledger())
        self.ledger_writes += sum(new is not None for _, _, new in changes)
        tally = ledger.tally
        if self.is_tampered:
            ledger.tally = next((dict(new) for key, _, new in changes if key == TALLY_KEY and new is not None), tally)
            return
        for key, _, new in changes:
            if key == TALLY_KEY:
                if not self._goes_on(tally, new or {}, len(changes)):
                    return
                tally = dict(new or {})
        if tally is None:
            self._rows_without_a_tally(ledger, changes)
            return
        for key, old, new in changes:
            if key > TALLY_KEY:
                self._row_written(ledger, tally, key, old, new)
        before, ledger.tally = ledger.tally, tally
        self._cases_written(ledger, before, tally, {key: new for key, _, new in changes if key < TALLY_KEY})
        self._check_sums(ledger, tally)
        self._check_sketch(ledger, tally)
        if before is not tally and partition == self.current:
            self._check_tally(before, tally)
            self._follow(tally)

    def _rows_without_a_tally(
        self, ledger: Ledger, changes: list[tuple[str, Entity | None, Mapping[str, Any] | None]]
    ) -> None:
        """The table was deleted a moment ago: rows that count nothing may come first."""
        if any(new is not None and new["present"] for _, _, new in changes):
            self.fail("I3", "rows that count without a tally")
        ledger.rows.update({str(new["path"]): False for _, _, new in changes if new is not None})

    def _follow(self, tally: Mapping[str, Any]) -> None:
        """Follow the tally to the next generation, in which nothing is known until it is ready."""
        if "moved_to" not in tally:
            return
        self.stats["recounts"] += 1
        self.note("moved", tally["moved_to"])
        self.current = str(tally["moved_to"])
        self.drained.clear()
        self.unlisted.update(self.present)
        if self.tally is None or self.tally["ready"]:
            self.fail("ready", "a new generation begins that is not there, or ready from the start")

    def restored(self, rows: Mapping[str, Entity]) -> None:
        """The table was replaced by an older copy, or emptied: everything may be wrong until it is reconciled."""
        self.ledgers, self.current = {PARTITION: Ledger()}, PARTITION
        self.marks.clear()
        self.drifting.update(self.present)
        self.unlisted.clear()
        self.read_anew(rows)
        if self.tally is not None:
            self._check_sums(self.ledgers[PARTITION], self.tally)
            self._check_tally(None, self.tally)

    def healed(self, rows: Mapping[str, Entity]) -> None:
        """What somebody else has written is repaired by now: from here on everything must be right again."""
        self.is_tampered = False
        self.case_versions.clear()
        self.read_anew({key: row for key, row in rows.items() if key <= TALLY_KEY or self._makes_sense(key, row)})

    def check_added_up(self, rows: Mapping[str, Entity]) -> None:
        """I4: the tally is the sum of the rows that make sense, also where somebody else has written."""
        counted = Counter(
            str(row.properties["folder"])
            for key, row in rows.items()
            if key > TALLY_KEY and self._makes_sense(key, row) and row.properties["present"]
        )
        tally = rows[TALLY_KEY].properties
        found = {folder: tally[f"{folder}_count"] for folder in self._folders_of(tally).locations}
        if found != {folder: counted[folder] for folder in found}:
            self.fail("I4", f"the tally says {found}, and its rows {dict(counted)}, after comparisons of everything")

    def _makes_sense(self, key: str, row: Entity) -> bool:
        """Tell whether a row can be part of a count: others count nothing, and heal when an event comes."""
        path, folder, present = (row.properties.get(name) for name in ("path", "folder", "present"))
        if not isinstance(path, str) or not isinstance(present, bool):
            return False
        is_in_place = hashlib.blake2b(path.encode(), digest_size=16).hexdigest() == key
        return is_in_place and self._folder_of(path, self.tally) == folder

    def read_anew(self, rows: Mapping[str, Entity]) -> None:
        """Take the rows of the generation that counts as they stand, whoever has written them."""
        self.ledgers[self.current] = ledger = Ledger()
        self.drained.clear()
        if TALLY_KEY not in rows:
            return
        tally = dict(rows[TALLY_KEY].properties)
        for key, row in rows.items():
            if key > TALLY_KEY:
                self._row_written(ledger, tally, key, None, row.properties)
        self._cases_written(ledger, None, tally, {key: row.properties for key, row in rows.items() if key < TALLY_KEY})
        ledger.tally = tally

    def _row_written(
        self,
        ledger: Ledger,
        tally: Mapping[str, Any],
        key: str,
        old: Entity | None,
        new: Mapping[str, Any] | None,
    ) -> None:
        known = new if new is not None else old.properties if old is not None else {}
        path, folder = str(known["path"]), str(known["folder"])
        if hashlib.blake2b(path.encode(), digest_size=16).hexdigest() != key or self._folder_of(path, tally) != folder:
            self.fail("I1", f"the row of {path} is not where it belongs")
        was = ledger.rows.get(path, False)
        present = new is not None and bool(new["present"])
        if new is None:
            self.stats["tombstones collected"] += 1
            ledger.rows.pop(path, None)
        else:
            ledger.rows[path] = present
        if was != present:
            delta = int(present) - int(was)
            count, digest = ledger.sums.get(folder, (0, 0))
            digest_key = bytes.fromhex(tally["digest_key"])
            hashed = int.from_bytes(hashlib.blake2b(path.encode(), key=digest_key, digest_size=16).digest())
            ledger.sums[folder] = count + delta, (digest + delta * hashed) % MODULUS
            case = self._folders_of(tally).case_of(path)
            ledger.cases.setdefault(case, Counter())[folder] += delta
            ledger.moved_cases.add(case)
        if new is not None and ledger.tally is not None:
            self._check_observation(path, old, new, is_ready=ledger.tally["ready"])
        if ledger is self.ledgers.get(self.current):
            self.check_settled(path, "after a commit")

    def _check_observation(self, path: str, old: Entity | None, new: Mapping[str, Any], *, is_ready: bool) -> None:
        observed = new.get("observed_at")
        before = old.properties if old is not None else {}
        if observed is None or before.get("observed_at") == observed:
            return
        if before.get("event_time") != new.get("event_time"):
            return  # an event that was folded in came after the look
        present, date = bool(new["present"]), datetime.fromisoformat(str(observed))
        if (path, date, present) in self._looks:
            return
        if is_ready or not present or (path, date) not in self._listed:
            self.fail("I4", f"the row of {path} was set to {present} at {observed}; no look at the blob has said so")

    def _check_sums(self, ledger: Ledger, tally: Mapping[str, Any]) -> None:
        if "moved_to" in tally:
            return  # its rows are dropped by now
        for folder in self._folders_of(tally).locations:
            count, digest = ledger.sums.get(folder, (0, 0))
            if tally[f"{folder}_count"] != count:
                self.fail("I3", f"{tally[f'{folder}_count']} in {folder} are counted, and {count} rows say present")
            if tally[f"{folder}_digest"] != f"{digest:032x}":
                self.fail("I3", f"the digest of {folder} is not that of its rows")
            if count < 0:
                self.fail("I1", f"{folder} counts {count}")

    def _cases_written(
        self,
        ledger: Ledger,
        before: Mapping[str, Any] | None,
        tally: Mapping[str, Any],
        rows: Mapping[str, Mapping[str, Any] | None],
    ) -> None:
        """I3 for cases: each is the sum of its rows after every commit, and the tally's ring says what changed."""
        moved, ledger.moved_cases = ledger.moved_cases - {""}, set()
        if "moved_to" in tally:
            return  # its rows are dropped by now
        if self._folders_of(tally).cases is None:
            if rows:
                self.fail("I3", "the row of a case, and cases are not counted")
            return
        written = {key.removeprefix(cases.ROW_PREFIX): new for key, new in rows.items()}
        for key, new in written.items():
            old = ledger.case_rows.pop(key, None)
            if new is not None:
                ledger.case_rows[key] = new
                self._check_case(ledger, tally, key, old if before is not None else None, new)
            elif old is not None and any(_case_counts(old).values()):
                self.fail("I5", f"the row of {old['case']} was dropped, which counts something")
            self.stats["cases collected"] += new is None
        self.stats["cases changed"] += len(moved)
        known = {str(row["case"]) for key in written if (row := ledger.case_rows.get(key)) is not None}
        for case in sorted(moved | known | (set(ledger.cases) - {""} if before is None else set())):
            found = _case_counts(ledger.case_rows.get(cases.key_of(case), {}))
            counted = ledger.cases.get(case, Counter())
            if +found != +counted or any(count < 0 for count in found.values()):
                self.fail("I3", f"{case} counts {dict(found)}, and its rows are {dict(counted)}")
        self._check_total_of_cases(ledger, tally)
        if before is not None and before["epoch"] == tally["epoch"]:
            self._check_ring(before, tally, written)

    def _check_total_of_cases(self, ledger: Ledger, tally: Mapping[str, Any]) -> None:
        """The cases, and what is of no case, add up to the tally: that follows from what was shown of each."""
        if len(ledger.case_rows) > _FEW_CASES:
            return
        found = sum(map(_case_counts, ledger.case_rows.values()), Counter(ledger.cases.get("", Counter())))
        if +found != +Counter({folder: tally[f"{folder}_count"] for folder in self._folders_of(tally).locations}):
            self.fail("I3", f"the cases, and what is of no case, add up to {dict(found)}")

    def _check_ring(
        self, before: Mapping[str, Any], tally: Mapping[str, Any], written: Mapping[str, Mapping[str, Any] | None]
    ) -> None:
        read, folders = self._read(tally), self._folders_of(tally).locations
        recent = read.recent if read is not None else None
        told = recent.after(before["case_revision"], tally["epoch"], folders) if recent is not None else None
        if told is None:
            self.fail("I3", f"the tally's ring does not go on from {before['case_revision']}")
        elif {key: (each.revision, Counter(each.counts()), each.changed_at) for key, each in told} != {
            key: (new["revision"], _case_counts(new), datetime.fromisoformat(new["changed_at"]))
            for key, new in written.items()
            if new is not None and new["revision"] > before["case_revision"]
        }:
            self.fail("I7", "the tally's ring does not say what has become of the cases that were written")

    def _check_case(
        self, ledger: Ledger, tally: Mapping[str, Any], key: str, old: Mapping[str, Any] | None, new: Mapping[str, Any]
    ) -> None:
        shown = (*sorted(_case_counts(new).items()), new["changed_at"])
        version = f"{tally['epoch']}-{new['revision']}"
        if self.case_versions.setdefault((key, version), shown) != shown:
            self.fail("I6", f"a version of {new['case']} stands for two things")
        if tally["ready"] and (old is None or old["revision"] != new["revision"]):
            self.on_case_change(key, version)
        if ledger is self.ledgers.get(self.current):
            self._check_mark(tally, key, old, new)
        if old is None:
            return
        if (_case_counts(old) != _case_counts(new)) != (old["revision"] != new["revision"]):
            self.fail("I7", f"the revision of {new['case']} does not move with its counts")
        former, moment = read_moment(old["changed_at"]), read_moment(new["changed_at"])  # somebody may have edited it
        if old["revision"] > new["revision"] or (former is not None and (moment is None or former > moment)):
            self.fail("I6", f"the revision or the time of {new['case']} went back")

    def _check_mark(
        self, tally: Mapping[str, Any], key: str, old: Mapping[str, Any] | None, new: Mapping[str, Any]
    ) -> None:
        """I5: a case that is drained is marked, until that is announced; one that is not is not marked."""
        had_work, is_marked, version = old is not None and _has_work(old), "drained" in new, _version(tally, new)
        if _has_work(new):
            self.drained.pop(key, None)
            if is_marked:
                self.fail("I5", f"{new['case']} is marked as drained, and is not")
        elif had_work and tally["ready"]:
            self.stats["cases drained"] += 1
            self.drained[key] = set()
            if not is_marked:
                self.fail("I5", f"{new['case']} is drained, and not marked")
        elif old is not None and "drained" in old and not is_marked and (key, _version(tally, old)) not in self.told:
            self.fail("I5", f"the mark of {new['case']} is gone, and nobody was told")
        if key in self.drained:
            self.drained[key].add(version)

    def announced(self, case: str, version: str, counts: Mapping[str, int]) -> None:
        """A topic takes the event that a case is drained."""
        self.stats["cases announced"] += 1
        key, shown = cases.key_of(case), tuple(sorted(counts.items()))
        self.told.add((key, version))
        committed = self.case_versions.get((key, version))
        if counts["queued"] or counts["input"] or (committed is not None and committed[:-1] != shown):
            self.fail("I5", f"{case} was announced as drained at {version}, and was not")

    def check_announced(self) -> None:
        """I5: what is drained was announced, and nothing is marked any more."""
        for key, versions in self.drained.items():
            if not any((key, version) in self.told for version in versions):
                self.fail("I5", f"the case {key} is drained, and nobody was told")
        for row in self.ledgers[self.current].case_rows.values():
            if "drained" in row:
                self.fail("I5", f"{row['case']} is still marked")

    def _check_sketch(self, ledger: Ledger, tally: Mapping[str, Any]) -> None:
        """A sketch that there is holds the rows that count, up to its last key."""
        if "moved_to" in tally or "sketch000" not in tally:
            return
        read = self._read(tally)
        found = read.sketch if read is not None else None
        if found is None:
            self.fail("I3", "the sketch cannot be read")
            return
        held = Sketch(bytes.fromhex(tally["digest_key"]), found.upto)
        present = (path for path, is_present in ledger.rows.items() if is_present)
        held.add([int(hashlib.blake2b(path.encode(), digest_size=16).hexdigest(), 16) for path in present])
        if found != held:
            self.fail("I3", "the sketch is not that of the rows that say present")

    def _check_tally(self, before: Mapping[str, Any] | None, tally: Mapping[str, Any]) -> None:
        folders = self._folders_of(tally).locations
        visible = tuple(tally[f"{folder}_count"] for folder in folders)
        version = f"{tally['epoch']}-{tally['revision']}"
        shown = (*visible, tally["changed_at"])
        if self.versions.setdefault(version, shown) != shown:
            self.fail("I6", f"version {version} stands for {self.versions[version]} and for {shown}")
        if before is None or before["epoch"] != tally["epoch"]:
            self._changed(version)
            return
        has_changed = visible != tuple(before[f"{folder}_count"] for folder in folders)
        if has_changed != (tally["revision"] != before["revision"]):
            self.fail("I7", f"counts changed: {has_changed}; revision {before['revision']} → {tally['revision']}")
        if tally["revision"] < before["revision"]:
            self.fail("I6", "the revision went back")
        if tally["changed_at"] < before["changed_at"]:
            self.fail("I6", f"changed_at went back from {before['changed_at']} to {tally['changed_at']}")
        if has_changed or tally["ready"] != before["ready"]:
            self._changed(version)
        if tally["ready"] and not before["ready"]:
            self._became_ready()

    def _changed(self, version: str) -> None:
        if self.tally is None or not self.tally["ready"]:
            return  # nobody is shown counts that are not ready
        self.visible_changes.append((self._now(), version))
        self.on_visible_change()

    def _became_ready(self) -> None:
        self.note("ready")
        for path in sorted(self.unlisted):
            if (
                not self.pending[path]
                and path not in self.drifting
                and not self._is_marked(path)
                and self.is_counted(path) != self.should_count(path)
            ):
                self.fail("ready", f"the counts are called ready, and {path} was never listed")
        self.unlisted.clear()

    # What is settled

    def raised(self, path: str) -> None:
        """An event about this path is on its way."""
        self.pending[path] += 1

    def acknowledged(self, path: str) -> None:
        """An event was acknowledged for the first time."""
        self.pending[path] -= 1
        self.check_settled(path, "after its last event was acknowledged")

    def _is_marked(self, path: str) -> bool:
        return any(path.startswith(directory) for directory in self.marks)

    def check_settled(self, path: str, when: str) -> None:
        """I2, I5: a name whose every event has been acknowledged is counted as it is."""
        if self.pending[path] or path in self.drifting or path in self.unlisted or "poison" in path:
            return
        if self.is_tampered or self._is_marked(path):
            return
        if self.is_counted(path) != self.should_count(path):
            self.fail("I2", self._difference(path, when))

    def check_exact(self, when: str) -> None:
        """I2, I4: the counts are the truth."""
        ledger = self.ledgers[self.current]
        if ledger.tally is not None:
            self._check_sums(ledger, ledger.tally)
        for path in sorted({*ledger.rows, *self.present}):
            if "poison" not in path and self.is_counted(path) != self.should_count(path):
                self.fail("I4", self._difference(path, when))

    def _difference(self, path: str, when: str) -> str:
        return f"{path} is counted as {self.is_counted(path)} and should be as {self.should_count(path)} {when}"

    # What clients see

    def answered(self, case: str, version: str, body: bytes) -> None:
        """I6: the same version is always the same bytes, and was committed."""
        if self.served.setdefault((case, version), body) != body:
            self.fail("I6", f"version {version} of {case or 'everything'} was served with other bytes")
        is_known = version.endswith("-0") or (cases.key_of(case), version) in self.case_versions
        if not is_known if case else version not in self.versions:
            self.fail("I6", f"version {version} was served and never committed")


def _has_work(row: Mapping[str, Any]) -> bool:
    return bool(row["queued_count"] or row["input_count"])


def _version(tally: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    return f"{tally['epoch']}-{row['revision']}"


def _nameless(tally: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tally without the name in it, which may be written whatever the tally is by then."""
    return {name: value for name, value in tally.items() if not name.startswith("writer")}


def _case_counts(row: Mapping[str, Any]) -> Counter[str]:
    """Return folder → count; -1 where somebody has written something else, and it was not put right."""
    counts = {name.removesuffix("_count"): row[name] for name in row if name.endswith("_count")}
    return Counter({folder: count if type(count) is int else -1 for folder, count in counts.items()})
