"""All checks, in order; a later one runs only where the earlier leave it something to stand on.

The rules stand beside each other: one that cannot go on, or is itself mistaken, hides nothing that another finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.checks import snapshots
from infra.checks.bicep import VERSION, WHERE_FROM
from infra.checks.finding import CheckError, Finding
from infra.checks.project import MAIN, Case, Project
from infra.checks.rules import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from infra.checks.bicep import Bicep

SOURCES = (MAIN, "infra/events.bicep")


def check(root: Path, bicep: Bicep | None, *, writes: bool = False) -> list[Finding]:
    """Check a project.

    Args:
        root: Where azure.yaml, host.json, function_app.py, shared/ and infra/ are.
        bicep: The compiler. Without one the rules run on the committed snapshots.
        writes: Write the snapshots anew instead of comparing them.

    Returns:
        What is wrong, each once.
    """
    root = root.resolve()
    if not (root / MAIN).is_file():
        return [Finding(MAIN, "is not there")]
    try:
        cases = compiled(root, bicep, writes=writes) if bicep else as_committed(root)
    except CheckError as error:
        return sorted(set(error.findings))
    found = [] if bicep is None or writes else list(_differences(root, bicep, cases))
    return sorted({*found, *obey_rules(Project(root, [Case.of(*each) for each in cases]))})


type Predicted = tuple[str, dict[str, object], dict[str, object]]


def compiled(root: Path, bicep: Bicep, *, writes: bool = False) -> list[Predicted]:
    """Return what the compiler predicts of every case.

    Raises:
        CheckError: It has something to say.
    """
    if found := [each for name in SOURCES for each in bicep.compile(root / name, root)]:
        raise CheckError(*found)
    predicted = {name: snapshots.predict(bicep, root, name) for name in snapshots.names(root)}
    if writes:
        snapshots.commit(root, predicted)
    return [(name, *both) for name, both in predicted.items()]


def as_committed(root: Path) -> list[Predicted]:
    """Return the committed snapshots of every case.

    Raises:
        CheckError: They are not of these sources.
    """
    if not snapshots.belong_to_sources(root):
        text = f"the sources have changed since; `make infra-snapshots` with the Bicep compiler: {WHERE_FROM}"
        raise CheckError(Finding(snapshots.CASES, text))
    return [(name, *snapshots.committed(root, name)) for name in snapshots.names(root)]


def obey_rules(project: Project) -> list[Finding]:
    """Return what the rules find."""
    return sorted({found for rule in ALL for found in _found_by(rule, project)})


def _differences(root: Path, bicep: Bicep, cases: Sequence[Predicted]) -> Iterator[Finding]:
    if bicep.version != VERSION:
        return  # which may write them differently; __main__ names it
    text = "the committed snapshots are not of these sources: `make infra-snapshots`, and look at the diff"
    for name, *both in cases:
        if snapshots.committed(root, name) != tuple(both):
            yield Finding(f"{snapshots.CASES}/{name}", text)
    if not snapshots.belong_to_sources(root):
        yield Finding(snapshots.CASES, text)


def _found_by(rule: Callable[[Project], Iterator[Finding]], project: Project) -> Iterator[Finding]:
    try:
        yield from rule(project)
    except CheckError as error:
        yield from error.findings
    except Exception as mistake:  # noqa: BLE001 - of the rule, or a file is further off than it thought possible
        yield Finding(f"{rule.__module__.replace('.', '/')}.py", f"the rule itself fails: {mistake!r}")
