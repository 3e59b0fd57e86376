"""``GET /api/cases/storage/status``: each docstring is a line of docs/protocol.md."""

from __future__ import annotations

import asyncio
import email.utils
import math
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.protocol.deployment import (
    ATTEMPTS,
    DOCUMENT,
    EVENT_SECONDS,
    HEALTH,
    SLACK_SECONDS,
    STATUS,
    STREAM,
    Caller,
    is_problem,
    quoted,
    version_of,
)

if TYPE_CHECKING:
    from localdev.testbed import Stack

#: A wait that is waited out, and the part of it that the server may leave out.
WAIT = 1.0
EARLY = 1 / 16
TIMER_SECONDS = 0.05
BURST = 30
CLAIMS = 5
#: To a client that has nothing but dates: the change, a date that holds, and a second that passed in between.
ANSWERS_A_CHANGE = 3


def http_date(moment: datetime) -> str:
    """Write an HTTP date."""
    return email.utils.format_datetime(moment.replace(microsecond=0), usegmt=True)


def changed_at(answer: httpx.Response) -> datetime:
    """Return when the counts changed."""
    return datetime.fromisoformat(answer.json()["data"]["timestamp"])


async def waits_out(caller: Caller, **asked: object) -> httpx.Response:
    """Assert that a request with the current version is held for WAIT and then answered 304; return the answer."""

    async def ask(before: httpx.Response) -> httpx.Response:
        version = version_of(before)
        given = {name: str(value).replace("{version}", version) for name, value in asked.items()}
        headers = {name.replace("_", "-"): value for name, value in given.items() if name[0].isupper()}
        query = {name: value for name, value in given.items() if not name[0].isupper()}
        started = time.monotonic()
        answer = await caller.get(headers=headers, **query)
        took.append(time.monotonic() - started)
        return answer

    took: list[float] = []
    _, answer = await caller.steady(ask)
    assert answer.status_code == 304
    assert WAIT * (1 - EARLY) - TIMER_SECONDS <= took[-1] <= WAIT + SLACK_SECONDS
    return answer


async def wakes(caller: Caller, headers: dict[str, str] | None = None, **query: str) -> None:
    """Assert that a request is held, and answered with the new counts when they change."""
    caller.require_changes()
    before = await caller.current()
    given = {name: value.replace("{version}", version_of(before)) for name, value in (headers or {}).items()}
    asked = {name: value.replace("{version}", version_of(before)) for name, value in query.items()}
    waiting = asyncio.create_task(caller.get(headers=given, wait=str(EVENT_SECONDS), **asked))
    await caller.held(waiting)
    await caller.change()
    answer = await waiting
    assert answer.status_code == 200
    assert version_of(answer) != version_of(before)


async def test_p1_the_answer(caller: Caller) -> None:
    """It answers 200 at once, `application/json`, with these members; the counts are whole and not negative."""
    answer = await caller.current()
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    body = answer.json()
    assert set(body) == {"success", "data"}
    assert body["success"] is True
    assert set(body["data"]) >= {"queued_count", "input_count", "output_count", "timestamp", "version"}
    counts = [count for name, count in body["data"].items() if name.endswith("_count")]
    assert all(type(count) is int and count >= 0 for count in counts)


async def test_p23_further_folders(caller: Caller) -> None:
    """Each further folder has a member `<name>_count`, and there are no others."""
    data = (await caller.current()).json()["data"]
    names = ("queued", "input", "output", *caller.deployment.extra_folders)
    assert set(data) == {*(f"{name}_count" for name in names), "timestamp", "version"}


async def test_p2_the_timestamp(caller: Caller) -> None:
    """`timestamp` is when a count last changed (UTC, ISO 8601, microseconds), not when you asked."""
    before, after = await caller.steady(lambda _: caller.get())
    text = before.json()["data"]["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text)
    assert text == after.json()["data"]["timestamp"]
    assert changed_at(before) <= datetime.now(UTC) + timedelta(seconds=SLACK_SECONDS)


async def test_p3_the_version(caller: Caller) -> None:
    """`version` is opaque: the value that the ETag quotes, in the body for clients that cannot read headers."""
    answer = await caller.current()
    assert answer.headers["etag"] == f'"{version_of(answer)}"'
    assert re.fullmatch(r"[!#-~]+", version_of(answer))


async def test_p4_same_version_same_bytes(caller: Caller) -> None:
    """Two 200 answers with the same version have identical bodies, from whichever instance."""
    bodies: dict[str, set[bytes]] = {}
    for _ in range(ATTEMPTS):
        async with caller.deployment.client() as http:  # a connection of its own may reach another instance
            answer = await Caller(caller.deployment, http).current()
            bodies.setdefault(answer.headers["etag"], set()).add(answer.content)
    assert all(len(same) == 1 for same in bodies.values())


async def test_p5_validators_and_caching(caller: Caller) -> None:
    """200 and 304 carry `ETag` (strong), `Last-Modified`, `Cache-Control: private, no-cache, no-transform`."""
    before, again = await caller.steady(lambda before: caller.get(headers=quoted(version_of(before))))
    assert again.status_code == 304
    for answer in (before, again):
        assert answer.headers["etag"] == f'"{version_of(before)}"'
        assert email.utils.parsedate_to_datetime(answer.headers["last-modified"])
        assert answer.headers["cache-control"] == "private, no-cache, no-transform"


async def test_p6_vary(caller: Caller) -> None:
    """200 and 304 carry `Vary: Authorization, Prefer`."""
    before, again = await caller.steady(lambda before: caller.get(headers=quoted(version_of(before))))
    for answer in (before, again):
        assert {"authorization", "prefer"} <= {each.strip().lower() for each in answer.headers["vary"].split(",")}


async def test_p7_last_modified(caller: Caller) -> None:
    """`Last-Modified` is never in the future when it is sent."""
    answer = await caller.current()
    modified = email.utils.parsedate_to_datetime(answer.headers["last-modified"])
    assert modified <= email.utils.parsedate_to_datetime(answer.headers["date"])


async def test_p8_shared_reads(caller: Caller) -> None:
    """Plain GETs share storage reads; what they show is at most `POLL_INTERVAL_SECONDS` old, or as old as the read that brought it took."""  # noqa: E501
    started = time.monotonic()
    answers = await asyncio.gather(*(caller.get() for _ in range(BURST)))
    rounds = 2 + math.floor((time.monotonic() - started) / caller.deployment.seconds("POLL_INTERVAL_SECONDS"))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) <= rounds
    caller.require_changes()
    before = version_of(await caller.current())
    woken = asyncio.create_task(caller.get(headers=quoted(before), wait=str(EVENT_SECONDS)))
    await caller.held(woken)
    await caller.change()
    assert version_of(await woken) != before
    await asyncio.sleep(caller.deployment.seconds("POLL_INTERVAL_SECONDS"))
    assert version_of(await caller.current()) != before


async def test_p9_claims_to_be_ahead(stack: Stack, caller: Caller) -> None:
    """No client is shown older counts than it has; all clients that have, or claim, a later version than this instance share one more read a `POLL_INTERVAL_SECONDS`."""  # noqa: E501
    del stack  # of several instances each reads by itself

    async def reads() -> int:
        await asyncio.sleep(1.1)  # a report is made once a second
        return int((await caller.get(HEALTH)).json()["status_reads"])

    version = version_of(await caller.current())
    ahead = f"{version.rpartition('-')[0]}-999999999"
    before, started = await reads(), time.monotonic()
    for _ in range(CLAIMS):  # one after the other: who asks at the same time shares reads anyway
        assert (await caller.get(headers=quoted(ahead))).status_code == 200
        assert (await caller.get(since=ahead)).status_code == 200
    took = await reads() - before
    assert took <= 2 * math.ceil((time.monotonic() - started) / caller.deployment.seconds("POLL_INTERVAL_SECONDS"))


async def test_p10_if_none_match(caller: Caller) -> None:
    """`If-None-Match: "<version>"` is answered 304, without a body, while the version still matches."""
    _, answer = await caller.steady(lambda before: caller.get(headers=quoted(version_of(before))))
    assert (answer.status_code, answer.content) == (304, b"")


async def test_p11_another_version(caller: Caller) -> None:
    """`If-None-Match` with another version is answered 200."""
    answer = await caller.get(headers=quoted("another"))
    assert (answer.status_code, bool(answer.content)) == (200, True)


async def test_p12_lists(caller: Caller) -> None:
    """`If-None-Match` takes lists, in one header or several."""
    _, answer = await caller.steady(
        lambda before: caller.get(headers={"If-None-Match": f'"a", {before.headers["etag"]}'})
    )
    assert answer.status_code == 304
    _, answer = await caller.steady(
        lambda before: caller.get(headers=[("If-None-Match", '"a"'), ("If-None-Match", before.headers["etag"])])
    )
    assert answer.status_code == 304
    assert (await caller.get(headers={"If-None-Match": '"a", "b"'})).status_code == 200


async def test_p13_weak_tags(caller: Caller) -> None:
    """`If-None-Match` takes weak tags."""
    _, answer = await caller.steady(lambda before: caller.get(headers={"If-None-Match": f"W/{before.headers['etag']}"}))
    assert answer.status_code == 304


async def test_p14_any_tag(caller: Caller) -> None:
    """`If-None-Match: *` is answered 304."""
    assert (await caller.get(headers={"If-None-Match": "*"})).status_code == 304


async def test_p15_an_empty_tag(caller: Caller) -> None:
    """An empty `If-None-Match` counts as absent."""
    answer = await caller.get(headers={"If-None-Match": ""}, wait=str(EVENT_SECONDS))
    assert answer.status_code == 200


async def test_p16_a_bare_tag(caller: Caller) -> None:
    """A tag without quotes is taken as it stands."""
    _, answer = await caller.steady(lambda before: caller.get(headers={"If-None-Match": version_of(before)}))
    assert answer.status_code == 304


async def test_p17_since(caller: Caller) -> None:
    """`?since=<version>` is the same as `If-None-Match`, for paths that lose headers."""
    _, answer = await caller.steady(lambda before: caller.get(since=version_of(before)))
    assert (answer.status_code, answer.content) == (304, b"")
    assert (await caller.get(since="another")).status_code == 200


async def test_p18_if_none_match_before_since(caller: Caller) -> None:
    """`If-None-Match` goes first when `since` is there too."""
    _, answer = await caller.steady(lambda before: caller.get(headers=quoted(version_of(before)), since="another"))
    assert answer.status_code == 304
    _, answer = await caller.steady(lambda before: caller.get(headers=quoted("another"), since=version_of(before)))
    assert answer.status_code == 200


async def unmodified(caller: Caller) -> httpx.Response:
    """Wait until the last change is long enough ago for ``Last-Modified`` to hold; return the counts."""
    for _ in range(4 * ATTEMPTS):
        before = await caller.current()
        if (await caller.get(headers={"If-Modified-Since": before.headers["last-modified"]})).status_code == 304:
            return before
        await asyncio.sleep(0.5)
    raise AssertionError("Last-Modified, sent back, is never answered 304")


async def test_p19_if_modified_since(caller: Caller) -> None:
    """`If-Modified-Since` is answered 304 only when the last change lies before that second."""
    before = await unmodified(caller)
    for moment in (changed_at(before), changed_at(before) - timedelta(days=1)):
        assert (await caller.get(headers={"If-Modified-Since": http_date(moment)})).status_code == 200


async def test_p20_if_modified_since_goes_last(caller: Caller) -> None:
    """`If-Modified-Since` counts only without `If-None-Match` and `since`."""
    before = await unmodified(caller)
    modified = {"If-Modified-Since": before.headers["last-modified"]}
    assert (await caller.get(headers=modified | quoted("another"))).status_code == 200
    assert (await caller.get(headers=modified, since="another")).status_code == 200
    old = {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    _, answer = await caller.steady(lambda now: caller.get(headers=old | quoted(version_of(now))))
    assert answer.status_code == 304


async def test_p21_dates_that_say_nothing(caller: Caller) -> None:
    """A date in the future never matches, and a value that is no date is ignored."""
    for value in (http_date(datetime.now(UTC) + timedelta(days=1)), "yesterday", "", "0"):
        assert (await caller.get(headers={"If-Modified-Since": value})).status_code == 200


async def test_p22_what_a_proxy_adds(caller: Caller) -> None:
    """A version with something added to it, as by a proxy (`"<version>-gzip"`), is that version, in `since` and `Last-Event-ID` too, unless a digit comes next."""  # noqa: E501
    for tag in ('"{v}-gzip"', 'W/"{v}--gzip"', '"a", "{v}-df"', '"{v};br"'):
        _, answer = await caller.steady(lambda before, tag=tag: caller.get(headers=tagged(tag, before)))
        assert answer.status_code == 304
    _, answer = await caller.steady(lambda before: caller.get(since=f"{version_of(before)}--gzip"))
    assert answer.status_code == 304
    _, answer = await caller.steady(lambda before: caller.get(headers=tagged('"{v}0-gzip"', before)))
    assert answer.status_code == 200
    await waits_out(caller, If_None_Match='"{version}-gzip"', wait=f"{WAIT:g}")


def tagged(tag: str, answer: httpx.Response) -> dict[str, str]:
    """Return a tag, made of an answer's version, as a validator."""
    return {"If-None-Match": tag.replace("{v}", version_of(answer))}


async def test_p30_prefer_wait(caller: Caller) -> None:
    """`Prefer: wait=N` holds the request while the validator matches, up to N seconds or its token's end; then 304."""
    answer = await waits_out(caller, If_None_Match='"{version}"', Prefer=f"wait={WAIT:g}")
    assert answer.headers["preference-applied"] == f"wait={WAIT:g}"


async def test_p31_query_wait(caller: Caller) -> None:
    """`?wait=N` does the same."""
    await waits_out(caller, If_None_Match='"{version}"', wait=f"{WAIT:g}")


async def test_p32_a_held_request_is_woken(caller: Caller) -> None:
    """A held request is answered 200 at once when the counts change."""
    await wakes(caller, {"If-None-Match": '"{version}"'})


async def test_p33_a_wait_for_what_has_changed(caller: Caller) -> None:
    """A wait whose validator does not match is answered 200 at once, except for a date as in P41."""
    async with asyncio.timeout(SLACK_SECONDS):
        assert (await caller.get(headers=quoted("another"), wait="20")).status_code == 200


async def test_p34_decimal_seconds(caller: Caller) -> None:
    """N is a decimal number of seconds."""
    await waits_out(caller, If_None_Match='"{version}"', wait=f"{WAIT:.3f}")
    answer = await caller.get(headers={"Prefer": "wait=0.25"})
    assert answer.headers["preference-applied"] == "wait=0.25"


async def test_p35_the_longest_wait(caller: Caller) -> None:
    """A wait over `MAX_WAIT_SECONDS` or the token's end is cut; `Preference-Applied: wait=N` answers a `Prefer`."""
    longest = caller.deployment.seconds("MAX_WAIT_SECONDS")
    for asked, applied in ((longest + 1, longest), (10.0**9, longest), (longest - 0.5, longest - 0.5)):
        answer = await caller.get(headers=quoted("another") | {"Prefer": f"respond-async, wait={asked:f}; x=1"})
        assert answer.headers["preference-applied"] == f"wait={applied:g}"


async def test_p36_query_before_prefer(caller: Caller) -> None:
    """The query parameter goes first when `Prefer` is there too."""
    await waits_out(caller, If_None_Match='"{version}"', Prefer="wait=20", wait=f"{WAIT:g}")


async def test_p37_jitter(caller: Caller) -> None:
    """The wait ends up to a sixteenth early, so that many clients do not come back in step."""

    async def ends() -> tuple[int, float]:
        started = time.monotonic()
        answer = await caller.get(headers={"If-None-Match": "*"}, wait="3")
        return answer.status_code, time.monotonic() - started

    waits = [took for status, took in await asyncio.gather(*(ends() for _ in range(12))) if status == 304]
    assert waits or not pytest.skip("the counts change all the time")
    assert min(waits) >= 3 * (1 - EARLY) - TIMER_SECONDS
    assert max(waits) - min(waits) > 3 * EARLY / 8


async def test_p38_a_wait_for_nothing(caller: Caller) -> None:
    """A wait without validator and without `from=now` is answered at once."""
    async with asyncio.timeout(SLACK_SECONDS):
        assert (await caller.get(wait="20")).status_code == 200
        assert (await caller.get(headers={"Prefer": "wait=20"})).status_code == 200


async def test_p39_from_now(caller: Caller) -> None:
    """`?wait=N&from=now`, without a validator, is held until the next change."""
    await waits_out(caller, wait=f"{WAIT:g}", from_="now")
    await wakes(caller, from_="now")


async def test_p40_any_change(caller: Caller) -> None:
    """`If-None-Match: *` with a wait is held until any change since the request arrived."""
    await waits_out(caller, If_None_Match="*", wait=f"{WAIT:g}")
    await wakes(caller, {"If-None-Match": "*"})


async def test_p41_other_validators(caller: Caller) -> None:
    """`since` and `If-Modified-Since` can be waited on as well; while the answer could carry no later date than the request has, it is held until it can, 3 s at most, and is 200."""  # noqa: E501
    await waits_out(caller, since="{version}", wait=f"{WAIT:g}")
    await waits_out(
        caller, If_Modified_Since=(await unmodified(caller)).headers["last-modified"], Prefer=f"wait={WAIT:g}"
    )
    for moment in (datetime.now(UTC) + timedelta(seconds=30), datetime(9999, 12, 31, tzinfo=UTC)):
        started, future = time.monotonic(), {"If-Modified-Since": http_date(moment)}
        assert (await caller.get(headers=future, wait="20")).status_code == 200
        assert 3 - TIMER_SECONDS <= time.monotonic() - started <= 3 + SLACK_SECONDS
        await waits_out(caller, **{k.replace("-", "_"): v for k, v in future.items()}, wait=f"{WAIT:g}", from_="now")
    await wakes(caller, since="{version}")
    answer, answers = await caller.current(), 0  # of a change that has just been
    while answer.status_code == 200 and answers <= ANSWERS_A_CHANGE:
        version = version_of(answer)
        answer = await caller.get(headers={"If-Modified-Since": answer.headers["last-modified"]}, wait="4")
        answers = answers + 1 if answer.status_code == 200 and version_of(answer) == version else 0
    assert answers <= ANSWERS_A_CHANGE


@pytest.mark.parametrize("wait", ["wait", 'wait=""', "wait=abc", "wait=-1"])
async def test_p42_the_first_wait_counts(caller: Caller, wait: str) -> None:
    """The first `wait` of `Prefer` counts, on whichever line; one without a number as in P34 is no wait, and no later one counts."""  # noqa: E501
    validator = ("If-None-Match", '"another"')
    for lines in ([wait], [f"{wait}, wait=20"], [wait, "wait=20"], [f'x="wait=5", {wait}']):
        answer = await caller.get(headers=[validator, *(("Prefer", line) for line in lines)])
        assert answer.status_code == 200
        assert "preference-applied" not in answer.headers
    for lines in ([f"WAIT = 3; x, {wait}"], ['x="a, wait=5"', 'wait="3"', wait]):
        answer = await caller.get(headers=[validator, *(("Prefer", line) for line in lines)])
        assert answer.headers["preference-applied"] == "wait=3"


async def test_p50_head(caller: Caller) -> None:
    """`HEAD` is as GET, without a body."""
    before, answer = await caller.steady(lambda _: caller.get(method="HEAD"))
    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("etag", "content-type", "cache-control", "vary"):
        assert answer.headers[name] == before.headers[name]
    _, answer = await caller.steady(lambda now: caller.get(headers=quoted(version_of(now)), method="HEAD"))
    assert answer.status_code == 304
    head, _, body = (await caller.deployment.raw_head(STATUS)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


async def test_p51_options(each_mode: list[Caller]) -> None:
    """`OPTIONS` is answered 204 with `Allow`, and needs no token, no key and no storage."""
    for caller in each_mode:
        for path in (STATUS, STREAM, HEALTH, DOCUMENT):
            answer = await caller.get(path, method="OPTIONS", is_known=False)
            assert (answer.status_code, answer.content) == (204, b"")
            assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


async def test_p52_cors(each_mode: list[Caller]) -> None:
    """An origin of `CORS_ORIGINS` may read the answers, `ETag` included, and is told so by `OPTIONS`, in each `AUTH_MODE`."""  # noqa: E501
    for caller in each_mode:
        origin = origin_of(caller)
        answer = await caller.get(headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] in {origin, "*"}
        assert {"ETag", "Retry-After"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        asked |= {"Access-Control-Request-Headers": "x-functions-key, authorization,,x-other;="}
        preflight = await caller.get(headers=asked, method="OPTIONS", is_known=False)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-origin"] in {origin, "*"}
        allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "if-none-match", "last-event-id", "prefer", "x-functions-key"} <= set(allowed)


def origin_of(caller: Caller) -> str:
    """Return an origin that is allowed there."""
    origin = caller.deployment.setting("CORS_ORIGINS").split(",")[0]
    return origin.replace("*", "https://any.example.com") or pytest.skip("give --setting CORS_ORIGINS=...")


async def test_p53_another_origin(caller: Caller) -> None:
    """Another origin gets no CORS headers."""
    answer = await caller.get(headers={"Origin": "https://evil.example.com"})
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed == "*" and caller.deployment.setting("CORS_ORIGINS") in {"", "*"}:
        pytest.skip("every origin is allowed there (CORS_ORIGINS=*), as `make dev` does")
    assert allowed is None


@pytest.mark.parametrize("path", [STATUS, STREAM, HEALTH, DOCUMENT])
async def test_p54_shared_caches(each_mode: list[Caller], path: str) -> None:
    """Each answer is for all origins (`CORS_ORIGINS=*`), or says `Vary: Origin`, also to a request without an origin or with one that is not allowed."""  # noqa: E501
    for caller in each_mode:
        is_open = "*" in caller.deployment.setting("CORS_ORIGINS")
        for headers in ({}, {"Origin": origin_of(caller)}, {"Origin": "https://evil.example.com"}):
            for method, is_known in (("HEAD", True), ("DELETE", False)):
                answer = await caller.get(path, headers, method=method, is_known=is_known)
                if caller.deployment.code and not is_known and path in {STATUS, STREAM}:
                    continue  # the platform's answer
                if is_open:
                    assert answer.headers["access-control-allow-origin"] == "*"
                else:
                    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", "inf", "1e3", "+1", "", "0x1", "1,5", "\u0661"])
async def test_p61_a_wait_that_is_none(caller: Caller, value: str) -> None:
    """400 `bad-request`: a wait in the query that is no number, is negative, or is not a plain decimal."""
    assert is_problem(await caller.get(wait=value), 400, "bad-request")


async def test_p62_twice(caller: Caller) -> None:
    """400 `bad-request`: a query parameter of this page that is there twice."""
    for query in ("wait=1&wait=1", "since=a&since=b", "from=now&from=now"):
        assert is_problem(await caller.get(f"{STATUS}?{query}"), 400, "bad-request")


@pytest.mark.parametrize("name", ["If-None-Match", "If-Modified-Since", "Prefer", "since", "wait"])
async def test_p63_too_long(caller: Caller, name: str) -> None:
    """400 `bad-request`: a header or query parameter of this page over 4,096 characters, needed or not."""
    value, is_header = "1" * 4097, name[0].isupper()
    others = {"If-None-Match": '"a"', "Prefer": "wait=1"}
    headers = others | ({name: value} if is_header else {})
    query = {"since": "a", "wait": "1"} | ({} if is_header else {name: value})
    assert is_problem(await caller.get(headers=headers, **query), 400, "bad-request")


async def test_p64_from(caller: Caller) -> None:
    """400 `bad-request`: `from` with another value than `now`."""
    for value in ("then", "", "NOW"):
        assert is_problem(await caller.get(from_=value), 400, "bad-request")
