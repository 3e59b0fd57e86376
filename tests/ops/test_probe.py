"""`probe`: what is said of each thing that can stand between clients and app; times are those that the script says."""

from __future__ import annotations

import dataclasses
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import pytest

from localdev.ports import free_ports
from ops.exits import WrongArgument
from ops.probe import Finding, Verdict, examine
from ops.through import Answer, Heard, reached_at
from tests.ops.conftest import Account

PLAIN = {"etag": '"e-1"', "cache-control": "private, no-cache, no-transform"}
COUNTS = Answer(200, 0.1, PLAIN, version="e-1")
LIVE = Heard(200, first=0.1, heartbeat=15.0)


@dataclass
class Scripted:
    """An app behind something that cuts holds; its clock is in what it answers.

    Attributes:
        first: The answer to whoever has no version.
        allows: The longest hold of the app.
        cuts: When what stands in front cuts a hold.
        knows: Which validators arrive and hold.
        heard: What comes of a stream.
        changes: How often the counts change before they stand still.
    """

    first: Answer = COUNTS
    allows: float = 60.0
    cuts: float = 1000.0
    knows: tuple[str, ...] = ('"e-1"', "e-1")
    heard: Heard = LIVE
    changes: int = 0

    async def ask(
        self, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None, wait_seconds: float = 0
    ) -> Answer:
        """Answer as the script says."""
        said = {**(headers or {}), **(query or {})}
        validator = said.get("If-None-Match") or said.get("since")
        if validator is None or validator not in self.knows:
            return self.first
        if self.changes:
            self.changes -= 1
            return dataclasses.replace(self.first, version="e-2")
        wait = min(wait_seconds, self.allows)
        if wait > self.cuts:
            return Answer(504, self.cuts)
        return Answer(304, wait or 0.1, {"preference-applied": f"wait={wait:g}"})

    async def listen(self) -> Heard:
        """Return what was heard."""
        return self.heard


async def found_by(app: Scripted) -> dict[str, Finding]:
    """Return the findings, by what they are about."""
    return {each.what: each for each in await examine(app, 200)}  # type: ignore[arg-type]


async def test_nothing_in_front():
    """Everything is fine, and the longest hold is what the app allows."""
    found = await found_by(Scripted())
    assert [(each.what, each.verdict) for each in found.values()] == [
        (what, Verdict.OK) for what in ("address", "ETag", "304", "held poll", "stream", "quiet stream")
    ]
    assert found["held poll"].seconds == 60
    assert found["held poll"].found == "the longest hold is 60.0 s, of 60 s that the app allows"


@pytest.mark.parametrize(("cuts", "fits"), [(30.0, 24), (10.0, 8), (100.0, None)])
async def test_a_cut_hold(cuts: float, fits: int | None):
    """The cut is named with a wait that was tried and got through; one beyond the app's own maximum does not matter."""
    held = (await found_by(Scripted(cuts=cuts)))["held poll"]
    assert held.verdict is (Verdict.WRONG if fits else Verdict.OK)
    assert held.seconds == (fits or 60)
    assert (f"cut after {cuts:.1f} s (504); {fits} s get through" in held.found) is (fits is not None)
    assert (f"set MAX_WAIT_SECONDS to {fits}" in held.found) is (fits is not None)


async def test_nothing_can_be_held():
    """A cut within a second leaves no wait to advise."""
    held = (await found_by(Scripted(cuts=0.9)))["held poll"]
    assert held.verdict is Verdict.WRONG
    assert held.found.endswith("and shorter ones too: raise the timeout of what stands in front")


async def test_changes_while_it_is_held():
    """A change of the counts ends a hold; it is tried again, and given up when they never stand still."""
    assert (await found_by(Scripted(changes=4)))["held poll"].seconds == 60
    restless = await found_by(Scripted(changes=1000))
    assert {restless[what].verdict for what in ("304", "held poll")} == {Verdict.NOTE}
    assert "quiet moment" in restless["held poll"].found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(0, reason="no route"), "cannot be reached: no route"),
        (Answer(200), "something other than the app"),
        (Answer(401), "--code"),
        (Answer(401, code="unauthorized"), "--token"),
        (Answer(403), "certificate"),
        (Answer(302, headers={"location": "https://login.example.com"}), "asks for a login"),
        (Answer(404), "path that is passed on"),
        (Answer(503, code="counts-not-ready"), "python -m ops reconcile --wait"),
        (Answer(503, code="unavailable"), "docs/operations.md"),
    ],
)
async def test_an_address_that_does_not_answer(answer: Answer, words: str):
    """Says why, and tries nothing else."""
    found = await found_by(Scripted(first=answer))
    assert list(found) == ["address"]
    assert found["address"].verdict is Verdict.WRONG
    assert words in found["address"].found


@pytest.mark.parametrize(
    ("heard", "wrong", "words"),
    [
        (Heard(200), "stream", "no byte came within 10 s: turn response buffering"),
        (Heard(0), "stream", "no byte came within 10 s"),
        (Heard(502), "stream", "it is answered 502"),
        (Heard(200, first=0.1), "quiet stream", "nothing comes for 35 s"),
        (Heard(200, first=0.1, cut=10.0), "quiet stream", "cut after 10.0 s of quiet.*HEARTBEAT_SECONDS.*5 or less"),
    ],
)
async def test_a_stream(heard: Heard, wrong: str, words: str):
    """Held back, refused, silent, cut: each is named with its remedy."""
    found = await found_by(Scripted(heard=heard))
    assert [each.what for each in found.values() if each.verdict is Verdict.WRONG] == [wrong]
    assert re.search(words, found[wrong].found)


async def test_a_cache():
    """A cache shows by the age of an answer, and by Cache-Control that is not the app's."""
    for headers in (PLAIN | {"age": "3"}, {"etag": '"e-1"', "cache-control": "max-age=60"}):
        found = await found_by(Scripted(first=Answer(200, 0.1, headers, version="e-1")))
        assert found["cache"].verdict is Verdict.WRONG


def test_the_command(fresh: Account):
    """Needs no settings of storage; exit code 1 when something is to be mended, 2 when the address is none."""
    (port,) = free_ports(1)
    said = fresh.run("probe", f"http://127.0.0.1:{port}", "--json")
    assert said.code == 1
    assert said.data["url"] == f"http://127.0.0.1:{port}"
    assert [(each["what"], each["verdict"]) for each in said.data["findings"]] == [("address", "wrong")]
    assert "cannot be reached" in fresh.run("probe", f"http://127.0.0.1:{port}").out
    for hold in ("1", "201", "soon", "nan"):
        said = fresh.run("probe", "https://app", "--hold", hold)
        assert said.code == 2
        assert f"argument --hold: {hold} is not a number of seconds from 2 to 200" in said.err


WRONG = ("app.azurewebsites.net", "ftp://app", "https://", "http://[::1", "http://exa_mple..com", "http://app:99999")
WRONG_TOO = (
    "http://app:port",
    f"http://{'a' * 64}.com",
    "https://user:password@app",
    "http://app/?code=1",
    "http://a b",
)


@pytest.mark.parametrize("url", [*WRONG, *WRONG_TOO])
def test_an_address_that_is_none(fresh: Account, url: str):
    """It is the operator's mistake, said with an example: exit code 2."""
    said = fresh.run("probe", url)
    assert said.code == 2
    assert "is no address of an app; one looks like https://app.azurewebsites.net" in said.err


@pytest.mark.parametrize("seed", range(300))
async def test_any_address_is_wrong_or_can_be_asked(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Whatever is given instead of an address: it is refused as one, or asked and not reached; nothing else happens."""

    def nowhere(host: object, *_: object, **__: object) -> list[object]:
        str(host).encode("idna")  # as the real one does
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    random = Random(seed)
    pieces = [
        "a",
        "b-c",
        "x_y",
        "ü",
        "." * 2,
        ".",
        "a" * 64,
        "[",
        "]",
        "::",
        "%",
        "%41",
        "@",
        ":",
        ":99",
        ":99999",
        "/",
    ]
    pieces += ["/api/", "?", "#", " ", "\\", "\t", "\0", "\ud800", "٣", "㎏"]
    url = random.choice(["http://", "https://", "http:", "HTTP://", ""]) + "".join(random.choices(pieces, k=4))
    with suppress(WrongArgument):
        async with reached_at(url) as app:
            assert (await app.ask()).status == 0
