"""The HTTP contract, read and written: validators, waits, dates, SSE framing, problem documents.

docs/protocol.md is the contract in words. This module is pure: headers and queries in, decisions out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from shared.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.errors import RequestError
    from shared.status import StatusSnapshot

MAX_VALUE_CHARACTERS: Final = 4096
KEEP_ALIVE: Final = b": keep-alive\n\n"
UNCHANGED: Final = b": unchanged\n\n"
PROBLEM_TYPE: Final = "application/problem+json"
#: The unquoted ``*`` of If-None-Match; no entity tag can contain a quote.
ANY: Final = '"'

_ENTITY_TAG = re.compile(r'[\s,]*(?:(?:W/)?"([^"]*)"|([^",\s]+))')
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_PREFERENCE = re.compile(r'(?:[^",]|"[^"]*")+')
_PREFERENCE_WAIT = re.compile(r"wait\s*=\s*(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """What a request for the status asks.

    Attributes:
        tags: Versions that the client has (unquoted; :data:`ANY` stands for whatever there is), or empty.
        unmodified_since: The If-Modified-Since moment, or None. Only looked at without tags.
        wait_seconds: How long to hold the answer at most; 0 answers at once.
        wait_was_preferred: The wait came with ``Prefer``, so ``Preference-Applied`` answers it.
        from_now: Without a validator, hold until the next change instead of answering at once.
    """

    tags: frozenset[str] = frozenset()
    unmodified_since: datetime | None = None
    wait_seconds: float = 0.0
    wait_was_preferred: bool = False
    from_now: bool = False

    def holds_for(self, snapshot: StatusSnapshot) -> bool:
        """Tell whether what the client has is what the snapshot shows (RFC 9110, 13.1: weak comparison)."""
        if self.tags:
            return ANY in self.tags or snapshot.version in self.tags
        return self.unmodified_since is not None and not snapshot.modified_since(self.unmodified_since)

    def is_held_from(self, snapshot: StatusSnapshot) -> bool:
        """Tell whether the request is to be held until the counts differ from this snapshot's."""
        if not self.wait_seconds:
            return False
        has_validator = bool(self.tags) or self.unmodified_since is not None
        return self.holds_for(snapshot) if has_validator else self.from_now


def parse_status_query(
    headers: Sequence[tuple[str, str]], query: Sequence[tuple[str, str]], max_wait_seconds: float
) -> StatusQuery:
    """Read a request for the status.

    Args:
        headers: Name (lower case) and value pairs, in order.
        query: Decoded query pairs, in order.
        max_wait_seconds: A longer wait is cut to this.

    Raises:
        BadRequest: A value is unusable; the detail says which and why.
    """
    tags = parse_tags(",".join(_values(headers, "if-none-match")))
    since = _single(query, "since")
    if not tags and since:
        tags = parse_tags(since)
    start = _single(query, "from")
    if start not in {None, "now"}:
        raise BadRequest("from takes only the value now")
    asked, preferred = _single(query, "wait"), _preferred_wait(headers)
    wait = preferred if asked is None else asked
    unmodified_since = _http_date(_values(headers, "if-modified-since"))
    return StatusQuery(
        tags=tags,
        unmodified_since=None if tags else unmodified_since,
        wait_seconds=min(_seconds(wait), max_wait_seconds) if wait is not None else 0.0,
        wait_was_preferred=asked is None and preferred is not None,
        from_now=start == "now",
    )


def parse_last_event_id(headers: Sequence[tuple[str, str]], query: Sequence[tuple[str, str]]) -> str | None:
    """Return the version that a stream's client has, or None.

    Raises:
        BadRequest: The query parameter is given twice, or the value is too long. Of two headers the last counts.
    """
    values, asked = _values(headers, "last-event-id"), _single(query, "last_event_id")
    given = values[-1] if values else asked
    return given.strip().strip('"') or None if given is not None else None


def parse_tags(value: str) -> frozenset[str]:
    """Read an If-None-Match value: a list of entity tags, weak or strong, or ``*``.

    An empty value counts as absent (the first request of some clients has one). A tag without quotes is taken as
    it stands: some clients strip them.
    """
    tags, position = set(), 0
    while match := _ENTITY_TAG.match(value, position):
        quoted, bare = match.groups()
        tags.add(ANY if bare == "*" else quoted or bare)
        position = match.end()
    return frozenset(tag for tag in tags if tag)


def http_date(moment: datetime) -> str:
    """Write an HTTP date (IMF-fixdate)."""
    return format_datetime(moment, usegmt=True)


def retry_line(retry_ms: int) -> bytes:
    """Tell an SSE client how long to wait before it connects again; goes in front of a frame."""
    return b"retry: %d\n" % retry_ms


def problem(error: RequestError) -> bytes:
    """Write the problem document (RFC 9457) of an error, with the extra member ``success``."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
            "success": False,
        }
    ).encode()


def _values(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    values = [value for key, value in headers if key == name]
    if sum(map(len, values)) > MAX_VALUE_CHARACTERS:
        raise BadRequest(f"the header {name} is longer than {MAX_VALUE_CHARACTERS} characters")
    return values


def _single(query: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value for key, value in query if key == name]
    if len(values) > 1:
        raise BadRequest(f"the query parameter {name} is given more than once")
    if values and len(values[0]) > MAX_VALUE_CHARACTERS:
        raise BadRequest(f"the query parameter {name} is longer than {MAX_VALUE_CHARACTERS} characters")
    return values[0] if values else None


def _preferred_wait(headers: Sequence[tuple[str, str]]) -> str | None:
    preferences = _PREFERENCE.findall(",".join(_values(headers, "prefer")))
    waits = [match[1] for each in preferences if (match := _PREFERENCE_WAIT.fullmatch(each.split(";")[0].strip()))]
    if len(waits) > 1:
        raise BadRequest("Prefer asks for more than one wait")
    return waits[0].strip().strip('"') if waits else None


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise BadRequest("wait is a number of seconds, such as 25")
    return float(text)


def _http_date(values: Sequence[str]) -> datetime | None:
    # RFC 9110, 13.1.3: a value that is not a date, or more than one, is ignored.
    if len(values) != 1:
        return None
    try:
        moment = parsedate_to_datetime(values[0])
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
