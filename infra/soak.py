"""`python -m infra.soak`: traffic on a deployed app's folders, then `python -m ops verify`, whose exit code it returns.

Makes, overwrites, moves (copy and delete) and deletes blobs of its own under ``soak-<run>/`` in each folder, at a
steady rate, and removes them at the end. Settings are those of the app (docs/configuration.md), from the environment;
who runs it needs Storage Blob Data Contributor on the folders' containers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from shared.settings.app import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.model.folders import Location


class Soak:
    """The traffic of one run.

    Args:
        service: The SDK's client.
        places: The folders' locations.
        suffix: An ending that counts, without the dot.
        seed: Of the random choices.
    """

    def __init__(self, service: BlobServiceClient, places: Sequence[Location], suffix: str, seed: int) -> None:
        self._service = service
        self._places = places
        self._suffix = suffix
        self._random = Random(seed)  # noqa: S311 - which blob is next, not a secret
        self._run = f"soak-{seed:x}"
        self._there: dict[int, Location] = {}
        self._made = 0
        self.operations = 0

    async def step(self) -> None:
        """Do one thing to one blob."""
        self.operations += 1
        choice = self._random.random()
        if not self._there or choice < 0.4:  # noqa: PLR2004
            self._made += 1
            await self._put(self._made, self._random.choice(self._places))
            return
        number = self._random.choice(list(self._there))
        if choice < 0.5:  # noqa: PLR2004
            await self._put(number, self._there[number])
        elif choice < 0.8:  # noqa: PLR2004
            before = self._there[number]
            await self._put(number, self._random.choice([place for place in self._places if place != before]))
            await self._delete(number, before)
        else:
            await self._delete(number, self._there.pop(number))

    async def clean(self) -> None:
        """Delete what is left."""
        while self._there:
            await self._delete(*self._there.popitem())

    async def _put(self, number: int, place: Location) -> None:
        blob = self._service.get_blob_client(place.container, self._name(number, place))
        await blob.upload_blob(self._random.randbytes(100), overwrite=True)
        self._there[number] = place

    async def _delete(self, number: int, place: Location) -> None:
        try:
            await self._service.get_blob_client(place.container, self._name(number, place)).delete_blob()
        except ResourceNotFoundError:
            print(f"somebody else has deleted {self._name(number, place)}")

    def _name(self, number: int, place: Location) -> str:
        return f"{place.prefix}{self._run}/{number:06}.{self._suffix}"


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=5, help="operations a second")
    parser.add_argument("--settle", type=float, default=60, help="seconds for the last events to come through")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = parser.parse_args()
    settings = Settings.from_environ(os.environ)
    return asyncio.run(_run(settings, given.minutes * 60, given.rate, given.settle, given.seed))


async def _run(settings: Settings, seconds: float, rate: float, settle_seconds: float, seed: int) -> int:
    places = list(settings.folders.locations.values())
    suffix = settings.folders.suffixes[0].replace("*", "jpg")
    async with _service(settings) as service:
        soak = Soak(service, places, suffix, seed)
        print(f"seed {seed}: {rate:g} operations a second for {seconds:g} s in {', '.join(map(str, places))}")
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < seconds:
                await soak.step()
                await asyncio.sleep(max(0.0, soak.operations / rate - passed))
            print(f"{soak.operations} operations; waiting {settle_seconds:g} s for the last events")
            await asyncio.sleep(settle_seconds)
            verify = await asyncio.create_subprocess_exec(sys.executable, "-m", "ops", "verify")
            return await verify.wait()
        finally:
            await soak.clean()


def _service(settings: Settings) -> BlobServiceClient:
    storage = settings.storage
    if storage.connection_string:
        return BlobServiceClient.from_connection_string(storage.connection_string)
    return BlobServiceClient(storage.blob_url, credential=DefaultAzureCredential())


if __name__ == "__main__":
    sys.exit(main())
