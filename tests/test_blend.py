"""Forecasts blended by horizon: weights, what is asked with which rows, files, and when not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import circles, quick

import pyhits
from pyhits.baselines.chosen import LIMITS
from pyhits.baselines.origins import OriginLimits, Origins, folds_of
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DivergenceError
from pyhits.fit.blending import weighed
from pyhits.fit.weighing import best_weights, column_weights, second_moments
from pyhits.forecasting.blend import Blend, Bounds
from pyhits.timestepper import TimeStepper


def growing(n: int = 150) -> np.ndarray:
    t = np.arange(n)
    rows = 0.3 * t + 4 * np.sin(2 * np.pi * t / 12)
    return (rows + 0.3 * np.random.default_rng(1).standard_normal(n))[:, None]


@pytest.fixture(scope="module")
def trend() -> TimeStepper:
    """A model that cannot follow a trend, with baselines that can."""
    model = quick(step_sizes=[1], encoder=[]).fit(growing()[:126]).stepper_
    assert model is not None
    return model


def weights_of(errors: np.ndarray, worth: float, steps: tuple[int, ...] = (1,)) -> np.ndarray:
    """Weights from errors at so many independent origins, where the first is the simplest."""
    prior = np.arange(len(errors), 0.0, -1.0)
    at = np.array(steps)
    return best_weights(second_moments(errors, at)[:, None], np.full(len(at), worth), prior)[:, 0]


def test_weights_are_those_of_least_squares_where_origins_are_many() -> None:
    rng = np.random.default_rng(0)
    errors = rng.standard_normal((3, 400, 1, 1)) * np.array([1.0, 1.4, 9.0])[:, None, None, None]
    weights = weights_of(errors, 400)[0]
    assert weights.sum() == pytest.approx(1.0)
    # Independent errors have weights as one over their squares; what is far off has none.
    assert weights[0] == pytest.approx(1.96 / 2.96, abs=0.06)
    assert weights[2] == 0


def test_few_origins_leave_most_of_the_weight_to_the_simplest() -> None:
    rng = np.random.default_rng(1)
    errors = rng.standard_normal((2, 400, 12, 1)) * np.array([1.5, 1.0])[:, None, None, None]
    few, many = (weights_of(errors, worth, (12,))[0, 0] for worth in (2, 400))
    assert few > 0.5 > many
    # What short horizons tell counts at long ones.
    errors[0, :, :3] /= 9
    assert weights_of(errors, 9, (1, 12))[1, 0] > 1.3 * weights_of(errors, 9, (12,))[0, 0]


def test_each_feature_has_weights_of_its_own() -> None:
    rng = np.random.default_rng(2)
    errors = rng.standard_normal((2, 400, 12, 2))
    errors[0, ..., 1] *= 1e-6
    at, prior = np.array([1, 4]), np.ones(2)
    weights = column_weights(errors, at, np.full(2, 30.0), prior)
    assert weights.shape == (2, 2, 2)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights[:, :, 1], [[1, 0]] * 2, atol=1e-4)
    assert (weights[:, 1, 0] > 0.3).all()
    # Features of one kind tell of each other.
    alike = column_weights(np.repeat(errors[..., :1], 2, axis=3), at, np.full(2, 3.0), prior)
    np.testing.assert_allclose(alike[..., 0], alike[..., 1], atol=1e-9)
    # What is nowhere recorded has the weights of the others.
    errors[..., 1] = np.nan
    blank = column_weights(errors, at, np.full(2, 400.0), prior)
    np.testing.assert_allclose(blank[..., 1], blank[..., 0], atol=0.05)


@pytest.mark.slow
def test_a_season_is_not_blended_because_a_noise_beside_it_is() -> None:
    t = np.arange(500)
    noise = np.random.default_rng(4).standard_normal(500)
    rows = np.stack([np.sin(2 * np.pi * t / 24) + 0.3 * np.sin(2 * np.pi * t / 8), noise], axis=1)
    model = quick(step_sizes=[1], flow_map="polynomial").fit(rows[:420]).stepper_
    assert model is not None
    ahead = model.forecast_from(rows[:420], 40)
    assert np.abs(ahead - rows[419:460])[:, 0].max() < 0.03
    assert np.sqrt(np.square(ahead - rows[419:460])[1:, 1].mean()) < 1.2 * noise.std()


def test_what_is_all_but_exact_has_all_the_weight() -> None:
    errors = np.ones((3, 9, 4, 2)) * np.array([1.0, 1e-13, 0.5])[:, None, None, None]
    np.testing.assert_allclose(weights_of(errors, 2, (1, 3)), [[0, 1, 0]] * 2, atol=1e-4)
    errors[1, 0, 0] = np.nan  # diverged once
    assert weights_of(errors, 99)[0, 2] > 0.5


def test_a_random_walk_stays_where_it_is() -> None:
    rows = np.random.default_rng(5).standard_normal((200, 1)).cumsum(axis=0)
    model = quick(step_sizes=[1], flow_map="polynomial", encoder=[]).fit(rows[:150]).stepper_
    assert model is not None
    errors = []
    for at in range(149, 185):
        ahead = model.forecast_from(rows[: at + 1], 15, interval=0.9)
        truth = rows[at : at + 16]
        inside = (ahead.low <= truth) & (truth <= ahead.high)
        errors.append(
            [np.abs(ahead.states - truth).mean(), np.abs(rows[at] - truth).mean(), inside.mean()]
        )
    ours, still, covered = np.mean(errors, axis=0)
    assert ours < 1.05 * still
    assert covered > 0.85


@pytest.mark.parametrize(
    ("error", "noise", "is_alone"),
    [(0.001, 0.014, True), (0.01, 0.01, False), (5e-4, 5e-4, True)],
)
def test_what_is_clearly_right_now_may_have_been_lost_with_fewer_rows(
    error: float, noise: float, is_alone: bool
) -> None:
    """Beside baselines that err by the noise: clearly better, as good, and nearly exact."""
    rng = np.random.default_rng(3)
    rows = np.sin(0.3 * np.arange(200))[:, None] + noise * rng.standard_normal((200, 1))
    train = Trajectories([rows[:160]], 1.0)
    known = RecordingBaselines.fit(train)
    origins = Origins.of([rows], [159], OriginLimits(rows=100, horizon=12, most=8))
    folds = folds_of(list(train), LIMITS)
    right = origins.truth + error * rng.standard_normal(origins.truth.shape)
    lost = [np.full_like(fold.origins.truth, 5.0) for fold in folds]
    found, _ = weighed(known, origins, folds, [right, *lost], rows.std(axis=0))
    assert (found is None) == is_alone


def test_blends_are_weighted_means_of_what_the_rows_allow(trend: TimeStepper) -> None:
    known = trend.recording_baselines
    assert known is not None
    weights = np.array([[0.5, 0.5, 0.0], [0.2, 0.0, 0.8]])[:, :, None]
    blend = Blend(("persistence", "ar"), np.array([1, 3]), weights, np.ones((2, 3)))
    rows, positions = growing()[:126], np.arange(5.0)
    states = np.full((2, 5, 1), 7.0)
    found = blend.blended(states, [rows, rows[-2:]], positions, known)
    asked = known.forecasters(rows[None])
    still, ar = (asked[kind].forecaster(rows[-1:], 4)[0] for kind in ("persistence", "ar"))
    np.testing.assert_allclose(found[0, 1], 0.5 * 7 + 0.5 * still[1])
    np.testing.assert_allclose(found[0, 2], 0.35 * 7 + 0.25 * still[2] + 0.4 * ar[2])
    np.testing.assert_allclose(found[0, 4], 0.2 * 7 + 0.8 * ar[4])
    # Few rows are not enough for the autoregression, which would have decided: the model is alone.
    np.testing.assert_allclose(found[1, 3:], 7.0)
    np.testing.assert_allclose(found[1, 2], (0.35 * 7 + 0.25 * rows[-1]) / 0.6)
    single = blend.blended(states, [rows, rows[-1:]], positions, known)
    np.testing.assert_array_equal(single[1], states[1])
    bounds = Bounds(np.array([-1.0]), np.array([2.0]), 126)
    np.testing.assert_allclose(
        blend.blended(states - 500, [rows, rows], positions, known, bounds)[0, 4], ar[4]
    )
    lost = states.copy()
    lost[0, 2:] = np.nan
    np.testing.assert_allclose(blend.blended(lost, [rows, rows], positions, known)[0, 4], ar[4])
    between = blend.blended(states[:, :1], [rows, rows], np.array([3.5]), known)
    np.testing.assert_allclose(between[0, 0], 0.2 * 7 + 0.8 * (ar[3] + ar[4]) / 2)


def test_baselines_that_look_at_the_last_row_alone_take_part(trend: TimeStepper) -> None:
    weights = np.array([[[0.0], [1.0]]])
    still = replace(trend, blend=Blend(("persistence",), np.array([1]), weights, np.ones((1, 3))))
    rows = growing()[:126]
    np.testing.assert_allclose(still.forecast_from(rows, 4), np.repeat(rows[-1:], 5, axis=0))
    # From one row alone it is the model that forecasts.
    np.testing.assert_array_equal(still.forecast(rows[-1], 4), trend.forecast(rows[-1], 4))


def test_a_recording_with_a_trend_is_not_left_to_a_model_that_knows_none(
    trend: TimeStepper, tmp_path: Any
) -> None:
    rows = growing()
    assert trend.blend is not None
    assert any("Forecasts from recordings are blended" in note for note in trend.notes)
    ahead = trend.forecast_from(rows[:126], 24)
    alone = replace(trend, blend=None).forecast_from(rows[:126], 24)
    error, without = (np.abs(one - rows[125:])[1:].mean() for one in (ahead, alone))
    assert error < 0.7
    assert error < 0.4 * without
    later = trend.forecast_from(rows[:126], t=[3.0, 7.5])
    np.testing.assert_allclose(later[0], ahead[3])
    again = pyhits.load(trend.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.forecast_from(rows[:126], 24), ahead)
    several = trend.forecast_from([rows[:126], rows[40:120]], 24)
    np.testing.assert_allclose(several[0], ahead, rtol=1e-9)
    # The blend is what evaluations measure; single scales and states are the model's.
    result = trend.evaluate(rows[126 - trend.blended_rows :], given=trend.blended_rows)
    assert result.nrmse < 1.2 * min(scores.nrmse for scores in result.baselines.values())
    size = list(trend.selection.step_sizes)
    np.testing.assert_allclose(trend.forecast_from(rows[:126], 24, step_sizes=size), alone)


def test_a_trend_goes_on_far_beyond_what_was_recorded() -> None:
    rows = growing(500)
    model = quick(step_sizes=[1], flow_map="polynomial", encoder=[]).fit(rows[:200]).stepper_
    assert model is not None
    ahead = model.forecast_from(rows[:200], 300)
    assert np.abs(ahead - rows[199:]).max() < 0.15 * np.ptp(rows)


def test_where_everything_leaves_the_bounds_the_model_goes_along_their_edge() -> None:
    bounds = Bounds(np.array([0.0]), np.array([1.0]), 10)
    known, positions = np.zeros((1, 4, 1)), np.array([0.0, 5.0, 20.0])
    states = np.array([[[0.0], [9.0], [1e9]]])
    np.testing.assert_allclose(bounds.held(states, known, positions)[0, :, 0], [0.0, 2.0, 3.5])
    assert bounds.is_lost(states, known, positions)[0, :, 0].tolist() == [False, True, True]
    lost = np.array([[[0.0], [np.nan], [np.nan]]])
    np.testing.assert_array_equal(bounds.held(lost, known, positions), lost)


def test_diverged_models_are_raised_unless_baselines_go_on(trend: TimeStepper) -> None:
    assert trend.blend is not None
    only = np.zeros_like(trend.blend.weights)
    only[:, 0] = 1.0
    lost = replace(trend, blend=replace(trend.blend, weights=only))
    far = growing()[:126] * 1e9
    with pytest.raises(DivergenceError):
        lost.forecast_from(far, 400)


def test_a_model_that_is_clearly_better_forecasts_alone() -> None:
    rows = circles(1, 300)[0]
    model = quick(flow_map="polynomial", step_sizes=[1, 4]).fit(rows, dt=0.1).stepper_
    assert model is not None
    assert model.recording_baselines is not None
    if model.blend is None:
        alone = replace(model, recording_baselines=None)
        np.testing.assert_array_equal(model.forecast(rows[0], 50), alone.forecast(rows[0], 50))
    many = quick(step_sizes=[1]).fit(circles(8, 40)).stepper_
    assert many is not None
    assert many.blend is None
    assert many.recording_baselines is None


def test_other_couplings_are_not_blended_and_files_are_checked(trend: TimeStepper) -> None:
    assert trend.blend is not None
    plain, state = trend.blend.plain(), trend.blend.state()
    again = Blend.from_stored(plain, state)
    np.testing.assert_array_equal(again.at(np.array([2.5])), trend.blend.at(np.array([2.5])))
    for wrong in (
        {"weights": state["weights"] * 2},
        {"weights": -state["weights"]},
        {"steps": state["steps"][::-1]},
        {"errors": state["errors"][:, :2]},
    ):
        with pytest.raises(ValueError, match="its blend"):
            Blend.from_stored(plain, {**state, **wrong})
    known = RecordingBaselines.fit(Trajectories([growing()], 1.0))
    assert known is not None
    assert known.n_rows >= trend.blended_rows > 1


@pytest.mark.parametrize("lengths", [(150,), (90, 150)])
def test_intervals_rest_on_rows_that_were_not_learned_from(lengths: tuple[int, ...]) -> None:
    """Neither the blend's forecasts nor, coupled anew, the model's start where it was trained."""
    data = [growing(n) for n in lengths]
    model = quick(step_sizes=[1, 2], encoder=[]).fit(data).stepper_
    assert model is not None
    assert model.blend is not None
    assert model.held_out is not None
    held = [n // 5 for n in lengths]
    rows = max(model.start_rows, model.blended_rows)
    assert model.held_out.known == rows
    assert model.held_out.data.lengths.tolist() == [rows + n for n in held]
    for found in (model, model.coupled([1]), model.coupled([2])):
        assert found.calibration is not None
        assert found.calibration.horizon == max(held) // 2
    alone = model.coupled([1] if model.selection.step_sizes != (1,) else [1, 2])
    assert alone.blend is None
    assert alone.calibration is not None
    # Every start from the last row before the cut to half of what was held out.
    assert alone.calibration.n_rollouts == sum(n - min(n, max(held) // 2) + 1 for n in held)


def test_calibrating_on_recordings_shorter_than_baselines_look_at(trend: TimeStepper) -> None:
    assert trend.blended_rows > 20
    found = trend.calibrated([growing(24)] * 12).calibration
    assert found is not None
    assert (found.horizon, found.n_rollouts) == (12, 12)
