"""Time as the app sees it: one small protocol, so that tests can be the clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

#: CLOCK_MONOTONIC stands still while a machine is suspended: what was read before it would pass for fresh afterwards.
_SINCE_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Where an engine gets its time from."""

    def now(self) -> datetime:
        """Return the wall clock, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back, and go on while the machine is suspended, where it can tell (Linux)."""
        return time.clock_gettime(_SINCE_BOOT) if _SINCE_BOOT is not None else time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        await asyncio.sleep(seconds)


def is_due(last: datetime, every: timedelta, now: datetime) -> bool:
    """Tell whether what was last done at this moment has to be done again.

    A moment that is still to come was written by a machine whose clock is ahead, and says nothing.
    """
    return not timedelta(0) <= now - last < every


def read_moment(text: object) -> datetime | None:
    """Read a stored moment; None for what is none, because somebody has edited it."""
    try:
        return from_iso(str(text))
    except ValueError:
        return None


def to_iso(moment: datetime) -> str:
    """Write a moment as it is stored and served: ISO 8601, UTC, always six digits of a second."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_iso(text: str) -> datetime:
    """Read an ISO 8601 moment; one without a zone is UTC.

    Raises:
        ValueError: It is not one.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:  # year 1 or 9999 with an offset
        raise ValueError(str(error)) from error
