"""`python -m localdev.demo`: send a few hundred images through a running `make dev`, and watch its HTTP endpoint.

The demo uploads generated JPEG files to `queued`, moves them through `input` to `output`, shows the counts that the
app serves meanwhile, and at the end compares them with a listing. Earlier blobs stay; the counts are totals. The exit
code is 0 when counts and listing are equal, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import aiohttp
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient
from rich.console import Console

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.demo_counts import EndpointError, StatusEndpoint
from localdev.demo_pipeline import Pipeline, listed
from localdev.demo_view import View
from localdev.host.errors import HostError
from localdev.host.settings import load_local_settings
from localdev.plan import without_storage
from localdev.ports import LOOPBACK, reach_directly
from localdev.processes import ROOT
from shared.errors import SettingsError
from shared.model.folders import in_order
from shared.settings.app import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localdev.demo_counts import Counts
    from shared.model.folders import FolderMap

CONCURRENCY: Final = 16
SETTLE_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 5.0  # the counts stand still when a request held for this long ends without a change


async def run(given: argparse.Namespace, folders: FolderMap, console: Console) -> bool:
    """Run the demo; return whether counts and listing are equal at the end.

    Raises:
        EndpointError: No server serves counts.
        AzureError: Storage refused something.
        ExceptionGroup: Several AzureErrors.
    """
    case = f"case-{uuid.uuid4().hex[:6]}"
    async with (
        aiohttp.ClientSession() as session,
        BlobServiceClient.from_connection_string(given.connection_string, retry_total=3) as service,
    ):
        endpoint = StatusEndpoint(session, given.base_url, given.token)
        await endpoint.ask()
        console.print(f"{given.images} images of {case} at {given.rate:g}/s, counts from {given.base_url}")
        pipeline = Pipeline(service, folders, case, CONCURRENCY)
        with View(given.images, console) as view:
            view.counts(endpoint.counts)
            following = asyncio.create_task(endpoint.follow(view.counts))
            try:
                await pipeline.run(given.images, given.rate, view.moved)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            truth = await _settle(endpoint, service, folders, view)
        return compare(endpoint.counts, truth, console)


async def _settle(endpoint: StatusEndpoint, service: BlobServiceClient, folders: FolderMap, view: View) -> Counts:
    """Wait until the counts equal the listing and stand still, or the time is up; return the listing."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                changed = await endpoint.ask(QUIET_SECONDS)
                view.counts(endpoint.counts)
                if not changed and endpoint.counts == await listed(service, folders):
                    break
    return await listed(service, folders)


def compare(counts: Counts, truth: Counts, console: Console) -> bool:
    """Print and return whether counts and listing are equal, with the numbers of both when they are not."""
    folders = in_order(truth)
    if counts == truth:
        console.print("counts equal the listing: " + ", ".join(f"{folder} {truth[folder]}" for folder in folders))
        return True
    differences = ", ".join(f"{folder} {counts.get(folder, 0)} (listed {truth[folder]})" for folder in folders)
    console.print(f"counts DIFFER from the listing after {SETTLE_SECONDS:.0f} s: {differences}")
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localdev.demo", description="Sends generated images through the folders of a running stack."
    )
    parser.add_argument("--images", type=int, default=300, help="default: 300")
    parser.add_argument("--rate", type=float, default=40.0, help="images a second; default: 40")
    base_url = f"http://{LOOPBACK}:{os.environ.get('FUNCTIONS_PORT') or 7071}"
    parser.add_argument("--base-url", default=base_url, help=f"of the function app; default: {base_url}")
    parser.add_argument(
        "--connection-string", default=_development_storage(), help="of the storage; default: that of `make dev`"
    )
    parser.add_argument("--token", default=os.environ.get("TOKEN", ""), help="bearer token; or TOKEN")
    return parser


def _development_storage() -> str:
    port = os.environ.get("BLOB_PORT") or 10000
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://{LOOPBACK}:{port}/{ACCOUNT};"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in the environment of `make dev`, completed from `local.settings.json`; return its exit code."""
    try:
        load_local_settings(ROOT)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    parser = _parser()
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    if given.images < 1 or given.rate <= 0:
        parser.error("--images and --rate are greater than 0")
    reach_directly(os.environ)
    try:
        folders = Settings.from_environ(without_storage(os.environ)).folders
        return 0 if asyncio.run(run(given, folders, Console(highlight=False, soft_wrap=True))) else 1
    except* (EndpointError, SettingsError, AzureError) as errors:
        print(str(errors.exceptions[0]).partition("\n")[0], file=sys.stderr)
    except* KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
