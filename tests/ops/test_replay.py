"""`replay`: dead-lettered events on real storage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.dead_letters import Letter
from ops.replay import OF_ANOTHER_TOPIC, foresee
from shared.errors import OutcomeUnknown
from shared.intake.delivery import Delivery
from shared.settings.app import Settings
from tests.ops.conftest import ROOT, Account, Result

PREFIX = "CASE-IMAGES/2026/11/23/18"


@pytest.fixture
def dead(account: Account) -> str:
    """Return a dead-letter container with one blob of each schema, whose five images do exist."""
    container = account.container("dead")
    for number, folder in ((1, "queued"), (2, "queued"), (3, "output"), (11, "input"), (12, "output")):
        account.upload(f"case-0042/IMG_{number:04}.jpg", folder)
    for schema in ("eventgrid", "cloudevents"):
        account.upload(f"{PREFIX}/{schema}.json", container, account.letters(schema))
    return container


def outcomes(result: Result) -> int:
    """Return how many events came to an outcome."""
    return sum(result.data["outcomes"].values())


def test_i5_dead_letters_of_both_schemas_are_counted(account: Account, dead: str) -> None:
    """Every event of every blob under the prefix is applied, and the counts are exact without a reconciliation."""
    result = account.run("replay", dead, "--json")
    assert result.code == 0, result
    assert (result.data["blobs_done"], result.data["events"], outcomes(result)) == (2, 5, 5)
    assert result.data["why_dead_lettered"] == {
        "MaxDeliveryAttemptsExceeded, NotFound": 4,
        "TimeToLiveExceeded, TimedOut": 1,
    }
    assert account.counts() == (2, 1, 2)
    assert account.run("verify").code == 0


def test_i2_replaying_again_changes_nothing(account: Account, dead: str) -> None:
    """Nothing is deleted unless asked for, and a second replay moves no count."""
    first = account.run("replay", f"{dead}/{PREFIX}/")
    assert "replaying again is harmless" in first.out
    assert len(account.names(dead)) == 2
    version = account.run("status", "--json").data["version"]
    assert account.run("replay", f"{dead}/{PREFIX}/").code == 0
    assert account.run("status", "--json").data["version"] == version


def test_only_what_lies_under_the_prefix(account: Account, dead: str) -> None:
    """A prefix limits what is replayed; other files than *.json are nobody's dead letters."""
    account.upload(f"{PREFIX}/cloudevents.json.bak", dead, b"no JSON")
    result = account.run("replay", f"{dead}/{PREFIX}/cloud", "--json")
    assert (result.code, result.data["events"]) == (0, 2)
    assert account.counts() == (0, 1, 1)
    nothing = account.run("replay", f"{dead}/elsewhere/", "--json")
    assert (nothing.code, nothing.data["blobs"]) == (0, 0)


def test_delete_removes_what_was_taken(account: Account, dead: str) -> None:
    """With --delete a blob goes after all of its events were taken; every one is reported."""
    for number in range(20):
        account.upload(f"{PREFIX}/{number}.json", dead, account.letters("cloudevents"))
    result = account.run("replay", dead, "--delete", "--json")
    assert (result.code, result.data["blobs_deleted"], result.data["blobs_done"]) == (0, 22, 22)
    assert account.names(dead) == []
    assert account.counts() == (2, 1, 2)


def test_dry_run_only_says(account: Account, dead: str) -> None:
    """--dry-run names what would happen and touches neither counts, quarantine nor blobs, also with --delete."""
    account.upload(f"{PREFIX}/x.json", dead, json.dumps([{"deadLetterReason": "x", "eventType": "Unheard"}]).encode())
    result = account.run("replay", dead, "--dry-run", "--delete", "--json")
    assert result.code == 0
    assert result.data["outcomes"] == {
        "applied to queued": 2,
        "applied to output": 2,
        "applied to input": 1,
        "quarantined: unknown event type 'Unheard'": 1,
    }
    assert account.counts() == (0, 0, 0)
    assert account.kept() == []
    assert len(account.names(dead)) == 3
    assert "would be replayed" in account.run("replay", dead, "--dry-run").out


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "events").glob("*.json")), ids=lambda path: path.stem)
def test_dry_run_foresees_every_sample(path: Path) -> None:
    """Of every recorded event it is said what a replay would do with it."""
    folders = Settings.from_environ({}).folders
    foreseen = foresee(Letter(path.read_text(), "x"), folders)
    if "directory" in path.stem:
        assert foreseen == "a directory to reconcile"
    elif "tier" in path.stem:
        assert foreseen == "of no concern to the counts"
    else:
        assert foreseen.startswith("applied to ")


def test_i5_what_is_not_understood_goes_to_quarantine(account: Account, dead: str) -> None:
    """An event that the app does not understand is quarantined, which is no failure of the replay."""
    strange = [{"deadLetterReason": "x", "eventType": "Unheard", "subject": "y"}]
    account.upload(f"{PREFIX}/strange.json", dead, json.dumps(strange).encode())
    assert account.run("replay", dead, "--json").data["outcomes"]["newly quarantined"] == 1
    result = account.run("replay", dead, "--delete", "--json")
    assert (result.code, result.data["outcomes"]["already in quarantine"], result.data["blobs_deleted"]) == (0, 1, 3)
    assert sum(result.data["outcomes"].values()) >= result.data["events"]
    (key,) = account.kept()
    assert account.run("quarantine", "show", key, "--json").data["event"] == {"eventType": "Unheard", "subject": "y"}


def test_an_event_alone_in_its_blob(account: Account, dead: str) -> None:
    """It is replayed, and its blob deleted, like an array of one."""
    (event,) = json.loads(account.letters("eventgrid"))[:1]
    account.upload("alone/1.json", dead, json.dumps(event).encode())
    result = account.run("replay", f"{dead}/alone", "--delete", "--json")
    assert (result.code, result.data["events"], result.data["blobs_deleted"]) == (0, 1, 1)
    assert sum(account.counts()) == 1


def test_events_of_other_topics_are_left_where_they_are(
    account: Account, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said, not counted, and their blobs are not deleted: nothing else has them."""
    monkeypatch.setenv("EVENT_TOPICS", "/subscriptions/another")
    foreseen = account.run("replay", dead, "--dry-run", "--json").data["outcomes"]
    result = account.run("replay", dead, "--delete", "--json")
    assert result.data["outcomes"] == foreseen == {OF_ANOTHER_TOPIC: 5}
    assert (result.code, result.data["blobs_deleted"], len(account.names(dead))) == (1, 0, 2)
    assert (account.counts(), account.kept()) == ((0, 0, 0), [])


def test_malformed_blobs_are_reported_and_left_alone(account: Account, dead: str) -> None:
    """A blob that holds no dead letters is named with the reason, is never deleted, and its neighbours are replayed."""
    account.upload(f"{PREFIX}/broken.json", dead, b"[{")
    account.upload(f"{PREFIX}/foreign.json", dead, b'[{"name": "not ours"}]')
    result = account.run("replay", dead, "--delete", "--json")
    assert result.code == 1
    assert {each["blob"].rpartition("/")[2] for each in result.data["malformed"]} == {"broken.json", "foreign.json"}
    assert account.names(dead) == [f"{PREFIX}/broken.json", f"{PREFIX}/foreign.json"]
    assert account.counts() == (2, 1, 2)
    assert account.kept() == []
    assert "skipped" in account.run("replay", dead).out


def test_an_outage_keeps_the_blobs(account: Account, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When storage fails nothing is deleted, the exit code says so, and the next replay takes all."""
    real = Delivery.take

    async def fails_for_one(self: Delivery, text: str) -> None:
        if "IMG_0002" in text:
            raise OutcomeUnknown("no answer")
        await real(self, text)

    monkeypatch.setattr(Delivery, "take", fails_for_one)
    result = account.run("replay", f"{dead}/{PREFIX}/eventgrid", "--delete", "--json")
    assert result.code == 4
    assert "no answer" in result.data["error"]
    assert len(account.names(dead)) == 2
    monkeypatch.setattr(Delivery, "take", real)
    assert account.run("replay", dead, "--delete").code == 0
    assert account.counts() == (2, 1, 2)


def test_a_container_that_is_not_there(account: Account) -> None:
    """A mistyped container is a mistake of the command line, not an empty success."""
    result = account.run("replay", "no-such-container/x")
    assert (result.code, result.out) == (2, "")
    assert "'no-such-container'" in result.err
    assert account.run("replay", "/").code == 2
    assert "images that are counted" in account.run("replay", account.folders["queued"]).err
