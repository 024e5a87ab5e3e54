"""Inputs that act rows later: found, said, and known to forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyhits
from pyhits import HiTS, Trajectories
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning
from pyhits.numerics.lag_regression import find_lags


def held(n: int, rows: int, seed: int) -> np.ndarray:
    """A random input that stays for so many rows."""
    return np.repeat(np.random.default_rng(seed).standard_normal(-(-n // rows)), rows)[:n]


def late(u: np.ndarray, dead: int, start: float = 0.0) -> np.ndarray:
    """A tank that is filled ``dead`` rows later."""
    z = np.full(len(u), start)
    for k in range(len(u) - 1):
        z[k + 1] = 0.9 * z[k] + 0.5 * (u[k - dead] if k >= dead else 0.0)
    return z


def offsets(*values: np.ndarray) -> np.ndarray:
    return np.cumsum([0, *map(len, values)])


# Regressions


@pytest.mark.parametrize("dead", [0, 1, 5, 23])
def test_a_dead_time_is_found(dead: int) -> None:
    u = held(500, 6, dead)
    z = late(u, dead)
    found = find_lags(z[:, None], u[:, None], offsets(z))
    assert found.lags == ((dead,),)
    assert found.error < 1e-10
    assert found.error <= found.present


def test_every_input_has_a_dead_time_of_its_own() -> None:
    u = np.column_stack([held(700, 3, 1), held(700, 5, 2), np.full(700, 2.0)])
    z = np.zeros((700, 2))
    for k in range(12, 699):
        z[k + 1, 0] = 0.8 * z[k, 0] + 0.1 * z[k, 1] + 0.3 * u[k - 3, 0]
        z[k + 1, 1] = 0.9 * z[k, 1] - 0.1 * z[k, 0] + 0.2 * u[k - 11, 1]
    found = find_lags(z, u, offsets(z), varying=[True, True, False])
    assert found.lags == ((3,), (11,), (0,))


def test_a_dead_time_is_found_in_noise_and_where_inputs_multiply() -> None:
    rng = np.random.default_rng(0)
    u = held(600, 4, 3)
    noisy = late(u, 5) + 0.05 * rng.standard_normal(600)
    assert 5 in find_lags(noisy[:, None], u[:, None], offsets(u)).lags[0]
    z = np.ones(600)
    for k in range(4, 599):
        z[k + 1] = 0.95 * z[k] - 0.1 * z[k] * u[k - 4] + 0.1
    assert find_lags(z[:, None], u[:, None], offsets(u)).lags == ((4,),)


def test_trajectories_are_never_joined_and_short_ones_leave_no_lags() -> None:
    pieces = [late(held(60, 3, seed), 4) for seed in range(8)]
    inputs = np.concatenate([held(60, 3, seed) for seed in range(8)])
    values = np.concatenate(pieces)
    found = find_lags(values[:, None], inputs[:, None], offsets(*pieces), most=12)
    assert found.lags == ((4,),)
    few = find_lags(values[:9, None], inputs[:9, None], np.array([0, 9]), most=3)
    assert few.lags == ((0,),)


# Models

N, DEAD = 400, 5


def fit(data: Any, **settings: Any) -> HiTS:
    inputs = settings.pop("inputs", "u")
    return HiTS([1], flow_map="polynomial", verbose=False, **settings).fit(data, inputs=inputs)


@pytest.fixture(scope="module")
def recording() -> Trajectories:
    u = held(N, 4, 7)
    return Trajectories(np.column_stack([late(u, DEAD), u]), 0.5, feature_names=["z", "u"])


@pytest.fixture(scope="module")
def model(recording: Trajectories) -> HiTS:
    return fit(recording)


def test_the_dead_time_of_a_recording_is_said_and_forecast_with(
    model: HiTS, recording: Trajectories
) -> None:
    assert model.inputs_ is not None
    assert model.inputs_.lags == ((DEAD,),)
    assert any(f"u after {DEAD} rows" in note for note in model.notes_)
    u = np.concatenate([recording.values[:, 1], held(80, 3, 8)])
    truth = late(u, DEAD)[N - 1 :]
    ahead = model.forecast_from(recording, 80, inputs=u[N - 1 : -1])
    assert np.abs(ahead[0, :, 0] - truth).max() < 1e-9
    assert model.evaluate(recording).nrmse < 1e-9


def test_bare_states_take_the_inputs_before_them_or_a_warning(model: HiTS) -> None:
    u = held(60, 3, 9)
    z = late(u, DEAD)
    start, ahead = 20, u[20:-1]
    truth = z[start:]
    for past in (u[:start], u[start - DEAD : start], {"u": u[:start]}):
        found = model.forecast(z[[start]], 39, inputs=ahead, past_inputs=past)
        assert np.abs(found[:, 0] - truth).max() < 1e-9
    two = model.forecast(
        np.array([[z[start]], [0.0]]),
        39,
        inputs=ahead,
        past_inputs=np.stack([u[:start], 0 * u[:start]])[..., None],
    )
    assert np.abs(two[0, :, 0] - truth).max() < 1e-9
    assert two[1, DEAD, 0] == pytest.approx(0.0, abs=1e-9)
    with pytest.warns(PyHiTSWarning, match="past_inputs"):
        assumed = model.forecast(z[[start]], 39, inputs=ahead)
    assert assumed[1, 0] == pytest.approx(0.9 * z[start] + 0.5 * u[start])
    with pytest.raises(ArgumentError, match="past_inputs are given for 2"):
        model.forecast(z[[start]], 39, inputs=ahead, past_inputs=u[:2])


def test_trajectories_start_where_their_inputs_are_known(model: HiTS) -> None:
    u = held(50, 3, 10)
    z = late(u, DEAD, start=1.0)
    data = Trajectories(np.column_stack([z, u]), 0.5, feature_names=["z", "u"])
    found = model.forecast(data, 20)
    assert np.abs(found[0, :, 0] - z[DEAD : DEAD + 21]).max() < 1e-9
    with pytest.raises(DataError, match="rows"):
        model.forecast(Trajectories(data.values[:4], 0.5, feature_names=["z", "u"]), 2)


def test_dead_times_are_saved(model: HiTS, recording: Trajectories, tmp_path: Path) -> None:
    again = pyhits.load(model.save(tmp_path / "late.safetensors"))
    assert again.inputs is not None
    assert again.inputs.lags == ((DEAD,),)
    assert again.start_rows == DEAD + 1
    ahead = held(30, 3, 11)
    expected = model.forecast_from(recording, 30, inputs=ahead)
    assert np.array_equal(again.forecast_from(recording, 30, inputs=ahead), expected)


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_a_model_with_inputs_is_written(
    model: HiTS, recording: Trajectories, tmp_path: Path
) -> None:
    page = pyhits.write_report(model, recording, tmp_path / "report.html")
    assert f"u after {DEAD} rows" in page.read_text()


def test_inputs_that_act_at_once_are_left_alone_and_rows_as_they_are() -> None:
    u = held(300, 4, 12)
    data = Trajectories(np.column_stack([late(u, 0), u]), 0.5, feature_names=["z", "u"])
    assert fit(data).inputs_.lags == ((0,),)
    later = Trajectories(np.column_stack([late(u, 3), u]), 0.5, feature_names=["z", "u"])
    assert fit(later, encoder=[]).inputs_.lags == ((0,),)


def test_many_trajectories_have_dead_times_too() -> None:
    u = [held(80, 4, seed) for seed in range(12)]
    rows = [np.column_stack([late(one, 3), one]) for one in u]
    found = fit(Trajectories(rows, 1.0, feature_names=["z", "u"]))
    assert found.inputs_.lags == ((3,),)
    assert found.calibration_ is not None


def test_dated_inputs_of_the_past_are_those_before_the_start() -> None:
    hours = pd.date_range("2024-03-01", periods=400, freq="h")
    valve = np.random.default_rng(0).standard_normal(400)
    level = np.zeros(400)
    for k in range(6, 399):
        level[k + 1] = 0.9 * level[k] + 0.5 * valve[k - 6]
    valves = pd.DataFrame({"valve": valve}, index=hours)
    states = pd.DataFrame({"level": level}, index=hours)
    model = HiTS([1], verbose=False, noise=False).fit(states[:300], inputs=valves[:300])
    later = model.forecast_from(states[:300], 20, inputs=valves, past_inputs=valves)
    np.testing.assert_allclose(later["level"], level[299:320], atol=1e-6)
    with pytest.raises(DataError, match="past ones up to there"):
        model.forecast_from(states[:300], 20, inputs=valves, past_inputs=valves[:250])
