"""`python -m localdev.host [APP_DIR] [--port N] [--address ADDRESS] [--enable-auth]`."""

import argparse
import asyncio
import ipaddress
import logging
import os
import sys
import threading
from pathlib import Path

from localdev.host.errors import AppError, HostError, SetupError
from localdev.host.logs import Formatter
from localdev.host.serve import Options, serve
from localdev.host.settings import refuse_production


def main() -> int:
    """Run the host; the exit status is 0 after SIGINT or SIGTERM, 1 if it cannot start."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    for chatty in ("azure", "asyncio", "httpx"):  # the runtime logs two lines for each invocation
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        refuse_production()
        asyncio.run(serve(_options()))
    except HostError as error:
        if isinstance(error, AppError) and error.details:
            print(error.details, file=sys.stderr)
        print(f"\n{error}\n", file=sys.stderr, flush=True)
        return 1
    return 0


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m localdev.host", description="Run a function app locally.")
    parser.add_argument("app_dir", nargs="?", default=".", type=Path, metavar="APP_DIR", help="default: here")
    parser.add_argument("--port", type=int, default=7071, help="default: 7071; 0: a free one")
    parser.add_argument("--address", default="127.0.0.1", help="a loopback address; default: 127.0.0.1")
    parser.add_argument(
        "--enable-auth", action="store_true", help="require the keys of HOST_FUNCTION_KEY, HOST_MASTER_KEY"
    )
    options = parser.parse_args()
    if not options.app_dir.is_dir():
        raise SetupError(f"{options.app_dir} is not a folder.")
    return Options(options.app_dir.resolve(), options.port, _loopback(options.address), options.enable_auth)


def _loopback(address: str) -> str:
    if address == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise SetupError(f"--address {address}: only a loopback address; this host is for local development.")


def _exit(status: int) -> None:
    """End the process, even if a synchronous function still holds one of the runtime's threads."""
    if threading.active_count() > 1:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _exit(main())
