"""Noise: how much there is, and taking it off."""

from __future__ import annotations

import functools
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import quick

import pyhits
from pyhits import HiTS, Trajectories, systems
from pyhits.errors import ArgumentError, DataError
from pyhits.noise import Denoised, denoise, noise_level
from pyhits.noise.smooth import (
    Window,
    choose_window,
    equal,
    leaves_noise,
    smooth,
)
from pyhits.training import get_recipe
from pyhits.util.clock import Clock

TIMES = np.arange(0, 60, 0.02)
RNG = np.random.default_rng(0)

#: States on Lorenz's attractor, of which none has to be brought there.
LORENZ = {
    1: [
        [-3.7646, -4.8748, 18.8399],
        [14.8616, 12.8326, 37.5303],
        [-4.0734, -7.3947, 10.9837],
        [-4.2974, -7.0832, 14.4123],
        [11.055, 7.8004, 33.6458],
        [-7.3845, -13.419, 12.4904],
    ],
    2: [[12.3773, 3.2056, 39.9236], [-1.2943, -0.96, 19.1932]],
    3: [[9.5215, 6.736, 31.4132], [4.3611, 6.9472, 16.4925]],
}


@functools.cache
def noisy(
    name: str, n: int, *, seed: int = 1, level: float = 0.01, n_steps: int = 1000
) -> tuple[Trajectories, ...]:
    """Return clean trajectories of a system and the same with noise."""
    settled: dict[str, Any] = {"random_state": seed}
    if name == "lorenz":
        settled = {"initial_states": LORENZ[seed][:n]}
    elif name == "rossler":
        settled["transient"] = 20.0
    clean = systems.get(name).simulate(n, n_steps=n_steps, **settled)
    return clean, clean.add_noise(level, random_state=seed + 100)


def error(found: Trajectories, clean: Trajectories) -> float:
    return float(np.square(found.values - clean.values).mean())


def alone(values: np.ndarray, dt: float = 0.02) -> Trajectories:
    return Trajectories(values, dt)


# How much there is


@pytest.mark.parametrize("name", ["hyperbolic", "van-der-pol", "hopf", "rossler"])
@pytest.mark.parametrize("level", [1e-6, 1e-2])
def test_the_level_is_found(name: str, level: float) -> None:
    clean, data = noisy(name, 20, level=level)
    truth = np.sqrt(level * clean.mean_variance())
    found = noise_level(data)
    moving = truth > 1e-12
    assert found[moving] == pytest.approx(truth[moving], rel=0.05)
    assert np.nan_to_num(found[~moving]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["van-der-pol", "hopf", "rossler", "lorenz"])
def test_clean_data_show_next_to_none(name: str) -> None:
    clean, _ = noisy(name, 6)
    assert (np.nan_to_num(noise_level(clean)) < 1e-10 * clean.values.std(axis=0) + 1e-12).all()


def test_one_noisy_feature_of_several() -> None:
    values = np.column_stack([np.sin(TIMES), np.cos(TIMES), np.full_like(TIMES, 3.0)])
    values[:, 0] += 0.05 * RNG.standard_normal(len(TIMES))
    found = noise_level(alone(values))
    assert found[0] == pytest.approx(0.05, rel=0.05)
    assert (np.nan_to_num(found[1:]) < 1e-10).all()


def test_too_few_rows_say_nothing() -> None:
    assert np.isnan(noise_level(alone(RNG.standard_normal((20, 2))))).all()


# Local polynomials


@pytest.mark.parametrize(("width", "degree", "n_rows"), [(5, 2, 11), (9, 4, 30), (13, 2, 13)])
def test_leverage_is_the_mean_diagonal_of_the_smoother(
    width: int, degree: int, n_rows: int
) -> None:
    window = Window(width, degree, 0.0)
    matrix = window(np.eye(n_rows)[:, :, None])[..., 0]
    assert window.leverage(n_rows) == pytest.approx(np.trace(matrix) / n_rows)


def test_the_estimated_risk_is_the_error_that_is_left() -> None:
    clean, data = noisy("van-der-pol", 40)
    sigma = noise_level(data)
    window = choose_window(data, sigma)
    left = np.square((smooth(data, window) - clean.values) / sigma).mean()
    assert 0 < left < 0.15
    assert window.risk == pytest.approx(left, abs=0.02)


def test_smoothing_one_by_one_equals_all_together() -> None:
    _, data = noisy("van-der-pol", 4)
    window = Window(25, 2, 0.0)
    together = smooth(data, window).reshape(4, -1, 2)
    for rows, by_itself in zip(data, together, strict=True):
        assert np.abs(window(rows) - by_itself).max() < 1e-12
    short = Trajectories([data[0], data[1][:20]], data.dt)
    assert np.array_equal(smooth(short, window)[-20:], data[1][:20])


def test_what_is_taken_off_must_be_white() -> None:
    slow = np.sin(TIMES)
    white = slow + 0.1 * RNG.standard_normal(len(TIMES))
    fast = slow + 0.1 * np.sin(60 * TIMES)
    window = Window(49, 2, 0.0)
    for values, verdict in ((white, True), (fast, False)):
        data = alone(values)
        residual = data.values - smooth(data, window)
        assert leaves_noise(residual, data.offsets, window) is verdict


# Taking it off

TERMS = {"hyperbolic": 3, "van-der-pol": 4, "hopf": 8, "lorenz": 7, "lotka-volterra": 4}


@functools.cache
def cleaned(name: str) -> Denoised:
    """Return six trajectories of a system, and two to validate on, with their noise taken off."""
    found = denoise(noisy(name, 6)[1], noisy(name, 2, seed=2)[1])
    assert found is not None
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "lorenz")) for n in TERMS]
)
def test_the_field_behind_the_noise_is_found(name: str) -> None:
    clean, data = noisy(name, 6)
    others, more = noisy(name, 2, seed=2)
    found = cleaned(name)
    assert found.method == "field"
    assert f"with {TERMS[name]} terms" in found.note
    assert error(found.train, clean) < 0.01 * error(data, clean)
    assert error(found.validation, others) < 0.01 * error(more, others)
    assert found.sigma == pytest.approx(np.sqrt(0.01 * clean.mean_variance()), rel=0.05, abs=1e-9)
    assert found.train.feature_names == data.feature_names
    assert np.array_equal(found.train.offsets, data.offsets)


@pytest.mark.slow
def test_ragged_data_far_from_zero() -> None:
    clean, data = noisy("van-der-pol", 3, n_steps=600)
    offset = np.array([290.0, 1e5])
    pieces = [data[0] + offset, data[1][:400] + offset, data[2][:200] + offset]
    truth = [clean[0] + offset, clean[1][:400] + offset, clean[2][:200] + offset]
    ragged = Trajectories(pieces, data.dt)
    found = denoise(ragged, ragged[2:])
    assert found is not None
    assert error(found.train, Trajectories(truth, data.dt)) < 0.05 * error(data, clean)


@pytest.mark.slow
def test_solutions_that_end_are_trajectories_of_their_own() -> None:
    """No window crosses the jump from one to the next, unless windows are longer than they are."""
    lorenz = systems.get("lorenz")
    clean = lorenz.simulate(initial_states=LORENZ[3], n_steps=1000, dt=0.01)
    data = clean.add_noise(0.001, random_state=4)
    apart, whole = (denoise(data, data[:1].cut(200), shortest=rows) for rows in (100, 1000))
    assert apart is not None
    assert whole is not None
    assert np.array_equal(whole.train.offsets, data.offsets)
    assert whole.method == "field"
    assert error(whole.train, clean) < 0.1 * error(data, clean)
    assert len(apart.train) > 2
    assert apart.train.start_times[:2] == pytest.approx([0, 0.01 * apart.train.lengths[0]])
    assert np.array_equal(apart.train[0], whole.train[0][: apart.train.lengths[0]])


@pytest.mark.slow
def test_a_field_that_does_not_spread_is_followed_to_the_end() -> None:
    clean = systems.get("van-der-pol").simulate(2, n_steps=800, random_state=3)
    data = clean.add_noise(0.01, random_state=4)
    found = denoise(data, data[:1])
    assert found is not None
    assert found.train.lengths.tolist() == [801] * 2
    steps = np.abs(np.diff(found.train.to_array(), axis=1))
    smooth_steps = np.abs(np.diff(clean.to_array(), axis=1))
    assert steps.max() < 1.1 * smooth_steps.max()


def test_motion_that_no_field_explains_is_averaged() -> None:
    """One coordinate of an oscillation has no right-hand side of its own."""
    clean = alone(np.sin(TIMES[:500]))
    data = alone(clean.values + 0.05 * RNG.standard_normal(clean.values.shape))
    found = denoise(data, alone(data.values[:250]))
    assert found is not None
    assert found.method == "window"
    assert error(found.train, clean) < 0.1 * error(data, clean)


def test_a_parameter_that_every_trajectory_keeps_stays_constant() -> None:
    clean, _ = noisy("hopf", 6)
    drift = cleaned("hopf").train.to_array()[:, :, 0] - clean.to_array()[:, :, 0]
    assert np.abs(drift).max() < 1e-3


def logistic(n: int) -> np.ndarray:
    x = np.empty(n)
    x[0] = 0.4
    for k in range(1, n):
        x[k] = 3.9 * x[k - 1] * (1 - x[k - 1])
    return x


def random_walk(n: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(3).standard_normal(n))


@pytest.mark.parametrize(
    "values",
    [
        logistic(3000),
        random_walk(20_000),
        np.sin(0.02 * np.arange(5000)) + 0.1 * np.sin(2.7 * np.arange(5000)),
        np.sin(TIMES),
        np.full(500, 3.0),
        np.random.default_rng(4).standard_normal(3000),
        np.array([1.0, 2.0, 1.0, 3.0]),
    ],
    ids=["a map", "a random walk", "fast motion", "clean", "constant", "nothing but noise", "few"],
)
def test_what_is_no_measurement_noise_stays(values: np.ndarray) -> None:
    data = alone(values)
    assert denoise(data, data) is None


def test_small_noise_is_left_alone() -> None:
    _, data = noisy("van-der-pol", 10, level=1e-13)
    assert denoise(data, data) is None


def test_equal_data_give_equal_bits_and_stay_as_they_are() -> None:
    _, data = noisy("hyperbolic", 6)
    before = data.values.copy()
    again = denoise(data, noisy("hyperbolic", 2, seed=2)[1])
    assert again is not None
    assert again.train == cleaned("hyperbolic").train
    assert np.array_equal(data.values, before)


def test_progress_is_told() -> None:
    _, data = noisy("hyperbolic", 10)
    told: list[tuple[int, int]] = []
    denoise(data, data[:1], progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told
    assert all(done <= total for done, total in told)


class Ticks:
    """A clock in a test: each look at it takes a second."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> float:
        self.count += 1
        return float(self.count)


def test_a_time_limit_leaves_the_smoother() -> None:
    clean, data = noisy("van-der-pol", 10)
    clock = Clock.start(120.0, Ticks())
    found = denoise(data, data, clock=clock)
    assert found is not None
    assert found.method == "window"
    assert error(found.train, clean) < 0.2 * error(data, clean)
    assert "vector field" in str(clock.note())


def test_no_time_leaves_the_noise() -> None:
    _, data = noisy("van-der-pol", 10)
    clock = Clock.start(1.0, Ticks())
    assert denoise(data, data, clock=clock) is None
    assert "left on the data" in str(clock.note())


def sines(n: int, n_rows: int = 400) -> Trajectories:
    """Return noisy sines of ``n`` frequencies."""
    t = 0.05 * np.arange(n_rows)
    clean = np.stack([np.sin((1 + 0.1 * k) * t + k) for k in range(n)], axis=1)
    rng = np.random.default_rng(0)
    return Trajectories(clean + 0.02 * rng.standard_normal(clean.shape), 0.05)


@pytest.mark.parametrize("n", [16, 64])
def test_many_features_are_smoothed(n: int) -> None:
    # Fields of so many variables have more terms than can be written down.
    data = sines(n)
    found = denoise(data, data)
    assert found is not None
    assert found.method == "window"
    assert len(found.note) < 400


def test_trajectories_of_unequal_lengths_are_smoothed_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    pieces = [rng.standard_normal((n, 2)) for n in (40, 25, 40, 3)]
    data = Trajectories(pieces, 0.1)
    window = Window(9, 2, 0.0)
    for derivative in (0, 1):
        alone = np.concatenate([window(piece, derivative, 0.1) for piece in pieces])
        np.testing.assert_allclose(smooth(data, window, derivative), alone, atol=1e-12)
    assert [k.tolist() for k in equal(data.lengths)] == [[3], [1], [0, 2]]


def test_one_long_trajectory_among_many_takes_no_more_memory_than_the_data() -> None:
    # Padded to equal lengths they would be 150 times as large: a smoother does without.
    rng = np.random.default_rng(0)
    t = 0.01 * np.arange(60_000)
    long = np.stack([np.cos(t), np.sin(t)], axis=1)
    pieces = [long, *(long[k : k + 40] for k in range(0, 8_000, 40))]
    data = Trajectories([p + 0.01 * rng.standard_normal(p.shape) for p in pieces], 0.01)
    tracemalloc.start()
    found = denoise(data, data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is None or found.method == "window"
    assert most < 30 * data.values.nbytes


# In a fit


def fit(data: Trajectories, **settings: object) -> HiTS:
    return quick(step_sizes=[1, 4], encoder=[], **settings).fit(data)


def test_a_fit_takes_noise_off(tmp_path: Path) -> None:
    clean, data = noisy("van-der-pol", 6, n_steps=600)
    test = systems.get("van-der-pol").simulate(4, n_steps=500, random_state=9)
    model = fit(data)
    assert model.noise_ == pytest.approx(np.sqrt(0.01 * clean.mean_variance()), rel=0.05)
    assert any("4 terms" in note for note in model.notes_)
    without = fit(data, noise=False)
    assert not without.noise_.any()
    found, worse = (each.evaluate(test, baselines=False).mse for each in (model, without))
    assert found < 1e-2 * worse
    assert found < 1e-3
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(pyhits.load(tmp_path / "m.safetensors").noise, model.noise_)


def test_clean_data_are_trained_on_as_they_are() -> None:
    clean, _ = noisy("van-der-pol", 4, n_steps=300)
    a, b = fit(clean), fit(clean, noise=False)
    x = clean.initial_states
    assert np.array_equal(a.forecast(x, 50), b.forecast(x, 50))


def test_the_paper_knows_no_filter() -> None:
    assert not get_recipe("paper").denoise


def test_settings_are_checked() -> None:
    with pytest.raises(ArgumentError, match="noise to be True, False or 'auto', got 'yes'"):
        fit(noisy("hyperbolic", 5)[1], noise="yes")


def test_other_rows_must_have_the_same_shape() -> None:
    data = alone(np.sin(TIMES))
    with pytest.raises(DataError, match="shape"):
        data.with_values(np.zeros((3, 1)))
    with pytest.raises(DataError, match="NaN"):
        data.with_values(np.full_like(data.values, np.nan))


@pytest.mark.slow
def test_a_variable_alone_that_no_field_moves_is_only_smoothed() -> None:
    """Every term of a field in x alone is left out in the end."""
    system = systems.get("van-der-pol")
    whole = system.simulate(n_steps=1500, dt=0.1, transient=20, initial_states=[1.0, 2.0])
    noisy = whole.select(["x"]).cut(700).add_noise(0.05, random_state=0)
    found = denoise(*noisy.split_time(0.2), shortest=2)
    assert found is None or found.method == "window"


def test_a_field_that_cannot_explain_the_rows_is_not_followed_any_further() -> None:
    t = 0.1 * np.arange(3000)
    rows = (
        np.sin(t) + 0.5 * np.sin(2.37 * t) + 0.05 * np.random.default_rng(0).standard_normal(3000)
    )
    data, stages = Trajectories([rows[:, None]], 0.1), []
    found = denoise(data, data, progress=lambda stage, most: stages.append((stage, most)))
    assert found is not None
    assert found.method == "window"
    # No more than degrees were tried: one variable that swings has no field of its own.
    assert max(stage for stage, _ in stages) < 5 < stages[0][1]


@pytest.mark.slow
def test_motion_too_fast_for_windows_is_followed_by_a_field() -> None:
    clean = systems.get("lorenz").simulate(n_steps=400, dt=0.06, initial_states=LORENZ[1][:1])
    noisy = clean.add_noise(1e-4, random_state=0)
    assert choose_window(noisy, np.nan_to_num(noise_level(noisy))).width < 9
    found = denoise(noisy, noisy)
    assert found is not None
    assert found.method == "field"
    true = 0.01 * clean.values.std(axis=0)
    np.testing.assert_allclose(found.sigma, true, rtol=0.1)
    rows = np.concatenate(list(found.train))
    assert np.square((rows - clean.values[: len(rows)]) / true).mean() < 0.1


def test_what_a_field_knows_is_no_noise() -> None:
    clean = systems.get("lorenz").simulate(n_steps=400, dt=0.06, initial_states=LORENZ[1][:1])
    assert denoise(clean, clean) is None
