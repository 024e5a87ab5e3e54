"""Closed forms where rows are many, and what is coupled for speed of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyhits
from pyhits import Coupling, HiTS, TimeStepper, Trajectories
from pyhits.fit.chooser import Chooser
from pyhits.forecasting.uncertainty.ranking import mean_ranks

DT = 0.05


def rotated(n: int, n_steps: int, seed: int = 0) -> np.ndarray:
    """Return trajectories of a harmonic oscillator, exact, shape ``(n, n_steps + 1, 2)``."""
    rng = np.random.default_rng(seed)
    radius, phase = rng.uniform(0.5, 2.0, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    angle = phase + DT * np.arange(n_steps + 1)
    return np.stack([radius * np.cos(angle), -radius * np.sin(angle)], axis=-1)


@pytest.fixture(scope="module")
def oscillator() -> TimeStepper:
    system = pyhits.systems.get("van-der-pol")
    data = system.simulate(8, 300, random_state=0)
    return HiTS(random_state=0, verbose=False).fit(data).stepper_


@pytest.fixture(scope="module")
def exact() -> TimeStepper:
    return HiTS(random_state=0, verbose=False).fit(Trajectories(rotated(80, 400), DT)).stepper_


def test_many_rows_of_a_polynomial_flow_train_no_net(exact: TimeStepper) -> None:
    model = exact
    assert all(one.stopped_by == "closed form" for one in model.history.values())
    assert model.dtype == "float64"
    assert any("closed forms rather than nets" in note for note in model.notes)
    fresh = rotated(5, 400, seed=1)
    assert np.abs(model.forecast(fresh[:, 0], 400) - fresh).max() < 1e-11


def test_coarse_steps_that_save_work_are_solved_for_too(oscillator: TimeStepper) -> None:
    accurate, quick = oscillator.coupled("accuracy"), oscillator.coupled("speed")
    assert max(quick.selection.step_sizes) > max(accurate.selection.step_sizes)
    assert quick.selection.error <= Coupling("speed").tolerance


def test_speed_takes_single_precision_within_its_tolerance(
    oscillator: TimeStepper, tmp_path: Path
) -> None:
    quick = oscillator.coupled("speed")
    assert quick.selection.dtype == "float32"
    assert "float32" in str(quick)
    starts = oscillator.forecast([[1.0, 0.5], [-1.5, 0.2]], 7)[:, -1]
    sizes, n_steps = quick.selection.step_sizes, 8 * max(quick.selection.step_sizes)
    double = oscillator.forecast(starts, n_steps, step_sizes=sizes)
    single = quick.forecast(starts, n_steps)
    assert 0 < np.abs(single - double).max() < 1e-4

    again = pyhits.load(quick.save(tmp_path / "quick.safetensors"))
    assert np.array_equal(again.forecast(starts, n_steps), single)
    back = again.coupled("accuracy")
    assert back.selection.dtype is None
    assert np.array_equal(back.forecast(starts, n_steps), oscillator.forecast(starts, n_steps))


def test_speed_keeps_double_precision_where_single_would_not_do(exact: TimeStepper) -> None:
    assert exact.coupled(Coupling("speed", tolerance=1e-20)).selection.dtype is None


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    ranks = mean_ranks(np.array([[3.0, 1.0], [1.0, 1.0], [3.0, np.inf], [3.0, 1.0]]))
    assert ranks.T.tolist() == [[3.0, 1.0, 3.0, 3.0], [2.0, 2.0, 4.0, 2.0]]


def test_an_interrupted_check_keeps_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Chooser, "error_of", stopped)
    data = Trajectories(rotated(8, 60), DT)
    settings = {"flow_map": "polynomial", "encoder": [], "random_state": 0, "verbose": False}
    model = HiTS(selection="speed", **settings).fit(data).stepper_
    assert model.interrupted == ("choice",)
    assert model.selection.dtype is None
    assert np.isfinite(model.forecast([[1.0, 0.0]], 10)).all()
