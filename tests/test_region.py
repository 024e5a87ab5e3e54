"""The region of the training data: boxes, neighbours, and what is said of states outside."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import circles

from pyhits.data.trajectories import Trajectories
from pyhits.forecasting.uncertainty.region import Region, first_exit, margins


def ring(n: int, seed: int, d: int = 2) -> Trajectories:
    """Rows on a unit circle in the plane of the first two of d features, which others mix."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, (n, 1)) + 0.05 * np.arange(20)
    phases = np.where(np.arange(d) < 2, -np.pi / 2, 1.0) * np.arange(d)
    return Trajectories(
        np.cos(angle[:, :, None] + phases), feature_names=[f"v{k}" for k in range(d)]
    )


@pytest.mark.parametrize("d", [2, 12])
def test_the_middle_of_a_ring_is_outside_and_the_ring_is_not(d: int) -> None:
    train = ring(60, 0, d)
    region = Region.of(train, ring(20, 1, d), train.spread())
    fresh = ring(200, 2, d).values
    assert not region.outside(fresh).any.any()
    middle = np.zeros((1, d))
    found = region.outside(middle)
    assert found.far[0]
    assert not found.boxed[0]
    sentence = str(found.sentence())
    assert "within its range" in sentence
    assert "most of all in v" in sentence


@pytest.mark.parametrize(("d", "n"), [(12, 50), (2, 3), (2, 500)])
def test_neighbours_are_the_nearest_whatever_the_number_of_features(d: int, n: int) -> None:
    train = ring(30, 0, d)
    region = Region.of(train, train, train.spread())
    states = np.random.default_rng(1).standard_normal((n, d))
    gaps = (states[:, None] - region.low) / region.scale - region.points
    np.testing.assert_allclose(region.distances(states), np.linalg.norm(gaps, axis=2).min(axis=1))


def test_large_offsets_neither_hide_nor_invent_distances() -> None:
    train, held = ring(60, 0), ring(20, 1)
    shift = np.array([1e9, -3e7])
    far, unseen = (data.with_values(data.values + shift) for data in (train, held))
    plain, moved = Region.of(train, held, train.spread()), Region.of(far, unseen, far.spread())
    assert moved.radius == pytest.approx(plain.radius, rel=1e-3)
    assert moved.outside(np.zeros((1, 2)) + shift).far[0]
    assert moved.outside(np.array([[2.0, 0.0]]) + shift).boxed[0]
    assert not moved.outside(ring(100, 2).values + shift).any.any()


def test_later_turns_of_a_noiseless_cycle_are_near_earlier_ones() -> None:
    """A turn of 150.2 rows: five phases to begin with, and others much later."""
    angle = 2 * np.pi / 150.2 * np.arange(9000.0)
    turns = np.column_stack([np.cos(angle), np.sin(angle)])
    train, held = Trajectories(turns[:800]), Trajectories(turns[800:1000])
    region = Region.of(train, held, train.spread())
    assert not region.outside(turns[1000:]).any.any()


def test_with_nothing_held_out_rows_between_the_others_are_near() -> None:
    train = circles(3, 12)
    region = Region.of(train, train, train.spread())
    assert not region.outside(train.values).any.any()
    assert not region.outside((train[0][:-1] + train[0][1:]) / 2).any.any()


def test_a_variable_beyond_its_range_is_named_with_the_trajectory() -> None:
    train = circles(40, 60)
    region = Region.of(train, circles(10, 60, seed=1), train.spread())
    states = np.array([[0.5, 0.1], [0.5, 9.0], [-7.0, 0.0]])
    found = region.outside(states)
    np.testing.assert_array_equal(found.boxed, [False, True, True])
    sentence = str(found.sentence())
    assert "2 of 3 initial states lie outside" in sentence
    assert "y, of trajectory 1, is 9" in sentence
    assert region.outside(states[:1]).sentence() is None
    assert "The initial state lies outside" in str(region.outside(states[1:2]).sentence())


def test_the_margin_is_a_tenth_of_the_range_and_constants_allow_rounding() -> None:
    low, high = margins(np.array([0.0, 5.0, 0.0]), np.array([10.0, 5.0, 0.0]))
    np.testing.assert_allclose(low[:2], [-1, 5 - 5e-5])
    np.testing.assert_allclose(high[:2], [11, 5 + 5e-5])
    assert low[2] < 0 < high[2]


def test_only_the_first_states_have_their_neighbours_looked_for() -> None:
    train = ring(60, 0)
    region = Region.of(train, ring(20, 1), train.spread())
    middle = np.zeros((5, 2))
    np.testing.assert_array_equal(region.outside(middle, 2).any, [1, 1, 0, 0, 0])
    assert region.outside(middle).any.all()


@pytest.mark.parametrize("d", [2, 11])
def test_the_first_exit_is_that_of_a_plain_loop(d: int) -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((60, 30, d)).cumsum(axis=1) * 0.2
    states[5, 4:] = np.nan
    low, high = np.full(d, -2.0), np.full(d, 2.0)
    found = first_exit(states, low, high)
    for k, rows in enumerate(states):
        inside = ((rows >= low) & (rows <= high)).all(axis=1)
        assert found[k] == (-1 if inside.all() else np.flatnonzero(~inside)[0])
    assert (found == -1).any()
    assert (found > 0).any()
