"""The HTTP endpoints: FastAPI requests in, FastAPI responses out, errors as problem documents.

``protocol`` and :mod:`shared.watching.watch` decide what docs/protocol.md says.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from azurefunctions.extensions.http.fastapi import Request, Response

from shared.clock import SystemClock
from shared.errors import BlobStatusError, StorageError, Unavailable
from shared.process import telemetry
from shared.process.log_limit import LogLimit
from shared.serving import cors, problems, protocol
from shared.serving.disconnects import has_left
from shared.serving.problems import BadRequest, CaseUnknown, InternalError, MethodNotAllowed, RequestError
from shared.serving.responses import Answer, EventStream, LatestAnswers
from shared.watching.topic import ClientGone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from random import Random

    from shared.clock import Clock
    from shared.model.snapshot import StatusSnapshot
    from shared.serving.auth import Authenticator, Permission
    from shared.serving.health import Health
    from shared.serving.responses import Header
    from shared.watching.topic import Topic
    from shared.watching.watch import Watch

    type Handler = Callable[[StatusApi, Request], Awaitable[Response]]

log = logging.getLogger(__name__)

#: The triggers list these, because the platform answers an empty 404 to any other method. OPTIONS has triggers of its
#: own, which need no key: a browser's preflight cannot have one.
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PREFLIGHT: Final = ("OPTIONS",)
ALLOW: Final = "GET, HEAD, OPTIONS"
RETRY_AFTER_SECONDS: Final = (2, 6)
RETRY_MS: Final = 3000
STREAM_HEADERS: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
#: The range of ``retry:`` when the process stops, so that its clients do not come to the next one all at once.
STOPPING_RETRY_MS: Final = (500, 5000)
MAX_HEADER_CHARACTERS: Final = 16_384
#: Granted beyond a stream's life to a client that takes its last frames slowly.
STUCK_SECONDS: Final = 10.0
#: A wait ends up to this part earlier than asked, so that many clients do not come back in step.
JITTER: Final = 1 / 16
#: Also serves answers while there is no API yet, because storage was away when the process started.
_RANDOM: Final = SystemRandom()
#: The client of this answer has gone (nginx's "client closed request").
CLIENT_GONE_STATUS: Final = 499


@dataclass(frozen=True, slots=True)
class StatusApi:
    """Everything that the handlers need.

    Attributes:
        watch: The counts, now or when they change.
        auth: Decides which callers may see them.
        health: The app's report on itself.
        clock: Time.
        random: Spreads the ends of waits and streams.
        max_wait_seconds: The longest time that a request is held.
        max_stream_seconds: A stream's life.
        heartbeat_seconds: Between two comments on a quiet stream.
        shows_details: Whether passing ``auth`` proves anything, so that the caller may see the report's details.
        has_cases: Whether there are counts of cases.
        hides_unknown_cases: Whether a case of which nothing was ever counted is answered 404 instead of zeros.
        answers: The answers of the latest counts.
    """

    watch: Watch
    auth: Authenticator
    health: Health
    clock: Clock
    random: Random
    max_wait_seconds: float
    max_stream_seconds: float
    heartbeat_seconds: float
    shows_details: bool
    has_cases: bool = False
    hides_unknown_cases: bool = False
    answers: LatestAnswers = field(default_factory=LatestAnswers)


@dataclass(frozen=True, slots=True)
class Site:
    """Answers requests, with errors while storage is away and there is no API yet.

    Attributes:
        api: Returns the API of this process.
        origins: The browser origins that may read the answers.
        outages: How often storage was away.
    """

    api: Callable[[], Awaitable[StatusApi]]
    origins: tuple[str, ...]
    outages: LogLimit = field(default_factory=lambda: LogLimit(SystemClock()))


async def status(api: StatusApi, request: Request) -> Response:
    """Answer ``GET /api/cases/storage/status``: at once, or when the counts change."""
    query = protocol.parse_status_query(headers_of(request), _query(request), api.max_wait_seconds)
    topic, is_gone = _topic(api, request), partial(has_left, request.receive)
    snapshot = _known(api, await topic.latest(newer_than=query.tags.versions))
    left_seconds = _token_seconds(api, request)
    holds = query.holds_for(snapshot)
    wait_seconds = min(query.wait_seconds * (1 - api.random.uniform(0, JITTER)), left_seconds)
    if query.is_held_from(snapshot):
        changed = await topic.changed(snapshot.version, wait_seconds, is_gone)
        snapshot, holds = (changed, False) if changed is not None else (snapshot, True)
    elif held_seconds := query.seconds_to_date(snapshot, api.clock.now(), api.watch.interval_seconds):
        await topic.changed(snapshot.version, min(held_seconds, wait_seconds), is_gone)
        snapshot = await topic.latest()
    answers = api.answers.of(snapshot, topic.key)
    answer = answers.unchanged if holds else answers.counts
    if query.wait_was_preferred:
        return answer.plus(protocol.applied_wait(min(query.wait_seconds, round(left_seconds, 1))))
    return answer


async def stream(api: StatusApi, request: Request) -> Response:
    """Answer ``GET /api/cases/storage/status/stream``: Server-Sent Events until the stream's life is over."""
    known = protocol.parse_last_event_id(headers_of(request), _query(request))
    # A failure is answered before the stream begins.
    topic = _topic(api, request)
    snapshot = _known(api, await topic.latest(newer_than=frozenset({known})))
    headers = STREAM_HEADERS | {"Vary": "Authorization"}
    if request.method == "HEAD":
        response = Response(media_type=protocol.EVENT_STREAM, headers=headers)
        del response.headers["content-length"]  # GET's is not known, and not 0
        return response
    life_seconds = api.max_stream_seconds * (1 - api.random.uniform(0, JITTER))
    life_seconds = min(life_seconds, _token_seconds(api, request))
    frames = _frames(api, topic, snapshot, known, life_seconds, partial(has_left, request.receive))
    return EventStream(frames, headers, life_seconds + STUCK_SECONDS)


async def health(api: StatusApi, request: Request) -> Response:
    """Answer ``GET /api/health``: liveness for everybody, details for those who may see the counts of everything."""
    try:
        (await api.auth.check(authorization_of(request))).require("")
        detailed = api.shows_details
    except (RequestError, Unavailable):
        detailed = False
    found = await api.health.report(detailed=detailed)
    healthy = found["status"] != "not-ready"
    return Response(
        json.dumps(found),
        status_code=200 if healthy else 503,
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Vary": "Authorization"},
    )


async def options(site: Site, request: Request) -> Response:
    """Answer OPTIONS, such as a browser's preflight: for everybody, and without storage."""
    telemetry.ANSWERS.add(1, {"status": 204})
    return _plus(Response(status_code=204, headers={"Allow": ALLOW}), cors.headers(site.origins, request, ALLOW))


async def serve(
    site: Site, request: Request, handler: Handler, *, open_to_all: bool = False, of_case: bool = False
) -> Response:
    """Run a handler with what all handlers share: method, token, errors, CORS.

    Args:
        site: Where the API comes from.
        request: The request.
        handler: Makes the answer.
        open_to_all: Whether the handler itself decides what an unauthenticated caller may see.
        of_case: Whether the route has a case in its path; without, the counts are of everything.
    """
    found: Response | BlobStatusError
    try:
        found = await _handle(await site.api(), request, handler, open_to_all=open_to_all, of_case=of_case)
    except ClientGone:
        found = Response(status_code=CLIENT_GONE_STATUS)
    except StorageError as failure:
        if times := site.outages.count():
            log.warning("storage is unavailable: %d requests, the last: %s", times, failure)
        found = Unavailable("storage cannot be reached right now; try again")
    except (RequestError, Unavailable) as refusal:
        found = refusal
    except Exception:
        log.exception("%s failed", request.url.path)
        found = InternalError("the request could not be answered; it is in the app's log")
    return _finished(site, request, handler, found)


def _finished(site: Site, request: Request, handler: Handler, found: Response | BlobStatusError) -> Response:
    """Return what is sent, with CORS headers, and count it; a stream counts itself when it begins."""
    if isinstance(found, BlobStatusError):
        response, status = _refusal(request, handler, found), problems.problem_of(found).status
    else:
        response, status = found, found.status_code
    if isinstance(response, EventStream):
        response.refused = partial(_finished, site, request, handler)  # when it begins, and finds no room
    else:
        telemetry.ANSWERS.add(1, {"status": status})
    return _plus(response, cors.headers(site.origins, request, ALLOW))


async def _handle(api: StatusApi, request: Request, handler: Handler, *, open_to_all: bool, of_case: bool) -> Response:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(f"{request.method} does not apply here; use GET", {"Allow": ALLOW})
    if sum(len(name) + len(value) for name, value in request.headers.raw) > MAX_HEADER_CHARACTERS:
        raise BadRequest(f"the headers are longer than {MAX_HEADER_CHARACTERS} characters together")
    if not open_to_all:
        request.state.permission = await api.auth.check(authorization_of(request))
        path = request.scope.get("raw_path") or request.scope["path"].encode()
        request.state.case = protocol.parse_case(path) if of_case else ""
    return await handler(api, request)


def authorization_of(request: Request) -> str | None:
    """Return the Authorization header, or None: also when two of its lines differ, because neither can be trusted."""
    shown = set(request.headers.getlist("authorization"))
    return shown.pop() if len(shown) == 1 else None


def _token_seconds(api: StatusApi, request: Request) -> float:
    """Return how long the caller may be held: to the end of its token."""
    permission: Permission = request.state.permission
    return max(0.0, permission.ends_at - api.clock.monotonic())


def _topic(api: StatusApi, request: Request) -> Topic:
    """Return what the caller follows, if it may: a case, or everything."""
    permission: Permission = request.state.permission
    case: str = request.state.case
    permission.require(case)
    return api.watch.of(case) if case else api.watch


def _known(api: StatusApi, snapshot: StatusSnapshot) -> StatusSnapshot:
    if snapshot.tally.changed_at is None and api.hides_unknown_cases:
        raise CaseUnknown("no image of this case has been counted yet; try again when one was uploaded")
    return snapshot


async def _frames(
    api: StatusApi,
    topic: Topic,
    snapshot: StatusSnapshot,
    known: str,
    life_seconds: float,
    is_gone: Callable[[], bool],
) -> AsyncGenerator[bytes]:
    watch, heartbeat_seconds = api.watch, api.heartbeat_seconds
    ends_at = api.clock.monotonic() + life_seconds
    version = snapshot.version
    with watch.held():
        yield protocol.retry_line(RETRY_MS) + (protocol.UNCHANGED if snapshot.is_named(known) else snapshot.frame)
        try:
            while not watch.is_stopping and (left_seconds := ends_at - api.clock.monotonic()) > 0:
                changed = await topic.next(version, min(heartbeat_seconds, left_seconds), is_gone)
                if changed is not None:
                    version = changed.version
                yield protocol.KEEP_ALIVE if changed is None else changed.frame
        except ClientGone:
            return
        except Unavailable as error:
            log.info("a stream ends: %s", error)  # the client comes back and gets the reason
    if watch.is_stopping:
        yield protocol.retry_line(api.random.randint(*STOPPING_RETRY_MS)) + b"\n"


def _refusal(request: Request, handler: Handler, error: BlobStatusError) -> Response:
    """Answer an error with a problem document, or as an event to a client that would not come back otherwise."""
    headers = {"Cache-Control": "no-store"} | (error.headers if isinstance(error, RequestError) else {})
    if isinstance(error, Unavailable):
        low, high = RETRY_AFTER_SECONDS
        if handler is stream and protocol.takes_events_only(headers_of(request)):
            events = protocol.unavailable(error, _RANDOM.randint(low * 1000, high * 1000))
            return Response(events, media_type=protocol.EVENT_STREAM, headers=STREAM_HEADERS)
        headers["Retry-After"] = str(_RANDOM.randint(low, high))
    status = problems.problem_of(error).status
    return Response(problems.document(error), status_code=status, media_type=problems.MEDIA_TYPE, headers=headers)


def _plus(response: Response, headers: tuple[Header, ...]) -> Response:
    if isinstance(response, Answer):
        return response.plus(*headers)
    for name, value in headers:
        response.headers.append(name, value)
    return response


def headers_of(request: Request) -> list[tuple[str, str]]:
    """Return the headers in order, names in lower case."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw]


def _query(request: Request) -> list[tuple[str, str]]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="replace")
    except ValueError:
        raise BadRequest("more than 100 query parameters") from None
