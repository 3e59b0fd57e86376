"""The triggers, and nothing else. What they do is in ``shared/``; how it fits together is in docs/architecture.md."""

import os

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared import endpoints, export, openapi, runtime_leak, services
from shared.settings import Settings

SETTINGS = Settings.from_environ(os.environ)
KEY_NEEDED = func.AuthLevel.FUNCTION if SETTINGS.auth_mode == "function" else func.AuthLevel.ANONYMOUS

runtime_leak.install()
export.start(SETTINGS.telemetry)
app = func.FunctionApp(http_auth_level=KEY_NEEDED)


async def get_services() -> services.Services:
    """Return this process's services."""
    return await services.get(SETTINGS)


@app.event_grid_trigger(arg_name="event")
async def on_blob_event(event: str) -> None:
    """Count one blob event. The raw text, because the typed converter fails outside of the app's reach."""
    await (await get_services()).delivery.take(event)


@app.route("cases/storage/status", methods=endpoints.ALL_METHODS)
async def get_status(req: Request) -> Response:
    """Serve the counts: now, if they changed, or when they change."""
    return await endpoints.serve(get_services, req, endpoints.status)


@app.route("cases/storage/status/stream", methods=endpoints.ALL_METHODS)
async def stream_status(req: Request) -> Response:
    """Serve the counts as Server-Sent Events."""
    return await endpoints.serve(get_services, req, endpoints.stream)


@app.route("health", methods=endpoints.ALL_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: Request) -> Response:
    """Say whether the app is alive, and how it is to those who may know."""
    return await endpoints.serve(get_services, req, endpoints.health, open_to_all=True)


@app.route("openapi.json", methods=endpoints.ALL_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
async def get_openapi(req: Request) -> Response:
    """Describe all of this for machines."""
    return await endpoints.serve(get_services, req, openapi.openapi, open_to_all=True)


@app.timer_trigger(arg_name="timer", schedule=SETTINGS.reconcile_schedule, run_on_startup=SETTINGS.reconcile_on_start)
async def reconcile(timer: func.TimerRequest) -> None:
    """Compare the counts with a listing, and repair them."""
    del timer
    await (await get_services()).reconcile()
