"""The journal: durable states and sequencers that only increase."""

from pathlib import Path

import pytest

from localdev.bridge.journal import SEQUENCER_WIDTH, Journal, JournalError


def test_sequencers_increase_as_strings_across_restarts_and_clock_steps(tmp_path: Path) -> None:
    """Neither a clock that stands or steps back nor a restart ever repeats or lowers a sequencer."""
    given: list[str] = []
    for times in ([1000, 1000, 500], [10, 20], [2000, 1999]):
        ticks = iter(times)
        journal = Journal(tmp_path / "j.sqlite", clock_ns=lambda ticks=ticks: next(ticks, 1))
        given += [journal.next_sequencer() for _ in times]
        journal.append([], states=[])
        journal.close()
    assert given == sorted(set(given))
    assert {len(sequencer) for sequencer in given} == {SEQUENCER_WIDTH}


def test_events_are_kept_until_delivered_or_kept_with_the_reason(tmp_path: Path) -> None:
    """Queued events survive a reopening in order; delivered ones go; dead and dropped ones stay with a reason."""
    journal = Journal(tmp_path / "new" / "j.sqlite")
    events = [{"id": str(n)} for n in range(4)]
    numbers = [entry.number for entry in journal.append(events, states=["queued", "queued", "dropped", "queued"])]
    journal.delivered(numbers[0])
    journal.dead_letter(numbers[1], "status 400 is not retried")
    journal.close()
    journal = Journal(tmp_path / "new" / "j.sqlite")
    assert journal.queued() == [numbers[3]]
    entry = journal.entry(numbers[3])
    assert entry is not None
    assert entry.event == {"id": "3"}
    assert journal.entry(numbers[1]) is None
    assert [(e.event["id"], e.reason) for e in journal.kept("dead")] == [("1", "status 400 is not retried")]
    assert [(e.event["id"], e.reason) for e in journal.kept("dropped")] == [("2", "dropped by chaos")]
    journal.close()


def test_an_append_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Several events are stored all or none."""
    journal = Journal(tmp_path / "j.sqlite")
    with pytest.raises(TypeError):
        journal.append([{"id": "1"}, {"id": object()}], states=["queued", "queued"])
    assert journal.queued() == []
    journal.append([{"id": "2"}], states=["queued"])
    assert journal.count("queued") == 1
    journal.close()


@pytest.mark.parametrize("place", ["file/j.sqlite", "file/deeper/j.sqlite", "folder"])
def test_a_place_where_no_journal_can_be(tmp_path: Path, place: str) -> None:
    """It is named, with the variable that sets it."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(JournalError, match=rf"{place} cannot be opened: .*STATE_DIR"):
        Journal(tmp_path / place)


def test_one_journal_serves_one_bridge(tmp_path: Path) -> None:
    """A second opener is told what is wrong."""
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([{"id": "1"}], states=["queued"])
    with pytest.raises(JournalError, match="does another bridge use it"):
        Journal(tmp_path / "j.sqlite")
    journal.close()
