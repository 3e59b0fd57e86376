"""`quarantine list`, `show` and `retry` on real storage."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from ops import status
from ops.output import printable
from ops.work import each
from shared.clock import SystemClock
from shared.errors import OutcomeUnknown
from shared.intake import quarantine as quarantines
from shared.intake.delivery import Delivery
from shared.intake.quarantine import MAX_BYTES_IN_ROW
from shared.model.ports import Write
from shared.services import Services
from shared.settings.app import Settings
from tests.ops.conftest import Account

#: Of a body that stands in a blob.
LARGE = MAX_BYTES_IN_ROW + 1
BROKEN = '{"eventType": "Microsoft.Storage.Unheard", "subject": "\\u001b[2Jx"}'


def test_list_shows_the_newest_first(account: Account) -> None:
    """Key, reason, size and time of each, the newest first; an empty quarantine says so."""
    assert "the quarantine is empty" in account.run("quarantine", "list").out
    account.deliver(BROKEN)
    account.deliver('"later"')
    entries = account.run("quarantine", "list", "--json").data["entries"]
    assert [entry["size_bytes"] for entry in entries] == [7, len(BROKEN)]
    assert entries[0]["received_at"] > entries[1]["received_at"]
    assert "unknown event type" in entries[1]["reason"]
    text = account.run("quarantine", "list").out
    assert [line.split()[0] for line in text.splitlines()] == ["key", *(entry["key"][:12] for entry in entries)]
    assert account.run("status", "--json").data["quarantined"] == 2


def test_show_by_the_beginning_of_a_key(account: Account) -> None:
    """Event and reason, pretty for people; nothing in it can move the terminal's cursor."""
    account.deliver(BROKEN)
    (key,) = account.kept()
    for start in (key, key[:6], key[:8].upper(), f"{key}.json"):
        assert account.run("quarantine", "show", start, "--json").data["event"] == json.loads(BROKEN)
    shown = account.run("quarantine", "show", key[:6])
    assert shown.code == 0
    assert '"subject": "\\u001b[2Jx"' in shown.out
    assert "unknown event type 'Microsoft.Storage.Unheard'" in shown.out
    assert printable("a\x1b[2J\x9b\u202e\ud800\n") == "a\\x1b[2J\\x9b\\u202e\\ud800\n"


def test_show_what_is_not_json(account: Account) -> None:
    """A body that is no JSON is shown as it is, escaped."""
    key = account.keep("{\x1b[31m \ud800")
    found = account.run("quarantine", "show", key, "--json").data
    assert found["event"] is None
    assert found["text"].startswith("{\x1b[31m")
    assert "{\\x1b[31m" in account.run("quarantine", "show", key).out


@pytest.mark.parametrize("start", ["abc", "ABCD", "../x", "'", "", "g" * 64, "0" * 65])
def test_an_unknown_key(account: Account, start: str) -> None:
    """A key that nothing begins with is a mistake of the command line, and nothing is retried."""
    account.keep("0")
    for command in ("show", "retry"):
        result = account.run("quarantine", command, start or " ")
        assert (result.code, result.out) == (2, "")
        assert "quarantine list" in result.err


def test_an_ambiguous_key(account: Account) -> None:
    """Of two keys that begin alike neither is chosen; the message shows where they part."""
    keys = sorted(account.keep(str(number)) for number in range(20))
    first, second = next((a, b) for a, b in pairwise(keys) if a[0] == b[0])
    result = account.run("quarantine", "show", first[0])
    assert result.code == 2
    assert "more than one" in result.err
    assert account.run("quarantine", "show", second, "--json").data["key"] == second


@pytest.mark.parametrize("padding", [0, LARGE])
def test_i5_retry_after_a_fix(account: Account, padding: int) -> None:
    """An event that an older release did not understand is applied, and leaves index and container."""
    account.upload("a.jpg")
    key = account.keep(account.event("a.jpg", padding=padding))
    assert len(account.names(account.environ["QUARANTINE_CONTAINER"])) == (padding > 0)
    result = account.run("quarantine", "retry", key[:10], "--json")
    assert result.code == 0
    assert (result.data["taken"], result.data["staying"]) == ([key], [])
    assert sum(result.data["outcomes"].values()) == 1
    assert account.counts() == (1, 0, 0)
    assert account.kept() == []
    assert account.names(account.environ["QUARANTINE_CONTAINER"]) == []


def test_i5_what_is_still_not_understood_stays(account: Account) -> None:
    """It stays with its body, its time and the newest reason; the exit code says that something is left."""
    key = account.keep(BROKEN, "an old reason")
    received_at = account.run("quarantine", "list", "--json").data["entries"][0]["received_at"]
    result = account.run("quarantine", "retry", key, "--json")
    assert result.code == 1
    (stays,) = result.data["staying"]
    assert stays["key"] == key
    assert "unknown event type" in stays["reason"]
    shown = account.run("quarantine", "show", key, "--json").data
    assert "unknown event type" in shown["reason"]
    assert (shown["received_at"], shown["text"]) == (received_at, BROKEN)


def test_retry_all_of_many(account: Account) -> None:
    """--all takes what can be taken and says of the rest why it stays."""
    names = [f"{number}.jpg" for number in range(30)]

    async def keep_all(services: Services) -> None:
        texts = [account.event(name, "Microsoft.Storage.BlobDeleted", number=5) for name in names]
        await asyncio.gather(*(services.quarantine.put(text, "?") for text in [*texts, BROKEN, "null"]))

    account.do(keep_all)
    result = account.run("quarantine", "retry", "--all")
    assert result.code == 1
    assert "30 of 32 events taken" in result.out
    assert "2 not understood" in result.out
    assert len(account.kept()) == 2


def test_an_outage_keeps_everything(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """When storage does not answer the events stay, and the exit code says that it was storage."""
    key = account.keep(account.event("a.jpg"))

    async def fails(_self: Delivery, _text: str) -> None:
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(Delivery, "take", fails)
    result = account.run("quarantine", "retry", "--all", "--json")
    assert result.code == 4
    assert (result.data["taken"], result.data["not_tried"]) == ([], 1)
    assert "no answer" in result.data["error"]
    assert account.kept() == [key]


async def test_no_step_begins_after_a_failure() -> None:
    """A storage that is down is asked a few times, not once an event."""
    begun: list[int] = []

    async def step(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 5:
            raise OutcomeUnknown("no answer")

    failure = await each(range(1000), step, stage="x", on_progress=lambda _: None, concurrency=3)
    assert isinstance(failure, OutcomeUnknown)
    assert len(begun) <= 9
    assert await each([], step, stage="x", on_progress=lambda _: None, concurrency=3) is None


@pytest.mark.parametrize("padding", [0, LARGE])
def test_two_processes_retry_at_once(account: Account, padding: int) -> None:
    """Both succeed, the event counts once, the quarantine is empty."""
    account.upload("a.jpg")
    key = account.keep(account.event("a.jpg", padding=padding))
    processes = [account.start("quarantine", "retry", "--all") for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert account.counts() == (1, 0, 0)
    assert key not in account.kept()
    assert account.names(account.environ["QUARANTINE_CONTAINER"]) == []


async def test_many_retried_twice_at_once(account: Account) -> None:
    """Whoever forgets an entry first, both say that it was taken, and nothing is left."""
    first, second = processes = [Services(Settings.from_environ(account.environ)) for _ in range(2)]

    async def retry_by_both(key: str) -> None:
        together = asyncio.Barrier(2)

        async def deliver(_: str) -> None:
            await together.wait()

        assert await asyncio.gather(*(process.quarantine.retry(key, deliver) for process in processes)) == [None, None]

    try:
        texts = [f"{number}" * (LARGE if number % 2 else 1) for number in range(20)]
        keys = [await first.quarantine.put(text, "?") for text in texts]
        await asyncio.gather(*map(retry_by_both, keys))
        assert await second.quarantine.count() == 0
        assert [await second.quarantine.body(key) for key in keys] == [None] * 20
    finally:
        for services in processes:
            await services.close()


async def test_i5_retries_and_redeliveries_interleaved(account: Account) -> None:
    """Two retry while Event Grid delivers the same events again: what is not understood is never lost."""
    random = Random(3)
    texts = [json.dumps({"eventType": "Unheard", "n": number}) for number in range(12)]
    processes = [Services(Settings.from_environ(account.environ)) for _ in range(3)]
    first, second, app = processes

    async def retry(services: Services, key: str) -> str | None:
        await asyncio.sleep(random.uniform(0, 0.05))
        return await services.quarantine.retry(key, services.delivery.take)

    async def redeliver(text: str) -> None:
        await asyncio.sleep(random.uniform(0, 0.05))
        await app.delivery.take(text)

    try:
        keys = [await app.quarantine.put(text, "?") for text in texts]
        retries = [retry(services, key) for key in keys for services in (first, second, second)]
        reasons = await asyncio.gather(*retries, *map(redeliver, texts))
        assert None not in reasons[: len(retries)]
        for key, text in zip(keys, texts, strict=True):
            assert await app.quarantine.body(key) == text.encode()
            assert [entry.key for entry in await app.quarantine.find(key)] == [key]
    finally:
        for services in processes:
            await services.close()


async def test_a_body_that_came_again_is_not_deleted(account: Account) -> None:
    """An event that is delivered again while its retry ends keeps the body that it brought."""
    services = Services(Settings.from_environ(account.environ))
    try:
        text = account.event("a.jpg", padding=LARGE)
        key = await services.quarantine.put(text, "?")

        async def comes_again(_: str) -> None:
            await services.quarantine._bodies.put(key, text)

        assert await services.quarantine.retry(key, comes_again) is None
        assert await services.quarantine.body(key) == text.encode()
    finally:
        await services.close()


async def test_i5_one_process_retries_an_event_once_at_a_time(account: Account) -> None:
    """A retry that begins while another of the same process runs leaves the event to that one."""
    services = Services(Settings.from_environ(account.environ))
    second: list[str | None] = []
    try:
        key = await services.quarantine.put(BROKEN, "?")

        async def meanwhile(text: str) -> None:
            second.append(await services.quarantine.retry(key, services.delivery.take))
            await services.delivery.take(text)

        assert "unknown event type" in str(await services.quarantine.retry(key, meanwhile))
        assert second == ["it is being retried already"]
        assert await services.quarantine.count() == 1
    finally:
        await services.close()


def test_a_body_that_is_gone_or_changed(account: Account) -> None:
    """Without its body, or with another one, an event is not taken for retried."""
    container = account.blobs.get_container_client(account.environ["QUARANTINE_CONTAINER"])
    gone, changed = account.keep("1" * LARGE), account.keep("2" * LARGE)
    container.delete_blob(f"{gone}.json")
    container.upload_blob(f"{changed}.json", account.event("a.jpg"), overwrite=True)
    result = account.run("quarantine", "retry", gone, changed, changed, "--json")
    assert result.code == 1
    reasons = {each["key"]: each["reason"] for each in result.data["staying"]}
    assert "nothing to deliver" in reasons[gone]
    assert "changed" in reasons[changed]
    assert account.run("quarantine", "show", gone).code == 2
    assert account.counts() == (0, 0, 0)


def test_an_entry_of_an_older_release(account: Account) -> None:
    """All bodies were blobs then, and all entries in one partition: list, show, retry and status know them still."""
    text = account.event("a.jpg")
    key = hashlib.sha256(text.encode()).hexdigest()
    account.upload("a.jpg")
    account.container("quarantine")
    account.blobs.get_blob_client(account.environ["QUARANTINE_CONTAINER"], f"{key}.json").upload_blob(text)
    entry = Write(key, {"reason": "?", "received_at": "2026-01-01T00:00:00.000000+00:00", "size_bytes": 7}, None)
    account.do(lambda services: services.table.commit("quarantine", [entry]))
    assert account.kept() == [key]
    assert account.run("status", "--json").data["quarantined"] == 1
    assert account.run("quarantine", "show", key[:8], "--json").data["text"] == text
    assert account.run("quarantine", "retry", "--all", "--json").data["taken"] == [key]
    assert (account.kept(), account.names(account.environ["QUARANTINE_CONTAINER"])) == ([], [])


def test_purge(account: Account) -> None:
    """By the retention, or by an age that is given; what is younger stays; only what is a number of days is an age."""
    keys = {account.keep(text) for text in ("1", "2" * LARGE)}
    assert account.run("quarantine", "purge", "--json").data["dropped"] == 0
    assert set(account.kept()) == keys
    assert account.run("quarantine", "purge", "--older-than", "0.5").out == "0 events older than 0.5 days dropped\n"
    done = account.run("quarantine", "purge", "--older-than", "0", "--json")
    assert (done.code, done.data["dropped"], done.data["older_than_days"]) == (0, 2, 0)
    assert account.kept() == []
    for wrong in ("-1", "x", "nan", "1e9"):
        said = account.run("quarantine", "purge", f"--older-than={wrong}")
        assert said.code == 2
        assert f"argument --older-than: {wrong} is not a number of days from 0 to 36500" in said.err


def test_purge_by_the_retention(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than the setting says goes, body and all, a second after the last of it was written."""
    key = account.keep("2" * LARGE)
    later = datetime.now(UTC) + timedelta(days=2)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    assert account.run("quarantine", "purge", "--json").data["dropped"] == 0
    monkeypatch.setenv("QUARANTINE_RETENTION_DAYS", "1")
    assert account.run("quarantine", "purge", "--json").data == {
        "account": account.run("status", "--json").data["account"],
        "table": account.environ["COUNTS_TABLE"],
        "dropped": 1,
        "older_than_days": 1,
    }
    assert (account.kept(), account.names(account.environ["QUARANTINE_CONTAINER"])) == ([], []), key


def test_more_than_are_counted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a bound `status` says "more than"."""
    for text in "123":
        account.keep(text)
    for module in (quarantines, status):
        monkeypatch.setattr(module, "MAX_COUNTED", 2)
    data = account.run("status", "--json").data
    assert (data["quarantined"], data["quarantined_more"]) == (2, True)
    assert "quarantine   more than 2 events" in account.run("status").out


def test_retry_needs_keys_or_all(account: Account) -> None:
    """Neither nothing nor both."""
    assert account.run("quarantine", "retry").code == 2
    assert account.run("quarantine", "retry", "ab", "--all").code == 2
    assert account.run("quarantine").code == 2
