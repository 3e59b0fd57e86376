"""Delivery as Event Grid does it: at least once, retried, dead-lettered, misbehaving on request."""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from localdev.bridge import Bridge, Chaos, DeliverySettings, Schema
from localdev.bridge.delivery import RETRY_SCHEDULE, Delivery
from localdev.bridge.journal import Journal
from tests.localdev.support import Webhook
from tests.waiting import eventually


def make_events(count: int, start: int = 0) -> list[dict]:
    """Events of different blobs, in the order of their sequencers."""
    data = {"api": "PutBlob", "url": "u"}
    return [
        {
            "topic": "t",
            "subject": f"/blobServices/default/containers/c/blobs/{n}.jpg",
            "eventType": "Microsoft.Storage.BlobCreated",
            "eventTime": "2026-01-01T00:00:00.0000000Z",
            "id": str(uuid.uuid4()),
            "data": {**data, "sequencer": f"{n:048x}"},
            "dataVersion": "",
            "metadataVersion": "1",
        }
        for n in range(start, start + count)
    ]


Start = Callable[..., "asyncio.Future[Delivery]"]


@pytest.fixture
async def start(webhook: Webhook, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a delivery to the webhook on a journal of its own; `start(again=True)` reopens the last journal."""
    running: list[tuple[Delivery, Journal]] = []

    async def stop() -> None:
        while running:
            delivery, journal = running.pop()
            await delivery.stop(1.0)
            journal.close()

    async def run(*, chaos: Chaos | None = None, seed: int = 1, **changes: object) -> Delivery:
        await stop()
        journal = Journal(tmp_path / "j.sqlite")
        settings = DeliverySettings(**{"url": webhook.url, "max_retry_seconds": 0.1, **changes})
        delivery = Delivery(journal, settings, chaos or Chaos(), random.Random(seed))
        await delivery.start()
        running.append((delivery, journal))
        return delivery

    yield run
    await stop()


def idle(delivery: Delivery) -> bool:
    """Whether nothing is waiting or on its way."""
    stats = delivery.stats()
    return stats["queued"] == stats["in_flight"] == 0


async def test_one_event_is_one_request_in_the_event_grid_schema(start: Start, webhook: Webhook) -> None:
    """By default each event travels alone, in an array, with Event Grid's headers."""
    delivery = await start()
    events = make_events(3)
    delivery.accept(events)
    await eventually(lambda: len(webhook.requests) == 3)
    for headers, body in webhook.requests:
        assert len(body) == 1
        assert headers["aeg-event-type"] == "Notification"
        assert headers["Content-Type"].startswith("application/json")
    assert webhook.in_order() == events
    await eventually(lambda: delivery.stats()["delivered"] == 3)
    assert delivery._journal.queued() == []


async def test_batches_are_at_most_as_large_as_asked(start: Start, webhook: Webhook) -> None:
    """With a batch size events that wait together travel together."""
    delivery = await start(max_events=4)
    delivery.accept(make_events(10))
    await eventually(lambda: len(webhook.events) == 10)
    assert sorted(len(body) for _, body in webhook.requests) == [2, 4, 4]


@pytest.mark.parametrize(
    ("max_events", "media_type"), [(1, "application/cloudevents+json"), (2, "application/cloudevents-batch+json")]
)
async def test_cloud_events(start: Start, webhook: Webhook, max_events: int, media_type: str) -> None:
    """CloudEvents travel as one object each, or as arrays when batched, each with its media type."""
    delivery = await start(schema=Schema.CLOUD_EVENTS, max_events=max_events)
    delivery.accept(make_events(2))
    await eventually(lambda: len(webhook.events) == 2)
    assert {event["specversion"] for event in webhook.events} == {"1.0"}
    for headers, body in webhook.requests:
        assert headers["Content-Type"].startswith(media_type)
        assert isinstance(body, dict if max_events == 1 else list)


async def test_a_receiver_that_is_down_gets_everything_when_it_is_up(start: Start, webhook: Webhook) -> None:
    """Nothing is lost or dead-lettered while nobody listens, and everything arrives soon after."""
    await webhook.stop()
    delivery = await start()
    delivery.accept(make_events(200))
    await eventually(lambda: delivery.stats()["retried"] >= 3)
    assert len(delivery._journal.queued()) == 200
    await webhook.start()
    await eventually(lambda: len(webhook.events) >= 200 and idle(delivery))
    assert len(webhook.in_order()) == 200
    assert delivery.stats()["dead_lettered"] == 0


async def test_failures_are_retried_until_they_succeed(start: Start, webhook: Webhook) -> None:
    """500, 404, 429, 503 and redirects are failures; each event is tried again until it is taken."""
    statuses = iter([500, 404, 429, 503, 307])

    async def answer(_: list[dict]) -> int:
        return next(statuses, 202)

    webhook.answer = answer
    delivery = await start()
    delivery.accept(make_events(1))
    await eventually(lambda: len(webhook.events) == 1)
    await eventually(lambda: delivery.stats()["delivered"] == 1)
    assert delivery.stats()["retried"] == 5
    assert [headers["aeg-delivery-count"] for headers, _ in webhook.requests] == ["0", "1", "2", "3", "4", "5"]


async def test_a_connection_cut_in_the_middle_is_delivered_again(start: Start, webhook: Webhook) -> None:
    """An answer that never came says nothing: the event, perhaps processed, is delivered once more."""
    webhook_port, cut = webhook.port, 0
    await webhook.stop()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        await reader.readuntil(b"\r\n\r\n")
        cut += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", webhook_port)
    delivery = await start()
    delivery.accept(make_events(1))
    await eventually(lambda: cut >= 2)
    server.close()
    await server.wait_closed()
    await webhook.start()
    await eventually(lambda: len(webhook.events) == 1)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_refusals_are_dead_letters_at_once(start: Start, webhook: Webhook, status: int) -> None:
    """Statuses that Event Grid does not retry leave the event in the journal with the reason."""

    async def answer(_: list[dict]) -> int:
        return status

    webhook.answer = answer
    delivery = await start()
    (event,) = make_events(1)
    delivery.accept([event])
    await eventually(lambda: delivery.stats()["dead_lettered"] == 1)
    assert len(webhook.requests) == 1
    (dead,) = delivery._journal.kept("dead")
    assert (dead.event, dead.reason) == (event, f"status {status} is not retried")
    delivery = await start()
    assert (delivery.stats()["dead_lettered"], delivery.stats()["queued"]) == (1, 0)


async def test_events_that_are_too_old_are_dead_letters(start: Start, webhook: Webhook) -> None:
    """After its time to live a failing event is kept with the last failure as its reason."""

    async def answer(_: list[dict]) -> int:
        return 500

    webhook.answer = answer
    delivery = await start(ttl_seconds=0.3)
    delivery.accept(make_events(1))
    await eventually(lambda: delivery.stats()["dead_lettered"] == 1)
    assert delivery.stats()["retried"] >= 1
    assert "last status 500" in delivery._journal.kept("dead")[0].reason


async def test_what_was_undelivered_is_delivered_after_a_restart(start: Start, webhook: Webhook) -> None:
    """A new process on the same journal goes on where the last one ended."""
    await webhook.stop()
    delivery = await start()
    events = make_events(20)
    delivery.accept(events)
    await start()
    await webhook.start()
    await eventually(lambda: webhook.in_order() == events)


async def test_retries_follow_the_scaled_schedule(start: Start) -> None:
    """Waits are Event Grid's times the scale, within the jitter, capped."""
    delivery = await start(retry_scale=0.01, max_retry_seconds=5.0)
    for attempt in range(15):
        expected = min(RETRY_SCHEDULE[min(attempt, 9)] * 0.01, 5.0)
        assert delivery._retry_seconds(attempt) == pytest.approx(expected, rel=0.1)


async def test_chaos_duplicates_reorders_and_drops_as_asked(start: Start, webhook: Webhook) -> None:
    """Of 400 events the asked-for shares come twice, late or never; the journal keeps the dropped ones."""
    delivery = await start(chaos=Chaos(dup=0.3, reorder=0.5, drop=0.05, delay=0.2), seed=3)
    for number in range(400):
        delivery.accept(make_events(1, number))
    await eventually(lambda: idle(delivery))
    stats = delivery.stats()
    assert stats["delivered"] + stats["dropped"] == stats["emitted"] == 400
    assert 5 <= stats["dropped"] <= 40
    assert 80 <= stats["duplicated"] <= 160
    assert len(webhook.events) == stats["delivered"] + stats["duplicated"]
    assert len(webhook.in_order()) == stats["delivered"]
    assert len(delivery._journal.kept("dropped")) == stats["dropped"]
    arrived = [event["data"]["sequencer"] for event in webhook.events]
    assert sum(a > b for a, b in itertools.pairwise(arrived)) > 50


async def test_the_last_delivered_events_can_be_delivered_again(start: Start, webhook: Webhook) -> None:
    """`redeliver` repeats the newest deliveries and counts them as duplicates."""
    delivery = await start()
    delivery.accept(make_events(5))
    await eventually(lambda: delivery.stats()["delivered"] == 5)
    assert delivery.redeliver(2) == 2
    assert delivery.redeliver(0) == 0
    await eventually(lambda: delivery.stats()["duplicated"] == 2)
    assert len(webhook.events) == 7
    assert len(webhook.in_order()) == 5


async def test_no_more_requests_than_allowed_run_at_once(start: Start, webhook: Webhook) -> None:
    """Deliveries run in parallel, up to the limit."""
    running = most = 0
    gate = asyncio.Event()

    async def answer(_: list[dict]) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return 202

    webhook.answer = answer
    delivery = await start(parallel=8)
    delivery.accept(make_events(30))
    await eventually(lambda: running == 8)
    assert delivery.stats()["in_flight"] == 8
    gate.set()
    await eventually(lambda: len(webhook.events) == 30)
    assert most == 8


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_the_control_endpoint_answers_no_web_page(bridge: Bridge, headers: dict[str, str]) -> None:
    """One in the developer's browser could have events dropped."""
    url = f"{bridge.url}/__bridge__/chaos"
    async with aiohttp.ClientSession() as session, session.put(url, data="drop=1", headers=headers) as answer:
        assert answer.status == 403
    assert bridge.delivery.chaos.drop == 0


async def test_the_control_endpoint(bridge: Bridge) -> None:
    """Statistics, dead letters, live chaos and redelivery are there over HTTP; nonsense is refused."""
    url = f"{bridge.url}/__bridge__"
    async with aiohttp.ClientSession() as session:

        async def call(method: str, path: str, body: str = "") -> tuple[int, object]:
            async with session.request(method, f"{url}/{path}", data=body) as answer:
                return answer.status, json.loads(await answer.text())

        bridge.delivery.accept(make_events(3))
        await eventually(lambda: bridge.delivery.stats()["delivered"] == 3)
        status, stats = await call("GET", "stats")
        names = {
            "queued",
            "in_flight",
            "emitted",
            "delivered",
            "duplicated",
            "dropped",
            "dead_lettered",
            "retried",
            "chaos",
        }
        assert (status, stats.keys(), stats["delivered"]) == (200, names, 3)
        assert await call("POST", "redeliver?last=2") == (202, {"redelivering": 2})
        assert await call("PUT", "chaos", "dup=1") == (200, {"chaos": "dup=1"})
        bridge.delivery.accept(make_events(1, 9))
        await eventually(lambda: bridge.delivery.stats()["duplicated"] == 3)
        status, problem = await call("PUT", "chaos", "dup=7")
        assert status == 400
        assert "allowed:" in problem["error"]
        assert await call("GET", "dead-letters") == (200, [])
        assert (await call("GET", "nothing"))[0] == 404
        assert (await call("POST", "redeliver?last=x"))[0] == 400
