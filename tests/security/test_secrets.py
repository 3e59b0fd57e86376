"""Nothing secret is ever written: tokens, keys and signatures are driven through everything that answers or logs.

Every test is searched for secrets (:mod:`tests.leaks`); this one puts them where other tests have no reason to.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from localdev.testbed import STATUS, STREAM, Stack
from tests.e2e.issuer import running_issuer, token
from tests.leaks.secrets import found, masked, secret
from tests.waiting import eventually

FUNCTION_KEY = secret("a function key", "function-key-that-is-secret")
SIGNATURE = secret("a signature", "c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0")
QUERY_TOKEN = secret("a token in a query", "token-in-a-query-that-is-secret")
PASSWORD = secret("a password", "basic-password-that-is-secret")


def events(name: str) -> list[dict[str, object]]:
    """Return events whose addresses carry a signature: good, odd and not understood."""
    url = f"https://account.blob.core.windows.net/queued/{name}?sv=2026-01-01&sig={SIGNATURE}"
    common = {"topic": "/t", "eventTime": "2026-11-22T18:20:31Z", "dataVersion": "1", "metadataVersion": "1"}
    subject = f"/blobServices/default/containers/queued/blobs/{name}"
    created = {"api": "PutBlob", "sequencer": "0" * 47 + "1", "url": url, "eTag": "0x1"}
    return [
        {"id": "1", "eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": created, **common},
        {"id": "2", "eventType": "Microsoft.Storage.Unheard", "subject": subject, "data": created, **common},
        {"id": "3", "eventType": "Microsoft.Storage.BlobRenamed", "subject": subject, "data": {"url": url}, **common},
        {"id": "4", "eventType": "Microsoft.Storage.BlobCreated", "subject": url, "data": created, **common},
        {"id": "5", "eventType": "Microsoft.Storage.BlobDeleted", "subject": subject, "data": url, **common},
    ]


async def ask_in_every_way(http: httpx.AsyncClient, good: str, bad: str) -> list[str]:
    """Ask with secrets where they belong and where they do not; return all that was answered."""
    answers = []
    for path in (STATUS, STREAM, "/api/health", "/api/nothing", "/api/openapi.json"):
        for headers, query in (
            ({"Authorization": f"Bearer {good}"}, {}),
            ({"Authorization": f"Bearer {bad}"}, {}),
            ({"Authorization": f"Bearer {good}x"}, {}),
            ({"Authorization": f"Basic {PASSWORD}"}, {}),
            ({"x-functions-key": FUNCTION_KEY}, {}),
            ({"If-None-Match": f'"{QUERY_TOKEN}"'}, {}),
            ({}, {"code": FUNCTION_KEY}),
            ({}, {"access_token": QUERY_TOKEN, "wait": "not a number"}),
            ({"Authorization": f"Bearer {good}"}, {"wait": "0.2", "sig": SIGNATURE}),
        ):
            for method in ("GET", "POST", "OPTIONS"):
                if path == STREAM and method == "GET" and "Bearer" in headers.get("Authorization", ""):
                    async with http.stream(method, path, headers=headers, params=query) as stream:
                        answers.append(f"{stream.headers} {await anext(stream.aiter_text(), '')}")
                    continue
                response = await http.request(method, path, headers=headers, params=query)
                answers.append(f"{response.headers} {response.text}")
    return answers


@pytest.mark.timeout(240)
async def test_no_secret_is_ever_written(tmp_path: Path) -> None:
    """Logs of host and app, traces and metrics on the console, error texts, answers, reasons of quarantine."""
    good, bad = token(), token(exp=1)
    with (
        running_issuer() as settings,
        Stack(tmp_path, **settings, TELEMETRY="console", AZURE_LOG_LEVEL="debug") as stack,
    ):
        stack.azurite.start()
        stack.start_host()
        assert found(stack.azurite.connection_string.encode()), "the account's key is not searched for"
        headers = {"aeg-event-type": "Notification"}
        async with httpx.AsyncClient(base_url=stack.host_url, timeout=30) as http:
            answers = await ask_in_every_way(http, good, bad)
            for event in events("a.jpg"):
                answers.append((await http.post(stack.webhook, json=[event], headers=headers)).text)
            await asyncio.to_thread(stack.azurite.close)
            answers += await ask_in_every_way(http, good, bad)
            answers.append((await http.post(stack.webhook, json=events("b.jpg"), headers=headers)).text)
        log = tmp_path / f"host-{stack.host_port}.log"

        async def has_measured() -> bool:
            return "blob_status.events" in log.read_text() and '"name": "take event"' in log.read_text()

        await eventually(has_measured)
    written = "\n".join([*answers, log.read_text(errors="replace")])
    assert "Connect call failed" in written, "the outage was not noticed: not everything was driven through"
    assert "event quarantined" in written
    leaks = [masked(line) for line in written.splitlines() if found(line.encode())]
    assert not leaks, "\n".join(leaks)
