"""Where the tool stands: beside the app, and the only other place that may list, on request."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.ops.conftest import ROOT

MODULES = sorted((ROOT / "ops").glob("*.py"))
MAX_MODULE_LINES = 250


@pytest.mark.parametrize(
    "path", [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))], ids=lambda p: p.stem
)
def test_the_app_does_not_need_the_tool(path: Path) -> None:
    """Nothing that is deployed imports ops."""
    assert not re.search(r"^\s*(from|import) ops\b", path.read_text(), re.MULTILINE)


def test_the_tool_is_not_deployed() -> None:
    """.funcignore leaves it out."""
    assert "ops/" in (ROOT / ".funcignore").read_text().splitlines()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_dead_letters_are_listed(path: Path) -> None:
    """I10 is about the app; here one module lists, and only the container that the operator names."""
    assert ("BlobListing(" in path.read_text()) is (path.stem == "dead_letters")
    assert not re.search(r"\blist_blob|\bwalk_blobs", path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_small_and_explain_themselves(path: Path) -> None:
    """Every module begins with what it is for, and can be read in one sitting."""
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert len(path.read_text().splitlines()) <= MAX_MODULE_LINES
