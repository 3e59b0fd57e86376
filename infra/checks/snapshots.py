"""The deployments that are looked at: ``infra/cases/*.bicepparam``, each with its snapshot beside it.

A snapshot is what the compiler predicts of a deployment, so that the diff of a change shows what it would deploy. Of
each case there are two: ``NAME.snapshot.json`` is what ``bicep snapshot`` writes for main.bicep, and
``NAME.events.snapshot.json`` what events.bicep makes of its outputs. ``sources.sha256`` says which sources all of them
belong to: with the same sources they can be read where there is no compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import CheckError, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.checks.bicep import Bicep

CASES: Final = "infra/cases"
EVENTS: Final = "infra/events.bicepparam"
_HASH: Final = f"{CASES}/sources.sha256"


def names(root: Path) -> list[str]:
    """Return the names of the cases."""
    return sorted(path.stem for path in (root / CASES).glob("*.bicepparam"))


def predict(bicep: Bicep, root: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the snapshots of main.bicep and of events.bicep in a case.

    Raises:
        CheckError: One does not compile.
    """
    main = _in_order(bicep.snapshot(root / CASES / f"{name}.bicepparam"))
    return main, predict_events(bicep, root, main["outputs"])


def predict_events(bicep: Bicep, root: Path, outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the snapshot of events.bicep with what main.bicep has put out.

    The compiler reads its environment once only, so the values are written into a copy of events.bicepparam.

    Raises:
        CheckError: It does not compile, or asks for what is no output.
    """

    def value(variable: re.Match[str]) -> str:
        if variable[1] not in outputs:
            raise CheckError(Finding(EVENTS, f"infra/main.bicep has no output {variable[1]}"))
        literal = outputs[variable[1]].replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
        return f"'{literal}'"

    text = re.sub(r"readEnvironmentVariable\('(\w+)'\)", value, (root / EVENTS).read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "events.bicepparam"
        target = Path(os.path.relpath(root / "infra", path.parent)).as_posix()
        path.write_text(text.replace("using '", f"using '{target}/"))
        return _in_order(bicep.snapshot(path, outputs.get("TOPIC_RESOURCE_GROUP")))


def committed(root: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the snapshots of a case as they are in the repository; empty ones where there are none."""
    main, events = (json.loads(path.read_text()) if path.is_file() else {} for path in _paths(root, name))
    return main, events


def commit(root: Path, predicted: Mapping[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Write the snapshots of all cases, and what they belong to."""
    for name, both in predicted.items():
        for path, snapshot in zip(_paths(root, name), both, strict=True):
            path.write_text(json.dumps(snapshot, indent=2, ensure_ascii=False) + "\n")
    (root / _HASH).write_text(_hash(root) + "\n")


def belong_to_sources(root: Path) -> bool:
    """Tell whether the committed snapshots were made from the sources as they are."""
    path = root / _HASH
    return path.is_file() and path.read_text().strip() == _hash(root)


def _paths(root: Path, name: str) -> tuple[Path, Path]:
    return root / CASES / f"{name}.snapshot.json", root / CASES / f"{name}.events.snapshot.json"


def _hash(root: Path) -> str:
    found = hashlib.sha256()
    infra = root / "infra"
    for path in sorted({*infra.rglob("*.bicep"), *infra.rglob("*.bicepparam"), *(infra / "app").iterdir()}):
        found.update(f"{path.relative_to(root).as_posix()}\n{path.read_text()}\n".encode())
    return found.hexdigest()


def _in_order(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot with its outputs sorted: the compiler's own order changes from run to run."""
    return snapshot | {"outputs": dict(sorted(snapshot["outputs"].items()))}
