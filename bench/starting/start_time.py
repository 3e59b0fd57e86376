"""How long ``make dev`` takes to its ``ready`` line: in a fresh clone with nothing installed, and again when warm.

Clones the committed state into a temporary folder. Package caches of the machine (uv, npm) are used as they are; say
``--no-caches`` to point them at empty folders.
"""

from __future__ import annotations

import argparse
import json
import os

from bench.starting.clone import fresh_clone, running


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-caches", action="store_true", help="download every package anew")
    options = parser.parse_args()
    with fresh_clone() as clone:
        environ = dict(os.environ)
        if options.no_caches:
            environ |= {"UV_CACHE_DIR": f"{clone.parent}/uv", "npm_config_cache": f"{clone.parent}/npm"}
        command = ["make", "dev", "ARGS=--free-ports"]
        with running(command, clone, "ready", environ) as cold:
            pass
        with running(command, clone, "ready", environ) as warm:
            pass
    print(json.dumps({"cold_seconds": round(cold, 1), "warm_seconds": round(warm, 1)}, indent=2))


if __name__ == "__main__":
    main()
