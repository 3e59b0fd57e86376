"""`recount`: after the folder map or the suffixes have changed."""

from __future__ import annotations

import pytest

from shared.model.ports import Write
from shared.reconciling import reconciler
from shared.services import Services
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.ops.conftest import Account


@pytest.fixture(autouse=True)
def _no_old_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else runs on these accounts: there is nobody to wait for."""
    monkeypatch.setattr(reconciler, "OLD_WRITERS_SECONDS", 0)


def test_new_suffixes_are_refused_until_recounted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other settings: every other command refuses and names this one; afterwards the counts are the new ones."""
    account.upload_before_now("a.jpg", "b.xyz")
    account.run("reconcile")
    assert account.counts() == (1, 0, 0)
    monkeypatch.setenv("IMAGE_SUFFIXES", "jpg,xyz")
    refused = account.run("status")
    assert refused.code == 2
    assert "ops recount" in refused.err
    asked = account.run("recount")
    assert asked.code == 2
    assert "--yes" in asked.err
    assert account.folders["queued"] in asked.err
    done = account.run("recount", "--yes", "--json")
    assert (done.code, done.data["added"]) == (0, {"queued": 2})
    assert account.counts() == (2, 0, 0)
    monkeypatch.delenv("IMAGE_SUFFIXES")
    assert account.run("status").code == 2


def test_counts_that_cannot_be_read_are_counted_anew(account: Account) -> None:
    """Every other command names this one, which needs nothing of what somebody has written there."""
    account.upload_before_now("a.jpg")
    account.run("reconcile")

    async def edit(services: Services) -> None:
        tally = await services.table.read(PARTITION, TALLY_KEY)
        assert tally is not None
        odd = tally.properties | {"queued_digest": "zz"}
        await services.table.commit(PARTITION, [Write(TALLY_KEY, odd, tally.etag)])

    account.do(edit)
    refused = account.run("status")
    assert (refused.code, "`python -m ops recount --yes`" in refused.err) == (4, True)
    assert "check STORAGE" not in refused.err
    assert account.run("recount", "--yes").code == 0
    assert account.counts() == (1, 0, 0)


def test_nothing_is_made_by_a_refused_command(fresh: Account) -> None:
    """A recount without --yes and a prefix where nothing counts leave an account as it was, without a table."""
    for refused in (["recount"], ["reconcile", "--prefix", "elsewhere/"], ["reconcile", "--prefix", "x", "--wait"]):
        assert fresh.run(*refused).code == 2
        assert "has no table" in fresh.run("status").err


def test_the_first_count_can_be_a_recount(fresh: Account) -> None:
    """Where nothing was counted yet it is the first reconciliation."""
    fresh.upload("a.jpg")
    assert fresh.run("recount", "--yes").code == 0
    assert fresh.counts() == (1, 0, 0)
