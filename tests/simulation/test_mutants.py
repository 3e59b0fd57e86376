"""The catalogue of mutants keeps up with the code, and the simulator finds what is quickly found.

All of them are hunted by ``make mutants``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from shared.model import ledger
from tests.simulation.mutants import MUTANTS, hunt, mutated
from tests.simulation.patching import DoesNotApply, patched

QUICK = [
    "unconditional upsert",
    "overwrite does not advance the sequencer",
    "net-zero batch leaves the tally alone",
    "acknowledged when it is appended",
    "SDK retry left on for transactions",
]


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    """Leave logging, and no event loop, behind."""
    yield
    logging.disable(logging.NOTSET)
    asyncio._set_running_loop(None)


def test_there_are_enough() -> None:
    """The catalogue is no token."""
    assert len(MUTANTS) >= 90


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_applies(name: str) -> None:
    """Each of its texts is in the code exactly once, and the code is whole again afterwards."""
    before = ledger.decide.__code__, ledger.SKEW_MARGIN
    with mutated(name):
        pass
    assert (ledger.decide.__code__, ledger.SKEW_MARGIN) == before


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    """It would be found alive for ever after."""
    with pytest.raises(DoesNotApply), patched({"shared.model.ledger": [("no such text", "")]}, {}):
        pass


@pytest.mark.parametrize("name", QUICK)
def test_mutants_are_found(name: str) -> None:
    """By an invariant, within seconds."""
    verdict = hunt(name, seeds=60)
    assert verdict.killer.startswith(("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I9")), verdict
