"""Which deployment is checked: one that is named on the command line, or a local stack made for it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.leaks.secrets import secret
from tests.protocol.deployment import MAX_REQUESTS, Caller, Deployment

if TYPE_CHECKING:
    from localdev.testbed import Stack

OPTIONS = {
    "--base-url": "origin of the deployment, such as https://app.azurewebsites.net (without: a local stack)",
    "--token": "a bearer token that holds there (AUTH_MODE=jwt)",
    "--code": "a function key (AUTH_MODE=function)",
    "--trigger": "a shell command that changes a count",
}
#: Quick enough to be waited for.
LOCAL = {
    "HEARTBEAT_SECONDS": "1",
    "MAX_STREAM_SECONDS": "7",
    "MAX_WAIT_SECONDS": "20",
    "CORS_ORIGINS": "https://app.example.com",
    "EXTRA_FOLDERS": "failed=failed,review=images/review",
    "CASE_FROM": "first-segment",
    "TELEMETRY": "console",  # into the host's log, which is searched for secrets as everything is (tests/leaks)
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take what says where the deployment is."""
    group = parser.getgroup("protocol", "the protocol of a deployment")
    for option, text in OPTIONS.items():
        group.addoption(option, default="", help=text)
    group.addoption("--setting", action="append", metavar="NAME=VALUE", help="a setting there that is not the default")


def given(config: pytest.Config, option: str) -> str:
    """Return an option; "" also where this folder was not named, and pytest does not know it."""
    return config.getoption(option, default="") or ""


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run the local stack; what needs it is skipped where a deployment is named."""
    if given(request.config, "--base-url"):
        pytest.skip("needs a deployment in a state of its own: checked on the local stack")
    from tests.e2e.stack import running_stack

    with running_stack(tmp_path_factory.mktemp("protocol"), **LOCAL) as running:
        yield running


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Return what is checked, and hold the suite to its number of requests."""
    url = given(request.config, "--base-url").rstrip("/")
    if url:
        found = _foreign(request.config, url)
    else:
        running: Stack = request.getfixturevalue("stack")
        found = Deployment(running.host_url, settings=LOCAL, trigger=lambda: asyncio.to_thread(_upload, running))
    yield found
    assert found.requests <= MAX_REQUESTS


@pytest.fixture(scope="session")
def _secured(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    if given(request.config, "--base-url"):
        named: Deployment = request.getfixturevalue("deployment")
        if not named.token:
            pytest.skip("needs a deployment that asks for tokens: give --token")
        yield named
        return
    from tests.e2e.issuer import running_issuer, token

    with running_issuer() as settings:
        yield other_deployment(request.getfixturevalue("stack"), token=token(), **settings)


@pytest.fixture(scope="session")
def _of_cases(stack: Stack) -> Iterator[Deployment]:
    from tests.e2e.issuer import running_issuer, token

    with running_issuer() as settings:
        yield other_deployment(stack, token=token(cases="mine"), JWT_CASES_CLAIM="cases", **settings)


@pytest.fixture(scope="session")
def _unreconciled(stack: Stack) -> Deployment:
    return other_deployment(stack, answers=503, COUNTS_TABLE="neverreconciled", RECONCILE_ON_START="false")


@pytest.fixture(scope="session")
def _without_storage(stack: Stack) -> Deployment:
    from localdev.azurite import Azurite

    absent = Azurite(in_memory=True)  # only its ports: it is not started
    return other_deployment(stack, answers=503, STORAGE=absent.connection_string)


@pytest.fixture(scope="session")
def _keyed(stack: Stack) -> Deployment:
    key = secret("a function key", secrets.token_urlsafe(24))
    return other_deployment(stack, "--enable-auth", code=key, AUTH_MODE="function", HOST_FUNCTION_KEY=key)


@pytest.fixture(scope="session")
def _crowded(stack: Stack) -> Deployment:
    return other_deployment(stack, MAX_WAITERS="1", CORS_ORIGINS="*")


def asking(deployment: str) -> Any:
    """Make the fixture of who asks the deployment of another fixture."""

    @pytest.fixture
    async def asks(request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
        async with calling(request.getfixturevalue(deployment)) as found:
            yield found

    return asks


#: Asks the deployment that is checked.
caller = asking("deployment")
#: Asks a deployment that wants tokens, and has one.
secured = asking("_secured")
#: Asks a deployment that limits tokens to cases, and has one for the case "mine".
of_cases = asking("_of_cases")
#: Asks a deployment whose account has never been reconciled.
unreconciled = asking("_unreconciled")
#: Asks a deployment whose storage is not there.
without_storage = asking("_without_storage")
#: Asks a deployment that leaves keys to the platform, and has one.
keyed = asking("_keyed")
#: Asks a deployment that has room for one waiter, and is open to all origins.
crowded = asking("_crowded")


@pytest.fixture
async def each_mode(request: pytest.FixtureRequest) -> AsyncIterator[list[Caller]]:
    """Return who asks the deployment that is named, or local ones in each AUTH_MODE, one of them without storage."""
    names = ["deployment"]
    if not given(request.config, "--base-url"):
        names += ["_keyed", "_secured", "_crowded", "_without_storage"]
    async with contextlib.AsyncExitStack() as clients:
        yield [await clients.enter_async_context(calling(request.getfixturevalue(name))) for name in names]


@contextlib.asynccontextmanager
async def calling(deployment: Deployment) -> AsyncIterator[Caller]:
    """Open a client."""
    async with deployment.client() as http:
        yield Caller(deployment, http)


def _foreign(config: pytest.Config, url: str) -> Deployment:
    command = given(config, "--trigger")

    async def trigger() -> None:
        process = await asyncio.create_subprocess_shell(command)
        assert await process.wait() == 0, "the --trigger command failed"

    settings = dict(each.split("=", 1) for each in config.getoption("--setting", default=None) or [])
    token, code = given(config, "--token"), given(config, "--code")
    for name, value in (("the deployment's token", token), ("the deployment's key", code)):
        if value:
            secret(name, value)
    return Deployment(url, token, code, settings, trigger if command else None)


def other_deployment(
    stack: Stack, *options: str, token: str = "", code: str = "", answers: int = 200, **environ: str
) -> Deployment:
    """Start another host with settings of its own on the stack's account."""
    from localdev.ports import free_port

    port = free_port()
    stack.start_host(port, *options, answers=answers, **environ)
    return Deployment(f"http://127.0.0.1:{port}", token, code, settings=LOCAL | environ)


def _upload(stack: Stack) -> None:
    with stack.blobs() as blobs:
        blobs.get_container_client("queued").upload_blob(f"{uuid.uuid4()}.jpg", b"x")
