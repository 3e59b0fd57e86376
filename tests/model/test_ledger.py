"""shared.model.ledger: the decision table of one event, and that every order of every history ends in the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.intake.event_grid import BLOB_RENAMED, parse
from shared.model import ledger
from shared.model.changes import BlobChange
from shared.model.folders import FOLDERS
from shared.model.ledger import LATE_AFTER, SKEW_MARGIN, TOMBSTONE_HORIZON, Observation, Outcome, Row, Transition
from tests.builders import PATH, START, at, change, event_grid, row, sequencer, to_text

MARGIN = SKEW_MARGIN.total_seconds()
HORIZON = TOMBSTONE_HORIZON.total_seconds()
LATE = LATE_AFTER.total_seconds()
TICK = 1e-6
LONG_AGO = at(-10 * HORIZON)


def decide(known: Row | None, event: BlobChange, *, known_since=LONG_AGO, now=None, is_ready=True) -> Transition:
    """Decide with everything else long ago, as soon as it has happened."""
    return ledger.decide(known, event, "queued", known_since, now or event.event_time or START, is_ready=is_ready)


def seen(present: bool, seconds: float = 2000, **fields) -> Observation:
    """Return what a look at the blob found."""
    return Observation(PATH, "queued", present, at(seconds), **fields)


@pytest.mark.parametrize("known", [None, row(0), row(9, present=False), row(None, observed=0)])
@pytest.mark.parametrize("event", [change(None), change(5, seconds=None), change(5, look=True)])
def test_events_that_cannot_decide_ask_for_a_look(known, event):
    """Without a usable sequencer or time, or when the event says so, only the blob itself can tell."""
    assert decide(known, event) == Transition(Outcome.LOOK)


@pytest.mark.parametrize(
    ("known", "event", "outcome", "delta"),
    [
        (None, change(5), Outcome.APPLIED, 1),
        (None, change(5, present=False), Outcome.UNCHANGED, 0),
        (row(4), change(5), Outcome.UNCHANGED, 0),
        (row(4), change(5, present=False), Outcome.APPLIED, -1),
        (row(4, present=False), change(5), Outcome.APPLIED, 1),
        (row(4, present=False), change(5, present=False), Outcome.UNCHANGED, 0),
        (row(None), change(5, present=False), Outcome.APPLIED, -1),
    ],
)
def test_newer_events_advance_the_row(known, event, outcome, delta):
    """I1: a newer event sets presence, and only a presence that changes moves the count."""
    found = decide(known, event)
    assert (found.outcome, found.delta) == (outcome, delta)
    assert found.row == Row(PATH, "queued", event.present, event.sequencer, event.etag, event.event_time)


@pytest.mark.parametrize(
    ("known", "event", "outcome"),
    [
        (row(5), change(5), Outcome.DUPLICATE),
        (row(5, present=False), change(5, present=False), Outcome.DUPLICATE),
        (row(5), change(5, present=False), Outcome.LOOK),
        (row(5, present=False), change(5), Outcome.LOOK),
        (row(6), change(5), Outcome.STALE),
        (row(6), change(5, present=False), Outcome.STALE),
        (row(0x10), change(0xF, present=False), Outcome.STALE),
        (row(6, sequencer=sequencer(6, 32)), change(5), Outcome.LOOK),
        (row(6, sequencer=sequencer(6, 32)), change(7), Outcome.LOOK),
        (row(5, sequencer=sequencer(5, 32)), change(5), Outcome.LOOK),
        (row(6, observed=2000), change(5, present=False), Outcome.STALE),
    ],
)
def test_other_events_write_nothing(known, event, outcome):
    """Duplicates, stale events and those that need a look leave the row alone."""
    assert decide(known, event) == Transition(outcome)


@pytest.mark.parametrize(
    ("after_the_look", "outcome"),
    [(-1000, Outcome.LOOK), (0, Outcome.LOOK), (MARGIN, Outcome.LOOK), (MARGIN + TICK, Outcome.APPLIED)],
)
@pytest.mark.parametrize("number", [None, 4])
def test_events_near_a_look_ask_for_another(number, after_the_look, outcome):
    """Up to the margin after a look its answer may have seen the event already; beyond it the event decides."""
    event = change(5, present=False, seconds=2000 + after_the_look)
    assert decide(row(number, observed=2000), event).outcome is outcome


@pytest.mark.parametrize(
    ("after", "outcome"), [(0, Outcome.LOOK), (MARGIN, Outcome.LOOK), (MARGIN + TICK, Outcome.APPLIED)]
)
def test_events_older_than_the_ledger_ask_for_a_look(after, outcome):
    """Without a row, an event up to the margin after ``known_since`` may have been counted without leaving one."""
    assert decide(None, change(5, seconds=after), known_since=START, now=START).outcome is outcome


@pytest.mark.parametrize(
    ("age", "outcome"), [(LATE, Outcome.LOOK), (LATE + 1, Outcome.LOOK), (LATE - 1, Outcome.APPLIED)]
)
def test_events_older_than_tombstones_ask_for_a_look(age, outcome):
    """Without a row, an event beyond the horizon may have lost to a tombstone that is gone."""
    assert decide(None, change(5, seconds=-age), now=START).outcome is outcome


def test_lateness_matters_only_without_a_row():
    """A row that is there knows better than the horizon; and an overwrite changes no count, whatever came before."""
    assert decide(row(4), change(5, seconds=0), now=at(2 * HORIZON)).outcome is Outcome.UNCHANGED
    assert decide(row(4), change(5, present=False, seconds=0), now=at(2 * HORIZON)).outcome is Outcome.APPLIED
    assert decide(row(4), change(5, seconds=0), known_since=at(1000), now=at(2 * HORIZON)).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("after", "outcome"), [(-1000, Outcome.LOOK), (MARGIN, Outcome.LOOK), (MARGIN + TICK, Outcome.APPLIED)]
)
@pytest.mark.parametrize("present", [True, False])
def test_i2_what_a_directory_has_overtaken_asks_for_a_look_with_a_row_too(after, outcome, present):
    """The directory came or went as a whole and left no mark in the row; what happened before it decides nothing."""
    event = change(5, present=present, seconds=after)
    assert decide(row(4, present=not present), event, known_since=START).outcome is outcome


@pytest.mark.parametrize("present", [True, False])
def test_until_the_account_was_listed_a_name_without_a_row_is_looked_at(present):
    """It may have been there before anybody listened, or been acknowledged into the former counts."""
    event = change(5, present=present)
    assert decide(None, event, is_ready=False).outcome is Outcome.LOOK
    assert decide(row(4, present=not present), event, is_ready=False).outcome is Outcome.APPLIED


@pytest.mark.parametrize("known", [None, row(4), row(4, present=False)])
@pytest.mark.parametrize(("ahead", "is_credible"), [(300, True), (301, False), (86_400 * 365 * 73, False)])
def test_a_time_ahead_of_every_clock_decides_nothing(known, ahead, is_credible):
    """An event of 2099 would make its row live for ever: nothing would ever repair it."""
    assert (decide(known, change(5, seconds=ahead), now=START).outcome is Outcome.LOOK) is not is_credible


SOUND = ledger.to_properties(row(4, observed=100, etag="0x1"))
ODD = st.one_of(st.none(), st.text(max_size=5), st.integers(-9, 9), st.booleans(), st.floats())


@given(
    changes=st.dictionaries(st.sampled_from(sorted(SOUND)), ODD, max_size=3),
    removed=st.sets(st.sampled_from(sorted(SOUND))),
)
def test_a_row_that_was_touched_can_be_read_and_only_the_blob_decides(changes, removed):
    """Whatever somebody has written into a row: it says present only where it says so, and no event is trusted."""
    properties = {name: value for name, value in {**SOUND, **changes}.items() if name not in removed}
    found = ledger.from_entity(ledger.row_key(PATH), properties, FOLDERS)
    assert found.present == (
        properties.get("present") is True
        and properties.get("folder") in {"queued", "input", "output"}
        and properties.get("path") == PATH
    )
    assert found.path in {"", PATH}
    if (
        properties.get("path") != PATH
        or properties.get("folder") not in {"queued", "input", "output"}
        or not isinstance(properties.get("present"), bool)
    ):
        assert not found.is_sound
    if not found.is_sound:
        assert decide(replace(found, path=PATH), change(5)).outcome is Outcome.LOOK
    needed = {"path", "folder", "present"}
    if not changes and not removed & needed:
        assert found.is_sound


def test_a_row_keeps_the_time_of_its_last_look():
    """An applied event does not forget when the blob was last looked at."""
    found = decide(row(4, observed=0), change(5, etag="0x1"))
    assert found.row is not None
    assert (found.row.observed_at, found.row.etag) == (START, "0x1")


@pytest.mark.parametrize("known", [None, row(4), row(4, present=False), row(None, observed=0)])
@pytest.mark.parametrize("present", [True, False])
def test_a_look_always_writes(known, present):
    """A look writes what it found, "absent" included, and keeps the event's time that the row had."""
    found = ledger.decide_observed(known, seen(present, etag="0x2"))
    was_present = known is not None and known.present
    assert found.delta == present - was_present
    assert found.outcome is (Outcome.APPLIED if found.delta else Outcome.UNCHANGED)
    assert found.row is not None
    assert (found.row.present, found.row.observed_at, found.row.etag) == (present, at(2000), "0x2")
    assert found.row.sequencer == (known.sequencer if known else "")


def test_a_look_keeps_the_events_time():
    """The time of the newest event stays in the row, for the reconciliation to tell what is live."""
    found = ledger.decide_observed(row(4, event_time=START), seen(present=True))
    assert found.row is not None
    assert found.row.event_time == START


@pytest.mark.parametrize(
    ("known", "asked_by", "newest"),
    [
        ("", sequencer(5), sequencer(5)),
        (sequencer(4), sequencer(5), sequencer(5)),
        (sequencer(6), sequencer(5), sequencer(6)),
        (sequencer(6), "", sequencer(6)),
        (sequencer(6), sequencer(5, 32), sequencer(5, 32)),
        ("", "", ""),
    ],
)
def test_a_look_keeps_the_newest_sequencer(known, asked_by, newest):
    """The look is newer than both sequencers; of two that cannot be compared it keeps its event's."""
    found = ledger.decide_observed(row(sequencer=known), seen(present=True, sequencer=asked_by))
    assert found.row is not None
    assert found.row.sequencer == newest


def test_row_keys_are_safe():
    """A key is 32 hex digits whatever the path holds, and tells apart what normalisation would merge."""
    paths = ["a/b.jpg", "a/B.jpg", "a/caf\u00e9", "a/cafe\u0301", "a/#?\\/\n", "a/" + "x" * 5000]
    keys = {ledger.row_key(path) for path in paths}
    assert len(keys) == len(paths)
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)


MOMENTS = st.none() | st.datetimes(min_value=START.replace(tzinfo=None)).map(
    lambda each: each.replace(tzinfo=START.tzinfo)
)
ROWS = st.builds(
    Row,
    st.text(),
    st.sampled_from(["queued", "output"]),
    st.booleans(),
    st.text("0123456789abcdef"),
    st.text(),
    MOMENTS,
    MOMENTS,
)


@given(ROWS)
def test_rows_survive_storage(known):
    """A row is read back as it was written, in types that a table takes."""
    properties = ledger.to_properties(known)
    assert all(isinstance(value, str | int | bool) for value in properties.values())
    assert ledger.from_properties(properties, FOLDERS) == known


# --- every order of every history -----------------------------------------------------------------------------------
#
# A history is what happens to one blob name. Its events are delivered any number of times, in any order, each not
# before it has happened and the ledger was made; the clocks of the storage service's machines differ by less than the
# margin between them.


SKEW = (MARGIN - 2) / 2  # a Date has whole seconds
SKEWS = st.sampled_from([-SKEW, 0.0, 0.7, SKEW])
DELAYS = st.sampled_from([0, 1, 5, 20, 45, 90, 1000, 5000])
END = 100_000


@dataclass(frozen=True)
class Step:
    """One thing that happens to the blob, and what its event looks like."""

    seconds: float
    present: bool
    width: int = 48
    odd: str = ""
    skew: float = 0


@dataclass(frozen=True)
class Delivery:
    """The delivery of a step's event (or, without a step, the look of a reconciliation)."""

    step: int | None
    seconds: float
    skew: float = 0


GAPS = st.sampled_from([1, 5, 20, 50, 300, 3000])
FLIPS = st.sampled_from([True, True, True, False])
WIDTHS = st.sampled_from([48, 48, 48, 32])
ODD = st.sampled_from(["", "", "", "no sequencer", "no time", "look"])


def history_of(drawn: list[tuple[int, bool, int, str, float]]) -> list[Step]:
    """Return the steps: each a while after the one before, most of them the opposite of it."""
    steps: list[Step] = []
    seconds, present = 0, False
    for gap, flips, width, odd, skew in drawn:
        seconds, present = seconds + gap, present != flips
        steps.append(Step(seconds, present, width, odd, skew))
    return steps


STEPS = st.lists(st.tuples(GAPS, FLIPS, WIDTHS, ODD, SKEWS), min_size=2, max_size=6).map(history_of)
REPEATS = st.lists(st.tuples(st.integers(-1, 5), DELAYS, SKEWS), min_size=2, max_size=10)
ONCE_EACH = st.tuples(*(st.tuples(st.just(number), DELAYS, SKEWS) for number in range(6))).map(list)


def event_of(number: int, step: Step) -> BlobChange:
    """Return a step's event."""
    event = change(number + 1, present=step.present, seconds=step.seconds + step.skew, look=step.odd == "look")
    if step.odd == "no time":
        event = replace(event, event_time=None)
    return replace(event, sequencer=None if step.odd == "no sequencer" else sequencer(number + 1, step.width))


class Ledger:
    """One row, brought along by deliveries; looks see the blob as it is at their time."""

    def __init__(self, steps: list[Step], known_since: float) -> None:
        self.steps = steps
        self.known_since = known_since
        self.row: Row | None = None
        self.count = 0
        if self.truth(known_since):
            self.look(known_since)

    def truth(self, seconds: float) -> bool:
        """Tell whether the blob exists at this time."""
        return next((step.present for step in reversed(self.steps) if step.seconds <= seconds), False)

    def look(self, seconds: float, skew: float = 0, by: str = "") -> None:
        """Take a look at the blob."""
        date = math.floor(seconds + skew)
        self.write(ledger.decide_observed(self.row, seen(self.truth(seconds), date, sequencer=by)))

    def take(self, delivery: Delivery) -> None:
        """Take one delivery."""
        if delivery.step is None:
            self.look(delivery.seconds, delivery.skew)
            return
        event = event_of(delivery.step, self.steps[delivery.step])
        found = decide(self.row, event, known_since=at(self.known_since), now=at(delivery.seconds))
        self.write(found)
        if found.outcome is Outcome.LOOK:
            self.look(delivery.seconds, delivery.skew, event.sequencer or "")

    def write(self, found: Transition) -> None:
        """Write what was decided; the delta is held against the presence before and after."""
        before = self.present
        self.row = found.row or self.row
        self.count += found.delta
        assert found.delta == self.present - before
        assert (found.outcome is Outcome.APPLIED) is bool(found.delta)

    @property
    def present(self) -> bool:
        """Whether the row says that the blob exists."""
        return self.row is not None and self.row.present


def deliveries(
    steps: list[Step], drawn: list[tuple[int, int, float]], *, after: float, odd: bool = True
) -> list[Delivery]:
    """Return deliveries in the order of their times, each at or after its step; a number of -1 is a look."""
    found = []
    for number, delay, skew in drawn:
        if number < len(steps) and (odd or number >= 0):
            happened = steps[number].seconds if number >= 0 else 0
            found.append(Delivery(number if number >= 0 else None, max(after, happened) + delay, skew))
    return sorted(found, key=lambda delivery: delivery.seconds)


@settings(max_examples=200)
@given(steps=STEPS, known_since=st.integers(-100, 4000), once=ONCE_EACH, repeats=REPEATS)
def test_i2_every_order_ends_in_the_truth(steps, known_since, once, repeats):
    """I2: each event since the ledger was made at least once, in any order, with repeats, older events and looks."""
    found = Ledger(steps, known_since)
    needed = [each for each in once if each[0] < len(steps) and steps[each[0]].seconds > known_since]
    for delivery in deliveries(steps, needed + repeats, after=known_since):
        found.take(delivery)
    assert found.present == steps[-1].present
    assert found.count == found.present


@given(steps=STEPS, data=st.data())
def test_i2_once_in_order_is_the_same_as_any_order(steps, data):
    """I2: a prompt history whose events all carry sequencers needs no looks, and ends as it does once in order."""
    plain = [replace(step, width=48, odd="", skew=0, seconds=number) for number, step in enumerate(steps)]
    now = len(plain)
    in_order, shuffled = Ledger(plain, -1000), Ledger(plain, -1000)
    for number in range(len(plain)):
        in_order.take(Delivery(number, now))
    for number in data.draw(st.permutations([*range(len(plain))] * 2)):
        shuffled.take(Delivery(number, now))
    assert shuffled.row == in_order.row
    assert in_order.row is not None
    assert in_order.row.observed_at is None


@settings(max_examples=200)
@given(steps=STEPS, known_since=st.integers(-100, 4000), before=REPEATS, after=REPEATS, skew=SKEWS)
def test_i4_nothing_undoes_a_reconciliation(steps, known_since, before, after, skew):
    """I4: events lost or not, after a last look at the blob no late event makes the row untrue again."""
    found = Ledger(steps, known_since)
    for delivery in deliveries(steps, before, after=known_since):
        found.take(delivery)
    found.look(END / 2, skew)
    for delivery in deliveries(steps, after, after=END / 2, odd=False):
        found.take(delivery)
        assert found.present == found.truth(END)


def test_i2_a_late_creation_does_not_undo_a_deletion():
    """I2: a deletion that comes first leaves a tombstone, to which the creation is stale."""
    tombstone = decide(None, change(6, present=False)).row
    assert tombstone is not None
    assert decide(tombstone, change(5)).outcome is Outcome.STALE


def test_i2_a_renames_sequencer_orders_nothing():
    """I2: a rename's sequencer is not its new name's: the deletion of that name, an hour later, still counts."""
    event = event_grid(BLOB_RENAMED, data={"sequencer": sequencer(0x900), "sourceUrl": "https://x/input/a.jpg"})
    renamed = parse(to_text(event))[0]
    assert decide(None, renamed).outcome is Outcome.LOOK
    looked = ledger.decide_observed(None, seen(present=True, seconds=1000, sequencer=renamed.sequencer or ""))
    assert decide(looked.row, change(0x100, present=False, seconds=4600)).outcome is not Outcome.STALE


def test_the_margin_covers_a_whole_second():
    """The property tests above leave the margin room for two skewed clocks and a Date without fractions."""
    assert timedelta(seconds=2 * SKEW + 1) < SKEW_MARGIN
