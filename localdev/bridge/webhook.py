"""The receiving end: posts events to a webhook and says what its answer means.

Source: https://learn.microsoft.com/azure/event-grid/delivery-and-retry
"""

from __future__ import annotations

import json
import logging
import time
from enum import Enum
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from localdev.bridge.events import Event, Schema, cloud_event

if TYPE_CHECKING:
    from localdev.bridge.settings import DeliverySettings

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 30.0  # an endpoint that has not answered by then has failed
NOT_RETRIED: Final = frozenset({400, 401, 403, 413})  # 401 and 403: for webhooks
SUCCESS: Final = range(200, 205)  # 200 to 204; every other code is a failure, redirects too
PROBE_SECONDS: Final = 0.25


class Verdict(Enum):
    """What an answer, or the lack of one, means for the events."""

    TAKEN = "taken"
    REFUSED = "refused for good"
    FAILED = "to be tried again"


class Webhook:
    """Posts events. While nothing listens at the address `down` is set, and `probe_at` is when to try again."""

    def __init__(self, settings: DeliverySettings) -> None:
        self.down = False
        self.probe_at = 0.0  # on the monotonic clock
        self._settings = settings
        self._url = URL(settings.url, encoded=True)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), connector=aiohttp.TCPConnector(limit=0)
        )

    async def post(self, events: list[Event], attempt: int) -> tuple[Verdict, str]:
        """Send one request; return what became of it, with a description of the problem if there was one."""
        body, content_type = self._body(events)
        headers = {
            "content-type": content_type,
            "aeg-event-type": "Notification",
            "aeg-subscription-name": "LOCAL",
            "aeg-delivery-count": str(attempt),
        }
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
        except aiohttp.ClientConnectorError as error:
            self._note_down()
            return Verdict.FAILED, f"not reachable: {type(error).__name__}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Nobody knows whether the events were processed: they are delivered again, as Event Grid does.
            return Verdict.FAILED, f"no answer: {type(error).__name__}"
        self.down = False
        return _verdict(answer.status), f"status {answer.status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _note_down(self) -> None:
        if not self.down:
            _log.warning("%s does not answer; events are kept until it does", self._url.origin())
        self.down, self.probe_at = True, time.monotonic() + PROBE_SECONDS

    def _body(self, events: list[Event]) -> tuple[bytes, str]:
        if self._settings.schema is Schema.EVENT_GRID:
            return json.dumps(events).encode(), "application/json; charset=utf-8"
        if self._settings.max_events == 1:
            return json.dumps(cloud_event(events[0])).encode(), "application/cloudevents+json; charset=utf-8"
        many = [cloud_event(event) for event in events]
        return json.dumps(many).encode(), "application/cloudevents-batch+json; charset=utf-8"


def _verdict(status: int) -> Verdict:
    if status in SUCCESS:
        return Verdict.TAKEN
    return Verdict.REFUSED if status in NOT_RETRIED else Verdict.FAILED
