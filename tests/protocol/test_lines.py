"""The page and the suite say the same: every numbered line is a test, and every test is a numbered line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "protocol.md"
LINE = re.compile(r"^- \*\*P(\d+)\*\* (.+)$", re.MULTILINE)
TEST = re.compile(r"test_p(\d+)_")


def lines() -> list[tuple[int, str]]:
    """Return the numbered lines of the page."""
    return [(int(number), text) for number, text in LINE.findall(PAGE.read_text())]


def held_lines() -> list[tuple[int, str]]:
    """Return the tests with a number in their name, and their docstrings."""
    functions = [
        node
        for path in sorted(HERE.glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    ]
    named = [(TEST.match(function.name), function) for function in functions]
    return [(int(match[1]), ast.get_docstring(function) or "") for match, function in named if match]


def test_every_line_is_a_test_and_every_test_is_a_line() -> None:
    """Same numbers, same words, each once."""
    assert sorted(lines()) == sorted(held_lines())
    numbers = [number for number, _ in lines()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 60


def test_no_line_is_hidden() -> None:
    """Nothing on the page looks numbered without being found."""
    assert len(re.findall(r"\*\*P\d", PAGE.read_text())) == len(lines())
