"""The one way to start, await and stop a process: what it says when that goes wrong, and that nothing stays behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from localdev.processes import Process, ProcessError
from tests.waiting import eventually

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def python(code: str) -> list[str]:
    """Return the command that runs this code."""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("to_file", [True, False])
def test_a_process_that_ends_instead_of_getting_ready_shows_what_it_said(tmp_path: Path, to_file: bool) -> None:
    """Its exit status and last lines stand in the error, wherever its output goes."""
    lines: list[str] = []
    output = tmp_path / "log" if to_file else lines.append
    process = Process("the part", python("print('no luck today'); raise SystemExit(3)"), output=output)
    with pytest.raises(ProcessError, match=r"the part ended while starting \(exit status 3\).*\n    no luck today"):
        process.until(lambda: False)
    assert lines == ([] if to_file else ["no luck today"])


def test_a_process_that_does_not_get_ready_is_stopped(tmp_path: Path) -> None:
    """After its time it is an error, and gone."""
    process = Process("the part", python(SLEEP), output=tmp_path / "log")
    with pytest.raises(ProcessError, match=r"the part was not ready within 0 s"):
        process.until(lambda: False, seconds=0.1)
    assert not process.is_running


async def test_only_an_end_that_nobody_asked_for_is_told() -> None:
    """A crash is, with its last lines; a stop and a kill are not."""
    lines: list[str] = []
    told: list[ProcessError] = []
    crashing, stopped, killed = (
        Process("the part", python(SLEEP), output=lines.append, on_end=told.append) for _ in range(3)
    )
    await eventually(lambda: lines == ["up"] * 3)
    assert stopped.stop() == 128 + signal.SIGTERM
    assert killed.kill() == 128 + signal.SIGKILL
    crashing.send_signal(signal.SIGKILL)
    await eventually(lambda: told)
    assert [str(error) for error in told] == ["the part ended unexpectedly (exit status 137); its last lines:\n    up"]
    assert crashing.stop() == 128 + signal.SIGKILL


async def test_signals_reach_the_command_and_not_its_leash() -> None:
    """What handles a signal goes on, and says so."""
    lines: list[str] = []
    code = f"import signal; signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True)); {SLEEP}"
    with Process("the part", python(code), output=lines.append) as process:
        await eventually(lambda: lines == ["up"])
        process.send_signal(signal.SIGUSR1)
        await eventually(lambda: lines == ["up", "heard"])
        assert process.is_running
