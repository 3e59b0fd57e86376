"""Breaks code on purpose: swaps the code of functions for that of an edited source, in this process only."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import CodeType, FunctionType, ModuleType
from typing import Any


class DoesNotApply(Exception):  # noqa: N818
    """The source does not contain the text exactly once: the code has moved on, the mutant has to follow."""


def edited(module: str, edits: list[tuple[str, str]]) -> str:
    """Return a module's source with these texts replaced.

    Raises:
        DoesNotApply: One of them is not there exactly once.
    """
    source = inspect.getsource(importlib.import_module(module))
    for old, new in edits:
        if source.count(old) != 1:
            raise DoesNotApply(f"{module} contains this {source.count(old)} times, not once:\n{old}")
        source = source.replace(old, new)
    return source


@contextmanager
def patched(edits: dict[str, list[tuple[str, str]]], constants: dict[tuple[str, str], Any]) -> Iterator[None]:
    """Run with edited sources and other constants.

    Args:
        edits: Module → texts and what replaces them, inside functions.
        constants: (module, name) → value.
    """
    undo: list[tuple[FunctionType, CodeType]] = []
    kept = {key: getattr(importlib.import_module(key[0]), key[1]) for key in constants}
    try:
        for name, texts in edits.items():
            module = importlib.import_module(name)
            codes = dict(_codes(compile(edited(name, texts), str(module.__file__), "exec")))
            for function in _functions(module):
                code = codes.get(function.__qualname__)
                if code is not None and code.co_freevars == function.__code__.co_freevars:
                    undo.append((function, function.__code__))
                    function.__code__ = code
        for (name, constant), value in constants.items():
            setattr(importlib.import_module(name), constant, value)
        yield
    finally:
        for function, original in undo:
            function.__code__ = original
        for (name, constant), value in kept.items():
            setattr(importlib.import_module(name), constant, value)


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each.co_qualname, each
            yield from _codes(each)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    owners = [module, *(each for each in vars(module).values() if isinstance(each, type))]
    for owner in owners:
        for member in vars(owner).values():
            function = _function_of(member)
            if function is not None and function.__module__ == module.__name__:
                yield function


def _function_of(member: object) -> FunctionType | None:
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    member = inspect.unwrap(member) if callable(member) else member
    return member if isinstance(member, FunctionType) else None
