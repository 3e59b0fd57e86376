"""The admin endpoints, as far as local work needs them.

- `POST /admin/functions/<name>` with `{"input": "<text>"}` or `{}` runs a function without HTTP trigger now, also a
  disabled one ("Manually run a non HTTP-triggered function", "Run a disabled function"): 202 at once. The body is
  `application/json`, else 415, as on the platform: a page of another site cannot send that without being asked first.
- `GET /admin/functions` lists the names; `GET /admin/host/status` answers `{"state": "Running"}`.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from localdev.host.endpoint import Answer, Call, Endpoint, Refusal
from localdev.host.timers import Timers
from localdev.host.worker import Worker

PREFIX = "/admin/"
_FUNCTIONS = "/admin/functions/"


class Admin:
    """The admin endpoints of one worker."""

    def __init__(self, worker: Worker, timers: Timers) -> None:
        self._worker = worker
        self._timers = timers

    async def answer(self, call: Call) -> Answer:
        """Answer an admin request."""
        path = call.path.rstrip("/")
        match call.method, path.lower():
            case "GET", "/admin/host/status":
                return Answer.of_json({"state": "Running"})
            case "GET", "/admin/functions":
                return Answer.of_json([function.name for function in self._worker.functions.values()])
            case "POST", lowered if lowered.startswith(_FUNCTIONS):
                if call.media_type() != "application/json":
                    raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
                return self._run_now(lowered.removeprefix(_FUNCTIONS), call.body)
        raise Refusal(HTTPStatus.NOT_FOUND)

    def _run_now(self, name: str, body: bytes) -> Answer:
        function = self._worker.functions.get(name)
        if function is None:
            raise Refusal(HTTPStatus.NOT_FOUND)
        if function.kind == "httpTrigger":
            raise Refusal(HTTPStatus.BAD_REQUEST)
        text = _input(body)
        timer = self._timers.by_name.get(function.name)
        task: asyncio.Task[Any] = (
            asyncio.get_running_loop().create_task(timer.fire())
            if timer is not None
            else self._worker.invoke(function, text)
        )
        Endpoint.running.add(task)
        task.add_done_callback(Endpoint.running.discard)
        return Answer(HTTPStatus.ACCEPTED)


def _input(body: bytes) -> str:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(HTTPStatus.BAD_REQUEST) from None
    if not isinstance(document, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST)
    text = document.get("input", "")
    return text if isinstance(text, str) else json.dumps(text)
