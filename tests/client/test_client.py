"""The client package's own tests, each part as one test: what it prints is shown when it fails."""

from __future__ import annotations

import pytest

from tests.client.conftest import INSTALL_SECONDS
from tests.client.support import LIMIT_SECONDS, run_script


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_core() -> None:
    """The client alone, with a fake clock and the protocol in memory; its size."""
    run_script("test:core")


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_hook_and_component() -> None:
    """React Native: the hook, the legend, the pulse, the app."""
    run_script("test:native")


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_http_on_the_real_stack() -> None:
    """Every transport against the functions host, through a proxy with faults."""
    run_script("test:stack", "test/http")


@pytest.mark.timeout(LIMIT_SECONDS + INSTALL_SECONDS + 60)
def test_page_on_the_real_stack(chromium: str) -> None:
    """The page in Chromium: upload, pulse, pipeline, delete; the server lost and back."""
    run_script("test:stack", "test/browser", CHROMIUM_PATH=chromium)
