"""Every blob API through the real SDK and Azurite: the right events, in the order of effect, and no others."""

import asyncio
import contextlib
import io
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    ContentSettings,
    ResourceTypes,
    StandardBlobTier,
    generate_account_sas,
)
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

from localdev.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from localdev.bridge import Bridge
from localdev.ports import free_port
from tests.localdev.support import Webhook, sas, unwritten
from tests.waiting import eventually

# Large bodies: the SDK hands them to aiohttp as bytes, which warns about it.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

Settled = Callable[[], Awaitable[None]]
JPEG = ContentSettings(content_type="image/jpeg")


async def test_a_life_of_a_blob(container: ContainerClient, webhook: Webhook, settled: Settled) -> None:
    """Upload, overwrite and delete raise Created, Created, Deleted with what the blob was at each moment."""
    blob = container.get_blob_client("case 1/a.jpg")
    first = await blob.upload_blob(b"one", content_settings=JPEG)
    second = await blob.upload_blob(b"three", overwrite=True, content_settings=ContentSettings("image/png"))
    await blob.delete_blob()
    await settled()
    created, overwritten, deleted = (event["data"] for event in webhook.in_order())
    assert (created["eTag"], created["contentLength"], created["contentType"]) == (
        first["etag"].strip('"'),
        3,
        "image/jpeg",
    )
    assert (overwritten["eTag"], overwritten["contentLength"]) == (second["etag"].strip('"'), 5)
    assert (deleted["api"], deleted["contentType"], deleted["blobType"]) == ("DeleteBlob", "image/png", "BlockBlob")
    assert not {"eTag", "contentLength"} & deleted.keys()
    assert created["requestId"] == first["request_id"]
    assert created["clientRequestId"] == first["client_request_id"]
    assert created["url"] == f"{container.url}/case 1/a.jpg"
    assert webhook.in_order()[0]["subject"] == (
        f"/blobServices/default/containers/{container.container_name}/blobs/case 1/a.jpg"
    )


async def test_a_block_upload_raises_one_event(container: ContainerClient, webhook: Webhook, settled: Settled) -> None:
    """Blocks raise nothing; the commit raises PutBlockList with the size and type of the whole blob."""
    blob = container.get_blob_client("blocks.jpg")
    for number in range(3):
        await blob.stage_block(f"{number:04}", b"x" * 1000)
    done = await blob.commit_block_list([BlobBlock(f"{n:04}") for n in range(3)], content_settings=JPEG)
    await settled()
    (event,) = webhook.events
    assert event["data"]["api"] == "PutBlockList"
    assert (event["data"]["contentLength"], event["data"]["contentType"]) == (3000, "image/jpeg")
    assert event["data"]["eTag"] == done["etag"].strip('"')


@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("signed", [False, True])
async def test_copies_through_the_bridge(
    container: ContainerClient,
    service: BlobServiceClient,
    webhook: Webhook,
    settled: Settled,
    synchronous: bool,
    signed: bool,
) -> None:
    """A move, copy and delete, between containers by the bridge's own address, with and without SAS."""
    other = await service.create_container(f"c{uuid.uuid4().hex}")
    source = container.get_blob_client("in #1.jpg")
    await source.upload_blob(b"picture", content_settings=JPEG)
    target = other.get_blob_client("out.jpg")
    url = f"{source.url}?{sas(container)}" if signed else source.url
    done = await target.start_copy_from_url(url, requires_sync=synchronous or None)
    await source.delete_blob()
    assert await (await target.download_blob()).readall() == b"picture"
    await settled()
    assert webhook.story(container.container_name) == [
        ("Created", "PutBlob", "in #1.jpg"),
        ("Deleted", "DeleteBlob", "in #1.jpg"),
    ]
    assert webhook.story(other.container_name) == [("Created", "CopyBlob", "out.jpg")]
    copied = next(e["data"] for e in webhook.events if e["data"]["api"] == "CopyBlob")
    assert (copied["contentLength"], copied["contentType"]) == (7, "image/jpeg")
    assert copied["eTag"] == done["etag"].strip('"')


async def test_uploads_and_deletes_by_sas(container: ContainerClient, webhook: Webhook, settled: Settled) -> None:
    """A client that holds only a SAS works through the bridge and raises the same events."""
    address = f"{container.get_blob_client('by sas+1.jpg').url}?{sas(container)}"
    async with BlobClient.from_blob_url(address) as blob:
        await blob.upload_blob(b"data")
        await blob.delete_blob()
    await settled()
    assert [api for _, api, _ in webhook.story(container.container_name)] == ["PutBlob", "DeleteBlob"]


async def test_a_batch_raises_an_event_for_each_success(
    container: ContainerClient, webhook: Webhook, settled: Settled
) -> None:
    """Of a batch of deletes only those that deleted something raise an event."""
    names = [f"b/{n} ü.jpg" for n in range(5)]
    for name in names:
        await container.upload_blob(name, b"x", content_settings=JPEG)
    answers = [a async for a in await container.delete_blobs(*names, "missing.jpg", raise_on_any_failure=False)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [404]
    await settled()
    assert webhook.story(container.container_name)[5:] == [("Deleted", "DeleteBlob", name) for name in names]
    assert {event["data"]["contentType"] for event in webhook.events} == {"image/jpeg"}


async def test_a_batch_over_many_containers(service: BlobServiceClient, webhook: Webhook, settled: Settled) -> None:
    """A batch at the service's address, as other SDKs send it, raises events in every container it touches."""
    containers = [await service.create_container(f"c{uuid.uuid4().hex}") for _ in range(2)]
    parts = []
    for number, container in enumerate(containers):
        await container.upload_blob("x.jpg", b"x")
        target = f"/{ACCOUNT}/{container.container_name}/x.jpg?{sas(container)}"
        parts.append(
            f"--B1\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nDELETE {target} HTTP/1.1\r\n\r\n"
        )
    token = unwritten(
        generate_account_sas(
            ACCOUNT,
            ACCOUNT_KEY,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True, add=True, process=True),
            datetime.now(UTC) + timedelta(hours=1),
        )
    )
    body = ("".join(parts) + "--B1--\r\n").encode()
    headers = {"content-type": "multipart/mixed; boundary=B1", "x-ms-version": "2021-12-02"}
    url = f"{service.url}?comp=batch&{token}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
    await settled()
    for container in containers:
        assert webhook.story(container.container_name)[1:] == [("Deleted", "DeleteBlob", "x.jpg")]


async def test_append_and_page_blobs(container: ContainerClient, webhook: Webhook, settled: Settled) -> None:
    """Creating them raises Created; appending and writing pages raises nothing."""
    append, page = container.get_blob_client("log"), container.get_blob_client("disk")
    await append.create_append_blob()
    await append.append_block(b"line\n")
    await page.create_page_blob(1024)
    await page.upload_page(b"p" * 512, 0, 512)
    await settled()
    assert [(e["data"]["blobType"], e["data"]["contentLength"]) for e in webhook.in_order()] == [
        ("AppendBlob", 0),
        ("PageBlob", 1024),
    ]


async def test_what_changes_no_presence_raises_nothing(
    container: ContainerClient, service: BlobServiceClient, webhook: Webhook, settled: Settled
) -> None:
    """Metadata, properties, tiers, snapshots, leases, staged blocks and containers raise nothing."""
    blob = container.get_blob_client("a.jpg")
    await blob.upload_blob(b"x")
    await blob.set_blob_metadata({"k": "v"})
    await blob.set_http_headers(JPEG)
    await blob.set_standard_blob_tier(StandardBlobTier.COOL)
    await blob.set_blob_tags({"a": "b"})
    snapshot = await blob.create_snapshot()
    await container.get_blob_client("a.jpg", snapshot=snapshot["snapshot"]).delete_blob()
    await blob.create_snapshot()
    await blob.delete_blob(delete_snapshots="only")
    lease = await blob.acquire_lease()
    await lease.release()
    await container.get_blob_client("never.jpg").stage_block("0001", b"x")
    another = await service.create_container(f"c{uuid.uuid4().hex}")
    await another.upload_blob("goes with its container.jpg", b"x")
    await another.delete_container()
    await settled()
    assert webhook.story(container.container_name) == [("Created", "PutBlob", "a.jpg")]
    assert webhook.story(another.container_name) == [("Created", "PutBlob", "goes with its container.jpg")]


async def test_failed_mutations_raise_nothing(container: ContainerClient, webhook: Webhook, settled: Settled) -> None:
    """Conflicts, unmet conditions, missing blobs and refused signatures change nothing and raise nothing."""
    blob = container.get_blob_client("a.jpg")
    await blob.upload_blob(b"x")
    lease = await blob.acquire_lease()
    wrong = BlobClient.from_blob_url(blob.url, credential={"account_name": ACCOUNT, "account_key": "d3Jvbmc="})
    failing = [
        lambda: blob.upload_blob(b"y"),  # exists: 409
        lambda: blob.upload_blob(b"y", overwrite=True),  # leased: 412
        blob.delete_blob,  # leased: 412
        lambda: container.get_blob_client("missing").delete_blob(),
        lambda: container.get_blob_client("copy").start_copy_from_url(f"{container.url}/missing"),
        lambda: container.get_blob_client("list").commit_block_list([BlobBlock("none")]),
        lambda: container.get_blob_client("url").upload_blob_from_url(blob.url),  # Azurite: 501
        wrong.delete_blob,
    ]
    for attempt in failing:
        with pytest.raises(HttpResponseError):
            await attempt()
    await wrong.close()
    await lease.release()
    await settled()
    assert webhook.story(container.container_name) == [("Created", "PutBlob", "a.jpg")]


NAMES = [
    "a b.jpg", "a#b.jpg", "100%.jpg", "a+b.jpg", "%2F.jpg", "a%20b.jpg", "caf\u00e9.jpg", "cafe\u0301.jpg", "😀.jpg",
    "trailing.", "folder/", "a//b.jpg", "/leading.jpg", "back\\slash.jpg", "q?x=1&y=2.jpg",
    "it's \"x\".jpg", "[1];{2},~!$^.jpg",
    "日本語/写真.jpg", "ü" * 200, "UPPER.JPG", "upper.jpg", "a:b@c=d.jpg", "tab\there.jpg", ".hidden", "...",
]  # fmt: skip


async def test_subjects_are_the_exact_names(
    container: ContainerClient, direct: BlobServiceClient, webhook: Webhook, settled: Settled
) -> None:
    """For every name that Azurite lists there is an event with exactly that name, and the blob reads back."""
    for name in NAMES:
        await container.upload_blob(name, name.encode())
    await settled()
    listed = [name async for name in direct.get_container_client(container.container_name).list_blob_names()]
    assert sorted(name for _, _, name in webhook.story(container.container_name)) == sorted(listed)
    assert len(listed) == len(NAMES)
    for name in NAMES:
        assert await (await container.download_blob(name)).readall() == name.encode()
        await container.delete_blob(name)
    await settled()
    assert sorted(name for kind, _, name in webhook.story(container.container_name) if kind == "Deleted") == sorted(
        listed
    )


async def test_the_last_sequencer_is_the_last_effect(
    container: ContainerClient, bridge: Bridge, webhook: Webhook, settled: Settled
) -> None:
    """Of a hundred concurrent overwrites the one with the largest sequencer is the one that stayed."""
    blob = container.get_blob_client("contended.jpg")
    await asyncio.gather(*(blob.upload_blob(f"{n}".encode(), overwrite=True) for n in range(100)))
    await settled()
    assert len({event["data"]["sequencer"] for event in webhook.events}) == 100
    final = await blob.get_blob_properties()
    assert webhook.in_order()[-1]["data"]["eTag"] == final.etag.strip('"')
    assert len(bridge._parts[0].recorder.locks) == 0


async def test_concurrent_creates_deletes_and_batches_end_as_the_events_say(
    container: ContainerClient, webhook: Webhook, settled: Settled
) -> None:
    """Replaying the events in sequencer order gives exactly the blobs that are there."""
    names = [f"{n}.jpg" for n in range(5)]

    async def upload(number: int) -> None:
        await container.upload_blob(names[number % 5], b"x", overwrite=True)

    async def delete(number: int) -> None:
        with contextlib.suppress(ResourceNotFoundError):
            await container.delete_blob(names[number % 5])

    async def batch(number: int) -> None:
        chosen = (names[number % 5], names[(number + 2) % 5])
        _ = [a async for a in await container.delete_blobs(*chosen, raise_on_any_failure=False)]

    await asyncio.gather(*(action(n) for n in range(30) for action in (upload, delete, batch, upload)))
    await settled()
    present: set[str] = set()
    for kind, _, name in webhook.story(container.container_name):
        (present.add if kind == "Created" else present.discard)(name)
    assert present == {name async for name in container.list_blob_names()}


async def test_the_special_containers(service: BlobServiceClient, webhook: Webhook, settled: Settled) -> None:
    """Blobs in $web and $root raise events under that name."""
    for name in ("$web", "$root"):
        container = service.get_container_client(name)
        if not await container.exists():
            await container.create_container()
        await container.upload_blob("index.jpg", b"x", overwrite=True)
    await settled()
    assert {event["subject"].split("/")[4] for event in webhook.events} == {"$web", "$root"}


async def test_without_azurite_the_client_is_told(
    start_bridge: Callable[..., Awaitable[Bridge]], azurite: Azurite
) -> None:
    """When Azurite is down the answer is a 502 that names it, and no event is raised."""
    port = free_port()
    bridge = await start_bridge(azurite=f"http://127.0.0.1:{port}")
    connection = azurite.connection_string_through(bridge.url)
    async with BlobServiceClient.from_connection_string(connection, retry_total=0) as service:
        with pytest.raises(HttpResponseError, match=f"Azurite is not reachable at http://127.0.0.1:{port}") as caught:
            await service.get_blob_client("c", "x").upload_blob(io.BytesIO(b"x" * 3_000_000))
    assert caught.value.status_code == 502
    assert bridge.delivery.stats()["emitted"] == 0


async def test_azurite_may_stop_and_start_behind_the_bridge(
    start_bridge: Callable[..., Awaitable[Bridge]], webhook: Webhook
) -> None:
    """A client with the SDK's retries sees nothing of a restart of Azurite but the time it takes."""
    with Azurite() as own:
        bridge = await start_bridge(azurite=own.blob_url)
        connection = own.connection_string_through(bridge.url)
        async with BlobServiceClient.from_connection_string(
            connection, retry_total=20, initial_backoff=0, increment_base=1.1
        ) as s:
            container = await s.create_container("restarts")
            await container.upload_blob("1.jpg", b"x")
            await asyncio.to_thread(own.stop)
            upload = asyncio.create_task(container.upload_blob("2.jpg", b"x"))
            await asyncio.sleep(0)
            await asyncio.to_thread(own.start)
            await upload
            assert [name async for name in container.list_blob_names()] == ["1.jpg", "2.jpg"]
        await eventually(lambda: len(webhook.events) == 2)
