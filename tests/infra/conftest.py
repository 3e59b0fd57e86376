"""A copy of what `make check-infra` looks at, to make mistakes in, and the compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.checks.bicep import WHERE_FROM, Bicep, find

ROOT = Path(__file__).parents[2]
LOOKED_AT = ("azure.yaml", "host.json", "function_app.py")


@pytest.fixture
def project(tmp_path):
    """Return a copy of the project's infrastructure and app."""
    for name in LOOKED_AT:
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "checks")
    for name in ("infra", "shared"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


@pytest.fixture(scope="session")
def bicep():
    """Return the Bicep compiler, one process for all tests."""
    program = find()
    if program is None:
        pytest.skip(f"needs the Bicep compiler: {WHERE_FROM}")
    with Bicep(program) as running:
        yield running
