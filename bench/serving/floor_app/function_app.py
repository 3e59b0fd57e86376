"""The floor: the least that any Functions app must do to hold a request and answer it on a wake.

Frozen on purpose. Benchmarks compare the project with this app on the same host and runtime, in the same run.
GET  /api/floor?wait=N   answers 200 with a fixed body when woken, 304 after N seconds
GET  /api/floor          answers 200 at once; with If-None-Match: "floor" 304 at once
GET  /api/floor/stream   one SSE frame per wake
POST /api/floor/wake     wakes all waiters
"""

import asyncio

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
BODY = b'{"success":true,"data":{"queued_count":12,"input_count":3,"output_count":85,"timestamp":"2026-11-22T18:20:31.123456+00:00","version":"g1-1"}}'
FRAME = b'id: g1-1\nevent: status_update\ndata: {"queued":12,"processing":3,"completed":85}\n\n'
HEADERS = {"ETag": '"floor"', "Cache-Control": "private, no-cache"}
wake = asyncio.Event()


@app.route("floor", methods=["GET"])
async def floor(req: Request) -> Response:
    wait = float(req.query_params.get("wait", 0))
    if wait:
        try:
            await asyncio.wait_for(wake.wait(), wait)
        except TimeoutError:
            return Response(status_code=304, headers=HEADERS)
    elif req.headers.get("if-none-match") == '"floor"':
        return Response(status_code=304, headers=HEADERS)
    return Response(BODY, media_type="application/json", headers=HEADERS)


@app.route("floor/stream", methods=["GET"])
async def floor_stream(req: Request) -> StreamingResponse:
    async def frames():
        yield b": open\n\n"
        while True:
            await wake.wait()
            yield FRAME
            await asyncio.sleep(0.5)

    return StreamingResponse(frames(), media_type="text/event-stream")


@app.route("floor/wake", methods=["POST"])
async def floor_wake(req: Request) -> Response:
    global wake
    woken, wake = wake, asyncio.Event()
    woken.set()
    return Response(status_code=204)
