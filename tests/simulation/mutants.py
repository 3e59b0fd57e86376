# ruff: noqa: E501, T201, ISC004 - texts of the source stay as they are there
"""``make mutants``: the catalogue of ways to get it wrong, each of which the simulator has to notice.

A mutant is one small edit of the app's source, in this process only. It counts as found when an invariant says so
in one of the histories of ``make simulate SEEDS=1000``; an exception that nobody foresaw does not count. A mutant
that survives fails the run. Where that many histories hold too few of the kind that shows it, the mutant says so, and
names the kind; where they hardly ever hold the moment, it names the test that makes it.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import multiprocessing
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.patching import patched
from tests.simulation.scenarios import simulate

SEEDS = 1000
#: Mutant → the seed in which it was noticed last; most changes of the code leave it there.
FOUND = Path(__file__).with_name("mutants.json")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to get it wrong.

    Attributes:
        edits: Module → texts of its source, and what stands there instead.
        constants: (module, name) → another value.
        only_in: The one history that it is looked for in, because the usual mix holds too little of it; "" for the mix.
        test: The test that has to notice it instead, because it takes one order of steps in a thousand; "" for none.
    """

    edits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    constants: dict[tuple[str, str], Any] = field(default_factory=dict)
    only_in: str = ""
    test: str = ""


def _edit(module: str, old: str, new: str, *, only_in: str = "", test: str = "") -> Mutant:
    return Mutant({f"shared.{module}": [(old, new)]}, only_in=only_in, test=test)


_NEVER = timedelta(0)

MUTANTS: dict[str, Mutant] = {
    # The table
    "unconditional upsert": _edit(
        "azure.table",
        'return ("update", entity, {"mode": UpdateMode.MERGE if write.merges else UpdateMode.REPLACE, **condition})',
        'return ("upsert", entity, {"mode": UpdateMode.REPLACE})',
    ),
    "SDK retry left on for transactions": _edit(
        "azure.table", "operations, retry_total=0, read_timeout", "operations, read_timeout"
    ),
    '"never sent" taken for not committed': _edit(
        "azure.table_errors",
        '        text = str(error).partition("\\n")[0]\n',
        '        if type(error).__name__ == "ServiceRequestError":\n            raise Refused(str(error)) from error\n'
        '        text = str(error).partition("\\n")[0]\n',
    ),
    "503 taken for not committed": _edit(
        "azure.table_errors", "if not 400 <= status < 500 or status in {408, 429}", "if status in {408, 429, 500}"
    ),
    "refusal of a write on its own believed": _edit("azure.table", "with suppress(Rejected):", "with suppress():"),
    "tally outside the transaction": _edit(
        "writing.group_commit",
        "etags = await self._table.commit(partition, plan.writes)",
        "etags = [etag for write in plan.writes for etag in await self._table.commit(partition, [write])]",
    ),
    # Events and the ledger
    "sequencers compared across case": _edit("model.changes", "return stripped.lower() if", "return stripped if"),
    "sequencers compared across widths": _edit(
        "model.ledger", "if row.sequencer and len(row.sequencer) != len(sequencer):", "if False:"
    ),
    "events without a sequencer applied as they come": _edit(
        "model.ledger",
        "    if change.look or change.sequencer is None or change.event_time is None:\n"
        "        return Transition(Outcome.LOOK)\n",
        "    if change.look or change.sequencer is None or change.event_time is None:\n"
        "        return _apply(row, change, folder)\n",
    ),
    "no observation floor": _edit(
        "model.ledger",
        "certain_since = [row.observed_at] if row.observed_at is not None else []",
        "certain_since = []",
    ),
    "no margin for the clocks of the service": Mutant(constants={("shared.model.ledger", "SKEW_MARGIN"): timedelta(0)}),
    "delete ignored when its row is unknown": _edit(
        "model.ledger",
        "    return _apply(None, change, folder)\n",
        "    return _apply(None, change, folder) if change.present else Transition(Outcome.STALE)\n",
    ),
    "overwrite does not advance the sequencer": _edit(
        "model.ledger",
        '        sequencer=change.sequencer or "",\n',
        '        sequencer=row.sequencer if row and row.present and change.present else change.sequencer or "",\n',
    ),
    "deletion of an absent name does not advance the sequencer": _edit(
        "model.ledger",
        '        sequencer=change.sequencer or "",\n',
        '        sequencer=row.sequencer if row and not row.present and not change.present else change.sequencer or "",\n',
    ),
    "stale events applied": _edit("model.ledger", "if sequencer < row.sequencer:", "if False:"),
    "look that writes no row when absent": _edit(
        "model.ledger",
        "    delta = int(seen.present) - int(was_present)\n",
        "    delta = int(seen.present) - int(was_present)\n"
        "    if row is None and not seen.present:\n        return Transition(Outcome.UNCHANGED)\n",
    ),
    "look that keeps no time": _edit(
        "model.ledger", "        observed_at=seen.observed_at,\n    )\n    delta", "    )\n    delta"
    ),
    "tombstone dropped early": Mutant(  # and looked for by every reconciliation: a day is longer than most histories
        constants={
            ("shared.reconciling.tombstones", "TOMBSTONE_HORIZON"): _NEVER,
            ("shared.reconciling.tombstones", "_MARGIN"): _NEVER,
            ("shared.reconciling.stages", "COLLECT_EVERY"): _NEVER,
        },
    ),
    "events older than the horizon trusted": _edit("model.ledger", " or now - change.event_time >= LATE_AFTER", ""),
    "events older than the ledger trusted": _edit(
        "model.ledger", " or _may_precede(change.event_time, known_since)", ""
    ),
    # The tally
    "duplicate advances the tally": _edit(
        "writing.plan",
        "        plan.answers += answers\n",
        "        plan.answers += answers\n"
        "        changes += [\n            Change(each.folder, group.path, 1)\n            for each, answer in answers\n"
        "            if isinstance(answer, Transition) and answer.outcome is Outcome.DUPLICATE\n        ]\n",
    ),
    "digest not updated on one path": _edit(
        "model.tally", "total.digest + delta * hashed", "total.digest + max(0, delta) * hashed"
    ),
    "net-zero batch leaves the tally alone": _edit(
        "writing.plan", "    if changes:\n", "    if sum(each.delta for each in changes):\n"
    ),
    "revision bumped by every commit": _edit("model.tally", "if moved.counts() == self.counts():", "if False:"),
    "revision not bumped by removals": _edit(
        "model.tally",
        "if moved.counts() == self.counts():",
        "if sum(moved.counts().values()) <= sum(self.counts().values()):",
    ),
    "time of the change may go back": _edit("model.tally", "changed_at=max(self.changed_at, now)", "changed_at=now"),
    "epoch the same for every table": _edit("writing.tally_row", "epoch=secrets.token_hex(5)", 'epoch="0"'),
    # The writer
    "remembered ETag kept after a failure": Mutant(
        {
            "shared.writing.group_commit": [
                ("used = self._tally.forget()", "used = self._tally.get()"),
                ("            self._tally.forget()\n            self._rows.clear()\n", ""),
            ]
        },
    ),
    "index of a conflict believed": _edit(
        "writing.group_commit", "if stored.etag == self._conflicting_etag:", "if False:"
    ),
    "index of a conflict between rows believed": _edit(
        "writing.group_commit", "self._distrust(batch if was_read else blamed)", "self._distrust(blamed)"
    ),
    "folded events applied in arrival order": _edit(
        "writing.plan",
        "    if intent.change is not None:\n",
        "    if intent.change is not None and not is_first_write and intent.change.sequencer:\n"
        "        return ledger._apply(row, intent.change, intent.folder)\n    if intent.change is not None:\n",
    ),
    "look committed over a row that has changed": _edit(
        "writing.plan",
        "    if is_first_write and (intent.base.partition, intent.base.etag) == (base.partition, base.etag):\n",
        "    if is_first_write:\n",
    ),
    "look at the blob before the row is read": _edit(
        "writing.writer",
        "            base = await self.read_row(path)\n            head = await self._heads.head(container, name)\n",
        "            head = await self._heads.head(container, name)\n            base = await self.read_row(path)\n",
        only_in="looks",  # an event has to be decided between the look and the read of its row
    ),
    "look given up when its row has changed": _edit(
        "writing.writer",
        "with suppress(RowChanged):",
        "with suppress():",
        test="tests/writing/test_writer.py::test_a_look_that_was_overtaken_looks_again",
    ),
    "look dated by our own clock": _edit(
        "writing.writer",
        "Observation(path, folder, head.present, head.date, head.etag",
        "Observation(path, folder, head.present, self._clock.now(), head.etag",
    ),
    "unknown outcome taken for done": _edit(
        "writing.group_commit",
        "        except OutcomeUnknown as unknown:\n",
        "        except OutcomeUnknown as unknown:\n            if plan is not None:\n"
        "                plan.resolve()\n                return None\n",
    ),
    "answered before it is committed": _edit(
        "writing.group_commit",
        "            if plan.writes:\n",
        "            plan.resolve()\n            if plan.writes:\n",
    ),
    "one refused row fails its neighbours": _edit(
        "writing.group_commit", "        if len(batch) == 1:\n", "        if batch:\n"
    ),
    "counts announced before they are committed": _edit(
        "writing.group_commit",
        "        self.stats.transactions += 1\n",
        "        self.stats.transactions += 1\n        self._on_change(plan.tally)\n",
    ),
    # Handing over
    "acknowledged when it is appended": _edit(
        "writing.handover",
        "        deadline, began = min(intent.deadline for intent in intents), self._clock.monotonic()\n",
        "        deadline, began = min(intent.deadline for intent in intents), self._clock.monotonic()\n"
        "        self._tell(intents, [Transition('applied')] * len(intents))\n",
    ),
    "what is gone from the inbox taken for done": _edit(
        "writing.inbox",
        '            raise Conflict("what was handed over is gone")\n',
        "            return Answers([Transition(Outcome.APPLIED)] * count, None, None)\n",
    ),
    "outcome written before the commit": _edit(
        "writing.handover",
        "        self._submit(waiting.intents)\n",
        "        await self._inbox.answer(waiting, [Transition('applied')] * len(waiting.intents), None)\n"
        "        self._submit(waiting.intents)\n",
    ),
    "rejection lost on its way back": _edit(
        "writing.inbox",
        "    if isinstance(answer, Transition):\n        return",
        "    if isinstance(answer, Rejected):\n        return ['done', 'applied', 0]\n"
        "    if isinstance(answer, Transition):\n        return",
        only_in="writers",
    ),
    "another format read as our own": _edit(
        "writing.inbox",
        '    if properties.get("format") != FORMAT:\n',
        "    if False:\n",
        test="tests/writing/test_handover.py::test_what_a_newer_release_hands_over_is_not_committed",
    ),
    "time of a named writer never ends": _edit(
        "writing.naming",
        "        return min(max((named.until - now).total_seconds(), 0.0), LIFE_SECONDS)\n",
        "        return float('inf')\n",
        only_in="writers",
    ),
    "condition of a look lost on its way": _edit(
        "writing.plan",
        "(intent.base.partition, intent.base.etag) == (base.partition, base.etag):\n",
        "(intent.generation or (intent.base.partition, intent.base.etag) == (base.partition, base.etag)):\n",
        only_in="writers",
    ),
    "doubt of a look lost on its way": _edit(
        "writing.plan",
        "        or intent.base.doubt != tally.doubt  #",
        "        or (intent.generation is None and intent.base.doubt != tally.doubt)  #",
        test="tests/writing/test_handover.py::test_a_look_from_before_a_directory_came_or_went_is_made_anew",
    ),
    "generation of what is handed over not compared": _edit(
        "writing.plan",
        "    if intent.generation not in {None, (base.partition, tally.fingerprint)}:\n",
        "    if False:\n",
        test="tests/writing/test_handover.py::test_what_is_of_another_generation_is_not_committed",
    ),
    "outcomes in another order": _edit(
        "writing.inbox", "[_answer(each) for each in answers]", "[_answer(each) for each in reversed(answers)]"
    ),
    "look dated when it is committed": _edit(
        "writing.inbox",
        '"observed_at": from_iso(fields["observed_at"])',
        '"observed_at": from_iso(fields["observed_at"]).replace(year=2027)',
        only_in="writers",
    ),
    "left over below the budget": Mutant(
        constants={("shared.writing.inbox", "LEFT_OVER_AFTER"): timedelta(seconds=-5)},
        test="tests/writing/test_handover.py::test_what_is_not_understood_is_left_alone_until_it_is_left_over",
    ),
    "name not renewed": _edit(
        "writing.naming",
        "not is_mine or self._over_at - now < RENEWED_SECONDS",
        "False",
        test="tests/writing/test_handover.py::test_a_name_is_given_where_nothing_else_is_written",
    ),
    "the name is kept": _edit(
        "writing.naming",
        "served_seconds >= term_seconds and is_in_turn and not is_full",
        "False",
        test="tests/writing/test_handover.py::test_the_name_goes_round",
    ),
    "name written in place of the tally": _edit(
        "writing.group_commit",
        "Write(TALLY_KEY, name_properties(name), ANY_VERSION, merges=True)",
        "Write(TALLY_KEY, name_properties(name), ANY_VERSION)",
    ),
    "named at rest": _edit(
        "writing.naming",
        "not (self.claims or (is_mine and self._is_wanted(now)))",
        "not self.process",
        test="tests/writing/test_handover.py::test_alone_nobody_is_named_and_nothing_is_handed_over",
    ),
    "what waits is corrected": _edit(
        "writing.writer",
        "return await self._handover.waiting_paths() if self._handover is not None else set()",
        "return set()",
        test="tests/writing/test_handover.py::test_what_waits_in_the_inbox_is_live",
    ),
    "what is left over in the inbox is live": _edit(
        "writing.inbox",
        " and not _is_left_over(entity, page.date)",
        "",
        test="tests/writing/test_handover.py::test_what_is_left_over_in_the_inbox_is_not_live",
    ),
    # The sketch
    "sketch left as it was": _edit("model.tally", "sketch.add(row_keys, delta)", "pass"),
    "what goes is added to the sketch": _edit("model.tally", "sketch.add(row_keys, delta)", "sketch.add(row_keys)"),
    "an absent sketch taken for an empty one": _edit(
        "model.tally",
        "sketch=Sketch.from_texts(digest_key, _numbered(_SKETCH, properties)),",
        "sketch=Sketch.from_texts(digest_key, _numbered(_SKETCH, properties)) or Sketch(digest_key),",
    ),
    "changed texts of the sketch left as they are stored": _edit("model.tally", "if text != old}", "if old is None}"),
    "a name that goes stays where the tally is merged": _edit(
        "model.tally",
        "after.sketch is not None and not goes",
        "after.sketch is not None",
        test="tests/model/test_tally.py::test_what_changes_ends_in_the_tally_afterwards",
    ),
    "what lies beyond a sketch that grows is added": _edit("model.sketch", "if row_key <= self.upto]", "]"),
    "page read before the tally that it is added to": _edit(
        "reconciling.difference",
        "        page, upto = await _next_page(parts, stored, sketch)\n",
        "        page, upto = await _next_page(parts, stored, sketch)\n"
        "        stored = await parts.counts.open()\n"
        "        sketch = stored.tally.sketch if stored.tally.sketch is not None else sketch\n",
        test="tests/reconciling/test_difference.py::test_a_sketch_is_made_under_traffic_and_right_at_every_moment",
    ),
    "audit keeps a sketch that is as wrong as the sums": _edit(
        "reconciling.tally_audit", "stored.tally.holding(sums, None,", "stored.tally.holding(sums, stored.tally.sketch,"
    ),
    "difference not held against the digests": _edit(
        "reconciling.difference",
        "if nameless or not self._adds_up(found, stored):",
        "if nameless:",
        test="tests/reconciling/test_difference.py::test_a_wrong_tally_is_not_taken_for_settled",
    ),
    "rows that contradict the tally taken for settled": _edit(
        "reconciling.difference", "if await self._contradicts(suspects):", "if False:", only_in="tampering"
    ),
    "what a sketch cannot tell taken for settled": _edit(
        "reconciling.difference",
        "        if found is None:\n            return False\n",
        "        if found is None:\n            return True\n",
    ),
    "what only the ledger has left there": _edit(
        "reconciling.difference",
        "for key, sign in suspects.items() if sign > 0)",
        "for key, sign in suspects.items() if sign > 1)",
    ),
    "what only the listing has left out": _edit(
        "reconciling.difference", "            if sign < 0:\n", "            if sign < -1:\n"
    ),
    "what is live only now taken for settled": _edit(
        "reconciling.difference", "if self._repair.is_live(row.event_time):", "if True:"
    ),
    "partial decoding taken for all": Mutant(
        {
            "shared.model.sketch": [("return None if any(cells) else found", "return found")],
            "shared.reconciling.difference": [("if nameless or not self._adds_up(found, stored):", "if nameless:")],
        }
    ),
    # Looking at blobs
    "403 taken for absent": _edit(
        "azure.heads",
        "        except ResourceNotFoundError as error:\n            if error_code(error) in ABSENT_CODES:",
        "        except HttpResponseError as error:\n            if error.status_code == 403 or error_code(error) in ABSENT_CODES:",
    ),
    "any 404 taken for absent": _edit(
        "azure.heads", "            if error_code(error) in ABSENT_CODES:", "            if True:"
    ),
    # Reconciling
    "listing trusted over the blob": _edit(
        "reconciling.repair",
        "        if not head.present or self.is_live(head.last_modified):\n            return\n",
        "        head = type(head)(present=True, date=self.parts.clock.now())\n",
    ),
    "candidate not HEADed": _edit(
        "reconciling.repair",
        "        head = await self._look(path)\n        is_there",
        "        head = type('Head', (), {'present': False, 'date': self.parts.clock.now(), 'etag': ''})\n        is_there",
    ),
    "correctness leaning on the lease": _edit(
        "reconciling.repair",
        "self._count(seen, base, await self.parts.writer.observe(seen, base))",
        "self._count(seen, base, await self.parts.writer.observe(seen, await self.parts.writer.read_row(seen.path)))",
        only_in="late events",  # an event has to come between a look and its commit
    ),
    "ready set before bootstrap ends": _edit(
        "reconciling.reconciler",
        "                await Pass(self._parts, run, lease, stored, deadline, on_progress).work()\n",
        "                await self._set_ready(run.subject)\n"
        "                await Pass(self._parts, run, lease, stored, deadline, on_progress).work()\n",
    ),
    "tally corrected although it has changed meanwhile": _edit(
        "reconciling.tally_audit",
        "            tally = stored.tally.holding(",
        "            stored = await parts.counts.open()\n            tally = stored.tally.holding(",
        test="tests/reconciling/test_run.py::test_i4_what_is_counted_between_the_last_row_and_the_repair_stays_counted",
    ),
    "checkpoint written before its page": _edit(
        "reconciling.stages",
        "                        yield folder, self._images(location, page.names), page.date\n"
        "                        run.token = page.next_token\n"
        "                        if run.token:\n"
        "                            await self._page_done()\n                            await self._note_doubt()\n",
        "                        run.token = page.next_token\n                        if run.token:\n"
        "                            await self._page_done()\n"
        "                        yield folder, self._images(location, page.names), page.date\n",
    ),
    "not ready is served": _edit(
        "watching.watch", "            elif not stored.tally.ready:\n", "            elif False:\n"
    ),
    # Events, rows and what came before them
    "what a directory has overtaken decided by its sequencer": _edit(
        "model.ledger",
        "        certain_since.append(known_since)",
        "        certain_since.append(event_time - 2 * SKEW_MARGIN)",
    ),
    "time ahead of every clock believed": _edit(
        "model.ledger",
        "    if not is_credible(change.event_time, now):\n",
        "    if False:\n",
        test="tests/model/test_ledger.py::test_a_time_ahead_of_every_clock_decides_nothing",
    ),
    "touched row decided by its sequencer": _edit(
        "model.ledger",
        "    if not row.is_sound:\n",
        "    if False:\n",
        test="tests/model/test_ledger.py::test_a_row_that_was_touched_can_be_read_and_only_the_blob_decides",
    ),
    "name without a row trusted before the account was listed": _edit(
        "model.ledger", "if not is_ready or _may", "if _may"
    ),
    "path of a row not held against its key": _edit(
        "model.ledger", "if row.path and row_key(row.path) == key:", "if row.path:"
    ),
    "row counted whatever its key": _edit(
        "model.ledger",
        'return str(folder) if row_key(path) == key else ""',
        "return str(folder)",
        test="tests/reconciling/test_tampering.py::test_i4_rows_that_were_touched_are_healed_or_left_alone_and_counts_are_the_truth",
    ),
    "anything that is set is present": _edit(
        "model.ledger", 'properties.get("present") is not True or', 'not properties.get("present") or'
    ),
    "sourceUrl taken as it stands": _edit("intake.event_grid", "return [name, decoded] if", "return [name] if"),
    "sourceUrl always decoded": _edit("intake.event_grid", "return [name, decoded] if", "return [decoded] if"),
    "source of a rename forgotten": _edit(
        "intake.delivery",
        "(self._take(change) for change in changes)",
        "(self._take(change) for change in changes[:1])",
    ),
    "third change of an event forgotten": _edit(
        "intake.delivery",
        "(self._take(change) for change in changes)",
        "(self._take(change) for change in changes[:2])",
    ),
    "what cannot be counted acknowledged and not kept": _edit(
        "intake.delivery",
        "            await self._quarantine.put(text, refusal)\n",
        "            await asyncio.sleep(0)\n",
    ),
    "rejection by something in between taken for storage's": _edit(
        "writing.group_commit",
        "error if error.by_service else Refused(str(error))",
        "error",
        test="tests/azure/test_table_errors.py::test_i5_what_something_in_between_finds_too_large_is_sent_in_parts",
    ),
    # Directories
    "directory compared without stopping late events": _edit(
        "reconciling.reconciler", "        await self._counts.doubt_until(changed_at)\n", ""
    ),
    "directory marked before late events are stopped": _edit(
        "reconciling.reconciler",
        "        await self._counts.doubt_until(changed_at)\n        await self._marks.add(directory, changed_at)\n",
        "        await self._marks.add(directory, changed_at)\n        await self._counts.doubt_until(changed_at)\n",
        test="tests/reconciling/test_marked_directories.py::test_i2_late_events_are_stopped_before_a_directory_is_marked",
    ),
    "directory not marked": _edit(
        "reconciling.reconciler", "        await self._marks.add(directory, changed_at)\n", ""
    ),
    "older directory lets newer late events through": _edit(
        "writing.tally_row",
        "known_since=max(tally.known_since, moment)",
        "known_since=moment",
        test="tests/reconciling/test_marked_directories.py::test_i2_an_older_directory_lets_no_newer_late_event_through",
    ),
    "mark removed although its directory changed again": _edit(
        "reconciling.marked_directories",
        "[Write(mark.row_key, None, mark.etag)]",
        "[Write(mark.row_key, None, (await self._table.read(CONTROL_PARTITION, mark.row_key) or mark).etag)]",
    ),
    "mark removed before its directory was compared": _edit(
        "reconciling.reconciler", "            if report.finished:\n", "            if True:\n"
    ),
    "marks of now removed by a run that began before": _edit(
        "reconciling.reconciler", "remove_older(run.since - SKEW_MARGIN)", "remove_older(self._clock.now())"
    ),
    "directory looked for in one folder only": _edit(
        "model.folders",
        "        if location.overlaps(wanted)\n",
        "        if location.overlaps(wanted) and folder != 'input'\n",
    ),
    "look of before a directory's change committed after it": _edit(
        "writing.plan", "        or intent.base.doubt != tally.doubt  #", "        #"
    ),
    "comparison given up where an old event comes between": _edit(
        "reconciling.repair",
        "            self.report.count(seen.folder, (await self.parts.writer.look(*_names(seen.path), seen.folder)).delta)\n",
        "            self.report.count(seen.folder, 0)\n",
    ),
    # Generations
    "tally dated when its commit is answered": _edit(
        "writing.group_commit",
        "self._learn(StoredTally(plan.tally, next(left), partition=stored.partition), asked_at)",
        "self._learn(StoredTally(plan.tally, next(left), partition=stored.partition), self._clock.monotonic())",
        test="tests/reconciling/test_recount.py::test_what_a_paused_process_knows_is_as_old_as_its_question",
    ),
    "tally dated when its read is answered": _edit(
        "writing.group_commit",
        "        stored = await self._counts.open()\n        self._learn(stored, asked_at)\n",
        "        stored = await self._counts.open()\n        self._learn(stored, self._clock.monotonic())\n",
        test="tests/reconciling/test_recount.py::test_what_a_paused_process_reads_is_as_old_as_its_question",
    ),
    "confirmation dated when it is answered": _edit(
        "writing.tally_row",
        "            self._confirmed_at = began\n",
        "            self._confirmed_at = self._clock.monotonic()\n",
        test="tests/reconciling/test_recount.py::test_what_a_paused_process_has_confirmed_is_as_old_as_its_question",
    ),
    "rows written alone on a tally of any age": _edit(
        "writing.group_commit",
        "if plan.writes_rows_only and not self._tally.is_fresh(self._clock.monotonic()):",
        "if False:",
        test="tests/reconciling/test_recount.py::test_an_old_process_cannot_take_an_event",
    ),
    "event of no concern acknowledged unseen": _edit(
        "intake.delivery", "            await self._counts.confirm()\n", "            await asyncio.sleep(0)\n"
    ),
    "directory of no concern acknowledged unseen": _edit(
        "reconciling.reconciler",
        "            await self._counts.confirm()\n",
        "            await asyncio.sleep(0)\n",
        test="tests/reconciling/test_marked_directories.py::test_i5_a_directory_of_new_folders_is_not_taken_by_an_old_process",
    ),
    "new generation listed while old processes write": Mutant(
        constants={("shared.reconciling.reconciler", "OLD_WRITERS_SECONDS"): 0.0}
    ),
    "wait for old processes by the operator's clock": _edit(
        "reconciling.reconciler",
        "(waited := self._clock.monotonic() - began)",
        "(waited := (self._clock.now() - stored.tally.known_since).total_seconds() + 0 * began)",
    ),
    "new generation dated by the operator's clock": _edit(
        "reconciling.reconciler", "max(tally.known_since, run.since) if run.since is not None else", ""
    ),
    "new generation ready from the start": _edit(
        "writing.tally_row",
        "        empty = self.empty()\n",
        "        empty = replace(self.empty(), ready=partition != PARTITION)\n",
    ),
    "former tally not closed": _edit(
        "writing.tally_row",
        '{"moved_to": made.partition}, row.etag, merges=True)',
        '{"moved_to": ""}, row.etag, merges=True)',
    ),
    "rows read in the first generation": _edit(
        "writing.group_commit",
        "        entity = await self._table.read(partition, row_key(path))\n",
        "        entity = await self._table.read(PARTITION, row_key(path))\n",
    ),
    "tally of a former generation used although another is known": _edit(
        "writing.group_commit",
        "stored is not None and stored.partition == self._counts.partition else None",
        "stored is not None else None",
        test="tests/reconciling/test_recount.py::test_a_plan_takes_rows_of_the_generation_of_its_tally",
    ),
    "rows of the new generation dropped with the former ones": _edit(
        "reconciling.recount",
        'range(1, int(counts.partition.removeprefix("g")))',
        'range(1, 1 + int(counts.partition.removeprefix("g")))',
    ),
    "tally remembered without its generation": _edit(
        "writing.group_commit",
        "self._learn(StoredTally(plan.tally, next(left), partition=stored.partition), asked_at)",
        "self._learn(StoredTally(plan.tally, next(left)), asked_at)",
        test="tests/reconciling/test_recount.py::test_a_commit_remembers_the_tally_of_its_generation",
    ),
    "run of another generation gone on with": _edit(
        "reconciling.reconciler",
        "        if unfinished.subject != _subject(stored.tally):\n",
        "        if False:\n",
    ),
    # Comparing and auditing
    "listed names counted long after": Mutant(
        {
            "shared.writing.plan": [("(intent.seen.is_listed and tally.ready)", "False")],
            "shared.reconciling.reconciler": [
                ("        if unfinished.report.bootstrap and stored.tally.ready:\n", "        if False:\n")
            ],
        },
        test="tests/writing/test_plan.py::test_i4_a_look_that_was_overtaken_is_not_committed",
    ),
    "names that have rows left out of a first count": _edit(
        "reconciling.repair", "                known.append(path)\n", "                continue_ = path\n"
    ),
    "next range without a listing": _edit(
        "reconciling.run", 'self.folders_done, self.token, self.seen = 0, "", Buckets()', "self.seen = Buckets()"
    ),
    "buckets of a resumed comparison always agree": _edit(
        "reconciling.row_key_sets",
        "return self._sums[bucket] == other._sums[bucket]",
        "return self._sums[bucket] == self._sums[bucket]",
    ),
    "what is listed looked at and the rest left": _edit(
        "reconciling.row_key_sets", "            if not mark\n", "            if mark\n"
    ),
    "range ends before its last row": _edit(
        "reconciling.comparison",
        "if not after < key <= upto:",
        "if not after < key < upto:",
        test="tests/reconciling/test_comparison.py::test_i4_each_name_is_compared_in_one_range",
    ),
    "audit goes on although it was overtaken": _edit(
        "reconciling.stages", "        if stored.etag != run.tally_etag:\n            return False\n", ""
    ),
    "audit forgets how far it was": _edit(
        "reconciling.stages", "            run.after_key = page[-1].row_key if page else run.after_key\n", ""
    ),
    "tally never held against its rows": _edit(
        "reconciling.stages", "        if report.bootstrap and not run.is_miscounted:\n", "        if True:\n"
    ),
    "tally not held against its rows after corrections": _edit(
        "reconciling.stages",
        "        if report.bootstrap and not run.is_miscounted:\n",
        "        if report.bootstrap or report.corrected:\n",
        test="tests/reconciling/test_tampering.py::test_i4_a_row_that_somebody_has_deleted_comes_back_and_counts_once",
    ),
    "late events trusted after somebody has deleted rows": _edit(
        "reconciling.reconciler",
        "        if (report.miscounted or report.unreadable) and run.since is not None:\n",
        "        if False:\n",
    ),
    "folder of a touched row believed": _edit(
        "reconciling.repair", "row.is_sound and row.folder == folder and (", "row.is_sound and ("
    ),
    "live for ever what lies ahead of every clock": _edit(
        "reconciling.repair",
        " and is_credible(changed_at, self.parts.clock.now())",
        "",
        test="tests/reconciling/test_reconciler.py::test_i4_a_time_ahead_of_every_clock_makes_nothing_live_for_ever",
    ),
    "rows of a folder that changed left where they were": _edit(
        "writing.plan",
        '    was_in = before.folder if before is not None and before.present else ""\n',
        '    was_in = after.folder if before is not None and before.present else ""\n',
        test="tests/writing/test_plan.py::test_a_deletion_of_what_is_in_another_folder_leaves_that_one",
    ),
    # Cases
    "a case left as it was": _edit("writing.cases", "            if any(by.values()):\n", "            if False:\n"),
    "what goes is added to a case": _edit("model.cases", "count + by.get(folder, 0)", "count + abs(by.get(folder, 0))"),
    "all cases of a commit get one number": _edit(
        "writing.cases", "recent.revision + len(changed) + 1, now, marks", "recent.revision + 1, now, marks"
    ),
    "a case decided from what is not known": _edit(
        "writing.group_commit", "if not plan.unread and not plan.cases.unread:", "if not plan.unread:"
    ),
    "the ring passes over a change": _edit(
        "model.cases", "for number in range(revision + 1,", "for number in range(revision + 2,"
    ),
    "the ring of one change more than it holds": _edit(
        "model.cases",
        "if not self.revision - RING <= revision <= self.revision:",
        "if not self.revision - RING - 1 <= revision <= self.revision:",
        test="tests/model/test_cases.py::test_the_ring_tells_what_came_after_or_that_it_cannot",
    ),
    "a case dropped that counts something": _edit("model.cases", 'if properties.get("total") != 0 or not', "if not"),
    "time of a case goes back": _edit("model.cases", "changed_at=max(now, self.changed_at or now)", "changed_at=now"),
    "nobody woken who follows a case": _edit(
        "watching.cases", "telemetry.WAKES.add(self.hub.waiting.wake(self.key))", "pass"
    ),
    "a row read late replaces what the ring has told": _edit(
        "watching.cases",
        "if known is None or not is_same or known.tally.revision < snapshot.tally.revision:",
        "if True:",
        test="tests/watching/test_cases.py::test_a_row_that_is_read_late_does_not_replace_newer_counts",
    ),
    "a case current although the counts began anew": _edit(
        "watching.cases",
        "                topic.is_current = False\n",
        "                pass\n",
        test="tests/watching/test_cases.py::test_who_asks_after_a_while_is_shown_what_is_there",
    ),
    "a case read where the counts are by now": _edit(
        "watching.cases",
        "read_case(topic.case, self._partition, epoch)",
        "read_case(topic.case, self._counts.partition, epoch)",
        test="tests/watching/test_cases.py::test_i6_a_case_has_the_counts_of_the_generation_that_its_version_is_of",
    ),
    "a case that is not read again after a read in vain": _edit(
        "watching.cases",
        "            if not topic.is_current:\n                self._is_refresh_due = True\n",
        "            pass\n",
        test="tests/watching/test_cases.py::test_i7_a_change_is_told_whatever_becomes_of_the_reads",
    ),
    "cases added up against rows of cases that are read last": _edit(
        "reconciling.tally_audit",
        "    before = report.miscounted_cases\n",
        "    rows = await _rows_of_cases(parts.table, stored, parts.counts.folders)\n"
        "    before = report.miscounted_cases\n",
        test="tests/reconciling/test_cases.py::test_i4_a_case_that_changes_meanwhile_is_left_to_its_events",
    ),
    "cases never added up": _edit(
        "reconciling.stages",
        "            await correct_cases(",
        "            False and await correct_cases(",
    ),
    # Cases that are drained
    "drained case not marked": _edit("model.cases", "(self.drained or (marks and self.has_work))", "self.drained"),
    "mark outlives a refill": _edit("model.cases", "drained=not moved.has_work and (self", "drained=(self"),
    "mark dropped by what comes after it": _edit(
        "model.cases", "(self.drained or (marks and self.has_work))", "marks and self.has_work"
    ),
    "mark removed before it is announced": _edit(
        "watching.drained",
        "        await self._topic.publish_drained(some)\n",
        "        for row in some:\n            await self._unmark(row)\n        await self._topic.publish_drained(some)\n",
    ),
    "mark kept once it is announced": _edit(
        "writing.cases", "tally = replace(drained.tally, drained=False)", "tally = drained.tally"
    ),
    "marks that are left are not looked for": _edit(
        "watching.drained",
        "row.tally.changed_at < fresh_from:",
        "row.tally.changed_at > fresh_from:",
        test="tests/watching/test_drained.py::test_i5_a_process_that_dies_before_it_publishes",
    ),
    # Watching
    "version compared with >": Mutant(
        {
            "shared.watching.topic": [
                (
                    "self.snapshot.version != version:\n                    return self.snapshot\n                ended",
                    'int(self.snapshot.version.rpartition("-")[2]) > int(version.rpartition("-")[2]):\n                    return self.snapshot\n                ended',
                ),
                (
                    "self.snapshot.version != version:\n                return self.snapshot\n            if ended",
                    'int(self.snapshot.version.rpartition("-")[2]) > int(version.rpartition("-")[2]):\n                return self.snapshot\n            if ended',
                ),
            ]
        },
    ),
    "check-then-wait without registering": Mutant(
        {
            "shared.watching.topic": [
                (
                    "            waiter = hub.waiting.join(",
                    "            if self.snapshot is not None and self.snapshot.version != version:\n"
                    "                return self.snapshot\n            await hub.clock.sleep(0.05)\n"
                    "            waiter = hub.waiting.join(",
                ),
                (
                    "                if self.snapshot is not None and self.snapshot.version != version:\n"
                    "                    return self.snapshot\n                ended",
                    "                ended",
                ),
            ]
        },
    ),
    "waiting without a poller": _edit("watching.watch", "        if self._poller is None:\n", "        if False:\n"),
    "a wake only for the first change": _edit(
        "watching.watch", "if before is None or before.version != snapshot.version:", "if before is None:"
    ),
    "an older offer replaces newer counts": _edit(
        "watching.watch", "if known is None or known.is_behind(snapshot.version):", "if True:"
    ),
    "a client that is ahead shown what is there": _edit(
        "watching.watch", "while self._ended < enough and", "while False and"
    ),
    "a read under way taken for a new one": _edit(
        "watching.watch", "enough = self.reads + 1", "enough = self.reads + (self._fetch is None)"
    ),
    "an error is kept for ever": _edit(
        "watching.watch",
        "self._failure, self._started_at = failure, started_at",
        "self._failure, self._started_at = failure or self._failure, started_at",
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
    """

    name: str
    killer: str
    seed: int
    scenario: str
    seconds: float


def hunt(name: str, seeds: int = SEEDS) -> Verdict:
    """Look for a seed in which an invariant notices the mutant, first where it was noticed last."""
    logging.disable(logging.CRITICAL)
    began = time.process_time()
    with mutated(name):
        if test := MUTANTS[name].test:
            return Verdict(name, f"fails {test}" if _fails(test) else "", 0, "a test", 0.0)
        last = found_at().get(name)
        for seed in (*([last] if last is not None and last < seeds else []), *range(seeds)):
            outcome = simulate(seed, MUTANTS[name].only_in or None)
            if outcome.violation is not None and outcome.unexpected is None:
                break
    killer = outcome.violation or ""
    return Verdict(name, killer, seed, outcome.scenario, time.process_time() - began)


@cache
def found_at() -> dict[str, int]:
    """Return the seed in which each mutant was noticed last; read once, before what is noticed now is noted."""
    seeds: dict[str, int] = json.loads(FOUND.read_text())
    return seeds


def _fails(test: str) -> bool:
    with redirect_stdout(io.StringIO()):
        return pytest.main(["-q", "-p", "no:cacheprovider", test]) == pytest.ExitCode.TESTS_FAILED


def main() -> None:
    """Hunt all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("--only", choices=list(MUTANTS), help="only this one")
    parser.add_argument("--note", action="store_true", help="note the seeds in which mutants were noticed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of what a seed replays
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation.mutants", *sys.argv[1:]])  # noqa: S606
    names = [arguments.only] if arguments.only else list(MUTANTS)
    survivors, seeds = [], dict(found_at())
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        for verdict in pool.imap(hunt, names, chunksize=1):
            if not verdict.killer:
                survivors.append(verdict.name)
            elif not MUTANTS[verdict.name].test:
                seeds[verdict.name] = verdict.seed
            found = f"seed {verdict.seed} ({verdict.scenario}), {verdict.seconds:.1f} s: {verdict.killer}"
            print(f"{verdict.name}: {found if verdict.killer else 'SURVIVED'}", flush=True)
            if arguments.note:
                FOUND.write_text(json.dumps({name: seeds[name] for name in MUTANTS if name in seeds}, indent=1) + "\n")
    if survivors:
        print(f"{len(names)} mutants, survivors: {', '.join(survivors)}")
        sys.exit(1)
    print(f"{len(names)} mutants, all found")


if __name__ == "__main__":
    main()
