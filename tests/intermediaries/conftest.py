"""nginx and Varnish, for whoever needs them."""

from __future__ import annotations

import os
import subprocess

import pytest

from localdev.processes import ROOT

INSTALL_SECONDS = 600


@pytest.fixture(scope="session")
def installed() -> None:
    """Install nginx and Varnish where that is possible; without them this fails, unless it is to go without."""
    if os.environ.get("SKIP_INTERMEDIARIES"):
        pytest.skip("SKIP_INTERMEDIARIES is set")
    script = ROOT / "localdev" / "intermediaries.sh"
    found = subprocess.run([script], capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    if found.returncode != 0:
        pytest.fail(found.stderr.strip(), pytrace=False)
