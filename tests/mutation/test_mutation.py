"""Small wrong changes: which are made, how they are tried on the suite, and that each explanation is of one."""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.mutation import __main__ as mutation
from tests.mutation.changes import changed, changes
from tests.mutation.forking import forked
from tests.mutation.running import ROOT, Part, path_of

#: A kind, the body of a function, what is found in it, and what stands there instead.
KINDS = [
    ("comparison turned", "return a < b", "a < b", "a <= b"),
    ("comparison turned", "return a < b", "a < b", "a >= b"),
    ("comparison turned", "return a == b < c", "a == b < c", "a != b < c"),
    ("comparison turned", "return a not in b", "a not in b", "a in b"),
    ("off by one", "return a[2:]", "2", "3"),
    ("off by one", "return a[2:]", "2", "1"),
    ("boolean flipped", "return a(last=True)", "True", "False"),
    ("arithmetic turned", "return a + b", "a + b", "a - b"),
    ("arithmetic turned", "self.a += b", "self.a += b", "self.a -= b"),
    ("wrong branch", "return a and b", "a and b", "a or b"),
    ("wrong branch", "return a if b else c", "a if b else c", "c if b else a"),
    ("wrong branch", "return max(a)", "max", "min"),
    ("wrong branch", "try:\n    a()\nexcept E:\n    b()", "b()", "raise"),
    ("condition dropped", "return a and b", "a and b", "b"),
    ("condition dropped", "return a or b or c", "a or b or c", "a or c"),
    ("condition negated", "if a.b:\n    c()", "a.b", "not a.b"),
    ("condition negated", "return [a for a in b if c(a)]", "c(a)", "not c(a)"),
    ("condition negated", "return not a", "not a", "a"),
    ("statement dropped", "a.clear()", "a.clear()", "pass"),
    ("statement dropped", "self.a = b", "self.a = b", "pass"),
    ("statement dropped", "if a:\n    raise E('why')", "raise E('why')", "pass"),
    ("early return", "a()\nb()", "b()", "return; b()"),
    ("argument swapped", "return f(a, b)", "f(a, b)", "f(b, a)"),
    ("argument swapped", "return f(a=1, b=c)", "f(a=1, b=c)", "f(a=c, b=1)"),
    ("argument dropped", "return f(a, b=c)", "f(a, b=c)", "f(a)"),
    ("await reordered", "await a()\nawait b()", "await a(); await b()", "await b(); await a()"),
    ("await reordered", "self.a = b\nawait c()", "self.a = b; await c()", "await c(); self.a = b"),
    ("loop ended after one", "for a in b:\n    c(a)", "for a in b: ...", "for a in b: ... break"),
]
#: Nothing of this is behaviour.
LEFT_ALONE = '''
"""Module, 1."""
import a
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from b import C

log = logging.getLogger(__name__, 1)

class Port(Protocol):
    """A port."""
    def ask(self, limit: int = 1) -> bool:
        return True

@dataclass(frozen=True, slots=True)
class D:
    """A record."""
    x: Literal[1]

async def f(a: Literal[1]) -> Literal[2]:
    """Do nothing."""
    log.info("one %s", 1)
    telemetry.EVENTS.add(1, {"a": 1})
    a.origin = telemetry.here()
    raise E(f"{a + 1}", 1) from None
'''


def in_function(body: str) -> str:
    """Return a module with one function in it."""
    return "async def f(self):\n" + "".join(f"    {line}\n" for line in body.splitlines())


@pytest.mark.parametrize(("kind", "body", "old", "new"), KINDS)
def test_each_kind_of_mistake_is_made(kind: str, body: str, old: str, new: str) -> None:
    """It is found once, named by what stands there and what will, and making it makes only it."""
    source = in_function(body)
    found = [each for each in changes("m", ast.parse(source)) if (each.kind, each.old, each.new) == (kind, old, new)]
    assert [str(each) for each in found] == [f"m.f: {kind}: {old} → {new}"]
    made = ast.unparse(changed("m", source, str(found[0])))
    assert made != ast.unparse(ast.parse(source))
    assert all(part in made for part in re.split(r"; | \.\.\. ?", new))


def test_what_is_no_behaviour_is_left_alone() -> None:
    """Nobody would test a log line, an annotation or what an exception says; that something is raised they would."""
    assert [each.new for each in changes("m", ast.parse(LEFT_ALONE))] == ["pass"]


def test_an_argument_that_only_says_something_is_not_dropped() -> None:
    """What a task is called, and a default that is said; the same words mean something to other calls."""
    source = "a = asyncio.create_task(b(), name='c')\nfor d in batched(e, 2, strict=False): f(name=g, strict=False)"
    found = [each.new for each in changes("m", ast.parse(in_function(source))) if each.kind == "argument dropped"]
    assert found == ["f(strict=False)", "f(name=g)"]


def test_arguments_that_go_in_any_order_are_not_swapped() -> None:
    """Nor are arguments that are the same."""
    source = in_function("a(random.uniform(b, c), d(e, e), f(g, h), suppress(i, j))")
    found = [each.old for each in changes("m", ast.parse(source)) if each.kind == "argument swapped"]
    assert found == ["a(random.uniform(b, c), d(e, e), f(g, h), suppress(i, j))"] * 3 + ["f(g, h)"]


def test_what_nobody_else_sees_is_not_reordered() -> None:
    """A local name that is set before or after a wait; nor what is needed by what follows."""
    for body in ("b = 1\nawait a()", "await a()\nb = 1", "b = await a()\nawait c(b)"):
        assert "await reordered" not in {each.kind for each in changes("m", ast.parse(in_function(body)))}


def test_changes_that_read_the_same_are_told_apart() -> None:
    """By their number in the function."""
    source = in_function("a(1)\na(1)")
    names = [str(each) for each in changes("m", ast.parse(source)) if each.kind == "statement dropped"]
    assert names == ["m.f: statement dropped: a(1) → pass", "m.f: statement dropped: a(1) → pass (no. 2)"]
    assert [ast.unparse(changed("m", source, name)).splitlines()[1:] for name in names] == [
        ["    pass", "    a(1)"],
        ["    a(1)", "    pass"],
    ]


@pytest.mark.parametrize("module", mutation.modules())
def test_changes_of_the_app_can_be_made(module: str) -> None:
    """Each gives another module, which compiles, and is known by one name."""
    source = mutation.text_of(module)
    names = [str(each) for each in changes(module, ast.parse(source))]
    assert len(set(names)) == len(names)
    for name in random.Random(module).sample(names, min(3, len(names))):
        tree = changed(module, source, name)
        assert ast.dump(tree) != ast.dump(ast.parse(source)), name
        compile(tree, module, "exec")


def test_what_is_left_out_is_there() -> None:
    """A module is changed unless somebody has said that it is not worth it."""
    assert all(path_of(name).is_file() for name in mutation.LEFT_OUT)


def test_a_sample_is_reproducible() -> None:
    """The seed says which changes are made."""

    def sample(seed: int) -> list[str]:
        return [str(each) for each in mutation.sampled(argparse.Namespace(only="", seed=seed, sample=50))]

    assert sample(1) == sample(1) != sample(2)


def test_what_is_explained_is_there() -> None:
    """An explanation of a change that cannot be made any more is nobody's."""
    reasons = mutation.explained()
    assert reasons.keys() <= {str(each) for each in mutation.all_changes()}
    assert all(len(reason) > 10 for reason in reasons.values())


def try_out(module: str, name: str, test: str, before: str = "", known: bool = True) -> list[str]:
    """Try a change on one test, in a process that has imported nothing of the app; return the verdict."""
    script = f"""
        from tests.mutation import running
        {before}
        parts = {{{test!r}: running.Part(1.0), "seed 0": running.Part(1.0)}}
        running.try_out({module!r}, {name!r}, parts, lambda _: {known},
                        lambda *verdict: print(*verdict, sep="|", flush=True))
    """
    output = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return output.splitlines()[-1].split("|")


TALLY = "tests/model/test_tally.py::test_i7_one_name_replaced_by_another_wakes_nobody"


def change_of(module: str, text: str) -> str:
    """Return the name of the change that reads like this."""
    (found,) = (str(each) for each in changes(module, ast.parse(mutation.text_of(module))) if text in str(each))
    return found


def test_a_change_that_a_test_notices_is_killed() -> None:
    """By that test; the source on disk is as it was."""
    before = mutation.text_of("model.tally")
    name = change_of("model.tally", "comparison turned: moved.counts() == self.counts()")
    assert try_out("model.tally", name, TALLY) == ["killed", TALLY]
    assert mutation.text_of("model.tally") == before


def test_a_change_that_no_test_notices_is_killed_by_the_simulator_or_survives() -> None:
    """A test of something else passes, and then the seed decides."""
    other = "tests/test_clock.py::test_iso_has_always_six_digits"
    name = change_of("model.tally", "comparison turned: moved.counts() == self.counts()")
    assert try_out("model.tally", name, other) == ["killed", "seed 0"]
    assert try_out("", "", TALLY) == ["survived", ""]
    assert try_out("", "", "seed 1", known=False) == ["survived", ""], "without a test none is run"


def test_a_figure_that_is_part_of_a_test_s_name_is_noticed() -> None:
    """The test that is known is not there any more; the one in its place is run, and decides."""
    test = "tests/project/test_figures.py::test_as_much_is_asked_of_a_service_as_it_gives[100-100]"
    name = change_of("intake.quarantine_rows", "off by one: 100 → 99")
    verdict, by = try_out("intake.quarantine_rows", name, test, known=False)
    assert verdict == "killed"
    assert by.startswith("tests/project/test_figures.py::")
    assert "99-100]" in by


def test_a_change_that_makes_a_test_hang_is_said_to_have_timed_out() -> None:
    """The test is given some times what it usually takes."""
    before = "running.limit = lambda _: running.signal.setitimer(running.signal.ITIMER_REAL, 0.001)"
    assert try_out("", "", TALLY, before)[0] == "timed out"


def test_work_is_done_in_processes_of_its_own() -> None:
    """What they say comes back; one that dies or takes too long has said nothing, and the others go on."""

    def stuck(_: object) -> None:
        time.sleep(60)

    works: list[tuple[str, Callable[[Any], None]]] = [
        ("says", lambda say: say({"a": [1]})),
        ("dies", lambda _: os._exit(3)),
        ("raises", lambda _: 1 / 0),
        ("hangs", stuck),
    ]
    assert {done.key: done.result for done in forked(works, 2, 2.0)} == {
        "says": {"a": [1]},
        "dies": None,
        "raises": None,
        "hangs": None,
    }


def test_only_what_runs_the_changed_line_is_run_and_the_module_s_own_tests_first() -> None:
    """Then the file that is done soonest, then the seeds."""
    name = change_of("model.tally", "comparison turned: moved.counts() == self.counts()")
    change = next(each for each in mutation.all_changes() if str(each) == name)
    line = change.lines[0]
    parts = {
        "import": Part(0.0, {"model.tally": [1]}),
        "seed 0": Part(0.1, {"model.tally": [line]}),
        "tests/writing/test_slow.py::a": Part(9.0, {"model.tally": [line]}),
        "tests/writing/test_quick.py::a": Part(2.0, {"model.tally": [line, line + 1]}),
        "tests/writing/test_other.py::a": Part(0.1, {"model.tally": [line + 1], "model.ledger": [line]}),
        "tests/project/test_figures.py::a": Part(0.05),
        "tests/model/test_tally.py::a": Part(5.0, {"model.tally": [line]}),
    }
    assert list(mutation.parts_for(change, parts)) == [
        "tests/model/test_tally.py::a",
        "tests/writing/test_quick.py::a",
        "tests/writing/test_slow.py::a",
        "seed 0",
    ]
    parts["import"].lines["model.tally"].append(line)  # what runs while the module is imported concerns whoever uses it
    assert {"tests/writing/test_other.py::a", "tests/project/test_figures.py::a"} <= mutation.parts_for(
        change, parts
    ).keys()


def test_verdicts_are_kept_as_long_as_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill until its module changes, a survival until anything does."""
    monkeypatch.setattr(mutation, "KEPT", tmp_path)
    source, suite = mutation.digest(mutation.text_of("model.tally")), mutation.suite_digest()
    given = [
        mutation.Verdict("killed", "killed", "a", 1.0, source, "older"),
        mutation.Verdict("killed in another source", "killed", "a", 1.0, "older", suite),
        mutation.Verdict("survived", "survived", "", 1.0, source, suite),
        mutation.Verdict("survived older tests", "survived", "", 1.0, source, "older"),
    ]
    (tmp_path / "verdicts.jsonl").write_text("".join(json.dumps(mutation.asdict(each)) + "\n" for each in given))
    assert list(mutation.kept_verdicts()) == ["killed", "survived"]
