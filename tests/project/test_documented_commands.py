"""The commands of the guides exist (the operator's, make's targets, azd's variables), and CI's are the whole suite."""

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
