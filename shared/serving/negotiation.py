"""What a client prefers and accepts: lists of elements with parameters; nothing splits inside of quotes.

Pure. A line that cannot be read whole is read as far as it can be: nothing here is worth an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED: Final = r'"(?:[^"\\]|\\.?)*"?'  # one that never ends takes all the rest
#: An element of a list (RFC 9110, 5.6.1), and what semicolons separate within one.
_ELEMENT: Final = re.compile(rf'(?:[^",]|{_QUOTED})+', re.DOTALL)
_PART: Final = re.compile(rf'(?:[^";]|{_QUOTED})+', re.DOTALL)
#: A preference by the name of wait: not one that only begins like it, and whatever it is followed by.
_WAIT: Final = re.compile(r"\s*wait(?![\w!#$%&'*+.^`|~-])", re.IGNORECASE | re.ASCII)
#: Its value, a token or a quoted string, before any parameters. Possessive: nothing is tried twice.
_VALUE: Final = re.compile(r'\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s";]*+))\s*+(?:;.*)?', re.DOTALL)
_REFUSES: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*", re.IGNORECASE)


def preferred_wait(lines: Iterable[str]) -> str:
    """Return the value of the first ``wait`` of ``Prefer``, which is the one that counts (RFC 7240, 2).

    No value and an empty one are the same: "", as when there is no wait, or when its value is not one token.
    """
    preferences = (each for line in lines for each in _ELEMENT.findall(line))
    wait = next(((each, name.end()) for each in preferences if (name := _WAIT.match(each))), None)
    value = _VALUE.fullmatch(*wait) if wait else None
    return re.sub(r"\\(.)", r"\1", value[1] or value[2] or "", flags=re.DOTALL) if value else ""


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Tell whether a media type is among those of ``Accept`` (RFC 9110, 12.5.1).

    Of the ranges that match the most specific one decides; a weight of 0 refuses. Parameters are not looked at.
    """
    ranges = [_PART.findall(each) for line in lines for each in _ELEMENT.findall(line)]
    for wanted in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [parts[1:] for parts in ranges if parts and parts[0].strip().lower() == wanted]
        if found:
            return not all(any(map(_REFUSES.fullmatch, parameters)) for parameters in found)
    return False
