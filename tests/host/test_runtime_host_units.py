"""The runtime host's pure parts: routes, request targets, keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localdev.host.dispatch import Keys, origin_form
from localdev.host.errors import AppError, SetupError
from localdev.host.routes import Router
from localdev.host.settings import expand, is_disabled, timespan_seconds
from localdev.host.worker import Function


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:05:00", 300), ("1.00:00:30", 86430), ("0:00:01", 1), ("24:00:00", None), ("00:61:00", None), ("5", None)],
)
def test_timespan(text: str, seconds: float | None) -> None:
    """Time spans are read as .NET writes them; anything else is none."""
    assert timespan_seconds(text) == seconds


def test_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    """`%NAME%` is the app setting of that name, and a missing one is named."""
    monkeypatch.setenv("SOME_SCHEDULE", "0 * * * * *")
    monkeypatch.delenv("NO_SUCH", raising=False)
    assert expand("%SOME_SCHEDULE%", "x") == "0 * * * * *"
    with pytest.raises(SetupError, match="NO_SUCH"):
        expand("%NO_SUCH%", "x")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("AzureWebJobs.f.Disabled", "true", True), ("AzureWebJobs.f.Disabled", "1", True),
     ("AzureWebJobs__f__Disabled", "TRUE", True), ("AzureWebJobs.f.Disabled", "false", False),
     ("AzureWebJobs.g.Disabled", "true", False)],
)  # fmt: skip
def test_is_disabled(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: bool) -> None:
    """The platform's app setting switches a function off."""
    monkeypatch.setenv(name, value)
    assert is_disabled("f") is expected


def function(route: str, methods: list[str] | None = None, name: str = "") -> Function:
    """An HTTP function."""
    trigger = {"type": "httpTrigger", "name": "req", "route": route}
    return Function(name or route, "id", trigger | ({"methods": methods} if methods else {}), disabled=False)


@pytest.mark.parametrize(
    ("method", "path", "name", "params"),
    [
        ("GET", "/api/a/b", "a/b", {}),
        ("GET", "/API/A/B/", "a/b", {}),
        ("GET", "/api/a/c%20d", "a/{id}", {"id": "c d"}),
        ("GET", "/api/a/c%2Fd", "a/{id}", {"id": "c%2Fd"}),
        ("GET", "/api/a/%ff", "a/{id}", {"id": "\ufffd"}),
        ("GET", "/api/a/7", "a/{n:int}", {"n": "7"}),
        ("POST", "/api/a/b", "a/{id}", {"id": "b"}),
        ("GET", "/api/opt", "opt/{x?}", {}),
        ("GET", "/api/opt/1", "opt/{x?}", {"x": "1"}),
        ("GET", "/api/all/x/y", "all/{*rest}", {"rest": "x/y"}),
        ("GET", "/api/all", "all/{*rest}", {}),
        ("GET", "/api/pic.jpg", "{name}.{ext}", {"name": "pic", "ext": "jpg"}),
        ("TRACE", "/api/any", "any", {}),
    ],
)
def test_router_match(method: str, path: str, name: str, params: dict[str, str]) -> None:
    """The most specific route that takes the method answers; parameters are decoded."""
    templates = ["{name}.{ext}", "all/{*rest}", "opt/{x?}", "a/{id}", "a/{n:int}"]
    functions = [function(template, ["GET", "POST"]) for template in templates]
    functions += [function("a/b", ["GET"]), function("any")]
    match = Router(functions, "api").match(method, path)
    assert match is not None
    assert (match[0].name, match[1]) == (name, params)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_router_chooses_by_method(method: str, *, is_first: bool) -> None:
    """Functions may share a route: the one that takes the method answers, in whatever order they are declared."""
    others, options = function("a", ["GET", "HEAD"], "others"), function("a", ["OPTIONS"], "options")
    match = Router([options, others] if is_first else [others, options], "api").match(method, "/api/a")
    name = {"POST": None, "OPTIONS": "options"}.get(method, "others")
    assert (match[0].name if match else None) == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/a"),
        ("GET", "/a"),
        ("GET", "/api/a/b"),
        ("GET", "/api"),
        ("GET", "/"),
        ("HEAD", "/api/a"),
        ("GET", ""),
    ],
)
def test_router_no_match(method: str, path: str) -> None:
    """An unlisted method or an unknown path finds nothing."""
    assert Router([function("a", ["GET"])], "api").match(method, path) is None


def test_router_prefix_and_constraint() -> None:
    """The prefix may be empty, and an unknown constraint stops the start instead of never matching."""
    assert Router([function("a", ["GET"])], "").match("GET", "/a") is not None
    with pytest.raises(AppError, match="regex"):
        Router([function("a/{x:regex}")], "api")


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"/a?b#c", b"/a?b"), (b"http://h:1/a?b", b"/a?b"), (b"http://h", b"/"), (b"http://h?q", b"/?q"), (b"*", None),
     (b"h:1", None), (b"/%zz%", b"/%zz%"), (b"/a?%", b"/a?%")],
)  # fmt: skip
def test_origin_form(target: bytes, expected: bytes | None) -> None:
    """The worker gets a path and a query; what it could not parse is refused here."""
    assert origin_form(target) == expected


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40).map(lambda data: b"/" + data))
def test_origin_form_is_parsable(target: bytes) -> None:
    """Whatever the bytes: the result is None or an ASCII target with a path."""
    result = origin_form(target)
    assert result is None or (result.startswith(b"/") and result.isascii())


@pytest.mark.parametrize(
    ("level", "offered", "allowed"),
    [("anonymous", "", True), ("function", "f", True), ("function", "m", True), ("function", "", False),
     ("function", "x", False), ("admin", "f", False), ("admin", "m", True), ("function", "é\udc80", False)],
)  # fmt: skip
def test_keys(level: str, offered: str, allowed: bool) -> None:
    """The function key opens functions, the master key everything, a missing key nothing."""
    assert Keys("f", "m").allow(level, offered) is allowed
    assert not Keys("", "").allow("function", offered)
