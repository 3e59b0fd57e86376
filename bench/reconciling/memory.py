"""What a process weighs that reconciles a million names against a million rows: run in a process of its own.

``python -m bench.reconciling.memory FILE COUNT`` reconciles blobs of :mod:`bench.load.generated` against the rows in
the file, of which one is missing, so that everything has to be compared; prints one JSON object. The Azure SDK is
imported as in the app (it is in the peak), but nothing is sent by it. Linux only.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from bench.load.generated import FOLDER_MAP, GeneratedBlobs, SqliteTable, name_of
from bench.load.ledgers import FINGERPRINT, FOLDER, open_ledger
from localdev.processes import memory_kb
from shared.clock import SystemClock
from shared.model.ledger import path_hashes
from shared.model.sketch import Sketch
from shared.model.tally import fold
from shared.reconciling.parts import Parts
from shared.reconciling.reconciler import Reconciler
from shared.writing.tally_row import PARTITION, Counts
from shared.writing.writer import Writer

RUN_SECONDS = 900


def measure(count: int) -> dict[str, float]:
    """Prepare the rows here, reconcile them in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.sqlite"
        command = [sys.executable, "-m", "bench.reconciling.memory", str(file), str(count)]
        asyncio.run(_prepare(file, count))
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RUN_SECONDS)
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def _prepare(file: Path, count: int) -> None:
    table = SqliteTable(file)
    table.fill(PARTITION, count - 1)
    stored = await (await open_ledger(table)).open()
    paths = [f"{FOLDER}/{name_of(number)}" for number in range(count - 1)]
    held, sketch = fold(stored.tally.digest_key, paths), Sketch(stored.tally.digest_key)
    sketch.add(list(path_hashes(paths)))
    tally = stored.tally.holding({**stored.tally.sums, FOLDER: held}, sketch, SystemClock().now())
    await table.commit(PARTITION, [stored.write(tally)])


async def _reconcile(file: Path, count: int) -> dict[str, float]:
    table, clock, blobs = SqliteTable(file), SystemClock(), GeneratedBlobs(count)
    counts = Counts(table, FINGERPRINT, clock)
    writer = Writer(table, counts, blobs, clock, Random(1))
    before = _peak_mb()
    started = time.perf_counter()
    report = await Reconciler(Parts(table, counts, writer, blobs, blobs, FOLDER_MAP, clock)).run()
    assert report.corrected == 1, f"corrected {report.corrected} rows instead of adding {name_of(count - 1)}"
    seconds = time.perf_counter() - started
    return {"listed": report.listed, "peak_mb": _peak_mb(), "before_mb": before, "seconds": seconds}


def _peak_mb() -> float:
    """Return the most memory that this program has held; ``ru_maxrss`` would begin with what its parent held."""
    return memory_kb("self", "VmHWM") / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_reconcile(Path(sys.argv[1]), int(sys.argv[2])))))
