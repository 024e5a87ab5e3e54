"""The choice of coupled scales by accuracy, by speed and by hand; dense flow maps in fits."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import circles, quick

import pyhits
from pyhits.coordinates.coordinates import Encoded
from pyhits.data.stretches import Stretches
from pyhits.errors import ArgumentError, PyHiTSWarning, TrainingError
from pyhits.fit.choice import choose_again
from pyhits.fit.chooser import Chooser
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy import Candidate, Selection
from pyhits.policies import Coupling
from pyhits.training import parallel

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


def test_all_scales_on_request(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1, 2, 8], selection="all").fit(oscillations)
    assert model.selection_.step_sizes == (1, 2, 8)
    assert model.selection_.path == []
    model = quick(step_sizes=[1, 2, 8], selection=[1, 8]).fit(oscillations)
    assert model.selection_.step_sizes == (1, 8)
    model = quick(step_sizes=[1, 2, 8], selection=[1, 4])
    with pytest.raises(ArgumentError, match=r"4 cannot be selected; there are 1, 2, 8\."):
        model.fit(oscillations)
    assert not hasattr(model, "flow_maps_"), "it must be said before training, not after"


def test_speed_takes_the_cheapest_within_the_tolerance(
    pendulum: Split, fitted: pyhits.HiTS
) -> None:
    front = fitted.selection_.front
    assert {c.step_sizes for c in front} >= {(1,), (1, 16), (2, 4, 8)}
    tolerance = sorted(c.error for c in front)[len(front) // 2]
    speed = Coupling("speed", tolerance=tolerance)
    model = copy.copy(fitted).couple(speed, validation=pendulum[1])
    assert model.selection_.error <= tolerance
    cheaper = [c for c in front if c.nominal_seconds < _nominal(front, model) * 0.999]
    assert all(c.error > 0.5 * tolerance for c in cheaper)
    model.set_params(selection=speed, step_sizes=[8, 16], training__max_steps=5)
    model.set_params(selection__tolerance=1e3).fit(pendulum[0], validation=pendulum[1])
    assert model.selection_.step_sizes == (16,)
    model.set_params(selection__tolerance=1e-30)
    with pytest.warns(PyHiTSWarning, match=r"No coupling has a validation error within"):
        model.fit(pendulum[0], validation=pendulum[1])


def _nominal(front: list[Candidate], model: pyhits.HiTS) -> float:
    return next(c for c in front if c.step_sizes == model.selection_.step_sizes).nominal_seconds


def test_scales_are_coupled_anew(fitted: pyhits.HiTS, pendulum: Split, tmp_path: Path) -> None:
    model = pyhits.load(fitted.save(tmp_path / "m.safetensors"))
    assert model.selection == fitted.selection_
    assert model.coupled(Coupling("speed", tolerance=1e3)).selection.step_sizes == (16,)
    two = model.coupled([1, 16])
    assert two.selection.step_sizes == (1, 16)
    assert np.isfinite(two.selection.error)
    assert two.coupled("accuracy").selection == fitted.selection_
    every = model.coupled(Coupling("all", tolerance=1e3)).coupled("all", validation=pendulum[2])
    assert every.selection.step_sizes == (1, 2, 4, 8, 16)
    assert every.coupling == Coupling("all", tolerance=1e3)
    with pytest.raises(TrainingError, match="within the tolerance of 1e-30"):
        model.coupled(Coupling("speed", tolerance=1e-30))
    with pytest.raises(ArgumentError, match="3 cannot be selected"):
        model.coupled([3])
    with pytest.raises(ArgumentError, match="Unknown selection"):
        model.coupled("quick")
    assert model.selection == fitted.selection_, "a model stays as it was"
    assert every.forecast(pendulum[2].initial_states, 3).shape == (12, 4, 2)


def test_an_interrupted_fit_couples_what_was_asked_for_and_finished(
    oscillations: pyhits.Trajectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = parallel._train_one

    def interrupted(index: int, job: Any, report: Any) -> Any:
        if job.step_size == 4:
            raise KeyboardInterrupt
        return original(index, job, report)

    monkeypatch.setattr(parallel, "_train_one", interrupted)
    for asked, taken in (([2, 4], (2,)), ([4], (1, 2))):
        with pytest.warns(PyHiTSWarning, match="interrupted"):
            model = quick(step_sizes=[1, 2, 4], selection=asked).fit(oscillations)
        assert set(model.selection_.step_sizes) <= set(taken)


class Costly(FlowMap):
    """A flow map that does nothing and says that it takes long."""

    def __init__(self, multiply_adds: int) -> None:
        super().__init__(2)
        self._multiply_adds = multiply_adds

    @property
    def multiply_adds(self) -> int:
        return self._multiply_adds


@pytest.mark.parametrize(
    ("multiply_adds", "shapes"),
    [
        (10**3, [(64, 200), (64, 200)]),
        (4 * 10**6, [(18, 200), (37, 200)]),
        (10**8, [(8, 100), (8, 100)]),
        (10**13, [(1, 100), (8, 100)]),
    ],
)
def test_rollouts_of_closed_forms_are_bounded_by_the_work_they_make(
    multiply_adds: int, shapes: list[tuple[int, int]]
) -> None:
    """Fewer first, then shorter ones; of the front, then of the one that is taken."""
    asked: list[tuple[int, int]] = []

    def forecast(states: np.ndarray, n_steps: int, step_sizes: Sequence[int]) -> np.ndarray:
        asked.append((len(states), n_steps))
        return np.repeat(states[:, None], n_steps + 1, axis=1)

    chooser = Chooser(
        forecast, {1: Costly(multiply_adds)}, Encoded(circles(64, 200), None), np.ones(2)
    )
    chooser.choose("speed", 1e9)
    assert asked == shapes


@pytest.mark.parametrize("select", ["accuracy", "speed"])
def test_where_nothing_is_stable_training_is_not_lost(
    oscillations: pyhits.Trajectories, monkeypatch: pytest.MonkeyPatch, select: str
) -> None:
    def nowhere(chooser: Chooser, step_sizes: tuple[int, ...], chosen: Stretches) -> np.ndarray:
        return np.full((len(chosen), chosen.n_steps + 1, 2), np.nan)

    monkeypatch.setattr(Chooser, "_ahead", nowhere)
    with pytest.warns(PyHiTSWarning, match="diverge on the validation data, over 200 steps"):
        model = quick(step_sizes=[1, 2], selection=select).fit(oscillations)
    assert model.selection_.step_sizes == (1,)
    assert list(model.flow_maps_) == [1, 2]


# Chaotic motions


class Fading:
    """Forecasts that are exact for some rows and then at the wrong place, or diverge, by scale."""

    def __init__(self, right: dict[int, int], diverging: dict[int, int]) -> None:
        self.right, self.diverging = right, diverging
        self.data = circles(16, 256)

    def __call__(self, states: np.ndarray, n_steps: int, step_sizes: Sequence[int]) -> np.ndarray:
        ahead = self.data.to_array()[:, : n_steps + 1].copy()
        coarsest = max(step_sizes)
        late = np.arange(n_steps + 1) > self.right.get(coarsest, 0)
        # The opposite side of the circle has four times the variance, the middle once.
        ahead[:, late] *= -1 if coarsest in self.right else 0
        lost = self.diverging.get(coarsest, 0)
        ahead[:lost, 200:] = np.nan
        return ahead

    def selection(self) -> Selection:
        maps = {size: Costly(100) for size in (1, 8, 64)}
        chooser = Chooser(self, maps, Encoded(self.data, None), self.data.spread())
        return chooser.choose("accuracy", 0.01)


def test_scales_are_compared_as_far_as_forecasts_are_not_lost() -> None:
    """Over all 256 steps the middle, which the coarse scale says, is the better forecast."""
    fading = Fading({1: 20, 8: 40}, {})
    found = fading.selection()
    assert found.step_sizes == (1, 8)
    assert found.n_steps == 32
    assert "over 32 steps" in found.note()
    assert {size for c in found.front for size in c.step_sizes} == {1, 8}
    again = choose_again(found, [1, 8, 64], "accuracy", 0.01)
    assert (again.step_sizes, again.n_steps) == ((1, 8), 32)
    assert Selection.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    # Right to the end, nothing is cut; right nowhere, nothing helps.
    assert Fading({1: 256, 8: 256}, {}).selection().n_steps is None
    lost = Fading({1: 0, 8: 0}, {}).selection()
    assert (lost.step_sizes, lost.n_steps) == ((1, 8, 64), None)


def test_of_forecasts_about_as_good_those_that_diverge_less_are_taken() -> None:
    with pytest.warns(PyHiTSWarning, match=r"1 of 16 forecasts with \[1\] diverge .* 256 steps"):
        found = Fading({1: 28, 8: 29}, {1: 1, 8: 9}).selection()
    assert found.step_sizes == (1,)
    with pytest.warns(PyHiTSWarning, match="9 of 16"):
        found = Fading({1: 20, 8: 29}, {1: 1, 8: 9}).selection()
    assert found.step_sizes == (1, 8), "too much worse"


# Dense flow maps


def test_dense_models_forecast_as_plain_ones_do(pendulum: Split, tmp_path: Path) -> None:
    train, valid, test = pendulum
    settings = {"max_steps": 300, "hidden_sizes": (32, 32)}
    model = quick(step_sizes=[1, 2, 4, 16], dense=4, **settings).fit(train, validation=valid)
    assert list(model.flow_maps_) == [4, 16]
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
        model = quick(step_sizes=sizes, dense=dense, max_steps=1, selection="all").fit(oscillations)
        assert list(model.flow_maps_) == expected
        assert model.flow_maps_[expected[0]].outputs == dense
