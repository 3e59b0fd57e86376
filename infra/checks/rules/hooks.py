"""azure.yaml, the parameter file and the hooks: they name what exists, and hand over all that is asked for."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.checks.finding import Finding
from infra.checks.project import MAIN, PARAMETERS
from infra.checks.snapshots import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.checks.project import Project

HOOKS: Final = tuple(f"infra/hooks/{name}.{kind}" for name in ("postdeploy", "predown") for kind in ("sh", "ps1"))
#: Set by who runs the hook, by azd itself, or by PowerShell.
_NOT_OURS: Final = {"WAIT_SECONDS", "CONFIRM_DOWN", "AZURE_SUBSCRIPTION_ID", "LASTEXITCODE"}


def check(project: Project) -> Iterator[Finding]:
    """Check the files around the Bicep ones."""
    yield from _check_azd(project)
    yield from _check_parameter_file(project)
    for hook in sorted((project.root / "infra/hooks").iterdir()):
        yield from _check_hook(project, hook.relative_to(project.root).as_posix())


def _declared(project: Project, file: str, kind: str) -> dict[str, bool]:
    """Return the declarations of a kind, and whether each has a value."""
    found = re.findall(rf"^{kind} (\w+) (.*)$", project.text(file), re.MULTILINE)
    return {name: " = " in rest for name, rest in found}


def _check_azd(project: Project) -> Iterator[Finding]:
    text = project.text("azure.yaml")
    for path in re.findall(r"^\s+run: (\S+)", text, re.MULTILINE):
        target = project.root / path
        if not target.is_file():
            yield Finding("azure.yaml", f"there is no {path}")
        elif path.endswith(".sh") and not os.access(target, os.X_OK):
            yield Finding("azure.yaml", f"{path} cannot be executed: chmod +x")
    # https://github.com/Azure/azure-dev/pull/7698
    if not re.search(r"^  azd: \">= 1\.(2[4-9]|[3-9]\d)\.", text, re.MULTILINE):
        why = "`azd down` before 1.24 deletes every group that something was deployed into, an existing account's too"
        yield Finding("azure.yaml", f"{why}: requiredVersions must say so")
    for hook in HOOKS:
        if hook not in text:
            yield Finding("azure.yaml", f"{hook} is not run")
    services = re.findall(r"^  (\w+):\n    project:", text, re.MULTILINE)
    for case in project.cases:
        tagged = [
            str(each.body["tags"]["azd-service-name"])
            for each in case.resources
            if "azd-service-name" in (each.body.get("tags") or {})
        ]
        if tagged != services:
            yield Finding("azure.yaml", f"services are {services}, resources tagged azd-service-name are {tagged}")


def _check_parameter_file(project: Project) -> Iterator[Finding]:
    given = json.loads(project.text(PARAMETERS))["parameters"]
    declared = _declared(project, MAIN, "param")
    for name in given.keys() - declared.keys():
        yield Finding(PARAMETERS, f"{MAIN} has no parameter {name}")
    for name in (name for name, has_default in declared.items() if not has_default and name not in given):
        yield Finding(PARAMETERS, f"parameter {name} of {MAIN} is missing")


def _check_hook(project: Project, hook: str) -> Iterator[Finding]:
    text = project.text(hook)
    if "postdeploy" in hook and Path(EVENTS).name not in text:
        yield Finding(hook, f"{EVENTS} is not deployed")
    for call in re.findall(r"\baz ([a-z]+ [a-z -]*--[^\n]*)", re.sub(r"\s*[`\\]\n\s*", " ", text)):
        command = call.partition(" --")[0]
        if "--subscription" not in call:
            yield Finding(hook, f"`az {command}` works on az's default subscription: add --subscription")
        if re.search(r"2>(/dev/null|\$null)", call):
            yield Finding(hook, f"what `az {command}` says of an error is thrown away")
    outputs = _declared(project, MAIN, "output").keys()
    used = set(re.findall(r"\$(?:\{env:|\{|env:)?([A-Z][A-Z_]{3,})\b", text))
    local = set(re.findall(r"^\s*(?:\$env:)?([A-Z][A-Z_]{3,})\s*=", text, re.MULTILINE))
    for variable in sorted(used - local - outputs - _NOT_OURS):
        yield Finding(hook, f"{variable} is neither an output of {MAIN} nor set here")
