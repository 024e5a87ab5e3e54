"""Errors of forecasts: against their plain definition, masked, bounded, in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from pyhits.numerics import forecast_errors
from pyhits.numerics.forecast_errors import (
    ForecastErrors,
    count_valid_steps,
    scaled_errors,
)

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((5, 40, 3))
OTHER = (TRUTH + 0.3 * RNG.standard_normal(TRUTH.shape)).astype(np.float32)
SCALE = np.array([0.5, 2.0, 1.0])


def ragged() -> np.ndarray:
    truth = TRUTH.copy()
    for k, length in enumerate((40, 3, 17, 40, 25)):
        truth[k, length:] = np.nan
    return truth


def test_means_are_over_what_is_known() -> None:
    truth = ragged()
    squares = ((OTHER.astype(np.float64) - truth) / SCALE) ** 2
    squares[:, 0] = np.nan
    found = ForecastErrors.of(truth, OTHER, SCALE)
    np.testing.assert_allclose(found.per_feature, np.nanmean(squares, axis=(0, 1)))
    np.testing.assert_allclose(found.per_step[1:], np.nanmean(squares[:, 1:], axis=(0, 2)))
    assert found.per_step[0] == 0
    assert found.mse == pytest.approx(np.nanmean(squares))
    assert found.rmse == pytest.approx(np.sqrt(np.nanmean(squares)))
    assert found.n_diverged == 0
    # All rows, and one row that stands for all times.
    still = ForecastErrors.of(TRUTH, TRUTH[:, :1], first=0)
    assert still.mse == pytest.approx(np.mean((TRUTH - TRUTH[:, :1]) ** 2))


def test_what_diverged_is_infinitely_wrong_unless_errors_are_bounded() -> None:
    lost = OTHER.copy()
    lost[1, 10:] = np.nan
    lost[3, 20, 1] = np.inf
    truth = ragged()
    found = ForecastErrors.of(truth, lost)
    # The second trajectory ends before its forecast diverges.
    assert found.diverged.tolist() == [False, False, False, True, False]
    assert found.mse == np.inf
    assert np.isfinite(found.per_feature).tolist() == [True, False, True]
    bounded = ForecastErrors.of(truth, lost, bound=2.0)
    squares = np.fmin((lost.astype(np.float64) - truth) ** 2, 2.0)[:, 1:]
    known = np.isfinite(truth[:, 1:])
    assert bounded.mse == pytest.approx(squares.mean(where=known))
    assert bounded.n_diverged == 1
    assert ForecastErrors.of(np.full((1, 4, 2), np.nan), np.zeros((1, 4, 2))).mse == np.inf


def test_rows_and_valid_steps() -> None:
    rows = np.sqrt(np.mean(scaled_errors(TRUTH, OTHER, SCALE) ** 2, 2))
    valid = count_valid_steps(TRUTH, OTHER, SCALE, 0.5)
    for own, steps in zip(rows, valid, strict=True):
        assert (own[:steps] <= 0.5).all()
        assert steps == 39 or own[steps + 1] > 0.5 or own[0] > 0.5
    assert count_valid_steps(ragged(), TRUTH, SCALE).tolist() == [39, 2, 16, 39, 24]
    assert count_valid_steps(TRUTH, TRUTH + 10, SCALE).tolist() == [0] * 5


def test_many_trajectories_are_measured_as_some_of_them() -> None:
    n = 3 * forecast_errors.AT_ONCE // (40 * 3) + 1
    truth = np.resize(ragged(), (n, 40, 3))
    other = np.resize(OTHER, (n, 40, 3))
    whole = ForecastErrors.of(truth, other, SCALE)
    parts = [ForecastErrors.of(t, o, SCALE) for t, o in zip(
        np.array_split(truth, 7), np.array_split(other, 7), strict=True
    )]  # fmt: skip
    np.testing.assert_allclose(whole.sums, sum(part.sums for part in parts), rtol=1e-12)
    np.testing.assert_array_equal(whole.counts, sum(part.counts for part in parts))
    steps = [count_valid_steps(t, o, SCALE) for t, o in zip(
        np.array_split(truth, 7), np.array_split(other, 7), strict=True
    )]  # fmt: skip
    np.testing.assert_array_equal(count_valid_steps(truth, other, SCALE), np.concatenate(steps))
