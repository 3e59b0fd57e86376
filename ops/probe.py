"""`probe`: try a deployed app through whatever stands in front: ETags, held polls, a stream, how long a hold lasts.

What the app itself promises is docs/protocol.md (P…); what each gateway needs is in docs/deployment.md.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ops.exits import Exit
from ops.output import table
from ops.through import FIRST_BYTE_SECONDS, QUIET_SECONDS, reached_at

if TYPE_CHECKING:
    import argparse

    from ops.output import Output
    from ops.through import Answer, App, Heard

#: The greatest MAX_WAIT_SECONDS there is; the app cuts a longer wait to what is set (P35).
MOST_WAIT_SECONDS: Final = 200.0
#: An answer that comes sooner was not held: the app ends a wait a sixteenth early at most (P37).
AT_ONCE_SECONDS: Final = 1.0
#: What is left of a time that was too long.
SHORTER: Final = 0.8
#: So often is asked again because the counts have changed meanwhile, and so often a shorter wait is tried.
ATTEMPTS: Final = 6
REMEDIES: Final = {
    "counts-not-ready": "the account has not been counted to the end; run `python -m ops reconcile --wait`",
    "unauthorized": "give a token that holds (--token)",
}
OK_STATUS: Final = 200
UNCHANGED_STATUS: Final = 304


class Verdict(StrEnum):
    """How a finding is meant: as it should be, different without harm, to be mended."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried.

    Attributes:
        what: Its name.
        verdict: Whether something is to be done.
        found: A sentence: what was seen, and what to do.
        seconds: The time that was measured: of the hold that got through, to the first byte, of the quiet.
    """

    what: str
    verdict: Verdict
    found: str
    seconds: float | None = None


class Way(StrEnum):
    """How version and wait travel; the client takes the second where headers get lost."""

    HEADERS = "If-None-Match and Prefer"
    QUERY = "since and wait in the query"


async def probe(given: argparse.Namespace, out: Output) -> Exit:
    """Try an address, and say in a sentence each what was found."""
    async with reached_at(given.url, token=given.token, code=given.code) as app:
        findings = await examine(app, given.hold)
    rows = [(each.verdict, each.what, each.found) for each in findings]
    out.show({"findings": [asdict(each) for each in findings]}, table(("", "tried", "found"), rows))
    is_wrong = any(each.verdict is Verdict.WRONG for each in findings)
    return Exit.DIFFERENCES if is_wrong else Exit.DONE


async def examine(app: App, wait_seconds: float) -> list[Finding]:
    """Try everything; where the address does not answer, nothing else.

    Args:
        app: What is tried.
        wait_seconds: How long a poll may be held at most.
    """
    first = await app.ask()
    if obstacle := _obstacle(first):
        return [Finding("address", Verdict.WRONG, obstacle)]
    found = [Finding("address", Verdict.OK, f"the app answers, in {first.seconds:.1f} s"), await _etag(app, first)]
    if "age" in first.headers or "no-cache" not in first.headers.get("cache-control", ""):
        kept = first.headers.get("cache-control", "none")
        text = f"Cache-Control comes as {kept}, Age as {first.headers.get('age', 'none')}: a cache answers; turn it off"
        found.append(Finding("cache", Verdict.WRONG, text))
    ways, unchanged = await _ways(app)
    held, heard = await asyncio.gather(_held(app, ways, unchanged, wait_seconds), app.listen())
    return [*found, unchanged, held, *_stream(heard)]


def _obstacle(answer: Answer) -> str:
    """Return why nothing else can be tried; "" when the app answers."""
    if answer.status == 0:
        return f"it cannot be reached: {answer.reason}"
    if answer.status == OK_STATUS:
        return "" if answer.version else "something other than the app answers: is this the address of its API?"
    if answer.code:
        remedy = REMEDIES.get(answer.code, "docs/operations.md, Requests end in 5xx")
        return f"the app answers {answer.status} {answer.code}: {remedy}"
    said = f"it answers {answer.status} without reaching the app"
    if answer.status in {401, 403}:
        return f"{said}: give a function key (--code), or see what in front asks for a login or a certificate"
    if "location" in answer.headers:
        return f"{said}, and leads elsewhere: what stands in front asks for a login, or has another address"
    return f"{said}: check the path that is passed on to it, and try again in a minute"


async def _etag(app: App, first: Answer) -> Finding:
    etag = first.headers.get("etag", "")
    if etag == f'"{first.version}"':
        return Finding("ETag", Verdict.OK, "it arrives as the app sent it")
    if not etag:
        return Finding("ETag", Verdict.NOTE, "it is taken out; clients take the version from the body, as ours does")
    changed = f'it arrives as {etag} instead of "{first.version}"'
    for _ in range(ATTEMPTS):
        answer = await app.ask({"If-None-Match": etag})
        if answer.status == UNCHANGED_STATUS:
            return Finding("ETag", Verdict.NOTE, f"{changed}, as compression does; the app knows it and answers 304")
        if answer.headers.get("etag") == etag:  # it is not that the counts have changed
            break
        etag = answer.headers.get("etag", etag)
    text = f"{changed}, and is not answered 304: turn off what changes it, or send the version of the body instead"
    return Finding("ETag", Verdict.WRONG, text)


async def _unchanged(app: App, way: Way, wait_seconds: float = 0.0) -> Answer | None:
    """Ask with the version that holds; return the answer, or None when the counts have changed each time."""
    for _ in range(ATTEMPTS):
        version = (await app.ask()).version
        wait = f"{wait_seconds:g}" if wait_seconds else ""
        if way is Way.HEADERS:
            headers = {"If-None-Match": f'"{version}"'} | ({"Prefer": f"wait={wait}"} if wait else {})
            answer = await app.ask(headers, wait_seconds=wait_seconds)
        else:
            query = {"since": version} | ({"wait": wait} if wait else {})
            answer = await app.ask(query=query, wait_seconds=wait_seconds)
        if not version or answer.version in {"", version}:
            return answer
    return None


async def _ways(app: App) -> tuple[list[Way], Finding]:
    """Find out which ways a version gets through."""
    answers = {way: await _unchanged(app, way) for way in Way}
    found = [way for way, answer in answers.items() if answer is not None and answer.status == UNCHANGED_STATUS]
    if Way.HEADERS in found:
        return found, Finding("304", Verdict.OK, "an unchanged version is answered 304")
    if found:
        text = "If-None-Match is lost; `?since=` gets through, and our client goes over to it by itself"
        return found, Finding("304", Verdict.NOTE, text)
    if None in answers.values():
        text = f"the counts have changed at each of {ATTEMPTS} requests: try again in a quiet moment"
        return found, Finding("304", Verdict.NOTE, text)
    text = "neither If-None-Match nor `?since=` gets through, so nothing can be held: pass headers and query on"
    return found, Finding("304", Verdict.WRONG, text)


async def _held(app: App, ways: list[Way], unchanged: Finding, wait_seconds: float) -> Finding:
    """Find out how long a poll can be held."""
    if not ways:
        return Finding("held poll", unchanged.verdict, f"it cannot be tried: {unchanged.found}")
    for way in ways:
        answer = await _unchanged(app, way, wait_seconds)
        if answer is None:
            return Finding("held poll", Verdict.NOTE, "the counts change too often for it: try again in a quiet moment")
        if answer.status == UNCHANGED_STATUS and answer.seconds >= AT_ONCE_SECONDS:
            granted = answer.headers.get("preference-applied", "").removeprefix("wait=")
            allowed = f", of {granted} s that the app allows" if granted else ""
            by = "" if way is Way.HEADERS else f", by {way} only: the header Prefer is lost, or a cache answers"
            verdict = Verdict.OK if way is Way.HEADERS else Verdict.NOTE
            text = f"the longest hold is {answer.seconds:.1f} s{allowed}{by}"
            return Finding("held poll", verdict, text, answer.seconds)
        if answer.code:
            text = f"the app ends it with {answer.status} {answer.code}: docs/operations.md, Requests end in 5xx"
            return Finding("held poll", Verdict.WRONG, text)
        if answer.status not in {OK_STATUS, UNCHANGED_STATUS}:
            return await _cut(app, way, answer)
    text = "it is answered at once: what stands in front loses the wait, or answers itself; clients can only poll"
    return Finding("held poll", Verdict.WRONG, text)


async def _cut(app: App, way: Way, cut: Answer) -> Finding:
    """Say when a hold is cut, and which hold is not."""
    said = f"it is cut after {cut.seconds:.1f} s ({cut.status or 'the connection ends'})"
    raise_it = "raise the timeout of what stands in front"
    seconds = cut.seconds
    for _ in range(ATTEMPTS):
        wait = int(seconds * SHORTER)
        if wait < AT_ONCE_SECONDS:
            break
        answer = await _unchanged(app, way, wait)
        if answer is not None and answer.status == UNCHANGED_STATUS:
            text = f"{said}; {wait} s get through: {raise_it}, or set MAX_WAIT_SECONDS to {wait}"
            return Finding("held poll", Verdict.WRONG, text, answer.seconds)
        seconds = wait
    return Finding("held poll", Verdict.WRONG, f"{said}, and shorter ones too: {raise_it}")


def _stream(heard: Heard) -> list[Finding]:
    """Say what became of a stream."""
    if heard.first is None:
        late = f"no byte came within {FIRST_BYTE_SECONDS:g} s: turn response buffering (and compression) off in front"
        other = f"it is answered {heard.status}, and is no stream: pass text/event-stream on as it is"
        return [Finding("stream", Verdict.WRONG, late if heard.status in {0, OK_STATUS} else other)]
    first = Finding("stream", Verdict.OK, f"the first byte comes after {heard.first:.1f} s", heard.first)
    if heard.heartbeat is not None:
        text = f"a heartbeat comes after {heard.heartbeat:.1f} s of quiet"
        return [first, Finding("quiet stream", Verdict.OK, text, heard.heartbeat)]
    if heard.cut is None:
        text = f"nothing comes for {QUIET_SECONDS:g} s after the first frame: turn response buffering off in front"
        return [first, Finding("quiet stream", Verdict.WRONG, text)]
    text = (
        f"it is cut after {heard.cut:.1f} s of quiet: raise the idle timeout of what stands in front above "
        f"HEARTBEAT_SECONDS, or set it to {max(heard.cut / 2, 0.1):.2g} or less"
    )
    return [first, Finding("quiet stream", Verdict.WRONG, text, heard.cut)]
