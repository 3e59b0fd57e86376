"""Small wrong changes to a module: where they can be made, and the syntax tree with one of them made.

Behaviour only. Annotations, docstrings, imports, protocols, decorators, log lines, telemetry and what an exception says
are left alone: no test should notice those.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.mutation.expressions import ARITHMETIC, instead_of, text_of

#: What is called through these is for people who watch, and changes nothing.
QUIET = {"log", "logging", "telemetry"}
_UNTOUCHED = {"annotation", "returns", "decorator_list", "bases", "type_params"}
_LONGEST = 160
_CONTEXT = 30
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Loop = ast.For | ast.AsyncFor | ast.While
_Leave = ast.Return | ast.Raise | ast.Continue | ast.Break


@dataclass(slots=True)
class Change:
    """One wrong change; its text names it.

    Attributes:
        kind: What sort of mistake it is.
        module: Of ``shared``.
        function: Qualified name, or ``<module>``.
        lines: Those that have to run for it to make a difference; none when it does while the module is imported.
        old: What stands there.
        new: What will.
        make: Makes it, in the tree that it was found in.
        number: Which one it is of those in this function that read the same.
    """

    kind: str
    module: str
    function: str
    lines: range
    old: str = ""
    new: str = ""
    make: Callable[[], None] = lambda: None
    number: int = 1

    def __str__(self) -> str:
        nth = f" (no. {self.number})" if self.number > 1 else ""
        return f"{self.module}.{self.function}: {self.kind}: {self.old} → {self.new}{nth}"


def changes(module: str, tree: ast.Module) -> list[Change]:
    """Return all changes that can be made in a module's tree, in the order of the source."""
    found = list(_in_block(tree, tree.body, Change("", module, "<module>", range(0))))
    seen: Counter[str] = Counter()
    for change in found:
        seen[str(change)] += 1
        change.number = seen[str(change)]
    return found


def changed(module: str, source: str, name: str) -> ast.Module:
    """Return the tree of a module's source with one change made.

    Raises:
        LookupError: There is no change of this name.
    """
    tree = ast.parse(source)
    for change in changes(module, tree):
        if str(change) == name:
            change.make()
            return ast.fix_missing_locations(tree)
    raise LookupError(name)


def _shown(old: str, new: str) -> tuple[str, str]:
    """Shorten two long texts to where they differ."""
    if max(len(old), len(new)) <= _LONGEST:
        return old, new
    start = max(0, _same(old, new) - _CONTEXT)
    end = max(0, _same(old[::-1], new[::-1]) - _CONTEXT)
    before, after = (
        f"{'…' if start else ''}{text[start : len(text) - end]}{'…' if end else ''}" for text in (old, new)
    )
    return before, after


def _same(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Raise() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.ClassDef(bases=[ast.Name(id="Protocol"), *_]):
            return True
        case ast.Call() | ast.Expr() | ast.Assign():
            return ast.unparse(node if isinstance(node, ast.Call) else node.value).split(".")[0] in QUIET
    return False


def _in_block(owner: ast.AST, block: list[ast.stmt], at: Change) -> Iterator[Change]:
    """Find what can be changed in the statements of a block, and inside them."""
    is_run = at.function != "<module>" and not isinstance(owner, ast.ClassDef)
    for index, statement in enumerate(block):
        if isinstance(statement, _Function | ast.ClassDef):
            outer = "" if at.function == "<module>" else f"{at.function}."
            here = replace(at, function=f"{outer}{statement.name}", lines=range(0))
        else:
            here = replace(at, lines=_own_lines(statement) if is_run else range(0))
            for kind, length, new in _instead_of_statement(owner, block, index, here) if is_run else ():
                old = block[index : index + length]

                def make(old: list[ast.stmt] = old, new: list[ast.stmt] = new, index: int = index) -> None:
                    block[index : index + len(old)] = new

                before, after = _shown(text_of(*map(_head, old)), text_of(*map(_head, new)))
                yield replace(here, kind=kind, old=before, new=after, make=make)
        if not _is_left_alone(statement):
            yield from _inside(statement, here)


def _own_lines(statement: ast.stmt) -> range:
    """Return the lines of a statement without those of the statements in it."""
    inner = [node.lineno for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
    last = statement.end_lineno or statement.lineno
    return range(statement.lineno, max(statement.lineno + 1, min([last + 1, *inner])))


def _head(statement: ast.stmt) -> ast.stmt:
    """Return a compound statement with ``...`` for what is in it; what ends it is shown."""
    if not isinstance(statement, _Loop | ast.If | ast.With | ast.AsyncWith | ast.Try):
        return statement
    if isinstance(statement, ast.Try):
        return ast.Expr(ast.Name("try"))
    shown = copy.copy(statement)
    shown.body = [ast.Expr(ast.Constant(...)), *(each for each in statement.body[-1:] if isinstance(each, ast.Break))]
    if not isinstance(shown, ast.With | ast.AsyncWith):
        shown.orelse = []
    return shown


def _instead_of_statement(
    owner: ast.AST, block: list[ast.stmt], index: int, at: Change
) -> Iterator[tuple[str, int, list[ast.stmt]]]:
    """Return what is done to whole statements by mistake: the kind, how many of them, and what stands there instead."""
    statement, following = block[index], block[index + 1 : index + 2]
    if _can_be_dropped(statement, at):
        yield "statement dropped", 1, [ast.Pass()]
    if isinstance(owner, _Function) and _is_procedure(owner) and not _is_left_alone(statement):
        yield "early return", 1, [ast.Return(), statement]
    if isinstance(owner, ast.ExceptHandler) and index == 0 and not isinstance(block[-1], ast.Raise):
        yield "wrong branch", len(block), [ast.Raise()]
    if isinstance(statement, _Loop) and not isinstance(statement.body[-1], _Leave):
        once = copy.copy(statement)
        once.body = [*statement.body, ast.Break()]
        yield "loop ended after one", 1, [once]
    if isinstance(statement, ast.AugAssign) and type(statement.op) in ARITHMETIC:
        other = ARITHMETIC[type(statement.op)]()
        yield "arithmetic turned", 1, [ast.AugAssign(statement.target, other, statement.value)]
    if following and _can_be_swapped(statement, following[0]):
        yield "await reordered", 2, [following[0], statement]


def _is_procedure(function: ast.AST) -> bool:
    """Tell whether a function returns nothing, so that an early return is not missed at once, as in a constructor."""
    returned = (node.value for node in ast.walk(function) if isinstance(node, ast.Return))
    return getattr(function, "name", "") != "__init__" and not any(returned)


def _can_be_dropped(statement: ast.stmt, at: Change) -> bool:
    if isinstance(statement, ast.Assign):  # what a constructor sets, and a local name, would be missed at once
        kept = all(isinstance(target, ast.Attribute | ast.Subscript) for target in statement.targets)
        return kept and not at.function.endswith("__init__") and not _is_left_alone(statement)
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Await | ast.Call) and not _is_left_alone(statement)
    return isinstance(statement, ast.AugAssign | ast.Delete | ast.Raise | ast.Continue | ast.Break)


def _can_be_swapped(first: ast.stmt, second: ast.stmt) -> bool:
    """Tell whether two statements, one of which waits, could as well be written the other way round."""
    if not isinstance(first, ast.Expr | ast.Assign | ast.AugAssign) or _is_left_alone(first) or _is_left_alone(second):
        return False
    if not isinstance(second, ast.Expr | ast.Assign | ast.AugAssign | ast.Return):
        return False
    nodes = [list(ast.walk(each)) for each in (first, second)]
    waits = [any(isinstance(node, ast.Await) for node in each) for each in nodes]
    names = [[node for node in each if isinstance(node, ast.Name)] for each in nodes]
    sets = [{name.id for name in each if isinstance(name.ctx, ast.Store)} for each in names]
    if any(local and not waiting for local, waiting in zip(sets, waits, strict=True)):
        return False  # a local name is for nobody else to see
    return any(waits) and not sets[0] & {name.id for name in names[1]}


def _inside(node: ast.AST, at: Change) -> Iterator[Change]:
    """Find what can be changed in the parts of a statement or an expression."""
    for field, value in ast.iter_fields(node):
        if field in _UNTOUCHED or (isinstance(node, ast.ClassDef) and field == "keywords"):
            continue
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield from _in_block(node, value, at)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                put = lambda new, index=index, value=value: value.__setitem__(index, new)  # noqa: E731
                yield from _at(each, at, put, is_condition=field == "ifs")
        else:
            put = lambda new, field=field: setattr(node, field, new)  # noqa: E731
            yield from _at(value, at, put, is_condition=field == "test" and not isinstance(node, ast.IfExp))


def _at(node: object, at: Change, put: Callable[[ast.AST], None], *, is_condition: bool) -> Iterator[Change]:
    """Find what can be changed at a place, and inside what stands there."""
    if not isinstance(node, ast.AST) or _is_left_alone(node):
        return
    if isinstance(node, ast.expr):
        others = list(instead_of(node))
        if is_condition and not isinstance(node, ast.Compare | ast.Constant | ast.UnaryOp):
            others.append(("condition negated", ast.UnaryOp(ast.Not(), node)))
        for kind, new in others:
            make = lambda new=new: put(new)  # noqa: E731
            before, after = _shown(text_of(node), text_of(new))
            yield replace(at, kind=kind, old=before, new=after, make=make)
    yield from _inside(node, at)
