"""`quarantine list`, `show`, `retry` and `purge`: the events that could not be understood."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ops.exits import Exit, WrongArgument, explain
from ops.output import moment, table
from ops.work import each

if TYPE_CHECKING:
    import argparse

    from ops.output import Output
    from shared.intake.quarantine_rows import Quarantined
    from shared.services import Services

CONCURRENT_RETRIES: Final = 32
KEY_SHOWN_CHARACTERS: Final = 12
_KEY = re.compile(r"[0-9a-f]{1,64}")


async def list_(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """List the kept events, the newest first."""
    del given
    entries = [entry async for entry in services.quarantine.entries()]
    entries.sort(key=lambda entry: entry.received_at, reverse=True)
    rows = [
        (entry.key[:KEY_SHOWN_CHARACTERS], moment(entry.received_at), f"{entry.size_bytes:,}", entry.reason)
        for entry in entries
    ]
    text = table(("key", "received", "bytes", "reason"), rows, numbers=[2])
    out.show({"entries": [asdict(entry) for entry in entries]}, text if entries else "the quarantine is empty")
    return Exit.DONE


async def show(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Show one event, and why it was not counted."""
    entry = await _find(services, given.key)
    body = await services.quarantine.body(entry.key)
    if body is None:
        raise WrongArgument(f"the body of {entry.key} is gone from {services.settings.quarantine_container}")
    raw = body.decode(errors="replace")
    event, pretty = _read(raw)
    data: dict[str, object] = asdict(entry) | {"event": event, "text": raw}
    out.show(
        data, f"key       {entry.key}", f"received  {moment(entry.received_at)}", f"reason    {entry.reason}", pretty
    )
    return Exit.DONE


async def retry(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Deliver events again; those taken leave the quarantine."""
    if given.all:
        keys = [entry.key async for entry in services.quarantine.entries()]
    else:
        keys = list(dict.fromkeys([(await _find(services, start)).key for start in given.keys]))
    taken: list[str] = []
    staying: dict[str, str] = {}

    async def again(key: str) -> None:
        reason = await services.quarantine.retry(key, services.delivery.take)
        if reason is None:
            taken.append(key)
        else:
            staying[key] = reason

    with out.bars() as bars:
        failure = await each(keys, again, stage="retrying", on_progress=bars, concurrency=CONCURRENT_RETRIES)
    outcomes = {str(outcome): count for outcome, count in services.writer.stats.events.items()}
    data: dict[str, object] = {
        "taken": taken,
        "outcomes": outcomes,
        "staying": [{"key": key, "reason": reason} for key, reason in staying.items()],
        "not_tried": len(keys) - len(taken) - len(staying),
    }
    if failure is not None:
        data["error"] = explain(failure)
    rows = [(key[:KEY_SHOWN_CHARACTERS], reason) for key, reason in staying.items()]
    summary = f"{len(taken)} of {len(keys)} events taken{_named(outcomes)}; {len(staying)} not understood"
    out.show(data, *([table(("stays", "why"), rows)] if rows else []), summary)
    if failure is not None:
        out.say(f"ops: stopped: {explain(failure)}")
        return Exit.STORAGE
    return Exit.DIFFERENCES if staying else Exit.DONE


async def purge(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Drop for good, as the timer does once a day, events older than the retention or than the days given."""
    age = services.settings.quarantine_retention if given.older_than is None else timedelta(days=given.older_than)
    dropped, _ = await services.quarantine.purge(services.clock.now() - age)
    out.show(
        {"dropped": dropped, "older_than_days": age / timedelta(days=1)},
        f"{dropped:,} events older than {age / timedelta(days=1):g} days dropped",
    )
    return Exit.DONE


async def _find(services: Services, start: str) -> Quarantined:
    wanted = start.strip().lower().removesuffix(".json")
    found = await services.quarantine.find(wanted) if _KEY.fullmatch(wanted) else []
    if not found:
        raise WrongArgument(f"no event in quarantine has a key that begins with {start!r}; see `quarantine list`")
    if len(found) > 1:
        both = " and ".join(entry.key[: len(wanted) + 4] for entry in found)
        raise WrongArgument(f"more than one key begins with {start!r} ({both}); give more of it")
    return found[0]


def _read(text: str) -> tuple[Any, str]:
    """Return an event as JSON, or None if it is none, and as text for people."""
    try:
        event = json.loads(text)
        return event, json.dumps(event, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None, text


def _named(outcomes: dict[str, int]) -> str:
    return f" ({', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())})" if outcomes else ""
