"""What stands around the Bicep files: workflows, the soak."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from infra.soak import Soak
from shared.model.folders import Location

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows(path):
    """Actions are pinned by digest, tools by version; rights are named; what `make` is asked for exists."""
    text = path.read_text()
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)
    assert "permissions:\n  contents: read" in text
    assert all(
        re.search(r"""(==|@)\d|--version "v\$\(cat infra/bicep.version\)\"""", line)
        for line in re.findall(r"run: .*install .*", text)
    )
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"run: make ([\w-]+)", text)).issubset(targets)
    assert "pull_request_target" not in text
    assert not re.search(r"run: .*\$\{\{", text), "an expression in a script is an injection: hand it over in env"


def test_only_the_app_is_deployed():
    """.funcignore leaves out whatever else stands in the project, also what tools leave there."""
    lines = (ROOT / ".funcignore").read_text().splitlines()
    ignored = [line.rstrip("/") for line in lines if line and not line.startswith("#")]
    listed = subprocess.run(
        [shutil.which("git"), "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    there = {line.partition("/")[0] for line in listed.splitlines()} | {".ci", ".git", ".venv", ".local"}
    deployed = {name for name in there if not any(fnmatch(name, pattern) for pattern in ignored)}
    assert deployed == {"function_app.py", "host.json", "requirements.txt", "shared"}


def test_the_guide_names_what_there_is():
    """docs/deployment.md has every parameter of main.bicep, and sets only variables that the parameter file takes."""
    guide = (ROOT / "docs/deployment.md").read_text()
    parameters = re.findall(r"^param (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
    assert parameters
    assert [name for name in parameters if f"`{name}`" not in guide] == []
    taken = set(re.findall(r"\$\{(\w+)", (ROOT / "infra/main.parameters.json").read_text()))
    named = set(re.findall(r"azd env set (\w+)", guide))
    assert named
    assert named - taken == set()
    table = set(re.findall(r"`([A-Z][A-Z_]+)`", guide.partition("## Parameters")[2].partition("## What is made")[0]))
    assert table >= taken - {"AZURE_ENV_NAME", "AZURE_LOCATION"}


def test_the_pipeline_hands_over_every_parameter():
    """What `azd env set` can set reaches the deployment by GitHub: named in azure.yaml, and in the workflow's env."""
    taken = set(re.findall(r"\$\{(\w+)", (ROOT / "infra/main.parameters.json").read_text()))
    listed = (ROOT / "azure.yaml").read_text().partition("  variables:\n")[2].partition("hooks:")[0]
    by_itself = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    assert set(re.findall(r"- (\w+)", listed)) == taken - by_itself
    workflow = (ROOT / ".github/workflows/azure-dev.yml").read_text()
    handed = re.findall(r"^  (\w+): \$\{\{ vars\.(\w+) \}\}$", workflow, re.MULTILINE)
    assert {name for name, variable in handed if name == variable} >= taken


class Blobs:
    """A storage account's blobs, as far as the soak uses them."""

    def __init__(self):
        self.there = set()
        self.most = 0
        self._name = ("", "")

    def get_blob_client(self, container, name):
        """Return a client of one blob."""
        found = Blobs()
        found.there, found._name = self.there, (container, name)
        return found

    async def upload_blob(self, _, *, overwrite):
        """Make a blob."""
        assert overwrite
        self.there.add(self._name)

    async def delete_blob(self):
        """Delete a blob that must be there."""
        self.there.remove(self._name)


async def test_soak():
    """The soak moves through all folders with names that count, and leaves nothing behind."""
    blobs, seen = Blobs(), set()
    soak = Soak(blobs, [Location("queued"), Location("input", "a/"), Location("output")], "jpg", seed=7)
    for _ in range(500):
        await soak.step()
        seen |= blobs.there
    assert {container for container, _ in seen} == {"queued", "input", "output"}
    assert all(name.endswith(".jpg") and "soak-7/" in name for _, name in seen)
    assert soak.operations == 500
    await soak.clean()
    assert blobs.there == set()
