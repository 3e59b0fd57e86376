"""The OpenAPI document: as served, and held against generated requests by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from localdev.ports import free_port
from shared.serving.openapi import document
from tests.protocol.deployment import DOCUMENT, HEALTH, Caller, quoted

if TYPE_CHECKING:
    from localdev.testbed import Stack

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: Waits and streams are as short as they can be set: most of the time of this test is theirs.
QUICK = {"MAX_WAIT_SECONDS": "1", "MAX_STREAM_SECONDS": "1", "HEARTBEAT_SECONDS": "0.3", "RECONCILE_ON_START": "false"}
EXAMPLES = 6
LIMIT_SECONDS = 90


async def test_p110_the_document(caller: Caller) -> None:
    """It answers an OpenAPI 3.1 document of all the above, and needs no token."""
    answer = await caller.get(DOCUMENT, is_known=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    validate(found, cls=OpenAPIV31SpecValidator)
    assert found == document(has_cases=bool(caller.deployment.setting("CASE_FROM")))


async def test_p111_cached(caller: Caller) -> None:
    """It may be cached, and is answered 304 while its ETag matches, as P12 and P22 say."""
    first = await caller.get(DOCUMENT, is_known=False)
    assert first.headers["cache-control"] == "public, max-age=3600"
    tag = first.headers["etag"].strip('"')
    lines = [("If-None-Match", '"another"'), ("If-None-Match", f'W/"{tag}-gzip"')]
    for headers in (quoted(tag), {"If-None-Match": "*"}, lines, lines[::-1]):
        again = await caller.get(DOCUMENT, headers, is_known=False)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert (await caller.get(DOCUMENT, quoted("another"), is_known=False)).status_code == 200


async def test_the_report_is_described(secured: Caller) -> None:
    """Its members are those in the document, no more and no fewer; what is required is there without a token too."""
    described = document()["components"]["schemas"]["Health"]
    assert (await secured.get(HEALTH)).json().keys() == described["properties"].keys()
    assert all(each.get("description") for name, each in described["properties"].items() if name != "status")
    assert set(described["required"]) <= (await secured.get(HEALTH, is_known=False)).json().keys()


def generated_requests(url: str, folder: Path, *options: str) -> None:
    """Let schemathesis ask everything that the document describes; fail with its report."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", CONFIG, "--no-color", "run", f"{url}{DOCUMENT}", *options]
    command += ["--max-examples", str(EXAMPLES), "--workers", "8", "--request-timeout", "10", "--no-shrink"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    if run.returncode != 0:
        pytest.fail(f"{run.stdout[-8000:]}{run.stderr[-2000:]}", pytrace=False)
    assert "Tested: 17" in run.stdout


def test_generated_requests(stack: Stack, tmp_path: Path) -> None:
    """Whatever is sent, every answer is one that the document describes, and bad input is refused."""
    port = free_port()
    host = stack.start_host(port, **QUICK)
    try:
        generated_requests(f"http://127.0.0.1:{port}", tmp_path)
    finally:
        host.stop()


def test_generated_requests_with_a_token(stack: Stack, tmp_path: Path) -> None:
    """The same where tokens are asked for, with one that holds."""
    from tests.e2e.issuer import running_issuer, token

    port = free_port()
    with running_issuer() as settings:
        host = stack.start_host(port, **QUICK, **settings)
        try:
            options = ("--phases", "coverage", "--header", f"Authorization: Bearer {token()}")
            generated_requests(f"http://127.0.0.1:{port}", tmp_path, *options)
        finally:
            host.stop()
