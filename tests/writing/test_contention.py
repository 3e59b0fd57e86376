"""shared.writing.contention: who has lost a commit waits, for how long, and when nobody has to."""

from __future__ import annotations

from random import Random

import pytest

from shared.writing.contention import (
    BETWEEN_PAUSES_SECONDS,
    CONTENDED_SECONDS,
    LOST_PAUSE_SECONDS,
    MAX_SCALE,
    STOOD_BACK_SHARE,
    USUAL_COMMIT_SECONDS,
    Pauses,
)
from tests.fakes.world import World


def test_after_one_lost_commit_nobody_waits(world: World) -> None:
    """Waiting is for contention: a tally that was merely old is none, nor are commits that are lost seconds apart."""
    pauses = Pauses(world.random)
    for now in (1000.0, 1000.1 + CONTENDED_SECONDS, 1001.2 + 2 * CONTENDED_SECONDS):
        assert not pauses.is_contended(now)
        assert pauses.lost(now) == 0


def test_under_contention_losers_wait_for_a_flat_random_time(world: World) -> None:
    """However often a process has lost."""
    pauses = Pauses(world.random)
    pauses.lost(0.0)
    waits = [pauses.lost(0.1) for _ in range(1000)]
    assert max(waits) <= LOST_PAUSE_SECONDS
    assert sum(waits) / len(waits) == pytest.approx(LOST_PAUSE_SECONDS / 2, rel=0.1)


def test_who_commits_for_others_stands_back_once_a_second(world: World) -> None:
    """For less than a full commit takes: the others need a read and one row."""
    pauses = Pauses(world.random)
    for _ in range(50):
        pauses.took(0.1)
    pause = pauses.stand_back(10.0)
    assert pause == pytest.approx(0.1 * STOOD_BACK_SHARE, rel=0.01)
    assert 0 < pause < 0.1
    assert pauses.stand_back(10.0 + pause + 0.9 * BETWEEN_PAUSES_SECONDS) == 0
    assert pauses.stand_back(10.0 + pause + 1.1 * BETWEEN_PAUSES_SECONDS) == pytest.approx(pause)


def test_waits_grow_with_the_time_that_a_commit_takes(world: World) -> None:
    """Slow storage: waits as much longer, up to a limit; quick again: as before."""

    def mean_wait() -> float:
        return sum(pauses.lost(0.1) for _ in range(1000)) / 1000

    pauses = Pauses(world.random)
    pauses.lost(0.0)
    for seconds, times in ((USUAL_COMMIT_SECONDS * 3, 3), (1000.0, MAX_SCALE), (0.001, 1)):
        for _ in range(50):
            pauses.took(seconds)
        assert mean_wait() == pytest.approx(times * LOST_PAUSE_SECONDS / 2, rel=0.1)


def test_without_an_answer_the_wait_doubles_up_to_a_limit() -> None:
    """From 0.1 s to 2 s, jittered by half; an answer in between, and it begins anew."""
    processes = [Pauses(Random(seed)) for seed in range(100)]
    for longest in (0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.1):
        if longest == 0.1:
            for pauses in processes:
                pauses.answered()
        waits = [pauses.unanswered(0.0) for pauses in processes]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest


def test_what_a_busy_storage_asks_for_is_the_least_wait(world: World) -> None:
    """And none at all is no reason to come at once."""
    assert Pauses(world.random).unanswered(7.0) == 7.0
    assert Pauses(world.random).unanswered(0.01) >= 0.05
