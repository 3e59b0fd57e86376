"""A function app with one function for each thing that the runtime host has to do."""

# ruff: noqa: ARG001, PLW0603
import asyncio
import json
from collections.abc import AsyncIterator

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

seen: dict[str, list[str]] = {}
waiting: set[asyncio.Event] = set()
parked = 0


def note(what: str, value: str) -> None:
    """Remember something for the tests to look at."""
    seen.setdefault(what, []).append(value)


@app.route("seen", methods=["GET"])
async def get_seen(req: Request) -> JSONResponse:
    """What the functions have noted, and how many requests are parked."""
    return JSONResponse({"parked": parked, **seen})


@app.route("echo/{id}", methods=["GET", "POST", "PUT"])
async def echo(req: Request) -> JSONResponse:
    """What arrived of a request."""
    body = await req.body()
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in req.headers.raw]
    answer = {
        "method": req.method, "id": req.path_params["id"], "url": str(req.url), "query": req.url.query,
        "headers": headers, "size": len(body), "sum": sum(body),
    }  # fmt: skip
    return JSONResponse(answer)


@app.route("echo/special", methods=["GET"])
async def special(req: Request) -> Response:
    """A literal that competes with a parameter."""
    return Response("special")


@app.route("files/{*rest}", methods=["GET"])
async def files(req: Request) -> JSONResponse:
    """A catch-all."""
    return JSONResponse({"rest": req.path_params.get("rest")})


@app.route("number/{n:int}", methods=["GET"])
async def number(req: Request) -> JSONResponse:
    """A constraint."""
    return JSONResponse({"n": req.path_params["n"]})


@app.route("head", methods=["GET", "HEAD"])
async def head(req: Request) -> Response:
    """HEAD, listed."""
    return Response("body", headers={"etag": '"1"'})


@app.route("blob/{size:int}", methods=["GET"])
async def blob(req: Request) -> Response:
    """A big answer with a length, or in chunks."""
    size = int(req.path_params["size"])
    if "chunked" not in req.query_params:
        return Response(b"x" * size, media_type="application/octet-stream")

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, size, 100_000):
            yield b"x" * min(100_000, size - start)

    return StreamingResponse(parts(), media_type="application/octet-stream")


@app.route("notmodified", methods=["GET"])
async def not_modified(req: Request) -> Response:
    """An answer without a body."""
    return Response(status_code=304, headers={"etag": '"1"'})


@app.route("early", methods=["POST"])
async def early(req: Request) -> Response:
    """An answer that does not wait for the body."""
    return Response("no thanks", status_code=403)


@app.route("fails", methods=["GET"])
async def fails(req: Request) -> Response:
    """An exception."""
    raise ValueError("secret detail")


@app.route("breaks", methods=["GET"])
async def breaks(req: Request) -> StreamingResponse:
    """An exception in the middle of a stream."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("secret detail")

    return StreamingResponse(parts())


@app.route("mark", methods=["GET"])
async def mark(req: Request) -> Response:
    """Leaves a mark in this worker."""
    note("marked", "")
    return Response()


@app.route("overruns", methods=["GET"])
async def overruns(req: Request) -> Response:
    """Longer than functionTimeout."""
    await asyncio.Event().wait()
    return Response()


@app.route("park", methods=["GET"])
async def park(req: Request) -> Response:
    """A long poll that ends with a wake, or with the client."""
    global parked
    event = asyncio.Event()
    waiting.add(event)
    parked += 1
    try:
        while not event.is_set():
            if await req.is_disconnected():
                note("left", req.query_params.get("name", ""))
                return Response(status_code=499)
            try:
                await asyncio.wait_for(event.wait(), 0.05)
            except TimeoutError:
                continue
    finally:
        parked -= 1
        waiting.discard(event)
    return Response("woken")


@app.route("wake", methods=["POST"])
async def wake(req: Request) -> Response:
    """Wake all that is parked."""
    for event in list(waiting):
        event.set()
    return Response(status_code=204)


@app.route("stream", methods=["GET"])
async def stream(req: Request) -> StreamingResponse:
    """A frame at once, and one for each wake."""

    async def frames() -> AsyncIterator[str]:
        event = asyncio.Event()
        waiting.add(event)
        try:
            yield "data: open\n\n"
            while True:
                await event.wait()
                event.clear()
                yield "data: wake\n\n"
        finally:
            waiting.discard(event)
            note("stream", "closed")

    return StreamingResponse(frames(), media_type="text/event-stream")


@app.route("keyed", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def keyed(req: Request) -> Response:
    """Needs a function key."""
    return Response("in")


@app.route("switchedoff", methods=["GET"])
async def switched_off(req: Request) -> Response:
    """Disabled by an app setting."""
    return Response("on")


@app.event_grid_trigger(arg_name="event")
async def on_event(event: str) -> None:
    """Notes the event; fails on the text that asks for it."""
    note("event", event)
    if "please fail" in event:
        raise RuntimeError("as asked")
    if "takes too long" in event:
        await asyncio.Event().wait()


@app.event_grid_trigger(arg_name="event")
async def on_blob_event(event: str) -> None:
    """The function of tests/facts/event_grid_webhook.jsonl, with the mark that makes it fail there."""
    note("blob_event", event)
    if '"x": "fail"' in event:
        raise RuntimeError("as asked")


@app.event_grid_trigger(arg_name="event")
async def off_event(event: str) -> None:
    """Disabled by an app setting."""
    note("off_event", event)


@app.timer_trigger(arg_name="timer", schedule="%EVERY%", run_on_startup=False)
async def every_second(timer: func.TimerRequest) -> None:
    """Notes each tick."""
    note("tick", json.dumps(timer.past_due))


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def at_start(timer: func.TimerRequest) -> None:
    """Notes the start; two runs must never overlap."""
    note("at_start", "begin")
    await asyncio.sleep(0.02)
    note("at_start", "end")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
async def off_timer(timer: func.TimerRequest) -> None:
    """Disabled by an app setting."""
    note("off_timer", "ran")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=False)
async def endless_timer(timer: func.TimerRequest) -> None:
    """Longer than functionTimeout, when somebody asks for it."""
    await asyncio.Event().wait()
