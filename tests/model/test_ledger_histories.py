"""The pure ledger under any history: every multiset and every order of deliveries ends as in-order once.

A history of one name happens (written, overwritten, deleted); its events are delivered in any order, any number of
times, among looks at the blob. Whenever every event has been delivered at least once, the row is the truth.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.model import ledger
from shared.model.changes import BlobChange
from shared.model.folders import FOLDERS
from shared.model.ledger import TOMBSTONE_HORIZON, Observation, Outcome, Row, path_hashes
from tests.builders import PATH, at, sequencer

(HASH,) = path_hashes([PATH], b"k")

FOLDER = "queued"
KNOWN_SINCE = at(0)
#: Of a process's clock against the service's, and of the service's front ends against each other. Seconds.
SKEW_SECONDS = 5
RUN = settings(max_examples=100, stateful_step_count=40, deadline=None)


class Histories(RuleBasedStateMachine):
    """One name, its blob, its row, and the tally that counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0
        self.number = 0x9A
        self.is_present = False
        self.events: list[BlobChange] = []
        self.undelivered: set[int] = set()
        self.row: Row | None = None
        self.counted = 0
        self.digest = 0

    @initialize(started=st.floats(0, 100))
    def begin(self, started: float) -> None:
        """Begin some time after the ledger did."""
        self.seconds += started

    @rule(odd=st.sampled_from(["", "", "", "narrow", "none", "timeless"]), skew=st.floats(-2, 2))
    def write_or_delete(self, odd: str, skew: float) -> None:
        """The blob is written (or overwritten) or deleted, which raises an event."""
        self.happen(not self.is_present or self.number % 3 == 0, odd, skew)

    @precondition(lambda self: self.is_present)
    @rule(skew=st.floats(-2, 2))
    def delete(self, skew: float) -> None:
        """The blob is deleted."""
        self.happen(False, "", skew)

    def happen(self, present: bool, odd: str, skew: float) -> None:
        """Change the blob and raise the event."""
        self.number += 7
        self.is_present = present
        event = BlobChange(
            FOLDER,
            PATH.partition("/")[2],
            present,
            sequencer=None if odd == "none" else sequencer(self.number, 32 if odd == "narrow" else 48),
            event_time=None if odd == "timeless" else at(self.seconds + skew),
        )
        self.undelivered.add(len(self.events))
        self.events.append(event)

    @rule(seconds=st.sampled_from([0.01, 1.0, 29.0, 31.0, 40.0, 86_400.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.seconds += seconds

    @precondition(lambda self: self.events)
    @rule(data=st.data(), skew=st.integers(-SKEW_SECONDS, SKEW_SECONDS))
    def deliver(self, data: st.DataObject, skew: int) -> None:
        """Any event is delivered: the first time or again, in order or not."""
        index = data.draw(st.integers(0, len(self.events) - 1))
        self.take(self.events[index], skew)
        self.undelivered.discard(index)

    @precondition(lambda self: self.undelivered)
    @rule()
    def deliver_all(self) -> None:
        """All that is still to be delivered is, newest first."""
        for index in sorted(self.undelivered, reverse=True):
            self.take(self.events[index], 0)
        self.undelivered.clear()

    @rule()
    def look(self) -> None:
        """A reconciliation looks at the blob."""
        self.write(ledger.decide_observed(self.row, self.seen()))

    @precondition(lambda self: self.row is not None and not self.row.present and self.row_is_expired())
    @rule()
    def collect(self) -> None:
        """The row of a name that is long gone is dropped."""
        self.row = None

    def row_is_expired(self) -> bool:
        """Tell whether nothing of the row is younger than the horizon and a day."""
        row = self.row
        times = [time for time in (row.event_time, row.observed_at) if time is not None] if row is not None else []
        return bool(times) and max(times) < at(self.seconds) - TOMBSTONE_HORIZON - timedelta(days=1)

    def take(self, event: BlobChange, skew: int) -> None:
        """Do what the writer does with one event."""
        found = ledger.decide(self.row, event, FOLDER, KNOWN_SINCE, at(self.seconds + skew))
        if found.outcome is Outcome.LOOK:
            found = ledger.decide_observed(self.row, replace(self.seen(), sequencer=event.sequencer or ""))
            assert found.row is not None, "a look always writes a row"
        self.write(found)

    def seen(self) -> Observation:
        """Look at the blob; the answer's Date is to the second, by some front end's clock."""
        date = at(self.seconds + self.number % 5 - 2).replace(microsecond=0)
        return Observation(PATH, FOLDER, self.is_present, date)

    def write(self, found: ledger.Transition) -> None:
        """Write the row, and the tally with it."""
        if found.row is None:
            assert found.delta == 0
            return
        before = int(self.row is not None and self.row.present)
        assert found.delta == int(found.row.present) - before
        assert (found.outcome is Outcome.APPLIED) == bool(found.delta)
        self.row = ledger.from_properties(ledger.to_properties(found.row), FOLDERS)
        self.counted += found.delta
        self.digest += found.delta * HASH

    @invariant()
    def i1_a_name_counts_once_or_not_at_all(self) -> None:
        """I1: the count is the number of distinct present names, whatever was delivered."""
        present = self.row is not None and self.row.present
        assert self.counted == int(present)
        assert self.digest == int(present) * HASH

    @invariant()
    def i2_what_was_all_delivered_is_the_truth(self) -> None:
        """I2: any multiset and any order of all events ends as the history applied once, in order."""
        if not self.undelivered:
            assert (self.row is not None and self.row.present) == self.is_present


Histories.TestCase.settings = RUN
TestHistories = Histories.TestCase
