"""Values that recordings came to and turned back from: found, held in forecasts, kept in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import quick

import pyhits
from pyhits.data.natural_limits import Limits
from pyhits.errors import ArgumentError
from pyhits.timestepper import TimeStepper

T = np.arange(2000.0)


def daylight(n: int, seed: int = 0) -> np.ndarray:
    """Days of half a sine, cloudy ones among them, and nights."""
    rng = np.random.default_rng(seed)
    clouds = np.repeat(rng.uniform(0.4, 1.0, n // 48 + 1), 48)[:n]
    return (np.maximum(0, np.sin(2 * np.pi * np.arange(n) / 48)) * clouds)[:, None]


def limits(rows: np.ndarray) -> tuple[float, float]:
    found = Limits.of([rows.reshape(len(rows), -1)])
    return (-np.inf, np.inf) if found is None else (float(found.low[0]), float(found.high[0]))


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("rain", 0, np.inf),
        ("daylight", 0, np.inf),
        ("few counts", 0, np.inf),
        ("touches zero", 0, np.inf),
        ("saturated", -np.inf, 100),
        ("on or off", 0, 1),
        ("two levels", 20, 22),
        ("switched on once", -np.inf, np.inf),
        ("three levels", -np.inf, np.inf),
        ("wave", -np.inf, np.inf),
        ("sampled wave", -np.inf, np.inf),
        ("quantised wave", -np.inf, np.inf),
        ("coarse wave", -np.inf, np.inf),
        ("whole degrees", -np.inf, np.inf),
        ("noise above zero", -np.inf, np.inf),
        ("walk", -np.inf, np.inf),
        ("decay", -np.inf, np.inf),
        ("constant", -np.inf, np.inf),
    ],
)
def test_limits_are_what_values_pile_up_at(kind: str, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(2000)
    rows = {
        "rain": np.maximum(0, rng.gamma(0.5, 2, 2000) - 1),
        "daylight": daylight(2000),
        "few counts": rng.poisson(0.5, 2000).astype(float),
        "touches zero": 1 + np.sin(0.1 * T),
        "saturated": np.minimum(100, 80 + 20 * np.sin(0.05 * T) + 5 * noise),
        "on or off": (np.sin(0.1 * T) > 0.2).astype(float),
        "two levels": np.repeat(rng.choice([20.0, 22.0], 40), 50),
        "switched on once": (T > 900).astype(float),
        "three levels": np.repeat(rng.choice([20.0, 21.0, 22.0], 40), 50),
        "wave": np.sin(0.1 * T),
        "sampled wave": np.sin(2 * np.pi * T / 24),
        "quantised wave": np.round(127 * np.sin(0.1 * T)),
        "coarse wave": np.round(2 * np.sin(0.1 * T)),
        "whole degrees": np.round(10 + 8 * np.sin(2 * np.pi * T / 365) + 3 * noise),
        "noise above zero": 5 + 1.4 * noise,
        "walk": noise.cumsum(),
        "decay": np.exp(-T / 50),
        "constant": np.zeros(2000),
    }[kind]
    assert limits(rows) == (low, high)
    assert limits(-rows) == (-high, -low)


def test_only_recordings_that_came_and_left_again_count() -> None:
    """Trajectories that all begin at rest, or end there, show no limit."""
    begins = np.concatenate([np.zeros(9), np.linspace(0.1, 1, 20)])[:, None]
    assert Limits.of([begins] * 8) is None
    assert Limits.of([begins[::-1]] * 8) is None
    assert Limits.of([np.concatenate([begins[::-1], begins])] * 3) is not None


def test_forecasts_that_start_beyond_are_left_alone() -> None:
    held = Limits(np.array([0.0]), np.array([1.0]))
    states = np.array([[[-0.5], [2.0]], [[-0.5], [2.0]], [[np.nan], [0.5]]])
    starts = np.array([[0.2], [-0.1], [1.5]])
    found = held.held(states, starts)[..., 0]
    np.testing.assert_array_equal(found, [[0, 1], [-0.5, 1], [np.nan, 0.5]])
    with pytest.raises(ValueError, match="limits"):
        Limits.from_stored({}, {"low": np.ones(1), "high": np.zeros(1)})


@pytest.fixture(scope="module")
def light() -> TimeStepper:
    model = quick(step_sizes=[1, 2], flow_map="polynomial", encoder=[]).fit(daylight(600)).stepper_
    assert model is not None
    return model


def test_nothing_is_forecast_below_what_is_never_recorded(
    light: TimeStepper, tmp_path: Path
) -> None:
    rows = daylight(600)
    assert light.limits is not None
    assert any("x0 at or above 0" in note and "limits=False" in note for note in light.notes)
    ahead = light.forecast_from(rows[:580], 100, interval=0.9)
    assert (ahead.states >= 0).all()
    assert (ahead.low >= 0).all()
    free = replace(light, limits=None).forecast_from(rows[:580], 100, interval=0.9)
    assert (free.low < 0).any()
    again = pyhits.load(light.save(tmp_path / "light.safetensors"))
    np.testing.assert_array_equal(again.forecast_from(rows[:580], 100), ahead.states)
    assert light.updated(rows[:590]).limits is not None


def test_limits_can_be_left_away() -> None:
    model = (
        quick(step_sizes=[1], flow_map="polynomial", encoder=[], limits=False)
        .fit(daylight(300))
        .stepper_
    )
    assert model is not None
    assert model.limits is None
    with pytest.raises(ArgumentError, match="limits to be True or False, got 'no'"):
        quick(limits="no").fit(daylight(300))
