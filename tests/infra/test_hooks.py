"""The hooks, run against an `az` that notes what it is called with."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.leaks.secrets import secret

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "infra/hooks"
KEY = secret("a master key", "the-master-key-that-az-prints")
OUTPUTS = re.findall(r"^output (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
SIGN_IN = "ERROR: Please run 'az login' to setup account."
NOT_FOUND = "ERROR: (ResourceNotFound) The Resource 'x' was not found."
REFUSED = "ERROR: (AuthorizationFailed) The client does not have authorization to perform the action."
#: `az` answers by what it is asked for; the deployment fails as often as FAILURES says. Of the subscriptions it shows
#: TARGET, or ends with SHOWS if that is set; without TARGET there is none. SIGNED_OUT: it is not signed in.
AZ = f"""#!/bin/sh
echo "az $*" >>"$CALLS"
[ -z "${{SIGNED_OUT:-}}" ] || {{ echo "{SIGN_IN}" >&2; exit 1; }}
case $* in
*"keys list"*) echo {KEY} ;;
*"event-subscription show"*)
    [ -z "${{SHOWS:-}}" ] || {{ echo "${{SHOWS#* }}" >&2; exit "${{SHOWS%% *}}"; }}
    [ -n "$TARGET" ] || {{ echo "{NOT_FOUND}" >&2; exit 3; }}
    echo "$TARGET" ;;
*"function show"*) [ -z "${{NO_FUNCTION:-}}" ] || {{ echo "$NO_FUNCTION" >&2; exit 1; }} ;;
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
    return (
        {name: f"<{name}>" for name in OUTPUTS}
        | {"APP_URL": "https://app", "APP_NAME": "func-ours"}
        | {"AZURE_SUBSCRIPTION_ID": "ours"}
    )


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


def confirmed(outputs):
    """Return the outputs together with the answer to predown's question."""
    return outputs | {"CONFIRM_DOWN": outputs["STORAGE_ACCOUNT"]}


def test_predown_removes_the_subscriptions(run, outputs):
    """Where the account stays, what stays is named: what is in the account, and its topic."""
    done, calls = run("predown", **confirmed(outputs), TARGET=OURS)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"delete .*--name (\S+)", calls) == ["<EVENT_SUBSCRIPTION>", "<EVENT_SUBSCRIPTION>-moves"]
    stays = ("COUNTS_TABLE", "QUARANTINE_CONTAINER", "DEAD_LETTER_CONTAINER", "TOPIC_NAME", "TOPIC_RESOURCE_GROUP")
    assert all(f"<{name}>" in done.stderr for name in (*stays, "STORAGE_RESOURCE_GROUP"))
    assert "ALL OF ITS IMAGES" not in done.stderr


def test_predown_removes_nothing_unasked(run, outputs):
    """Where the account stays it asks as well: azd could delete more than it should, and the counts stop."""
    done, calls = run("predown", **outputs, TARGET=OURS)
    assert done.returncode == 1
    assert "It must not name <STORAGE_RESOURCE_GROUP>" in done.stderr
    assert " delete " not in calls


def test_predown_removes_ours_only(run, outputs):
    """A subscription that delivers to another app stays, and one that is gone already is no mistake."""
    for target in (OURS.replace("func-ours", "func-theirs"), ""):
        done, calls = run("predown", **confirmed(outputs), TARGET=target)
        assert done.returncode == 0, done.stderr
        assert "ERROR" not in done.stderr
        assert " delete " not in calls


def test_predown_asks_before_images_go(run, with_images):
    """Without a terminal it refuses unless a variable names the account."""
    done, calls = run("predown", **with_images, TARGET=OURS)
    assert done.returncode == 1
    assert "ALL OF ITS IMAGES" in done.stderr
    assert "CONFIRM_DOWN=images" in done.stderr
    assert " delete " not in calls
    done, calls = run("predown", **with_images, TARGET=OURS, CONFIRM_DOWN="images")
    assert done.returncode == 0, done.stderr
    assert calls.count(" delete ") == 2


@pytest.mark.parametrize("seed", range(20))
def test_predown_compares_groups_as_azure_does(run, with_images, seed):
    """Azure's names of resource groups have no upper and lower case."""
    random = Random(seed)
    group = "".join(random.choice((each.lower(), each.upper())) for each in "rg-ours")
    done, _ = run("predown", **with_images | {"STORAGE_RESOURCE_GROUP": group}, TARGET=OURS)
    assert done.returncode == 1
    assert "ALL OF ITS IMAGES" in done.stderr


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


@pytest.mark.parametrize("hook", ["postdeploy", "predown"])
def test_every_call_names_the_subscription(run, outputs, hook):
    """No call works on whichever subscription is az's default one."""
    _, calls = run(hook, **confirmed(outputs), TARGET=OURS)
    made = [line for line in calls.splitlines() if line.startswith("az ")]
    assert len(made) >= 4
    assert all("--subscription ours" in each for each in made)


@pytest.mark.parametrize("hook", ["postdeploy", "predown"])
@pytest.mark.parametrize(
    ("environ", "said"), [({"SIGNED_OUT": "1"}, SIGN_IN), ({"SHOWS": f"1 {REFUSED}"}, REFUSED)], ids=["out", "refused"]
)
def test_an_error_is_not_an_absence(run, outputs, hook, environ, said):
    """Where az cannot tell whether there is a subscription the hook ends, in az's words."""
    done, calls = run(hook, **confirmed(outputs), **environ, TARGET=OURS)
    assert done.returncode == 1
    assert said in done.stderr
    assert " delete " not in calls
    assert "deployment group create" not in calls


@pytest.mark.parametrize("shows", [f"3 {NOT_FOUND}", f"1 {NOT_FOUND}", "1 ERROR: (ResourceGroupNotFound) Gone."])
def test_an_absence_is_not_an_error(run, outputs, shows):
    """A subscription, topic or group that is not there leaves nothing to remove."""
    done, calls = run("predown", **confirmed(outputs), SHOWS=shows)
    assert done.returncode == 0, done.stderr
    assert " delete " not in calls


def test_postdeploy_says_why_no_function_is_there(run, outputs):
    """What az said last is shown when the wait is over."""
    done, _ = run("postdeploy", **outputs, NO_FUNCTION=REFUSED)
    assert done.returncode == 1
    assert REFUSED in done.stderr
    assert "did the app start?" in done.stderr


@pytest.mark.parametrize("hook", sorted(HOOKS.glob("*.sh")), ids=lambda hook: hook.stem)
def test_it_needs_an_environment(run, hook):
    """Without what azd hands over it says what to run."""
    done, calls = run(hook.stem)
    assert done.returncode != 0
    assert "run azd provision first" in done.stderr
    assert not calls
