"""The triggers, and nothing else. What they do is in ``shared/``; how it fits together is in docs/architecture.md."""

import os

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.process import exporters, leak_guard
from shared.services import AppProcess
from shared.serving import endpoints, openapi
from shared.settings.app import Settings

SETTINGS = Settings.from_environ(os.environ)
PROCESS = AppProcess(SETTINGS, [leak_guard.install().health])
KEY_NEEDED = func.AuthLevel.FUNCTION if SETTINGS.auth_mode == "function" else func.AuthLevel.ANONYMOUS

exporters.start(SETTINGS.telemetry)
app = func.FunctionApp(http_auth_level=KEY_NEEDED)


async def get_api() -> endpoints.StatusApi:
    """Return what requests are answered from."""
    return (await PROCESS.services()).api


SITE = endpoints.Site(get_api, SETTINGS.cors_origins)


@app.event_grid_trigger(arg_name="event")
async def on_blob_event(event: str) -> None:
    """Count one blob event. The raw text, because the typed converter fails outside of the app's reach."""
    await (await PROCESS.services()).delivery.take(event)


@app.route("cases/storage/status", methods=endpoints.METHODS)
async def get_status(req: Request) -> Response:
    """Serve the counts: now, if they changed, or when they change."""
    return await endpoints.serve(SITE, req, endpoints.status)


@app.route("cases/storage/status/stream", methods=endpoints.METHODS)
async def stream_status(req: Request) -> Response:
    """Serve the counts as Server-Sent Events."""
    return await endpoints.serve(SITE, req, endpoints.stream)


@app.route("health", methods=endpoints.METHODS, auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: Request) -> Response:
    """Say whether the app is alive, and how it is to those who may know."""
    return await endpoints.serve(SITE, req, endpoints.health, open_to_all=True)


@app.route("openapi.json", methods=endpoints.METHODS, auth_level=func.AuthLevel.ANONYMOUS)
async def get_openapi(req: Request) -> Response:
    """Describe all of this for machines."""
    return await endpoints.serve(SITE, req, openapi.openapi, open_to_all=True)


@app.route("cases/storage/status", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
async def status_options(req: Request) -> Response:
    """Say what may be asked of the status, without a key."""
    return await endpoints.options(SITE, req)


@app.route("cases/storage/status/stream", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
async def stream_options(req: Request) -> Response:
    """Say what may be asked of the stream, without a key."""
    return await endpoints.options(SITE, req)


@app.route("health", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
async def health_options(req: Request) -> Response:
    """Say what may be asked of the health report, without a key."""
    return await endpoints.options(SITE, req)


@app.route("openapi.json", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
async def openapi_options(req: Request) -> Response:
    """Say what may be asked of the description, without a key."""
    return await endpoints.options(SITE, req)


if SETTINGS.folders.cases is not None:

    @app.route("cases/{case}/storage/status", methods=endpoints.METHODS)
    async def get_case_status(req: Request) -> Response:
        """Serve the counts of a case: now, if they changed, or when they change."""
        return await endpoints.serve(SITE, req, endpoints.status, of_case=True)

    @app.route("cases/{case}/storage/status/stream", methods=endpoints.METHODS)
    async def stream_case_status(req: Request) -> Response:
        """Serve the counts of a case as Server-Sent Events."""
        return await endpoints.serve(SITE, req, endpoints.stream, of_case=True)

    @app.route("cases/{case}/storage/status", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
    async def case_status_options(req: Request) -> Response:
        """Say what may be asked of the status of a case, without a key."""
        return await endpoints.options(SITE, req)

    @app.route("cases/{case}/storage/status/stream", methods=endpoints.PREFLIGHT, auth_level=func.AuthLevel.ANONYMOUS)
    async def case_stream_options(req: Request) -> Response:
        """Say what may be asked of the stream of a case, without a key."""
        return await endpoints.options(SITE, req)


@app.timer_trigger(arg_name="timer", schedule=SETTINGS.reconcile_schedule, run_on_startup=SETTINGS.reconcile_on_start)
async def reconcile(timer: func.TimerRequest) -> None:
    """Compare the counts with a listing, and repair them."""
    del timer
    await (await PROCESS.services()).reconcile()
