"""Angles and bounded quantities: encoded, decoded into their range, found and forecast."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import quick, rounding

import pyhits
from pyhits import HiTS, Trajectories
from pyhits.cli.encoders import parse_encoders
from pyhits.data.diagnostics.wrapped import certain_angles
from pyhits.encoders import ENCODERS, Angle, Bounded, Chain, DelayEmbedding, Standardise
from pyhits.encoders.bounded import declared_bounds
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning

T = 0.1 * np.arange(300)


def clock(turn: float, low: float, speed: float = 0.13) -> np.ndarray:
    """An angle that turns evenly, in its range."""
    return (speed * turn * T + 0.3 * turn - low) % turn + low


def apart(a: Any, b: Any, turn: float) -> float:
    """The largest distance, the shorter way around."""
    turns = (np.asarray(a) - np.asarray(b)) / turn
    return float(turn * np.abs(turns - np.round(turns)).max())


def data(*columns: np.ndarray, names: list[str] | None = None) -> Trajectories:
    return Trajectories(np.column_stack(columns), 0.1, feature_names=names)


@pytest.mark.parametrize(("turn", "low"), [(2 * np.pi, -np.pi), (360.0, 0.0), (24.0, 0.0)])
def test_angles_come_back_in_their_range(turn: float, low: float) -> None:
    angle = clock(turn, low)
    values = data(np.sin(T), angle, names=["x", "a"])
    encoder = Angle("a", turn).fit(values)
    encoded = encoder.transform(values)
    assert encoded.n_features == 3 == encoder.n_features_out_
    assert encoded.feature_names == ("x", "cos a", "sin a")
    (decoded,) = encoder.inverse_transform(encoded)
    assert np.abs(decoded[:, 0] - values.values[:, 0]).max() == 0
    assert apart(decoded[:, 1], values.values[:, 1], turn) < rounding(300) * turn
    assert decoded[:, 1].min() >= low
    assert decoded[:, 1].max() <= low + turn


def test_an_encoder_of_angles_is_rebuilt_from_what_it_stores() -> None:
    values = data(clock(360, 0), np.cos(T))
    encoder = Angle(0, 360).fit(values)
    again = ENCODERS[encoder.kind].from_stored(encoder.plain(), encoder.state())
    assert np.array_equal(again.transform(values).values, encoder.transform(values).values)
    with pytest.raises(ValueError, match="features that there are not"):
        Angle(0, 360).set_state(
            n_features=np.array([1]), columns=np.array([3]), starts=np.array([0.0])
        )


def test_what_is_no_angle_is_refused() -> None:
    with pytest.raises(DataError, match="more than a turn"):
        Angle(turn=360).fit(np.linspace(0, 900, 50)[:, None])
    with pytest.raises(ArgumentError, match="no feature 'b'"):
        Angle("b").fit(data(T, T, names=["a", "c"]))


def test_positive_quantities_and_shares_stay_what_they_are() -> None:
    values = data(np.exp(np.sin(T)), 0.5 + 0.5 * np.sin(T), T, names=["mass", "share", "t"])
    chain = Chain([Bounded("mass"), Bounded("share", high=1)]).fit(values)
    encoded = chain.transform(values)
    assert encoded.feature_names == ("log mass", "logit share", "t")
    (decoded,) = chain.inverse_transform(encoded)
    assert np.abs(decoded - values.values).max() < 1e-5
    wild = chain.inverse_transform(np.array([[-900.0, 900.0, 0.0], [900.0, -900.0, 0.0]]))
    assert (wild[:, 0] >= 0).all()
    assert ((wild[:, 1] >= 0) & (wild[:, 1] <= 1)).all()
    with pytest.raises(DataError, match="at least 0"):
        Bounded(0).fit(np.array([[-1.0], [2.0]]))
    with pytest.raises(ArgumentError, match="low < high"):
        Bounded(0, 1, 0).fit(np.array([[-1.0], [2.0]]))


def test_baselines_and_intervals_keep_the_bounds_that_are_declared() -> None:
    waves = [np.maximum(np.sin(0.3 * np.arange(40) + k), 0)[:, None] for k in range(12)]
    model = quick(step_sizes=[1], encoder=[Bounded(high=1)], flow_map="polynomial").fit(waves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyHiTSWarning)  # it goes beyond the calibration
        found = model.forecast(waves[0][0], 60, interval=0.9)
    assert found.low.min() == 0
    assert found.high.max() == 1
    states = np.array([[[-1.0], [0.5]]])
    assert model.stepper_.within_bounds(states, waves[0][:1])[0].tolist() == [[0], [0.5]]
    chain = Chain([Bounded([0], 1), Bounded([2], 0, 5), Standardise()])
    chain.fit(np.random.default_rng(0).uniform(1, 2, (9, 3)))
    low, high = declared_bounds(chain, 3)
    assert (low.tolist(), high.tolist()) == ([1, -np.inf, 0], [np.inf, np.inf, 5])
    assert declared_bounds(Standardise(), 3) is None


def test_the_command_line_names_them() -> None:
    found = parse_encoders(["angle=Heading:360", "positive=Mass,Price", "bounded=level:0:5"])
    assert [repr(one) for one in found] == [
        "Angle(features=['Heading'], turn=360.0)",
        "Bounded(features=['Mass', 'Price'])",
        "Bounded(features=['level'], high=5.0)",
    ]
    (share,) = parse_encoders(["fraction"])
    assert (share.features, share.high) == (None, 1.0)
    with pytest.raises(ArgumentError, match="angle=heading:360"):
        parse_encoders(["angle=a:b"])


def test_certain_angles_are_found_and_saws_are_not() -> None:
    hours = data(clock(24, 0), clock(2 * np.pi, -np.pi), np.sin(T), names=["hour", "a", "x"])
    assert certain_angles(hours) == {"hour": 24.0, "a": 2 * np.pi}
    assert certain_angles(hours, inputs=["a"]) == {"hour": 24.0}
    assert certain_angles(data(3.3 * (0.2 * T % 1))) == {}


def test_an_angle_is_taken_by_itself_and_its_forecast_stays_in_range(tmp_path: Path) -> None:
    angle = clock(360, 0)
    model = HiTS([1], flow_map="polynomial", verbose=False).fit(angle[:250, None], dt=0.1)
    assert isinstance(model.encoder_.encoders[0], Angle)
    assert any("'x0' (a turn is 360)" in note for note in model.notes_)
    assert not any("wraps" in note for note in model.notes_)
    ahead = model.forecast_from(angle[:250, None], 50)
    assert apart(ahead[1:, 0], angle[250:], 360) < 1e-6
    assert ahead.min() >= 0
    assert ahead.max() <= 360
    assert model.evaluate(angle[:, None]).nrmse < 1e-7
    bounds = model.forecast(angle[:1, None], 20, interval=0.9)
    assert (bounds.high - bounds.low).max() < 1e-3
    again = pyhits.load(model.save(tmp_path / "angle.safetensors"))
    assert np.array_equal(again.forecast_from(angle[:250, None], 50), ahead)


def test_angles_stay_numbers_where_an_encoder_is_chosen() -> None:
    angle = clock(360, 0)[:, None]
    for encoder in ([], [DelayEmbedding(2)]):
        model = HiTS([1], flow_map="polynomial", encoder=encoder, verbose=False)
        model.fit(angle, dt=0.1)
        links = [] if model.encoder_ is None else model.encoder_.encoders
        assert not any(isinstance(one, Angle) for one in links)
        assert any("wraps" in note for note in model.notes_)


def test_a_pendulum_that_turns_over_is_forecast() -> None:
    states = [np.array([0.0, 2.2])]
    for _ in range(399):
        angle, rate = states[-1]
        for _ in range(10):
            rate = rate - 0.01 * np.sin(angle)
            angle = angle + 0.01 * rate
        states.append(np.array([angle, rate]))
    values = np.array(states)
    values[:, 0] = (values[:, 0] + np.pi) % (2 * np.pi) - np.pi
    data = Trajectories(values[:320], 0.1, feature_names=["angle", "rate"])
    model = HiTS([1], flow_map="polynomial", verbose=False).fit(data)
    ahead = model.forecast_from(values[:320], 79)
    assert apart(ahead[:, 0], values[319:399, 0], 2 * np.pi) < 0.01
