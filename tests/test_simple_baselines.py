"""The simple baselines: exact maps found again, plain loops, periods, files, and their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import circles, rotation
from sklearn.base import clone

import pyhits
from pyhits.baselines import (
    NVAR,
    Autoregression,
    DLinear,
    DrivenLinear,
    DrivenPolynomial,
    EchoState,
    Linear,
    Mean,
    Persistence,
    Polynomial,
    Seasonal,
    SeasonMeans,
)
from pyhits.data.times import NUMBERS
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, DivergenceError, NotFittedError
from pyhits.evaluation import metrics
from pyhits.numerics.periods import find_period

KINDS = (Persistence, Mean, Linear, Polynomial, Seasonal)


def logistic(n: int = 6, length: int = 40, seed: int = 0) -> Trajectories:
    """Two coupled quadratic maps, smooth and bounded."""
    rng = np.random.default_rng(seed)
    rows = np.empty((n, length, 2))
    rows[:, 0] = rng.uniform(0.2, 0.8, (n, 2))
    for k in range(1, length):
        x, y = rows[:, k - 1].T
        rows[:, k] = np.column_stack([2.8 * x * (1 - x) + 0.1 * y, 0.9 * y + 0.05 * x * y])
    return Trajectories(rows, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_have_the_face_of_the_others(kind: Any) -> None:
    data = circles(12, 50)
    with pytest.raises(NotFittedError):
        kind().forecast([0.0, 1.0], 3)
    model = clone(kind()).fit(data)
    many = model.forecast(data, 20)
    assert many.shape == (12, 21, 2)
    np.testing.assert_array_equal(many[:, 0], data.initial_states)
    np.testing.assert_allclose(model.forecast(data.initial_states[3], 20), many[3], atol=1e-12)
    later = model.forecast_from(data, 7)
    assert later.shape == (12, 8, 2)
    np.testing.assert_array_equal(later[:, 0], data.to_array()[:, -1])
    assert model.forecast_from(data[0], 7).shape == (8, 2)
    assert model.n_parameters_ >= 0
    with pytest.raises(DataError, match="Expected initial states"):
        model.forecast([1.0, 2.0, 3.0], 3)
    again = kind.from_stored(model.plain(), model.state())
    np.testing.assert_array_equal(again.forecast(data.initial_states, 20), many)
    assert again.label == model.label
    assert again.n_parameters_ == model.n_parameters_


def test_persistence_and_mean_are_what_they_say() -> None:
    data = logistic()
    still = Persistence().fit(data).forecast(data, 9)
    np.testing.assert_allclose(still, np.repeat(data.initial_states[:, None], 10, axis=1))
    mean = Mean().fit(data).forecast(data, 9)
    np.testing.assert_allclose(mean[:, 1:] - data.values.mean(axis=0), 0, atol=1e-12)


def test_a_linear_map_with_an_offset_is_found_again() -> None:
    flow, centre = 0.97 * rotation(0.3), np.array([3.0, -40.0])
    start = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    powers = np.stack([np.linalg.matrix_power(flow, k) for k in range(200)])
    rows = centre + np.einsum("tij,nj->nti", powers, start)
    model = Linear().fit(Trajectories(rows[:, :60], 0.1))
    ahead = model.forecast(rows[:, 0], 199)
    np.testing.assert_allclose(ahead, rows, atol=1e-8)
    # Squaring the map is stepping it.
    scaled = model.scaling_.transform(rows[:, 0])
    for _ in range(199):
        scaled = scaled + np.column_stack([np.ones(len(scaled)), scaled]) @ model.map_.weights
    np.testing.assert_allclose(model.scaling_.inverse_transform(scaled), ahead[:, -1], atol=1e-9)


def test_an_unstable_linear_map_diverges_by_name_or_returns_nan() -> None:
    rows = 1.5 ** np.arange(12)[:, None]
    model = Linear().fit(rows)
    with pytest.raises(DivergenceError):
        model.forecast([1.0], 2000)
    ahead = model.forecast([1.0], 2000, on_divergence="return")
    assert np.isnan(ahead[-1])
    assert np.isfinite(ahead[:12]).all()


def test_polynomials_find_a_quadratic_map_and_its_degree() -> None:
    train, test = logistic(), logistic(seed=1)
    model = Polynomial().fit(train, validation=test)
    np.testing.assert_allclose(model.forecast(test, 39), test.to_array(), atol=1e-6)
    linear = Linear().fit(train, validation=test)
    assert np.abs(linear.forecast(test, 39) - test.to_array()).max() > 1e-2
    assert Polynomial(max_degree=1).fit(train).map_.degree == 1


def test_two_rows_serve_where_one_is_not_the_whole_state() -> None:
    """A cosine alone: x[k + 1] = 2 cos(w) x[k] - x[k - 1], which one row cannot tell."""
    wave = np.cos(0.3 * np.arange(200))[:, None]
    model = Polynomial().fit(Trajectories([wave[:150], wave[40:150], wave[77:150]]))
    assert model.map_.lags == 2
    assert model.starter_.lags == 1
    assert "2 rows" in model.label
    np.testing.assert_allclose(model.forecast_from(wave[:150], 49), wave[149:199], atol=1e-5)
    assert model.forecast(wave[0], 10).shape == (11, 1)
    again = Polynomial.from_stored({"dt": 1.0}, model.state())
    np.testing.assert_array_equal(again.forecast(wave[0], 50), model.forecast(wave[0], 50))
    assert Polynomial(max_lags=1).fit(wave).map_.lags == 1


@pytest.mark.parametrize("period", [7, 25, 60])
def test_the_period_of_a_wave_is_found(period: int) -> None:
    t = 2 * np.pi * np.arange(200) / period
    wave = np.column_stack([np.sin(t) + 0.3 * np.sin(2 * t), 5 + np.cos(t)])
    wave += 0.05 * np.random.default_rng(0).standard_normal(wave.shape)
    assert find_period([wave, wave[:150]], trend=0) == period


@pytest.mark.parametrize("kind", ["noise", "trend", "constant", "less than two periods", "short"])
def test_data_without_a_period_have_none(kind: str) -> None:
    rng, t = np.random.default_rng(0), np.arange(300.0)
    data = {
        "noise": rng.standard_normal((300, 2)),
        "trend": t[:, None],
        "constant": np.ones((300, 1)),
        "less than two periods": np.sin(2 * np.pi * t / 200)[:, None],
        "short": np.ones((2, 1)),
    }[kind]
    model = Seasonal().fit(data)
    assert model.period_ == 1
    assert "no period" in model.label
    assert (model.forecast(data[0], 4) == data[0]).all()


def test_the_last_period_repeats_from_recordings_and_in_phase_from_states() -> None:
    t = 2 * np.pi * np.arange(130) / 25
    wave = np.column_stack([np.sin(t), 3 * np.cos(t) + 1])
    model = Seasonal().fit(wave[:100], dt=0.2)
    assert model.period_ == 25
    assert model.label == "seasonal (period 5)"
    np.testing.assert_allclose(model.forecast_from(wave[:103], 26), wave[102:129], atol=1e-9)
    np.testing.assert_allclose(model.forecast(wave[:9], 100)[4], wave[4:105], atol=1e-9)


def monthly(n: int, begin: str, seed: int = 0) -> Trajectories:
    """Months of a season and noise, two columns, with dates."""
    months = pd.date_range(begin, periods=n, freq="MS")
    season = np.sin(2 * np.pi * (months.month.to_numpy() - 1) / 12)
    noise = 0.3 * np.random.default_rng(seed).normal(size=(n, 2))
    return Trajectories(pd.DataFrame(season[:, None] * [1.0, 2.0] + noise, index=months))


def test_season_means_are_those_of_the_months() -> None:
    data = monthly(120, "1990-03-01")
    model = SeasonMeans().fit(data)
    assert (model.period_, model.label) == (12, "season means (period 12)")
    month = (2 + np.arange(120)) % 12
    means = np.array([data[0][month == k].mean(axis=0) for k in range(12)])
    found = model.scaling_.inverse_transform(model.template_)
    np.testing.assert_allclose(found, means, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=(90, 2))
    assert SeasonMeans().fit(noise).period_ == 1
    np.testing.assert_allclose(
        SeasonMeans().fit(noise).forecast(noise[0], 2)[2], noise.mean(axis=0)
    )


@pytest.mark.parametrize("kind", [Seasonal, SeasonMeans])
def test_dates_tell_the_phase_of_a_single_row(kind: Any) -> None:
    model = kind().fit(monthly(120, "1990-03-01"))
    later = monthly(40, "2003-11-01", seed=1)
    numbers = later.axis.row_numbers(later.start_times, later.dt)
    ahead = model.going_on(later[0][None, :1], 39, numbers)[0]
    truth = np.sin(2 * np.pi * ((10 + np.arange(40)) % 12) / 12)
    assert np.square(ahead[1:, 0] - truth[1:]).mean() < (0.25 if kind is Seasonal else 0.05)
    again = kind.from_stored(model.plain(), model.state())
    np.testing.assert_array_equal(again.going_on(later[0][None, :1], 39, numbers)[0], ahead)


@pytest.mark.parametrize("kind", [Seasonal, SeasonMeans])
def test_without_dates_a_row_that_shows_no_phase_is_followed_by_the_mean(kind: Any) -> None:
    """A row on the way up or down: what follows is half of both, not the wrong one."""
    rows = monthly(240, "1990-01-01")[0]
    model = kind().fit(rows)
    ahead = model.forecast(np.zeros(2), 24)[1:, 0]
    assert np.abs(ahead).max() < 0.8
    half = model.forecast_from(rows[:6], 24)[1:, 0]
    truth = np.sin(2 * np.pi * (6 + np.arange(24)) / 12)
    assert np.square(half - truth).mean() < 0.15


def test_evaluations_and_backtests_of_fields_know_the_means_of_months() -> None:
    xarray = pytest.importorskip("xarray")
    months = pd.date_range("1990-01-01", periods=180, freq="MS")
    season = np.sin(2 * np.pi * np.arange(180) / 12)[:, None, None]
    place = np.random.default_rng(0).normal(size=(5, 8))
    rows = season * place + 0.3 * np.random.default_rng(1).normal(size=(180, 5, 8))
    field = xarray.DataArray(rows, dims=("time", "lat", "lon"), coords={"time": months})
    quick = pyhits.HiTS(flow_map="polynomial", verbose=False, n_jobs=1, random_state=0)
    model = quick.fit(field[:144])
    means = model.evaluate(field[144:], given=1).baselines["season means"]
    expected = np.stack([rows[k:144:12].mean(axis=0) for k in range(12)])[np.arange(145, 180) % 12]
    error = np.sqrt(np.square((expected - rows[145:]) / rows[:144].std()).mean())
    assert means.nrmse == pytest.approx(error, rel=0.05)
    found = model.backtest(field, origins=[150, 160], horizon=12)
    assert np.sqrt(np.square(found.nrmse["season means"]).mean()) < 0.6
    assert "seasonal" in found.nrmse


@pytest.mark.parametrize("settings", [{"max_degree": 5}, {"max_degree": 0}, {"max_lags": 3}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ArgumentError):
        Polynomial(**settings).fit(circles(3, 20))


def test_ragged_and_short_trajectories_are_learned_from() -> None:
    full = circles(6, 60)
    ragged = Trajectories([rows[: 2 + 9 * k] for k, rows in enumerate(full)], 0.1)
    for kind in KINDS:
        ahead = kind().fit(ragged).forecast(full, 60, on_divergence="return")
        if kind in (Linear, Polynomial):
            np.testing.assert_allclose(ahead, full.to_array(), atol=1e-4)


def driven(n: int, seed: int, bend: float = 0.0) -> Trajectories:
    """``x' = 0.9 x + 0.5 u + bend x u`` under random inputs, which are the last feature."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(-1, 1, (n, 60))
    x = rng.uniform(-1, 1, (n, 60))
    for k in range(59):
        x[:, k + 1] = 0.9 * x[:, k] + 0.5 * u[:, k] + bend * x[:, k] * u[:, k]
    return Trajectories(np.stack([x, u], axis=2), 1.0)


@pytest.mark.parametrize(("bend", "kind"), [(0.0, DrivenLinear), (0.3, DrivenPolynomial)])
def test_what_inputs_do_is_found_and_followed(bend: float, kind: type[DrivenPolynomial]) -> None:
    model = kind(1).fit(driven(20, 0, bend), validation=driven(5, 1, bend))
    test = driven(7, 2, bend).to_array()
    ahead = model.forecast(test[:, 0, :1], 59, inputs=test[:, :, 1:])
    np.testing.assert_allclose(ahead, test[..., :1], atol=1e-9)
    # One vectorised run is what each trajectory gives alone; the last input is held.
    alone = model.forecast(test[3:4, 0, :1], 59, inputs=test[3:4, :, 1:])
    np.testing.assert_allclose(alone[0], ahead[3], atol=1e-12)
    held = test[:, np.minimum(np.arange(60), 9), 1:]
    np.testing.assert_array_equal(
        model.forecast(test[:, 0, :1], 59, inputs=test[:, :10, 1:]),
        model.forecast(test[:, 0, :1], 59, inputs=held),
    )
    again = kind.from_stored({"dt": 1.0}, model.state())
    np.testing.assert_array_equal(again.forecast(test[:, 0, :1], 59, inputs=test[:, :, 1:]), ahead)


def test_driven_baselines_refuse_what_does_not_fit() -> None:
    model = DrivenLinear(1).fit(driven(9, 0))
    states = np.zeros((2, 1))
    for inputs in (np.zeros((3, 5, 1)), np.zeros((2, 5)), np.zeros((2, 0, 1)), None):
        with pytest.raises(ArgumentError, match=r"Expected inputs of shape \(2, rows, 1\)"):
            model.forecast(states, 5, inputs=inputs)
    with pytest.raises(DataError, match="NaN or infinity"):
        model.forecast(states, 5, inputs=np.full((2, 5, 1), np.nan))
    with pytest.raises((ArgumentError, DataError)):
        model.forecast(np.zeros((2, 2)), 5, inputs=np.zeros((2, 5, 1)))
    with pytest.raises((ArgumentError, DataError)):
        model.forecast(np.full((2, 1), np.nan), 5, inputs=np.zeros((2, 5, 1)))
    with pytest.raises(ArgumentError, match="with the inputs that follow"):
        model.forecast_from(driven(1, 0)[0], 5)
    assert model.forecast([0.3], 5, inputs=np.zeros((5, 1))).shape == (6, 1)
    with pytest.raises(ValueError, match="more inputs than features"):
        DrivenLinear.from_stored({"dt": 1.0}, model.state() | {"inputs": np.array([2])})


def test_smape_is_its_formula() -> None:
    truth = np.array(
        [[[9.0, 9.0], [1.0, 0.0], [2.0, -1.0]], [[9.0, 9.0], [4.0, 5.0], [np.nan] * 2]]
    )
    forecast = np.array(
        [[[0.0, 0.0], [3.0, 0.0], [2.0, 1.0]], [[9.0, 9.0], [np.nan, 5.0], [7.0, 7]]]
    )
    shares = [200 * 2 / 4, 0, 0, 200 * 2 / 2, 200, 0]
    assert metrics.smape(truth[:, 1:], forecast[:, 1:]) == pytest.approx(np.mean(shares))


# Beside a model


def test_an_evaluation_has_every_baseline_measured_as_they_measure_themselves(
    fitted: pyhits.HiTS, pendulum: tuple[Trajectories, ...]
) -> None:
    train, valid, test = pendulum
    result = fitted.evaluate(test)
    assert list(result.baselines) == ["persistence", "mean", "linear", "polynomial", "seasonal"]
    assert result.baselines["persistence"].nrmse == pytest.approx(result.persistence_nrmse)
    linear = Linear().fit(train, validation=valid)
    difference = linear.forecast(test, 200)[:, 1:] - test.to_array()[:, 1:]
    nrmse = np.sqrt(np.mean(np.square(difference / train.spread())))
    assert result.baselines["linear"].nrmse == pytest.approx(nrmse, rel=1e-6)
    assert result.baselines["linear"].mse == pytest.approx(np.mean(np.square(difference)), rel=1e-6)
    assert result.smape < 5 < result.baselines["mean"].smape
    assert "times better than the best baseline, the polynomial forecast (" in result.verdict
    assert result.gain == pytest.approx(result.baselines["polynomial"].nrmse / result.nrmse)
    for line in ("hits", "seasonal", "times better"):
        assert line in str(result)
    assert result.as_dict()["baselines"]["linear"]["label"] == "linear"
    assert fitted.evaluate(test, baselines=False).baselines == {}


def test_a_better_baseline_is_named(
    fitted: pyhits.HiTS, pendulum: tuple[Trajectories, ...]
) -> None:
    """Recordings in which nothing happens: persistence is exact."""
    rows = np.repeat(pendulum[2].initial_states[:, None], 50, axis=1)
    result = fitted.evaluate(Trajectories(rows, pendulum[2].dt))
    assert result.better == "persistence"
    assert "The persistence forecast is far better (" in result.verdict
    assert result.verdict in str(result)


def test_no_baseline_is_better_than_what_is_exact(
    fitted: pyhits.HiTS, pendulum: tuple[Trajectories, ...]
) -> None:
    result = fitted.evaluate(pendulum[2])
    linear = result.baselines["linear"]
    right = {"linear": replace(linear, nrmse=1e-9)}
    assert replace(result, nrmse=1e-3, baselines=right).better == "linear"
    assert replace(result, nrmse=1e-7, baselines=right).better is None


def test_times_of_a_clock_have_their_unit_in_the_table(
    fitted: pyhits.HiTS, pendulum: tuple[Trajectories, ...]
) -> None:
    axis = replace(NUMBERS, origin=0, form="epoch", detail="s")
    result = replace(fitted.evaluate(pendulum[2]), axis=axis, valid_time=7200.0)
    assert result.time_name(7200.0) == "2 hours"
    assert str(result).count("2 hours") == 2
    assert replace(result, axis=NUMBERS).time_name(7200.0) == "7200"


@pytest.mark.parametrize("kind", [Linear, Polynomial, NVAR, DLinear, EchoState, Autoregression])
def test_maps_of_all_features_are_refused_where_there_are_very_many(kind: Any) -> None:
    data = Trajectories(np.zeros((3, 5000)))
    with pytest.raises(ArgumentError, match=r"up to 4096 features, got 5000: take modes"):
        kind().fit(data)
