"""`python -m infra.checks [--write] [PROJECT]`: says what is wrong, line by line; exit code 1 when anything is."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from infra.checks import snapshots
from infra.checks.bicep import VERSION, WHERE_FROM, Bicep, find
from infra.checks.run import check


def main(arguments: list[str]) -> int:
    """Check a project; return the exit code."""
    root = Path(next((each for each in arguments if not each.startswith("-")), Path(__file__).parents[2]))
    program = find()
    with Bicep(program) if program else nullcontext() as bicep:
        found = check(root, bicep, writes="--write" in arguments)
        if bicep is None:
            print(f"not compiled, rules only: there is no Bicep compiler ({WHERE_FROM})")
        elif bicep.version != VERSION:
            print(f"snapshots not compared: they are of Bicep {VERSION}, and this is {bicep.version}")
    for finding in found:
        print(finding)
    print(f"{len(snapshots.names(root))} deployments: {len(found) or 'nothing'} to mend")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
