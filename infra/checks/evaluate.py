"""What a deployment would make: the files evaluated with given parameters, modules included.

Names, ids and settings come out as plain values. What only Azure knows (a principal id, an endpoint) is a
:class:`Runtime`: a text that says what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infra.checks.expressions import Expressions
from infra.checks.functions import GroupScope, Runtime, group_id
from infra.checks.symbols import entries_of, object_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tree_sitter import Node

    from infra.checks.source import BicepFile, Declaration

_TYPES: Final[dict[str, type]] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}
_NOT_BODY: Final = {"parent", "scope", "dependsOn"}


@dataclass(slots=True)
class Resource:
    """One resource of a deployment.

    Attributes:
        type: Without the version.
        version: The API version.
        id: Its full id.
        scope_id: What an extension resource (a role assignment) is on, or "".
        body: All properties as they would be sent.
        file: Where it is declared.
        line: Where it is declared.
        is_made: False for an existing one, and where the condition does not hold.
    """

    type: str
    version: str
    name: str
    id: str
    scope_id: str
    file: str
    line: int
    is_made: bool
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Deployment:
    """What came of evaluating a file.

    Attributes:
        resources: All that would be made, those of modules too.
        outputs: The file's outputs.
    """

    resources: list[Resource]
    outputs: dict[str, Any]


def deploy(
    files: Mapping[Path, BicepFile], path: Path, parameters: Mapping[str, Any], group: str = "{group}"
) -> Deployment:
    """Evaluate a file.

    Args:
        files: All files, by path.
        path: Which one.
        parameters: Their values; the rest have their defaults.
        group: The resource group that is deployed into.

    Raises:
        CheckError: Something cannot be evaluated, or a parameter does not fit.
    """
    return _Template(files, files[path], parameters, group).deploy()


class _Template:
    """One file with its parameters; names are evaluated when they are asked for."""

    def __init__(
        self, files: Mapping[Path, BicepFile], file: BicepFile, parameters: Mapping[str, Any], group: str
    ) -> None:
        self._files = files
        self._file = file
        self._given = parameters
        self._group = group
        self._declared = {each.name: each for each in file.of_kind("param", "var", "resource", "module")}
        self._expressions = Expressions(file.name, group, self._value_of, _known)
        self._evaluate = self._expressions.evaluate
        self._error = self._expressions.error
        self._values: dict[str, Any] = {}
        self._resources: list[tuple[Resource, Node, dict[str, Any]]] = []
        self._inner: list[Resource] = []

    def deploy(self) -> Deployment:
        for name in self._given.keys() - {each.name for each in self._file.of_kind("param")}:
            raise self._error(0, f"there is no parameter {name}")
        for name in self._declared:
            self._value_of(name)
        for resource, body, bound in self._resources:
            resource.body = {
                key: self._evaluate(node, bound) for key, node in entries_of(body).items() if key not in _NOT_BODY
            }
        outputs = {each.name: self._evaluate(each.value, {}) for each in self._file.of_kind("output")}
        made = [resource for resource, _, _ in self._resources if resource.is_made]
        return Deployment([*made, *self._inner], outputs)

    def _value_of(self, name: str) -> Any:
        if name not in self._values:
            declaration = self._declared[name]
            evaluate: dict[str, Callable[[Declaration], Any]] = {
                "param": self._parameter,
                "var": lambda each: self._evaluate(each.value, {}),
                "resource": self._resource_or_loop,
                "module": self._module,
            }
            self._values[name] = evaluate[declaration.kind](declaration)
        return self._values[name]

    def _parameter(self, each: Declaration) -> Any:
        if each.name not in self._given and each.value is None:
            raise self._error(each.line, f"parameter {each.name} has no value")
        value = self._given[each.name] if each.name in self._given else self._evaluate(each.value, {})
        if isinstance(value, Runtime):
            return value
        if type(value) is not _TYPES.get(each.type):
            raise self._error(each.line, f"parameter {each.name} is {each.type}, not {value!r}")
        limits = {name: [self._evaluate(node, {}) for node in nodes] for name, nodes in each.decorators.items()}
        if "allowed" in limits and value not in limits["allowed"][0]:
            raise self._error(each.line, f"parameter {each.name}: {value!r} is not one of {limits['allowed'][0]}")
        size = value if each.type == "int" else len(value) if hasattr(value, "__len__") else 0
        least = limits.get("minValue") or limits.get("minLength") or [size]
        most = limits.get("maxValue") or limits.get("maxLength") or [size]
        if not least[0] <= size <= most[0]:
            raise self._error(each.line, f"parameter {each.name}: {value!r} is outside of {least[0]} to {most[0]}")
        return value

    def _resource_or_loop(self, each: Declaration) -> Any:
        if each.value is not None and each.value.type == "for_statement":
            return [self._resource(each, bound) for bound in self._expressions.rounds(each.value, {})]
        return self._resource(each, {})

    def _resource(self, each: Declaration, bound: dict[str, Any]) -> Resource:
        entries = entries_of(object_of(each.value))
        kind, _, version = each.target.partition("@")
        name = str(self._evaluate(entries["name"], bound)) if "name" in entries else ""
        parent = self._evaluate(entries["parent"], bound) if "parent" in entries else None
        scope = self._evaluate(entries["scope"], bound) if "scope" in entries else None
        scope_id = scope.id if isinstance(scope, Resource) else ""
        if parent is not None:
            where = f"{parent.id}/{kind.rpartition('/')[2]}/{name}"
        elif kind == "Microsoft.Resources/resourceGroups":
            where = group_id(name)
        else:
            group = scope.name if isinstance(scope, GroupScope) else self._group
            where = f"{scope_id or group_id(group)}/providers/{kind}/{name}"
        is_made = not each.is_existing and self._holds(each.value)
        resource = Resource(kind, version, name, where, scope_id, self._file.name, each.line, is_made)
        body = object_of(each.value)
        if body is not None and is_made:
            self._resources.append((resource, body, bound))
        return resource

    def _holds(self, node: Node | None) -> bool:
        return node is None or node.type != "if_statement" or bool(self._evaluate(node.named_children[0], {}))

    def _module(self, each: Declaration) -> Any:
        entries = entries_of(object_of(each.value))
        if not self._holds(each.value):
            return {"outputs": Runtime(f"{{module {each.name} is not deployed}}")}
        given = {name: self._evaluate(node, {}) for name, node in entries_of(entries.get("params")).items()}
        scope = self._evaluate(entries["scope"], {}) if "scope" in entries else None
        target = self._files.get((self._file.path.parent / each.target).resolve())
        if target is None:
            raise self._error(each.line, f"module {each.name}: there is no file {each.target}")
        group = scope.name if isinstance(scope, Resource | GroupScope) else self._group
        inner = _Template(self._files, target, given, group).deploy()
        self._inner += inner.resources
        return {"outputs": inner.outputs}


def _known(value: Any) -> dict[str, str] | None:
    """Return what is known of a resource before it is deployed."""
    if not isinstance(value, Resource):
        return None
    return {"id": value.id, "name": value.name, "type": value.type, "apiVersion": value.version}
