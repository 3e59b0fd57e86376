"""All checks, in order; a later one runs only where the earlier leave it something to stand on.

The rules stand beside each other: one that cannot go on, or is itself mistaken, hides nothing that another finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.checks import schemas, source, symbols
from infra.checks.finding import CheckError, Finding
from infra.checks.project import MAIN, Project, deploy_all
from infra.checks.rules import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def check(root: Path) -> list[Finding]:
    """Check a project.

    Args:
        root: Where azure.yaml, host.json, function_app.py, shared/ and infra/ are.

    Returns:
        What is wrong, each once.
    """
    root = root.resolve()
    files = {}
    found: list[Finding] = []
    for path in sorted((root / "infra").rglob("*.bicep")):
        files[path.resolve()], wrong = source.read(path, root)
        found += wrong
    if (root / MAIN).resolve() not in files:
        return [Finding(MAIN, 0, "is not there")]
    if found:
        return found  # names in half-understood text would only confuse
    found += symbols.check(files)
    try:
        project = Project(root, files, deploy_all(root, files))
        for case in project.cases:
            for resource in (*case.main.resources, *case.events.resources):
                found += schemas.check(resource)
    except CheckError as error:
        return sorted({*found, error.finding})
    for rule in ALL:
        found += _found_by(rule, project)
    return sorted(set(found))


def _found_by(rule: Callable[[Project], Iterator[Finding]], project: Project) -> Iterator[Finding]:
    try:
        yield from rule(project)
    except CheckError as error:
        yield error.finding
    except Exception as mistake:  # noqa: BLE001 - of the rule, or a file is further off than it thought possible
        yield Finding(f"{rule.__module__.replace('.', '/')}.py", 0, f"the rule itself fails: {mistake!r}")
