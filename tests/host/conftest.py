"""Fixtures: the app with everything, open to everybody and behind keys, and a client of it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.host.support import DEADLINE_SECONDS, FULL_SETTINGS, FUNCTION_KEY, MASTER_KEY, Host, app, running


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The app with everything, open to everybody."""
    with running(app("full", tmp_path_factory.mktemp("open"), FULL_SETTINGS)) as host:
        yield host


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The same app behind keys."""
    folder = app("full", tmp_path_factory.mktemp("guarded"), FULL_SETTINGS)
    keys = {"HOST_FUNCTION_KEY": FUNCTION_KEY, "HOST_MASTER_KEY": MASTER_KEY}
    with running(folder, "--port", "0", "--enable-auth", env=keys) as host:
        yield host


@pytest.fixture
async def client(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the open host."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=host.url, timeout=DEADLINE_SECONDS, limits=limits) as client:
        yield client
