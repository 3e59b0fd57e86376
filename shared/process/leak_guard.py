"""A guard against a leak of the platform's Python runtime, until it is fixed there.

``azure_functions_runtime.http_v2.HttpCoordinator`` (1.3.0) keeps an entry for each HTTP invocation and never drops
one: about 1.1 KB a request, 1.6 GB an hour at 400 requests a second. The guard drops an invocation's entry once its
response has been handed over, the last time that the runtime uses it. When an entry is gone already, the runtime is
fixed, and the guard removes itself.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

log = logging.getLogger(__name__)

_RUNTIME: Final = "azure_functions_runtime"
_METHOD: Final = "await_http_response_async"
#: The version of the runtime that was seen to leak, and that the guard is tested with.
LEAKING_VERSION: Final = "1.3.0"


class Status(StrEnum):
    """Whether the guard is in place, and why not."""

    IN_PLACE = "in place"
    NOT_NEEDED = "not needed"
    UNKNOWN_SHAPE = "unknown shape"


@dataclass(slots=True)
class LeakGuard:
    """The guard of this process and its status."""

    status: Status = Status.NOT_NEEDED

    async def health(self) -> dict[str, object]:
        """Return this part's members of the health report."""
        return {"runtime_leak_guard": self.status}


def install() -> LeakGuard:
    """Guard this process's runtime, if it is loaded and has the shape that leaks; log the guard's status."""
    guard = LeakGuard()
    runtime = sys.modules.get(f"{_RUNTIME}.http_v2")
    version = getattr(sys.modules.get(f"{_RUNTIME}.version"), "VERSION", "none")
    if runtime is not None:
        is_placed = _place(getattr(runtime, "http_coordinator", None), guard)
        guard.status = Status.IN_PLACE if is_placed else Status.UNKNOWN_SHAPE
    is_tested = (guard.status, version) in {(Status.NOT_NEEDED, "none"), (Status.IN_PLACE, LEAKING_VERSION)}
    level = logging.INFO if is_tested else logging.WARNING
    log.log(level, "guard against the leak of runtime %s: %s (runtime: %s)", LEAKING_VERSION, guard.status, version)
    return guard


def _place(coordinator: Any, guard: LeakGuard) -> bool:
    """Put the guard around the coordinator's method. Return False when it has another shape, or is guarded already."""
    references = getattr(coordinator, "_context_references", None)
    hand_over = getattr(coordinator, _METHOD, None)
    if not isinstance(references, dict) or hand_over is None or _METHOD in vars(coordinator):
        return False

    async def hand_over_and_forget(invocation_id: str) -> Any:
        # The entry stays on failure: the invocation of a request that is cancelled here still looks it up.
        response = await hand_over(invocation_id)
        if references.pop(invocation_id, None) is None:
            vars(coordinator).pop(_METHOD, None)
            guard.status = Status.NOT_NEEDED
            log.info("the runtime forgets finished invocations by itself; the guard has gone")
        return response

    setattr(coordinator, _METHOD, hand_over_and_forget)
    return True
