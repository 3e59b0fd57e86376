"""Misbehaviour on request: its specification and its statistics."""

import random

import pytest

from localdev.bridge.chaos import Chaos, ChaosError, Plan, parse, plan


def test_a_specification_is_parsed() -> None:
    """Names in any order, spaces allowed, what is not named is off."""
    assert parse("") == parse(" , ") == Chaos()
    assert parse("dup=0.3, reorder=0.5,drop=0.05,delay=2") == Chaos(0.3, 0.5, 0.05, 2)
    assert str(parse("delay=2,dup=0.30")) == "dup=0.3,delay=2"
    assert str(Chaos()) == "none"


@pytest.mark.parametrize("bad", ["dup", "dup=", "dup=x", "dup=1.1", "drop=-0.1", "delay=nan", "late=1", "dup=0,dup=1"])
def test_a_wrong_specification_says_what_is_allowed(bad: str) -> None:
    """Unknown names and values out of range are refused with the whole syntax."""
    with pytest.raises(ChaosError, match="allowed: dup=P"):
        parse(bad)


def test_no_chaos_means_at_once_and_once() -> None:
    """Without chaos no event waits, is lost or comes twice."""
    rng = random.Random(1)
    assert {plan(Chaos(), rng) for _ in range(1000)} == {Plan()}


def test_one_seed_gives_one_sequence_whose_shares_are_right() -> None:
    """Ten thousand plans have the asked-for shares, and the same seed draws the same plans."""
    chaos = parse("dup=0.3,reorder=0.5,drop=0.05,delay=2")
    first, second = ([plan(chaos, rng) for _ in range(10_000)] for rng in (random.Random(7), random.Random(7)))
    assert first == second
    assert sum(p.drop for p in first) == pytest.approx(500, abs=100)
    assert sum(p.duplicate_after_seconds is not None for p in first) == pytest.approx(3000, abs=250)
    assert max(p.hold_seconds for p in first) <= 3.0
    assert sum(p.hold_seconds for p in first) / 10_000 == pytest.approx(1.0 + 0.5 * 0.55, abs=0.05)
