"""The parts of `up` and the demo by themselves."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image
from rich.console import Console

from localdev.azurite import AzuriteError
from localdev.demo import compare
from localdev.demo_images import jpeg
from localdev.page import config, serve
from localdev.plan import PlanError, Ports, make_plan
from localdev.ports import free_port, reach_directly
from localdev.processes import LEASH
from localdev.storage import prepare
from localdev.up import banner
from shared.settings.app import Settings
from tests.localdev_up.support import ROOT, descendants, processes
from tests.waiting import until

SAID_SECONDS = 10.0  # one second when alone; the SDK's own pauses begin with 15


def leash(*code: str) -> subprocess.Popen[bytes]:
    """Start Python code on a leash."""
    command = [sys.executable, "-I", "-S", str(LEASH), sys.executable, "-c", "\n".join(code)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_leash_passes_the_exit_status_on() -> None:
    """The starter learns how the command ended, also when a signal ended it."""
    with leash("raise SystemExit(7)") as process:
        assert process.wait(20) == 7
    with leash("import os", "os.kill(os.getpid(), 9)") as process:
        assert process.wait(20) == 128 + signal.SIGKILL


def test_leash_let_go_ends_the_command_and_its_children() -> None:
    """At the end of the pipe the command gets SIGTERM, and what it leaves behind is killed."""
    code = ("import subprocess, sys", "subprocess.Popen(['sleep', '60'])", "print('up', flush=True)", "input")
    with leash(*code, "import time", "time.sleep(60)") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        started = descendants(process.pid)
        assert len(started) == 2
        process.stdin.close()
        assert process.wait(20) == 128 + signal.SIGTERM
        until(lambda: not started & set(processes()))


def test_flags_win_over_variables(environ: pytest.MonkeyPatch) -> None:
    """A flag wins over its variable, the variable over the default; `--free-ports` over variables only."""
    environ.setenv("BLOB_PORT", str(first := free_port()))
    environ.setenv("TABLE_PORT", str(second := free_port()))
    others = ["--queue-port", str(free_port()), "--functions-port", str(free_port()), "--page-port", str(free_port())]
    assert make_plan(others).ports.table == second
    third = free_port()
    assert make_plan([*others, "--table-port", str(third)]).ports.table == third
    assert make_plan(others).ports.blob == first
    free = make_plan(["--free-ports", "--queue-port", str(third)]).ports
    assert first not in {free.blob, free.table}
    assert free.queue == third


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("EVENT_SCHEMA", "xml", "EVENT_SCHEMA=xml is unknown; use one of eventgrid, cloudevents"),
        ("EVENT_CHAOS", "dup=2", "chaos dup='2' is not a number from 0 to 1"),
        ("FUNCTIONS_HOST", "docker", "FUNCTIONS_HOST=docker is unknown; use one of func, bundled"),
        ("INPUT_FOLDER", "queued", "INPUT_FOLDER=queued overlaps QUEUED_FOLDER=queued"),
        ("BLOB_PORT", "abc", "BLOB_PORT=abc is not a port number"),
        ("BLOB_PORT", "70000", "70000 is not a port for the blob service"),
    ],
)
def test_wrong_values_are_named(environ: pytest.MonkeyPatch, variable: str, value: str, says: str) -> None:
    """What cannot be used stops the start with a line that names the variable and what it may be."""
    environ.setenv(variable, value)
    with pytest.raises(PlanError, match=re.escape(says)):
        make_plan([])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.example, b.example"}, "a.example,b.example,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.example", "no_proxy": "localhost,c.example"}, "a.example,localhost,c.example,127.0.0.1,::1"),
    ],
)
def test_local_calls_pass_proxies_by(given: dict[str, str], expected: str) -> None:
    """What was exempted stays so, and this machine joins it, in both spellings."""
    environ = {"HTTP_PROXY": "http://proxy.example", **given}
    reach_directly(environ)
    assert environ == {"HTTP_PROXY": "http://proxy.example", "NO_PROXY": expected, "no_proxy": expected}


def test_everything_exempted_stays_exempted() -> None:
    """A star means everything only when it stands alone."""
    environ = {"no_proxy": "*"}
    reach_directly(environ)
    assert environ == {"no_proxy": "*"}


def test_an_azurite_that_refuses_is_one_line() -> None:
    """What stops the preparation of the storage is said within seconds, and not shown as a traceback."""
    began = time.monotonic()
    with pytest.raises(AzuriteError, match="could not be prepared"):
        prepare(
            f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:{free_port()}/a",
            Settings.from_environ({}).folders,
        )
    assert time.monotonic() - began < SAID_SECONDS


def test_disabled_timer(environ: pytest.MonkeyPatch) -> None:
    """The platform's own setting switches the timer off, in both spellings, as the flag does."""
    assert make_plan(["--free-ports"]).timer
    assert not make_plan(["--free-ports", "--no-reconcile-timer"]).timer
    environ.setenv("AzureWebJobs__reconcile__Disabled", "true")
    assert not make_plan(["--free-ports"]).timer


def test_storage_of_the_environment_is_not_used(environ: pytest.MonkeyPatch) -> None:
    """A real account in the environment neither reaches the local app nor stops the start."""
    environ.setenv("STORAGE__blobServiceUri", "https://real.blob.core.windows.net")
    plan = make_plan(["--free-ports"])
    assert plan.settings.storage.connection_string == "UseDevelopmentStorage=true"


def test_development_storage_is_said_only_where_it_is(environ: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """On other ports the whole connection string is shown: SDKs would look in the wrong place."""
    assert Ports().are_development_storage
    assert "AccountName=x" in banner(make_plan(["--free-ports"]), "AccountName=x")


async def test_page_and_its_config(tmp_path: Path) -> None:
    """The built page is served as it is, together with where everything is and a SAS that works there."""
    (tmp_path / "index.html").write_text("<title>live</title>", encoding="utf-8")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app.js").write_text("1", encoding="utf-8")
    folders = Settings.from_environ({"OUTPUT_FOLDER": "done/images"}).folders
    port = free_port()
    runner = await serve(port, lambda: config("http://f:1", "http://b:2", folders), tmp_path)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/")).text == "<title>live</title>"
            assert (await client.get("/assets/app.js")).status_code == 200
            assert (await client.get("/../conftest.py")).status_code == 404
            answer = (await client.get("/config.json")).json()
    finally:
        await runner.cleanup()
    assert answer["statusUrl"] == "http://f:1/api"
    assert answer["blobUrl"] == "http://b:2/devstoreaccount1"
    assert answer["containers"] == {"queued": "queued", "input": "input", "output": "done/images"}
    assert not answer["cases"]
    assert {"sp=rwdlac", "ss=b", "srt=sco"} <= set(answer["sas"].split("&"))


@pytest.mark.parametrize(("case_from", "told"), [("", False), ("first-segment", True), ("^case-([0-9]+)/", False)])
def test_page_is_told_of_cases_that_it_can_start(case_from: str, told: bool) -> None:
    """What the page uploads into a case begins with its name, which is the case by that one rule only."""
    assert config("http://f:1", "http://b:2", Settings.from_environ({"CASE_FROM": case_from}).folders)["cases"] is told


def test_images_are_jpegs_and_differ() -> None:
    """The demo's files are real, small and not all the same."""
    files = [jpeg(f"case-1/img-{number}.jpg", random.Random(number)) for number in range(5)]
    assert len(set(files)) == 5
    for file in files:
        with Image.open(io.BytesIO(file)) as image:
            image.load()
            assert image.format == "JPEG"
        assert len(file) < 32_768


def test_demo_says_that_counts_differ() -> None:
    """A mismatch is said with the numbers of both sides."""
    console = Console(file=io.StringIO(), soft_wrap=True)
    counted, listed = {"queued": 0, "input": 1, "output": 2}, {"queued": 0, "input": 0, "output": 3}
    assert not compare(counted, listed, console)
    assert "input 1 (listed 0), output 2 (listed 3)" in console.file.getvalue()


def test_debugger_tasks_fit_together() -> None:
    """F5 starts a module that exists, after a task that exists and whose end the task's pattern recognises."""
    folder = ROOT / ".vscode"
    launch, tasks = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("launch", "tasks"))
    labels = {task["label"]: task for task in tasks["tasks"]}
    for configuration in launch["configurations"]:
        path = ROOT / configuration["module"].replace(".", os.sep)
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        assert configuration.get("preLaunchTask", "setup") in labels
    ready = labels["storage and events"]["problemMatcher"]["background"]["endsPattern"]
    assert re.search(ready, "storage ready http://127.0.0.1:10000")


def test_make_help_names_every_target() -> None:
    """`make` alone lists what there is."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = ["make"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("dev", "demo", "test", "check", "format", "lock", "clean"):
        assert re.search(rf"^{target}:", text, re.MULTILINE)
        assert re.search(rf"^  make {target} +\w", shown, re.MULTILINE)
