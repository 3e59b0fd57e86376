"""`python -m localdev.bridge`: run the bridge until SIGTERM or Ctrl-C. `--help` lists the options."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from localdev.bridge import chaos
from localdev.bridge.bridge import Bridge
from localdev.bridge.events import Schema
from localdev.bridge.journal import JournalError
from localdev.bridge.settings import TTL_SECONDS, BridgeSettings, DeliverySettings
from localdev.ports import LOOPBACK, PortInUseError
from localdev.processes import told_to_stop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localdev.bridge", description="Blob events for Azurite.")
    parser.add_argument("--port", type=int, required=True, help="where clients connect instead of Azurite's blob port")
    parser.add_argument("--host", default=LOOPBACK, help="interface to listen on")
    parser.add_argument("--azurite", required=True, help="Azurite's blob service, like http://127.0.0.1:10010")
    parser.add_argument("--function-url", dest="url", required=True, help="the webhook that receives the events")
    parser.add_argument("--journal", type=Path, required=True, help="file of undelivered events")
    parser.add_argument("--schema", type=Schema, choices=list(Schema), default=Schema.EVENT_GRID)
    parser.add_argument("--retry-scale", type=float, default=0.01, help="factor on Event Grid's retry schedule")
    parser.add_argument("--max-retry-seconds", type=float, default=5.0, help="no retry waits longer")
    parser.add_argument("--ttl-seconds", type=float, default=TTL_SECONDS, help="then an event is a dead letter")
    parser.add_argument("--max-events-per-batch", dest="max_events", type=int, default=1)
    parser.add_argument(
        "--chaos",
        default=os.environ.get("EVENT_CHAOS", ""),
        help="like dup=0.3,reorder=0.5,drop=0.05,delay=2; default: the variable EVENT_CHAOS",
    )
    parser.add_argument("--seed", type=int, help="makes the chaos repeatable")
    return parser


def _settings(given: dict[str, Any]) -> BridgeSettings:
    named = {field.name for field in fields(DeliverySettings)} & given.keys()
    delivery = DeliverySettings(**{name: given.pop(name) for name in named})
    return BridgeSettings(**given | {"chaos": chaos.parse(given["chaos"])}, delivery=delivery)


async def _run(bridge: Bridge) -> None:
    stop = told_to_stop()
    await bridge.start()
    print(f"ready {bridge.url}", flush=True)
    await stop.wait()
    stats = bridge.delivery.stats()
    await bridge.stop()
    print(f"stopped {json.dumps(stats)}", flush=True)


def main() -> int:
    """Run the command; return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(Bridge(_settings(vars(_parser().parse_args())))))
    except (PortInUseError, JournalError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
