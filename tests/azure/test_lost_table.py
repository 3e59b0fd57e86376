"""A table that is deleted under a running app: made anew, not ready until it is reconciled, and nobody restarts."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from azure.data.tables.aio import TableServiceClient

from localdev.azurite import ACCOUNT, Azurite
from localdev.ports import LOOPBACK
from shared.azure.batch import Transactions
from shared.azure.clients import connections
from shared.azure.table import AzureTable
from shared.errors import CountsNotReady, OutcomeUnknown, StorageError, TableAbsent
from shared.model.folders import FOLDERS
from shared.model.ports import Write
from shared.services import AppProcess, Services
from shared.settings.app import Settings
from shared.writing.tally_row import PARTITION, TALLY_KEY
from tests.azure.test_batch import WRITES, answering, connection_string, error, table_behind
from tests.fakes.memory_table import MemoryTable
from tests.fakes.world import Process, World


@dataclass
class Lost:
    """A reconciled account of three blobs, and how to lose its table."""

    world: World
    lose: Callable[[], Awaitable[None]]

    @property
    def process(self) -> Process:
        """The running app."""
        return self.world.process


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.azurite)])
async def lost(request: pytest.FixtureRequest, unique: str) -> AsyncIterator[Lost]:
    """Return an account that is counted, in memory and on Azurite."""
    world = World()
    if request.param == "memory":

        async def forget() -> None:
            world.table.lose()

        yield await _filled(Lost(world, forget))
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    transport = connections()
    async with TableServiceClient.from_connection_string(
        azurite.connection_string, transport=transport, retry_total=0
    ) as service:
        client = service.get_table_client(unique)
        table = AzureTable(client, Transactions(client, transport))
        await table.create()
        world.table = table  # type: ignore[assignment]
        world.process = world.new_process()
        yield await _filled(Lost(world, client.delete_table))


async def _filled(lost: Lost) -> Lost:
    await lost.world.bootstrap()
    for number in range(3):
        await lost.process.delivery.take(lost.world.blobs.put(f"queued/{number}.jpg"))
    assert await served(lost.process) == (3, 0, 0)
    return lost


async def served(process: Process) -> tuple[int, ...]:
    """Return what a client is told a moment later."""
    await asyncio.sleep(0)
    process.watch._started_at = float("-inf")  # the shared snapshot's time is up
    return tuple((await process.watch.latest()).tally.counts().values())


async def test_clients_are_told_that_the_counts_are_not_ready(lost: Lost) -> None:
    """Never zeros, never the old counts; after the next reconciliation the right ones, in another epoch."""
    before = await lost.process.watch.latest()
    await lost.lose()
    for _ in range(2):
        with pytest.raises(CountsNotReady):
            await served(lost.process)
    lost.world.clock.advance(900)
    await lost.process.reconciler.run_scheduled(60)
    assert await served(lost.process) == (3, 0, 0)
    after = await lost.process.watch.latest()
    assert after.version.partition("-")[0] != before.version.partition("-")[0]


async def test_events_are_counted_from_the_first_on(lost: Lost) -> None:
    """The writer remembers tally and rows of a table that is no more; the delivery is taken all the same."""
    await lost.lose()
    for event in (lost.world.blobs.put("input/new.jpg"), lost.world.blobs.put("queued/0.jpg")):
        await lost.process.delivery.take(event)
    with pytest.raises(CountsNotReady):
        await served(lost.process)
    lost.world.clock.advance(900)
    await lost.process.reconciler.run_scheduled(60)
    assert await served(lost.process) == (3, 1, 0)


async def test_a_deletion_and_a_directory_after_the_loss(lost: Lost) -> None:
    """What leaves no row behind, or is looked at, is right after the reconciliation, too."""
    lost.world.blobs.put("queued/dir/a.jpg")
    await lost.lose()
    await lost.process.delivery.take(lost.world.blobs.delete("queued/1.jpg"))
    await lost.process.delivery.take(lost.world.blobs.delete_directory("queued/dir"))
    lost.world.clock.advance(900)
    await lost.process.reconciler.run_scheduled(60)
    assert await served(lost.process) == (2, 0, 0)


async def test_a_waiter_outlives_the_loss(lost: Lost) -> None:
    """Who is held gets the counts of the new table as soon as they are ready, or an error, never zeros."""
    version = (await lost.process.watch.latest()).version
    waiting = asyncio.create_task(lost.process.watch.changed(version, 60))
    await asyncio.sleep(0)
    await lost.lose()
    with pytest.raises(CountsNotReady):
        await served(lost.process)
    await lost.process.delivery.take(lost.world.blobs.put("output/new.jpg"))
    lost.world.clock.advance(900)
    await lost.process.reconciler.run_scheduled(60)
    assert await served(lost.process) == (3, 0, 1)
    found = await waiting
    assert found is not None
    assert tuple(found.tally.counts().values()) == (3, 0, 1)
    lost.process.watch.close()


async def test_a_reconciliation_that_is_cut_by_the_loss_goes_on_with_the_next(lost: Lost) -> None:
    """Whatever stage it is in: it ends without calling anything ready, or with all of it."""
    pages = lost.world.blobs.pages
    lost.world.blobs.put("output/unseen.jpg")

    async def losing(container: str, prefix: str, token: str = "") -> AsyncIterator[object]:
        lost.world.blobs.pages = pages  # type: ignore[method-assign]
        await lost.lose()
        async for page in pages(container, prefix, token):
            yield page

    lost.world.blobs.pages = losing  # type: ignore[method-assign,assignment]
    lost.world.clock.advance(900)
    try:
        await lost.process.reconciler.run_scheduled(60)
    except StorageError:
        with pytest.raises(CountsNotReady):
            await served(lost.process)
    lost.world.clock.advance(900)
    await lost.process.reconciler.run_scheduled(60)
    assert await served(lost.process) == (3, 0, 1)


async def test_after_a_recount_all_processes_make_the_same_tally(lost: Lost) -> None:
    """One that remembers a later generation and one that remembers nothing must not count in two places."""
    await lost.process.counts.start_anew()
    await lost.process.reconciler.run(full=True)
    assert lost.process.counts.partition != PARTITION
    await lost.lose()
    await lost.process.delivery.take(lost.world.blobs.put("queued/by-the-old.jpg"))
    new = lost.world.new_process()
    await new.delivery.take(lost.world.blobs.put("queued/by-the-new.jpg"))
    assert (lost.process.counts.partition, new.counts.partition) == (PARTITION, PARTITION)
    lost.world.clock.advance(900)
    await new.reconciler.run_scheduled(60)
    assert await served(lost.process) == await served(new) == (5, 0, 0)


async def test_a_later_generation_whose_tally_alone_is_gone_is_not_left(lost: Lost) -> None:
    """Where the first tally still says where the counts are, they are made anew there."""
    await lost.process.counts.start_anew()
    await lost.process.reconciler.run(full=True)
    partition = lost.process.counts.partition
    table = lost.world.table
    found = await table.read(partition, TALLY_KEY)
    assert found is not None
    await table.commit(partition, [Write(TALLY_KEY, None, found.etag)])
    for process in (lost.process, lost.world.new_process()):
        assert (await process.counts.open()).partition == partition


async def test_it_is_said_once(unique: str, azurite: Azurite, caplog: pytest.LogCaptureFixture) -> None:
    """By whoever makes the table anew; who has never made it leaves it alone: a look must not make a table."""
    caplog.set_level(logging.INFO, logger="shared")
    async with TableServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        client = service.get_table_client(unique)
        onlooker = AzureTable(client)
        with pytest.raises(TableAbsent):
            await onlooker.read("p", "a")
        keeper = AzureTable(client)
        await keeper.create()
        await client.delete_table()
        for doing in (onlooker.commit("p", WRITES), anext(onlooker.scan("p"))):
            with pytest.raises(TableAbsent):
                await doing
        with pytest.raises(OutcomeUnknown, match="made anew"):
            await keeper.commit("p", WRITES)
        assert await keeper.read("p", "a") is None
        assert len(await keeper.commit("p", WRITES)) == 2
        await client.delete_table()
        assert await keeper.read("p", "a") is None
        await client.delete_table()
        with pytest.raises(OutcomeUnknown, match="made anew"):
            await anext(keeper.scan("p"))
        await client.delete_table()
        with pytest.raises(OutcomeUnknown, match="made anew"):
            await keeper.commit("p", WRITES[:1])
    assert [unique in record.getMessage() for record in caplog.records] == [True] * 4


async def test_a_table_that_is_being_deleted_is_not_there() -> None:
    """Its 409 is not the one that says "exists": neither at the start nor later."""
    async with table_behind(answering(409, error("TableBeingDeleted", "The table is being deleted."))) as table:
        with pytest.raises(TableAbsent) as caught:
            await table.create()
        assert (caught.value.status, caught.value.code) == (409, "TableBeingDeleted")
    async with table_behind(answering(409, error("TableAlreadyExists", "The table exists."))) as table:
        await table.create()


@pytest.mark.parametrize("is_ours", [True, False])
async def test_who_has_made_a_table_makes_it_anew(is_ours: bool) -> None:
    """A read finds nothing then, and everything else has an unknown outcome; what is another's is absent."""
    is_there, made = False, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_there, made
        head = await reader.readuntil(b"\r\n\r\n")
        creates = head.startswith(b"POST") and b"/Tables" in head.split(b"\r\n")[0]
        is_there, made = is_there or creates, made + creates
        body = (error("TableNotFound", "No.") if not is_there else json.dumps({"value": [], "TableName": "t"})).encode()
        status = 201 if creates else 200 if is_there else 404
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{headers}".encode() + body)
        await writer.drain()

    async with table_behind(answer) as table:
        if is_ours:
            await table.create()
        for number, (what, is_read) in enumerate(((table.read("p", "a"), True), (_all(table.scan("p")), False)), 1):
            is_there = False
            if is_ours and is_read:
                assert await what is None
            else:
                with pytest.raises(OutcomeUnknown if is_ours else TableAbsent):
                    await what
            assert made == (number + 1) * is_ours


async def _all(pages: AsyncIterator[object]) -> list[object]:
    return [page async for page in pages]


async def test_a_start_that_meets_a_table_being_deleted_is_tried_again_by_the_next_request() -> None:
    """503 until the service has done with the old table, and no restart."""
    answers = [answering(409, error("TableBeingDeleted", "Being deleted."))] * 2 + [answering(201, "{}")] * 2
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await answers[asked - 1](reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        storage = connection_string(server.sockets[0].getsockname()[1])
        storage += f"BlobEndpoint=http://{LOOPBACK}:1/{ACCOUNT};"
        settings = Settings.from_environ({"STORAGE": storage})
        before = effects()
        process = AppProcess(settings)
        for _ in range(2):
            with pytest.raises(TableAbsent):
                await process.services()
            assert effects() == before
        started = await process.services()
        assert await process.services() is started
        assert effects() != before
        await process.close()
    assert effects() == before
    assert asked == 4, "the table's third try, and the inbox"


def effects() -> tuple[object, ...]:
    """Return what a process that serves changes in itself."""
    return signal.getsignal(signal.SIGTERM), [*logging.getLogger("shared").handlers], gc.get_freeze_count() > 0


def test_the_memory_table_loses_as_the_port_says() -> None:
    """A read finds nothing; a commit's outcome is unknown; then it is an empty table."""

    async def lose() -> None:
        table = MemoryTable()
        table.lose()
        with pytest.raises(OutcomeUnknown):
            await table.commit("p", WRITES)
        assert await table.commit("p", WRITES)
        table.lose()
        assert await table.read("p", "a") is None

    asyncio.run(lose())


async def test_the_timer_is_the_first_to_meet_the_loss(azurite: Azurite, unique: str) -> None:
    """One run of what the trigger calls makes the table, and the counts ready: nothing waits for the next run."""
    environ = {"STORAGE": azurite.connection_string, "COUNTS_TABLE": unique}
    environ |= {f"{folder.upper()}_FOLDER": f"{unique}-{folder}" for folder in FOLDERS}
    app = Services(Settings.from_environ(environ))
    try:
        await app.table.create()
        await app.reconcile()
        epoch = (await app.counts.open()).tally.epoch
        await app.table._client.delete_table()
        await app.reconcile()
        stored = await app.counts.read()
        assert stored is not None
        assert (stored.tally.ready, stored.tally.epoch != epoch) == (True, True)
    finally:
        await app.close()
