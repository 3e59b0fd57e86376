# ruff: noqa: T201
"""``make mutate``: small wrong changes of the app, made by machine and sampled by a seed; does the suite notice?

Each runs on what ``make quick`` runs: the tests of the rooms and of the project and 50 seeds of the simulator, those
that run the changed line, the tests of the changed module first, up to the first that fails. What became of a change is
kept in ``.local/mutate``: a run that was cut goes on, and a change that was killed is not tried again while its module
is as it was. Survivors that are explained in ``equivalent.toml`` are not run.

Neither mutmut 3.8 nor cosmic-ray 8.7 does this. mutmut changes a copy of the tree, expressions inside functions only,
and runs pytest only; cosmic-ray rewrites the file on disk and starts the command anew for each change, one at a time.
Both know no dropped statement, swapped argument, early return or reordered await, and take no sample by a seed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import signal
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.mutation.changes import Change, changes
from tests.mutation.forking import forked
from tests.mutation.running import ROOT, SUITE, IsKnown, Part, listen_to, path_of, try_out

#: What only connects, describes or measures the app; everything else of ``shared`` is changed.
LEFT_OUT = {"errors", "services", "azure.clients", "azure.topic", "model.ports", "model.schedule", "serving.openapi"}
ROOMS_LEFT_OUT = ("settings.", "process.")
EXPLAINED = Path(__file__).with_name("equivalent.toml")
KEPT = ROOT / ".local" / "mutate"
#: More than this share of survivors without an explanation fails the run.
MAX_SURVIVORS = 0.03
#: A process that has not said anything for so long is stuck where no alarm reaches it.
LIMIT_SECONDS = 600.0
#: The whole suite, listened to, on a machine that has other things to do.
MEASURE_SECONDS = 3600.0
#: What is imported anew by every process: the app, the tests, and what pytest itself has to import.
ANEW = ("shared", "tests", "conftest", "pytest_", "_hypothesis_", "anyio.pytest", "ops", "infra", "bench")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change.

    Attributes:
        name: The change.
        verdict: "killed", "survived" or "timed out".
        by: The test or seed.
        seconds: How long it took.
        source: Digest of the module's source: of another source it says nothing.
        suite: Digest of all sources and tests: a change survives these only.
    """

    name: str
    verdict: str
    by: str
    seconds: float
    source: str
    suite: str


def modules() -> list[str]:
    """Return the modules of ``shared`` that are changed."""
    paths = (path.relative_to(ROOT / "shared") for path in (ROOT / "shared").rglob("[!_]*.py"))
    names = (".".join(path.with_suffix("").parts) for path in paths)
    return sorted(name for name in names if name not in LEFT_OUT and not name.startswith(ROOMS_LEFT_OUT))


def text_of(module: str) -> str:
    """Return a module's source."""
    return path_of(module).read_text()


def all_changes() -> list[Change]:
    """Return every change that can be made."""
    return [each for module in modules() for each in changes(module, ast.parse(text_of(module)))]


def explained() -> dict[str, str]:
    """Return the changes that no test can notice, and why."""
    found = tomllib.loads(EXPLAINED.read_text())["equivalent"]
    return {change: each["reason"] for each in found for change in each["changes"]}


def digest(*texts: str) -> str:
    """Return a short digest."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def suite_digest() -> str:
    """Return the digest of the app and of what is run on it."""
    folders = ("shared", *SUITE, "tests/fakes", "tests/simulation")
    paths = {path for folder in folders for path in (ROOT / folder).rglob("*.py")} | {*(ROOT / "tests").glob("*.py")}
    return digest(*(path.read_text() for path in sorted(paths)))


def parts_for(change: Change, parts: dict[str, Part]) -> dict[str, Part]:
    """Return what may notice a change: the tests of its module, then the quickest files of tests, then the seeds.

    What runs while a module is imported concerns whoever uses the module, and the tests that run nothing of the app:
    they look at what the import has made.
    """
    is_import = not change.lines or parts["import"].runs(change.module, change.lines)
    lines = () if is_import else change.lines
    found = {
        name: part for name, part in parts.items() if part.runs(change.module, lines) or (is_import and not part.lines)
    }
    return in_order(found, change.module)


def in_order(parts: dict[str, Part], module: str) -> dict[str, Part]:
    """Return parts of the suite in the order in which they are run; the tests of a file stay together."""
    parts = {name: Part(part.seconds) for name, part in parts.items() if name != "import"}
    seconds: defaultdict[str, float] = defaultdict(float)
    for name, part in parts.items():
        seconds[name.partition("::")[0]] += part.seconds

    def place(name: str) -> tuple[bool, bool, float]:
        file = name.partition("::")[0]
        return name.startswith("seed"), not file.endswith(f"/test_{module.rpartition('.')[2]}.py"), seconds[file]

    return {name: parts[name] for name in sorted(parts, key=place)}


def kept_verdicts() -> dict[str, Verdict]:
    """Return what is known of earlier runs, as far as it still holds."""
    file = KEPT / "verdicts.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    sources = {digest(text_of(module)) for module in modules()}
    suite = suite_digest()
    found = [Verdict(**json.loads(line)) for line in lines]
    return {
        each.name: each
        for each in found
        if each.source in sources and (each.verdict != "survived" or each.suite == suite)
    }


def parts_of_suite(jobs: int) -> dict[str, Part]:
    """Return what each part of the suite runs, measured again when the app or the suite has changed.

    What the suite imports beside ``shared`` and the tests is imported here, for all the processes to come.
    """
    file = KEPT / "parts.json"
    suite = suite_digest()
    found = json.loads(file.read_text()) if file.is_file() else {}
    if found.get("suite") != suite:
        print("running the suite on the unchanged code", flush=True)
        works = [(what, partial(_measure, what)) for what in ("seeds", "tests")]
        measured = {done.key: done.result for done in forked(works, jobs, MEASURE_SECONDS)}
        for result in measured.values():
            if not isinstance(result, dict):
                sys.exit(str(result))
        parts = measured["seeds"]["parts"] | measured["tests"]["parts"]
        found = {"suite": suite, "parts": parts, "imported": measured["tests"]["imported"]}
    for name in found["imported"]:
        with suppress(Exception):
            importlib.import_module(name)
    parts = {name: Part(**part) for name, part in found["parts"].items()}
    if "control" not in found:
        print("running it once more, as it is run on a change", flush=True)
        nothing = Change("control", "", "", range(0))
        (found["control"],) = (
            done.result
            for done in forked(
                [(0, partial(_try, nothing, in_order(parts, ""), parts.__contains__))], 1, MEASURE_SECONDS
            )
        )
        if found["control"] != ["survived", ""]:
            sys.exit(f"with nothing changed: {found['control']}")
        file.write_text(json.dumps(found))
    return parts


def _measure(what: str, say: Callable[[Any], None]) -> None:
    before = set(sys.modules)
    try:
        parts = listen_to(what)
    except BaseException as error:  # noqa: BLE001 - its output is thrown away
        say(repr(error))
        return
    imported = [name for name in sys.modules if name not in before and not name.startswith(ANEW)]
    say({"parts": {name: asdict(part) for name, part in parts.items()}, "imported": imported})


def _try(change: Change, parts: dict[str, Part], is_known: IsKnown, say: Callable[[Any], None]) -> None:
    try:
        try_out(change.module, str(change), parts, is_known, lambda verdict, by: say([verdict, by]))
    except BaseException as error:  # noqa: BLE001 - a changed module may raise anything, anywhere
        say(["killed", repr(error)])


def main() -> None:
    """Try a sample."""
    arguments = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of what a seed replays
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.mutation", *sys.argv[1:]])  # noqa: S606
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs is ended too
    KEPT.mkdir(parents=True, exist_ok=True)
    sample, reasons = sampled(arguments), explained()
    parts, kept = parts_of_suite(arguments.jobs), kept_verdicts()
    left = [each for each in sample if str(each) not in kept and (arguments.only or str(each) not in reasons)]
    print(f"{len(sample)} changes, {len(left)} to be tried", flush=True)
    works = ((each, partial(_try, each, parts_for(each, parts), parts.__contains__)) for each in left)
    suite = suite_digest()
    with (KEPT / "verdicts.jsonl").open("a") as file:
        for number, done in enumerate(forked(works, arguments.jobs, LIMIT_SECONDS), 1):
            verdict, by = done.result or ("timed out", "without a word")
            source = digest(text_of(done.key.module))
            kept[str(done.key)] = Verdict(str(done.key), verdict, by, round(done.seconds, 1), source, suite)
            print(json.dumps(asdict(kept[str(done.key)])), file=file, flush=True)
            print(f"{number}/{len(left)} {done.seconds:.1f} s {verdict} {by}: {done.key}", flush=True)
    sys.exit(_report(sample, kept, reasons))


def sampled(arguments: argparse.Namespace) -> list[Change]:
    """Return the changes that are tried: of a sample, those stay in it that can still be made when sources change."""
    found = all_changes()
    if arguments.only:
        return [each for each in found if arguments.only in str(each)]
    return sorted(found, key=lambda each: digest(str(arguments.seed), str(each)))[: arguments.sample]


def _report(sample: list[Change], kept: dict[str, Verdict], reasons: dict[str, str]) -> int:
    """Say what became of the sample; return the exit code."""
    survivors = [str(each) for each in sample if str(each) in kept and kept[str(each)].verdict == "survived"]
    unexplained = [name for name in survivors if name not in reasons]
    total = Counter(kept[str(each)].verdict for each in sample if str(each) in kept)
    total["explained"] = sum(str(each) in reasons for each in sample)
    print("\nsurvived, without an explanation:", *unexplained or ["none"], sep="\n  ")
    print(", ".join(f"{count} {what}" for what, count in sorted(total.items())))
    share = len(unexplained) / max(1, len(sample))
    print(f"{len(sample)} changes, {len(unexplained)} survived without an explanation ({100 * share:.1f} %)")
    return int(share > MAX_SURVIVORS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which sample")
    parser.add_argument("--sample", type=int, default=400, help="how many changes")
    parser.add_argument("--only", default="", metavar="TEXT", help="all changes whose name has this in it instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
