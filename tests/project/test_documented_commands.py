"""The commands of the guides exist: of ops, az and azd with their options, of make; and CI's are the whole suite."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.__main__ import _parser

ROOT = Path(__file__).parents[2]
GUIDES = ("docs/deployment.md", "docs/operations.md", "docs/operations.id.md")
#: Of az and azd what guides, hooks and workflows use, as their references have it; a new one is looked up there first.
#: https://learn.microsoft.com/cli/azure/reference-index (MicrosoftDocs/azure-docs-cli, latest/docs-ref-autogen),
#: https://learn.microsoft.com/azure/developer/azure-developer-cli/reference (Azure/azure-dev, cli/azd/cmd/testdata).
REFERENCE = {
    "az": "--debug --help --only-show-errors --output --query --subscription --verbose",  # of each of its commands
    "az account show": "",
    "az ad signed-in-user show": "",
    "az bicep install": "--target-platform --version",
    "az bicep lint": "--file --diagnostics-format --no-restore",
    "az deployment group create": "--name --resource-group --parameters --template-file --mode --no-prompt --what-if",
    "az eventgrid event-subscription list": "--location --odata-query --resource-group --source-resource-id "
    "--topic-type-name",
    "az eventgrid system-topic event-subscription delete": "--name --resource-group --system-topic-name --yes",
    "az eventgrid system-topic event-subscription list": "--resource-group --system-topic-name --odata-query",
    "az eventgrid system-topic event-subscription show": "--name --resource-group --system-topic-name",
    "az eventgrid system-topic list": "--odata-query --resource-group",
    "az eventgrid system-topic update": "--identity=noidentity,systemassigned --name --resource-group --tags",
    "az functionapp function show": "--function-name --name --resource-group",
    "az functionapp keys delete": "--key-name --key-type=functionKeys,masterKey,systemKey --name --resource-group",
    "az functionapp keys list": "--name --resource-group --slot",
    "az functionapp keys set": "--key-name --key-type=functionKeys,masterKey,systemKey --key-value --name "
    "--resource-group --slot",
    "az login": "",
    "az provider register": "--namespace --wait --consent-to-permissions --management-group-id",
    "az storage account management-policy show": "--account-name --resource-group",
    "az storage container list": "--account-name --auth-mode=key,login --include-deleted --prefix",
    "az storage container restore": "--account-name --auth-mode=key,login --deleted-version --name",
    "azd": "--cwd --debug --docs --environment --help --no-prompt",
    "azd auth login": "--client-id --federated-credential-provider --tenant-id --use-device-code",
    "azd deploy": "--all --from-package",
    "azd down": "--force --purge",
    "azd env get-value": "",
    "azd env get-values": "",
    "azd env new": "",
    "azd env set": "",
    "azd hooks run": "",
    "azd pipeline config": "--auth-type --principal-id --principal-name --principal-role --provider --remote-name",
    "azd provision": "--no-state --preview",
    "azd up": "",
}
OPS = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(?:python -m )?ops (.+)$")


def snippets(text: str) -> Iterator[str]:
    """Iterate over the lines of code blocks, with continued ones joined, and over the code within the text."""
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def ops_arguments(text: str) -> Iterator[list[str]]:
    """Iterate over the arguments of each use of the operator's tool."""
    for snippet in snippets(text):
        for command in snippet.split("&&"):
            if found := OPS.match(re.sub(r"^(\w+=\S+ +)+", "", command.strip())):
                yield shlex.split(found[1], comments=True)
            elif found := re.match(r'make ops ARGS="([^"]+)"', command.strip()):
                yield shlex.split(found[1])


def azure_calls(code: str) -> Iterator[str]:
    """Iterate over the calls of az and azd in a script or a snippet, without what they quote."""
    joined = re.sub(r"\s*[\\`]?\n\s+(?=--?\w)", " ", re.sub(r"(^|\s)#.*$", "", code, flags=re.MULTILINE))
    bare = re.sub(r"""'[^'\n]*'|"(?!\$\(azd? )[^"\n]*\"""", "Q", joined)
    yield from re.findall(r"(?<![\w.:/-])(?=(azd? [a-z](?:(?!\$\()[^|;&)\n])*))", bare)


def wrong_calls(code: str) -> Iterator[str]:
    """Iterate over the calls of az and azd that their references do not have."""
    for call in azure_calls(code):
        words = call.split()
        known = (" ".join(words[:end]) for end in range(len(words), 1, -1))
        command = next((each for each in known if each in REFERENCE), None)
        if command is None:
            yield call
            continue
        listed = (each.partition("=") for each in f"{REFERENCE[words[0]]} {REFERENCE[command]}".split())
        options = {name: values for name, _, values in listed}
        for name, value in re.findall(r"(?<!\S)(--?\w[\w-]*)[ =]?(\w*)", call):
            if name not in options or (options[name] and value not in options[name].split(",")):
                yield f"{command} {name} {value}".strip()


def unknown(text: str, *, targets: set[str], variables: set[str], hooks: set[str]) -> list[str]:
    """Return the commands of a text that do not exist."""
    found = []
    for arguments in ops_arguments(text):
        try:
            _parser().parse_args([argument for argument in arguments if argument != "…"])
        except SystemExit:
            found.append("ops " + " ".join(arguments))
    code = "\n".join(snippets(text))
    found += [f"make {each}" for each in re.findall(r"\bmake ([a-z][\w-]*)", code) if each not in targets]
    found += [f"azd env set {each}" for each in re.findall(r"azd env set (\w+)", code) if each not in variables]
    return found + [f"azd hooks run {each}" for each in re.findall(r"azd hooks run (\w+)", code) if each not in hooks]


def known() -> dict[str, set[str]]:
    """Return what there is besides the operator's tool."""
    azure = (ROOT / "azure.yaml").read_text().partition("\nhooks:")[2]
    return {
        "targets": set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
        "variables": set(re.findall(r"\$\{(\w+)", (ROOT / "infra/main.parameters.json").read_text())),
        "hooks": set(re.findall(r"^  (\w+):", azure, re.MULTILINE)),
    }


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_exists(guide: str, capsys: pytest.CaptureFixture[str]):
    """With its subcommand and its options."""
    text = (ROOT / guide).read_text()
    assert len(list(ops_arguments(text))) >= 4
    found = unknown(text, **known())
    assert found == [], capsys.readouterr().err


def test_a_command_that_does_not_exist_is_noticed(capsys: pytest.CaptureFixture[str]):
    """In a block, after another command, and in the text."""
    block = "make tea && ops reconcile --faster # now\nazd env set TEA 1\n"
    text = f"Do `ops coffee`, `azd hooks run tea`:\n```sh\n{block}```\n"
    made = ["ops reconcile --faster", "ops coffee", "make tea", "azd env set TEA", "azd hooks run tea"]
    assert unknown(text, **known()) == made
    assert "unrecognized arguments: --faster" in capsys.readouterr().err


SCRIPTS = sorted([*(ROOT / "infra/hooks").iterdir(), *(ROOT / ".github/workflows").glob("azure-dev.yml")])
OTHER_GUIDES = sorted({*(ROOT / "docs").glob("*.md"), *ROOT.glob("README*.md"), *(ROOT / "client").glob("README*.md")})


@pytest.mark.parametrize("path", [*SCRIPTS, *OTHER_GUIDES], ids=lambda path: path.name)
def test_azure_has_every_call(path: Path):
    """The command, its options and those values that are a choice stand in the reference of az or azd."""
    text = path.read_text()
    code = "\n".join(snippets(text)) if path.suffix == ".md" else text
    assert list(wrong_calls(code)) == []
    assert path not in SCRIPTS or list(azure_calls(code))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("az functionapp key list", ["az functionapp key list"]),
        ('key=$(az functionapp keys list --nam "$APP" --query "a || b")', ["az functionapp keys list --nam Q"]),
        ("az functionapp keys set --key-type systemKeys", ["az functionapp keys set --key-type systemKeys"]),
        ("az login &&\\\n  azd provision --preveiw", ["azd provision --preveiw"]),
        ('azd env set A "$(az ad signed-in-user shows --output tsv)"', ["az ad signed-in-user shows --output tsv"]),
        ("az provider register --namespace A \\\n    --weight", ["az provider register --weight"]),
        ("az provider register `\n    -n A", ["az provider register -n A"]),
        ("# az tea\necho 'az tea'\naz login # az --tea", []),
    ],
)
def test_a_call_that_azure_does_not_have_is_noticed(call: str, said: list[str]):
    """In a substitution, after another command, over several lines; comments and quoted text are none."""
    assert list(wrong_calls(call)) == said


def files_of(*arguments: str) -> list[str]:
    """Return the test files that ``make test`` would run with these arguments."""
    command = ["make", "-n", "test", *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}  # of a `make` that runs this
    shown = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / word for word in shown.split() if word.startswith("tests/")]
    return [str(file) for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py"))]


def test_ci_runs_every_test_in_one_of_its_parts():
    """The parts that the workflow names are the whole suite, and have nothing in common."""
    (names,) = re.findall(r"^ +part: \[(.+)\]$", (ROOT / ".github/workflows/ci.yml").read_text(), re.MULTILINE)
    parts = [file for name in names.split(", ") for file in files_of(f"PART={name}")]
    assert sorted(parts) == sorted(str(file) for file in (ROOT / "tests").rglob("test_*.py"))
