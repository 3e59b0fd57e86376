"""Puts the parts of the bridge together: the composition root."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from localdev.bridge.control import Control
from localdev.bridge.delivery import Delivery
from localdev.bridge.journal import Journal
from localdev.bridge.properties import PropertyReader
from localdev.bridge.proxy import Proxy
from localdev.bridge.recorder import Recorder
from localdev.ports import PortInUseError

if TYPE_CHECKING:
    from localdev.bridge.settings import BridgeSettings

_log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 5.0


class Bridge:
    """The blob event bridge, inside the running event loop."""

    def __init__(self, settings: BridgeSettings) -> None:
        self.settings = settings
        self.port = settings.port
        self._parts: tuple[Proxy, Delivery, Journal] | None = None

    @property
    def url(self) -> str:
        """The address that stands in for Azurite's blob service, without the account."""
        return f"http://{self.settings.host}:{self.port}"

    @property
    def delivery(self) -> Delivery:
        """The running delivery, for statistics and live changes of the chaos."""
        if self._parts is None:
            raise RuntimeError("the bridge is not running")
        return self._parts[1]

    async def start(self) -> None:
        """Start serving and delivering; a second start after `stop` keeps the port.

        Raises:
            PortInUseError: the port is taken.
            JournalError: the journal cannot be opened.
            ValueError: the address of Azurite is not a URL.
        """
        settings = self.settings
        address = urlsplit(settings.azurite)
        if address.scheme != "http" or not address.hostname or not address.port:
            raise ValueError(f"{settings.azurite!r} is not an address like http://127.0.0.1:10010")
        azurite = (address.hostname, address.port)
        seed = settings.seed if settings.seed is not None else random.randrange(2**32)
        journal = Journal(settings.journal)
        delivery = Delivery(journal, settings.delivery, settings.chaos, random.Random(seed))
        recorder = Recorder(journal, delivery, PropertyReader(*azurite, settings.account_keys))
        proxy = Proxy(azurite, recorder, Control(journal, delivery))
        await delivery.start()  # first: it plans what it finds in the journal, which new requests add to
        try:
            self.port = await proxy.start(settings.host, self.port)
        except OSError as error:
            await recorder.properties.close()
            await delivery.stop(grace_seconds=0)
            journal.close()
            raise PortInUseError(
                f"port {self.port}, wanted by the blob event bridge, cannot be listened on ({error.strerror}); "
                "stop what listens there or choose another port"
            ) from error
        self._parts = (proxy, delivery, journal)
        _log.info("chaos %s, seed %d", settings.chaos, seed)

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Finish running requests and deliveries; what is undelivered stays in the journal."""
        if self._parts is None:
            return
        proxy, delivery, journal = self._parts
        self._parts = None
        await proxy.stop(grace_seconds)
        await delivery.stop(grace_seconds)
        journal.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
