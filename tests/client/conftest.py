"""Where Chromium is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 600


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return where Chromium is, which is installed if it can be; in CI it has to be there."""
    found = subprocess.run(
        [ROOT / "localdev" / "chromium.sh"], capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )
    if found.returncode != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(found.stderr.strip())
    return found.stdout.strip()
