"""Measures of long runs: values known by hand, what they do not depend on, and lost forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from pyhits.errors import DataError
from pyhits.evaluation.long_runs import (
    hellinger_distance,
    joint_histogram_distance,
    state_space_divergence,
)

RNG = np.random.default_rng(0)
MEASURES = (state_space_divergence, hellinger_distance, joint_histogram_distance)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.__name__)
@pytest.mark.parametrize("d", [2, 8])
def test_equal_runs_do_not_differ_and_lost_ones_do(measure, d):
    rows = RNG.standard_normal((2, 300, d))
    assert measure(rows, rows) == pytest.approx(0, abs=1e-7)
    assert measure(rows[0], rows[:1]) == pytest.approx(0, abs=1e-7)
    lost = rows.copy()
    lost[1, 200:] = np.nan
    assert measure(rows, lost) == (np.inf if measure is state_space_divergence else 1.0)
    with pytest.raises(DataError, match="without gaps"):
        measure(lost, rows)
    with pytest.raises(DataError, match="same features"):
        measure(rows, rows[..., :1])


def test_divergence_in_boxes_by_hand():
    truth = np.array([[0.0], [0.1], [0.9], [1.0]])
    predicted = np.array([[0.2], [0.3], [0.4], [0.8]])
    expected = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert state_space_divergence(truth, predicted, bins=2) == pytest.approx(expected, rel=1e-3)
    # States outside of the truth's range leave the boxes with less.
    outside = np.array([[0.2], [0.8], [7.0], [-7.0]])
    assert state_space_divergence(truth, outside, bins=2) == pytest.approx(np.log(2), rel=1e-3)


@pytest.mark.parametrize("d", [4, 10])
def test_mixtures_of_shifted_normal_states_differ_as_normal_distributions(d):
    """Widened by variance 1, both have variance 2: the divergence is |shift|^2 / 4."""
    truth = RNG.standard_normal((8_000, d))
    shift = np.zeros(d)
    shift[0] = 1.0
    predicted = RNG.standard_normal((8_000, d)) + shift
    found = state_space_divergence(truth, predicted, n_samples=2000)
    assert found == pytest.approx(0.25, abs=0.08)
    assert state_space_divergence(7 * truth, 7 * predicted, n_samples=2000) == pytest.approx(found)


def test_order_in_time_does_not_count_for_states():
    rows = RNG.standard_normal((400, 7))
    assert state_space_divergence(rows, rows[::-1]) == pytest.approx(0, abs=1e-7)


def test_spectra_of_waves():
    t = np.arange(2000)[:, None]
    slow, fast = np.sin(0.1 * t), np.sin(1.5 * t)
    assert hellinger_distance(slow, fast, smoothing=2) == pytest.approx(1, abs=0.05)
    assert hellinger_distance(slow, np.cos(0.1 * t), smoothing=2) < 0.05
    assert hellinger_distance(slow, 3 * slow + 5) == pytest.approx(0, abs=1e-6)
    both = np.concatenate([slow, slow], axis=1), np.concatenate([slow, fast], axis=1)
    assert hellinger_distance(*both, smoothing=2) == pytest.approx(0.5, abs=0.03)


def test_constants_have_no_spectrum():
    wave, still = np.sin(0.1 * np.arange(500))[:, None], np.full((500, 1), 0.1)
    assert hellinger_distance(still, still + 1) == 0
    assert hellinger_distance(still, wave) == 1
    with pytest.raises(DataError, match="as many rows"):
        hellinger_distance(wave, wave[1:])


def test_joint_histograms_see_what_values_alone_do_not():
    x = 2 * np.pi * np.arange(40) / 40
    phases = RNG.uniform(0, 2 * np.pi, (300, 1))
    long, short = np.sin(x + phases), np.sin(8 * x + phases)
    assert joint_histogram_distance(long, short) > 0.9
    assert joint_histogram_distance(long, np.roll(long, 7, axis=1)) == pytest.approx(0, abs=1e-12)
    assert joint_histogram_distance(long, long + 100) == 1
