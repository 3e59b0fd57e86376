"""Bicep text as declarations, by tree-sitter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from infra.checks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PARSER: Final = Parser(Language(tree_sitter_bicep.language()))
_KINDS: Final = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}
_LONGEST_QUOTE: Final = 50
#: The grammar takes `a ? b : c.d` for `(a ? b : c).d`; Bicep does not.
_LOOSER: Final = {"ternary_expression", "binary_expression", "unary_expression", "lambda_expression"}
_REREAD: Final = "syntax: the grammar here reads this otherwise than Bicep does: put parentheses, or turn it round"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration.

    Attributes:
        kind: param, var, resource, module or output.
        name: The symbol.
        line: From 1.
        value: What stands behind "=", or None.
        type: Of a parameter or an output: string, int, bool, array, object.
        target: Of a resource its type and version, of a module its path.
        is_existing: Of a resource: referred to, not made.
        decorators: Name → arguments.
    """

    kind: str
    name: str
    line: int
    value: Node | None
    type: str = ""
    target: str = ""
    is_existing: bool = False
    decorators: dict[str, list[Node]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BicepFile:
    """One file.

    Attributes:
        path: Where it is.
        name: The same, relative to the project.
        root: Its syntax tree.
        declarations: In the order of the file.
        scope: subscription or resourceGroup.
    """

    path: Path
    name: str
    root: Node
    declarations: list[Declaration]
    scope: str

    def of_kind(self, *kinds: str) -> Iterator[Declaration]:
        """Iterate over the declarations of these kinds."""
        return (each for each in self.declarations if each.kind in kinds)


def read(path: Path, project: Path) -> tuple[BicepFile, list[Finding]]:
    """Parse a file; return it, and what the grammar does not take."""
    name = str(path.relative_to(project))
    root = _PARSER.parse(path.read_bytes()).root_node
    wrong = [
        Finding(name, line_of(node), f"syntax: {'missing ' + node.type if node.is_missing else _quote(node)}")
        for node in _walk(root)
        if node.is_error or node.is_missing
    ]
    wrong += [Finding(name, line_of(node), _REREAD) for node in _walk(root) if _is_misread(node)]
    scope = "resourceGroup"
    declarations = []
    decorators: dict[str, list[Node]] = {}
    for node in root.named_children:
        if node.type == "target_scope_assignment":
            scope = text_of(node.named_children[0])
        elif node.type == "decorators":
            decorators = dict(_decorator(each) for each in node.named_children)
        elif node.type in _KINDS:
            declarations.append(_declaration(node, decorators))
            decorators = {}
        elif node.type not in {"comment", "ERROR", "metadata_declaration"}:
            wrong.append(Finding(name, line_of(node), f"syntax: {node.type} is not known to this check"))
    return BicepFile(path, name, root, declarations, scope), wrong


def line_of(node: Node) -> int:
    """Return the line that a node begins on, from 1."""
    return node.start_point.row + 1


def text_of(node: Node) -> str:
    """Return a node's text; of a string what is between the quotes."""
    text = (node.text or b"").decode()
    return text[1:-1] if node.type == "string" else text


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _is_misread(node: Node) -> bool:
    inner = node.child_by_field_name("object")
    return node.type in {"member_expression", "subscript_expression"} and inner is not None and inner.type in _LOOSER


def _quote(node: Node) -> str:
    first = text_of(node).partition("\n")[0]
    return f"cannot be understood: {first[:_LONGEST_QUOTE]!r}"


def _decorator(node: Node) -> tuple[str, list[Node]]:
    call = node.named_children[0]
    function = call.child_by_field_name("function") or call.named_children[0]
    arguments = call.child_by_field_name("arguments")
    return text_of(function), list(arguments.named_children) if arguments else []


def _declaration(node: Node, decorators: dict[str, list[Node]]) -> Declaration:
    parts = [each for each in node.named_children if each.type != "comment"]
    after = [index for index, child in enumerate(node.children) if child.type == "="]
    value = node.children[after[0] + 1] if after and len(node.children) > after[0] + 1 else None
    kind = _KINDS[node.type]
    types = [each for each in parts if each.type == "type"]
    return Declaration(
        kind=kind,
        name=text_of(parts[0]),
        line=line_of(node),
        value=value,
        type=text_of(types[0]) if types else "",
        target=text_of(parts[1]) if kind in {"resource", "module"} else "",
        is_existing=any(child.type == "existing" for child in node.children),
        decorators=decorators,
    )
