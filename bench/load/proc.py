"""What a process weighs and uses, as Linux tells it."""

from __future__ import annotations

import re
from pathlib import Path


def memory_kb(pid: int | str, what: str = "VmRSS") -> int:
    """Return the memory that a process has now (``VmRSS``), or has had at most (``VmHWM``)."""
    found = re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def run_and_wait_seconds(pid: int) -> tuple[float, float]:
    """Return for how long a process's main thread has run, and for how long it has waited for a processor."""
    run_ns, wait_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(run_ns) / 1e9, int(wait_ns) / 1e9
