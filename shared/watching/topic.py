"""What a client follows: the counts of everything, or of one case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from shared.watching.waiters import End

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model.snapshot import StatusSnapshot
    from shared.watching.watch import Watch


class ClientGone(Exception):  # noqa: N818
    """The waiting client has gone; no answer is needed."""


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
    def watch(self) -> Watch:
        """The watch that brings the changes."""

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
        self.watch.require_room()
        with self.watch.held():
            return await self.next(version, timeout_seconds, is_gone)

    async def next(
        self, version: str, timeout_seconds: float, is_gone: Callable[[], bool] | None = None
    ) -> StatusSnapshot | None:
        """Wait as :meth:`changed` does, for a client that is already held."""
        watch = self.watch
        deadline = watch.clock.monotonic() + timeout_seconds
        while True:
            seconds = deadline - watch.clock.monotonic()
            waiter = watch.waiting.join(seconds, is_gone, self.key)  # from here on a change ends it
            try:
                if self.snapshot is not None and self.snapshot.version != version:
                    return self.snapshot
                ended = End.STOPPING if watch.is_stopping else await waiter
            finally:
                watch.waiting.leave(waiter)
            if ended is End.GONE:
                raise ClientGone
            if self.snapshot is not None and self.snapshot.version != version:
                return self.snapshot
            if ended is not End.CHANGED:
                self.require_confirmed()
                return None

    def require_confirmed(self) -> None:
        """Check that the counts were confirmed lately.

        Raises:
            Unavailable: They were not.
        """
        self.watch.require_all_confirmed()
