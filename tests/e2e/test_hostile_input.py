"""Thousands of bad requests and malformed events: no 5xx, no traceback, nothing valid lost or dropped silently."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from random import Random

import pytest

from localdev.host import newtonsoft
from localdev.testbed import STATUS, STREAM, Stack
from shared.clock import to_iso
from shared.errors import EventNotUnderstood
from shared.intake.event_grid import BLOB_DELETED, parse
from shared.services import Services
from shared.settings.app import Settings
from tests.e2e.stack import App, plus

REQUESTS = 2000
EVENTS = 2000
DELIVERY_SIZE = 40
NASTY = [
    "",
    "\x00",
    "é",
    "%",
    "%zz",
    "%00",
    "a" * 3000,
    "-1",
    "NaN",
    "inf",
    "1e999",
    "*",
    '"',
    'W/"',
    ",,,",
    "🙂",
    "..",
    "$",
]


HEADERS = [
    "If-None-Match",
    "If-Modified-Since",
    "Prefer",
    "Last-Event-ID",
    "Authorization",
    "Accept",
    "Origin",
    "Range",
]


def nasty(random: Random) -> str:
    """Return something that nobody should send."""
    if random.random() < 0.6:
        return random.choice(NASTY)
    return "".join(chr(random.randrange(1, 0x2FF)) for _ in range(random.randrange(40)))


def bad_request(random: Random) -> bytes:
    """Make the bytes of a request with odd queries, headers, bodies and methods: no client library would send it."""
    query = "&".join(
        f"{random.choice(['wait', 'since', 'from', 'last_event_id', 'x'])}={nasty(random)}"
        for _ in range(random.randrange(4))
    )
    lines = []
    for name in random.sample(HEADERS, random.randrange(4)):
        lines.append(f"{name}: " + nasty(random).replace("\r", "").replace("\n", ""))
    method = random.choice(
        ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"]
    )
    body = nasty(random).encode() if method in {"POST", "PUT", "PATCH"} else b""
    target = f"{STATUS}?{query}".replace(" ", "%20") if random.random() < 0.9 else f"{STATUS} ?{query}"
    head = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def answer_to(stack: Stack, request: bytes) -> bytes:
    """Send bytes, return all bytes that come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.host_port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


async def test_2000_bad_requests_are_answered_without_a_5xx(stack: Stack, app: App) -> None:
    """Every answer is a 2xx, 3xx or 4xx, none shows a traceback, and the app serves on."""
    random = Random(20261122)
    limit = asyncio.Semaphore(32)

    async def send(request: bytes) -> bytes:
        async with limit:
            return await answer_to(stack, request)

    answers = await asyncio.gather(*(send(bad_request(random)) for _ in range(REQUESTS)))
    statuses = {int(answer.split(b" ", 2)[1]) for answer in answers}
    assert all(200 <= status < 500 for status in statuses), statuses
    assert {200, 400, 404, 405} <= statuses
    assert not [answer for answer in answers if b"Traceback" in answer or b'File "' in answer]
    assert (await app.status()).status_code == 200
    assert (await app.http.get(f"{STREAM}?last_event_id=a&last_event_id=b")).status_code == 400


def valid_event(name: str, sequence: int, folder: str = "input") -> dict[str, object]:
    """Make a deliverable event of one upload."""
    return {
        "id": str(sequence),
        "topic": "/subscriptions/x",
        "eventType": "Microsoft.Storage.BlobCreated",
        "subject": f"/blobServices/default/containers/{folder}/blobs/{name}",
        "eventTime": to_iso(datetime.now(UTC)),  # ahead of every clock it would decide nothing
        "data": {"api": "PutBlob", "eTag": "0x1", "sequencer": f"{sequence:048x}", "url": "ignored"},
        "dataVersion": "",
        "metadataVersion": "1",
    }


def malformed(random: Random, sequence: int) -> object:
    """Break an event in one of many ways; some ways make it another valid one, so the parser is asked.

    It stays an object: of anything else the platform makes a failed delivery before the app sees it.
    """
    event = valid_event(f"broken-{sequence}.jpg", sequence)
    match random.randrange(9):
        case 0:
            return random.choice([{}, {"a": None}, {"": [event]}, {"eventType": event}, {"data": event}, {"x": [[[]]]}])
        case 1:
            event["eventType"] = random.choice([None, "", 7, "Microsoft.Storage.Unheard", ["x"], "\ud800"])
        case 2:
            event["subject"] = random.choice([None, 5, "", "/blobServices/default/containers/input/blobs/", "x"])
        case 3:
            event["subject"] = f"/blobServices/default/containers/input/blobs/{sequence}\ufffd.jpg"
        case 4:
            event["subject"] = f"/blobServices/default/containers/input/blobs/{sequence}\ud83d.jpg"
        case 5:
            event["data"] = random.choice([None, "data", [], 3])
        case 6:
            event |= {"specversion": random.choice([None, "0.3", 1.0, "", {}]), "type": event["eventType"]}
        case 7:
            event["subject"] = f"/blobServices/default/containers/input/blobs/{'n' * 2500}{sequence}.jpg"
        case _:
            event = {"eventType": "Microsoft.Storage.BlobRenamed", "subject": event["subject"], "data": {"x": sequence}}
    return event


def as_delivered(element: object) -> object:
    """Return what the platform makes of an element: half a surrogate pair, for one, does not arrive."""
    return json.loads(newtonsoft.write(newtonsoft.parse(json.dumps(element))))


def is_malformed(element: object) -> bool:
    """Tell whether the app's own parser refuses it: what it must quarantine."""
    try:
        parse(json.dumps(element))
    except EventNotUnderstood:
        return True
    return False


@pytest.mark.timeout(240)
async def test_i5_2000_malformed_events_are_quarantined_and_valid_neighbours_counted(stack: Stack, app: App) -> None:
    """In well-formed deliveries: every delivery is accepted, every malformed element is found with its reason."""
    random = Random(7)
    before = await app.counts()
    elements: list[object] = [malformed(random, number) for number in range(EVENTS)]
    broken = {json.dumps(as_delivered(element), sort_keys=True) for element in elements if is_malformed(element)}
    assert sum(is_malformed(element) for element in elements) == EVENTS
    deliveries = [elements[start : start + DELIVERY_SIZE] for start in range(0, EVENTS, DELIVERY_SIZE)]
    for number, delivery in enumerate(deliveries):
        delivery.insert(random.randrange(len(delivery)), valid_event(f"valid-{number}.jpg", number + 1))
        response = await app.http.post(
            stack.webhook, headers={"aeg-event-type": "Notification"}, content=json.dumps(delivery), timeout=60
        )
        assert response.status_code == 202, response.text
    await app.wait_for(plus(before, 0, len(deliveries), 0))
    undo = [valid_event(f"valid-{n}.jpg", n + 2) | {"eventType": BLOB_DELETED} for n in range(len(deliveries))]
    await app.http.post(stack.webhook, headers={"aeg-event-type": "Notification"}, content=json.dumps(undo))
    await app.wait_for(before)
    services = Services(Settings.from_environ({"STORAGE": stack.azurite.connection_string}))
    try:
        index = [entry async for entry in services.quarantine.entries()]
        bodies = [await services.quarantine.body(entry.key) or b"" for entry in index]
    finally:
        await services.close()
    assert all(entry.reason and entry.received_at for entry in index)
    assert broken <= {json.dumps(json.loads(body), sort_keys=True) for body in bodies}


@pytest.mark.parametrize("bad", ["1", '"text"', "null", "[{}]"])
async def test_an_element_that_is_no_object_fails_its_batch_and_its_neighbours_count(
    stack: Stack, app: App, unique: str, bad: str
) -> None:
    """Event Grid delivers such a batch for a day: what is good in it counts at the first time, and once only."""
    before = await app.counts()
    good = valid_event(f"{unique}.jpg", 1)
    for _ in range(3):
        answer = await app.http.post(
            stack.webhook, headers={"aeg-event-type": "Notification"}, content=f"[{bad},{json.dumps(good)}]"
        )
        assert answer.status_code == 500
    await app.wait_for(plus(before, 0, 1, 0))
    undo = valid_event(f"{unique}.jpg", 2) | {"eventType": BLOB_DELETED}
    await app.http.post(stack.webhook, headers={"aeg-event-type": "Notification"}, json=[undo])
    await app.wait_for(before)
