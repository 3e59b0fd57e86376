"""The Event Grid webhook: `POST /runtime/webhooks/EventGrid?functionName=NAME`, as extension 3.3.0 answers it.

Every element of a delivery is an invocation of its own; they all run at once, and if one fails the whole delivery does
(500), so that Event Grid delivers it again, for a day. An element that is no object fails its delivery too, after the
others have run; a body that is no JSON, or is nested deeper than 64 levels, before anything runs. What an element looks
like to its function, and where that differs from the extension, is in `newtonsoft`.

The extension looks at nothing but the name, which has its case, and `aeg-event-type`. A method is as good as another
to it, OPTIONS excepted, which is the handshake of CloudEvents; so is a content type.
Sources: HttpRequestProcessor and EventGridExtensionConfigProvider of Azure/azure-sdk-for-net, and 63 deliveries to the
real extension (tests/facts/event_grid_webhook.jsonl), each of which is a test.
"""

from http import HTTPStatus
from typing import Any

from localdev.host import newtonsoft
from localdev.host.endpoint import Answer, Call, Refusal
from localdev.host.worker import Function, Worker

PATH = "/runtime/webhooks/eventgrid"

ORIGIN = "eventgrid.azure.net"
"""Who may deliver, whoever asks."""


class EventGridWebhook:
    """Deliveries to the functions of a worker."""

    def __init__(self, worker: Worker) -> None:
        self._functions = {
            function.name: function
            for function in worker.functions.values()
            if function.kind == "eventGridTrigger" and not function.disabled
        }
        self._worker = worker

    async def answer(self, call: Call) -> Answer:
        """Handle a delivery, a handshake or a farewell."""
        name = ",".join(call.query.get("functionname", []))  # as .NET reads a parameter that is given twice
        function = self._functions.get(name)
        if function is None:
            return Answer.of_text(HTTPStatus.NOT_FOUND, f"cannot find function: '{name}'")
        if call.method == "OPTIONS":
            return Answer(HTTPStatus.OK, headers=(("webhook-allowed-origin", ORIGIN),))
        match call.headers.get("aeg-event-type", "").lower():
            case "notification":
                return await self._deliver(function, elements(_content(call)))
            case "subscriptionvalidation":
                return _validate(_content(call))
            case "unsubscribe":
                return Answer(HTTPStatus.ACCEPTED)
            case _:
                raise Refusal(HTTPStatus.BAD_REQUEST)

    async def _deliver(self, function: Function, texts: list[str | None]) -> Answer:
        succeeded = await self._worker.invoke(function, *(text for text in texts if text is not None))
        if None in texts:
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        if succeeded:
            return Answer(HTTPStatus.ACCEPTED)
        return Answer.of_text(HTTPStatus.INTERNAL_SERVER_ERROR, f"Exception while executing function: {function.name}")


def elements(events: Any) -> list[str | None]:
    """Return the JSON texts of a delivery's elements; None for one that is no object, which no function gets.

    Raises:
        Refusal: 500, it is neither an array nor a lone object.
    """
    if isinstance(events, dict):
        events = [events]
    if not isinstance(events, list):
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
    return [newtonsoft.write(event) if isinstance(event, dict) else None for event in events]


def _content(call: Call) -> Any:
    """Parse the body; what the extension does not expect is an exception to it that nobody catches."""
    try:
        return newtonsoft.parse(newtonsoft.decode(call.body, call.headers.get("content-type", "")))
    except ValueError:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR) from None


def _validate(events: Any) -> Answer:
    """Answer the handshake of the Event Grid schema; in a lone event `data` may be a text that holds JSON."""
    try:
        data = events[0]["data"] if isinstance(events, list) else events["data"]
        if isinstance(events, dict) and isinstance(data, str):
            data = newtonsoft.parse(data)
        code = data["validationCode"]
    except (ValueError, LookupError, TypeError):
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR) from None
    return Answer.of_json({"validationResponse": _as_text(code)}, content_type="text/plain; charset=utf-8")


def _as_text(value: Any) -> str:
    """Return what .NET's `ToString` makes of a JSON value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    return str(value) if isinstance(value, str) else newtonsoft.write(value)
