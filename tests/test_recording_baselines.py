"""Baselines that look at many rows: what each must find exactly, files, and evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import quick

import pyhits
from pyhits.baselines import (
    NVAR,
    Analog,
    Autoregression,
    DLinear,
    EchoState,
    SeasonalDrift,
    Structural,
)
from pyhits.baselines.origins import OriginLimits, Origins, folds_of
from pyhits.baselines.recordings import RecordingBaselines
from pyhits.data.matching import as_trajectories
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.numerics.periods import strongest_periods

KINDS = (SeasonalDrift, Structural, Autoregression, DLinear, Analog, NVAR, EchoState)


def waves(n: int = 320, noise: float = 0.0) -> np.ndarray:
    t = np.arange(n)
    rows = np.column_stack([np.sin(0.5 * t) + 0.5 * np.sin(0.23 * t), np.cos(0.5 * t) - 3.0])
    return rows + noise * np.random.default_rng(0).standard_normal(rows.shape)


def growing(n: int = 132, noise: float = 0.0) -> np.ndarray:
    """A trend with a season of 12 rows."""
    t = np.arange(n)
    rows = 0.3 * t + 4 * np.sin(2 * np.pi * t / 12) + 2 * np.cos(4 * np.pi * t / 12)
    return (rows + noise * np.random.default_rng(1).standard_normal(n))[:, None]


def error(model: Any, rows: np.ndarray, n_steps: int) -> float:
    ahead = model.forecast_from(rows[:-n_steps], n_steps)[1:]
    return float(np.sqrt(np.mean(((ahead - rows[-n_steps:]) / rows.std(axis=0)) ** 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_are_those_of_files_and_of_recordings_one_by_one(kind: Any) -> None:
    rows = waves(noise=0.01)
    model = kind().fit(rows)
    ahead = model.forecast_from(np.stack([rows[:-5], rows[5:]]), 130)
    assert ahead.shape == (2, 131, 2)
    np.testing.assert_array_equal(ahead[:, 0], [rows[-6], rows[-1]])
    np.testing.assert_allclose(model.forecast_from(rows[5:], 130), ahead[1], atol=1e-8)
    again = kind.from_stored(model.plain(), model.state())
    np.testing.assert_array_equal(
        again.forecast_from(rows[5:], 130), model.forecast_from(rows[5:], 130)
    )
    assert again.label == model.label
    assert again.n_parameters_ == model.n_parameters_
    other = model.refitted(Trajectories([rows[40:]], 1.0))
    assert other.option_ == model.option_
    if model.n_rows > 1:
        with pytest.raises(DataError, match=f"looks at {model.n_rows} rows, got 1"):
            model.forecast(rows[0], 3)
    wrong = model.state() | {"option": np.full(len(model.option_), 1 << 40)}
    with pytest.raises(ValueError, match="settings that it cannot have"):
        kind.from_stored(model.plain(), wrong)


def test_an_autoregression_continues_waves_exactly() -> None:
    assert error(Autoregression().fit(waves()[:-60]), waves(), 60) < 1e-8
    assert error(NVAR().fit(waves()[:-60]), waves(), 60) < 1e-3
    assert error(DLinear().fit(waves()[:-60]), waves(), 60) < 1e-3


def test_seasons_and_trends_go_on() -> None:
    rows = growing()
    model = SeasonalDrift().fit(rows[:-24])
    assert model.option_[0] == 12
    assert error(model, rows, 24) < 1e-10
    assert error(Autoregression().fit(rows[:-24]), rows, 24) < 1e-2
    assert error(DLinear().fit(rows[:-24]), rows, 24) < 0.1


def test_the_past_repeats_by_analogs() -> None:
    once = np.random.default_rng(3).standard_normal((60, 1))
    rows = np.concatenate([once, once, once, once[:30]])
    assert error(Analog().fit(rows[:-20]), rows, 20) < 1e-3


def test_the_nearest_trajectories_go_on_where_a_state_is_partly_seen() -> None:
    """Bumps of hidden height and width: the first half tells the second."""
    rng, t = np.random.default_rng(0), np.linspace(0, 3, 60)
    shape = rng.uniform(0.5, 1.5, (40, 2))
    rows = (np.sin(t * shape[:, :1]) * shape[:, 1:])[..., None]
    model = Analog().fit(Trajectories(rows[:30], 1.0))
    ahead = model.forecast_from(list(rows[30:, :30]), 30)[:, 1:]
    last = np.abs(rows[30:, 29:30] - rows[30:, 30:]).mean()
    assert np.abs(ahead - rows[30:, 30:]).mean() < 0.4 * last


def test_periods_are_found_under_a_trend_and_noise() -> None:
    assert strongest_periods([growing(noise=0.5)])[0] == 12
    assert strongest_periods([np.arange(50.0)[:, None]]) == []
    assert strongest_periods([np.zeros((50, 2))]) == []
    assert strongest_periods([np.zeros((4, 1))]) == []


def test_short_recordings_do_not_limit_how_far_all_look_back() -> None:
    recordings = [np.arange(n, dtype=float)[:, None] for n in (200, 9, 150)]
    begins = [len(one) // 2 for one in recordings]
    origins = Origins.of(recordings, begins, OriginLimits(rows=60, horizon=5, most=6))
    assert origins.rows == 60
    assert set(origins.recording) == {0, 2}


def test_origins_know_what_comes_before_and_after() -> None:
    rows = np.arange(50.0)[:, None]
    origins = Origins.of([rows], [29], OriginLimits(rows=10, horizon=8, most=5))
    np.testing.assert_array_equal(origins.history[:, -1, 0], origins.at)
    np.testing.assert_array_equal(origins.history[:, 0, 0], origins.at - 9)
    np.testing.assert_array_equal(origins.truth[:, 0, 0], origins.at + 1)
    assert np.isnan(origins.truth[-1, 1:]).all()
    for fold in folds_of([rows], OriginLimits(rows=10, horizon=8, most=6)):
        # Nothing that is forecast has been fitted to.
        assert np.nanmin(fold.origins.truth) > fold.train[0].max()


def test_a_structural_forecast_is_the_conditional_mean_of_what_wanders() -> None:
    rng = np.random.default_rng(2)
    level, season = np.cumsum(rng.standard_normal(400)), np.tile(rng.standard_normal(6), 80)[:400]
    rows = (level + 8 * season + rng.standard_normal(400))[:, None]
    model = Structural().fit(rows[:300])
    assert model.option_[-2] == 6
    assert model.option_[1] == 0
    # What exponential smoothing of the level, and a season that stays, leave at best.
    known = rows[:300, 0] - 8 * season[:300]
    last = known[-1]
    for back in range(60):
        last = known[back - 60] if back == 0 else last + 0.62 * (known[back - 60] - last)
    ahead = model.forecast_from(rows[:300], 12)[1:, 0] - 8 * season[300:312]
    np.testing.assert_allclose(ahead, last, atol=1.8)
    assert np.ptp(ahead) < 1.5


def test_trend_and_season_go_on_exactly() -> None:
    rows = growing()
    assert error(Structural().fit(rows[:108]), rows, 24) < 1e-3


@pytest.mark.parametrize(
    ("frequency", "dt", "seasons"),
    [("MS", 1, (12,)), ("QS", 1, (4,)), ("YS", 1, ()), ("B", 1, (5,)), ("D", 86_400, (7,)),
     ("W", 604_800, (52,)), ("h", 3600, (24, 168)), ("7h", 25_200, (24,))],
)  # fmt: skip
def test_calendars_have_seasons(frequency: str, dt: float, seasons: tuple[int, ...]) -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(
        np.arange(40.0) % 3, index=pandas.date_range("2021-03-01", periods=40, freq=frequency)
    )
    data = as_trajectories(series, None)
    assert data.dt == dt
    assert data.axis.seasons(data.dt) == seasons


@pytest.mark.parametrize("n", [26, 36])
def test_months_show_their_year_though_rows_are_few(n: int) -> None:
    pandas = pytest.importorskip("pandas")
    t = np.arange(n + 12)
    rows = 0.5 * t + np.tile(np.random.default_rng(0).standard_normal(12) * 9, 4)[: n + 12]
    dates = pandas.date_range("2021-03-01", periods=n, freq="MS")
    months = as_trajectories(pandas.Series(rows[:n], index=dates), None)
    found = SeasonalDrift().fit(months)
    assert found.option_[0] == 12
    known = found.scaling_.transform(rows[None, :n, None])
    ahead = found.scaling_.inverse_transform(found.ahead(known, 12))[0, :, 0]
    assert np.allclose(ahead, rows[n:], atol=1e-9)


@pytest.mark.parametrize("kind", [SeasonalDrift, Structural, Autoregression, Analog])
def test_seasons_are_found_that_the_first_parts_are_too_short_for(kind: Any) -> None:
    """Five years of months: a first part of 34 rows shows no year."""
    rng = np.random.default_rng(0)
    rows = np.tile(rng.standard_normal(12) * 4, 6)[:70] + 0.3 * rng.standard_normal(70)
    found = kind().fit(rows[:58, None])
    assert error(found, rows[:, None], 12) < 0.2


def test_what_grows_with_its_level_is_forecast_by_logarithms(tmp_path: Any) -> None:
    t = np.arange(160)
    noise = 0.02 * np.random.default_rng(3).standard_normal(160)
    rows = np.exp(0.02 * t + 0.3 * np.sin(2 * np.pi * t / 12) + noise)[:, None]
    model = quick(step_sizes=[1, 2], noise=False).fit(rows[:136]).stepper_
    known = model.recording_baselines
    assert known is not None
    assert known.logarithms
    ahead = known.ahead("seasonal drift", rows[None, :136], 24)[0]
    plain = SeasonalDrift().fit(rows[:136]).forecast_from(rows[:136], 24)[1:]
    assert np.abs(ahead - rows[136:]).mean() < 0.5 * np.abs(plain - rows[136:]).mean()
    again = pyhits.load(model.save(tmp_path / "m.safetensors")).recording_baselines
    assert again is not None
    assert again.logarithms
    np.testing.assert_allclose(
        again.ahead("ar", rows[None, :136], 24), known.ahead("ar", rows[None, :136], 24)
    )
    # Rows without logarithms have no such forecast, and new ones are not fitted to by them.
    assert np.isnan(known.ahead("ar", -rows[None, :136], 3)).all()
    assert not known.refitted(Trajectories([rows - 2], 1.0)).logarithms


@pytest.mark.usefixtures("few_baselines")
def test_evaluations_look_as_far_back_as_baselines(tmp_path: Any) -> None:
    rows = waves(240, noise=0.02)
    settings = {"encoder": [], "flow_map": "polynomial", "noise": False}
    model = quick(step_sizes=[1], **settings).fit(rows[:200]).stepper_
    given = model.recording_rows
    result = model.evaluate(rows[200 - given :], given=given)
    assert "seasonal drift" in result.baselines
    assert "seasonal drift" not in model.evaluate(rows[200:], given=1).baselines
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.evaluate(rows[200 - given :], given=given).verdict == result.verdict
    with pytest.raises(ArgumentError, match="given"):
        model.evaluate(rows, given=0)


@pytest.mark.slow
def test_recordings_have_baselines_in_evaluations_and_files(tmp_path: Any) -> None:
    rows = waves(400, noise=0.02)
    model = quick(step_sizes=[1, 2], encoder=[], noise=False).fit(rows[:320]).stepper_
    known = model.recording_baselines
    assert known is not None
    assert "ar" in known.by_kind
    alone = model.evaluate(rows[320:], given=model.start_rows)
    assert "ar" not in alone.baselines
    given = model.recording_rows
    result = model.evaluate(rows[320 - given :], given=given)
    assert set(result.baselines) >= {"ar", "dlinear", "analog", "nvar", "seasonal drift", "linear"}
    assert result.n_steps == 80
    ahead = known.by_kind["ar"].forecast_from(rows[:320], 80)
    nrmse = np.sqrt(np.mean(((ahead - rows[319:])[1:] / model.summary.spread) ** 2))
    assert result.baselines["ar"].nrmse == pytest.approx(nrmse, rel=1e-9)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.evaluate(rows[320 - given :], given=given).verdict == result.verdict
    with pytest.raises(ArgumentError, match="given"):
        model.evaluate(rows, given=0)
    none = RecordingBaselines.fit(Trajectories(np.zeros((2, 5, 1)), 1.0))
    assert none is None
