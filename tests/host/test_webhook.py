"""The Event Grid webhook: 63 deliveries that the real extension has answered, and its rules over generated ones."""

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localdev.host import newtonsoft
from localdev.host.endpoint import Refusal
from localdev.host.webhook import elements
from tests.host.support import seen

WEBHOOK = "/runtime/webhooks/EventGrid?functionName=on_blob_event"
NOTIFICATION = {"aeg-event-type": "Notification"}
FACTS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "facts" / "event_grid_webhook.jsonl").read_text("utf-8").splitlines()
]
#: What Newtonsoft takes and RFC 8259 does not: a 500 will do here.
MORE_THAN_JSON = {"hexadecimal and octal", "a comment", "a trailing comma", "single quotes"}


async def noted(client: httpx.AsyncClient) -> list[str]:
    """Return the texts that the function has got, in order."""
    return list((await seen(client)).get("blob_event", []))


def comparable(text: str) -> str:
    """Return an element's text with its numbers and times in one form: Newtonsoft rewrites both, we leave them."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, str) and value[10:11] == "T":
            moment = datetime.fromisoformat(value)
            return moment.timestamp() if moment.tzinfo else value
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return json.dumps(plain(json.loads(text)), indent=2, ensure_ascii=False)


@pytest.mark.parametrize("fact", FACTS, ids=[fact["name"] for fact in FACTS])
async def test_facts(client: httpx.AsyncClient, fact: dict[str, Any]) -> None:
    """A delivery gets the status that it got from the real extension, and the function the same texts."""
    request, expected = fact["request"], fact["answer"]
    body = base64.b64decode(request["body_base64"]) if "body_base64" in request else (request["body"] or "").encode()
    before = len(await noted(client))
    answer = await client.request(
        request["method"],
        f"/runtime/webhooks/EventGrid?{request['query']}",
        headers=request["headers"],
        content=body or None,
    )
    texts = (await noted(client))[before:]
    if fact["name"] in MORE_THAN_JSON:
        assert (answer.status_code, texts) == (500, [])
        return
    assert answer.status_code == expected["status"]
    assert sorted(map(comparable, texts)) == sorted(map(comparable, fact["elements"]))
    if not {"forms of numbers", "times in data"} & {fact["name"]}:
        assert sorted(texts) == sorted(fact["elements"])
    if "throws" not in expected:
        assert answer.text == expected["body"]
        assert {name: answer.headers.get(name) for name in expected["headers"]} == expected["headers"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        (WEBHOOK.replace("EventGrid", "eventgrid"), NOTIFICATION, b"[]", 202),
        (WEBHOOK + "s", NOTIFICATION, b"[]", 404),
        (WEBHOOK.replace("on_blob_event", "off_event"), NOTIFICATION, b"[]", 404),
        (WEBHOOK.replace("on_blob_event", "echo"), NOTIFICATION, b"[]", 404),
        (WEBHOOK.replace("functionName", "functionname"), NOTIFICATION, b"[]", 202),
        (WEBHOOK + "&FunctionName=on_blob_event", NOTIFICATION, b"[]", 404),
        ("/runtime/webhooks/EventGrid?functionName&functionName=on_blob_event", NOTIFICATION, b"[]", 202),
        (WEBHOOK.replace("on_blob_event", "on%5Fblob_event"), NOTIFICATION, b"[]", 202),
        (WEBHOOK, {"aeg-event-type": "notification"}, b"[]", 202),
        (WEBHOOK, {"aeg-event-type": "UNSUBSCRIBE"}, b"no json", 202),
        (WEBHOOK, NOTIFICATION, b"[" + b" " * 5_000_000 + b"]", 202),
        (WEBHOOK, NOTIFICATION, b"[" * 100_000, 500),
        (WEBHOOK, NOTIFICATION, b"]" * 200_000 + b"[" * 200_000, 500),
        (WEBHOOK, NOTIFICATION, b"[{}] []", 500),
        (WEBHOOK, NOTIFICATION, b'{"a":1}{"a":2}', 500),
        (WEBHOOK, NOTIFICATION, b"[[{}]]", 500),
        (WEBHOOK, {"aeg-event-type": "SubscriptionValidation"}, b"[]", 500),
        (WEBHOOK, {"aeg-event-type": "SubscriptionValidation"}, b"[{}]", 500),
        (WEBHOOK, {"aeg-event-type": "SubscriptionValidation"}, b'[{"data":"{\\"validationCode\\":\\"x\\"}"}]', 500),
        (WEBHOOK, {"aeg-event-type": "SubscriptionValidation"}, b'{"data":1}', 500),
        (WEBHOOK, {"aeg-event-type": "SubscriptionValidation"}, b"null", 500),
    ],
)
async def test_answers(client: httpx.AsyncClient, path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    """Names have their case and header values none; a size is no fault; what the extension stumbles over is a 500."""
    assert (await client.post(path, headers=headers, content=body)).status_code == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"data": '{"validationCode": "in a text"}'}, "in a text"),
        ({"data": {"validationCode": "plain"}}, "plain"),
        ([{"data": {"validationCode": "first"}}, {"data": {"validationCode": "second"}}], "first"),
        ([{"data": {"validationCode": None}}], ""),
        ([{"data": {"validationCode": 17}}], "17"),
        ([{"data": {"validationCode": True}}], "True"),
    ],
)
async def test_validation(client: httpx.AsyncClient, body: Any, code: str) -> None:
    """A subscription is confirmed with the code of the first event, as text; a lone event may hold its data as text."""
    answer = await client.post(WEBHOOK, headers={"aeg-event-type": "SubscriptionValidation"}, json=body)
    assert answer.status_code == 200
    assert answer.json() == {"validationResponse": code}


async def test_the_first_header_counts_and_head_has_no_body(client: httpx.AsyncClient) -> None:
    """Of two headers the first one counts; HEAD is answered without a body, so that the connection goes on."""
    answer = await client.post(WEBHOOK, headers=[("aeg-event-type", "Foo"), ("aeg-event-type", "Notification")])
    assert answer.status_code == 400
    assert (await client.head(WEBHOOK.replace("on_blob_event", "nope"))).status_code == 404
    assert (await client.get("/api/head")).text == "body"


async def test_all_run_when_one_fails(client: httpx.AsyncClient) -> None:
    """Good elements have run before an element that is no object, or a failed function, fails the delivery."""
    for number, bad in enumerate(["1", "null", "[]", '{"x":"fail"}']):
        before = len(await noted(client))
        good = [f'{{"id":"{number}-{each}"}}' for each in range(3)]
        body = f"[{good[0]},{bad},{good[1]},{good[2]}]"
        assert (await client.post(WEBHOOK, headers=NOTIFICATION, content=body)).status_code == 500
        texts = (await noted(client))[before:]
        assert {f"{number}-{each}" for each in range(3)} <= {json.loads(text).get("id") for text in texts}


def content(body: bytes, content_type: str = "") -> Any:
    """Parse a body as the webhook does."""
    return newtonsoft.parse(newtonsoft.decode(body, content_type))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":{"b":[],"c":{}}}', '{\n  "a": {\n    "b": [],\n    "c": {}\n  }\n}'),
        (b'{"a":1,"b":2,"a":3}', '{\n  "a": 3,\n  "b": 2\n}'),
        (b'{"\\ud800":1,"\\udc00":2}', '{\n  "\ufffd": 2\n}'),
        (b'{"a":"\\ud83d\\ud83d\\ude00\\ude00"}', '{\n  "a": "\ufffd\U0001f600\ufffd"\n}'),
        (b'{"a":"\\/\\u002f\\b\\f\\n\\r\\t\\"\\\\"}', '{\n  "a": "//\\b\\f\\n\\r\\t\\"\\\\"\n}'),
        (b'{"a":"\\u0001\\u001F\\u007f"}', '{\n  "a": "\\u0001\\u001f\x7f"\n}'),
        (
            '{"\u0085":"\u2028\u2029\u00a0\u200b<&>\'"}'.encode(),
            '{\n  "\\u0085": "\\u2028\\u2029\u00a0\u200b<&>\'"\n}',
        ),
        (b'{"a":[1.10,-0,1e999,123456789012345678901234567890]}',
         '{\n  "a": [\n    1.10,\n    -0,\n    1e999,\n    123456789012345678901234567890\n  ]\n}'),
        (b'{"a":[true,false,null,""]}', '{\n  "a": [\n    true,\n    false,\n    null,\n    ""\n  ]\n}'),
        (b'{"":{"$ref":"1"}}', '{\n  "": {\n    "$ref": "1"\n  }\n}'),
        (b'{"a":"\xff\xe2\x82"}', '{\n  "a": "\ufffd\ufffd"\n}'),
    ],
)  # fmt: skip
def test_elements(body: bytes, expected: str) -> None:
    """An element is written anew as Newtonsoft writes it; only its numbers are left as they were sent."""
    assert elements(content(body)) == [expected]


@pytest.mark.parametrize(
    ("encoding", "content_type", "mark"),
    [
        ("utf-8", "application/json; charset=UTF-8", b""),
        ("utf-8", "application/json", b"\xef\xbb\xbf"),
        ("utf-8", 'application/json; charset="utf-8"', b"\xef\xbb\xbf"),
        ("utf-8", "no content type", b""),
        ("utf-16-le", "application/json", b"\xff\xfe"),
        ("utf-16-be", "application/json", b"\xfe\xff"),
        ("utf-16-le", "application/json;charset=utf-16", b""),
        ("utf-32-le", "application/json", b"\xff\xfe\x00\x00"),
        ("latin-1", "application/json; odd=1; charset=ISO-8859-1", b""),
    ],
)
def test_encodings(encoding: str, content_type: str, mark: bytes) -> None:
    """The declared charset decides, else the byte order mark."""
    assert content(mark + '{"a":"\u00e4"}'.encode(encoding), content_type) == {"a": "\u00e4"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[]", "application/json; charset=martian"),
        (b"[]", 'application/json; charset=""'),
        ("[]".encode("utf-16-be"), "application/json"),
        (b"\xef\xbb\xbf\xef\xbb\xbf[]", "application/json"),
        (b"[" + b"9" * 381 + b"]", "application/json"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b',"a":1}', "application/json"),
    ],
)
def test_refused(body: bytes, content_type: str) -> None:
    """Unknown charsets, second marks, integers of more than 380 characters and 65 levels are errors."""
    with pytest.raises(ValueError, match=r".+"):
        content(body, content_type)


@given(st.integers(50, 80), st.booleans(), st.booleans())
def test_depth(levels: int, lone: bool, in_objects: bool) -> None:
    """64 levels in all pass, whatever they are made of; brackets inside of texts are none."""
    opening, closing = ('{"a":', "}") if in_objects else ("[", "]")
    inner = levels - (1 if lone else 2)
    text = f'{{"t":"]]}}}}[[{{{{\\"[","d":{opening * inner}1{closing * inner}}}'
    text = text if lone else f"[{text}]"
    if levels <= newtonsoft.MAX_DEPTH:
        assert len(elements(newtonsoft.parse(text))) == 1
    else:
        with pytest.raises(ValueError, match="levels"):
            newtonsoft.parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.lists(JSON, max_size=6), st.sampled_from([None, 1, 4]), st.booleans())
def test_any_json(values: list[object], indent: int | None, ascii_only: bool) -> None:
    """Whatever JSON it is: each object arrives as the same value, indented by two; everything else as nothing."""
    found = elements(content(json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()))
    for value, text in zip(values, found, strict=True):
        if not isinstance(value, dict):
            assert text is None
            continue
        assert text is not None
        assert json.loads(text) == value
        lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        assert len(text.split("\n")) == len(lines)


@pytest.mark.parametrize("text", ["null", "true", '"x"', "1", '"[]"'])
def test_no_delivery(text: str) -> None:
    """A body that is neither an array nor an object is refused."""
    with pytest.raises(Refusal):
        elements(newtonsoft.parse(text))
