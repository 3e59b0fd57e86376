"""The live page's server: the built page, and a `config.json` with the addresses that it needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.ports import LOOPBACK, names_this_machine
from shared.model.folders import first_segment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from shared.model.folders import FolderMap

SAS_LIFE: Final = timedelta(hours=24)
CLOCK_SKEW: Final = timedelta(minutes=5)


def config(functions_url: str, blob_url: str, folders: FolderMap) -> dict[str, Any]:
    """Return the page's configuration.

    Args:
        functions_url: The functions host's address, without a path.
        blob_url: The bridge's address, without the account.
        folders: Where the folders are.

    Returns:
        `statusUrl`, `blobUrl`, `sas` (a query string without "?"), `containers` (folder → container, or
        container/prefix) and `cases` (whether the first segment of a name is a case that is counted).
    """
    now = datetime.now(UTC)
    sas = generate_account_sas(
        ACCOUNT,
        ACCOUNT_KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
        expiry=now + SAS_LIFE,
        start=now - CLOCK_SKEW,
    )
    return {
        "statusUrl": f"{functions_url}/api",
        "blobUrl": f"{blob_url}/{ACCOUNT}",
        "sas": sas,
        "containers": {folder: str(location) for folder, location in folders.locations.items()},
        "cases": folders.cases is not None and folders.cases.find is first_segment,
    }


async def serve(port: int, make_config: Callable[[], dict[str, Any]], dist: Path) -> web.AppRunner:
    """Serve the built page on a loopback port, until the runner that it returns is cleaned up.

    Args:
        port: The port.
        make_config: Called for each `config.json`, so that its SAS has never expired.
        dist: The folder of the built page.
    """

    async def config_json(_: web.Request) -> web.Response:
        return web.json_response(make_config())

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(dist / "index.html")

    app = web.Application(middlewares=[_revalidate])
    app.router.add_get("/config.json", config_json)
    app.router.add_get("/", index)
    app.router.add_static("/", dist)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    return runner


@web.middleware
async def _revalidate(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Make browsers revalidate, so that a rebuilt page shows at the next reload. Other sites get nothing."""
    if not names_this_machine(request.headers.get("Host", "")):
        raise web.HTTPForbidden
    response = await handler(request)
    response.headers["Cache-Control"] = "no-cache"
    return response
