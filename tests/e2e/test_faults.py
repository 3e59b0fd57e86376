"""What breaks in the middle: killed hosts, stopped storage, chaos on the way, tokens that do not hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from localdev.processes import ProcessError
from localdev.testbed import STATUS, STREAM, Stack, container
from tests.e2e.stack import App, listed, running_stack
from tests.waiting import eventually


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that a test may break."""
    with running_stack(tmp_path) as running:
        yield running


@pytest.fixture
async def own_app(own_stack: Stack) -> AsyncIterator[App]:
    """A phone of that stack."""
    async with httpx.AsyncClient(base_url=own_stack.host_url, timeout=40) as http:
        yield App(http)


def upload_many(stack: Stack, count: int, prefix: str) -> None:
    """Upload images, a few at a time."""
    queued = container(stack, "queued")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: queued.upload_blob(f"{prefix}/{number}.jpg", b"x"), range(count)))


async def test_i2_a_host_killed_in_the_middle_of_300_uploads(own_stack: Stack, own_app: App) -> None:
    """SIGKILL, started again: the counts equal the listing within 30 s, without any reconciliation."""
    uploading = asyncio.create_task(asyncio.to_thread(upload_many, own_stack, 300, "killed"))

    async def a_third_is_counted() -> bool:
        return (await own_app.counts())[0] >= 100

    await eventually(a_third_is_counted)
    own_stack.programs[0].kill()
    await uploading
    own_stack.start_host(RECONCILE_ON_START="false")
    await own_app.wait_for((300, 0, 0), seconds=30)
    assert listed(own_stack) == (300, 0, 0)


async def test_i5_storage_stopped_and_started_again(own_stack: Stack, own_app: App) -> None:
    """While storage is gone the answers are 503 with Retry-After; afterwards every upload counts."""
    await asyncio.to_thread(upload_many, own_stack, 20, "before")
    await own_app.wait_for((20, 0, 0))
    etag = (await own_app.status()).headers["etag"]
    held = asyncio.create_task(own_app.held(etag, 30))
    await asyncio.to_thread(own_stack.azurite.stop)

    async def is_refused() -> bool:
        response = await own_app.status()
        if response.status_code == 200:
            return False
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert int(response.headers["retry-after"]) > 0
        return True

    await eventually(is_refused)

    async def is_degraded() -> bool:  # a report is shared by all who ask within a second
        health = await own_app.http.get("/api/health")
        assert health.status_code == 200
        return bool(health.json()["status"] == "degraded")

    await eventually(is_degraded)
    await asyncio.to_thread(own_stack.azurite.start)
    await asyncio.to_thread(upload_many, own_stack, 20, "after")
    await own_app.wait_for((40, 0, 0))
    assert (await held).status_code in {200, 304}
    assert listed(own_stack) == (40, 0, 0)


async def test_i4_drift_is_repaired_by_the_timer_function(own_stack: Stack, own_app: App) -> None:
    """Blobs written and deleted behind the bridge's back, a container deleted: the next run makes it right."""
    await asyncio.to_thread(upload_many, own_stack, 10, "seen")
    await own_app.wait_for((10, 0, 0))
    direct = own_stack.direct_blobs()
    for number in range(3):
        direct.get_container_client("queued").delete_blob(f"seen/{number}.jpg")
        direct.get_container_client("output").upload_blob(f"unseen/{number}.jpg", b"x")
    await asyncio.sleep(1.1)  # HTTP dates have whole seconds; what is younger than the pass is left to its events
    response = await own_app.http.post("/admin/functions/reconcile", json={"input": ""})
    assert response.status_code == 202
    await own_app.wait_for((7, 0, 3))
    direct.delete_container("output")
    await own_app.http.post("/admin/functions/reconcile", json={"input": ""})
    await own_app.wait_for((7, 0, 0))


def test_bootstrap_of_an_account_that_already_holds_blobs(tmp_path: Path) -> None:
    """Blobs from before the first start are counted before anything is served."""
    with Stack(tmp_path) as stack:
        stack.azurite.start()
        for name in ("queued", "input"):
            made = stack.direct_blobs().create_container(name)
            for number in range(7):
                made.upload_blob(f"{number}.jpg", b"x")
        stack.start_host()
        data = httpx.get(f"{stack.host_url}{STATUS}").json()["data"]
        assert (data["queued_count"], data["input_count"], data["output_count"]) == (7, 7, 0)


async def test_not_ready_is_503_and_never_zeros(tmp_path: Path) -> None:
    """Before the first reconciliation has completed nobody is told a number, by poll, stream or health."""
    with Stack(tmp_path, RECONCILE_ON_START="false") as stack:
        await asyncio.to_thread(stack.azurite.start)
        stack.start_host(answers=503)
        async with httpx.AsyncClient(base_url=stack.host_url, timeout=10) as http:
            for path in (STATUS, STREAM):
                response = await http.get(path)
                assert (response.status_code, response.json()["code"]) == (503, "counts-not-ready")
                assert response.headers["retry-after"]
            assert (await http.get("/api/health")).json() == {
                **(await http.get("/api/health")).json(),
                "status": "not-ready",
            }
            await http.post("/admin/functions/reconcile", json={"input": ""})
            await App(http).wait_for_ready()
            assert await App(http).counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_MODE", "open"),
        ("QUEUED_FOLDER", "input"),
        ("POLL_INTERVAL_SECONDS", "soon"),
        ("MAX_STREAM_SECONDS", "9999"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str) -> None:
    """The host ends instead of serving 404s, and says which variable is wrong."""
    with Stack(tmp_path, **{name: value}) as stack, pytest.raises(ProcessError, match=f"{name}={value}"):
        stack.start_host()
