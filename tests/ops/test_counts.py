"""`status`, `verify` and `reconcile` on real storage with real drift."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ops.bars import Bars
from shared.azure.table import AzureTable
from shared.errors import Rejected
from shared.model.ports import Write
from shared.model.tally import Sum
from shared.reconciling import reconciler
from shared.reconciling.report import Progress
from shared.services import Services
from tests.ops.conftest import Account


def test_an_account_that_was_never_counted(fresh: Account) -> None:
    """Nothing is made by asking: only reconcile counts for the first time."""
    for command in ("status", "verify", "watch"):
        result = fresh.run(command)
        assert (result.code, result.out) == (2, "")
        assert f"no table {fresh.environ['COUNTS_TABLE']}" in result.err
    fresh.upload("a.jpg")
    assert fresh.run("reconcile", "--json").data["bootstrap"] is True
    assert fresh.counts() == (1, 0, 0)


def test_status(account: Account) -> None:
    """Counts, version, readiness, last reconciliation and quarantine, and what they are of."""
    result = account.run("status", "--json")
    data = result.data
    assert (result.code, result.err) == (0, "")
    assert data["table"] == account.environ["COUNTS_TABLE"]
    assert data["ready"] is True
    assert data["counts"] == {"queued": 0, "input": 0, "output": 0}
    assert re.fullmatch(r"[0-9a-f]+-\d+", data["version"])
    assert data["last_reconciliation"]["bootstrap"] is True
    assert data["quarantined"] == 0
    text = account.run("status")
    assert account.environ["COUNTS_TABLE"] in text.err
    assert data["version"] in text.out
    assert re.search(rf"queued +0 +{account.folders['queued']}", text.out)


def test_i4_verify_and_reconcile_with_real_drift(account: Account) -> None:
    """Verify: 0 exact, 1 with the differences per folder, and nothing changed; reconcile corrects them."""
    assert account.run("verify").code == 0
    account.upload("c.jpg", "output")
    account.upload_before_now("a.jpg", "b.jpg")
    before = account.run("status", "--json").data
    differs = account.run("verify", "--json")
    assert differs.code == 1
    assert (differs.data["added"], differs.data["differences"]) == ({"queued": 2, "output": 1}, 3)
    assert "corrected" not in differs.out
    assert re.search(r"queued +2 +0\n", account.run("verify").out)
    assert account.run("status", "--json").data == before
    repaired = account.run("reconcile", "--full")
    assert repaired.code == 0
    assert "3 corrected" in repaired.out
    assert account.counts() == (2, 0, 1)
    account.blobs.get_blob_client(account.folders["output"], "c.jpg").delete_blob()
    assert account.run("verify", "--json").data["removed"] == {"output": 1}
    account.upload_before_now("c.jpg", folder="output")
    exact = account.run("verify")
    assert (exact.code, "the counts are exact" in exact.out) == (0, True)


def test_further_folders(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused until a recount, and then are in status, verify and reconcile as the three are."""
    monkeypatch.setattr(reconciler, "OLD_WRITERS_SECONDS", 0)  # nothing else runs on this account
    container = account.container("failed")
    account.upload_before_now("a.jpg", folder=container)
    monkeypatch.setenv("EXTRA_FOLDERS", f"failed={container}")
    refused = account.run("status")
    assert (refused.code != 0, "ops recount" in refused.err) == (True, True)
    assert f"failed in {container}/" in account.run("recount").err
    assert account.run("recount", "--yes").code == 0
    assert account.run("status", "--json").data["counts"] == {"queued": 0, "input": 0, "output": 0, "failed": 1}
    assert re.search(rf"failed +1 +{container}", account.run("status").out)
    account.upload_before_now("b.jpg", folder=container)
    differs = account.run("verify")
    assert (differs.code, bool(re.search(r"failed +1 +0\n", differs.out))) == (1, True)
    assert account.run("reconcile", "--prefix", f"{container}/").code == 0
    assert account.counts() == (0, 0, 0, 2)


def test_i4_a_tally_that_somebody_has_edited(account: Account) -> None:
    """Verify tells, and changes nothing; reconcile corrects it, without an event or a blob having changed."""
    account.upload_before_now("a.jpg", "b.jpg")
    account.run("reconcile")

    async def edit(services: Services) -> None:
        stored = await services.counts.open()
        sums = {**stored.tally.sums, "queued": Sum(7, 0)}
        await services.table.commit(stored.partition, [stored.write(replace(stored.tally, sums=sums))])

    account.do(edit)
    for _ in range(2):
        told = account.run("verify")
        assert (told.code, "MISCOUNTED: queued +5" in told.out) == (1, True)
        assert account.counts() == (7, 0, 0)
    assert account.run("reconcile", "--json").data["miscounted"] == {"queued": 5}
    assert "1 folders miscounted" in account.run("status").out
    assert account.counts() == (2, 0, 0)
    assert account.run("verify").code == 0


def test_rows_that_something_else_has_written(account: Account) -> None:
    """Said by verify and by reconcile, in words and in the document; the counts are those of the other rows."""

    async def write(services: Services) -> None:
        stored = await services.counts.open()
        rows = [Write(f"{number:032x}", {"present": True, "folder": "queued"}, None) for number in (1, 2)]
        await services.table.commit(stored.partition, rows)

    account.do(write)
    told = account.run("verify")
    assert (told.code, "UNREADABLE: 2 rows" in told.out) == (1, True)
    told = account.run("reconcile", "--full")
    assert (told.code, "UNREADABLE: 2 rows" in told.out) == (1, True)
    assert "2 unreadable" in account.run("status").out
    assert account.run("verify", "--json").data["unreadable"] == 2
    assert account.counts() == (0, 0, 0)


def test_blobs_whose_rows_storage_does_not_take(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are said as a number; the others are counted."""
    account.upload_before_now("a.jpg", "b.jpg")
    commit = AzureTable.commit

    async def refuses(self: AzureTable, partition: str, writes: Sequence[Write]) -> list[str]:
        if any("b.jpg" in str(write.properties) for write in writes):
            raise Rejected("Table Storage answered 400")
        return await commit(self, partition, writes)

    monkeypatch.setattr(AzureTable, "commit", refuses)
    result = account.run("reconcile")
    assert (result.code, "REFUSED: 1 blobs" in result.out) == (1, True)
    assert account.counts() == (1, 0, 0)


def test_signals_are_not_the_app_s(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C and SIGTERM end the tool as they end any: it has no clients to let go first."""
    during: list[object] = []
    monkeypatch.setattr(reconciler, "OLD_WRITERS_SECONDS", 0)
    monkeypatch.setattr(Bars, "__call__", lambda *_: during.append(signal.getsignal(signal.SIGTERM)))
    before = signal.signal(signal.SIGTERM, nobody)
    try:
        for command in (["reconcile", "--full"], ["recount", "--yes"]):
            assert account.run(*command).code == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(during) == {nobody}


def nobody(*_: object) -> None:
    """Take a signal as whoever started the tool may: the app would put itself before that."""


def test_reconcile_a_prefix(account: Account) -> None:
    """Only what lies under the prefix is corrected; a prefix is a path; one that counts nowhere is refused."""
    account.upload_before_now("a/1.jpg", "ab/2.jpg", "a.jpg")
    where = account.folders["queued"]
    result = account.run("reconcile", "--prefix", f"{where}/a", "--json")
    assert (result.code, result.data["added"]) == (0, {"queued": 1})
    assert account.counts() == (1, 0, 0)
    for elsewhere in ("elsewhere/a/", "", "/"):
        refused = account.run("reconcile", "--prefix", elsewhere)
        assert (refused.code, where in refused.err) == (2, True)
    assert account.counts() == (1, 0, 0)
    assert account.run("reconcile", "--prefix", "x", "--full").code == 2


def test_what_is_said_is_of_what_was_compared(fresh: Account) -> None:
    """A prefix says nothing of all counts, and only what counts for the first time calls itself that."""
    fresh.upload_before_now("a/1.jpg", "2.jpg")
    where = f"{fresh.folders['queued']}/a"
    assert "1 corrected: " in fresh.run("reconcile", "--prefix", where).out
    for text in (f"nothing differs under {where}/: 1 listed", f"nothing differs under {fresh.folders['input']}/: 0"):
        under = text.split()[3].rstrip(":")
        assert fresh.run("reconcile", "--prefix", under).out.startswith(text)
    assert fresh.run("verify").out.splitlines()[-1].startswith("1 differences: 2 listed")
    assert "1 counted: first reconciliation, 2 listed" in fresh.run("reconcile").out
    assert "first reconciliation" not in fresh.run("verify").out


def test_full_compares_whatever_the_digests(account: Account) -> None:
    """--full goes through all names, also when the sums agree."""
    account.upload_before_now("a.jpg")
    assert account.run("reconcile", "--prefix", account.folders["queued"]).code == 0
    assert account.run("reconcile", "--json").data["clean"] is True
    full = account.run("reconcile", "--full", "--json")
    assert (full.code, full.data["clean"], full.data["corrected"]) == (0, False, 0)


def test_another_process_is_at_it(account: Account) -> None:
    """Exit code 3 and who it is; --wait begins when the other has ended."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Progress) -> None:
        begun.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor() as pool:
        other = pool.submit(account.do, lambda services: services.reconciler.run(full=True, on_progress=hold))
        try:
            assert begun.wait(30)
            busy = account.run("reconcile", "--json")
            assert busy.code == 3
            assert "reconciliation is running" in busy.data["error"]
            assert "--wait" in busy.err
            waiting = account.start("reconcile", "--wait", "--json")
            assert waiting.stderr is not None
            assert "waiting for its end" in waiting.stderr.readline()
        finally:
            go_on.set()
        assert other.result(30).finished
        out, err = waiting.communicate(timeout=60)
        assert waiting.returncode == 0, err
        assert json.loads(out)["finished"] is True


@pytest.mark.parametrize("command", [["status"], ["verify"], ["reconcile"], ["quarantine", "list"]])
def test_json_stands_alone(account: Account, command: list[str]) -> None:
    """One JSON document on standard output that names account and table, before or after the command."""
    for arguments in (["--json", *command], [*command, "--json"]):
        result = account.run(*arguments)
        assert result.data["table"] == account.environ["COUNTS_TABLE"]
        assert "devstoreaccount1" in result.data["account"]
        assert result.err == ""
