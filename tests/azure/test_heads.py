"""What a look at a blob finds, and what becomes of what the SDK raises."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError

from shared.azure.heads import AnswerDate, BlobHeads, translate
from shared.errors import OutcomeUnknown, Refused
from shared.model.ports import Head
from tests.azure.test_listing import OF_A_BLOB, account


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, OutcomeUnknown), (302, OutcomeUnknown), (399, OutcomeUnknown)]
    + [(status, Refused) for status in (400, 403, 404, 409, 499)]
    + [(status, OutcomeUnknown) for status in (500, 503)],
)
def test_what_the_service_refuses_will_not_be_answered_otherwise_by_asking_again(status, expected):
    """A status of 4xx is the service's word; of anything else the outcome is unknown."""
    error = HttpResponseError("no\nRequestId:...")
    error.status_code = status
    translated = translate(error)
    assert type(translated) is expected
    assert "RequestId" not in str(translated)


async def test_a_look_says_when_it_was_and_what_it_found():
    """By the service's clock, for the machine's own may be off."""
    async with account() as service:
        head = await BlobHeads(service).head("queued", "a.jpg")
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert head == Head(present=True, date=noon, etag='"0x1"', last_modified=noon - timedelta(hours=1))


@pytest.mark.parametrize("missing", OF_A_BLOB)
async def test_a_page_of_something_in_between_is_no_blob(missing):
    """A success without what each blob has was not answered by Blob Storage."""
    async with account(of_a_blob=[each for each in OF_A_BLOB if each != missing]) as service:
        with pytest.raises(OutcomeUnknown, match="not Blob Storage's"):
            await BlobHeads(service).head("queued", "a.jpg")


@pytest.mark.parametrize(("headers", "is_dated"), [({"Date": "Wed, 25 Nov 2026 12:00:00 GMT"}, True), ({}, False)])
def test_an_answer_says_when_it_was_given_or_does_not(headers, is_dated):
    """A row that was read without a date has none; a look needs one."""
    dates = AnswerDate()
    dates.note(SimpleNamespace(http_response=SimpleNamespace(headers=headers)))
    assert dates.is_dated is is_dated
    with nullcontext() if is_dated else pytest.raises(OutcomeUnknown):
        assert dates.date == datetime(2026, 11, 25, 12, tzinfo=UTC)
