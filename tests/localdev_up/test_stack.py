"""A whole stack, started by `up`: what a person would do with it."""

from __future__ import annotations

import re
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
from azure.storage.blob import BlobServiceClient

from localdev.page import config
from localdev.processes import WEBHOOK
from shared.settings.app import Settings
from tests.localdev_up.conftest import CHAOS
from tests.localdev_up.support import ROOT, Up, run
from tests.waiting import until

STATUS = "/api/cases/storage/status"


def counts(up: Up) -> dict[str, int]:
    """Return the counts that are served."""
    data = httpx.get(up.functions_url + STATUS).json()["data"]
    return {name: data[f"{name}_count"] for name in ("queued", "input", "output")}


def test_upload_wakes_a_held_poll(up: Up) -> None:
    """The address and the storage that `up` prints belong together: an upload by SDK ends a held request."""
    before = counts(up)["queued"]

    def poll() -> httpx.Response:
        held = {"If-None-Match": "*", "Prefer": "wait=30"}
        return httpx.get(up.functions_url + STATUS, headers=held, timeout=40)

    with ThreadPoolExecutor() as pool, BlobServiceClient.from_connection_string(up.connection_string) as service:
        polling = pool.submit(poll)
        until(lambda: httpx.get(f"{up.functions_url}/api/health").json()["waiters"] == 1)
        service.get_blob_client("queued", f"case-1/{uuid.uuid4().hex}.jpg").upload_blob(b"x")
        answer = polling.result()
    assert answer.status_code == 200
    assert answer.json()["data"]["queued_count"] == before + 1


def test_output_names_what_to_try(up: Up) -> None:
    """The block at the end of the start has the addresses, the commands and the chaos; parts are prefixed."""
    for text in (f"curl -i {up.functions_url}{STATUS}", f"curl -N {up.functions_url}{STATUS}/stream", CHAOS):
        assert text in up.text
    assert up.find(r"^bridge +\| .*ready")
    assert "timerTrigger 0 */15 * * * * (disabled)" in up.text


def bridge_url(up: Up) -> str:
    """Return the bridge's address, without the account."""
    found = re.search(r"BlobEndpoint=(http://[^/]+)", up.connection_string)
    assert found is not None
    return found[1]


def test_browsers_are_let_in(up: Up) -> None:
    """A page of another origin may upload with the SAS of its `config.json`, and read the counts."""
    origin = {"Origin": "http://127.0.0.1:7080"}
    given = config(up.functions_url, bridge_url(up), Settings.from_environ({}).folders)
    url = f"{given['blobUrl']}/{given['containers']['queued']}/page/{uuid.uuid4().hex}.txt?{given['sas']}"
    preflight = httpx.options(url, headers={**origin, "Access-Control-Request-Method": "PUT"})
    assert preflight.headers["access-control-allow-origin"] in {"*", origin["Origin"]}
    put = httpx.put(url, content=b"x", headers={**origin, "x-ms-blob-type": "BlockBlob"})
    assert put.status_code == 201
    assert put.headers["access-control-allow-origin"] in {"*", origin["Origin"]}
    assert httpx.get(up.functions_url + STATUS, headers=origin).headers["access-control-allow-origin"] == "*"


def test_requests_of_test_http_are_accepted(up: Up) -> None:
    """Every event in test.http, with its variables filled in, is taken by the webhook; its blob comes and goes."""
    text = (ROOT / "test.http").read_text(encoding="utf-8")
    before = counts(up)
    posts = re.findall(r"^POST \{\{webhook\}\}\n(.*?)\n\n(.*?)(?=^###|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(posts) == 3
    for head, body in posts:
        for name, value in {
            "{{$guid}}": str(uuid.uuid4()),
            "{{$datetime iso8601}}": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "{{$timestamp}}": str(int(time.time())),
        }.items():
            body = body.replace(name, value)  # noqa: PLW2901
        url = f"{up.functions_url}{WEBHOOK}"
        answer = httpx.post(url, content=body, headers=dict(line.split(": ") for line in head.splitlines()))
        assert answer.status_code in {200, 202}, answer.text
    until(lambda: counts(up) == before)


def test_further_folders_are_counted(tmp_path: Path) -> None:
    """With EXTRA_FOLDERS their containers are there, uploads into them are counted, and the demo compares them."""
    extra = "failed=failed,review=pictures/review"
    with Up("--free-ports", "--data", str(tmp_path), "--no-reconcile-timer", EXTRA_FOLDERS=extra) as up:
        up.until_ready()
        with BlobServiceClient.from_connection_string(up.connection_string) as service:
            for container, name in (("failed", "a.jpg"), ("pictures", "review/b.jpg"), ("pictures", "c.jpg")):
                service.get_blob_client(container, name).upload_blob(b"x")

        def counted() -> tuple[int, int]:
            data = httpx.get(up.functions_url + STATUS).json()["data"]
            return data["failed_count"], data["review_count"]

        until(lambda: counted() == (1, 1))
        given = ["--base-url", up.functions_url, "--connection-string", up.connection_string]
        done = run("localdev.demo", "--images", "3", "--rate", "30", *given, EXTRA_FOLDERS=extra)
        assert "counts equal the listing: queued 0, input 0, output 3, failed 1, review 1\n" in done.stdout, done.stderr
        assert "Failed 1" in done.stdout
        assert up.end(signal.SIGTERM) == 0


def test_demo_ends_with_equal_counts(up: Up) -> None:
    """Under duplicates, reordering and delays, without reconciliation, the counts equal the listing at the end."""
    given = ["--base-url", up.functions_url, "--connection-string", up.connection_string]
    done = run("localdev.demo", "--images", "30", "--rate", "30", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^counts equal the listing: queued (\d+), input 0, output (\d+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    stats = f"{bridge_url(up)}/__bridge__/stats"
    until(lambda: (now := httpx.get(stats).json())["queued"] + now["in_flight"] == 0)
    assert counts(up) == {"queued": int(found[1]), "input": 0, "output": int(found[2])}
    assert counts(up)["output"] >= 30
