"""What stands instead of an expression by mistake."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

#: What a comparison is turned into: its edge moved, its sense reversed.
COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
#: Arguments that change nothing: what a task is called, and a default that a linter wants to be said.
SAID_ONLY = {("create_task", "name"), ("batched", "strict")}
#: What takes its arguments in any order: the bounds of a range, the kinds of an error.
ANY_ORDER = {"uniform", "suppress"}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def text_of(*nodes: ast.AST) -> str:
    """Return source on one line."""
    return "; ".join(" ".join(ast.unparse(node).split()) for node in nodes)


def instead_of(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:  # noqa: C901, PLR0912 - one case each
    """Return what stands instead of an expression by mistake."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    turned = [*ops[:index], other(), *ops[index + 1 :]]
                    yield "comparison turned", ast.Compare(left, turned, comparators)
        case ast.Constant(bool(value)):
            yield "boolean flipped", ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield "off by one", ast.Constant(value + 1)
            yield "off by one", ast.Constant(value - 1)
        case ast.BoolOp(op, values):
            yield "wrong branch", ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                rest = values[:index] + values[index + 1 :]
                yield "condition dropped", ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(ast.Not(), operand):
            yield "condition negated", operand
        case ast.UnaryOp(ast.USub(), operand):
            yield "arithmetic turned", operand
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC and not (_is_text(left) or _is_text(right)):
            yield "arithmetic turned", ast.BinOp(left, ARITHMETIC[type(op)](), right)
        case ast.IfExp(test, body, orelse):
            yield "wrong branch", ast.IfExp(test, orelse, body)
        case ast.Name(id=name) if name in NAMES:
            yield "wrong branch", ast.Name(NAMES[name], ast.Load())
        case ast.Call():
            yield from _instead_of_call(node)


def _instead_of_call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    function, positional, named = node.func, node.args, node.keywords
    if text_of(function) in {"isinstance", *NAMES}:  # a swap is an error at once, or nothing
        return
    called = text_of(function).rpartition(".")[2]
    for swapped in _swapped(positional) if called not in ANY_ORDER else ():
        yield "argument swapped", ast.Call(function, swapped, named)
    for values in _swapped([each.value for each in named]):
        pairs = [ast.keyword(each.arg, value) for each, value in zip(named, values, strict=True)]
        yield "argument swapped", ast.Call(function, positional, pairs)
    for index, each in enumerate(named):
        if (called, each.arg) not in SAID_ONLY:
            yield "argument dropped", ast.Call(function, positional, named[:index] + named[index + 1 :])


def _swapped(values: list[ast.expr]) -> Iterator[list[ast.expr]]:
    """Return the arguments with two neighbours in each other's place, for all that differ."""
    for index, (one, other) in enumerate(pairwise(values)):
        if not isinstance(one, ast.Starred) and not isinstance(other, ast.Starred) and text_of(one) != text_of(other):
            yield [*values[:index], other, one, *values[index + 2 :]]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
