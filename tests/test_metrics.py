"""Metrics: values known by hand, what they do not depend on, and ragged or diverged rows."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import circles, quick

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import POD, DelayEmbedding, Standardise
from pyhits.errors import ArgumentError, DataError
from pyhits.evaluation import metrics

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((4, 300, 3))
OTHER = TRUTH + 0.3 * RNG.standard_normal(TRUTH.shape)
MEASURES = (metrics.nrmse, metrics.smape, metrics.spectral_distance, metrics.histogram_distance)


def ragged(rows: np.ndarray, lengths: tuple[int, ...]) -> np.ndarray:
    """The same rows, each trajectory ended with NaN."""
    rows = rows.copy()
    for k, length in enumerate(lengths):
        rows[k, length:] = np.nan
    return rows


def test_smape_by_hand():
    truth, predicted = (
        np.array([[1.0], [0.0], [-2.0], [3.0]]),
        np.array([[3.0], [0.0], [2.0], [3.0]]),
    )
    assert metrics.smape(truth, predicted) == pytest.approx((100 + 0 + 200 + 0) / 4)
    assert metrics.smape(predicted, truth) == metrics.smape(truth, predicted)
    assert metrics.smape(7 * TRUTH, 7 * OTHER) == pytest.approx(metrics.smape(TRUTH, OTHER))
    for lost in (np.nan, np.inf):
        assert metrics.smape(truth, np.full_like(truth, lost)) == 200
    assert 0 < metrics.smape(TRUTH, OTHER) < 200


def test_smape_is_the_same_in_blocks():
    short = ragged(TRUTH, (300, 40, 7, 100))
    whole = metrics.smape(short, OTHER)
    assert metrics.smape(short, OTHER, block=97) == pytest.approx(whole, rel=1e-13)


def test_nrmse_by_hand():
    truth = np.array([[0.0, 10.0], [2.0, 10.0]])
    predicted = truth + np.array([1.0, 0.5])
    # Standard deviation 1 of the first feature; the second is constant and counts as it is.
    assert metrics.nrmse(truth, predicted) == pytest.approx(np.sqrt((1 + 0.25) / 2))
    assert metrics.nrmse(truth, predicted, np.array([2.0, 0.5])) == pytest.approx(
        np.sqrt((0.25 + 1) / 2)
    )
    assert metrics.nrmse(3 * TRUTH + 5, 3 * OTHER + 5) == pytest.approx(metrics.nrmse(TRUTH, OTHER))
    assert metrics.nrmse(truth, np.full_like(truth, np.nan)) == np.inf


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.__name__)
def test_what_all_measures_share(measure):
    assert measure(TRUTH, TRUTH) == 0
    assert measure(TRUTH, OTHER) > 0
    lengths = (300, 100, 64, 40)
    short, other = ragged(TRUTH, lengths), ragged(OTHER, lengths)
    found = measure(short, OTHER)
    # What the forecast says where nothing was recorded is not looked at.
    assert found == measure(short, other)
    assert np.isfinite(found)
    shuffled = [2, 0, 3, 1]
    assert measure(TRUTH[shuffled], OTHER[shuffled]) == pytest.approx(measure(TRUTH, OTHER))
    lost = OTHER.copy()
    lost[1, 200:] = np.nan
    assert measure(TRUTH, lost) in (np.inf, pytest.approx(metrics.smape(TRUTH, lost)))
    with pytest.raises(DataError, match="of one shape"):
        measure(TRUTH, OTHER[:, :10])
    with pytest.raises(DataError, match="no value of the truth is finite"):
        measure(np.full((1, 64, 2), np.nan), np.ones((1, 64, 2)))


def test_valid_times_in_the_users_unit_and_in_lyapunov_times():
    truth = np.zeros((2, 11, 1))
    predicted = truth.copy()
    predicted[0, 6:] = 0.5
    scale = np.ones(1)
    np.testing.assert_array_equal(metrics.valid_time(truth, predicted, scale, 0.1), [0.5, 1.0])
    np.testing.assert_allclose(
        metrics.valid_time(truth, predicted, scale, 0.1, lyapunov=0.9), [0.45, 0.9]
    )
    np.testing.assert_array_equal(
        metrics.valid_time(truth, predicted, scale, 0.1, threshold=0.6), [1.0, 1.0]
    )
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(ArgumentError, match="lyapunov"):
            metrics.valid_time(truth, predicted, scale, 0.1, lyapunov=wrong)


def test_spectral_distance_tells_frequencies_and_energies():
    t = np.arange(1024)[:, None]
    waves = np.hstack([np.sin(0.2 * t), np.sin(0.31 * t)])
    noise = 0.01 * RNG.standard_normal(waves.shape)
    # Ten times the amplitude is two decades of energy, offsets are none, and phases no matter.
    assert metrics.spectral_distance(TRUTH, 10 * TRUTH) == pytest.approx(2.0)
    assert metrics.spectral_distance(TRUTH, TRUTH + 50) == pytest.approx(0.0, abs=1e-9)
    late = np.hstack([np.sin(0.2 * t + 2), np.sin(0.31 * t + 1)])
    assert metrics.spectral_distance(waves, late) < 0.05
    fast = np.hstack([np.sin(0.4 * t), np.sin(0.62 * t)])
    assert metrics.spectral_distance(waves + noise, fast + noise) > 0.3
    pair = TRUTH, OTHER
    assert metrics.spectral_distance(*pair) == pytest.approx(metrics.spectral_distance(*pair[::-1]))


def test_spectral_distance_along_space():
    rows = RNG.standard_normal((200, 64))
    assert metrics.spectral_distance(rows, 10 * rows, along="space") == pytest.approx(2.0)
    assert metrics.spectral_distance(rows, rows[::-1], along="space") == pytest.approx(
        0.0, abs=1e-12
    )
    assert metrics.spectral_distance(
        rows, np.roll(rows, 9, axis=1), along="space"
    ) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ArgumentError, match="did you mean 'space'"):
        metrics.spectral_distance(rows, rows, along="spaces")


def test_constants_and_short_rows_have_no_spectrum():
    flat = np.full((1, 64, 2), 101325.3)
    assert metrics.spectral_distance(flat, flat + 1) == 0
    mixed = np.concatenate([flat[..., :1], TRUTH[:1, :64, :1]], axis=2)
    assert metrics.spectral_distance(mixed, mixed * [1, 10]) == pytest.approx(2.0)
    with pytest.raises(DataError, match="takes 32 rows; the longest trajectory has 31"):
        metrics.spectral_distance(TRUTH[:, :31], OTHER[:, :31])


def test_histogram_distance_by_hand():
    assert metrics.histogram_distance(TRUTH, TRUTH + 3) == pytest.approx(3.0)
    assert metrics.histogram_distance(TRUTH, TRUTH + 3, np.full(3, 2.0)) == pytest.approx(1.5)
    assert metrics.histogram_distance(TRUTH, TRUTH[:, ::-1]) == 0
    assert metrics.histogram_distance(TRUTH, OTHER) == metrics.histogram_distance(OTHER, TRUTH)
    swapped = TRUTH[..., [1, 0, 2]] + np.array([5.0, 0.0, 0.0])
    assert metrics.histogram_distance(TRUTH, swapped) > 1
    rows = RNG.standard_normal((200, 64))
    assert metrics.histogram_distance(rows, rows[:, ::-1], pooled=True) == 0
    assert metrics.histogram_distance(rows, rows + 3, pooled=True) == pytest.approx(3.0)


def fields(n: int, n_steps: int, seed: int = 0) -> Trajectories:
    """A circle's coordinates on two patterns, and a third pattern of their product."""
    circle = circles(n, n_steps, seed=seed).to_array()
    amplitudes = np.concatenate([circle, 0.3 * circle[..., :1] * circle[..., 1:]], axis=2)
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((20, 3)))[0].T
    return Trajectories(amplitudes @ patterns, 0.1)


def test_an_evaluation_tells_what_the_encoder_loses_from_what_stepping_does():
    model = quick(step_sizes=[1, 4], encoder=POD(2)).fit(fields(20, 60))
    test = fields(3, 80, seed=5)
    found = model.evaluate(test)
    pod = model.encoder_
    kept = pod.inverse_transform(pod.transform(test.to_array()))
    scale, truth = model.summary_.std, test.to_array()
    states = model.forecast(test, 80)
    assert found.reconstruction_nrmse == pytest.approx(
        metrics.nrmse(truth[:, 1:], kept[:, 1:], scale)
    )
    assert found.stepping_nrmse == pytest.approx(metrics.nrmse(kept[:, 1:], states[:, 1:], scale))
    # The two are orthogonal here: what the modes leave out does not lie in their span.
    assert found.stepping_nrmse < 0.2 * found.reconstruction_nrmse < found.nrmse < 1
    assert found.smape == pytest.approx(metrics.smape(truth[:, 1:], states[:, 1:]))
    assert found.spectral_distance == pytest.approx(
        metrics.spectral_distance(truth[:, 1:], states[:, 1:])
    )
    assert found.histogram_distance == pytest.approx(
        metrics.histogram_distance(truth[:, 1:], states[:, 1:], scale)
    )
    text = str(found)
    assert "reconstruction" in text
    assert "decades away" in text
    one_by_one = [test[k][: 81 - 20 * k] for k in range(3)]
    ragged_found = model.evaluate(Trajectories(one_by_one, 0.1))
    assert 0 < ragged_found.reconstruction_nrmse < 1
    assert ragged_found.as_dict()["stepping_nrmse"] == ragged_found.stepping_nrmse


@pytest.mark.parametrize("encoder", [None, Standardise(), DelayEmbedding(2), POD(3)], ids=repr)
def test_an_encoder_that_keeps_everything_has_no_errors_of_its_own(encoder):
    model = quick(step_sizes=[1, 2], encoder=encoder, max_steps=5).fit(circles_of_three())
    found = model.evaluate(circles_of_three(), n_steps=20, lyapunov=0.5)
    assert found.reconstruction_nrmse is None
    assert found.stepping_nrmse is None
    assert found.spectral_distance is None  # 20 rows are too few
    assert "reconstruction" not in str(found)
    assert f"{found.valid_time * 0.5:.3g} Lyapunov times" in str(found)


def circles_of_three() -> Trajectories:
    circle = circles(6, 60).to_array()
    return Trajectories(np.concatenate([circle, circle[..., :1] ** 2], axis=2), 0.1)


def test_a_forecast_that_is_wrong_from_the_first_row_on_is_valid_for_no_time() -> None:
    truth = np.zeros((1, 5, 1))
    assert metrics.valid_time(truth, truth + 10, np.ones(1), 0.5).tolist() == [0.0]
