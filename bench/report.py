"""Where a measurement goes: the terminal, ``bench/results/<name>.json``, and the table in docs/benchmarks.md.

The file is flat: metric to value, with the machine, the date and the versions. The table in the docs is made of the
file and of the claims, between two markers; a test compares them, so that the docs cannot quote what was not
measured. A claim that is not reached is printed as such; a benchmark fails only when a count was wrong.
"""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

type Results = dict[str, float | str]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "bench" / "results"
AZURITE = ROOT / "localdev" / "node_modules" / "azurite" / "package.json"


@dataclass(frozen=True, slots=True)
class Claim:
    """What is shown of one metric, and the limit it is held against, if there is one.

    Attributes:
        metric: Its name in the results.
        what: In words.
        at_most: The limit, or None.
        at_least: The limit, or None.
    """

    metric: str
    what: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def limit(self) -> str:
        """The limit in words, "" when there is none."""
        if self.at_most is not None:
            return f"≤ {number(self.at_most)}"
        return f"≥ {number(self.at_least)}" if self.at_least is not None else ""

    def verdict(self, value: float) -> str:
        """Say whether a value keeps the limit; it is compared as it is printed."""
        if not self.limit:
            return ""
        value = float(number(value).replace(",", ""))
        kept = (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)
        return "ok" if kept else "NOT REACHED"


def number(value: float) -> str:
    """Write a figure as one reads it: three significant digits, whole numbers whole."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def surroundings() -> Results:
    """Return the machine, the date and the versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return {
        "machine": f"{os.cpu_count()} CPUs {platform.machine()}, {memory:.0f} GB, {system}",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "azurite": str(json.loads(AZURITE.read_text())["version"]),
        "azure_data_tables": version("azure-data-tables"),
        "azure_storage_blob": version("azure-storage-blob"),
    }


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def table(claims: Sequence[Claim], results: Mapping[str, float | str]) -> str:
    """Return the Markdown table of the results."""
    made = "Python {python}, Azurite {azurite}, azure-data-tables {azure_data_tables}, {machine}; {date}."
    values = [(claim, float(results[claim.metric])) for claim in claims]
    rows = [(claim.what, number(value), claim.limit, claim.verdict(value)) for claim, value in values]
    return f"{made.format(**results)}\n\n{markdown(('', 'Measured', 'Limit', ''), rows)}"


def finish(name: str, claims: Sequence[Claim], results: Mapping[str, float]) -> None:
    """Print, store and quote the results of a benchmark."""
    kept: Results = {**surroundings(), **{metric: float(f"{value:.4g}") for metric, value in results.items()}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
    DOCS.write_text(quoted(DOCS.read_text(), name, table(claims, kept)))
    width = max(len(claim.what) for claim in claims)
    for claim in claims:
        value = float(kept[claim.metric])
        print(f"{claim.what:<{width}}  {number(value):>9}  {claim.limit:<9}  {claim.verdict(value)}")
    print(f"\nwritten to bench/results/{name}.json and docs/benchmarks.md")


def quoted(docs: str, name: str, text: str) -> str:
    """Put a table between its markers."""
    begin, end = _markers(name)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    assert pattern.search(docs), f"docs/benchmarks.md has no {begin}"
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", docs)


def quote_in(docs: str, name: str) -> str:
    """Return what stands between the markers."""
    begin, end = _markers(name)
    return docs.partition(begin)[2].partition(end)[0].strip()


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- make bench-{name} -->", f"<!-- end of bench-{name} -->"
