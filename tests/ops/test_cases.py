"""`status --case`, and `verify` and `reconcile --full` for the rows of cases, on real storage."""

from __future__ import annotations

import re

import pytest

from shared.model.cases import ROW_PREFIX, key_of
from shared.model.ports import Write
from shared.services import Services
from tests.ops.conftest import Account


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch, fresh: Account) -> Account:
    """Return an account that counts the cases a (two queued, one done) and b (one queued)."""
    monkeypatch.setenv("CASE_FROM", "first-segment")
    fresh.environ["CASE_FROM"] = "first-segment"
    fresh.upload("a/3.jpg", "output")
    fresh.upload_before_now("a/1.jpg", "a/2.jpg", "b/1.jpg", "of-none.jpg")
    assert fresh.run("reconcile").code == 0
    return fresh


def edit(account: Account, case: str, **changes: int | str) -> None:
    """Change the row of a case as anybody with the account's key could."""

    async def edit_row(services: Services) -> None:
        partition, row_key = services.counts.partition, f"{ROW_PREFIX}{key_of(case)}"
        entity = await services.table.read(partition, row_key)
        assert entity is not None
        await services.table.commit(partition, [Write(row_key, {**entity.properties, **changes}, entity.etag)])

    account.do(edit_row)


def test_status_of_a_case(cases: Account) -> None:
    """Its counts, its own version, and when they changed, in the document and for people."""
    found = cases.run("status", "--case", "a", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.data["table"] == cases.environ["COUNTS_TABLE"]
    assert (found.data["case"], found.data["ready"], found.data["known"]) == ("a", True, True)
    assert found.data["counts"] == {"queued": 2, "input": 0, "output": 1}
    assert re.fullmatch(r"[0-9a-f]+-\d+", found.data["version"])
    assert found.data["changed_at"].endswith("+00:00")
    text = cases.run("status", "--case", "a")
    assert re.search(r"case +a\n", text.out)
    assert re.search(rf"queued +2 +{cases.folders['queued']}", text.out)
    assert f"version      {found.data['version']}, counts changed" in text.out
    assert cases.run("status", "--case", "b", "--json").data["counts"] == {"queued": 1, "input": 0, "output": 0}


def test_status_of_a_case_that_nobody_has_heard_of(cases: Account) -> None:
    """Zeros, as the app serves them, and the word for it."""
    found = cases.run("status", "--case", "c", "--json")
    assert (found.code, found.data["known"], found.data["changed_at"]) == (0, False, None)
    assert found.data["counts"] == {"queued": 0, "input": 0, "output": 0}
    text = cases.run("status", "--case", "c")
    assert (text.code, "unknown      nothing was ever counted of it" in text.out) == (0, True)
    assert re.search(r"queued +0 ", text.out)


def test_status_of_a_case_where_cases_are_not_counted(account: Account) -> None:
    """A mistake in the command line that names the setting."""
    refused = account.run("status", "--case", "a", "--json")
    assert (refused.code, refused.data["exit_code"]) == (2, 2)
    assert "CASE_FROM is not set" in refused.err
    verified = account.run("verify", "--json")
    assert (verified.code, verified.data["miscounted_cases"]) == (0, 0)


def test_i4_a_case_that_somebody_has_edited(cases: Account) -> None:
    """Verify tells, and changes nothing; a full reconciliation corrects it; all the other counts were right."""
    assert cases.run("verify").code == 0
    edit(cases, "a", queued_count=7, total=8)
    for _ in range(2):
        told = cases.run("verify")
        assert (told.code, "miscounted cases: 1:" in told.out, "1 differences" in told.out) == (1, True, True)
        assert cases.run("status", "--case", "a", "--json").data["counts"]["queued"] == 7
    told = cases.run("verify", "--json")
    assert (told.data["miscounted_cases"], told.data["differences"], told.data["miscounted"]) == (1, 1, {})
    mended = cases.run("reconcile", "--full")
    assert (mended.code, "miscounted cases: 1:" in mended.out, "1 corrected" in mended.out) == (0, True, True)
    assert cases.run("status", "--case", "a", "--json").data["counts"] == {"queued": 2, "input": 0, "output": 1}
    assert cases.run("verify").code == 0
    assert "miscounted cases" not in cases.run("reconcile", "--full").out


def test_i4_a_case_whose_row_makes_no_sense(cases: Account) -> None:
    """Status says so, and does not call the case unknown; it is counted anew."""
    edit(cases, "b", queued_count="many")
    assert "unreadable" in cases.run("status", "--case", "b").out
    assert cases.run("verify", "--json").data["miscounted_cases"] == 1
    assert cases.run("reconcile", "--full", "--json").data["miscounted_cases"] == 1
    assert cases.run("status", "--case", "b", "--json").data["counts"]["queued"] == 1
    assert cases.run("verify").code == 0


def test_a_case_that_is_wrong_is_not_called_exact(cases: Account) -> None:
    """A run that lists and compares the totals says so; the comparison of everything corrects the case."""
    edit(cases, "a", queued_count=7)
    told = cases.run("verify")
    assert (told.code, "miscounted cases: 1" in told.out, "`reconcile --full` corrects them" in told.out) == (
        1,
        True,
        True,
    )
    plain = cases.run("reconcile")
    assert "the totals are exact (cases: reconcile --full)" in plain.out
    full = cases.run("reconcile", "--full")
    assert "1 corrected" in full.out
    assert cases.run("verify").code == 0
