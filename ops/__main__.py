"""`python -m ops`: read the command line, run one command, return its exit code."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ops import quarantined, reconciling
from ops.exits import Exit, exit_of, explain
from ops.output import Output, fail
from ops.probe import MOST_WAIT_SECONDS, probe
from ops.replay import replay
from ops.status import status
from ops.target import connected, read_target
from ops.watch import watch
from shared.settings.app import MOST_RETENTION_DAYS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.services import Services

    type Command = Callable[[Services, argparse.Namespace, Output], Awaitable[Exit]]
    type Alone = Callable[[argparse.Namespace, Output], Awaitable[Exit]]

#: Clearly longer than an answer that is not held takes.
LEAST_HOLD_SECONDS = 2
EPILOG = """\
exit codes: 0 done (verify: exact); 1 differences, or something stays as it was; 2 usage or settings;
3 another reconciliation is running; 4 storage; 5 a bug in this tool; 130 Ctrl-C.
Settings are those of the app (docs/configuration.md); probe needs none. Examples: docs/operations.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _log(debug=given.debug)
    try:
        code = asyncio.run(_run(given))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of the pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:
        if given.debug:
            raise
        return fail(explain(error), exit_of(error), as_json=given.json)
    return code


async def _run(given: argparse.Namespace) -> Exit:
    code: Exit
    if given.run is probe:  # the one command that asks the app, not storage
        code = await probe(given, Output({"url": given.url}, as_json=given.json))
        return code
    target = read_target(given.settings, os.environ)
    if given.check is not None:  # before anything is made
        given.check(target.settings, given)
    out = Output({"account": target.account, "table": target.settings.counts_table}, as_json=given.json)
    if not given.json:
        out.say(str(target))
    async with connected(target, creates_table=given.creates_table, any_counts=given.any_counts) as services:
        code = await given.run(services, given, out)
        return code


def _log(*, debug: bool) -> None:
    """Silence the app's log, which would repeat the command's output; show it with ``--debug``."""
    if debug:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("shared").setLevel(logging.DEBUG)
    else:
        logging.basicConfig(handlers=[logging.NullHandler()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description="Looks at, verifies and repairs the counts of a storage account.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(json=False, settings=None, debug=False, check=None, creates_table=False, any_counts=False)
    common = argparse.ArgumentParser(add_help=False)
    for each in (parser, common):
        _add_common(each)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(to: Any, name: str, run: Command | Alone, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = to.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(run=run)
        return made

    asked = add(commands, "status", status, "counts, version, last reconciliation, size of the quarantine")
    asked.add_argument("--case", metavar="NAME", help="the counts of this case instead, where CASE_FROM is set")
    add(commands, "watch", watch, "the counts, live, until Ctrl-C")
    _add_reconcile(add(commands, "reconcile", reconciling.reconcile, "list the account and correct the counts"))
    add(commands, "verify", reconciling.verify, "compare counts and listing, change nothing; exit code 0 says exact")
    anew = add(commands, "recount", reconciling.recount_, "count anew, after the folder map or the suffixes changed")
    anew.set_defaults(check=reconciling.check_recount, creates_table=True, any_counts=True)
    anew.add_argument("--yes", action="store_true", help="do it: until it is done the status is 503 counts-not-ready")
    quarantine = commands.add_parser("quarantine", help="events that could not be understood", parents=[common])
    kept = quarantine.add_subparsers(required=True, metavar="list|show|retry|purge")
    add(kept, "list", quarantined.list_, "all events, the newest first")
    shown = add(kept, "show", quarantined.show, "one event, and why it was not counted")
    shown.add_argument("key", metavar="KEY", help="its key, or the beginning of it")
    again = add(kept, "retry", quarantined.retry, "deliver events again; those taken leave the quarantine")
    which = again.add_mutually_exclusive_group(required=True)
    which.add_argument("keys", metavar="KEY", nargs="*", default=[], help="keys, or beginnings of them")
    which.add_argument("--all", action="store_true", help="all of them")
    old = add(kept, "purge", quarantined.purge, "drop events older than QUARANTINE_RETENTION_DAYS, for good")
    days = _number("days", 0, MOST_RETENTION_DAYS)
    old.add_argument("--older-than", metavar="DAYS", type=days, help="drop events older than this instead; 0: all")
    _add_replay(add(commands, "replay", replay, "apply the events in Event Grid's dead-letter blobs"))
    _add_probe(add(commands, "probe", probe, "try a deployed app through whatever stands in front of it"))
    return parser


def _number(what: str, least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number in this range; argparse says which argument is wrong, and exits."""

    def read(text: str) -> float:
        with suppress(ValueError):
            if least <= float(text) <= most:
                return float(text)
        raise argparse.ArgumentTypeError(f"{text} is not a number of {what} from {least:g} to {most:g}")

    return read


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before or after the command: SUPPRESS keeps the later from undoing the earlier."""
    unset = argparse.SUPPRESS
    parser.add_argument("--json", action="store_true", default=unset, help="one JSON document on standard output")
    parser.add_argument(
        "--settings",
        metavar="FILE",
        default=unset,
        help="a local.settings.json that goes before the environment; without it ./local.settings.json, if there is "
        "one, gives what the environment does not say",
    )
    parser.add_argument("--debug", action="store_true", default=unset, help="log, and show tracebacks")


def _add_reconcile(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(check=reconciling.check_reconcile, creates_table=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help="start over, and compare name by name whatever the digests")
    which.add_argument("--prefix", metavar="CONTAINER/PREFIX/", help="only this part, name by name")
    parser.add_argument("--wait", action="store_true", help="if another process is reconciling, wait for its end")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("where", metavar="CONTAINER[/PREFIX]", help="where the dead-letter blobs are")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--delete", action="store_true", help="delete each blob whose events were all taken")


def _add_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="its address; without a path /api is added")
    parser.add_argument("--token", default="", help="a bearer token that holds there (AUTH_MODE=jwt)")
    parser.add_argument("--code", metavar="KEY", default="", help="a function key (AUTH_MODE=function)")
    parser.add_argument(
        "--hold",
        metavar="SECONDS",
        type=_number("seconds", LEAST_HOLD_SECONDS, MOST_WAIT_SECONDS),
        default=MOST_WAIT_SECONDS,
        help="the longest wait to try; the app cuts it to its MAX_WAIT_SECONDS",
    )


if __name__ == "__main__":
    sys.exit(main())
