"""Split-conformal calibration: exact ranks, coverage of exchangeable errors, ragged rollouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.forecasting.uncertainty.conformal import Calibration, as_level
from pyhits.forecasting.uncertainty.ranking import RolloutErrors, conformal_ranks
from pyhits.forecasting.uncertainty.result import basis
from pyhits.forecasting.uncertainty.rollouts import (
    ForecastData,
    RolloutLimits,
    alike,
    calibrate,
    calibration_steps,
    calibration_stretches,
    independent,
)


def rollout_errors(values: np.ndarray, **settings: Any) -> RolloutErrors:
    """Errors (n, k, d) at steps 1, 2, ...; by default all known, without overlap."""
    n, k, _ = values.shape
    known = settings.get("known", np.ones((n, k), dtype=bool))
    leading = settings.get("leading", np.ones(n, dtype=bool))
    steps = settings.get("steps", np.arange(1, k + 1))
    return RolloutErrors(values, known, steps, leading)


def ranked(
    values: np.ndarray,
    *,
    worth: np.ndarray | None = None,
    most_scores: int = 1 << 20,
    **settings: Any,
) -> Calibration:
    """The calibration of errors in units of 1."""
    errors = rollout_errors(values, **settings)
    unit = np.ones(values.shape[2])
    return Calibration.from_errors(errors, unit, worth=worth, most_scores=most_scores)


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(9, 0.9, 9), (19, 0.95, 19), (99, 0.9, 90), (100, 0.9, 91), (9, 0.7, 7), (1, 0.5, 1)],
)
def test_the_rank_is_that_of_the_finite_sample(n: int, level: float, rank: int) -> None:
    assert conformal_ranks(np.array([n]), level)[0] == rank
    scores = np.random.default_rng(0).permutation(n).astype(float)[:, None, None]
    assert ranked(scores).quantiles(level)[0, 0] == rank - 1


@pytest.mark.parametrize(("n", "level"), [(8, 0.9), (18, 0.95), (98, 0.99)])
def test_too_few_rollouts_give_infinite_widths_and_say_so(n: int, level: float) -> None:
    known = ranked(np.ones((n, 3, 1)))
    assert np.isinf(known.quantiles(level)).all()
    assert known.reach(level) == 0
    assert f"need {n + 1} calibration rollouts, there are {n}" in str(known.shortfall(1, level))
    enough = ranked(np.ones((n + 1, 3, 1)))
    assert (enough.quantiles(level) == 1).all()
    assert enough.shortfall(3, level) is None


@pytest.mark.parametrize("n", [20, 57])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_fresh_errors_are_covered_as_often_as_promised(n: int, level: float) -> None:
    """Exchangeable scores with heavy tails: the rank's own probability, within binomial bounds."""
    rng = np.random.default_rng(n)
    repeats = 4000
    scores = np.abs(rng.standard_t(2, (n + 1, repeats, 1)))
    widths = ranked(scores[:n]).quantiles(level)[:, 0]
    covered = int((scores[n, :, 0] <= widths).sum())
    exact = conformal_ranks(np.array([n]), level)[0] / (n + 1)
    assert level <= exact < level + 1 / (n + 1)
    low, high = binom.ppf([1e-4, 1 - 1e-4], repeats, exact)
    assert low <= covered <= high


def test_pooled_features_are_covered_on_average() -> None:
    rng = np.random.default_rng(3)
    n, d, repeats = 15, 6, 300
    shares = []
    for _ in range(repeats):
        # Errors of one trajectory's features have much in common.
        scores = np.abs(rng.standard_normal((n + 1, 1, d)) * rng.gamma(1.0, 1.0, (n + 1, 1, 1)))
        known = ranked(scores[:n], most_scores=1)
        assert known.pool == 1
        assert known.scores.shape == (n, 1, 1)
        pooled = ranked(scores[:n], most_scores=n * d - 1)
        assert pooled.pool == d - 1
        shares.append((scores[n, 0] <= pooled.quantiles(0.8)[0, 0]).mean())
    error = np.std(shares) / np.sqrt(repeats)
    assert 0.8 - 3 * error < np.mean(shares) < 0.8 + 1 / (n + 1) + 3 * error


def test_luck_is_the_spread_of_coverages() -> None:
    """Nine in ten calibrations of 30 uniform scores cover as much as luck says."""
    rng = np.random.default_rng(5)
    known = ranked(rng.random((30, 20_000, 1)))
    coverages = known.quantiles(0.9)[:, 0]  # of uniform errors the width is the coverage
    low, high = known.luck(0.9)
    assert np.mean((coverages >= low) & (coverages <= high)) == pytest.approx(0.9, abs=0.01)
    assert known.luck(0.99) == (1.0, 1.0)


def test_nothing_is_known_again_beyond_the_first_step_of_which_nothing_is() -> None:
    """Where recordings end, those that diverged before may be fewer than the level leaves out."""
    errors = np.ones((20, 3, 1))
    errors[:5, 1] = np.inf
    errors[5:, 2] = 2.0
    known = np.ones((20, 3), bool)
    known[:5, 2] = False
    found = ranked(errors, known=known)
    assert np.isfinite(found.quantiles(0.8)[:, 0]).tolist() == [True, False, True]
    assert found.reach(0.8) == 1
    np.testing.assert_array_equal(
        found.widths(np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0]), 0.8)[:, 0],
        [0.5, 1.0, np.inf, np.inf, np.inf, np.inf],
    )


def test_widths_are_interpolated_and_end_with_the_calibration() -> None:
    errors = np.tile(np.array([1.0, 3.0, np.inf])[None, :, None], (9, 1, 2))
    at_steps = rollout_errors(errors, steps=np.array([2, 4, 8]))
    known = Calibration.from_errors(at_steps, np.array([1.0, 10.0]))
    at = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 8.0, 9.0])
    widths = known.widths(at, 0.9)
    np.testing.assert_allclose(widths[:5, 0], [0, 0.5, 1, 2, 3])
    np.testing.assert_allclose(widths[:5, 1], [0, 5, 10, 20, 30])
    assert np.isinf(widths[5:]).all()
    assert known.reach(0.9) == 4
    assert "reach step 4" in str(known.shortfall(5, 0.9))
    whole = ranked(np.ones((9, 3, 1)))
    assert whole.shortfall(3, 0.9) is None
    assert "reach step 3, the last" in str(whole.shortfall(4, 0.9))


def test_ragged_rollouts_count_where_they_reach() -> None:
    """Widths at a step are those of the rollouts that reach it, by themselves."""
    rng = np.random.default_rng(0)
    errors = np.abs(rng.standard_normal((40, 2, 3)))
    known = np.ones((40, 2), dtype=bool)
    known[20:, 1] = False
    errors[20:, 1] = np.nan
    ragged = ranked(errors, known=known)
    np.testing.assert_array_equal(ragged.counts, [40, 20])
    alone = ranked(errors[:20, 1:])
    for level in (0.5, 0.9, 0.95):
        np.testing.assert_array_equal(ragged.quantiles(level)[1], alone.quantiles(level)[0])


def test_diverged_rollouts_count_as_infinite_errors() -> None:
    errors = np.ones((10, 1, 1))
    errors[:2] = np.nan
    known = ranked(errors)
    assert known.quantiles(0.7)[0, 0] == 1  # rank 8 of 10
    assert np.isinf(known.quantiles(0.8)[0, 0])  # rank 9


@pytest.mark.parametrize("level", [0, 1, -0.5, 90, "0.9", True, None, np.nan])
def test_levels_out_of_range_are_refused(level: Any) -> None:
    with pytest.raises(ArgumentError, match="level between 0 and 1"):
        as_level(level)


def test_calibration_steps_hold_both_ends_and_few_between() -> None:
    for horizon in (1, 2, 40, 64, 5120):
        steps = calibration_steps(horizon)
        assert steps[0] == 1
        assert steps[-1] == horizon
        assert (np.diff(steps) > 0).all()
        assert len(steps) <= 64
    np.testing.assert_array_equal(calibration_steps(12), np.arange(1, 13))


def drifting(lengths: list[int]) -> Trajectories:
    """Trajectories whose rows count from 100 times their number."""
    rows = [100.0 * k + np.arange(n)[:, None] for k, n in enumerate(lengths)]
    return Trajectories(rows, 1.0)


def persistence(
    states: np.ndarray, n_steps: int, steps: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    last = states if states.ndim == 2 else states[:, -1]
    return np.repeat(last[:, None], len(steps), axis=1)


def test_many_trajectories_give_one_rollout_each() -> None:
    data = drifting([30] * 9 + [10])
    found = calibrate(ForecastData(data, persistence), np.array([2.0]))
    assert found is not None
    assert not found.overlapping
    np.testing.assert_array_equal(found.counts, np.where(found.steps <= 9, 10, 9))
    # Nothing changes but the row's number, so the error after s steps is s, in units of 2.
    np.testing.assert_allclose(found.widths(np.arange(30.0), 0.9)[:, 0], np.arange(30.0))


def decays(n: int, seed: int) -> Trajectories:
    """Decays to 0 from random heights: a later state is not like a first one."""
    height = np.random.default_rng(seed).exponential(size=(n, 1, 1))
    return Trajectories(height * np.exp(-0.1 * np.arange(60))[None, :, None], 1.0)


def test_first_states_alone_are_exchangeable_with_fresh_first_states() -> None:
    """Rollouts from anywhere along transients are many more, and their widths far too narrow."""
    held, fresh = decays(400, 0), decays(400, 1).to_array()
    steps = np.array([5, 20])
    errors = np.abs(fresh[:, steps] - fresh[:, :1])[:, :, 0]
    first = calibrate(ForecastData(held, persistence), np.ones(1))
    assert first is not None
    covered = (errors <= first.widths(steps.astype(float), 0.9)[:, 0]).mean(axis=0)
    assert (np.abs(covered - 0.9) < 4 * np.sqrt(2 * 0.09 / 400)).all()
    rows = held.to_array()[:, :, 0]
    anywhere = [np.quantile(np.abs(rows[:, s:] - rows[:, :-s]), 0.9) for s in steps]
    assert ((errors <= anywhere).mean(axis=0) < 0.8).all()


def test_a_few_transients_are_no_narrower_than_their_first_states_would_have_it() -> None:
    """Of n held-out transients the largest error covers n / (n + 1) of fresh ones, or more."""
    steps, n, repeats = np.array([5, 20]), 6, 150
    shares = []
    for seed in range(repeats):
        known = calibrate(ForecastData(decays(n, seed), persistence), np.ones(1))
        assert known is not None
        assert known.overlapping
        fresh = decays(40, 1000 + seed).to_array()
        errors = np.abs(fresh[:, steps] - fresh[:, :1])[:, :, 0]
        shares.append(errors <= known.widths(steps.astype(float), 0.9)[:, 0])
    covered = np.mean(shares, axis=(0, 1))
    room = 4 * np.std(np.mean(shares, axis=(1, 2))) / np.sqrt(repeats)
    assert (covered > n / (n + 1) - room).all()
    assert (covered < 0.95).all()


def test_raised_scores_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    errors, first = rng.exponential(size=(30, 2, 3)), np.arange(30) < 4
    errors[first] *= 3
    every, alone = ranked(errors), ranked(errors[first])
    both = ranked(errors, leading=first)
    for level in (0.3, 0.6, 0.79, 0.9):
        # Ranks of 30 are a little finer than the level asked for.
        rank = int(conformal_ranks(np.array([30]), level)[0])
        few = alone.quantiles(min(rank / 31, 0.8))
        np.testing.assert_array_equal(
            both.quantiles(level), np.maximum(every.quantiles(level), few)
        )
    pooled = ranked(errors, leading=first, most_scores=1)
    assert pooled.overlapping
    assert (np.diff(pooled.scores, axis=0) >= 0).all()


def test_one_recording_is_cut_into_overlapping_rollouts_of_half_of_it() -> None:
    data = drifting([101])
    found = calibration_stretches(data.offsets)
    np.testing.assert_array_equal(found.leading, np.arange(51) == 0)
    assert (found.starts + found.lengths <= 100).all()
    np.testing.assert_array_equal(found.starts, np.arange(51))
    assert (found.lengths == 50).all()


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9])
def test_overlapping_rollouts_are_worth_their_number_over_the_correlation_time(
    memory: float,
) -> None:
    """Of a first-order autoregression that time is (1 + memory) / (1 - memory)."""
    rng = np.random.default_rng(0)
    n, k = 250, 60
    values = rng.standard_normal((n, k))
    for row in range(1, n):
        values[row] = memory * values[row - 1] + np.sqrt(1 - memory**2) * values[row]
    first = np.arange(n) == 0
    worth = independent(rollout_errors(values[:, :, None], leading=first))
    exact = n * (1 - memory) / (1 + memory)
    assert exact / 1.5 < np.median(worth) < 1.5 * exact
    assert (worth >= 1).all()
    assert (worth <= n).all()
    # Recordings side by side have nothing in common at their seams.
    both = np.concatenate([values[:, :30], values[:, 30:]])
    starts = np.concatenate([first, first])
    double = independent(rollout_errors(both[:, :, None], leading=starts))
    assert 1.2 * np.median(worth) < np.median(double) < 3 * np.median(worth)


def test_rollouts_that_are_worth_few_take_the_ranks_of_few() -> None:
    errors = np.arange(1.0, 101.0)[:, None, None]
    first = np.arange(100) == 49
    plain = ranked(errors)
    # At 0.8 rank 81 of 100 stands for a level of 81 / 101: ceil(20 * 0.802) = 17 of 19, and so on.
    for worth, level, rank in ((19, 0.8, 90), (9, 0.9, 100), (9, 0.4, 56), (100, 0.9, 91)):
        few = ranked(errors, leading=first, worth=np.array([worth]))
        assert few.worth == worth
        assert few.quantiles(level)[0, 0] == rank >= plain.quantiles(level)[0, 0]


def test_delays_start_where_their_rows_end_and_short_trajectories_are_left_out() -> None:
    data = drifting([12] * 9 + [3])
    found = calibration_stretches(data.offsets, 3)
    np.testing.assert_array_equal(found.starts, 12 * np.arange(9) + 2)
    assert (found.lengths == 9).all()
    seen = []

    def spy(states: np.ndarray, n_steps: int, steps: np.ndarray, begins: np.ndarray) -> np.ndarray:
        assert np.array_equal(data.values[begins], states[:, -1])
        seen.append(states[:, :, 0])
        return persistence(states, n_steps, steps, begins)

    known = calibrate(ForecastData(data, spy), np.ones(1), history=3)
    np.testing.assert_array_equal(seen[0][1], [100, 101, 102])
    assert known is not None
    assert known.horizon == 9
    assert calibrate(ForecastData(drifting([3, 3]), persistence), np.ones(1), history=3) is None


# Rollouts of training data


def shares_of_pooled(n: int, others: int, ratio: float, repeats: int) -> float:
    """How often n errors count as like others, of which the sizes are in this ratio."""
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(repeats):
        # Errors that grow with time, each rollout by a factor of its own.
        own, their = (rng.lognormal(size=(m, 1, 1)) * np.ones((m, 12, 2)) for m in (n, others))
        count += alike(rollout_errors(ratio * own), rollout_errors(their))
    return count / repeats


def test_errors_of_one_distribution_are_mostly_alike_and_larger_ones_are_not() -> None:
    # One and a half standard deviations above, two below: 0.93 - 0.02 of normal draws.
    assert 0.85 < shares_of_pooled(50, 200, 1.0, 300) < 0.96
    assert shares_of_pooled(50, 200, 3.0, 100) < 0.01
    assert shares_of_pooled(50, 200, 1 / 3, 100) < 0.01
    assert shares_of_pooled(4, 16, 1.0, 100) > 0.8


def test_a_shift_in_one_part_of_the_horizon_is_enough_and_unknown_errors_say_nothing() -> None:
    rng = np.random.default_rng(1)
    errors, others = rng.lognormal(size=(60, 16, 1)), rng.lognormal(size=(60, 16, 1))
    theirs = rollout_errors(others)
    assert alike(rollout_errors(errors), theirs)
    early = errors.copy()
    early[:, :4] *= 5
    assert not alike(rollout_errors(early), theirs)
    ragged = np.ones((60, 16), bool)
    ragged[:, :4] = False
    assert alike(rollout_errors(early, known=ragged), theirs)
    assert not alike(rollout_errors(early), theirs)
    # Equal errors, as of a feature that never changes, are ties.
    assert alike(rollout_errors(np.zeros((9, 3, 2))), rollout_errors(np.zeros((30, 3, 2))))


def test_training_data_that_err_alike_take_luck_out_of_the_coverage() -> None:
    """Over fits, coverage with 20 held out varies by 0.065; with 180 more it should by 0.03."""
    alone, pooled = [], []
    fresh = decays(1000, 9999).to_array()
    errors = np.abs(fresh[:, 20] - fresh[:, 0])[:, 0]
    for seed in range(60):
        held, train = (
            ForecastData(decays(n, seed + start), persistence) for n, start in ((20, 0), (180, 500))
        )
        for found, trained in ((alone, None), (pooled, train)):
            known = calibrate(held, np.ones(1), trained=trained)
            assert known is not None
            found.append((errors <= known.widths(np.array([20.0]), 0.9)[:, 0]).mean())
    assert np.std(pooled) < 0.7 * np.std(alone)
    assert abs(np.mean(pooled) - 0.9) < 0.025


def test_training_data_that_were_learned_by_heart_do_not_count() -> None:
    held, train = decays(30, 0), decays(120, 1)

    def by_heart(
        states: np.ndarray, n_steps: int, steps: np.ndarray, begins: np.ndarray
    ) -> np.ndarray:
        right = train.values[begins[:, None] + np.minimum(steps, 59)]
        return right + 0.2 * (persistence(states, n_steps, steps, begins) - right)

    plain = calibrate(ForecastData(held, persistence), np.ones(1))
    both = calibrate(
        ForecastData(held, persistence), np.ones(1), trained=ForecastData(train, by_heart)
    )
    assert plain is not None
    assert both is not None
    assert both.n_trained == 0
    np.testing.assert_array_equal(plain.scores, both.scores)


def test_pooled_rollouts_are_as_many_as_can_be_paid_for() -> None:
    held, train = (ForecastData(drifting([30] * n), persistence) for n in (20, 200))
    known = calibrate(held, np.ones(1), trained=train)
    assert known is not None
    assert (known.n_rollouts, known.n_trained) == (220, 200)
    limits = RolloutLimits(states=29 * 100)
    known = calibrate(held, np.ones(1), trained=train, limits=limits)
    assert known is not None
    assert (known.n_rollouts, known.n_trained) == (100, 80)
    # Three held-out trajectories do not tell whether errors are alike.
    known = calibrate(ForecastData(drifting([30] * 3), persistence), np.ones(1), trained=train)
    assert known is not None
    assert known.n_trained == 0


def test_a_level_beyond_the_rollouts_is_not_promised() -> None:
    many, few = (ranked(np.ones((n, 1, 1))) for n in (20, 3))
    assert "90%" in basis(many, 0.9)
    said = basis(few, 0.9)
    assert said.startswith("Intervals of level 0.9 need 9 calibration rollouts, there are 3")
    assert "90%" not in said


def test_errors_of_earlier_parts_are_ranked_with_the_others_where_they_are_known() -> None:
    own = rollout_errors(np.ones((4, 3, 1)))
    earlier = np.full((2, 2, 1), 5.0)
    earlier[1, 1] = np.nan
    both = own.with_other(earlier)
    steps = own.steps
    near = steps <= 2
    assert both.counts.tolist() == [4 + int(step <= 1) * 2 + int(step == 2) for step in steps]
    np.testing.assert_array_equal(both.values[4, near], earlier[0, steps[near] - 1])
    assert both.leading[4:].tolist() == [True, False]


def test_quiet_ends_of_recordings_do_not_make_narrow_intervals() -> None:
    rng = np.random.default_rng(0)
    rows = Trajectories([np.zeros((80, 1))], 1.0)
    quiet = ForecastData(
        rows, lambda starts, n, steps, begins: np.full((len(starts), len(steps), 1), 0.1)
    )
    loud = rng.standard_normal((20, 30, 1))
    alone, both = (
        calibrate(quiet, np.ones(1), earlier=part) for part in ([], [loud[:10], loud[10:]])
    )
    assert alone is not None
    assert both is not None
    assert both.quantiles(0.9).max() > 5 * alone.quantiles(0.9).max()
    assert both.n_rollouts <= 52
