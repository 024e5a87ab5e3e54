"""The choice of coupled scales by accuracy, by speed and by hand; dense flow maps in fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import quick
from sklearn.base import clone

import pyhits
from pyhits.errors import ArgumentError, PyHiTSWarning, TrainingError
from pyhits.hierarchy import Candidate

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


def test_all_scales_on_request(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1, 2, 8], select="all").fit(oscillations)
    assert model.selection_.step_sizes == (1, 2, 8)
    assert model.selection_.path == []
    model = quick(step_sizes=[1, 2, 8], select=[1, 8]).fit(oscillations)
    assert model.selection_.step_sizes == (1, 8)
    with pytest.raises(ArgumentError, match="4 was not trained"):
        quick(step_sizes=[1, 2, 8], select=[1, 4]).fit(oscillations)


def test_speed_takes_the_cheapest_within_the_tolerance(
    pendulum: Split, fitted: pyhits.HiTS
) -> None:
    front = fitted.selection_.front
    assert {c.step_sizes for c in front} >= {(1,), (1, 16), (2, 4, 8)}
    tolerance = sorted(c.error for c in front)[len(front) // 2]
    model = clone(fitted).set_params(select="speed", tolerance=tolerance)
    model.fit(pendulum[0], validation=pendulum[1])
    assert model.selection_.error <= tolerance
    cheaper = [c for c in front if c.nominal_seconds < _nominal(front, model) * 0.999]
    assert all(c.error > 0.5 * tolerance for c in cheaper)
    model.set_params(tolerance=1e-30, step_sizes=[8, 16], max_steps=50)
    with pytest.warns(PyHiTSWarning, match=r"No coupling has a validation error within"):
        model.fit(pendulum[0], validation=pendulum[1])


def _nominal(front: list[Candidate], model: pyhits.HiTS) -> float:
    return next(c for c in front if c.step_sizes == model.selection_.step_sizes).nominal_seconds


def test_scales_are_coupled_anew(fitted: pyhits.HiTS, pendulum: Split, tmp_path: Path) -> None:
    model = pyhits.load(fitted.save(tmp_path / "m.safetensors"))
    assert model.selection_ == fitted.selection_
    assert model.couple("speed", tolerance=1e3).selection_.step_sizes == (16,)
    assert model.couple([1, 16]).selection_.step_sizes == (1, 16)
    assert np.isfinite(model.selection_.error)
    assert model.couple("accuracy").selection_ == fitted.selection_
    measured = model.couple("all", validation=pendulum[2]).selection_
    assert measured.step_sizes == (1, 2, 4, 8, 16)
    with pytest.raises(TrainingError, match="within the tolerance of 1e-30"):
        model.couple("speed", tolerance=1e-30)
    with pytest.raises(ArgumentError, match="3 was not trained"):
        model.couple([3])


@pytest.mark.parametrize("select", ["accuracy", "speed"])
def test_where_nothing_is_stable_training_is_not_lost(
    oscillations: pyhits.Trajectories, monkeypatch: pytest.MonkeyPatch, select: str
) -> None:
    monkeypatch.setattr("pyhits.choice.masked_mse", lambda *_: float("inf"))
    with pytest.warns(PyHiTSWarning, match="diverge on the validation data, over 200 steps"):
        model = quick(step_sizes=[1, 2], select=select).fit(oscillations)
    assert model.selection_.step_sizes == (1,)
    assert list(model.flow_maps_) == [1, 2]


# Dense flow maps


def test_dense_models_forecast_as_plain_ones_do(pendulum: Split, tmp_path: Path) -> None:
    train, valid, test = pendulum
    settings = {"max_steps": 600, "hidden_sizes": (32, 32)}
    model = quick(step_sizes=[1, 2, 4, 8, 16], dense=4, **settings).fit(train, validation=valid)
    assert list(model.flow_maps_) == [4, 8, 16]
    assert model.flow_maps_[4].outputs == 4
    assert any("returns 4 states" in note for note in model.notes_)
    assert model.evaluate(test, step_sizes=[4]).nrmse < 0.02
    start = test.initial_states
    both = [model.forecast(start, 45, step_sizes=[4, 16], method=m)
            for m in ("vectorised", "sequential")]  # fmt: skip
    np.testing.assert_allclose(*both, atol=1e-5)
    again = pyhits.load(model.save(tmp_path / "dense.safetensors"))
    np.testing.assert_array_equal(again.forecast(start, 45), model.forecast(start, 45))
    np.testing.assert_allclose(model.predict(start), model.forecast(start, 4)[:, 4], atol=1e-6)
    assert model.forecast(start, 3).shape == (12, 4, 2)


def test_dense_step_sizes(oscillations: pyhits.Trajectories) -> None:
    for sizes, dense, expected in (
        (None, 4, [4, 8, 16, 32]),
        ([1, 2, 4, 8, 16], 4, [4, 8, 16]),
        ([4, 8], 4, [4, 8]),
        ([2, 8, 16], 4, [8, 16]),
        ([1], 5, [5]),
    ):
        model = quick(step_sizes=sizes, dense=dense, max_steps=1).fit(oscillations)
        assert list(model.flow_maps_) == expected
        assert model.flow_maps_[expected[0]].outputs == dense
