"""JSON as Newtonsoft.Json reads and writes it, which the platform's Event Grid extension does with every element.

What reaches a function is not the text that was sent but a new one of the same value: indented by two, the last of
equal keys at the place of the first, escapes only where Newtonsoft writes them (control characters, quotes,
backslashes, U+0085, U+2028, U+2029), half a surrogate pair as U+FFFD.

Deliberate differences: numbers and times stay as they were sent, where Newtonsoft rewrites them (`1e3` to `1000.0`,
`2026-11-25T05:00:00+05:00` to the same moment in the host's zone); what only Newtonsoft takes for JSON (comments,
single quotes, trailing commas, hexadecimal numbers) is refused.
Sources: JsonReader.Push, JsonTextReader and JavaScriptUtils of Newtonsoft.Json; HttpContent.ReadAsStringAsync of .NET
for the encodings; tests/facts/event_grid_webhook.jsonl for what the real extension made of 63 deliveries.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 64
"""Nested arrays and objects that Newtonsoft's reader allows, the outermost included."""

LONGEST_INTEGER = 380
"""Characters of an integer that Newtonsoft's reader allows; longer ones are an error to it."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""What .NET looks for where no charset is declared, in its order."""

_CHARSETS = {
    "utf-8": "utf-8", "utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "unicode": "utf-16-le",
    "utf-32": "utf-32-le", "utf-32le": "utf-32-le", "utf-32be": "utf-32-be", "us-ascii": "ascii", "ascii": "ascii",
    "iso-8859-1": "latin-1", "latin1": "latin-1",
}  # fmt: skip
"""The encodings that .NET has without further packages, by their usual names."""

_CHARSET = re.compile(r';\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_MARK = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
_LINE_ENDS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LINE_END = re.compile("[\u0085\u2028\u2029]")


class _Number(str):
    """A number, as it was sent."""

    __slots__ = ()


def decode(body: bytes, content_type: str) -> str:
    """Return the text of a body, by its declared charset, else by its byte order mark, else as UTF-8.

    Raises:
        ValueError: The charset is none of .NET's.
    """
    declared = _CHARSET.search(content_type)
    if declared:
        encoding = _CHARSETS.get((declared[1] or declared[2] or "").lower())
        if encoding is None:
            raise ValueError(f"no such charset: {declared[0]}")
        marks = [mark for mark, name in _BOMS if name == encoding]
    else:
        mark, encoding = next((pair for pair in _BOMS if body.startswith(pair[0])), (b"", "utf-8"))
        marks = [mark]
    for mark in marks:
        body = body.removeprefix(mark)
    return body.decode(encoding, errors="replace")


def parse(text: str) -> Any:
    """Return the value of a JSON text; its numbers are the texts that were sent.

    Raises:
        ValueError: It is no JSON, is nested deeper than MAX_DEPTH, or has a longer integer than LONGEST_INTEGER.
    """
    depth = 0
    for mark in _MARK.finditer(text):  # before the parser: what a later key replaces counts too
        if mark[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} levels")
        elif mark[0] in "]}":
            depth -= 1
    return _DECODER.decode(text)


def write(value: Any, margin: str = "\n") -> str:
    """Return the JSON text of a parsed value, indented by two."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    inner = f"{margin}  "
    if isinstance(value, list):
        return f"[{inner}{f',{inner}'.join(write(each, inner) for each in value)}{margin}]"
    return f"{{{inner}{f',{inner}'.join(_members(value, inner))}{margin}}}"


def _members(value: dict[str, Any], inner: str) -> Iterator[str]:
    for key, each in value.items():
        yield f"{_quoted(key)}: {write(each, inner)}"


def _quoted(text: str) -> str:
    return _LINE_END.sub(lambda found: _LINE_ENDS[found[0]], json.dumps(_whole(text), ensure_ascii=False))


def _whole(text: str) -> str:
    """Replace halves of surrogate pairs; whole pairs the parser has joined."""
    return text if text.isascii() else _HALF_A_PAIR.sub("\ufffd", text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; keys are compared as they are written, so two different halves of pairs are one key."""
    return {_whole(key): value for key, value in pairs}


def _integer(text: str) -> _Number:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(text)} characters")
    return _Number(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_Number, parse_constant=str, strict=False
)
