"""The HTTP contract, read and written: validators, waits, dates, SSE framing.

docs/protocol.md is the contract in words. This module is pure: headers and queries in, decisions out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from shared.model.snapshot import names
from shared.serving import negotiation, problems
from shared.serving.problems import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.errors import BlobStatusError
    from shared.model.snapshot import StatusSnapshot

MAX_VALUE_CHARACTERS: Final = 4096
#: No blob has a name, and no directory a path, that could hold a longer one.
MAX_CASE_CHARACTERS: Final = 2048
#: From a change to a date that identifies it: the rest of its second, and the margin of the clocks.
LONGEST_DATE_HOLD_SECONDS: Final = 3.0
KEEP_ALIVE: Final = b": keep-alive\n\n"
UNCHANGED: Final = b": unchanged\n\n"
EVENT_STREAM: Final = "text/event-stream"

_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"|([^",\s]+)')
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The tags of If-None-Match: versions, unquoted, and whether there is a ``*``, which holds for every version."""

    versions: frozenset[str] = frozenset()
    is_any: bool = False

    def __bool__(self) -> bool:
        return self.is_any or bool(self.versions)

    def hold_for(self, version: str) -> bool:
        """Tell whether a version is among them (RFC 9110, 13.1: weak comparison)."""
        return self.is_any or any(names(tag, version) for tag in self.versions)


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """A request for the status, parsed.

    Attributes:
        tags: Versions that the client has.
        unmodified_since: The If-Modified-Since moment, or None. Used only without tags.
        wait_seconds: How long to hold the answer at most; 0 answers at once.
        wait_was_preferred: The wait came with ``Prefer``, so ``Preference-Applied`` answers it.
        from_now: Without a validator, hold until the next change instead of answering at once.
    """

    tags: EntityTags = EntityTags()
    unmodified_since: datetime | None = None
    wait_seconds: float = 0.0
    wait_was_preferred: bool = False
    from_now: bool = False

    def holds_for(self, snapshot: StatusSnapshot) -> bool:
        """Tell whether the client already has this snapshot."""
        if self.tags:
            return self.tags.hold_for(snapshot.version)
        return self.unmodified_since is not None and not snapshot.modified_since(self.unmodified_since)

    def is_held_from(self, snapshot: StatusSnapshot) -> bool:
        """Tell whether to hold the request until the counts differ from this snapshot's."""
        if not self.wait_seconds:
            return False
        date = self.unmodified_since
        has_validator = bool(self.tags) or (date is not None and date <= snapshot.read_at)
        return self.holds_for(snapshot) if has_validator else self.from_now

    def seconds_to_date(self, snapshot: StatusSnapshot, now: datetime, interval_seconds: float) -> float:
        """Return how long to hold a waiting request whose date does not hold; 0 for not at all.

        Just after a change the answer has to carry a date from before it. A client that sends that date back would
        get it again at once, again and again. So while the answer could carry no later date than the request has, it
        is held until it carries the date that holds, which needs a read from then on, within the interval of reads.
        """
        date = self.unmodified_since
        if not self.wait_seconds or date is None or self.holds_for(snapshot) or snapshot.last_modified > date:
            return 0.0
        if date > snapshot.read_at:
            return LONGEST_DATE_HOLD_SECONDS  # no answer could carry such a date
        left_seconds = max(0.0, (snapshot.dated_at - now).total_seconds())
        return min(left_seconds + interval_seconds, LONGEST_DATE_HOLD_SECONDS)


def parse_status_query(
    headers: Sequence[tuple[str, str]], query: Sequence[tuple[str, str]], max_wait_seconds: float
) -> StatusQuery:
    """Read a request for the status.

    Args:
        headers: Name (lower case) and value pairs, in order.
        query: Decoded query pairs, in order.
        max_wait_seconds: A longer wait is cut to this.

    Raises:
        BadRequest: A value cannot be used; the detail says which and why.
    """
    tags = if_none_match(headers)
    since = _single(query, "since")
    if not tags and since:
        tags = parse_tags(since)
    start = _single(query, "from")
    if start not in {None, "now"}:
        raise BadRequest("from takes only the value now")
    asked, preferred = _single(query, "wait"), _seconds(negotiation.preferred_wait(_values(headers, "prefer")))
    wait_seconds = (preferred or 0.0) if asked is None else _required_seconds(asked)
    unmodified_since = _http_date(_values(headers, "if-modified-since"))
    return StatusQuery(
        tags=tags,
        unmodified_since=None if tags else unmodified_since,
        wait_seconds=min(wait_seconds, max_wait_seconds),
        wait_was_preferred=asked is None and preferred is not None,
        from_now=start == "now",
    )


def parse_last_event_id(headers: Sequence[tuple[str, str]], query: Sequence[tuple[str, str]]) -> str:
    """Return the version that a stream's client has, or "".

    The newest value wins: the last header; then the parameter that a polyfill adds to the address; then the one that
    the address had from the beginning.

    Raises:
        BadRequest: A query parameter is given twice, or a value is too long.
    """
    asked, added = _single(query, "last_event_id"), _single(query, "lastEventId")
    given = next(filter(None, [*_values(headers, "last-event-id")[::-1], added, asked]), "")
    return given.strip().removeprefix("W/").strip('"')


def if_none_match(headers: Sequence[tuple[str, str]]) -> EntityTags:
    """Read the tags of If-None-Match; several lines are one list.

    Raises:
        BadRequest: The header is too long.
    """
    return parse_tags(",".join(_values(headers, "if-none-match")))


def parse_tags(value: str) -> EntityTags:
    """Read an If-None-Match value: a list of entity tags, weak or strong, or ``*``.

    An empty value counts as absent (the first request of some clients has one). A tag without quotes is taken as it
    is, because some clients strip them. Junk between the tags is skipped.
    """
    found = _ENTITY_TAG.findall(value)
    versions = frozenset(quoted or bare for quoted, bare in found if quoted or bare not in {"", "*"})
    return EntityTags(versions, is_any=("", "*") in found)


def parse_case(raw_path: bytes) -> str:
    """Return the case in a path, ``…/cases/{case}/storage/status`` or ``…/stream`` below it.

    The rest of the path is read as the host matches routes: upper or lower case, percent-encoded or not, with or
    without a slash at the end.

    Raises:
        BadRequest: The case is not UTF-8, or longer than any blob's name, or there is none.
    """
    segments = [unquote_to_bytes(each) for each in raw_path.rstrip(b"/").split(b"/")]
    if segments[-1].lower() == b"stream":
        del segments[-1]
    *_, before, case, storage, status = [b""] * 4 + segments
    if not case or (before.lower(), storage.lower(), status.lower()) != (b"cases", b"storage", b"status"):
        raise BadRequest("the path names no case; it is /api/cases/{case}/storage/status, or /stream below it")
    try:
        text = case.decode()
    except UnicodeDecodeError:
        raise BadRequest("the case in the path is not UTF-8, percent-encoded") from None
    if len(text) > MAX_CASE_CHARACTERS:
        raise BadRequest(f"the case in the path is longer than {MAX_CASE_CHARACTERS} characters")
    return text


def http_date(moment: datetime) -> str:
    """Write an HTTP date (IMF-fixdate)."""
    return format_datetime(moment, usegmt=True)


def applied_wait(seconds: float) -> tuple[str, str]:
    """Write ``Preference-Applied``: plain decimal seconds, to the microsecond."""
    return "Preference-Applied", "wait=" + f"{seconds:.6f}".rstrip("0").removesuffix(".")


def takes_events_only(headers: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a client accepts an event stream and no problem document, as a browser's EventSource does."""
    lines = [line for name, line in headers if name == "accept"]
    return negotiation.accepts(lines, EVENT_STREAM) and not negotiation.accepts(lines, problems.MEDIA_TYPE)


def unavailable(error: BlobStatusError, retry_ms: int) -> bytes:
    """Write the whole stream for a client that would give up for ever at any status but 200.

    It has no id, so that the client comes back with its own version, and no comment, which would mean that the counts
    are confirmed.
    """
    return b"%bevent: unavailable\ndata: %b\n\n" % (retry_line(retry_ms), problems.document(error))


def retry_line(retry_ms: int) -> bytes:
    """Write how long an SSE client waits before it connects again; put it in front of a frame."""
    return b"retry: %d\n" % retry_ms


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


def _required_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds is None:
        raise BadRequest("wait is a number of seconds, such as 25")
    return seconds


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None


def _http_date(values: Sequence[str]) -> datetime | None:
    # RFC 9110, 13.1.3: a value that is not a date, or more than one, is ignored.
    if len(values) != 1:
        return None
    try:
        moment = parsedate_to_datetime(values[0])
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
