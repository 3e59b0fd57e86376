"""The simulated storage account: blobs in memory, and events as oddly shaped as the platform's are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from random import Random
from urllib.parse import quote

from shared.clock import to_iso
from tests.fakes.memory_blobs import MemoryBlobs, url
from tests.simulation.checker import Checker


class TrueClock:
    """The service's time, as one of its front ends has it."""

    def __init__(self, date: Callable[[], datetime]) -> None:
        self.now = date


class Account(MemoryBlobs):
    """A storage account whose changes raise events.

    Args:
        date: The time by a front end of the service.
        checker: Told of every change at the instant it happens.
        random: Of the events' shapes.
        on_event: Called with each event's text and the paths that it is about.
    """

    def __init__(
        self,
        date: Callable[[], datetime],
        checker: Checker,
        random: Random,
        on_event: Callable[[str, list[str]], None],
    ) -> None:
        super().__init__(TrueClock(date), page_size=random.choice([3, 5, 8, 20]))  # type: ignore[arg-type]
        self._checker = checker
        self._random = random
        self._on_event = on_event
        self._number = random.getrandbits(60) | 0xABCDEF << 36
        #: Share of events with a sequencer of another width, of none at all, and of those without a time.
        self.odd = random.choice([0.0, 0.02, 0.1])

    def put(self, path: str) -> str:
        """Write a blob."""
        return self._changed(super().put(path), {path: True})

    def delete(self, path: str) -> str:
        """Delete a blob."""
        return self._changed(super().delete(path), {path: False})

    def rename(self, source: str, destination: str, source_url: str = "") -> str:
        """Rename a blob, as an account with a hierarchical namespace does: one event for both names."""
        text = super().rename(source, destination, source_url or self._url(source))
        return self._changed(text, {source: False, destination: True})

    def rename_directory(self, source: str, destination: str, source_url: str = "") -> str:
        """Rename a directory with all that is in it: one event for all."""
        gone = self.under(source)
        text = super().rename_directory(source, destination, source_url or self._url(source))
        came = {destination + path.removeprefix(source): True for path in gone}
        return self._changed(text, dict.fromkeys(gone, False) | came)

    def delete_directory(self, directory: str) -> str:
        """Delete a directory with all that is in it: one event for all."""
        gone = self.under(directory)
        return self._changed(super().delete_directory(directory), dict.fromkeys(gone, False))

    def _changed(self, text: str, changes: dict[str, bool]) -> str:
        for path, present in changes.items():
            self._checker.blob_changed(path, present=present)
        self._on_event(text, [*changes])
        return text

    def _url(self, path: str) -> str:
        """Return an address as an event has it: whether it is percent-encoded is not documented."""
        return url(path, quote if self._random.random() < 0.5 else str)

    def appear(self, path: str) -> None:
        """Have a blob be there without an event: it was there before anybody listened, or was undeleted."""
        self.absent_containers.discard(path.partition("/")[0])
        self.blobs[path] = ("0x0", self.clock.now())
        self._checker.blob_changed(path, present=True)

    def delete_container(self, container: str) -> None:
        """Delete a container with all that is in it: no event is raised for any blob."""
        gone = [path for path in self.blobs if path.startswith(f"{container}/")]
        super().delete_container(container)
        for path in gone:
            self._checker.blob_changed(path, present=False)

    def _raise(self, event_type: str, path: str, data: dict[str, str]) -> str:
        random = self._random.random
        self._number += 1 + int(random() * 0x3000)
        sequencer: str | None = f"{self._number:048x}"
        dice = random()
        if dice < 0.15:
            sequencer = sequencer.upper() if sequencer else None
        elif dice < 0.3:
            sequencer = sequencer[:40] + sequencer[40:].upper() if sequencer else None
        when: str | None = to_iso(self.clock.now())
        if random() < self.odd:
            odd = int(random() * 4)
            sequencer = [f"{self._number:032x}", f"{self._number:032X}", None, "not hex"][odd]
            dice = random()
            when = when if dice < 0.6 else "yesterday" if dice < 0.8 else "2099-01-01T00:00:00Z"
        container, _, name = path.partition("/")
        event = {
            "id": str(self._number),
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "data": {**data, "api": "Simulated", **({"sequencer": sequencer} if sequencer else {})},
        }
        if random() < 0.2:
            return json.dumps({**event, "specversion": "1.0", "source": "/", "type": event_type, "time": when})
        return json.dumps({**event, "eventType": event_type, "eventTime": when})
