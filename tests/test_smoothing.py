"""Errors of few overlapping rollouts: sizes from neighbouring steps, shapes between two."""

from __future__ import annotations

import numpy as np
import pytest

from pyhits.forecasting.uncertainty.conformal import Calibration
from pyhits.forecasting.uncertainty.ranking import RolloutErrors, smoothed_scores

STEPS = np.array([1, 2, 3, 5, 8, 12, 20])


def errors_of(n: int, seed: int = 0) -> RolloutErrors:
    """Normal errors that grow as a random walk's."""
    normal = np.random.default_rng(seed).standard_normal((n, len(STEPS), 2))
    values = np.abs(normal) * np.sqrt(STEPS)[:, None] * np.array([1.0, 10.0])
    return RolloutErrors(values, np.ones(values.shape[:2], bool), STEPS, np.arange(n) == 0)


@pytest.mark.parametrize("worth", [5.0, 500.0])
def test_widths_are_those_of_the_distribution(worth: float) -> None:
    """Student's of few, normal ones of many: at 90 % 2.015 and 1.645 standard deviations.

    And a tenth more, since the errors have chosen weights.
    """
    found = Calibration.from_errors(
        errors_of(400), np.ones(2), worth=np.full(len(STEPS), worth), smooth=True
    )
    expected = 1.1 * np.sqrt(STEPS)[:, None] * [1.0, 10.0] * (2.015 if worth == 5.0 else 1.648)
    # Steps within a factor of two tell together, so the first and the last are off a little.
    np.testing.assert_allclose(found.quantiles(0.9), expected, rtol=0.3)
    np.testing.assert_allclose(found.quantiles(0.9)[3], expected[3], rtol=0.12)
    assert (np.diff(found.quantiles(0.9), axis=0) >= 0).all()
    assert found.worth == int(worth)


def test_one_step_of_luck_does_not_narrow_an_interval() -> None:
    errors = errors_of(12)
    errors.values[:, 3] = 1e-3
    found = smoothed_scores(errors, np.full(len(STEPS), 4.0))
    assert (found[:, 3] >= found[:, 2]).all()


def test_what_diverged_and_what_is_not_recorded_rank_last() -> None:
    errors = errors_of(20)
    errors.values[:3, -1] = np.inf
    errors.values[4:, 0] = np.nan
    known = errors.known.copy()
    known[4:, 0] = False
    errors = RolloutErrors(errors.values, known, STEPS, errors.leading)
    found = smoothed_scores(errors, np.full(len(STEPS), 6.0))
    assert np.isfinite(found[:17, -1]).all()
    assert np.isinf(found[17:, -1]).all()
    assert np.isfinite(found[:4, 0]).all()
    assert np.isinf(found[4:, 0]).all()
    assert (found[1:] >= found[:-1]).all()


def test_exact_forecasts_have_no_width() -> None:
    errors = errors_of(10)
    errors.values[:] = 0.0
    assert (smoothed_scores(errors, np.full(len(STEPS), 3.0)) == 0).all()
