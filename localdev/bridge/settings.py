"""What a bridge is told at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from localdev.bridge.chaos import Chaos
from localdev.bridge.events import Schema
from localdev.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TTL_SECONDS: Final = 24 * 3600.0  # https://learn.microsoft.com/azure/event-grid/delivery-and-retry


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Where and how events are delivered; times in seconds.

    Attributes:
        url: the webhook.
        schema: the schema events are delivered in.
        retry_scale: factor on Event Grid's retry schedule; 0.01 makes the first retry come after 0.1 s.
        max_retry_seconds: no retry waits longer than this.
        ttl_seconds: age at which an undelivered event becomes a dead letter.
        max_events: most events in one request; Event Grid's default is 1.
        parallel: most requests at once.
    """

    url: str
    schema: Schema = Schema.EVENT_GRID
    retry_scale: float = 0.01
    max_retry_seconds: float = 5.0
    ttl_seconds: float = TTL_SECONDS
    max_events: int = 1
    parallel: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """What a bridge is told at its start.

    Attributes:
        azurite: the blob service behind it, for example `http://127.0.0.1:10010`.
        journal: the file of undelivered events; made when missing, together with its folder.
        delivery: where and how events are delivered.
        port: where to listen; 0 chooses one.
        host: the interface to listen on. The control endpoint has no authentication.
        chaos: misbehaviour of the delivery.
        seed: makes the misbehaviour repeatable; None draws one, which is logged.
        account_keys: accounts whose blobs the bridge may ask for their properties.
    """

    azurite: str
    journal: Path
    delivery: DeliverySettings
    port: int = 0
    host: str = LOOPBACK
    chaos: Chaos = field(default_factory=Chaos)
    seed: int | None = None
    account_keys: Mapping[str, str] = field(default_factory=lambda: {ACCOUNT: ACCOUNT_KEY})
