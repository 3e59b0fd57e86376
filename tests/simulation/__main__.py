# ruff: noqa: T201
"""``make simulate SEEDS=N``: simulate many seeds, on all cores, and say what happened.

The last line is ``N seeds, M deliveries, D drift``; drift is a seed in which an invariant did not hold.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter

from tests.simulation.mutants import MUTANTS, mutated
from tests.simulation.scenarios import SCENARIOS, Outcome, simulate

_PROGRESS_SECONDS = 15.0


def main() -> None:
    """Simulate."""
    arguments = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of what a seed replays
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])  # noqa: S606
    logging.disable(logging.CRITICAL)
    began = shown = time.monotonic()
    total: Counter[str] = Counter()
    failed: list[Outcome] = []
    scenarios: Counter[str] = Counter()
    work = [(seed, arguments.scenario) for seed in range(arguments.start, arguments.start + arguments.seeds)]
    with mutated(arguments.mutant), multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        for outcome in pool.imap(_simulate, work, chunksize=4):
            total += outcome.stats
            scenarios[outcome.scenario] += 1
            if outcome.violation or outcome.unexpected:
                failed.append(outcome)
                _show(outcome, arguments.mutant)
            if arguments.traces:
                print(outcome.seed, outcome.trace)
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                print(f"  {total['seeds']} seeds, {total['deliveries']:,} deliveries", flush=True)
    seconds = time.monotonic() - began
    histories = ", ".join(f"{count} {name}" for name, count in scenarios.items())
    print(f"{seconds:.0f} s, {total['seeds'] / seconds:.1f} seeds/s; {histories}")
    for line in summary(total):
        print(line)
    print(f"{total['seeds']} seeds, {total['deliveries']} deliveries, {len(failed)} drift")
    sys.exit(1 if failed else 0)


def summary(total: Counter[str]) -> list[str]:
    """Say how much of everything happened: shares of what they are shares of, and numbers."""

    def share(part: str, whole: str) -> str:
        return f"{part} {total[part]:,} ({100 * total[part] / max(1, total[whole]):.1f} % of {whole})"

    shares = [("duplicates", "deliveries"), ("reordered", "events"), ("deliveries failed", "deliveries")]
    shares += [("events lost", "events"), ("commit unknown", "commit"), ("head", "events")]
    shown = {name for pair in shares for name in pair}
    counted = [f"{name} {count:,}" for name, count in sorted(total.items()) if name not in shown]
    lines = [share(*pair) for pair in shares]
    return [f"  {line}" for line in lines + [", ".join(counted[i : i + 6]) for i in range(0, len(counted), 6)]]


def _simulate(work: tuple[int, str | None]) -> Outcome:
    return simulate(*work)


def _show(outcome: Outcome, mutant: str | None) -> None:
    what = outcome.violation or f"unexpected {outcome.unexpected}"
    with_mutant = f" --mutant '{mutant}'" if mutant else ""
    replay = f"python -m tests.simulation --seeds 1 --start {outcome.seed} --scenario '{outcome.scenario}'{with_mutant}"
    print(f"seed {outcome.seed} ({outcome.scenario}): {what}\n    replay: {replay}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--scenario", choices=list(SCENARIOS), help="only this history; by default the seed chooses")
    parser.add_argument("--mutant", choices=list(MUTANTS), help="break the code in this way first")
    parser.add_argument("--traces", action="store_true", help="print a hash of all that happened in each seed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
