"""Deliberate misbehaviour of the delivery, to see that receivers stand it. Pure, seeded.

Event Grid promises at-least-once delivery in no order; locally everything would arrive once and in order. A
specification such as `dup=0.3,reorder=0.5,drop=0.05,delay=2` makes it behave as it may.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

REORDER_SECONDS = (0.1, 1.0)  # long enough for many later events to overtake, short enough to watch
DUPLICATE_SECONDS = (0.0, 1.0)

_ALLOWED = "allowed: dup=P, reorder=P, drop=P (probabilities from 0 to 1) and delay=SECONDS, separated by commas"


class ChaosError(ValueError):
    """A specification that cannot be understood; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """How deliveries misbehave.

    Attributes:
        dup: probability that a delivered event is delivered again later.
        reorder: probability that an event is held back so that later ones overtake it.
        drop: probability that an event is never delivered (kept in the journal as dropped).
        delay: every event waits a random time of up to this many seconds.
    """

    dup: float = 0.0
    reorder: float = 0.0
    drop: float = 0.0
    delay: float = 0.0

    def __str__(self) -> str:
        return ",".join(f"{name}={value:g}" for name, value in asdict(self).items() if value) or "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one event: lost, or delivered after `hold_seconds` and perhaps once more after that."""

    drop: bool = False
    hold_seconds: float = 0.0
    duplicate_after_seconds: float | None = None


def parse(specification: str) -> Chaos:
    """Parse `dup=0.3,reorder=0.5,drop=0.05,delay=2`; empty means no chaos.

    Raises:
        ChaosError: an unknown name, a value that is no number or out of range, or a name given twice.
    """
    values: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in specification.split(","))):
        name, _, text = (part.strip() for part in item.partition("="))
        if name not in {"dup", "reorder", "drop", "delay"} or name in values:
            raise ChaosError(f"chaos {item!r} is unknown or given twice; {_ALLOWED}")
        values[name] = _number(name, text)
    return Chaos(**values)


def plan(chaos: Chaos, rng: random.Random) -> Plan:
    """Draw what happens to the next event.

    Takes the same number of draws whatever their outcome, so that one seed gives one sequence.
    """
    dropped, reordered, duplicated = rng.random(), rng.random(), rng.random()
    delay, hold, again = rng.uniform(0, chaos.delay), rng.uniform(*REORDER_SECONDS), rng.uniform(*DUPLICATE_SECONDS)
    return Plan(
        drop=dropped < chaos.drop,
        hold_seconds=delay + (hold if reordered < chaos.reorder else 0.0),
        duplicate_after_seconds=again if duplicated < chaos.dup else None,
    )


def _number(name: str, text: str) -> float:
    limit = 3600.0 if name == "delay" else 1.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= limit:
        raise ChaosError(f"chaos {name}={text!r} is not a number from 0 to {limit:g}; {_ALLOWED}")
    return value
