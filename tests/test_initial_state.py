"""Starts on noisy recordings: the state that the model's own steps explain best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import circles, quick, rotation, settled
from typer.testing import CliRunner

import pyhits
from pyhits import Trajectories
from pyhits.cli.app import app
from pyhits.coordinates.starts import last_rows
from pyhits.encoders import POD, DelayEmbedding
from pyhits.errors import ArgumentError
from pyhits.noise import estimate_initial_states
from pyhits.noise.initial_state import ROWS

TURN = rotation(0.1)


def turning(states: np.ndarray, n_steps: int) -> np.ndarray:
    """The exact flow of the oscillator, as a model's stepper."""
    out = [states]
    for _ in range(n_steps):
        out.append(out[-1] @ TURN.T)
    return np.stack(out, axis=1)


def recordings(
    lengths: list[int], sigma: np.ndarray, seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Noisy ones, and their true last states."""
    rng = np.random.default_rng(seed)
    clean = [circles(1, n - 1, seed=k)[0] for k, n in enumerate(lengths)]
    noisy = [x + sigma * rng.standard_normal(x.shape) for x in clean]
    return noisy, np.stack([x[-1] for x in clean])


def test_ends_have_the_error_that_theory_says():
    sigma = np.array([0.03, 0.03])
    noisy, last = recordings([70] * 400, sigma)
    ends = estimate_initial_states(turning, noisy, sigma, np.ones(2))
    # A rotation keeps errors as they are: 64 rows of two numbers tell the two of a state.
    full = ends.rows == 64
    assert full.mean() > 0.9
    error = np.sqrt(np.mean(np.square(ends.states[full] - last[full])))
    assert error == pytest.approx(0.03 / np.sqrt(64), rel=0.1)
    again = estimate_initial_states(turning, noisy[:3], sigma, np.ones(2))
    np.testing.assert_allclose(again.states, ends.states[:3], rtol=1e-9)


def test_coordinates_count_by_their_own_noise():
    sigma = np.array([0.1, 0.01])
    noisy, last = recordings([40] * 200, sigma)
    weighted = estimate_initial_states(turning, noisy, sigma, np.ones(2))
    alike = estimate_initial_states(turning, noisy, np.array([0.1, 0.1]), np.ones(2))
    one, other = (np.median(np.square(e.states - last)) for e in (weighted, alike))
    # Each row tells (1 / 0.01 + 1 / 0.0001) / 2 of each coordinate, as the motion turns them.
    error = 1 / (32 * (100 + 10_000) / 2)
    assert one == pytest.approx(0.455 * error, rel=0.25)  # 0.455: the median of chi squared
    assert one < 0.1 * other


def test_ragged_recordings_and_short_ones():
    sigma = np.full(2, 0.03)
    noisy, last = recordings([300, 5, 20, 2, 8], sigma)
    noisy[3] = noisy[3][1:]
    ends = estimate_initial_states(turning, noisy, sigma, np.ones(2))
    assert ends.rows[0] == ROWS[-1]
    np.testing.assert_array_equal(ends.rows[[1, 3]], 0)
    np.testing.assert_array_equal(ends.states[[1, 3]], np.stack([noisy[k][-1] for k in (1, 3)]))
    assert ends.rows[2] == 16
    assert ends.rows[4] == 8
    np.testing.assert_allclose(ends.states[[0, 2, 4]], last[[0, 2, 4]], atol=0.04)
    alone = estimate_initial_states(turning, noisy[2:3], sigma, np.ones(2))
    np.testing.assert_allclose(alone.states[0], ends.states[2], rtol=1e-9)


def test_rows_that_the_model_does_not_follow_stay():
    sigma = np.full(2, 0.03)
    noisy, _ = recordings([60] * 9, sigma)

    def wrong(states: np.ndarray, n_steps: int) -> np.ndarray:
        return np.repeat(states[:, None], n_steps + 1, axis=1)

    def lost(states: np.ndarray, n_steps: int) -> np.ndarray:
        return np.full((len(states), n_steps + 1, 2), np.nan)

    for stepper in (wrong, lost):
        ends = estimate_initial_states(stepper, noisy, sigma, np.ones(2))
        np.testing.assert_array_equal(ends.rows, 0)
        np.testing.assert_array_equal(ends.states, np.stack([x[-1] for x in noisy]))


def test_a_model_a_little_wrong_is_followed_over_fewer_rows():
    sigma = np.full(2, 0.03)
    noisy, last = recordings([256] * 40, sigma)
    slow = rotation(0.1005)

    def drifting(states: np.ndarray, n_steps: int) -> np.ndarray:
        out = [states]
        for _ in range(n_steps):
            out.append(out[-1] @ slow.T)
        return np.stack(out, axis=1)

    ends = estimate_initial_states(drifting, noisy, sigma, np.ones(2))
    assert 16 <= np.median(ends.rows) < 256
    assert np.sqrt(np.mean(np.square(ends.states - last))) < 0.5 * 0.03


def test_clean_recordings_stay():
    clean, last = recordings([100] * 5, np.zeros(2))
    ends = estimate_initial_states(turning, clean, np.full(2, 0.03), np.ones(2))
    np.testing.assert_array_equal(ends.states, last)
    np.testing.assert_array_equal(ends.rows, 0)


def test_the_rows_looked_at_end_at_a_gap():
    rows = np.arange(40.0).reshape(20, 2)
    assert len(last_rows(rows, 2)) == 2
    assert len(last_rows(rows, 2, 256)) == 20
    rows[12, 1] = np.nan
    np.testing.assert_array_equal(last_rows(rows, 2, 256), rows[13:])
    np.testing.assert_array_equal(last_rows(np.stack([rows, rows + 1]), 2, 9)[1], rows[13:] + 1)
    rows[19] = np.nan
    assert len(last_rows(rows, 2, 256)) == 2  # which is refused later, by its place


# Models


def fitted_to_noise(name: str, dt: float) -> pyhits.HiTS:
    data = settled(name, 6, 300, 1, dt)
    noisy = data.with_values(jittered(data.values, 0.015 * data.values.std(axis=0), 3))
    return quick(step_sizes=[1, 4], dtype="float64").fit(noisy)


def jittered(values: np.ndarray, sigma: np.ndarray, seed: int) -> np.ndarray:
    return values + sigma * np.random.default_rng(seed).standard_normal(values.shape)


@pytest.fixture(
    scope="module",
    params=[pytest.param(("van-der-pol", 0.05), marks=pytest.mark.slow), ("lorenz", 0.01)],
    ids=lambda p: p[0],
)
def noisy_case(request) -> tuple[pyhits.HiTS, Trajectories, Trajectories, Trajectories]:
    """A model of noisy data, clean and noisy recordings of 100 rows, and what comes after."""
    model = fitted_to_noise(*request.param)
    whole = settled(request.param[0], 30, 180, 2, request.param[1])
    past, rest = whole.split_time(80, overlap=1)
    sigma = 0.015 * whole.values.std(axis=0)
    return model, past, past.with_values(jittered(past.values, sigma, 5)), rest


def test_forecasts_from_noisy_recordings_are_five_times_as_good(noisy_case):
    model, _, noisy, rest = noisy_case
    assert (model.noise_ > 0).all()
    truth, scale = rest.to_array(), model.summary_.std
    smooth, raw = (
        model.forecast_from(noisy, 80, denoise_start=how, on_divergence="return")
        for how in (None, False)
    )
    np.testing.assert_array_equal(raw[:, 0], noisy.to_array()[:, -1])
    errors = [np.sqrt(np.square((s - truth) / scale).mean(axis=(1, 2))) for s in (smooth, raw)]
    assert np.median(errors[1] / errors[0]) > 5
    start = [np.sqrt(np.square((s[:, 0] - truth[:, 0]) / scale).mean()) for s in (smooth, raw)]
    assert start[0] < 0.6 * start[1]
    np.testing.assert_array_equal(
        model.forecast_from(noisy, 9), model.forecast_from(noisy, 9, denoise_start=True)
    )
    one = model.forecast_from(noisy[3], 9)
    assert one.shape == (10, noisy.n_features)
    with np.errstate(invalid="ignore"):
        gap = noisy.to_array().copy()
        gap[:, :30] = np.nan
    assert np.isfinite(model.forecast_from(gap, 9)).all()


def test_clean_recordings_are_forecast_as_before(noisy_case):
    model, past, _, _ = noisy_case
    states = model.forecast_from(past, 20)
    np.testing.assert_array_equal(states, model.forecast_from(past, 20, denoise_start=False))


def test_without_noise_nothing_changes(capsys):
    data = circles(8, 100)
    model = quick(step_sizes=[1, 4]).fit(data)
    assert (model.noise_ == 0).all()
    states = model.forecast_from(data, 30)
    np.testing.assert_array_equal(states, model.forecast(data.to_array()[:, -1], 30))
    stepper = replace(model.stepper_, verbose=True)
    asked = stepper.forecast_from(data, 30, denoise_start=True)
    np.testing.assert_array_equal(asked, states)
    assert "Start: as recorded; no noise" in capsys.readouterr().err.replace("all ", "")


def test_a_field_is_smoothed_in_its_coordinates(capsys):
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((30, 2)))[0].T
    clean = circles(10, 200, seed=3).to_array()
    noisy = clean + 0.02 * np.random.default_rng(1).standard_normal(clean.shape)
    model = quick(step_sizes=[1, 4], encoder=POD(2)).fit(noisy @ patterns + 50, dt=0.1)
    assert (model.noise_ > 0).all()
    stepper = replace(model.stepper_, verbose=True)
    late = noisy.astype(np.float32) @ patterns.astype(np.float32) + np.float32(50)
    states = stepper.forecast_from(late, 40)
    assert states.dtype == np.float32
    assert "fitted to the last" in capsys.readouterr().err
    error = np.sqrt(np.square(states[:, 0] - (clean[:, -1] @ patterns + 50)).mean())
    recorded = np.sqrt(np.square((noisy - clean)[:, -1] @ patterns).mean())
    assert error < 0.4 * recorded


def test_delays_cannot_be_smoothed():
    data = circles(8, 100).select(["x"])
    model = quick(step_sizes=[1], encoder=DelayEmbedding(2, lag=3)).fit(data)
    with pytest.raises(ArgumentError, match="goes without delays"):
        model.forecast_from(data, 3, denoise_start=True)
    assert model.forecast_from(data, 3, denoise_start=False).shape == (8, 4, 1)


def test_on_the_command_line(noisy_case, tmp_path: Path):
    model, _, noisy, _ = noisy_case
    model.save(tmp_path / "m.safetensors")
    pyhits.write(noisy[:2], tmp_path / "past.npz")
    words = ["forecast", tmp_path / "m.safetensors", "--steps", "9", "-o", tmp_path / "x.npz"]
    for option, how in (([], None), (["--no-denoise-start"], False), (["--denoise-start"], True)):
        result = CliRunner().invoke(
            app, [*map(str, words), "--after", str(tmp_path / "past.npz"), *option]
        )
        assert result.exit_code == 0, result.output
        wanted = model.forecast_from(noisy[:2], 9, denoise_start=how)
        np.testing.assert_allclose(pyhits.read(tmp_path / "x.npz").to_array(), wanted)
        assert ("Start" in result.stderr) == (how is not False)
    wrong = CliRunner().invoke(
        app, [*map(str, words), "--from", str(tmp_path / "past.npz"), "--denoise-start"]
    )
    assert wrong.exit_code == 2
    assert "goes with --after" in wrong.output


def test_states_of_too_many_numbers_stay_as_they_are_recorded() -> None:
    """Least squares in each number of a large field would take minutes and the whole memory."""
    rows = np.random.default_rng(0).standard_normal((9, 3000))

    def step(states: np.ndarray, n_steps: int) -> np.ndarray:
        raise AssertionError

    ends = estimate_initial_states(step, [rows], np.full(3000, 0.1), np.ones(3000))
    assert ends.rows.tolist() == [0]
    np.testing.assert_array_equal(ends.states[0], rows[-1])
