"""What a client follows: the counts of everything, or of one case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from shared.watching.waiters import End

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from shared.clock import Clock
    from shared.model.snapshot import StatusSnapshot
    from shared.watching.waiters import Waiters


class ClientGone(Exception):  # noqa: N818
    """The waiting client has gone; no answer is needed."""


class Hub(Protocol):
    """What all topics of a process share: the tally that is read for all of them, and the room for clients.

    Attributes:
        clock: Time.
        interval_seconds: The poll interval.
        waiting: The clients that wait.
        is_stopping: The process ends; no client is held any more.
    """

    clock: Clock
    interval_seconds: float
    waiting: Waiters
    is_stopping: bool

    async def latest_as_of(self, is_behind: Callable[[], bool]) -> StatusSnapshot:
        """Return the counts of everything, from a read that began after this call if what is shared is behind."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Give a client a place, for one wait or many; the tally is polled while one is taken.

        Raises:
            Unavailable: The process stops.
            TooManyWaiters: There is no room.
        """
        ...

    def require_all_confirmed(self) -> None:
        """Check that the tally was read, or committed, lately.

        Raises:
            Unavailable: It was not.
        """
        ...


class Topic(ABC):
    """Counts that are served now, or when they change.

    Args:
        key: What waiters wait for: "" for everything, else a case's key.

    Attributes:
        snapshot: The counts as last published.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.snapshot: StatusSnapshot | None = None

    @property
    @abstractmethod
    def hub(self) -> Hub:
        """What brings the changes."""

    @abstractmethod
    async def latest(self, *, newer_than: frozenset[str] = frozenset()) -> StatusSnapshot:
        """Return the current counts.

        Args:
            newer_than: Versions that the client has. When one is *ahead* of the shared snapshot (another instance
                has served it), the answer comes from a read that began after the request, so that no client sees the
                counts go back.

        Raises:
            CountsNotReady: The account has never been reconciled.
            Unavailable: The table cannot be read.
        """

    async def changed(
        self, version: str, timeout_seconds: float, is_gone: Callable[[], bool] | None = None
    ) -> StatusSnapshot | None:
        """Wait until the version differs from this one.

        Args:
            version: The version that the client has.
            timeout_seconds: How long at most.
            is_gone: Tells whether the client has left; asked every second.

        Returns:
            The snapshot that differs, or None when the time is up, or the process stops, and the version still holds.

        Raises:
            ClientGone: The client left while it waited.
            Unavailable: The time is up and the version could not be confirmed; or the process stops.
            TooManyWaiters: There is no room.
        """
        with self.hub.held():
            return await self.next(version, timeout_seconds, is_gone)

    async def next(
        self, version: str, timeout_seconds: float, is_gone: Callable[[], bool] | None = None
    ) -> StatusSnapshot | None:
        """Wait as :meth:`changed` does, for a client that is already held."""
        hub = self.hub
        deadline = hub.clock.monotonic() + timeout_seconds
        while True:
            seconds = deadline - hub.clock.monotonic()
            waiter = hub.waiting.join(seconds, is_gone, self.key)  # from here on a change ends it
            try:
                if self.snapshot is not None and self.snapshot.version != version:
                    return self.snapshot
                ended = End.STOPPING if hub.is_stopping else await waiter
            finally:
                hub.waiting.leave(waiter)
            if ended is End.GONE:
                raise ClientGone
            if self.snapshot is not None and self.snapshot.version != version:
                return self.snapshot
            if ended is not End.CHANGED:
                await self.confirm()
                return self.snapshot if self.snapshot is not None and self.snapshot.version != version else None

    async def confirm(self) -> None:
        """Make sure that the counts were confirmed lately, or confirm them.

        Raises:
            Unavailable: They were not.
        """
        self.hub.require_all_confirmed()
