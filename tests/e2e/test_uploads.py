"""A real upload moves the counts: every way to change a blob, by the Azure SDK, through to the HTTP answer."""

from __future__ import annotations

import base64

import pytest
from azure.storage.blob import BlobBlock

from localdev.testbed import Stack, container
from tests.e2e.stack import App, plus

JPEG = base64.b64decode("/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////2Q==")


async def test_upload_overwrite_delete(stack: Stack, app: App, unique: str) -> None:
    """One more, still one more, one less."""
    before = await app.counts()
    blob = container(stack, "queued").get_blob_client(f"{unique}/a.jpg")
    blob.upload_blob(JPEG)
    await app.wait_for(plus(before, 1, 0, 0))
    for _ in range(3):
        blob.upload_blob(JPEG, overwrite=True)
    container(stack, "queued").upload_blob(f"{unique}/b.jpg", JPEG)
    await app.wait_for(plus(before, 2, 0, 0))
    blob.delete_blob()
    await app.wait_for(plus(before, 1, 0, 0))


async def test_a_block_upload_counts_when_it_is_committed(stack: Stack, app: App, unique: str) -> None:
    """Staged blocks are nothing yet; the block list makes the blob."""
    before = await app.counts()
    blob = container(stack, "queued").get_blob_client(f"{unique}/large.jpg")
    blocks = [base64.b64encode(f"{number:04}".encode()).decode() for number in range(3)]
    for block in blocks:
        blob.stage_block(block, b"x" * 100_000)
    assert await app.counts() == before
    blob.commit_block_list([BlobBlock(block) for block in blocks])
    await app.wait_for(plus(before, 1, 0, 0))


async def test_a_batch_delete_counts_each_blob(stack: Stack, app: App, unique: str) -> None:
    """One HTTP request deletes five blobs, and five leave the count."""
    before = await app.counts()
    output = container(stack, "output")
    names = [f"{unique}/{number}.png" for number in range(5)]
    for name in names:
        output.upload_blob(name, JPEG)
    await app.wait_for(plus(before, 0, 0, 5))
    output.delete_blobs(*names)
    await app.wait_for(before)


async def test_a_move_goes_through_the_folders(stack: Stack, app: App, unique: str) -> None:
    """On a flat account a move is a copy and a delete; at the end the blob is in one folder."""
    before = await app.counts()
    name = f"{unique}/a.jpg"
    blob = container(stack, "queued").get_blob_client(name)
    blob.upload_blob(JPEG)
    for folder, expected in (("input", (0, 1, 0)), ("output", (0, 0, 1))):
        moved = container(stack, folder).get_blob_client(name)
        moved.start_copy_from_url(blob.url)
        blob.delete_blob()
        await app.wait_for(plus(before, *expected))
        blob = moved


@pytest.mark.parametrize("name", ["ä ö/日本 🙂.jpg", "a#b%23c+d?.jpg", "UPPER.JPEG", "dots..jpg", "a" * 200 + ".webp"])
async def test_any_name_counts_once_in_and_once_out(stack: Stack, app: App, unique: str, name: str) -> None:
    """Names are exact bytes: encoded, decoded or long, the same name comes and goes."""
    before = await app.counts()
    blob = container(stack, "queued").get_blob_client(f"{unique}/{name}")
    blob.upload_blob(JPEG)
    await app.wait_for(plus(before, 1, 0, 0))
    blob.delete_blob()
    await app.wait_for(before)


async def test_what_is_no_image_or_not_ours_does_not_count(stack: Stack, app: App, unique: str) -> None:
    """A text file, a file without a suffix and a foreign container do not move the counts or the version."""
    version = (await app.status()).headers["etag"]
    queued = container(stack, "queued")
    for name in ("notes.txt", "jpg", "image.jpg.tmp"):
        queued.upload_blob(f"{unique}/{name}", b"x")
    foreign = stack.blobs().create_container(unique)
    foreign.upload_blob("a.jpg", JPEG)
    queued.upload_blob(f"{unique}/marker.jpg", JPEG)  # events may overtake each other: this one ends the wait
    held = await app.held(version, 20)
    counted = held.json()["data"]
    queued.delete_blob(f"{unique}/marker.jpg")
    await app.wait_for((counted["queued_count"] - 1, counted["input_count"], counted["output_count"]))
    assert (await app.counts())[0] == counted["queued_count"] - 1


async def test_events_are_ordered_by_their_sequencers_and_not_by_looking(app: App) -> None:
    """Of all the events above hardly any needed a HEAD."""
    events = (await app.http.get("/api/health")).json()["events"]
    assert events["applied"] > 20
    assert events.get("look", 0) <= events["applied"] / 10


async def test_the_counts_equal_the_listing(stack: Stack, app: App) -> None:
    """After all that, what is served is what is there, without any reconciliation since the first."""
    await app.wait_for(
        tuple(
            sum(1 for name in container(stack, folder).list_blob_names() if not name.endswith((".txt", "/jpg", ".tmp")))
            for folder in ("queued", "input", "output")
        )
    )
