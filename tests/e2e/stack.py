"""The running stack of the tests: that of ``localdev.testbed``, whose secrets no test may write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from localdev import testbed
from localdev.testbed import Stack
from tests.leaks.secrets import secret


@contextlib.contextmanager
def running_stack(folder: Path, *bridge_options: str, **environ: str) -> Iterator[Stack]:
    """Run Azurite, bridge and one host, with the three containers made."""
    with testbed.running_stack(folder, *bridge_options, **environ) as stack:
        secret("the digests' key", stack.digest_key)
        yield stack
