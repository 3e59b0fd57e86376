"""How long ``make dev`` takes to its ``ready`` line: in a fresh clone with nothing installed, and again when warm.

Clones the committed state into a temporary folder. Package caches of the machine (uv, npm) are used as they are; say
``--no-caches`` to point them at empty folders.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def seconds_to_ready(clone: Path, environ: dict[str, str]) -> float:
    """Run ``make dev`` until it says ready, then end it."""
    started = time.perf_counter()
    with subprocess.Popen(
        ["make", "dev", "ARGS=--free-ports"],
        cwd=clone,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ready"):
                    return time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
    raise SystemExit("make dev ended before it was ready")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-caches", action="store_true", help="download every package anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environ = dict(os.environ)
        if options.no_caches:
            environ |= {"UV_CACHE_DIR": f"{folder}/uv", "npm_config_cache": f"{folder}/npm"}
        cold = seconds_to_ready(clone, environ)
        warm = seconds_to_ready(clone, environ)
    print(json.dumps({"cold_seconds": round(cold, 1), "warm_seconds": round(warm, 1)}, indent=2))


if __name__ == "__main__":
    main()
