"""The HTTP face on the engines, without a host: methods, tokens, errors, CORS, waits and streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from math import inf
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.clock import SystemClock
from shared.errors import OutcomeUnknown
from shared.model.ports import Write
from shared.model.tally import to_properties
from shared.process import leak_guard, telemetry
from shared.serving import cors, endpoints, openapi
from shared.serving.auth import Open, Permission
from shared.serving.health import CACHE_SECONDS, DETAILS, Health
from shared.serving.problems import Unauthorized
from shared.serving.responses import EventStream, LatestAnswers
from shared.settings.app import Settings
from shared.watching.watch import Watch
from shared.writing.tally_row import PARTITION, TALLY_KEY, Counts
from tests.fakes.memory_table import Fault
from tests.fakes.world import FINGERPRINT, World

ORIGIN = "https://app.example.com"
ENVIRON = {
    "STORAGE": "UseDevelopmentStorage=true",
    "CORS_ORIGINS": ORIGIN,
    "MAX_WAIT_SECONDS": "5",
    "MAX_STREAM_SECONDS": "30",
    "HEARTBEAT_SECONDS": "10",
}


class Closed:
    """Lets one token in, until it ends."""

    def __init__(self, ends_at: float = inf, cases: frozenset[str] | None = None) -> None:
        self._permission = Permission(ends_at, cases)

    async def check(self, authorization: str | None) -> Permission:
        """Refuse, unless it is the one token."""
        if authorization != "Bearer good":
            raise Unauthorized("send Authorization: Bearer <token>")
        return self._permission


class App:
    """What requests are answered from: on the world's table, in real time."""

    def __init__(self, world: World, **environ: str) -> None:
        self.world = world
        settings = Settings.from_environ(ENVIRON | environ)
        self.max_wait_seconds, self.max_stream_seconds = settings.max_wait_seconds, settings.max_stream_seconds
        self.heartbeat_seconds, self.shows_details = settings.heartbeat_seconds, True
        self.origins = settings.cors_origins
        self.clock: Any = SystemClock()
        self.random = Random(0)
        self.counts = Counts(world.table, FINGERPRINT, self.clock)
        self.watch = Watch(self.counts, self.clock, 0.02, settings.max_waiters)
        self.answers = LatestAnswers()
        self.has_cases = self.hides_unknown_cases = False
        self.auth: Any = Open()
        self.health = self.new_health()
        self.left = False

    async def ask(
        self,
        handler: Any = endpoints.status,
        method: str = "GET",
        query: str = "",
        case: str = "",
        **headers: str,
    ) -> Response:
        """Send a request, of everything or of a case; ``open_to_all`` as the triggers have it."""

        async def receive() -> dict[str, str]:
            if not self.left:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "method": method,
            "path": f"/api/cases/{case}{'/' if case else ''}storage/status",
            "query_string": query.encode("latin-1"),
            "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("127.0.0.1", 80),
            "scheme": "http",
        }
        site = endpoints.Site(self.get, self.origins)
        if method == "OPTIONS":
            return await endpoints.options(site, Request(scope, receive))
        open_to_all = handler in {endpoints.health, openapi.openapi}
        asked = Request(scope, receive)
        return await endpoints.serve(site, asked, handler, open_to_all=open_to_all, of_case=bool(case))

    def new_health(self) -> Health:
        """Return a report that has not been made yet."""
        process = self.world.process

        async def quarantined() -> dict[str, object]:
            return {"quarantined_by_this_instance": 7}

        probes = [process.delivery.health, process.writer.health, quarantined, process.reconciler.health]
        probes.append(leak_guard.LeakGuard().health)
        return Health(self.watch, self.clock, probes)

    async def get(self) -> Any:
        """Return itself: the app is up."""
        return self

    async def upload(self, name: str = "a.jpg") -> None:
        """Have one more blob counted by another process."""
        await self.world.process.delivery.take(self.world.blobs.put(f"queued/{name}"))


@pytest.fixture
async def app(world: World) -> AsyncIterator[App]:
    """Return what answers."""
    made = App(world)
    yield made
    made.watch.close()


def problem(response: Response, status: int) -> dict[str, Any]:
    """Return the problem document of an answer, which no cache may keep."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = json.loads(response.body)
    return found


@pytest.mark.parametrize("handler", [endpoints.status, endpoints.stream])
@pytest.mark.parametrize("case", ["", "b", "A"])
async def test_a_token_of_some_cases_opens_no_others(app: App, handler: Any, case: str) -> None:
    """Nor the counts of everything, which tell of them."""
    app.auth = Closed(cases=frozenset({"a"}))
    answer = await app.ask(handler, case=case, authorization="Bearer good")
    problem(answer, 403)


async def test_counts_are_answered_at_once(app: App) -> None:
    """With their version as ETag, and 304 while it holds."""
    await app.upload()
    first = await app.ask()
    assert (first.status_code, json.loads(first.body)["data"]["queued_count"]) == (200, 1)
    again = await app.ask(if_none_match=first.headers["ETag"])
    assert (again.status_code, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await app.upload("b.jpg")
    while (changed := await app.ask(if_none_match=first.headers["ETag"])).status_code == 304:
        await asyncio.sleep(0)
    assert json.loads(changed.body)["data"]["queued_count"] == 2


async def test_a_held_poll_is_answered_when_the_counts_change(app: App) -> None:
    """With the new counts, whichever way the wait was asked for; what was preferred is said to be applied."""
    etag = (await app.ask()).headers["ETag"]
    waiting = asyncio.create_task(app.ask(query="wait=5", if_none_match=etag))
    preferred = asyncio.create_task(app.ask(prefer="wait=9", if_none_match=etag))
    while app.watch.waiters < 2:
        await asyncio.sleep(0)
    await app.upload()
    async with asyncio.timeout(5):
        found = await asyncio.gather(waiting, preferred)
    assert [(each.status_code, json.loads(each.body)["data"]["queued_count"]) for each in found] == [(200, 1)] * 2
    assert [each.headers.get("Preference-Applied") for each in found] == [None, "wait=5"]


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 4.0), (1 / 16, 3.75)])
async def test_i9_a_wait_ends_in_its_time_or_up_to_a_sixteenth_earlier(app: App, drawn: float, seconds: float) -> None:
    """So that clients who came together do not come back together."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return drawn

    version = (await app.watch.latest()).version
    app.random = SimpleNamespace(uniform=uniform)  # type: ignore[assignment]
    app.watch.changed = AsyncMock(return_value=None)  # type: ignore[method-assign]
    response = await app.ask(query="wait=4", if_none_match=f'"{version}"')
    assert response.status_code == 304
    assert asked == [(0, 1 / 16)]
    assert app.watch.changed.await_args.args[:2] == (version, seconds)


@pytest.mark.parametrize(("left", "held", "applied"), [(2.26, 2.26, "2.3"), (-1.0, 0.0, "0"), (60.0, 4.0, "4")])
async def test_i9_nobody_is_held_longer_than_his_token_lasts(app: App, left: float, held: float, applied: str) -> None:
    """Neither a wait nor a stream; what is said to be applied is what was."""
    app.clock = SimpleNamespace(monotonic=lambda: 100.0)
    app.auth = Closed(100.0 + left)
    app.random = SimpleNamespace(uniform=lambda *_: 0.0)  # type: ignore[assignment]
    version = (await app.watch.latest()).version
    app.watch.changed = AsyncMock(return_value=None)  # type: ignore[method-assign]
    response = await app.ask(authorization="Bearer good", prefer="wait=4", if_none_match=f'"{version}"')
    assert response.headers["Preference-Applied"] == f"wait={applied}"
    assert app.watch.changed.await_args.args[1] == pytest.approx(held)
    streamed = await app.ask(endpoints.stream, authorization="Bearer good")
    assert isinstance(streamed, EventStream)
    assert streamed._longest_seconds == pytest.approx(min(30.0, max(0.0, left)) + 10)
    await streamed._frames.aclose()


async def test_who_has_other_counts_is_not_held(app: App) -> None:
    """There is news already; nor is who names no version."""
    async with asyncio.timeout(1):
        assert (await app.ask(query="wait=5", if_none_match='"other"')).status_code == 200
        assert (await app.ask(query="wait=5")).status_code == 200


async def test_i9_a_client_that_leaves_is_let_go(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hears the answer, which is of no error."""
    monkeypatch.setattr("shared.watching.waiters.SWEEP_SECONDS", 0.01)
    etag = (await app.ask()).headers["ETag"]
    waiting = asyncio.create_task(app.ask(query="wait=5", if_none_match=etag))
    while not app.watch.waiters:
        await asyncio.sleep(0)
    app.left = True
    async with asyncio.timeout(2):
        assert (await waiting).status_code == 499
    assert app.watch.waiters == 0


async def sent(response: Response) -> Response:
    """Have an answer sent, and return what the client gets: of a stream when it is over."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await response({"type": "http"}, None, send)
    body = b"".join(message["body"] for message in messages[1:])
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Response(body, messages[0]["status"], headers)


async def frames(response: Response, count: int) -> list[bytes]:
    """Return the first frames of a stream, and end it."""
    assert isinstance(response, EventStream)
    found = []
    async with asyncio.timeout(5):
        async for frame in response._frames:
            found.append(frame)
            if len(found) == count:
                break
    await response._frames.aclose()
    return found


async def test_a_stream_begins_with_the_counts_and_goes_on_with_changes(app: App) -> None:
    """How soon to come back first; its headers keep anybody in between from holding it up."""
    response = await app.ask(endpoints.stream)
    expected = {
        "Cache-Control": "no-store, no-transform",
        "X-Accel-Buffering": "no",
        "Vary": "Authorization",
        "Content-Type": "text/event-stream; charset=utf-8",
    }
    assert {name: response.headers[name] for name in expected} == expected
    uploading = asyncio.create_task(app.upload())
    first, second = await frames(response, 2)
    await uploading
    assert first.startswith(b"retry: 3000\n")
    assert b'"queued":0' in first
    assert b"event: status_update" in second
    assert b'"queued":1' in second


async def test_a_stream_says_unchanged_to_who_knows(app: App) -> None:
    """And the whole counts to who knows others, or nothing."""
    version = (await app.watch.latest()).version
    known = await frames(await app.ask(endpoints.stream, last_event_id=version), 1)
    other = await frames(await app.ask(endpoints.stream, last_event_id="other-1"), 1)
    assert (b"queued" in known[0], b"queued" in other[0]) == (False, True)


async def test_a_stream_keeps_its_connection_alive(app: App) -> None:
    """Every ``HEARTBEAT_SECONDS``, by a comment."""
    app.heartbeat_seconds = 0.1
    _, second, third = await frames(await app.ask(endpoints.stream), 3)
    assert second == third == b": keep-alive\n\n"


@pytest.mark.parametrize(("drawn", "life_seconds"), [(0.0, 30.0), (1 / 16, 28.125)])
async def test_i9_a_stream_ends_in_its_time_or_up_to_a_sixteenth_earlier(
    app: App, drawn: float, life_seconds: float
) -> None:
    """A client that has stopped reading is given up ten seconds later."""
    now = [100.0]
    waited: list[float] = []

    async def following(_: str, seconds: float, __: object) -> None:
        waited.append(seconds)
        now[0] += seconds

    app.clock = SimpleNamespace(monotonic=lambda: now[0])
    app.random = SimpleNamespace(uniform=lambda _, high: drawn * 16 * high)  # type: ignore[assignment]
    app.watch.next = following  # type: ignore[assignment, method-assign]
    response = await app.ask(endpoints.stream)
    assert isinstance(response, EventStream)
    assert response._longest_seconds == life_seconds + 10
    assert len([frame async for frame in response._frames]) == 1 + len(waited)
    assert waited == [10, 10, life_seconds - 20]


async def test_a_stream_of_a_process_that_stops_says_when_to_come_back(app: App) -> None:
    """Half a second to five, another for each: they do not come to the next process all at once."""
    response = await app.ask(endpoints.stream)
    asked: list[tuple[int, int]] = []
    app.random = SimpleNamespace(randint=lambda *span: asked.append(span) or 1234)  # type: ignore[assignment]
    assert isinstance(response, EventStream)
    await anext(response._frames)
    app.watch.drain()
    async with asyncio.timeout(5):
        rest = [frame async for frame in response._frames]
    assert rest[-1] == b"retry: 1234\n\n"
    assert asked == [(500, 5000)]


async def test_a_stream_ends_when_the_counts_cannot_be_read(app: App) -> None:
    """Its client comes back, and is told why; nothing is raised into the platform."""
    response = await app.ask(endpoints.stream)
    assert isinstance(response, EventStream)
    await anext(response._frames)

    async def following(*_: object) -> None:
        app.watch._failure = None
        raise endpoints.Unavailable("away")

    app.watch.next = following  # type: ignore[assignment, method-assign]
    assert [frame async for frame in response._frames] == []


async def test_head_of_a_stream_holds_nothing(app: App) -> None:
    """Its headers are answered at once."""
    response = await app.ask(endpoints.stream, "HEAD")
    assert not isinstance(response, EventStream)
    assert (response.status_code, response.body) == (200, b"")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert isinstance(await app.ask(endpoints.stream, "GET"), EventStream)


async def test_when_there_is_no_room_no_stream_begins(app: App) -> None:
    """503, and when to come back; a page of an allowed origin may read it."""
    app.watch.max_waiters = 0
    response = await sent(await app.ask(endpoints.stream, origin=ORIGIN))
    assert problem(response, 503)["code"] == "too-many-waiters"
    assert 2 <= int(response.headers["Retry-After"]) <= 6
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_stream_is_counted_as_what_its_client_gets(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, when it is known: 200 where there is room, and else 503."""
    counted: list[int] = []
    answers = SimpleNamespace(add=lambda _, attributes: counted.append(attributes["status"]))
    monkeypatch.setattr(telemetry, "ANSWERS", answers)
    app.max_stream_seconds = 0
    for places in (1, 0):
        app.watch.max_waiters = places
        await sent(await app.ask(endpoints.stream))
    assert counted == [200, 503]


async def test_a_stream_of_a_process_that_is_about_to_stop_does_not_begin(app: App) -> None:
    """Also where that became known after the counts were read."""
    response = await app.ask(endpoints.stream)
    app.watch.drain()
    assert problem(await sent(response), 503)["code"] == "unavailable"


@pytest.mark.parametrize("seed", range(8))
async def test_clients_that_come_at_once_get_the_places_that_there_are(app: App, seed: int) -> None:
    """Streams and held polls together, however late an answer begins; each of the others is refused."""
    random = Random(seed)
    places = app.watch.max_waiters = random.randint(1, 9)
    version = (await app.watch.latest()).version

    async def come(*, streams: bool) -> int:
        response = await (app.ask(endpoints.stream) if streams else app.ask(query="wait=5&since=" + version))
        for _ in range(random.randint(0, 5)):  # the platform runs it later
            await asyncio.sleep(0)
        statuses.append((await sent(response)).status_code)
        return statuses[-1]

    statuses: list[int] = []
    clients = [asyncio.create_task(come(streams=random.random() < 0.7)) for _ in range(40)]
    async with asyncio.timeout(5):
        while len(statuses) < 40 - places:
            await asyncio.sleep(0)
            assert app.watch.waiters <= places
    assert app.watch.waiters == places
    assert set(statuses) == {503}
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    assert app.watch.waiters == 0


@pytest.mark.parametrize("handler", [endpoints.status, endpoints.stream, endpoints.health, openapi.openapi])
async def test_methods(app: App, handler: Any) -> None:
    """GET and HEAD are answered, OPTIONS says so, and all others are refused, whoever asks."""
    app.auth = Closed()
    options = await app.ask(handler, "OPTIONS")
    assert (options.status_code, options.body, options.headers["Allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused = await app.ask(handler, method)
        assert method in problem(refused, 405)["detail"]
        assert refused.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert (await app.ask(handler, "HEAD", authorization="Bearer good")).status_code == 200


@pytest.mark.parametrize("handler", [endpoints.status, endpoints.stream])
async def test_the_counts_are_for_who_has_a_token(app: App, handler: Any) -> None:
    """Asked before anything else is done."""
    app.auth = Closed()
    refused = await app.ask(handler)
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    problem(refused, 401)
    assert app.watch.reads == 0
    assert (await app.ask(handler, authorization="Bearer good")).status_code == 200


async def test_long_headers_are_refused(app: App) -> None:
    """16,384 characters together are taken, one more is not."""
    assert (await app.ask(x="a" * 16_383)).status_code == 200
    assert "16384" in problem(await app.ask(x="a" * 16_384), 400)["detail"]
    assert "16384" in problem(await app.ask(x="a" * 8192, y="a" * 8192), 400)["detail"]


async def test_long_queries_are_refused(app: App) -> None:
    """A hundred parameters are taken; an empty one counts."""
    assert (await app.ask(query="&".join(["a="] * 100))).status_code == 200
    assert "100" in problem(await app.ask(query="&".join(["a="] * 101)), 400)["detail"]
    assert (await app.ask(query="since=%ff")).status_code == 200
    problem(await app.ask(query="wait="), 400)


async def test_storage_that_is_away_is_said_to_be(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, with a time to come back drawn from two to six seconds; not who refused what."""
    asked: list[tuple[int, int]] = []
    drawn = SimpleNamespace(randint=lambda *span: asked.append(span) or 4)
    monkeypatch.setattr(endpoints, "_RANDOM", drawn)

    async def away(*_: object) -> Response:
        raise OutcomeUnknown("the account's secret name")

    response = await app.ask(away, origin=ORIGIN)
    assert "secret" not in str(problem(response, 503))
    assert response.headers["Retry-After"] == "4"
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert asked == [(2, 6)]


async def test_a_stream_that_cannot_begin_says_so_as_an_event_to_who_takes_nothing_else(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An EventSource would not come back after a 503; who takes problem documents gets one."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(endpoints, "_RANDOM", SimpleNamespace(randint=lambda *span: asked.append(span) or 4000))
    app.watch.max_waiters = 0
    response = await sent(await app.ask(endpoints.stream, accept="text/event-stream"))
    assert (response.status_code, response.headers["Content-Type"][:17]) == (200, "text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    assert b"event: unavailable" in response.body
    assert b"retry: 4000" in response.body
    assert asked == [(2000, 6000)]
    for accept in ("text/event-stream, application/problem+json", "application/json"):
        problem(await sent(await app.ask(endpoints.stream, accept=accept)), 503)


async def test_storage_that_is_away_from_the_start_is_said_to_be(app: App) -> None:
    """Also to a page of another origin, before there are services."""

    async def away() -> Any:
        raise OutcomeUnknown("no way there")

    app.get = away  # type: ignore[method-assign]
    response = await app.ask(origin=ORIGIN)
    problem(response, 503)
    assert 2 <= int(response.headers["Retry-After"]) <= 6
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_fault_of_ours_is_an_answer_too(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """500 without what was raised, which is in the log."""

    async def broken(*_: object) -> Response:
        raise ZeroDivisionError("the reason")

    assert "reason" not in str(problem(await app.ask(broken), 500))
    assert "the reason" in caplog.text


async def test_origins(app: App) -> None:
    """An allowed origin may read every answer and all of its headers, another one may not; caches are told so."""
    allowed = await app.ask(origin=ORIGIN)
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert allowed.headers["Access-Control-Expose-Headers"] == cors.EXPOSED
    assert "Date" in cors.EXPOSED  # a `Retry-After` that is a date is read against it
    assert allowed.headers.getlist("Vary") == ["Authorization, Prefer", "Origin"]
    assert "Access-Control-Max-Age" not in allowed.headers
    for headers in ({}, {"origin": "https://evil.example.com"}, {"origin": ""}, {"origin": "*"}):
        other = await app.ask(**headers)
        assert "Access-Control-Allow-Origin" not in other.headers
        assert "Origin" in other.headers.getlist("Vary")
    refused = await app.ask(method="POST", origin=ORIGIN)
    assert (refused.headers["Access-Control-Allow-Origin"], refused.headers["Vary"]) == (ORIGIN, "Origin")


async def test_no_origins(world: World) -> None:
    """Nobody may read the answers, and caches are told that this depends on the origin: it may once be allowed."""
    app = App(world, CORS_ORIGINS="")
    for handler, method in ((endpoints.status, "GET"), (endpoints.health, "GET"), (endpoints.status, "OPTIONS")):
        found = (await app.ask(handler, method, origin=ORIGIN)).headers
        assert "Origin" in found.getlist("Vary")
        assert "Access-Control-Allow-Origin" not in found
    app.watch.close()


async def test_a_preflight_is_answered(app: App) -> None:
    """What may be sent, and for how long that need not be asked again."""
    found = (await app.ask(method="OPTIONS", origin=ORIGIN)).headers
    assert found["Access-Control-Allow-Methods"] == found["Allow"] == "GET, HEAD, OPTIONS"
    assert found["Access-Control-Allow-Headers"] == cors.ALLOWED
    assert found["Access-Control-Max-Age"] == "7200"


async def test_open_to_all_origins(world: World) -> None:
    """Then the answer is the same for each, and does not vary."""
    app = App(world, CORS_ORIGINS="*")
    found = (await app.ask(origin="https://any.example.com")).headers
    assert (found["Access-Control-Allow-Origin"], found.getlist("Vary")) == ("*", ["Authorization, Prefer"])
    app.watch.close()


async def test_health_tells_everybody_whether_the_app_is_well(app: App) -> None:
    """Details are for who may see the counts of everything, and for nobody where the platform keeps the keys."""
    app.auth = Closed()
    everybody = await app.ask(endpoints.health)
    assert (everybody.status_code, json.loads(everybody.body)) == (200, {"status": "ok"})
    assert (everybody.headers["Content-Type"], everybody.headers["Cache-Control"]) == ("application/json", "no-store")
    assert everybody.headers["Vary"] == "Authorization"
    detailed = json.loads((await app.ask(endpoints.health, authorization="Bearer good")).body)
    assert detailed.keys() == {"status", *DETAILS}
    app.auth = Closed(cases=frozenset({"a"}))
    assert json.loads((await app.ask(endpoints.health, authorization="Bearer good")).body) == {"status": "ok"}
    app.auth = Closed()
    app.shows_details = False
    assert json.loads((await app.ask(endpoints.health, authorization="Bearer good")).body) == {"status": "ok"}


async def test_health_knows_what_happened(app: App) -> None:
    """Events, their age, the quarantine, the last reconciliation, and what is held and read."""
    app.clock = app.world.clock
    app.health = app.new_health()
    before = await app.health.report(detailed=True)
    assert before["last_event_age_seconds"] is None
    await app.upload()
    app.world.clock.advance(90)
    while (await app.watch.latest()).tally.counts()["queued"] != 1:
        await asyncio.sleep(0)
    with app.watch.held():
        found = await app.health.report(detailed=True)
    assert found["last_event_age_seconds"] == 90
    assert found["events"] == {"applied": 1}
    assert found["quarantined_by_this_instance"] == 7
    assert found["last_reconciliation"]["bootstrap"] is True
    assert (found["waiters"], found["waiters_limit"]) == (1, app.watch.max_waiters)
    assert found["status_reads"] >= 1
    assert found["asyncio_tasks"] >= 1
    assert found["storage_reachable"] is True
    assert found["counts_changed_at"] == json.loads((await app.ask()).body)["data"]["timestamp"]


async def test_health_reads_once_a_second_for_all(app: App) -> None:
    """Who asks meanwhile gets the same report."""
    app.clock = app.world.clock
    app.health = app.new_health()
    first, second = await asyncio.gather(app.health.report(detailed=True), app.health.report(detailed=True))
    assert first is second
    app.world.clock.advance(CACHE_SECONDS)
    assert await app.health.report(detailed=True) is first
    app.world.clock.advance(0.01)
    assert await app.health.report(detailed=True) is not first


async def test_health_is_made_once_for_all_who_ask_meanwhile(app: App) -> None:
    """Also where it takes longer than it is kept: else each would be made after the other, for as long as they ask."""
    app.clock, made = app.world.clock, []

    async def slow() -> dict[str, object]:
        made.append(app.world.clock.advance(15))
        return {}

    app.health = app.new_health()
    app.health._probes = [slow]
    await asyncio.gather(*(app.health.report(detailed=True) for _ in range(20)))
    assert len(made) == 1


async def test_health_is_told_without_the_part_that_fails(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """The status and the other parts are there, and the log says what is wrong, once a report."""

    async def broken() -> dict[str, object]:
        raise ZeroDivisionError("the reason")

    app.health._probes = [broken, *app.health._probes]  # type: ignore[list-item]
    for _ in range(3):
        found = json.loads((await app.ask(endpoints.health)).body)
        assert found.keys() == {"status", *DETAILS}
    assert caplog.text.count("ZeroDivisionError: the reason") == 1


async def test_health_without_storage_is_degraded_and_alive(app: App) -> None:
    """Restarting it would not help."""
    app.world.table.fault = lambda _: Fault.LOST_REQUEST
    app.auth = Open()
    response = await app.ask(endpoints.health)
    found = json.loads(response.body)
    assert (response.status_code, found["status"], found["storage_reachable"]) == (200, "degraded", False)
    assert found["last_reconciliation"] is None
    assert "counts_changed_at" not in found


async def test_health_before_the_first_reconciliation_is_not_ready(app: App) -> None:
    """Storage is there; the answer says 503, so that nobody is sent here yet."""
    stored = app.world.table.entities(PARTITION)[TALLY_KEY]
    empty = app.counts.empty()
    await app.world.table.commit(PARTITION, [Write(TALLY_KEY, to_properties(empty), stored.etag)])
    response = await app.ask(endpoints.health)
    found = json.loads(response.body)
    assert (response.status_code, found["status"], found["storage_reachable"]) == (503, "not-ready", True)
