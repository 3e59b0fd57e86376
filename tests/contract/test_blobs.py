"""The blob contract: what looks and listings promise, in memory, in the simulator and for a real account."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from shared.errors import ContainerAbsent
from shared.model.ports import Page
from tests.contract.conftest import Account

MARGIN = timedelta(seconds=2)


async def pages_of(account: Account, container: str, prefix: str = "", token: str = "") -> list[Page]:
    """Return all pages of a listing."""
    return [page async for page in account.listing.pages(container, prefix, token)]


async def test_a_blob_that_is_there_is_seen_with_its_etag_and_dates(account: Account, unique: str) -> None:
    """Present, an eTag, and two dates of the service's clock, to the second."""
    await account.put(unique, "a/ö #?.jpg")
    head = await account.heads.head(unique, "a/ö #?.jpg")
    assert head.present
    assert head.etag
    assert head.date.tzinfo is not None
    assert head.date.microsecond == 0
    assert head.last_modified is not None
    assert head.last_modified <= head.date + MARGIN


async def test_a_blob_that_was_overwritten_has_another_etag(account: Account, unique: str) -> None:
    """The eTag tells two contents of one name apart."""
    await account.put(unique, "a.jpg")
    first = await account.heads.head(unique, "a.jpg")
    await account.put(unique, "a.jpg")
    assert (await account.heads.head(unique, "a.jpg")).etag != first.etag


async def test_a_blob_that_is_not_there_is_absent_as_of_a_date(account: Account, unique: str) -> None:
    """Never written, or deleted: absent, with the Date of the answer and nothing else."""
    await account.put(unique, "other.jpg")
    head = await account.heads.head(unique, "a.jpg")
    assert not head.present
    assert not head.etag
    assert head.last_modified is None
    assert head.date.microsecond == 0


async def test_a_blob_of_no_container_is_absent(account: Account, unique: str) -> None:
    """A container that is not there is a definite answer about its blobs."""
    assert not (await account.heads.head(account.missing(unique), "a.jpg")).present


async def test_a_listing_gives_every_name_under_its_prefix_once(account: Account, unique: str) -> None:
    """Over all pages, exactly, whatever the names look like."""
    names = {f"in/{i:02}.jpg" for i in range(23)} | {"in/ü&<>.jpg", "in/100%25.jpg"}
    for name in (*names, "out/a.jpg", "inside.jpg"):
        await account.put(unique, name)
    pages = await pages_of(account, unique, "in/")
    listed = [name for page in pages for name in page.names]
    assert sorted(listed) == sorted(names)


async def test_a_listing_goes_on_after_a_page(account: Account, unique: str) -> None:
    """A page's token, taken elsewhere, gives what comes after it; the last page has none."""
    for number in range(23):
        await account.put(unique, f"{number:02}.jpg")
    pages = await pages_of(account, unique)
    assert len(pages) > 1
    assert not pages[-1].next_token
    for done in range(1, len(pages)):
        token = pages[done - 1].next_token
        assert token
        rest = await pages_of(account, unique, token=token)
        assert [page.names for page in rest] == [page.names for page in pages[done:]]


async def test_every_page_has_the_date_of_its_answer(account: Account, unique: str) -> None:
    """A name that is missing from a page says something about that moment only."""
    for number in range(23):
        await account.put(unique, f"{number:02}.jpg")
    dates = [page.date for page in await pages_of(account, unique)]
    assert all(date.tzinfo is not None and date.microsecond == 0 for date in dates)
    assert all(later >= earlier - MARGIN for earlier, later in pairwise(dates))


async def test_a_container_without_blobs_is_one_empty_page(account: Account, unique: str) -> None:
    """Nothing under the prefix, and no error."""
    await account.put(unique, "elsewhere/a.jpg")
    pages = await pages_of(account, unique, "in/")
    assert [name for page in pages for name in page.names] == []


async def test_a_container_that_is_not_there_says_so(account: Account, unique: str) -> None:
    """Definitely absent is an error of its own, not an empty listing."""
    with pytest.raises(ContainerAbsent):
        await pages_of(account, account.missing(unique))
