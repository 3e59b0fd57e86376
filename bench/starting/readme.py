"""Whoever has only the README: its commands, as they stand there, in a fresh clone, and how long each takes.

``make bench-readme`` (``ARGS=--all``: the tests too, half an hour; ``ARGS=--no-caches``: every package is downloaded
anew, else the machine's caches of uv and npm are used). It needs the ports of ``make dev`` free. A command that the
README gains and this page does not know is an error (tests/project/test_readme.py), so the walk stays whole.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from bench.report import ROOT, Claim, finish
from localdev.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = "http://127.0.0.1:7071"
PAGE = "http://127.0.0.1:7080"
STATUS = f"{HOST}/api/cases/storage/status"
READY_SECONDS = 1800  # everything may have to be downloaded
STEP_SECONDS = 3600
#: In the README for somebody else's machine: with what it takes.
ELSEWHERE = {
    "azd up": "an Azure subscription",
    "azd provision --preview": "an Azure subscription",
    "az bicep build": "the Bicep compiler",
    "func start": "Azure Functions Core Tools",
}
#: What the README writes where the reader has something of his own.
ETAGS = ("<the ETag you got>", "<ETag yang Anda terima>")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the README.

    Attributes:
        metric: Its name in the results.
        command: As it stands there.
        shows: What its output must hold.
        is_long: Whether it is left out without ``--all``.
    """

    metric: str
    command: str
    shows: str
    is_long: bool = False


CHAOS = "EVENT_CHAOS=dup=0.3,reorder=0.5,drop=0.05,delay=2 make dev"
WITHOUT_FUNCTIONS = ".venv/bin/python -m localdev.up --without-functions"
HELD = f"""curl -i '{STATUS}?wait=25' -H 'If-None-Match: "<the ETag you got>"'"""
STREAM = f"curl -N {STATUS}/stream"
#: While ``make dev`` runs, besides those that need a hand of their own.
BESIDE_DEV = [
    Step("curl_status_seconds", f"curl -i {STATUS}", r"HTTP/1.1 200[\s\S]*etag: [\s\S]*queued_count"),
    Step("demo_seconds", "make demo", "counts equal the listing"),
    Step("ops_seconds", 'make ops ARGS="status"', "ready +yes"),
    Step("protocol_seconds", f"pytest tests/protocol --base-url {HOST}", r"\d+ passed"),
]
ALONE = [
    Step("help_seconds", "make help", "bench-readme"),
    Step("check_infra_seconds", "make check-infra", "nothing to mend"),
    Step("check_seconds", "make check", "nothing to mend"),
    Step("quick_seconds", "make quick", r"0 drift[\s\S]*\d+ passed|\d+ passed[\s\S]*0 drift"),
    Step("simulate_seconds", "make simulate", r"1000 seeds, \d+ deliveries, 0 drift"),
    Step("test_seconds", "make test", r"\d+ passed", is_long=True),
    Step("mutants_seconds", "make mutants", "0 survived|all found", is_long=True),
    Step("mutate_seconds", "make mutate", r"\d+ changes, \d+ survived without an explanation", is_long=True),
]
CLAIMS = [
    Claim("clone_seconds", "`git clone`"),
    Claim("dev_seconds", "`make dev`, for the first time: until it says ready", at_most=180),
    Claim("page_seconds", "the page is there"),
    Claim("curl_status_seconds", "`curl -i …/status`"),
    Claim("held_seconds", "`curl -i '…/status?wait=25' -H 'If-None-Match: …'`, and an upload by the SDK meanwhile"),
    Claim("stream_seconds", "`curl -N …/status/stream`: the first frame"),
    Claim("demo_seconds", "`make demo`: counts equal the listing"),
    Claim("ops_seconds", '`make ops ARGS="status"`'),
    Claim("protocol_seconds", "`pytest tests/protocol --base-url …`"),
    Claim("dev_again_seconds", "`make dev` again, with `EVENT_CHAOS=…`", at_most=15),
    Claim("without_functions_seconds", f"`{WITHOUT_FUNCTIONS}`: storage is ready"),
    Claim("help_seconds", "`make help`"),
    Claim("check_infra_seconds", "`make check-infra`"),
    Claim("check_seconds", "`make check`, with what the client's checks need"),
    Claim("simulate_seconds", "`make simulate`: 1,000 seeds, 0 drift"),
]


def commands(text: str) -> Iterator[str]:
    """Iterate over the commands of a README: the lines of its ``sh`` blocks, and those in the middle of its text."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in filter(None, "\n".join(blocks).splitlines()):
        yield re.sub(r"\s{2,}# .*", "", line).strip()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    starts = r"make |EVENT_CHAOS=|\.venv/|pytest |azd |az |func "
    yield from (each for each in re.findall(r"`([^`]+)`", prose) if re.match(starts, each))


def known() -> set[str]:
    """Return the commands that are tried here, or said to need something else."""
    steps = {step.command for step in (*BESIDE_DEV, *ALONE)}
    own = {HELD, *(HELD.replace(ETAGS[0], each) for each in ETAGS), STREAM, CHAOS, WITHOUT_FUNCTIONS, "make dev"}
    named = {"pytest tests/protocol --base-url https://…"}
    return {*steps, *own, *named, *ELSEWHERE}


def run(command: str, shows: str, clone: Path) -> float:
    """Run a command to its end; return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        env=environment(clone),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=STEP_SECONDS,
    )
    seconds = time.perf_counter() - started
    if done.returncode or not re.search(shows, done.stdout):
        raise SystemExit(f"{command}: exit code {done.returncode}, looked for {shows!r} in:\n{done.stdout[-4000:]}")
    print(f"{seconds:7.1f} s  {command}", flush=True)
    return seconds


@contextmanager
def running(command: Sequence[str], clone: Path, ready: str) -> Iterator[float]:
    """Run a command that goes on until it is stopped.

    Args:
        command: What to run.
        clone: Where.
        ready: How the line begins that says that it is ready.

    Yields:
        Seconds until that line.
    """
    is_ready = threading.Event()

    def read(line: str) -> None:
        if line.startswith(ready):
            is_ready.set()

    began = time.perf_counter()
    with Process(" ".join(command), command, output=read, env=environment(clone), cwd=clone) as process:
        process.until(is_ready.is_set, READY_SECONDS)
        yield time.perf_counter() - began


def environment(clone: Path) -> dict[str, str]:
    """Return this process's environment, with the clone's own tools first."""
    return {**os.environ, "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}", "CI": ""}


def upload(number: int) -> None:
    """Upload an image as the README says: with the SDK, to development storage."""
    with BlobServiceClient.from_connection_string("UseDevelopmentStorage=true") as service:
        service.get_blob_client("queued", f"readme/{number}.jpg").upload_blob(b"x", overwrite=True)


def ask(url: str) -> tuple[str, str]:
    """Return the body and the ETag of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of this machine
        return answer.read().decode(), answer.headers.get("ETag", "")


@contextmanager
def started(command: str, clone: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background until the end of the block."""
    with subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=clone, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def held(clone: Path) -> float:
    """Hold a request, upload an image, and return the seconds from the upload to the answer."""
    version = ask(STATUS)[1].strip('"')
    with started(HELD.replace(ETAGS[0], version), clone) as process:
        while '"waiters": 1' not in ask(f"{HOST}/api/health")[0]:
            time.sleep(0.1)
        uploaded = time.perf_counter()
        upload(1)
        out, _ = process.communicate(timeout=30)
        assert "HTTP/1.1 200" in out, out
        assert version not in out, out
        return time.perf_counter() - uploaded


def stream(clone: Path) -> float:
    """Open the stream; return the seconds to its first frame."""
    began = time.perf_counter()
    with started(STREAM, clone) as process:
        assert process.stdout is not None
        assert any(line.startswith("data: ") for line in process.stdout), "the stream ended without a frame"
        return time.perf_counter() - began


def beside_dev(clone: Path) -> dict[str, float]:
    """Do what the README does while ``make dev`` runs."""
    began = time.perf_counter()
    assert "<html" in ask(PAGE)[0]
    results = {"page_seconds": time.perf_counter() - began}
    status, *others = BESIDE_DEV
    results[status.metric] = run(status.command, status.shows, clone)
    results |= {"held_seconds": held(clone), "stream_seconds": stream(clone)}
    for step in others:
        results[step.metric] = run(step.command, step.shows, clone)
    return results


def main() -> None:
    """Walk through, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the tests and the mutants too")
    parser.add_argument("--no-caches", action="store_true", help="download every package anew")
    options = parser.parse_args()
    unknown = {each for name in ("README.md", "README.id.md") for each in commands((ROOT / name).read_text())} - known()
    assert not unknown, f"not known here: {unknown}"
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        if options.no_caches:
            os.environ |= {"UV_CACHE_DIR": f"{folder}/uv", "npm_config_cache": f"{folder}/npm"}
        results = {"clone_seconds": run(f"git clone --quiet '{ROOT}' '{clone}'", "", ROOT)}
        with running(["make", "dev"], clone, "ready") as results["dev_seconds"]:
            results |= beside_dev(clone)
        with running(["bash", "-c", f"exec env {CHAOS}"], clone, "ready") as results["dev_again_seconds"]:
            ask(STATUS)
        with running(WITHOUT_FUNCTIONS.split(), clone, "storage ready") as results["without_functions_seconds"]:
            pass
        for step in ALONE:
            if options.all or not step.is_long:
                results[step.metric] = run(step.command, step.shows, clone)
    for command, what in ELSEWHERE.items():
        print(f"not tried: {command} (needs {what})")
    finish("readme", CLAIMS, results)


if __name__ == "__main__":
    main()
