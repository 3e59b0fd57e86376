"""Reads ``Prefer`` and ``Accept``: lists of elements with parameters; quoted text is never split.

Pure. A malformed line is read as far as possible, because neither header is worth an error. No line contains a line
break (RFC 9110, 5.5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED: Final = r'"(?:[^"\\]|\\.?)*"?'  # one without an end takes the rest
#: An element of a list (RFC 9110, 5.6.1), and its parts between semicolons.
_ELEMENT: Final = re.compile(rf'(?:[^",]|{_QUOTED})+')
_PART: Final = re.compile(rf'(?:[^";]|{_QUOTED})+')
#: A preference named wait, whatever follows it; not a longer name that begins with wait.
_WAIT: Final = re.compile(r"\s*wait(?![\w!#$%&'*+.^`|~-])", re.IGNORECASE | re.ASCII)
#: Its value, a token or a quoted string, before any parameters. Possessive, so that it never backtracks.
_VALUE: Final = re.compile(r'\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s";]*+))\s*+(?:;.*)?')
_REFUSES: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*", re.IGNORECASE)


def preferred_wait(lines: Iterable[str]) -> str:
    """Return the value of the first ``wait`` of ``Prefer``, which is the one that counts (RFC 7240, 2).

    It is "" when there is no wait, or its value is missing, empty or not one token.
    """
    preferences = (each for line in lines for each in _ELEMENT.findall(line))
    wait = next(((each, name.end()) for each in preferences if (name := _WAIT.match(each))), None)
    value = _VALUE.fullmatch(*wait) if wait else None
    return re.sub(r"\\(.)", r"\1", value[1] or value[2] or "") if value else ""


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Tell whether a media type is among those of ``Accept`` (RFC 9110, 12.5.1).

    The most specific matching range decides; a weight of 0 refuses. Other parameters are ignored.
    """
    ranges = [_PART.findall(each) for line in lines for each in _ELEMENT.findall(line)]
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [parts[1:] for parts in ranges if parts and parts[0].strip().lower() == wanted]
        if found:
            return not all(any(map(_REFUSES.fullmatch, parameters)) for parameters in found)
    return False
