"""A guard against a leak of the platform's Python runtime, until it is mended there.

``azure_functions_runtime.http_v2.HttpCoordinator`` (1.3.0) keeps an entry for each HTTP invocation and never drops
one: about 1.1 KB a request, 1.6 GB an hour at 400 requests a second. The guard drops an invocation's entry once its
response has been handed over, which is the last time that the runtime looks at it. The first time it finds an entry
gone already the runtime has learnt to do it, and the guard removes itself.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

log = logging.getLogger(__name__)

_MODULE: Final = "azure_functions_runtime.http_v2"
_METHOD: Final = "await_http_response_async"


def install() -> bool:
    """Guard this process's runtime, if it is there and has the shape that leaks.

    Returns:
        Whether the guard is in place.
    """
    coordinator: Any = getattr(sys.modules.get(_MODULE), "http_coordinator", None)
    references = getattr(coordinator, "_context_references", None)
    hand_over = getattr(coordinator, _METHOD, None)
    if not isinstance(references, dict) or hand_over is None or _METHOD in vars(coordinator):
        return False

    async def hand_over_and_forget(invocation_id: str) -> Any:
        # Not on failure: a request that is cancelled here still has an invocation that will look its entry up.
        response = await hand_over(invocation_id)
        if references.pop(invocation_id, None) is None:
            vars(coordinator).pop(_METHOD, None)
            log.info("the runtime forgets finished invocations by itself; the guard has gone")
        return response

    setattr(coordinator, _METHOD, hand_over_and_forget)
    return True
