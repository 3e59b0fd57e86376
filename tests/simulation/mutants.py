# ruff: noqa: E501, T201, ISC004 - texts of the source stay as they are there
"""``make mutants``: the catalogue of ways to get it wrong, each of which the simulator has to notice.

A mutant is one small edit of the app's source, in this process only. It counts as found when an invariant says so
within a minute; an exception that nobody foresaw does not count. A mutant that survives fails the run.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.simulation.patching import patched
from tests.simulation.scenarios import simulate

LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to get it wrong.

    Attributes:
        scenarios: In which histories it is looked for.
        edits: Module → texts of its source, and what stands there instead.
        constants: (module, name) → another value.
    """

    scenarios: tuple[str, ...]
    edits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    constants: dict[tuple[str, str], Any] = field(default_factory=dict)


def _edit(module: str, old: str, new: str, *scenarios: str) -> Mutant:
    return Mutant(scenarios or ("no loss",), {f"shared.{module}": [(old, new)]})


_NEVER = timedelta(0)

MUTANTS: dict[str, Mutant] = {
    # The table
    "unconditional upsert": _edit(
        "azure_table",
        'return ("update", entity, {"mode": UpdateMode.REPLACE, **condition})',
        'return ("upsert", entity, {"mode": UpdateMode.REPLACE})',
    ),
    "SDK retry left on for transactions": _edit(
        "azure_table", "operations, retry_total=0, read_timeout", "operations, read_timeout"
    ),
    '"never sent" taken for not committed': _edit(
        "azure_table",
        "    if status is None or not",
        '    if type(error).__name__ == "ServiceRequestError":\n        return Refused(message)\n'
        "    if status is None or not",
    ),
    "503 taken for not committed": _edit(
        "azure_table", "or not 400 <= status < 500 or status in {408, 429}", "or status in {408, 429, 500}"
    ),
    "refusal of a write on its own believed": _edit(
        "azure_table", "with suppress(Rejected):", "with suppress():", "no loss"
    ),
    "tally outside the transaction": _edit(
        "writer",
        "etags = await self._table.commit(partition, plan.writes)",
        "etags = [etag for write in plan.writes for etag in await self._table.commit(partition, [write])]",
    ),
    # Events and the ledger
    "sequencers compared across case": _edit("events", "return stripped.lower() if", "return stripped if"),
    "sequencers compared across widths": _edit(
        "ledger", "if row.sequencer and len(row.sequencer) != len(sequencer):", "if False:"
    ),
    "events without a sequencer applied as they come": _edit(
        "ledger",
        "    if change.look or change.sequencer is None or change.event_time is None:\n"
        "        return Transition(Outcome.LOOK)\n",
        "    if change.look or change.sequencer is None or change.event_time is None:\n"
        "        return _apply(row, change, folder)\n",
    ),
    "no observation floor": _edit(
        "ledger",
        "if row.observed_at is not None and event_time <= row.observed_at + SKEW_MARGIN:",
        "if False:",
        "looks",
        "loss",
    ),
    "no margin for the clocks of the service": Mutant(
        ("looks", "reconcilers"), constants={("shared.ledger", "SKEW_MARGIN"): timedelta(0)}
    ),
    "delete ignored when its row is unknown": _edit(
        "ledger",
        "else _apply(None, change, folder)",
        "else _apply(None, change, folder) if change.present else Transition(Outcome.STALE)",
    ),
    "overwrite does not advance the sequencer": _edit(
        "ledger",
        '        sequencer=change.sequencer or "",\n',
        '        sequencer=row.sequencer if row and row.present and change.present else change.sequencer or "",\n',
    ),
    "deletion of an absent name does not advance the sequencer": _edit(
        "ledger",
        '        sequencer=change.sequencer or "",\n',
        '        sequencer=row.sequencer if row and not row.present and not change.present else change.sequencer or "",\n',
    ),
    "stale events applied": _edit("ledger", "if sequencer < row.sequencer:", "if False:"),
    "look that writes no row when absent": _edit(
        "ledger",
        "    delta = int(seen.present) - int(was_present)\n",
        "    delta = int(seen.present) - int(was_present)\n"
        "    if row is None and not seen.present:\n        return Transition(Outcome.UNCHANGED)\n",
        "no loss",
        "horizon",
    ),
    "look that keeps no time": _edit(
        "ledger", "        observed_at=seen.observed_at,\n    )\n    delta", "    )\n    delta"
    ),
    "tombstone dropped early": Mutant(  # and looked for by every reconciliation: a day is longer than most histories
        ("reconcilers",),
        constants={
            ("shared.tombstones", "TOMBSTONE_HORIZON"): _NEVER,
            ("shared.tombstones", "_MARGIN"): _NEVER,
            ("shared.passes", "COLLECT_EVERY"): _NEVER,
        },
    ),
    "events older than the horizon trusted": _edit(
        "ledger", "max(known_since + SKEW_MARGIN, now - LATE_AFTER)", "known_since + SKEW_MARGIN", "horizon"
    ),
    "events older than the ledger trusted": _edit(
        "ledger", "max(known_since + SKEW_MARGIN, now - LATE_AFTER)", "now - LATE_AFTER", "watching"
    ),
    # The tally
    "duplicate advances the tally": _edit(
        "planning",
        "        plan.answers += answers\n",
        "        plan.answers += answers\n"
        "        changes += [\n            Change(each.folder, group.path, 1)\n            for each, answer in answers\n"
        "            if isinstance(answer, Transition) and answer.outcome is Outcome.DUPLICATE\n        ]\n",
    ),
    "digest not updated on one path": _edit(
        "tally", "total.digest + delta * hashed", "total.digest + max(0, delta) * hashed"
    ),
    "net-zero batch leaves the tally alone": _edit(
        "planning", "    if changes:\n", "    if sum(each.delta for each in changes):\n"
    ),
    "revision bumped by every commit": _edit("tally", "if moved.counts() == self.counts():", "if False:"),
    "revision not bumped by removals": _edit(
        "tally",
        "if moved.counts() == self.counts():",
        "if sum(moved.counts().values()) <= sum(self.counts().values()):",
    ),
    "time of the change may go back": _edit("tally", "changed_at=max(self.changed_at, now)", "changed_at=now"),
    "epoch the same for every table": _edit("counts", "epoch=secrets.token_hex(5)", 'epoch="0"', "watching"),
    # The writer
    "remembered ETag kept after a failure": Mutant(
        ("no loss",),
        {
            "shared.writer": [
                ("used = self._tally.forget()", "used = self._tally.get()"),
                ("        self._tally.forget()\n        self._rows.clear()", "        return"),
            ]
        },
    ),
    "index of a conflict believed": _edit("writer", "if stored.etag == conflicting_etag:", "if False:"),
    "index of a conflict between rows believed": _edit(
        "writer", "self._distrust(batch if was_read else blamed)", "self._distrust(blamed)", "overwrites"
    ),
    "folded events applied in arrival order": _edit(
        "planning",
        "    if intent.change is not None:\n",
        "    if intent.change is not None and not is_first_write and intent.change.sequencer:\n"
        "        return ledger._apply(row, intent.change, intent.folder)\n    if intent.change is not None:\n",
    ),
    "look committed over a row that has changed": _edit(
        "planning", "if not is_first_write or intent.base.etag != base.etag:", "if not is_first_write:", "looks"
    ),
    "look at the blob before the row is read": _edit(
        "writer",
        "            base = await self.read_row(path)\n            head = await self._heads.head(container, name)\n",
        "            head = await self._heads.head(container, name)\n            base = await self.read_row(path)\n",
        "looks",
    ),
    "look given up when its row has changed": _edit(
        "writer",
        "            except RowChanged:\n                continue\n",
        "            except RowChanged:\n                return ledger.Transition(Outcome.STALE)\n",
        "looks",
    ),
    "look dated by our own clock": _edit(
        "writer",
        "Observation(path, folder, head.present, head.date, head.etag",
        "Observation(path, folder, head.present, self._clock.now(), head.etag",
    ),
    "unknown outcome taken for done": _edit(
        "writer",
        "                error = unknown\n",
        "                error = unknown\n                if plan is not None:\n"
        "                    plan.resolve()\n                    return\n",
    ),
    "answered before it is committed": _edit(
        "writer",
        "                if plan.writes:\n",
        "                plan.resolve()\n                if plan.writes:\n",
    ),
    "one refused row fails its neighbours": _edit("writer", "        if len(batch) == 1:\n", "        if batch:\n"),
    "counts announced before they are committed": _edit(
        "writer",
        "        self.stats.transactions += 1\n",
        "        self.stats.transactions += 1\n        self._on_change(plan.tally)\n",
        "watching",
    ),
    # Looking at blobs
    "403 taken for absent": _edit(
        "heads",
        "        except ResourceNotFoundError as error:\n            if error_code(error) in ABSENT_CODES:",
        "        except HttpResponseError as error:\n            if error.status_code == 403 or error_code(error) in ABSENT_CODES:",
        "looks",
    ),
    "any 404 taken for absent": _edit(
        "heads", "            if error_code(error) in ABSENT_CODES:", "            if True:", "looks"
    ),
    # Reconciling
    "listing trusted over the blob": _edit(
        "comparison",
        "        if not head.present or self._is_live(head.last_modified):\n            return\n",
        "        head = type(head)(present=True, date=self._clock.now())\n",
        "loss",
        "reconcilers",
    ),
    "candidate not HEADed": _edit(
        "comparison",
        "        head = await self._look(container, name)\n        if not head.present:\n            absent",
        "        head = type('Head', (), {'date': self._clock.now()})\n        if head:\n            absent",
        "loss",
        "reconcilers",
    ),
    "correctness leaning on the lease": _edit(
        "comparison",
        "self._report.count(seen.folder, (await self._writer.observe(seen, base)).delta)",
        "self._report.count(seen.folder, (await self._writer.observe(seen, await self._writer.read_row(seen.path))).delta)",
        "late events",
    ),
    "ready set before bootstrap ends": _edit(
        "reconcile",
        "                await Pass(self._parts, run, lease, stored, slice_seconds, on_progress).work()\n",
        "                await self._set_ready(run.subject)\n"
        "                await Pass(self._parts, run, lease, stored, slice_seconds, on_progress).work()\n",
        "bootstrap",
    ),
    "tally corrected although it has changed meanwhile": _edit(
        "audit",
        "or stored.etag != run.tally_etag:\n        return\n",
        "or not (stored := await parts.counts.open()):\n        return\n",
        "loss",
    ),
    "tally corrected although rows are missing": _edit(
        "audit", "if run.differs or run.listed", "if run.listed", "watching"
    ),
    "checkpoint written before its page": _edit(
        "passes",
        "                    yield folder, location.container, page\n                    run.token = page.next_token\n"
        "                    if run.token:\n                        await self._page_done()\n",
        "                    run.token = page.next_token\n                    if run.token:\n"
        "                        await self._page_done()\n"
        "                    yield folder, location.container, page\n",
        "bootstrap",
    ),
    "not ready is served": _edit(
        "watch", "            elif not stored.tally.ready:\n", "            elif False:\n", "bootstrap", "watching"
    ),
    # Watching
    "version compared with >": Mutant(
        ("watching",),
        {
            "shared.watch": [
                (
                    "self._snapshot.version != version:\n                    return self._snapshot\n                ended",
                    'int(self._snapshot.version.rpartition("-")[2]) > int(version.rpartition("-")[2]):\n                    return self._snapshot\n                ended',
                ),
                (
                    "self._snapshot.version != version:\n                return self._snapshot\n            if ended",
                    'int(self._snapshot.version.rpartition("-")[2]) > int(version.rpartition("-")[2]):\n                return self._snapshot\n            if ended',
                ),
            ]
        },
    ),
    "check-then-wait without registering": Mutant(
        ("watching",),
        {
            "shared.watch": [
                (
                    "            waiter = self._waiting.join(",
                    "            if self._snapshot is not None and self._snapshot.version != version:\n"
                    "                return self._snapshot\n            await asyncio.sleep(0.05)\n"
                    "            waiter = self._waiting.join(",
                ),
                (
                    "                if self._snapshot is not None and self._snapshot.version != version:\n"
                    "                    return self._snapshot\n                ended",
                    "                ended",
                ),
            ]
        },
    ),
    "waiting without a poller": _edit("watch", "        if self._poller is None:\n", "        if False:\n", "watching"),
    "a wake only for the first change": _edit(
        "watch", "if before is None or before.version != snapshot.version:", "if before is None:", "watching"
    ),
    "an older offer replaces newer counts": _edit(
        "watch", "if known is None or known.is_behind(snapshot.version):", "if True:", "watching"
    ),
    "a client that is ahead shown what is there": _edit(
        "watch", "while self._ended < enough and", "while False and", "watching"
    ),
    "a read under way taken for a new one": _edit(
        "watch", "enough = self.reads + 1", "enough = self.reads + (self._fetch is None)", "watching"
    ),
    "an error is kept for ever": _edit(
        "watch",
        "self._failure, self._started_at = failure, started_at",
        "self._failure, self._started_at = failure or self._failure, started_at",
        "watching",
    ),
}


def mutated(name: str | None) -> AbstractContextManager[None]:
    """Run with a mutant in place of the code; with None nothing is changed."""
    if name is None:
        return nullcontext()
    return patched(MUTANTS[name].edits, MUTANTS[name].constants)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        name: Its name.
        killer: The invariant and its message, or "" when nothing noticed.
        seed: The seed that noticed.
        scenario: Its history.
        seconds: How long it took, of processor time: the machine may have other things to do.
        seeds: How many were tried.
    """

    name: str
    killer: str
    seed: int
    scenario: str
    seconds: float
    seeds: int


def hunt(name: str, limit_seconds: float = LIMIT_SECONDS) -> Verdict:
    """Look for a seed in which an invariant notices the mutant."""
    logging.disable(logging.CRITICAL)
    began = time.process_time()
    scenarios = MUTANTS[name].scenarios
    seed = 0
    with mutated(name):
        while True:
            scenario = scenarios[seed % len(scenarios)]
            outcome = simulate(seed, scenario)
            seconds = time.process_time() - began
            if outcome.violation is not None and outcome.unexpected is None:
                return Verdict(name, outcome.violation, seed, scenario, seconds, seed + 1)
            if seconds > limit_seconds:
                return Verdict(name, "", seed, scenario, seconds, seed + 1)
            seed += 1


def main() -> None:
    """Hunt all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--only", choices=list(MUTANTS), help="only this one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of what a seed replays
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation.mutants", *sys.argv[1:]])  # noqa: S606
    names = [arguments.only] if arguments.only else list(MUTANTS)
    survivors = []
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        for verdict in pool.imap(hunt, names, chunksize=1):
            if not verdict.killer:
                survivors.append(verdict.name)
            found = f"seed {verdict.seed} ({verdict.scenario}), {verdict.seconds:.1f} s: {verdict.killer}"
            print(f"{verdict.name}: {found if verdict.killer else 'SURVIVED'}", flush=True)
    if survivors:
        print(f"{len(names)} mutants, survivors: {', '.join(survivors)}")
        sys.exit(1)
    print(f"{len(names)} mutants, all found")


if __name__ == "__main__":
    main()
