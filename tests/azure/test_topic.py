"""What a custom topic gets, over real HTTP: CloudEvents 1.0."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from azure.core.credentials import AzureKeyCredential

from shared.azure.topic import GridTopic
from shared.errors import NotPublished
from shared.model.cases import CaseTally, StoredCase, nothing
from shared.model.tally import Change, Tally
from tests.fakes.memory_blobs import START

EMPTY = Tally("e", b"k" * 16, "f", START, START, ready=True)


class Received:
    """A topic of Event Grid, and the app's way to it."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[list[dict[str, object]]] = []
        self.content_types: set[str] = set()
        self.topic: GridTopic

    async def take(self, request: web.Request) -> web.Response:
        """Take a request."""
        self.content_types.add(request.content_type)
        self.bodies.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def received() -> AsyncIterator[Received]:
    """Return what is received."""
    made = Received()
    app = web.Application()
    app.router.add_post("/api/events", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.topic = GridTopic(f"http://127.0.0.1:{runner.addresses[0][1]}/api/events", AzureKeyCredential("k"))
    yield made
    await made.topic.close()
    await runner.cleanup()


async def test_the_topic_gets_a_cloud_event_with_the_status(received: Received) -> None:
    """Its data is that of the status endpoint, and its id is the version."""
    await received.topic.publish(EMPTY.apply([Change("queued", "queued/1.jpg", 1)], START))
    ((event,),) = received.bodies
    assert received.content_types == {"application/cloudevents-batch+json"}
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "Storage.StatusChanged", "/cases/storage")
    assert event["id"] == "e-1"
    assert event["data"] == {
        "queued_count": 1,
        "input_count": 0,
        "output_count": 0,
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "version": "e-1",
    }


async def test_the_topic_gets_a_cloud_event_a_case(received: Received) -> None:
    """In one request: with its name, its counts as they are served, and an id of their version."""
    tallies = [CaseTally("e", {"queued": 0, "input": 0, "output": n}, n, START, drained=True) for n in (3, 4)]
    await received.topic.publish_drained([StoredCase(f"case {each.revision}", each, "*", "g1") for each in tallies])
    ((first, second),) = received.bodies
    assert received.content_types == {"application/cloudevents-batch+json"}
    assert (first["specversion"], first["type"], first["source"]) == ("1.0", "Storage.CaseDrained", "/cases/storage")
    assert (first["id"], first["subject"], first["time"]) == ("drained-e-3", "case 3", "2026-01-01T00:00:00.000Z")
    assert first["data"] == {
        "case": "case 3",
        "queued_count": 0,
        "input_count": 0,
        "output_count": 3,
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "version": "e-3",
    }
    assert second["id"] == "drained-e-4"


async def test_what_the_topic_refuses_is_not_published(received: Received) -> None:
    """Whoever publishes learns of it, and tries again when it suits them."""
    received.status = 503
    case = StoredCase("a", nothing("e"), "*", "g1")
    for publish in (received.topic.publish(EMPTY), received.topic.publish_drained([case])):
        with pytest.raises(NotPublished):
            await publish
    assert len(received.bodies) == 2
