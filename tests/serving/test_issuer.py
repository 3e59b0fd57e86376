"""shared.serving.issuer and issuer_keys: a broken, slow, huge or hostile issuer harms nobody but its own tokens."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable

import aiohttp
import pytest

from shared.errors import Unavailable
from shared.serving import issuer as fetching
from shared.serving.auth import BearerTokens
from shared.serving.issuer import MOST_BYTES, Issuer, IssuerError
from shared.serving.issuer_keys import LIFESPAN_SECONDS, REFETCH_SECONDS
from shared.serving.problems import Unauthorized
from shared.settings.tokens import JwtSettings
from tests.e2e.issuer import AUDIENCE, DISCOVERY, ISSUER, LocalIssuer, endless, page, public, token
from tests.fakes.memory_blobs import FakeClock

GOOD_KEYS = {"keys": [public(kid="1")]}
#: More than the default executor of any machine has threads.
MANY = 40


#: Without a limit, what is slow here takes twice as long and more; a machine that is busy takes its time, too.
LONG_BEFORE_SECONDS = 8.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fetch have a tenth of a second."""
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.1)


def checker(issuer: LocalIssuer, clock: FakeClock, url: str = "") -> BearerTokens:
    """Return a check of tokens against the issuer's keys."""
    return BearerTokens(JwtSettings(ISSUER, (AUDIENCE,), url or f"{issuer.url}/keys"), clock)


async def undecided(tokens: BearerTokens) -> float:
    """Check a good token, of which nobody can tell; return how long it took."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await tokens.check(f"Bearer {token()}")
    return time.monotonic() - began


async def reason(issuer: LocalIssuer, caplog: pytest.LogCaptureFixture) -> str:
    """Return what the operator is told of keys that cannot be had."""
    await undecided(checker(issuer, FakeClock()))
    return caplog.records[-1].getMessage()


def executor_threads() -> list[str]:
    """Return the loop's helper threads, in which names are resolved."""
    return [each.name for each in threading.enumerate() if each.name.startswith("asyncio_")]


def dripping_header(request):
    """Answer a header that never ends."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(2000):
        request.wfile.write(b"x")
        time.sleep(0.01)


SLOW = {
    "body": endless(b" ", 0.01, 2000),
    "header": dripping_header,
    "silence": lambda _: time.sleep(2 * LONG_BEFORE_SECONDS),
    "chunks": endless(b"1\r\n \r\n", 0.01, 4000),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", SLOW)
async def test_a_dripping_issuer_holds_no_thread(issuer, clock, how):
    """However slowly an answer comes, a fetch ends in its time, and leaves no thread: names go on being resolved."""
    issuer.pages["/keys"] = SLOW[how]
    tokens = checker(issuer, clock)
    for _ in range(MANY // 4):
        assert await undecided(tokens) < LONG_BEFORE_SECONDS
        clock.advance(REFETCH_SECONDS)
    assert executor_threads() == []
    assert await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("localhost", 80), 5)


async def test_one_fetch_at_a_time(issuer, clock):
    """However many ask, and however long it takes, there is never a second fetch while one runs."""
    release = threading.Event()

    def slow(request):
        release.wait(10)
        page(GOOD_KEYS)(request)

    issuer.pages["/keys"] = slow
    tokens, checks = checker(issuer, clock), []
    for _ in range(MANY):
        checks += [asyncio.create_task(tokens.check(f"Bearer {token()}")) for _ in range(5)]
        await asyncio.sleep(0)
        clock.advance(REFETCH_SECONDS + LIFESPAN_SECONDS)
    while not issuer.asked:
        await asyncio.sleep(0.005)
    release.set()
    await asyncio.gather(*checks)
    assert issuer.asked == ["/keys"]


@pytest.mark.usefixtures("impatient")
async def test_a_hanging_resolver_costs_one_thread(issuer, clock, monkeypatch):
    """Name resolution needs a thread; when it hangs, later fetches wait for the same one."""
    release, calls = threading.Event(), []

    def hang(host, *_, **__):
        calls.append(host)
        release.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    tokens = checker(issuer, clock, "https://issuer.invalid/keys")
    try:
        for _ in range(MANY // 4):
            assert await undecided(tokens) < LONG_BEFORE_SECONDS
            clock.advance(REFETCH_SECONDS)
        assert calls == ["issuer.invalid"]
    finally:
        release.set()


@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_answer_is_cut(issuer, caplog, announced):
    """Of two gigabytes no more is read than the limit and what is on its way; the log says so."""
    sent = 0

    def huge(request):
        nonlocal sent
        request.send_response(200)
        if announced:
            request.send_header("Content-Length", str(2 * 1024**3))
        request.end_headers()
        for _ in range(2 * 1024):
            request.wfile.write(b" " * 1024**2)
            sent += 1024**2

    issuer.pages["/keys"] = huge
    assert f"longer than {MOST_BYTES} bytes" in await reason(issuer, caplog)
    assert sent < 32 * 1024**2


async def test_the_limit_is_large_enough(issuer, clock):
    """A set with as much beside the key as fits is read: many keys have certificates with them."""
    key = public(kid="1", x5c=["x" * (MOST_BYTES - 1000)])
    issuer.pages["/keys"] = page(json.dumps({"keys": [key]}).encode().ljust(MOST_BYTES))
    await checker(issuer, clock).check(f"Bearer {token()}")


ODD = {
    "a bomb": (page(gzip.compress(b" " * 50 * 1024**2), Content_Encoding="gzip"), "compressed"),
    "a bomb that is not marked": (page(gzip.compress(b" " * 50 * 1024**2)), "no JSON"),
    "deflate": (page(b"", Content_Encoding="deflate"), "compressed"),
    "deep": (page(b"[" * 200_000), "no JSON"),
    "a huge number": (page(b'{"keys":' + b"9" * 100_000 + b"}"), "no JSON"),
    "not UTF-8": (page(b'{"keys":"\xff"}'), "no JSON"),
    "a list": (page([GOOD_KEYS]), "no JSON object"),
    "no list": (page({"keys": {"1": public(kid="1")}}), "no list of keys"),
    "no keys": (page({"keys": []}), "no key that can be used"),
    "created": (page(GOOD_KEYS, 201), "status 201"),
    "nothing": (page(b"", 204), "status 204"),
    "not found": (page(GOOD_KEYS, 404), "status 404"),
}


@pytest.mark.parametrize("what", ODD)
async def test_an_odd_answer_is_refused_with_its_reason(issuer, caplog, what):
    """An answer that is no key set decides about no token, and the operator is told what is wrong with it."""
    issuer.pages["/keys"], why = ODD[what]
    assert why in await reason(issuer, caplog)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(issuer, caplog, status):
    """The address that the settings name is the only one that is asked, whatever is answered there."""
    issuer.pages["/keys"] = page(b"", status, Location="/other")
    issuer.pages["/other"] = page(GOOD_KEYS)
    assert "redirects are not followed" in await reason(issuer, caplog)
    assert issuer.asked == ["/keys"]


@pytest.mark.parametrize("kind", ["application/jwk-set+json", "text/plain; charset=latin-1", "text/html", ""])
async def test_the_content_type_does_not_matter(issuer, clock, kind):
    """Issuers publish their keys under many content types; it is the content that counts."""
    issuer.pages["/keys"] = page(GOOD_KEYS, Content_Type=kind)
    await checker(issuer, clock).check(f"Bearer {token()}")


@pytest.mark.usefixtures("impatient")
async def test_an_outage_makes_nobody_wait_who_has_a_known_key(issuer, clock, monkeypatch):
    """While the issuer drips, tokens with known keys are let through at once; all but the first to notice."""
    tokens = checker(issuer, clock)
    await tokens.check(f"Bearer {token()}")
    issuer.pages["/keys"] = SLOW["body"]
    clock.advance(LIFESPAN_SECONDS + 1)
    await tokens.check(f"Bearer {token()}")
    asked = len(issuer.asked)
    clock.advance(REFETCH_SECONDS)
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 2 * LONG_BEFORE_SECONDS)
    began = time.monotonic()
    await tokens.check(f"Bearer {token()}")
    assert time.monotonic() - began < LONG_BEFORE_SECONDS
    while len(issuer.asked) == asked:  # it is asked again all the same
        await asyncio.sleep(0.005)


async def is_let_through(tokens: BearerTokens) -> bool:
    """Tell whether a token with the first key is let through or refused."""
    try:
        await tokens.check(f"Bearer {token()}")
    except Unauthorized:
        return False
    return True


async def test_a_key_is_withdrawn_after_an_outage(issuer, clock):
    """Once the issuer answers again, what it has withdrawn meanwhile is refused."""
    tokens = checker(issuer, clock)
    await tokens.check(f"Bearer {token()}")
    issuer.pages["/keys"] = page({}, 500)
    clock.advance(LIFESPAN_SECONDS + 1)
    await tokens.check(f"Bearer {token()}")
    issuer.pages["/keys"] = page({"keys": [public(kid="2")]})
    clock.advance(REFETCH_SECONDS)
    async with asyncio.timeout(5):
        while await is_let_through(tokens):
            await asyncio.sleep(0.005)


async def test_an_outage_that_is_over_is_forgotten(issuer, clock):
    """After an outage a withdrawn key is refused as soon as it is old, as if there had been none."""
    tokens = checker(issuer, clock)
    issuer.pages["/keys"] = page({}, 500)
    await undecided(tokens)
    clock.advance(REFETCH_SECONDS)
    issuer.pages["/keys"] = page(GOOD_KEYS)
    assert await is_let_through(tokens)
    issuer.pages["/keys"] = page({"keys": [public(kid="2")]})
    clock.advance(LIFESPAN_SECONDS + 1)
    assert not await is_let_through(tokens)


async def test_unknown_keys_do_not_drive_the_issuer(issuer, clock):
    """A flood of made-up key ids, and of algorithms that are not allowed, costs the issuer one request in a while."""
    tokens = checker(issuer, clock)
    for number in range(MANY):
        for made_up in (token(kid=f"k{number}"), token(algorithm="PS512")):
            with pytest.raises(Unauthorized):
                await tokens.check(f"Bearer {made_up}")
    assert issuer.asked == ["/keys"]


def discovering(name: str) -> BearerTokens:
    """Return a check of tokens of an issuer that says where its keys are."""
    return BearerTokens(JwtSettings(name, (AUDIENCE,), ""), FakeClock())


@pytest.mark.parametrize("path", ["", "/tenant/v2.0", "/a/b/c"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_discovery(issuer, path, slash):
    """Without an address of the keys the issuer's discovery document says it; a slash at the name's end is left out."""
    name = issuer.publish(path, public(kid="1"), issuer=f"{issuer.url}{path}{slash}") + slash
    await discovering(name).check(f"Bearer {token(iss=name)}")
    assert issuer.asked == [f"{path}{DISCOVERY}", f"{path}/keys"]


DISCOVERED: dict[str, Callable[[str], tuple[object, str]]] = {
    "another issuer": lambda name: ({"issuer": f"{name}/", "jwks_uri": f"{name}/keys"}, "not JWT_ISSUER"),
    "any tenant": lambda name: ({"issuer": f"{name}/{{tenantid}}", "jwks_uri": f"{name}/keys"}, "not JWT_ISSUER"),
    "a list of issuers": lambda name: ({"issuer": [name], "jwks_uri": f"{name}/keys"}, "not JWT_ISSUER"),
    "no issuer": lambda name: ({"jwks_uri": f"{name}/keys"}, "not JWT_ISSUER"),
    "no address": lambda name: ({"issuer": name}, "jwks_uri"),
    "no text": lambda name: ({"issuer": name, "jwks_uri": [f"{name}/keys"]}, "jwks_uri"),
    "clear text from afar": lambda name: ({"issuer": name, "jwks_uri": "http://192.0.2.1/keys"}, "jwks_uri"),
    "another name for afar": lambda name: ({"issuer": name, "jwks_uri": "http://localhost:1@192.0.2.1/"}, "jwks_uri"),
    "a file": lambda name: ({"issuer": name, "jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
    "relative": lambda name: ({"issuer": name, "jwks_uri": "/keys"}, "jwks_uri"),
    "a list": lambda name: ([name], "no JSON object"),
}


@pytest.mark.parametrize("what", DISCOVERED)
async def test_discovery_that_is_not_believed(issuer, caplog, what):
    """A document of another issuer, or one that points to what the settings would not accept, is refused with why."""
    name = issuer.publish("/tenant", public(kid="1"))
    document, why = DISCOVERED[what](name)
    issuer.pages[f"/tenant{DISCOVERY}"] = page(document)
    await undecided(discovering(name))
    assert why in caplog.records[-1].getMessage()
    assert issuer.asked == [f"/tenant{DISCOVERY}"]


@pytest.mark.parametrize("answer", [page({}, 404), page(b"", 302, Location="/keys"), endless(b" ", 0.01, 2000)])
@pytest.mark.usefixtures("impatient")
async def test_discovery_has_the_limits_of_the_keys(issuer, answer):
    """Discovery ends in its time, follows no redirect, and its failure is nobody's fault but the issuer's."""
    name = issuer.publish("/tenant", public(kid="1"))
    issuer.pages[f"/tenant{DISCOVERY}"] = answer
    assert await undecided(discovering(name)) < LONG_BEFORE_SECONDS
    assert issuer.asked == [f"/tenant{DISCOVERY}"]


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [("https://keys.example.com/", True), ("http://127.0.0.1/keys", False), ("http://localhost:7071/", False)],
)
async def test_discovery_from_afar_names_nothing_on_this_machine(monkeypatch, url, is_taken):
    """An issuer elsewhere may keep its keys at another https address, and cannot have this machine asked instead."""
    name, asked = "https://issuer.example.com", []

    async def fetch(_: Issuer, address: str, what: str) -> bytes:
        del what
        asked.append(address)
        return json.dumps({"issuer": name, "jwks_uri": url, "keys": []}).encode()

    monkeypatch.setattr(Issuer, "_fetch", fetch)
    issuer = Issuer(JwtSettings(name, (AUDIENCE,), ""))
    if is_taken:
        assert await issuer.key_set() == []
    else:
        with pytest.raises(IssuerError):
            await issuer.key_set()
    assert asked == [f"{name}{DISCOVERY}", *([url] if is_taken else [])]


async def test_a_company_proxy_is_used_for_the_issuer_and_not_for_this_machine(issuer, clock, monkeypatch):
    """A proxy of the environment is for addresses elsewhere."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"{issuer.url}/proxy")
    await checker(issuer, clock).check(f"Bearer {token()}")
    with pytest.raises(aiohttp.ClientHttpProxyError):
        await Issuer(JwtSettings(ISSUER, (AUDIENCE,), "https://issuer.invalid/keys")).key_set()
