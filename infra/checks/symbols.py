"""Names: each declared once, each one used, each use declared; what modules are given is what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.checks.finding import Finding
from infra.checks.functions import FUNCTIONS
from infra.checks.source import line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tree_sitter import Node

    from infra.checks.source import BicepFile, Declaration

_DECORATORS: Final = {"description", "allowed", "minLength", "maxLength", "minValue", "maxValue", "metadata", "secure"}
#: Names that introduce a name of their own.
_BINDERS: Final = {"for_statement", "lambda_expression"}


def check(files: Mapping[Path, BicepFile]) -> Iterator[Finding]:
    """Check the names of all files."""
    for file in files.values():
        yield from _check_names(file)
        for declaration in file.of_kind("module"):
            yield from _check_module(file, declaration, files)


def object_of(node: Node | None) -> Node | None:
    """Return the object of a resource or module, from behind its condition or loop."""
    while node is not None and node.type in {"if_statement", "for_statement"}:
        node = node.child_by_field_name("body") or node.named_children[-1]
    return node


def entries_of(node: Node | None) -> dict[str, Node]:
    """Return an object's properties: name → value."""
    found = {}
    for each in node.named_children if node is not None else []:
        if each.type == "object_property":
            parts = [part for part in each.named_children if part.type != "comment"]
            found[text_of(parts[0])] = parts[-1]
    return found


def _check_names(file: BicepFile) -> Iterator[Finding]:
    declared: dict[str, Declaration] = {}
    outputs: set[str] = set()
    for each in file.declarations:
        space = outputs if each.kind == "output" else set(declared)
        if each.name in space:
            yield Finding(file.name, each.line, f"{each.name} is declared twice")
        if each.kind == "output":
            outputs.add(each.name)
        else:
            declared[each.name] = each
        for name in each.decorators.keys() - _DECORATORS:
            yield Finding(file.name, each.line, f"decorator @{name} does not exist")
    used: set[str] = set()
    for node, bound in (pair for each in file.declarations for pair in _references(each.value, frozenset())):
        name = text_of(node)
        used.add(name)
        if name not in declared and name not in bound and not _is_called(node):
            yield Finding(file.name, line_of(node), f"{name} is not declared")
        if _is_called(node) and name not in FUNCTIONS:
            yield Finding(file.name, line_of(node), f"function {name} does not exist, or this check does not know it")
    for name, each in declared.items():
        if name not in used and (each.kind in {"param", "var"} or each.is_existing):
            yield Finding(file.name, each.line, f"{each.kind} {name} is never used")


def _references(node: Node | None, bound: frozenset[str]) -> Iterator[tuple[Node, frozenset[str]]]:
    """Iterate over the identifiers in an expression, each with the names that loops and lambdas around it bind."""
    if node is None or node.type in {"property_identifier", "comment"}:
        return
    if node.type == "identifier":
        yield node, bound
        return
    if node.type in _BINDERS:
        bound |= frozenset(bound_names(node))
    children = list(node.named_children)
    if node.type == "object_property" and children[0].type == "identifier":
        children = children[1:]
    for child in children:
        if child.type not in {"loop_variable", "loop_enumerator"}:
            yield from _references(child, bound)


def bound_names(node: Node) -> list[str]:
    """Return the names that a loop or a lambda introduces."""
    if node.type == "lambda_expression":
        head = node.named_children[0]
        return [text_of(each) for each in head.named_children] if head.named_children else [text_of(head)]
    for child in node.named_children:
        if child.type == "for_loop_parameters":
            return [text_of(each) for each in child.named_children]
    first = node.child_by_field_name("initializer") or node.named_children[0]
    return [text_of(first)]


def _is_called(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "call_expression" and parent.child_by_field_name("function") == node


def _check_module(file: BicepFile, module: Declaration, files: Mapping[Path, BicepFile]) -> Iterator[Finding]:
    target = files.get((file.path.parent / module.target).resolve())
    if target is None:
        yield Finding(file.name, module.line, f"module {module.name}: there is no file {module.target}")
        return
    given = entries_of(entries_of(object_of(module.value)).get("params"))
    taken = {each.name: each for each in target.of_kind("param")}
    for name in given.keys() - taken.keys():
        yield Finding(file.name, line_of(given[name]), f"{module.target} has no parameter {name}")
    for name, each in taken.items():
        if each.value is None and name not in given:
            yield Finding(
                file.name, module.line, f"module {module.name}: parameter {name} of {module.target} is missing"
            )
    outputs = {each.name for each in target.of_kind("output")}
    for node in _outputs_used(file.root, module.name):
        if text_of(node) not in outputs:
            yield Finding(file.name, line_of(node), f"{module.target} has no output {text_of(node)}")


def _outputs_used(node: Node, module: str) -> Iterator[Node]:
    """Iterate over the names behind ``<module>.outputs.``."""
    name, inner = node.child_by_field_name("property"), node.child_by_field_name("object")
    if node.type == "member_expression" and name is not None and inner is not None:
        head = text_of(inner).replace("!", "").replace("?", "")
        if head == f"{module}.outputs":
            yield name
    for child in node.named_children:
        yield from _outputs_used(child, module)
