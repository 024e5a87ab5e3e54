"""The rows that a state holds, chosen by rollouts; and what a step only moves on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyhits
from pyhits import Trajectories
from pyhits.encoders import DelayEmbedding, Standardise
from pyhits.errors import DataError
from pyhits.flowmaps.polynomial_form import PolynomialForm
from pyhits.numerics.periods import find_period, spread_grows
from pyhits.training.comparison import increments
from pyhits.training.delayed import DelayedRows
from pyhits.training.lags import FROM_MODES, FROM_STATES, choose_rows, longest_history
from pyhits.training.windows import WindowSampler


def sines(n: int, *periods: float) -> np.ndarray:
    """Sines of some periods in rows, one below the other in size."""
    t = np.arange(n)[:, None]
    return sum(np.sin(2 * np.pi * t / p + k) / (1 + k) for k, p in enumerate(periods))


def rotation(n: int, angle: float = 0.21) -> np.ndarray:
    t = angle * np.arange(n)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def fit(data: object, **settings: object) -> pyhits.HiTS:
    return pyhits.HiTS(
        [1], flow_map="polynomial", random_state=0, n_jobs=1, verbose=False, **settings
    ).fit(data)


def chosen(rows: np.ndarray) -> tuple[int, int]:
    """Return the rows and the lag that are chosen for a recording."""
    whole = Trajectories([rows], 1.0)
    train, rest = whole.split_time(0.2)
    history = longest_history(train, rest, 1, by_time=True)
    found = choose_rows(train, whole.split_time(0.2, overlap=history)[1], history)
    return found.n_rows, found.lag


def test_windows_cross_no_trajectory() -> None:
    rows = DelayedRows(np.arange(11.0)[:, None], np.array([0, 4, 6, 11]))
    windows = rows.windows(2, 2)
    assert windows.states.tolist() == [[2, 0], [8, 6], [9, 7]]
    assert (windows.all_changes == 1).all()
    assert windows.n_new == 2
    assert rows.windows(3, 1).n_new == 1


@pytest.mark.parametrize("period", [12, 37])
def test_a_period_is_found_beneath_a_trend(period: int) -> None:
    t = np.arange(10 * period)[:, None]
    assert find_period([sines(len(t), period) + 0.3 * t]) == period
    assert find_period([0.3 * t]) == 1


def test_many_adjacent_rows_solve_sums_of_sines() -> None:
    wave = sines(500, 23.7, 61.3)
    model = fit(wave[:400], noise=False)
    assert any("A state is" in note for note in model.notes_)
    assert np.abs(model.forecast_from(wave[:400], 100) - wave[399:]).max() < 1e-6


def test_a_noisy_season_is_not_averaged_away() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(240)[:, None]
    rows = 0.08 * t + sines(240, 12) + 0.1 * rng.standard_normal((240, 1))
    model = fit(rows[:204])
    assert model.start_rows_ >= 6
    error = model.forecast_from(rows[:204], 36)[1:] - rows[204:]
    assert np.sqrt(np.mean(np.square(error))) < 0.2


@pytest.mark.slow
def test_one_variable_takes_what_it_lacks_and_a_whole_state_nothing() -> None:
    assert chosen(rotation(300)) == (1, 1)
    n_rows, lag = chosen(rotation(300)[:, :1])
    assert n_rows * lag > 1
    model = fit(rotation(300)[:, :1], noise=False)
    with pytest.raises(DataError, match="rows"):
        model.forecast(rotation(300)[0, :1], 3)
    assert fit(rotation(100)[:, :1], encoder=[], noise=False).start_rows_ == 1


@pytest.mark.slow
def test_few_rows_far_apart_may_be_all_that_does_well() -> None:
    system = pyhits.systems.get("lorenz")
    rows = system.simulate(None, 600, 0.02, initial_states=[1.0, 2.0, 20.0])[0][100:, :1]
    noisy = rows + 0.1 * np.random.default_rng(0).standard_normal(rows.shape)
    assert chosen(rows)[0] > 1
    assert chosen(noisy)[0] > 1


def test_what_cannot_be_foretold_takes_one_row() -> None:
    assert chosen(np.random.default_rng(0).standard_normal((200, 1))) == (1, 1)


def test_many_trajectories_of_a_partly_seen_system_take_rows() -> None:
    parts = [rotation(40, angle)[:, :1] for angle in np.linspace(0.2, 0.3, 8)]
    model = fit(parts, noise=False)
    assert 1 < model.start_rows_ < 20
    ahead = model.forecast(Trajectories([part[:30] for part in parts], 1.0), 9)
    first = model.start_rows_ - 1
    truth = np.stack([part[first : first + 10] for part in parts])
    assert np.abs(ahead - truth).max() < 0.1
    assert fit([rotation(40, a) for a in np.linspace(0.2, 0.3, 8)], noise=False).start_rows_ == 1


def test_states_must_need_rows_where_forecasts_start_from_them() -> None:
    noisy = rotation(300) + 0.05 * np.random.default_rng(0).standard_normal((300, 2))
    data = Trajectories([noisy], 1.0)
    assert choose_rows(data, data, 20, worth=FROM_STATES).n_rows == 1


@pytest.mark.parametrize(("step_size", "n_moved"), [(1, 4), (2, 3), (5, 0)])
@pytest.mark.parametrize("degree", [1, 2])
def test_past_rows_move_on_exactly(step_size: int, n_moved: int, degree: int) -> None:
    rng = np.random.default_rng(0)
    rows = DelayEmbedding(5).fit_transform(rng.standard_normal((200, 1)))
    windows = WindowSampler(rows, np.array([0, len(rows)]), Standardise().fit(rows), step_size)
    data = increments(windows, 1000)
    assert (0 if data.moves is None else len(data.moves.to)) == n_moved
    solved = PolynomialForm(degree, penalty=PolynomialForm.penalties[-1]).solve(data)
    after = solved(data.states) - data.states - data.changes
    moved = after.abs().max(dim=0).values.numpy()[5 - n_moved :]
    assert (moved < 1e-12).all()


def airline_like(n: int) -> np.ndarray:
    """A season whose amplitude grows with an exponential level."""
    t = np.arange(n)[:, None]
    noise = 0.02 * np.random.default_rng(0).standard_normal((n, 1))
    return 100 * np.exp(0.01 * t + 0.2 * np.sin(2 * np.pi * t / 12) + noise)


def test_growth_is_told_from_motion_about_a_level() -> None:
    rows = airline_like(144)
    assert spread_grows([rows], 12)
    assert not spread_grows([rows - 300], 12)
    assert not spread_grows([5 + sines(144, 12)], 12)
    noisy = 0.05 * np.random.default_rng(0).standard_normal((144, 1))
    assert not spread_grows([3 + 0.05 * np.arange(144)[:, None] + noisy], 12)


def test_what_grows_by_factors_is_forecast_so(tmp_path: Path) -> None:
    rows = airline_like(144)
    model = fit(rows[:120])
    assert any("logarithms" in note for note in model.notes_)
    ahead = model.forecast_from(rows[:120], 24)[1:]
    assert np.sqrt(np.mean(np.square(ahead / rows[120:] - 1))) < 0.08
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.forecast_from(rows[:120], 24)[1:], ahead)


def test_two_rows_step_clean_recordings_more_exactly() -> None:
    """A polynomial of two rows has the order of a two-step method."""
    whole = pyhits.systems.get("van-der-pol").simulate(1, n_steps=700, dt=0.1, random_state=1)
    train, held = whole.split_time(0.2, overlap=2)
    found = choose_rows(train, held, 2)
    assert (found.n_rows, found.lag) == (2, 1)
    assert found.score < 0.1 * found.scores[1, 1]
    assert "more exactly" in found.note()
    assert choose_rows(train, held, 2, worth=FROM_STATES).n_rows == 1


def test_two_rows_may_take_high_degrees() -> None:
    """Three coupled oscillators with quintic springs, whose last two rows say the next exactly."""
    rows = np.full((1000, 3), [1.0, 0.8, 0.6])
    for k in range(1, len(rows) - 1):
        now = rows[k]
        force = -now * [1.0, 1.3, 1.7] - 0.3 * now**5 - 0.2 * now[[1, 2, 0]]
        rows[k + 1] = 2 * now - rows[k - 1] + 0.09 * force
    train, held = Trajectories([rows[:800]], 1.0), Trajectories([rows[799:]], 1.0)
    found = choose_rows(train, held, 2)
    assert (found.n_rows, found.lag) == (2, 1)
    assert found.score < 1e-5


@pytest.mark.parametrize("seed", [0, 3])
def test_modes_that_are_mostly_noise_hold_the_rows_that_tell_the_rest(seed: int) -> None:
    rng, motion = np.random.default_rng(seed), np.zeros((400, 4))
    for k in range(1, 400):
        motion[k] = 0.9 * motion[k - 1] + rng.normal(size=4)
    week = np.array([1, 1.1, 1.1, 1.05, 0.9, 0.2, 0])[np.arange(400) % 7]
    rows = np.column_stack([week, motion])
    found = choose_rows(Trajectories(rows[:320]), Trajectories(rows[300:]), 20, worth=FROM_MODES)
    assert found.n_rows > 4
    assert found.score < 0.95 * found.scores[1, 1]


@pytest.mark.slow
def test_no_net_is_tried_on_noise_that_past_rows_average() -> None:
    t = np.arange(240.0)
    noise = 0.05 * np.random.default_rng(0).standard_normal(240)
    rows = np.sin(0.31 * t) + 0.7 * np.sin(0.113 * t) + noise
    model = pyhits.HiTS([1], random_state=0, n_jobs=1, verbose=False).fit(rows)
    assert sum("nets gain nothing" in note for note in model.notes_) == 1
    assert not any("Taken off" in note for note in model.notes_)
    assert model.recipe_.flow_map == "closed"
    assert "net" not in model.history_[1].scores
