"""`python -m ops probe` through real nginx, set as unkindly as operators set it: each unkindness is named.

All run at once, each behind an nginx of its own, on real time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping

import pytest

from ops.probe import MOST_WAIT_SECONDS, Finding, Verdict, examine
from ops.through import reached_at
from tests.e2e.stack import running_stack
from tests.intermediaries import proxies
from tests.intermediaries.conftest import INSTALL_SECONDS
from tests.intermediaries.settings import NGINX

#: Above the 10 s that one of them allows, below the heartbeat.
MAX_WAIT_SECONDS = 14
UNKIND = {
    "as it comes": "",
    "10 s": "proxy_read_timeout 10s;",
    "buffers": NGINX["nginx buffers streams"],
    "gzip": NGINX["nginx gzip"],
    "rewrites ETags": NGINX["nginx rewrites ETags"],
    "strips ETags": NGINX["nginx strips ETags"],
    "drops validators": NGINX["nginx drops validators"],
    "drops validators and query": NGINX["nginx drops validators and query"],
    "asks for a login": "return 302 https://login.example.com/;",
}
LIMIT_SECONDS = 240

pytestmark = pytest.mark.timeout(LIMIT_SECONDS + INSTALL_SECONDS)

type Found = dict[str, Finding]


@pytest.fixture(scope="module")
def results(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Found]]:
    """Probe them all; return what was found behind each."""
    del installed
    folder = tmp_path_factory.mktemp("probe")
    with running_stack(folder, MAX_WAIT_SECONDS=str(MAX_WAIT_SECONDS)) as stack:
        (folder / "proxies").mkdir()
        with proxies.running(folder / "proxies", f"127.0.0.1:{stack.host_port}", UNKIND, {}) as between:
            yield asyncio.run(probed(between.ports))


async def probed(ports: Mapping[str, int]) -> Mapping[str, Found]:
    """Probe all ports at once."""

    async def one(port: int) -> Found:
        async with reached_at(f"http://127.0.0.1:{port}") as app:
            return {each.what: each for each in await examine(app, MOST_WAIT_SECONDS)}

    found = await asyncio.gather(*map(one, ports.values()))
    return dict(zip(ports, found, strict=True))


def wrong(found: Found) -> set[str]:
    """Return what is to be mended."""
    return {what for what, finding in found.items() if finding.verdict is Verdict.WRONG}


def test_a_kind_one(results: Mapping[str, Found]) -> None:
    """As it comes nginx changes nothing: the whole wait, the first frame at once, the heartbeat."""
    found = results["as it comes"]
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}, found
    assert (found["held poll"].seconds or 0) > MAX_WAIT_SECONDS * 15 / 16 - 1
    assert f"of {MAX_WAIT_SECONDS} s that the app allows" in found["held poll"].found
    assert (found["quiet stream"].seconds or 0) > 10


def test_a_timeout_of_ten_seconds(results: Mapping[str, Found]) -> None:
    """The cut is named for polls and streams, with the hold that got through and the settings that go with it."""
    found = results["10 s"]
    assert wrong(found) == {"held poll", "quiet stream"}
    assert re.search(
        r"cut after 1\d\.\d s \(504\); \d+ s get through.*MAX_WAIT_SECONDS to \d+", found["held poll"].found
    )
    assert 7 <= (found["held poll"].seconds or 0) < 11
    assert 9 < (found["quiet stream"].seconds or 0) < 15
    assert "HEARTBEAT_SECONDS" in found["quiet stream"].found


def test_buffering(results: Mapping[str, Found]) -> None:
    """A stream that is held back is named, and nothing else is."""
    found = results["buffers"]
    assert wrong(found) == {"stream"}
    assert "response buffering" in found["stream"].found


def test_compression(results: Mapping[str, Found]) -> None:
    """An ETag that gzip weakens is still matched, so it is a note."""
    found = results["gzip"]
    assert wrong(found) == set(), found
    assert found["ETag"].verdict is Verdict.NOTE
    assert re.search(r'W/".*answers 304', found["ETag"].found)


def test_an_etag_of_its_own(results: Mapping[str, Found]) -> None:
    """An ETag that the app does not know is named."""
    assert wrong(results["rewrites ETags"]) == {"ETag"}
    assert '"of-the-proxy"' in results["rewrites ETags"]["ETag"].found


def test_what_the_client_works_around(results: Mapping[str, Found]) -> None:
    """No ETag, and no header of the request: notes, because body and query carry the same."""
    stripped, dropped = results["strips ETags"], results["drops validators"]
    assert wrong(stripped) | wrong(dropped) == set()
    assert stripped["ETag"].verdict is Verdict.NOTE
    assert (dropped["304"].verdict, dropped["held poll"].verdict) == (Verdict.NOTE, Verdict.NOTE)
    assert "in the query only" in dropped["held poll"].found


def test_nothing_gets_through(results: Mapping[str, Found]) -> None:
    """Where neither headers nor query arrive no poll can be held, and that is said."""
    assert wrong(results["drops validators and query"]) == {"304", "held poll"}


def test_a_login_in_front(results: Mapping[str, Found]) -> None:
    """An answer that is not the app's ends the probe at once."""
    assert list(results["asks for a login"]) == ["address"]
    assert "asks for a login" in results["asks for a login"]["address"].found
