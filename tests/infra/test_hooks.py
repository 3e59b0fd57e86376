"""The hooks, run against an `az` that notes what it is called with."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.leaks.secrets import secret

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "infra/hooks"
KEY = secret("a master key", "the-master-key-that-az-prints")
OUTPUTS = re.findall(r"^output (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
#: `az` answers by what it is asked for; the deployment fails as often as FAILURES says.
AZ = f"""#!/bin/sh
echo "az $*" >>"$CALLS"
case $* in
*"keys list"*) echo {KEY} ;;
*"event-subscription show"*) echo "$TARGET" ;;
*"deployment group create"*) [ "$(grep -c "deployment group create" "$CALLS")" -gt "${{FAILURES:-0}}" ] ;;
esac
"""
#: The app is ready on the third look.
CURL = """#!/bin/sh
echo "curl $*" >>"$CALLS"
case $* in
*/admin/*) sed "s/^/stdin: /" >>"$CALLS" ;;
*/api/health) [ "$(grep -c api/health "$CALLS")" -lt 3 ] || echo '{"status": "ok"}' ;;
esac
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a hook; it returns what the hook has done and called."""
    for name, text in (("az", AZ), ("curl", CURL), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()

    def run(hook, stdin=subprocess.DEVNULL, **environ):
        given = {"CALLS": str(calls), "TARGET": "", "PATH": f"{tmp_path}:/usr/bin:/bin", **environ}
        done = subprocess.run(
            [HOOKS / f"{hook}.sh"], env=given, stdin=stdin, capture_output=True, text=True, check=False, timeout=30
        )
        return done, calls.read_text()

    return run


@pytest.fixture
def outputs():
    """Return the outputs of main.bicep as azd hands them over."""
    return {name: f"<{name}>" for name in OUTPUTS} | {"APP_URL": "https://app", "APP_NAME": "func-ours"}


@pytest.mark.parametrize("hook", sorted(HOOKS.glob("*.sh")), ids=lambda hook: hook.stem)
def test_it_is_shell(hook):
    """A POSIX shell understands it."""
    for shell in filter(None, map(shutil.which, ("dash", "bash", "sh"))):
        subprocess.run([shell, "-n", hook], check=True)


@pytest.mark.parametrize("hook", sorted(HOOKS.glob("*.sh")), ids=lambda hook: hook.stem)
def test_both_shells_ask_the_same_of_azure(hook):
    """The hook for Windows calls az with the same commands, options and queries."""

    def asked(path):
        text = re.sub(r"\s*[`\\]\n\s*", " ", path.read_text())
        calls = re.findall(r"\baz ((?:[a-z]+[ -])+[a-z]+ -[^\n]*)", re.sub(r"\$(?:env:|\{)?(\w+)", r"$\1", text))
        return [re.findall(r"^[a-z -]+(?= --)|--[a-z-]+|'destination[^']*'", call) for call in calls]

    assert [sorted(each) for each in asked(hook)] == [sorted(each) for each in asked(hook.with_suffix(".ps1"))]
    assert asked(hook)


def test_postdeploy(run, outputs):
    """The hook looks for the function, deploys the subscriptions, starts one reconciliation, and waits for ready."""
    done, calls = run("postdeploy", **outputs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ready: https://app/api/cases/storage/status"
    assert calls.index("function show") < calls.index("deployment group create") < calls.index("/admin/functions")
    assert "infra/hooks/../events.bicepparam" in calls
    assert calls.count("/admin/functions/reconcile") == 1
    assert f"stdin: x-functions-key: {KEY}" in calls
    assert not re.search(rf"^(az|curl).*{KEY}", calls, re.MULTILINE), "the key is in a command line"


def test_postdeploy_tries_again(run, outputs):
    """As long as the role on the dead letters is on its way, Event Grid refuses the subscriptions."""
    done, calls = run("postdeploy", **outputs, FAILURES="3")
    assert done.returncode == 0
    assert calls.count("deployment group create") == 4
    done, _ = run("postdeploy", **outputs, FAILURES="100")
    assert done.returncode == 1
    assert "could not be made" in done.stderr


@pytest.mark.parametrize(
    ("target", "is_ours"),
    [
        ("/subscriptions/1/resourceGroups/rg/providers/Microsoft.Web/sites/func-ours/functions/on_blob_event", True),
        ("/subscriptions/1/resourceGroups/rg/providers/Microsoft.Web/sites/func-theirs/functions/on_blob_event", False),
        ("WebHook", False),
    ],
)
def test_postdeploy_takes_over_nothing(run, outputs, target, is_ours):
    """A subscription that has the name and delivers somewhere else is left alone."""
    done, calls = run("postdeploy", **outputs, TARGET=target)
    assert (done.returncode == 0) is is_ours
    assert ("deployment group create" in calls) is is_ours
    assert is_ours or f"delivers to {target}" in done.stderr


OURS = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Web/sites/func-ours/functions/on_blob_event"


@pytest.fixture
def with_images(outputs):
    """Return outputs of a deployment whose resource group holds the account of the images."""
    return outputs | {"STORAGE_RESOURCE_GROUP": "rg-ours", "APP_RESOURCE_GROUP": "rg-ours", "STORAGE_ACCOUNT": "images"}


def test_predown_removes_the_subscriptions(run, outputs):
    """Where the account stays, it is not asked; what stays is said."""
    done, calls = run("predown", **outputs, TARGET=OURS)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"delete .*--name (\S+)", calls) == ["<EVENT_SUBSCRIPTION>", "<EVENT_SUBSCRIPTION>-moves"]
    assert "tables <COUNTS_TABLE> and" in done.stdout


def test_predown_removes_ours_only(run, outputs):
    """A subscription that delivers to another app stays, and one that is gone already is no mistake."""
    for target in (OURS.replace("func-ours", "func-theirs"), ""):
        done, calls = run("predown", **outputs, TARGET=target)
        assert done.returncode == 0
        assert " delete " not in calls


def test_predown_asks_before_images_go(run, with_images):
    """Without a terminal it refuses unless a variable names the account."""
    done, calls = run("predown", **with_images, TARGET=OURS)
    assert done.returncode == 1
    assert "ALL OF ITS IMAGES" in done.stderr
    assert "CONFIRM_DOWN=images" in done.stderr
    assert not calls
    done, calls = run("predown", **with_images, TARGET=OURS, CONFIRM_DOWN="images")
    assert done.returncode == 0, done.stderr
    assert calls.count(" delete ") == 2


@pytest.mark.parametrize(("answer", "goes_on"), [("images", True), ("yes", False)])
def test_predown_asks_on_a_terminal(run, with_images, answer, goes_on):
    """On a terminal the name of the account is asked for."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done, calls = run("predown", stdin=theirs, **with_images, TARGET=OURS)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode == 0) is goes_on
    assert (" delete " in calls) is goes_on


@pytest.mark.parametrize("hook", sorted(HOOKS.glob("*.sh")), ids=lambda hook: hook.stem)
def test_it_needs_an_environment(run, hook):
    """Without what azd hands over it says what to run."""
    done, calls = run(hook.stem)
    assert done.returncode != 0
    assert "run azd provision first" in done.stderr
    assert not calls
