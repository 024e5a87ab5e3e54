"""Inputs, delays, modes and ragged trajectories, in all combinations, through every question."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyhits
from pyhits.encoders import POD, DelayEmbedding, Encoder
from pyhits.errors import ArgumentError

TURN = np.array([[0.9, 0.2, 0.0], [-0.2, 0.9, 0.1], [0.0, 0.0, 0.8]])
PUSH = np.array([0.0, 0.0, 0.3])

ENCODERS: list[tuple[str, ...]] = [(), ("delays",), ("modes",), ("modes", "delays")]

#: One recording in all ways; few and several trajectories with inputs and without in turn.
COMBINATIONS = [
    *itertools.product([False, True], ENCODERS, [[120]]),
    *((k % 2 == 0, encoders, [70, 50, 61]) for k, encoders in enumerate(ENCODERS)),
    *((k % 2 == 1, encoders, [40, 35, 30, 50, 45, 41]) for k, encoders in enumerate(ENCODERS)),
]


def recorded(lengths: list[int], with_inputs: bool, seed: int = 0) -> pyhits.Trajectories:
    """Return trajectories of a linear system, its input ``u`` as the last feature."""
    rng = np.random.default_rng(seed)
    pieces = []
    for n in lengths:
        x, u = np.empty((n, 3)), rng.standard_normal((n, 1))
        x[0] = rng.standard_normal(3)
        for k in range(n - 1):
            x[k + 1] = TURN @ x[k] + with_inputs * u[k] * PUSH
        pieces.append(np.hstack([x, u]) if with_inputs else x)
    names = ["a", "b", "c", "u"][: 3 + with_inputs]
    return pyhits.Trajectories(pieces, 0.1, feature_names=names)


def fitted(with_inputs: bool, encoders: tuple[str, ...], lengths: list[int]) -> pyhits.HiTS:
    made: dict[str, Encoder] = {"modes": POD(3), "delays": DelayEmbedding(3)}
    model = pyhits.HiTS(
        [1, 2, 4],
        flow_map=pyhits.ClosedForms("polynomial", polynomial_degree=1),
        encoder=[made[e] for e in encoders],
        noise=False,
        random_state=0,
        n_jobs=1,
        verbose=False,
    )
    return model.fit(recorded(lengths, with_inputs), inputs=["u"] if with_inputs else None)


@pytest.mark.parametrize(("with_inputs", "encoders", "lengths"), COMBINATIONS)
@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
def test_every_combination_answers_every_question(
    with_inputs: bool, encoders: tuple[str, ...], lengths: list[int], tmp_path: Path
) -> None:
    """Models of an exact linear map are exact, whatever stands between the rows and the map."""
    model = fitted(with_inputs, encoders, lengths)
    fresh = recorded([60, 50, 55], with_inputs, seed=9)
    assert model.evaluate(fresh).mse < 1e-12
    # Coarse steps see the mean and the trend of an input alone.
    coarse = model.couple([1, 4], validation=fresh).selection_.error
    assert coarse < (0.1 if with_inputs else 1e-12)
    assert model.couple([1], validation=fresh).selection_.error < 1e-12
    assert model.couple("accuracy").evaluate(fresh).mse < 1e-12
    assert model.calibrate(fresh).calibration_ is not None
    lost = model.start_rows_ - 1
    truth = np.stack([rows[lost : lost + 11, :3] for rows in fresh])
    settings: list[dict[str, Any]] = [
        {"n_steps": 10},
        {"n_steps": 10, "method": "sequential"},
        {"t": 0.1 * np.arange(11)},
        {"n_steps": 10, "out": tmp_path / "x.npy"},
        {"n_steps": 10, "rows_per_block": 2},
    ]
    for setting in settings:
        np.testing.assert_allclose(model.forecast(fresh, **setting), truth, atol=1e-7)
    bounds = model.forecast(fresh, 10, interval=0.5)
    np.testing.assert_allclose(bounds.states, truth, atol=1e-7)
    # Go on from the rows before: the inputs of later steps are given.
    before = pyhits.Trajectories(
        [rows[: lost + 1, :3] for rows in fresh] if lost else [rows[:2, :3] for rows in fresh],
        0.1,
        feature_names=["a", "b", "c"],
    )
    first = max(lost, 1)
    later: dict[str, Any] = {}
    if with_inputs:
        later = {"inputs": np.stack([rows[first : first + 10, 3:] for rows in fresh])}
    truth = np.stack([rows[first : first + 11, :3] for rows in fresh])
    np.testing.assert_allclose(model.forecast_from(before, 10, **later), truth, atol=1e-7)
    if with_inputs:
        with pytest.raises(ArgumentError, match="not for models with inputs"):
            model.forecast(fresh, 8, tol=1e-3)
    else:
        adaptive = model.forecast(fresh, 10, tol=1e-3)
        assert np.abs(adaptive - model.forecast(fresh, 10)).max() < 1e-2
        assert model.disagreement(fresh, 8).shape[0] == 3
    read = pyhits.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(read.forecast(fresh, 10), model.forecast(fresh, 10))
    assert read.coupled([1], validation=fresh).selection.error < 1e-12
