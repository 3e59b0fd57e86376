"""`python -m infra.checks [PROJECT]`: says what is wrong, line by line; exit code 1 when anything is."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.checks.project import SCENARIOS
from infra.checks.run import check


def main(arguments: list[str]) -> int:
    """Check a project; return the exit code."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[2]
    found = check(root)
    for finding in found:
        print(finding)
    files = len(list((root / "infra").rglob("*.bicep")))
    print(f"{files} Bicep files, {len(SCENARIOS)} deployments evaluated: {len(found) or 'nothing'} to mend")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
