"""The Event Grid webhook: `POST /runtime/webhooks/EventGrid?functionName=NAME`.

Every element of a delivery is an invocation of its own; they run in parallel, and if one fails the whole delivery does
(500), so that it is delivered again. An element reaches the function as the very text that was received, whatever it
is: an object, a number, null, a string with half a surrogate pair. Both schemas may come as an array or as one object.
Sources: "Event Grid trigger" and "Webhook event delivery" of the platform's documentation; for the handshake of
CloudEvents the CloudEvents webhook specification, chapter 4.
"""

import asyncio
import json
import re
from http import HTTPStatus

from .endpoint import Answer, Call, Refusal
from .worker import Function, Worker

PATH = "/runtime/webhooks/eventgrid"

_BLANK = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{},"]+|[,\s]+', re.DOTALL)
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)  # the values are not used, and huge numbers are not refused


class EventGridWebhook:
    """Deliveries to the functions of a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def answer(self, call: Call) -> Answer:
        """Handle a delivery, a handshake or a farewell."""
        function = self._worker.functions.get(call.query.get("functionname", "").lower())
        if function is None or function.disabled or function.kind != "eventGridTrigger":
            raise Refusal(HTTPStatus.NOT_FOUND)
        if call.method == "OPTIONS":
            origin = call.headers.get("webhook-request-origin", "eventgrid.azure.net")
            return Answer(HTTPStatus.OK, headers=(("webhook-allowed-origin", origin), ("webhook-allowed-rate", "*")))
        if call.method != "POST":
            raise Refusal(HTTPStatus.NOT_FOUND)
        match call.headers.get("aeg-event-type", "").lower():
            case "notification":
                return await self._deliver(function, call.body)
            case "subscriptionvalidation":
                return _validate(call.body)
            case "unsubscribe":
                return Answer(HTTPStatus.ACCEPTED)
            case _:
                raise Refusal(HTTPStatus.BAD_REQUEST)

    async def _deliver(self, function: Function, body: bytes) -> Answer:
        invocations = (self._worker.invoke(function, element) for element in elements(body))
        succeeded = await asyncio.gather(*invocations)
        return Answer(HTTPStatus.ACCEPTED if all(succeeded) else HTTPStatus.INTERNAL_SERVER_ERROR)


def elements(body: bytes) -> list[str]:
    """The JSON texts of the events of a delivery, as received.

    Raises:
        Refusal: 400, the body is neither a JSON array nor a JSON object.
    """
    text = body.decode("utf-8-sig", errors="replace").strip(" \t\r\n")
    if not text.startswith(("[", "{")):
        raise Refusal(HTTPStatus.BAD_REQUEST)
    try:
        return _slices(text)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST) from None
    except RecursionError:  # nested too deeply for Python's parser; the function is to see it all the same
        return _shallow_slices(text)


def _slices(text: str) -> list[str]:
    if text[0] == "{":
        _, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise ValueError("more than one value")
        return [text]
    found: list[str] = []
    position = _skip_blank(text, 1)
    while text[position : position + 1] != "]" or found:
        _, end = _DECODER.raw_decode(text, position)
        found.append(text[position:end])
        position = _skip_blank(text, end)
        if text[position : position + 1] != ",":
            break
        position = _skip_blank(text, position + 1)
    if text[position:] != "]":
        raise ValueError("the array does not end where the body does")
    return found


def _skip_blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _shallow_slices(text: str) -> list[str]:
    """As `_slices`, by counting brackets: without recursion, and without checking what is inside an element."""
    if text[0] == "{":
        return [text]
    found: list[str] = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        mark = token[0][0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if (depth == 0 and mark == "]") or (depth == 1 and "," in token[0] and mark != '"'):
            element = text[start : token.start()].strip(" \t\r\n")
            if element:
                found.append(element)
            start = token.end()
    if depth:
        raise Refusal(HTTPStatus.BAD_REQUEST)
    return found


def _validate(body: bytes) -> Answer:
    """The subscription validation handshake of the Event Grid schema."""
    try:
        event = json.loads(body)
        code = (event[0] if isinstance(event, list) else event)["data"]["validationCode"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise Refusal(HTTPStatus.BAD_REQUEST) from None
    return Answer.of_json({"validationResponse": code})
