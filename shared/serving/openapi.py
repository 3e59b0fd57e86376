"""The HTTP contract for machines: an OpenAPI 3.1 document, made once and served at ``/api/openapi.json``.

docs/protocol.md is the contract in words. Limits, methods and problem codes come from the code; tests check the parts
that are written by hand (``tests/serving/test_openapi.py`` and ``tests/protocol/test_openapi.py``).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from azurefunctions.extensions.http.fastapi import Response

from shared.serving import protocol
from shared.serving.endpoints import ALLOW, STREAM_HEADERS, headers_of
from shared.serving.health import DETAILS
from shared.serving.problems import MEDIA_TYPE, PROBLEMS, CaseUnknown, Forbidden, Problem

if TYPE_CHECKING:
    from azurefunctions.extensions.http.fastapi import Request

    from shared.serving.endpoints import StatusApi

    type Json = dict[str, Any]

VERSION: Final = "0.1.0"
CACHE_CONTROL: Final = "public, max-age=3600"
PLATFORM: Final = {"description": "The platform's, before the app is reached: the headers are too large"}
STATUS_CACHE_CONTROL: Final = "private, no-cache, no-transform"


async def openapi(api: StatusApi, request: Request) -> Response:
    """Answer ``GET /api/openapi.json``."""
    body, tag = _BODIES[api.has_cases]
    headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL}
    if protocol.if_none_match(headers_of(request)).hold_for(tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def document(*, has_cases: bool = False) -> Json:
    """Make the document, with or without the counts of cases."""
    permitted = (403,) if has_cases else ()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Blob status",
            "version": VERSION,
            "summary": "Live counts of queued, processing and completed images",
            "description": "The deployment chooses how to authenticate (AUTH_MODE).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "security": [{}, {"bearer": []}, {"functionKey": []}, {"functionCode": []}],
        "paths": {
            "/cases/storage/status": _status("", permitted),
            "/cases/storage/status/stream": _stream("", permitted),
            **(_case_paths() if has_cases else {}),
            "/health": _health(),
            "/openapi.json": _document(),
        },
        "components": {
            "schemas": _schemas(has_cases=has_cases),
            "headers": _headers(),
            "responses": _problems(has_cases=has_cases),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "AUTH_MODE=jwt"},
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionCode": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _status(what: str, problems: tuple[int, ...]) -> Json:
    parameters = [
        _header("If-None-Match", "Versions that the client has: entity tags, weak or strong, or *. Empty is absent."),
        _header("If-Modified-Since", "An HTTP date. Ignored when If-None-Match or since is there."),
        _header(
            "Prefer",
            "`wait=N` (RFC 7240): hold the answer up to N seconds while the validator matches. The first wait counts.",
        ),
        _query("since", "As If-None-Match, for paths that lose headers.", maxLength=protocol.MAX_VALUE_CHARACTERS),
        _query(
            "wait",
            "As Prefer: wait=N, and goes first.",
            pattern=r"^[0-9]+(\.[0-9]+)?$",
            maxLength=protocol.MAX_VALUE_CHARACTERS,
        ),
        _query("from", "With a wait and without a validator: hold until the next change.", enum=["now"]),
    ]
    fresh = _refer("ETag", "Last-Modified", "Preference-Applied", "Vary", **{"Cache-Control": "StatusCache"})
    answers = {
        "200": _answer("The counts", "application/json", "Status", fresh),
        "304": {"description": "The validator matched, to the end of the wait if there was one", "headers": fresh},
    }
    summary = "The counts: now, if they changed, or when they change"
    return _path(f"{what}Status", summary, parameters, answers, (400, 401, *problems, 405, 500, 503))


def _stream(what: str, problems: tuple[int, ...]) -> Json:
    parameters = [
        _header(
            "Last-Event-ID", "The version that the client has: a comment instead of a first frame while it is current."
        ),
        _query("last_event_id", "The same, for paths that lose headers.", maxLength=protocol.MAX_VALUE_CHARACTERS),
        _query("lastEventId", "The same, as polyfills add it; goes first.", maxLength=protocol.MAX_VALUE_CHARACTERS),
    ]
    headers = _refer(**{"Cache-Control": "StreamCache", "X-Accel-Buffering": "X-Accel-Buffering"})
    answers = {
        "200": _answer("Server-Sent Events, until the stream's life is over", protocol.EVENT_STREAM, "Event", headers)
    }
    problems = (400, 401, *problems, 405, 500, 503)
    return _path(f"{what}Stream", "The counts now and at each change", parameters, answers, problems)


def _case_paths() -> Json:
    """Describe the same of one case."""
    case = {
        "name": "case",
        "in": "path",
        "required": True,
        "description": "The case, as in the blobs' names (CASE_FROM), percent-encoded; 2,048 characters at most.",
        "schema": {"type": "string", "minLength": 1},
    }
    paths = {
        "/cases/{case}/storage/status": _status("Case", (403, 404)),
        "/cases/{case}/storage/status/stream": _stream("Case", (403, 404)),
    }
    return {path: {"parameters": [case]} | described for path, described in paths.items()}


def _health() -> Json:
    json_or_problem = {"application/json": "Health", MEDIA_TYPE: "Problem"}
    answers = {
        "200": _answer(
            "Alive; with a token that permits the counts of everything, the details too",
            "application/json",
            "Health",
            _refer("No-Store"),
        ),
        "503": {
            "description": "Not ready, or the app cannot be started",
            "headers": _refer("No-Store"),
            "content": {media: {"schema": _ref("schemas", schema)} for media, schema in json_or_problem.items()},
        },
    }
    return _path("Health", "Is it alive", [], answers, (400, 405, 500), is_public=True)


def _document() -> Json:
    parameters = [_header("If-None-Match", "As for the status.")]
    headers = _refer("ETag", **{"Cache-Control": "DocumentCache"})
    answers = {
        "200": _answer("This document", "application/json", "Document", headers),
        "304": {"description": "The tag matched", "headers": headers},
    }
    return _path("Document", "This document", parameters, answers, (400, 405, 500, 503), is_public=True)


def _path(
    name: str,
    summary: str,
    parameters: list[Json],
    answers: Json,
    problems: tuple[int, ...],
    *,
    is_public: bool = False,
) -> Json:
    """Describe GET, HEAD and OPTIONS of a path."""
    answers = _described(*problems) | {"431": PLATFORM} | answers
    bodiless = {status: {k: v for k, v in answer.items() if k != "content"} for status, answer in answers.items()}
    reading: Json = {"parameters": parameters, "summary": summary} | ({"security": [{}]} if is_public else {})
    allowed = {"description": "What is allowed, and the CORS answer", "headers": _refer("Allow")}
    return {
        "get": reading | {"operationId": f"get{name}", "responses": answers},
        "head": reading | {"operationId": f"head{name}", "responses": bodiless},
        "options": {
            "operationId": f"options{name}",
            "summary": "What is allowed; needs no token and no key",
            "security": [{}],
            "responses": {"204": allowed, "431": PLATFORM},
        },
    }


def _described(*statuses: int) -> Json:
    return {str(status): _ref("responses", str(status)) for status in statuses}


def _problems_of(*, has_cases: bool) -> list[Problem]:
    return [problem for kind, problem in PROBLEMS.items() if has_cases or kind not in {Forbidden, CaseUnknown}]


def _problems(*, has_cases: bool) -> Json:
    """Describe every problem document of the app."""
    by_status: dict[int, list[Problem]] = {}
    for problem in _problems_of(has_cases=has_cases):
        by_status.setdefault(problem.status, []).append(problem)
    extra = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}
    return {
        str(status): {
            "description": "; ".join(f"`{problem.code}`: {problem.title}" for problem in found),
            "headers": _refer("No-Store", *extra.get(status, ())),
            "content": {MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}},
        }
        for status, found in sorted(by_status.items())
    }


def _schemas(*, has_cases: bool) -> Json:
    count = {"type": "integer", "minimum": 0}
    text = {"type": "string"}
    moment: Json = {"type": "string", "format": "date-time", "description": "When a count last changed, UTC."}
    if has_cases:
        moment |= {"type": ["string", "null"], "description": "When a count last changed, UTC; null: never, of a case."}
    version = {"type": "string", "minLength": 1, "description": "Opaque: compare by equality."}
    extra: Json = {"additionalProperties": count | {"description": "A folder of EXTRA_FOLDERS, by its name."}}
    data = _object(queued_count=count, input_count=count, output_count=count, timestamp=moment, version=version)
    frame = _object(queued=count, processing=count, completed=count, timestamp=moment, version=version)
    code = text | {"enum": sorted(problem.code for problem in _problems_of(has_cases=has_cases))}
    problem: Json = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "code": code}
    said = {"oneOf": [_ref("schemas", "EventData"), _ref("schemas", "Problem")]}
    return {
        "Status": _object(success={"const": True}, data=_ref("schemas", "StatusData")),
        "StatusData": data | extra,
        "Event": {
            "type": "object",
            "description": "Of each event; comments (`: keep-alive`) come in between. A client that accepts no problem "
            "documents gets a 503 as one `unavailable`, which has no id.",
            "required": ["event", "data"],
            "properties": {
                "id": version,
                "event": {"enum": ["status_update", "unavailable"]},
                "data": text | {"contentMediaType": "application/json", "contentSchema": said},
                "retry": count,
            },
        },
        "EventData": frame | extra,
        "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
        "Problem": _object(**problem, success={"const": False}) | {"description": "RFC 9457, with `success`."},
        "Health": {
            "type": "object",
            "description": "Permitted callers get the details, others only the status.",
            "required": ["status"],
            "properties": {
                "status": {"enum": ["ok", "degraded", "not-ready"]},
                **_health_details(),
            },
        },
    }


def _health_details() -> Json:
    """Describe the details that shared/serving/health.py adds to the status."""
    more: Json = {
        "integer": {"minimum": 0},
        "object": {"additionalProperties": {"type": "integer", "minimum": 0}},
    }
    return {
        name: {"type": kind, "description": text}
        | (more.get(kind, {}) if isinstance(kind, str) else {})
        | ({"format": "date-time"} if name.endswith("_at") else {})
        for name, (kind, text) in DETAILS.items()
    }


def _headers() -> Json:
    def header(schema: Json, *, required: bool = True) -> Json:
        return {"required": required, "schema": schema}

    return {
        "ETag": header({"type": "string", "pattern": '^"[^"]+"$'}),
        "Last-Modified": header({"type": "string", "pattern": " GMT$"}),
        "Vary": header({"type": "string", "pattern": "^Authorization, Prefer"}),
        "StatusCache": header({"const": STATUS_CACHE_CONTROL}),
        "StreamCache": header({"const": STREAM_HEADERS["Cache-Control"]}),
        "DocumentCache": header({"const": CACHE_CONTROL}),
        "No-Store": header({"const": "no-store"}),
        "X-Accel-Buffering": header({"const": "no"}),
        "Preference-Applied": header({"type": "string", "pattern": r"^wait=[0-9]+(\.[0-9]+)?$"}, required=False),
        "WWW-Authenticate": header({"type": "string", "pattern": "^Bearer"}),
        "Allow": header({"const": ALLOW}),
        "Retry-After": header({"type": "string", "pattern": "^[0-9]+$"}),
    }


def _refer(*names: str, **by_name: str) -> Json:
    """Refer to described headers, under their own names or, for a header with several descriptions, under another."""
    own = {"Cache-Control" if name == "No-Store" else name: name for name in names}
    return {name: _ref("headers", described) for name, described in (own | by_name).items()}


def _answer(description: str, media_type: str, schema: str, headers: Json) -> Json:
    content = {media_type: {"schema": _ref("schemas", schema)}}
    return {"description": description, "headers": headers, "content": content}


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _header(name: str, description: str) -> Json:
    schema = {"type": "string", "maxLength": protocol.MAX_VALUE_CHARACTERS}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _query(name: str, description: str, **schema: object) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"} | schema}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _body(*, has_cases: bool) -> tuple[bytes, str]:
    body = json.dumps(document(has_cases=has_cases), separators=(",", ":")).encode()
    return body, hashlib.sha256(body).hexdigest()[:16]


_BODIES: Final = _body(has_cases=False), _body(has_cases=True)
