"""Holds every run of the tests to it: no secret is written, whatever is tested. See docs/security.md.

What was written is searched after each test, which fails when a secret is found, and once more at the end of the run.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.leaks.listening import listen
from tests.leaks.secrets import masked
from tests.leaks.written import WRITTEN

_patch = pytest.MonkeyPatch()
_late: list[str] = []


def pytest_configure() -> None:
    """Begin to listen, before any test is imported."""
    listen(_patch, WRITTEN)
    _patch.setattr(pytest.CaptureFixture, "readouterr", _read(pytest.CaptureFixture.readouterr))


def pytest_unconfigure() -> None:
    """Leave everything as it was."""
    _patch.undo()


def _read(readouterr: Any) -> Any:
    def read(self: pytest.CaptureFixture[str]) -> Any:
        """Note what a test takes away from what it has captured."""
        captured = readouterr(self)
        for text in filter(None, captured):
            data = text if isinstance(text, bytes) else text.encode(errors="replace")
            WRITTEN.text("printed text", "what a test has captured", data, is_over=True)
        return captured

    return read


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Fail a test that has let a secret be written."""
    yield
    if leaks := WRITTEN.search():
        pytest.fail("\n".join(["a secret was written:", *leaks]), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what was printed, to be searched with what comes next or at the end; show no secret of it."""
    report = yield
    if call.when == "teardown":
        for name, text in report.sections:
            if "log" not in name:  # log records are noted already
                label = f"{name} of {report.nodeid}"
                WRITTEN.text("printed text", label, text.encode(errors="replace"), is_over=True)
    if report.failed:
        report.sections = [(name, masked(text)) for name, text in report.sections]
    return report


@pytest.hookimpl(wrapper=True, trylast=True)  # innermost: before the summary is written
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Search what was written last; a leak fails the run."""
    yield
    _late.extend(WRITTEN.search(all=True))
    if _late:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was searched, and what was found too late for a test to fail."""
    for leak in _late:
        terminalreporter.write_line(f"FAILED (at the end of the run) a secret was written: {leak}", red=True)
    terminalreporter.write_line(WRITTEN.summary(), red=WRITTEN.leaks > 0)
