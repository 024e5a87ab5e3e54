"""The clock of a fit: ends, shares, and what it says was cut short. No test here waits."""

from __future__ import annotations

import math
import pickle

import pytest

from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError


class Hand:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.reading = 100.0

    def __call__(self) -> float:
        return self.reading


def test_an_unlimited_clock_never_ends() -> None:
    hand = Hand()
    clock = Clock.start(None, hand)
    hand.reading = 1e9
    assert not clock.is_limited
    assert not clock.is_over
    assert clock.left == math.inf
    assert clock.affords(1e12)
    assert clock.until(0.1).left == clock.part(0.1).left == math.inf
    assert not UNLIMITED.is_over
    clock.check()


def test_a_clock_ends() -> None:
    hand = Hand()
    clock = Clock.start(10.0, hand)
    assert (clock.elapsed, clock.left, clock.is_over) == (0.0, 10.0, False)
    hand.reading += 4
    assert (clock.elapsed, clock.left) == (4.0, 6.0)
    assert clock.affords(6.0)
    assert not clock.affords(6.1)
    clock.check()
    hand.reading += 7
    assert (clock.left, clock.is_over) == (0.0, True)
    with pytest.raises(TimeIsUpError):
        clock.check()


def test_stages_end_after_their_share_of_all_or_of_what_is_left() -> None:
    hand = Hand()
    clock = Clock.start(10.0, hand)
    hand.reading += 2
    assert clock.until(0.5).left == pytest.approx(3.0)
    assert clock.part(0.5).left == pytest.approx(4.0)
    # A stage never ends later than what it is part of.
    assert clock.until(0.5).until(2.0).left <= 3.0 + 1e-9
    assert clock.until(0.1).left == 0.0
    assert clock.until(0.1).is_over


def test_work_is_bounded_however_fast_it_is_done() -> None:
    """Each stage has its own; so much may be done, and no more; what is over in time stays so."""
    clock = Clock.start(now=lambda: 0.0)
    stage = clock.allowing(10)
    stage.spend(4)
    stage.spend(6)
    with pytest.raises(TimeIsUpError):
        stage.spend(1)
    clock.allowing(3).spend(3)
    clock.spend(10**9)
    assert clock.spent == []  # what has no bound is not kept
    with pytest.raises(TimeIsUpError):
        Clock.start(0.0, now=lambda: 0.0).allowing(10).spend(1)


def test_stages_share_what_is_said() -> None:
    hand = Hand()
    clock = Clock.start(10.0, hand)
    assert clock.note() is None
    clock.until(0.5).cut("the search")
    clock.part(0.5).cut("the search")
    clock.cut("training")
    assert clock.shortened == ["the search", "training"]
    assert "has cut short: the search, training" in str(clock.note())


def test_seconds_of_stages_add_up() -> None:
    hand = Hand()
    clock = Clock.start(None, hand)
    for _ in range(2):
        with clock.until(0.5).stage("noise"):
            hand.reading += 3
    assert clock.seconds == {"noise": 6.0}


def test_a_clock_travels_to_another_process() -> None:
    clock = Clock.start(5.0)
    assert pickle.loads(pickle.dumps(clock)).end == clock.end
