"""Outliers in recordings: planted ones are found, fast dynamics and noise are none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import settled, two_waves

import pyhits
from pyhits.data.repair.outliers import find_outliers, outliers_of
from pyhits.data.trajectories import Trajectories


@pytest.mark.parametrize(
    "name",
    [
        "lorenz",
        "van-der-pol-stiff",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("van-der-pol", "fitzhugh-nagumo", "lorenz-96")
        ),
    ],
)
def test_fast_dynamics_are_no_outliers(name: str) -> None:
    data = settled(name, 4, 2000, 0)
    for every in (1, 5, 20):
        assert outliers_of(Trajectories([x[::every] for x in data])) == []


def intermittent(n: int) -> np.ndarray:
    """Pomeau and Manneville's map: long laminar phases, and bursts of few rows."""
    x = np.empty(n)
    x[0] = 0.1
    for k in range(n - 1):
        x[k + 1] = (x[k] + x[k] ** 2 + 1e-3) % 1
    return x


def test_intermittency_noise_and_steps_are_no_outliers() -> None:
    rng = np.random.default_rng(0)
    logistic = np.empty(5000)
    logistic[0] = 0.3
    for k in range(4999):
        logistic[k + 1] = 3.9 * logistic[k] * (1 - logistic[k])
    t = np.arange(5000)
    bursts = np.sin(t) * np.exp(-((((t % 500) - 250) / 20) ** 2))
    steps = (t // 97 % 2).astype(float)
    whole = np.round(20 * np.sin(t / 40))
    spikes = np.exp(-((((t % 250) - 125) / 1.0) ** 2) / 2)
    noise = rng.standard_normal(5000)
    saw = t % 40 / 40.0
    rows = np.column_stack(
        [intermittent(5000), logistic, bursts, steps, whole, spikes, noise, noise.cumsum(), saw]
    )
    assert find_outliers(rows, [5000]) == []


@pytest.mark.parametrize("name", ["lorenz", "van-der-pol", "lotka-volterra"])
def test_planted_outliers_are_found_and_no_others(name: str) -> None:
    data = settled(name, 2, 3000, 1)
    rng = np.random.default_rng(2)
    values = data.values.copy()
    rows = np.sort(rng.choice(np.arange(10, 2990, 20), 20, replace=False))
    values[rows, 0] += rng.choice([-1, 1], 20) * rng.uniform(1.5, 6, 20) * data.spread()[0]
    found = find_outliers(values, data.lengths)
    assert {(o.trajectory, o.row, o.feature) for o in found} <= {(0, int(r), 0) for r in rows}
    assert len(found) >= 18
    for outlier in found:
        true = data[0][outlier.row, 0]
        assert abs(outlier.expected - true) < 0.05 * data.spread()[0]
        assert outlier.value == values[outlier.row, 0]


def test_runs_and_marks_for_missing_values_stand_out() -> None:
    x = np.column_stack([np.sin(np.arange(500) / 20)] * 3)
    x[100:103, 0] = 40
    x[::50, 1] = -999
    x[200:240, 2] = 1e30
    found = find_outliers(x, [500])
    where = [{o.row for o in found if o.feature == k} for k in range(3)]
    assert where == [{100, 101, 102}, set(range(0, 500, 50)), set(range(200, 240))]


def test_trajectories_are_judged_apart() -> None:
    ramps = [np.arange(30.0)[:, None] + 1000 * k for k in range(4)]
    assert outliers_of(Trajectories(ramps)) == []
    ramps[2][15] += 500
    assert [(o.trajectory, o.row) for o in outliers_of(Trajectories(ramps))] == [(2, 15)]


def test_uneven_times_are_taken_into_account() -> None:
    t = np.concatenate([np.arange(50), [60], 60 + np.arange(1, 50)]).astype(float)
    x = 2 * t[:, None]
    assert find_outliers(x, [100], t) == []
    x[50] += 30
    assert [o.row for o in find_outliers(x, [100], t)] == [50]


def test_outliers_are_dropped_only_if_asked() -> None:
    x = two_waves(np.arange(300) * 0.1)
    clean = x.copy()
    x[120, 1] = 25
    kept = pyhits.repair(x, dt=0.1)
    assert (kept.outliers[0].row, kept.outliers[0].feature) == (120, 1)
    np.testing.assert_array_equal(kept.trajectories[0], x)
    assert "Kept" in kept.notes[0]
    dropped = pyhits.repair(x, dt=0.1, outliers="drop").trajectories
    assert dropped.lengths.tolist() == [120, 179]
    filled = pyhits.repair(x, dt=0.1, outliers="drop", gaps="fill").trajectories
    np.testing.assert_allclose(filled[0], clean, atol=1e-4)


def test_a_fit_points_outliers_out_and_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.stack([two_waves(np.arange(200) * 0.1 + p) for p in range(6)])
    x[3, 77, 0] = 30
    settings = {"polynomial_degree": 1, "encoder": [], "noise": False, "random_state": 0}
    model = pyhits.HiTS([1], flow_map="polynomial", **settings)
    model.fit(Trajectories(x, 0.1))
    note = next(n for n in model.notes_ if "stands out" in n)
    assert "30 in trajectory 3, row 77, 'x0'" in note
    assert note in capsys.readouterr().err
    x[3, 77, 0] = x[3, 76, 0]
    model.set_params(verbose=False).fit(Trajectories(x, 0.1))
    assert not any("stand" in n for n in model.notes_)
