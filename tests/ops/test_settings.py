"""Where the settings come from, and what a command says when it cannot work with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localdev.azurite import ACCOUNT_KEY, Azurite
from localdev.ports import free_ports
from ops.exits import exit_of, explain
from ops.target import read_target
from shared.errors import OutcomeUnknown, Refused, SettingsError, StorageError, TableAbsent
from tests.ops.conftest import Account

IDENTITY = {
    "STORAGE__blobServiceUri": "https://caseimages.blob.core.windows.net",
    "STORAGE__tableServiceUri": "https://caseimages.table.core.windows.net",
}


def write(path: Path, **values: Any) -> str:
    """Write a settings file."""
    path.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    return str(path)


def test_without_a_file_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment alone, as the app has it; nothing at all is Azurite."""
    monkeypatch.chdir(tmp_path)
    assert str(read_target(None, IDENTITY | {"COUNTS_TABLE": "other"})) == (
        "account caseimages.blob.core.windows.net, table other (settings: environment)"
    )
    assert read_target(None, {}).account == "devstoreaccount1 (Azurite)"


def test_the_file_in_this_folder_gives_what_the_environment_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """./local.settings.json goes behind the environment; storage comes from one of the two, never half from each."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "local.settings.json", STORAGE="UseDevelopmentStorage=true", COUNTS_TABLE="fromfile")
    assert str(read_target(None, {"STORAGE": " ", "COUNTS_TABLE": ""})) == (
        "account devstoreaccount1 (Azurite), table fromfile (settings: environment, ./local.settings.json)"
    )
    target = read_target(None, IDENTITY)
    assert target.account == "caseimages.blob.core.windows.net"
    assert target.settings.counts_table == "fromfile"
    assert read_target(None, {"COUNTS_TABLE": "fromenviron"}).settings.counts_table == "fromenviron"


def test_a_named_file_goes_first(tmp_path: Path) -> None:
    """--settings is what the operator asks for: it goes before the environment."""
    file = write(tmp_path / "production.json", **IDENTITY, COUNTS_TABLE="fromfile")
    target = read_target(
        file, {"STORAGE": "UseDevelopmentStorage=true", "COUNTS_TABLE": "other", "QUEUED_FOLDER": "mine"}
    )
    assert target.account == "caseimages.blob.core.windows.net"
    assert target.settings.counts_table == "fromfile"
    assert target.settings.folders.locations["queued"].container == "mine"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("{", "is not a settings file"),
        ("[]", "is not a settings file"),
        ('{"Other": {}}', "is not a settings file"),
        ('{"IsEncrypted": true, "Values": {}}', "func settings decrypt"),
        ('{"Values": {"POLL_INTERVAL_SECONDS": 1}}', "text in quotes"),
        ('{"Values": {"COUNTS_TABLE": "a-b"}}', "COUNTS_TABLE"),
    ],
)
def test_a_wrong_file(tmp_path: Path, content: str | None, problem: str) -> None:
    """Each mistake in a settings file is named."""
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(SettingsError, match=problem):
        read_target(str(tmp_path / "x.json"), {})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("COUNTS_TABLE", "no-dashes", "COUNTS_TABLE=no-dashes"),
        ("STORAGE", "AccountName=x", "STORAGE is not a usable connection string"),
        ("IMAGE_SUFFIXES", "png", "the table holds the counts of another"),
    ],
)
def test_wrong_settings(account: Account, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    """Exit code 2 and one line that names the setting, also when the table holds the counts of something else."""
    monkeypatch.setenv(name, value)
    for command in (["status"], ["quarantine", "list"], ["reconcile"]):
        result = account.run(*command)
        assert (result.code, result.out) == (2, "")
        assert problem in result.err.splitlines()[-1]
        assert "Traceback" not in result.err
    assert account.run("status", "--json").data["exit_code"] == 2


def test_storage_is_down(fresh: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4 and one line, at once, from every command; no key is ever printed."""
    (port,) = free_ports(1)
    down = ";".join(
        ["DefaultEndpointsProtocol=http", "AccountName=devstoreaccount1", f"AccountKey={ACCOUNT_KEY}"]
        + [f"{kind}Endpoint=http://127.0.0.1:{port}/devstoreaccount1" for kind in ("Blob", "Table")]
    )
    monkeypatch.setenv("STORAGE", down)
    for command in (
        ["status"],
        ["watch"],
        ["reconcile"],
        ["verify"],
        ["quarantine", "retry", "--all"],
        ["replay", "x"],
    ):
        result = fresh.run(*command)
        assert (result.code, result.out) == (4, "")
        assert "try again" in result.err.splitlines()[-1]
        assert ACCOUNT_KEY not in result.err
        assert "Traceback" not in result.err
    data = fresh.run("status", "--json").data
    assert (data["exit_code"], "reachable" in data["error"]) == (4, True)


@pytest.mark.filterwarnings("ignore:Testing an element's truth value")  # the SDK's, of an error's XML
def test_a_wrong_key(fresh: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that says no is a storage error with advice about keys and roles."""
    monkeypatch.setenv("STORAGE", fresh.environ["STORAGE"].replace(ACCOUNT_KEY, "d3Jvbmc="))
    result = fresh.run("status")
    assert result.code == 4
    assert "403" in result.err
    assert "roles" in result.err


class StrictAzurite(Azurite):
    """One as people start it who have not read README.md."""

    def _options(self) -> list[str]:
        return [option for option in super()._options() if option != "--skipApiVersionCheck"]


def test_an_azurite_that_is_older_than_the_sdk(fresh: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 400 is said with status, code and what to do, and nobody is sent to look at keys and roles."""
    with StrictAzurite(in_memory=True) as azurite:
        monkeypatch.setenv("STORAGE", azurite.connection_string)
        result = fresh.run("reconcile")
    assert result.code == 4
    assert "400 InvalidHeaderValue" in result.err
    assert "--skipApiVersionCheck" in result.err.rpartition(";")[2]
    assert "roles" not in result.err


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            OutcomeUnknown("Table Storage: DefaultAzureCredential failed to retrieve a token."),
            "token; sign in (az login)",
        ),
        (OutcomeUnknown("no answer\n at all"), "no answer at all; check that the storage account"),
        (Refused("Table Storage answered 403 AuthorizationFailure", 403), "roles of the identity"),
        (Refused("Blob Storage answered 401 NoAuthenticationInformation", 401), "roles of the identity"),
        (Refused("Blob Storage answered 400 InvalidHeaderValue", 400), "--skipApiVersionCheck"),
        (TableAbsent("Table Storage answered 409 TableBeingDeleted", 409), "try again in a minute"),
        (Refused("Blob Storage answered 429 TooManyRequests", 429), "storage is busy"),
        (Refused("Blob Storage answered 416 InvalidRange", 416), "its code says why"),
        (Refused("no"), "its code says why"),
    ],
)
def test_storage_errors_say_what_to_do(error: StorageError, advice: str) -> None:
    """One line each, with advice that fits."""
    assert advice in explain(error)
    assert "\n" not in explain(error)
    assert ("check the key" in explain(error)) is ("roles" in advice)
    assert exit_of(error) == 4


def test_a_mistake_of_ours(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is one line too; --debug raises it."""

    async def fails(_: object) -> int:
        raise LookupError("what?")

    monkeypatch.setattr("shared.quarantine.Quarantine.count", fails)
    result = account.run("status")
    assert result.code == 5
    assert "LookupError: what? (a mistake in this tool; --debug shows where)" in result.err
    with pytest.raises(LookupError):
        account.run("status", "--debug")


@pytest.mark.parametrize("arguments", [[], ["x"], ["status", "x"], ["replay"], ["quarantine", "show"]])
def test_usage(fresh: Account, arguments: list[str]) -> None:
    """A command line that cannot be read is exit code 2, with the usage."""
    result = fresh.run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage: python -m ops" in result.err


def test_help(fresh: Account) -> None:
    """--help names every command and the exit codes."""
    result = fresh.run("--help")
    assert result.code == 0
    for word in ("status", "watch", "reconcile", "verify", "quarantine", "replay", "exit codes"):
        assert word in result.out
