"""Nobody writes lines into the log by the name of a blob or by an event."""

from __future__ import annotations

import json
import logging

import pytest

from tests.fakes.world import World

INJECTED = "2026-01-01 ERROR forged"
NAME = f"case/a\n{INJECTED}\r\n\x1b[31m.jpg"


def event(event_type: str, name: str) -> str:
    """Return an event about a name."""
    return json.dumps(
        {
            "eventType": event_type,
            "subject": f"/blobServices/default/containers/queued/blobs/{name}",
            "eventTime": "2026-01-01T00:01:00Z",
            "data": {"sequencer": "1", "sourceUrl": f"https://a.dfs.core.windows.net/queued/{name}"},
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        event("Microsoft.Storage.BlobCreated", NAME),
        event("Microsoft.Storage.BlobDeleted", NAME),
        event("Microsoft.Storage.BlobRenamed", NAME),
        event("Microsoft.Storage.DirectoryDeleted", NAME),
        event(f"Microsoft.Storage.\n{INJECTED}", NAME),
        event("Microsoft.Storage.BlobCreated", "").replace("/queued/blobs", f"\\n{INJECTED}"),
        f"not JSON\n{INJECTED}",
    ],
)
async def test_no_line_is_injected(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Whatever is in an event, a log record stays one line; also when storage fails while it is taken."""
    caplog.set_level(logging.DEBUG, "shared")
    world = await World().bootstrap()
    await world.process.delivery.take(text)
    world.blobs.fails = lambda what: what == "list"
    await world.process.delivery.take(text)
    assert not [record.getMessage() for record in caplog.records if set("\n\r\x1b") & set(record.getMessage())]
    assert not [reason for _, reason in world.process.quarantine.kept if "\n" in reason]
