"""The health report, an operator's first questions: is the app alive, is storage there, how old are the counts."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from shared.errors import CountsNotReady, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.clock import Clock
    from shared.watching.watch import Watch

    type Probe = Callable[[], Awaitable[dict[str, object]]]

log = logging.getLogger(__name__)

#: All requests within this time share a report.
CACHE_SECONDS: Final = 1.0
#: The report's members besides the status: JSON type and description. Part of the OpenAPI document.
DETAILS: Final[dict[str, tuple[str | list[str], str]]] = {
    "storage_reachable": ("boolean", "Whether the counts could be read."),
    "waiters": ("integer", "Held polls and open streams of this instance, now."),
    "waiters_limit": ("integer", "How many are held at most (MAX_WAITERS); further clients get 503."),
    "status_reads": ("integer", "Reads of tally and cases since this instance started: they do not grow with clients."),
    "asyncio_tasks": ("integer", "Tasks of this instance, now: more and more of them are a leak."),
    "counts_changed_at": ("string", "When a count last changed, UTC; absent while the counts are not known."),
    "last_event_age_seconds": (
        ["number", "null"],
        "Since the newest event applied or looked at here; null before one.",
    ),
    "events": ("object", "Delivered events since this instance started, by outcome."),
    "named_writer": ("string", "Which instance commits for all, as this one knows: this, another or none."),
    "quarantined_by_this_instance": ("integer", "Events put into quarantine since this instance started."),
    "last_reconciliation": (["object", "null"], "The report of the last one; null before one."),
    "runtime_leak_guard": (
        "string",
        "Of the guard against a leak of the platform's runtime: in place, not needed, or unknown shape (look into it).",
    ),
}


class Health:
    """Makes the report, at most once a second.

    Args:
        watch: The counts.
        clock: Time.
        probes: Reports of the other parts of the app: each returns some of :data:`DETAILS`.
    """

    def __init__(self, watch: Watch, clock: Clock, probes: Sequence[Probe]) -> None:
        self._watch = watch
        self._clock = clock
        self._probes = probes
        self._report: dict[str, Any] = {}
        self._made_at = float("-inf")
        self._making = asyncio.Lock()

    async def report(self, *, detailed: bool) -> dict[str, Any]:
        """Return the report, or only its status."""
        async with self._making:  # requests that arrive while a report is made share it
            if self._clock.monotonic() - self._made_at > CACHE_SECONDS:
                self._report = await self._make()
                self._made_at = self._clock.monotonic()  # by then, or those who have waited make it again in turn
        return self._report if detailed else {"status": self._report["status"]}

    async def _make(self) -> dict[str, Any]:
        watch = self._watch
        report: dict[str, Any] = {
            "status": "ok",
            "storage_reachable": True,
            "waiters": watch.waiters,
            "waiters_limit": watch.max_waiters,
            "status_reads": watch.rows_read,
            "asyncio_tasks": len(asyncio.all_tasks()),
        }
        try:
            snapshot = await watch.latest()
            report["counts_changed_at"] = snapshot.data["timestamp"]
        except CountsNotReady:
            report["status"] = "not-ready"
        except Unavailable:
            report |= {"status": "degraded", "storage_reachable": False}
        for probe in self._probes:
            try:
                report |= await probe()
            except Exception:  # the rest of the report is needed most when something is wrong
                log.exception("a part of the health report is missing")
        return report
