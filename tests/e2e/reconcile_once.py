"""A process that reconciles once, page by page aloud: ``CONNECTION TABLE CONTAINER [STOP_AFTER_PAGES]``.

It writes a line for each page that it is given, and one with the report at the end. After STOP_AFTER_PAGES pages it
stands still, so that it can be killed there.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from random import Random

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from shared.azure.heads import BlobHeads
from shared.azure.listing import BlobListing
from shared.azure.table import AzureTable
from shared.clock import SystemClock
from shared.model.folders import FOLDERS, FolderMap, Location
from shared.model.ports import Page
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.writing.tally_row import Counts
from shared.writing.writer import Writer

PAGE_SIZE = 20


def say(line: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class AloudListing(BlobListing):
    """A listing that says which pages it has given."""

    def __init__(self, service: BlobServiceClient, stop_after: int) -> None:
        super().__init__(service, PAGE_SIZE)
        self._left = stop_after

    async def pages(self, container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        """Iterate over the names, page by page."""
        async for page in super().pages(container, prefix, token):
            say(page.names[0] if page.names else f"nothing in {prefix}")
            self._left -= 1
            if not self._left:
                await asyncio.Event().wait()
            yield page


async def main(connection: str, table_name: str, container: str, stop_after: int) -> None:
    """Reconcile three prefixes of one container."""
    folders = FolderMap({folder: Location(container, f"{folder}/") for folder in FOLDERS}, ("jpg",))
    async with (
        TableServiceClient.from_connection_string(connection, retry_total=0) as tables,
        BlobServiceClient.from_connection_string(connection) as blobs,
    ):
        clock = SystemClock()
        table = AzureTable(tables.get_table_client(table_name))
        await table.create()
        counts = Counts(table, folders.fingerprint("test"), clock)
        heads = BlobHeads(blobs)
        writer = Writer(table, counts, heads, clock, Random(1))
        listing = AloudListing(blobs, stop_after)
        parts = Parts(table, counts, writer, heads, listing, folders, clock, grace_seconds=0.2)
        reconciler = Reconciler(parts, lease_seconds=0.5)
        say(json.dumps(asdict(await reconciler.run())))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], stop_after=int(sys.argv[4]) if len(sys.argv) > 4 else 0))
