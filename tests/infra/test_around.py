"""What stands around the Bicep files: workflows, hooks, the soak."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from infra.soak import Soak
from shared.model.folders import Location
from tests.leaks.secrets import secret

ROOT = Path(__file__).parents[2]
KEY = secret("a master key", "the-master-key-that-az-prints")
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


def test_hook_is_shell():
    """The hook is understood by a POSIX shell."""
    for shell in filter(None, map(shutil.which, ("dash", "bash", "sh"))):
        subprocess.run([shell, "-n", ROOT / "infra/hooks/postdeploy.sh"], check=True)


@pytest.fixture
def azure(tmp_path):
    """Return a folder with `az` and `curl` that note what they are called with; the app is ready on the third look."""
    (tmp_path / "az").write_text(f'#!/bin/sh\necho "az $*" >>"$CALLS"\ncase $* in *keys*) echo {KEY} ;; esac\n')
    (tmp_path / "curl").write_text(
        "#!/bin/sh\n"
        'echo "curl $*" >>"$CALLS"\n'
        'case $* in\n*/admin/*) sed "s/^/stdin: /" >>"$CALLS" ;;\n'
        '*/api/health) [ "$(grep -c api/health "$CALLS")" -lt 3 ] || echo \'{"status": "ok"}\' ;;\nesac\n'
    )
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    for each in ("az", "curl", "sleep"):
        (tmp_path / each).chmod(0o755)
    return tmp_path


def test_hook_runs(azure):
    """The hook looks for the function, deploys the subscriptions, starts one reconciliation, and waits for ready."""
    names = re.findall(r"^output (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
    environ = {name: f"<{name}>" for name in names} | {"APP_URL": "https://app", "CALLS": str(azure / "calls")}
    environ["PATH"] = f"{azure}:/usr/bin:/bin"
    done = subprocess.run(
        [ROOT / "infra/hooks/postdeploy.sh"], env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    calls = (azure / "calls").read_text()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ready: https://app/api/cases/storage/status"
    assert calls.index("function show") < calls.index("deployment group create") < calls.index("/admin/functions")
    assert "infra/hooks/../events.bicepparam" in calls
    assert calls.count("/admin/functions/reconcile") == 1
    assert f"stdin: x-functions-key: {KEY}" in calls
    assert not re.search(rf"^(az|curl).*{KEY}", calls, re.MULTILINE), "the key is in a command line"


def test_hook_needs_an_environment(azure):
    """Without what azd hands over the hook says what to run."""
    environ = {"PATH": f"{azure}:/usr/bin:/bin", "CALLS": str(azure / "calls")}
    done = subprocess.run(
        [ROOT / "infra/hooks/postdeploy.sh"], env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode != 0
    assert "run azd provision first" in done.stderr


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
