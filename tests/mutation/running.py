"""Runs the tests and the simulator on one changed module, in a process forked from one that has imported the rest.

The sources on disk stay as they are: an import hook compiles the changed tree instead. A forked process imports
``shared`` and the tests anew, the SDKs and pytest not.

What is run was chosen by a run on the unchanged code, which notes the lines of ``shared`` that each test and each seed
of the simulator runs: a test that does not run a changed line cannot notice it.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Self

import hypothesis
import pytest

from tests.mutation.changes import changed

ROOT = Path(__file__).parents[2]
SUITE = (
    *(f"tests/{room.parent.name}" for room in sorted((ROOT / "shared").glob("*/__init__.py"))),
    *(f"tests/{file.name}" for file in sorted((ROOT / "tests").glob("test_*.py"))),
    "tests/project",
)
SEEDS = 50
# The plugins are imported before pytest asks for them, which two of them warn of; a time limit is ours.
_OPTIONS = [
    *("-x", "-q", "-m", "not azurite", "-p", "no:cacheprovider", "--timeout=0"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-W", "ignore::hypothesis.errors.HypothesisSideeffectWarning"),
]
_MEMORY_BYTES = 4 << 30
_TOOL = sys.monitoring.COVERAGE_ID
#: A part of the suite is stuck when it takes so much more than this many times what is usual: of processor time, or of
#: time, of which other work on the machine may take its share.
_SLOWER, _MORE_PROCESSOR_SECONDS, _MORE_SECONDS = 5.0, 5.0, 30.0

type IsKnown = Callable[[str], bool]


def path_of(module: str) -> Path:
    """Return where a module of ``shared`` stands."""
    return ROOT / "shared" / f"{module.replace('.', '/')}.py"


@dataclass(slots=True)
class Part:
    """A test or a seed of the simulator, as it ran on the unchanged code."""

    seconds: float
    lines: dict[str, list[int]] = field(default_factory=dict)

    def runs(self, module: str, lines: Iterable[int]) -> bool:
        """Tell whether it runs one of these lines, or any line of the module where none is given."""
        ran = self.lines.get(module, [])
        return bool(ran) and (not lines or not set(lines).isdisjoint(ran))


class Hook(importlib.abc.MetaPathFinder):
    """Imports modules of ``shared`` from source, changed or listened to."""

    def __init__(self, code_of: Callable[[str, str], CodeType]) -> None:
        self._code_of = code_of

    def __enter__(self) -> Self:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how to load a module of ``shared``; None for all others."""
        del path, target
        package, _, name = fullname.partition(".")
        file = path_of(name)
        if package != "shared" or not file.is_file():
            return None
        loader = importlib.machinery.SourceFileLoader(fullname, str(file))
        loader.get_code = lambda _: self._code_of(name, file.read_text())  # type: ignore[method-assign, assignment]
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


class Listener:
    """Notes which lines of ``shared`` run, and whose they are."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {"import": Part(0.0)}
        self._lines: set[tuple[str, int]] = set()
        sys.monitoring.use_tool_id(_TOOL, "mutation")
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.LINE, self._on_line)

    def code_of(self, module: str, source: str) -> CodeType:
        """Return a module's code, listened to."""
        code = compile(source, str(path_of(module)), "exec")
        self._listen(code)
        return code

    def _listen(self, code: CodeType) -> None:
        sys.monitoring.set_local_events(_TOOL, code, sys.monitoring.events.LINE)
        for each in code.co_consts:
            if isinstance(each, CodeType):
                self._listen(each)

    def _on_line(self, code: CodeType, line: int) -> object:
        parts = Path(code.co_filename).relative_to(ROOT / "shared").with_suffix("").parts
        self._lines.add((".".join(parts), line))
        return sys.monitoring.DISABLE

    def note(self, name: str, seconds: float) -> None:
        """Note that what ran since the last time was this."""
        part = self.parts[name] = Part(seconds)
        for module, line in sorted(self._lines):
            part.lines.setdefault(module, []).append(line)
        self._lines.clear()
        sys.monitoring.restart_events()


class Chosen:
    """A pytest plugin: these tests, in this order, each within its time; or all of them, listened to.

    A test that the suite does not know is run too: a figure of the app that has changed is part of its name.
    """

    def __init__(
        self, parts: dict[str, Part] | None, is_known: IsKnown = bool, listener: Listener | None = None
    ) -> None:
        self._order = None if parts is None else {name: index for index, name in enumerate(parts)}
        self._parts = parts or {}
        self._is_known = is_known
        self._listener = listener
        self.current = "import"
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose."""
        if self._listener is not None:
            self._listener.note("import", 0.0)
        if self._order is not None:
            order = self._order
            chosen = (each for each in items if each.nodeid in order or not self._is_known(each.nodeid))
            items[:] = sorted(chosen, key=lambda each: order.get(each.nodeid, -1))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Take its time."""
        self.current = item.nodeid
        if item.nodeid in self._parts:
            limit(self._parts[item.nodeid].seconds)
        began = time.monotonic()
        result = yield
        if self._listener is not None:
            self._listener.note(item.nodeid, time.monotonic() - began)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        if report.failed:
            self.failed = report.nodeid


def limit(usual_seconds: float) -> None:
    """Have an alarm raised when what comes next takes much longer than usual."""
    signal.setitimer(signal.ITIMER_PROF, _SLOWER * usual_seconds + _MORE_PROCESSOR_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _SLOWER * usual_seconds + _MORE_SECONDS)


def run_tests(plugin: Chosen, *arguments: str) -> bool:
    """Run tests as ``make quick`` does, but reproducibly, and without looking for the smallest failing example."""
    hypothesis.settings.register_profile(  # what tests/conftest.py does not say it takes from here
        "mutation",
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutation")
    code = pytest.main([*_OPTIONS, *arguments], plugins=[plugin])
    return code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}


def run_seed(seed: int) -> bool:
    """Simulate a seed as ``make quick`` does."""
    from tests.simulation.scenarios import simulate

    logging.disable(logging.CRITICAL)
    outcome = simulate(seed)
    return outcome.violation is None and outcome.unexpected is None


def listen_to(what: str) -> dict[str, Part]:
    """Run the tests or the seeds on the unchanged code; return what each of them runs.

    Raises:
        RuntimeError: One of them fails.
    """
    listener = Listener()
    with Hook(listener.code_of):
        if what == "tests":
            plugin = Chosen(None, listener=listener)
            if not run_tests(plugin, *SUITE):
                raise RuntimeError(f"the unchanged code fails {plugin.failed or 'to be imported'}")
        else:
            importlib.import_module("tests.simulation.scenarios")
            listener.note("import", 0.0)
            for seed in range(SEEDS):
                began = time.monotonic()
                if not run_seed(seed):
                    raise RuntimeError(f"the unchanged code fails seed {seed}")
                listener.note(f"seed {seed}", time.monotonic() - began)
    return listener.parts


def try_out(
    module: str, name: str, parts: dict[str, Part], is_known: IsKnown, verdict: Callable[[str, str], None]
) -> None:
    """Run parts of the suite on a changed module until one notices, in this process, which is not fit for more.

    Args:
        module: Of ``shared``.
        name: The change.
        parts: What to run, in this order, tests before seeds.
        is_known: Tells whether a test is one of the suite's, chosen or not.
        verdict: Told what became of it, and by what.
    """
    tests = {each: part for each, part in parts.items() if "::" in each}
    plugin = Chosen(tests, is_known)

    def stuck(*_: object) -> None:
        verdict("timed out", plugin.current)
        os._exit(0)

    def code_of(each: str, source: str) -> Any:
        tree = changed(module, source, name) if each == module else ast.parse(source)
        return compile(tree, str(path_of(each)), "exec")

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGALRM, stuck)
    signal.signal(signal.SIGPROF, stuck)
    with Hook(code_of):
        limit(20.0)
        files = dict.fromkeys(each.partition("::")[0] for each in tests)
        if files and not run_tests(plugin, *files):  # pytest takes none for all
            verdict("killed", plugin.failed or "import")
            return
        for each, part in parts.items():
            if each not in tests:
                plugin.current = each
                limit(part.seconds)
                if not run_seed(int(each.removeprefix("seed "))):
                    verdict("killed", each)
                    return
    verdict("survived", "")
