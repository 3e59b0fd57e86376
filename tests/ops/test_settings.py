"""Where the settings come from, and what a command says when it cannot work with them."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from localdev.azurite import ACCOUNT_KEY, Azurite
from localdev.ports import free_ports
from ops.exits import exit_of, explain
from ops.target import proxy_to, read_target
from shared.errors import OutcomeUnknown, Refused, Rejected, SettingsError, StorageError
from tests.leaks.secrets import secret
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


class OldAzurite(Azurite):
    """An Azurite that is started as most people start it: it refuses the API version of the SDKs."""

    def _options(self) -> list[str]:
        return [each for each in super()._options() if each != "--skipApiVersionCheck"]


@pytest.mark.filterwarnings("ignore:Testing an element's truth value")  # the SDK's, of an error's XML
def test_a_storage_that_is_too_old(fresh: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 400 is said with its code and what to do; nothing sends the operator to look for keys or roles."""
    with OldAzurite(in_memory=True) as azurite:
        monkeypatch.setenv("STORAGE", azurite.connection_string)
        result = fresh.run("reconcile")
    assert result.code == 4
    assert "answered 400 InvalidHeaderValue" in result.err
    assert "start it with --skipApiVersionCheck" in result.err
    assert "roles" not in result.err


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            OutcomeUnknown("Table Storage: DefaultAzureCredential failed to retrieve a token."),
            "token; sign in (az login)",
        ),
        (OutcomeUnknown("no answer\n at all"), "no answer at all; check that the storage account"),
        (Refused("Blob Storage answered 403 AuthorizationFailure: no", 403), "no; check the key, or the roles"),
        (Refused("Blob Storage answered 400 InvalidHeaderValue: old.", 400), "old; storage does not take the request"),
        (Rejected("Table Storage answered 400 InvalidInput: odd"), "odd; storage does not take the request"),
        (Refused("Table Storage answered 409 TableBeingDeleted: wait", 409), "wait; something is being deleted"),
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

    monkeypatch.setattr("shared.intake.quarantine.Quarantine.count", fails)
    result = account.run("status")
    assert result.code == 5
    assert "LookupError: what? (a bug in this tool; --debug shows where)" in result.err
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


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://caseimages.blob.core.windows.net", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://caseimages.blob.core.windows.net", {"https_proxy": "http://p:1", "HTTP_PROXY": "x"}, "http://p:1"),
        ("https://caseimages.blob.core.windows.net", {"HTTP_PROXY": "http://p:1"}, None),
        (
            "https://caseimages.blob.core.windows.net",
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".core.windows.net"},
            None,
        ),
        ("https://caseimages.blob.core.windows.net", {}, None),
        ("http://azurite.example:10000/devstoreaccount1", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://127.0.0.1:10000/devstoreaccount1", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://localhost:10000/devstoreaccount1", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://[::1]:10000/devstoreaccount1", {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_proxy(monkeypatch: pytest.MonkeyPatch, url: str, environ: dict[str, str], proxy: str | None) -> None:
    """A company's proxy is used for what is elsewhere, as far as its variables say so, and never for this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_to(url) == proxy


def test_an_account_in_azure_is_reached_through_the_proxy(account: Account) -> None:
    """The command line asks the proxy of its environment for the account; for Azurite it asks nobody."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        shell = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), address)
        key = unwritten_key()
        far = f"DefaultEndpointsProtocol=https;AccountName=caseimages;AccountKey={key};EndpointSuffix=core.windows.net"
        for storage, code in ((account.environ["STORAGE"], 0), (far, 4)):
            account.environ |= shell | {"STORAGE": storage}
            with account.start("status") as process:
                _, said = process.communicate(timeout=60)
            assert process.returncode == code, said
            if code == 0:
                assert not asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert {request.split(b"\r\n")[0] for request in asked} == {
        b"CONNECT caseimages.table.core.windows.net:443 HTTP/1.1"
    }


def unwritten_key() -> str:
    """Return the key of an account that does not exist."""
    return secret("an account's key", base64.b64encode(b"the key of the test of proxies, 40 bytes").decode())
