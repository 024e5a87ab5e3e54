"""Forecasts to a tolerance: the right scale is chosen, and the error follows the tolerance."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, rotation
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DivergenceError, PyHiTSWarning
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy import Stepper, cost
from pyhits.hierarchy.adaptive import AdaptiveForecast, adaptive_forecast
from pyhits.hierarchy.disagreement import Agreement, agreements, disagreement, pair
from pyhits.hierarchy.forecast import forecast
from pyhits.hierarchy.refine import N_NODES, Nodes

DT = 0.02


class Turn(FlowMap):
    """The exact rotation over a step, plus what a function of the state says is wrong with it."""

    def __init__(self, size: int, outputs: int = 1, wrong: Any = None) -> None:
        super().__init__(2, outputs)
        angles = DT * size / outputs * np.arange(1, outputs + 1)
        flows = np.concatenate([rotation(a) - np.eye(2) for a in angles])
        self.register_buffer("flow", torch.from_numpy(flows.T.copy()))
        self.wrong = wrong
        self.rows = 0

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        self.rows += len(states)
        change = states @ self.flow
        return change if self.wrong is None else change + self.wrong(states)


def turns(sizes: list[int], wrong: Mapping[int, Any] | None = None) -> dict[int, FlowMap]:
    return {s: Turn(s, wrong=(wrong or {}).get(s)) for s in sizes}


def steppers(maps: Mapping[int, FlowMap]) -> dict[int, Stepper]:
    return {size: Stepper({size: flow_map}) for size, flow_map in maps.items()}


def scales(maps: Mapping[int, FlowMap], *sizes: int) -> list[Stepper]:
    return [steppers(maps)[size] for size in sizes]


def plain() -> Standardise:
    return Standardise(False).fit(np.zeros((2, 2)))


def starts(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 2))


def exact(start: np.ndarray, n_steps: int) -> np.ndarray:
    flows = np.stack([rotation(DT * k) for k in range(n_steps + 1)])
    return np.einsum("tij,nj->nti", flows, start)


def step_to(
    maps: dict[int, FlowMap], start: np.ndarray, n_steps: int, tol: float, **settings: Any
) -> AdaptiveForecast:
    settings = {"weights": np.ones(2), "longest": 32} | settings
    return adaptive_forecast(start, maps, plain(), n_steps, tol=tol, **settings)


def largest(states: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Largest root mean square error over features at any time of each trajectory."""
    return np.sqrt(np.square(states - truth).mean(axis=2)).max(axis=1)


# The indicator


def test_disagreement_is_the_distance_of_one_step_from_the_finer_ones_that_make_it_up():
    maps = turns([4, 8, 24], {24: lambda x: 3e-3 * x, 8: lambda x: 1e-3 * x})
    start = starts(50)
    weights = torch.tensor([1.0, 2.0]).double()
    found = disagreement(torch.from_numpy(start), *scales(maps, 24, 8), weights)
    once = start @ rotation(24 * DT).T + 3e-3 * start
    eight = rotation(8 * DT) + 1e-3 * np.eye(2)
    apart = (once - start @ np.linalg.matrix_power(eight, 3).T) * [1.0, 2.0]
    np.testing.assert_allclose(found, np.sqrt(np.square(apart).mean(axis=1)), rtol=1e-9)
    with pytest.raises(ArgumentError, match="does not divide"):
        disagreement(torch.from_numpy(start), *scales(turns([4, 6]), 6, 4), torch.ones(2).double())


def test_disagreement_of_dense_flow_maps_counts_the_ends_of_steps():
    maps: dict[int, FlowMap] = {8: Turn(8, outputs=8), 32: Turn(32, wrong=lambda x: 1e-2 * x)}
    start = torch.from_numpy(starts(5))
    found = disagreement(start, *scales(maps, 32, 8), torch.ones(2).double())
    np.testing.assert_allclose(found, 1e-2 * start.square().mean(dim=1).sqrt(), rtol=1e-9)


def test_agreements_find_what_neighbours_have_learned_wrongly_alike():
    """Scales 2 and 4 share an error that their disagreement does not show; scale 8 does not."""
    bias = 1e-4
    shared = {2: lambda x: torch.full_like(x, bias), 4: lambda x: torch.full_like(x, 2 * bias)}
    maps = turns([1, 2, 4, 8], {**shared, 8: lambda x: torch.full_like(x, 0.1)})
    rows = exact(starts(4), 60)
    found = agreements(rows.reshape(-1, 2), np.full(4, 61), steppers(maps), np.ones(2))
    assert set(found) == {2, 4, 8}
    assert found[2] == pytest.approx(Agreement(0.5, 0.0), abs=1e-9)  # the finer steps are exact
    assert found[4].ratio > 20
    assert found[4].least == pytest.approx(2 * bias, rel=0.05)
    assert found[8].ratio == 0.5
    short = agreements(rows[:, :4].reshape(-1, 2), np.full(4, 4), steppers(maps), np.ones(2))
    assert set(short) == {2}


def test_the_pair_to_compare_is_the_coarsest_and_the_next_finer():
    maps = turns([1, 4, 16])
    assert pair(maps, 16, 100) == (16, 4)
    assert pair(maps, 1, 100) == (4, 1)
    with pytest.raises(ArgumentError, match="only step size 4 was trained"):
        pair(turns([4]), 4, 100)
    with pytest.raises(ArgumentError, match="10 steps holds no step of size 16"):
        pair(maps, 16, 10)


# Curves between known states


def test_curves_are_exact_for_polynomials_on_uneven_nodes_of_several_trajectories():
    rng = np.random.default_rng(0)
    rows = np.arange(41.0) / 10
    coefficients = rng.standard_normal((3, 2, N_NODES))
    truth = np.einsum("ndp,tp->ntd", coefficients, rows[:, None] ** np.arange(N_NODES))
    known = rng.random((3, 41)) < 0.4
    known[:, [0, 1, 2, 38, 39, 40]] = True
    states = torch.from_numpy(np.where(known[..., None], truth, np.nan))
    Nodes(states, torch.from_numpy(known)).fill_gaps()
    np.testing.assert_allclose(states, truth, atol=1e-7)


def test_curves_need_six_nodes():
    known = torch.zeros(2, 9, dtype=torch.bool)
    known[0, ::2], known[1, [0, 1, 2, 3, 4, 5, 8]] = True, True
    states = torch.ones(2, 9, 1).double()
    Nodes(states, known).fill_gaps()
    assert states[0, 1::2].isnan().all()
    torch.testing.assert_close(states[1], torch.ones(9, 1).double())


# Which scales are chosen


def test_where_every_scale_is_good_the_coarsest_is_taken_everywhere():
    """It is the fixed coupling then, but for states that a curve gives as well."""
    maps = turns([1, 2, 4, 8, 16, 32])
    start = starts(6)
    found = step_to(maps, start, 320, 1e-7)
    for sizes in found.step_sizes:
        np.testing.assert_array_equal(sizes, np.full(10, 32))
    fixed = forecast(start, maps, plain(), 320)
    np.testing.assert_allclose(found.states, fixed, atol=2e-7)
    assert found.met.all()
    assert (found.error < 1e-12).all()
    assert (found.evaluations < 0.65 * cost(maps, 320).evaluations).all()


def test_a_scale_that_is_wrong_everywhere_is_left_out():
    maps = turns([1, 4, 16, 64], {64: lambda x: 0.1 * x, 16: lambda x: 1e-12 * x})
    found = step_to(maps, starts(5), 640, 1e-6)
    assert all(set(sizes) == {16} for sizes in found.step_sizes)
    assert (largest(found.states, exact(starts(5), 640)) < 1e-6).all()


def test_a_scale_that_is_wrong_in_a_part_of_the_plane_is_left_out_there_alone():
    """Right of x = 0.5 the coarse step errs: it is taken elsewhere, and nowhere there."""
    maps = turns([1, 4, 16], {16: lambda x: torch.where(x[:, :1] > 0.5, 0.05, 0.0) * x})
    start, n_steps = starts(20), 960
    truth = exact(start, n_steps)
    found = step_to(maps, start, n_steps, 1e-7)
    coarse = fine = 0
    for k, sizes in enumerate(found.step_sizes):
        begin = np.cumsum(sizes) - sizes
        right = truth[k, begin, 0] > 0.5
        assert not (right & (sizes == 16)).any()
        coarse, fine = coarse + (sizes == 16).sum(), fine + (~right & (sizes < 16)).sum()
        assert sizes.sum() == n_steps
        # What a step is indicated to err by is what it does err by.
        assert np.nanmax(found.indicated[k]) < 1e-7
    assert coarse > 5 * fine > 0
    assert (largest(found.states, truth) < 1e-6).all()


def test_a_finer_scale_that_is_wrong_is_not_filled_in_with():
    maps = turns([1, 4, 16, 64], {4: lambda x: 1e-2 * x})
    found = step_to(maps, starts(5), 640, 1e-6, longest=4)
    assert (largest(found.states, exact(starts(5), 640)) < 1e-5).all()


def test_validated_scales_are_taken_uncompared_until_one_is_found_wrong():
    """Known to be good on validation data, wrong on a trajectory from elsewhere: x > 10."""
    maps = turns([1, 8, 64], {64: lambda x: torch.where(x[:, :1].abs() > 10, 0.1, 0.0) * x})
    known = {1: 1e-12, 8: 1e-12, 64: 1e-12}
    start = np.array([[1.0, 0.5], [20.0, 0.0]])
    found = step_to(maps, start, 640, 1e-6, known=known)
    assert set(found.step_sizes[0]) == {64}
    assert np.isnan(found.indicated[0][1:]).all()
    assert np.isfinite(found.indicated[0][0])
    truth = exact(start, 640)
    assert found.step_sizes[1][0] < 64
    assert (largest(found.states, truth) < 1e-5).all()
    unknown = step_to(maps, start, 640, 1e-6)
    assert unknown.evaluations[0] > found.evaluations[0]


def test_what_neighbours_have_learned_wrongly_alike_is_not_believed():
    flows = {s: torch.from_numpy(rotation(s * DT)).T for s in (8, 16)}
    shared = {s: lambda x, s=s: 1e-4 * s / 8 * x @ flows[s] for s in flows}
    maps = turns([1, 2, 4, 8, 16], shared)
    start = starts(4)
    rows = exact(starts(8, seed=1), 100)
    values = agreements(rows.reshape(-1, 2), np.full(8, 101), steppers(maps), np.ones(2))
    believed = step_to(maps, start, 320, 1e-4)
    careful = step_to(maps, start, 320, 1e-4, agreement=values)
    truth = exact(start, 320)
    assert (largest(believed.states, truth) > 1e-4).all()
    assert (largest(careful.states, truth) < 1e-4).all()


def test_a_motion_that_comes_round_is_not_taken_for_rest():
    """Rows 32 apart are one turn apart; nothing of it may be drawn as a straight line."""

    class Round(Turn):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            flow = rotation(2 * np.pi * size / 32) - np.eye(2)
            self.flow = torch.from_numpy(flow.T.copy())

    maps: dict[int, FlowMap] = {s: Round(s) for s in (1, 2, 4, 8, 16, 32, 64)}
    found = step_to(maps, starts(3), 640, 1e-4, longest=8)
    angles = 2 * np.pi / 32 * np.arange(641)
    truth = np.einsum("tij,nj->nti", np.stack([rotation(a) for a in angles]), starts(3))
    assert (largest(found.states, truth) < 1e-4).all()


# Errors follow the tolerance


class Pulse(FlowMap):
    """Exact flow of a phase that mostly creeps and once a round leaps, drawn on a circle.

    ``q = phase - 0.8 sin(phase)`` grows evenly in time, so the phase is fast where the cosine is
    near 1. The state is (cos, sin) of the phase; the step solves for it by Newton's method.
    """

    def __init__(self, size: int, wrong: float = 0.0) -> None:
        super().__init__(2)
        self.size, self.wrong = size, wrong
        self.register_buffer("like", torch.zeros(1).double())

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        phase = torch.atan2(states[:, 1], states[:, 0])
        wanted = phase - 0.8 * phase.sin() + DT * self.size
        # Where the phase is fast, what is wrong is large.
        wanted = wanted + self.wrong / (1 - 0.8 * phase.cos()) * states[:, 0]
        later = wanted.clone()
        for _ in range(25):
            step = (later - 0.8 * later.sin() - wanted) / (1 - 0.8 * later.cos())
            later = later - step.clamp(-0.5, 0.5)
        return torch.stack([later.cos(), later.sin()], dim=1) - states


def test_the_error_follows_the_tolerance_through_fast_and_slow_phases():
    sizes = [1, 2, 4, 8, 16, 32, 64]
    wrong = {s: 1e-12 * (s / 4) ** 4 for s in sizes[2:]}
    maps: dict[int, FlowMap] = {s: Pulse(s, wrong.get(s, 0.0)) for s in sizes}
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 6)
    start = np.column_stack([np.cos(angles), np.sin(angles)])
    truth = forecast(start, {1: Pulse(1)}, plain(), 1024)
    tolerances = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    errors, evaluations = [], []
    for tol in tolerances:
        found = step_to(maps, start, 1024, tol)
        errors.append(largest(found.states, truth).max())
        evaluations.append(found.evaluations.mean())
        assert found.met.all()
        assert 0.02 * tol < errors[-1] < 10 * tol
    assert (np.diff(errors) < 0).all()
    assert (np.diff(evaluations) > 0).all()
    assert evaluations[-1] < 1024


def test_a_tolerance_that_no_scale_meets_is_said_to_be_missed():
    maps = turns([1, 2, 4], {1: lambda x: 1e-4 * x, 2: lambda x: -3e-4 * x, 4: lambda x: 1e-3 * x})
    with pytest.warns(PyHiTSWarning, match=r"1e-08 is not met .* 3 of 3 .*indicated error is up"):
        found = step_to(maps, starts(3), 200, 1e-8)
    assert not found.met.any()
    error = largest(found.states, exact(starts(3), 200))
    assert (found.error > 0.1 * error).all()
    assert (found.evaluations < 12 * 200).all()


# Shapes, and independence


@pytest.mark.parametrize("n_steps", [1, 2, 5, 31, 33, 77, 200])
@pytest.mark.parametrize("sizes", [[1, 2, 4, 32], [1, 5, 25], [2, 6, 24], [3, 6]])
def test_any_horizon_and_any_nested_scales(sizes: list[int], n_steps: int):
    found = step_to(turns(sizes), starts(3), n_steps, 1e-6, longest=4)
    truth = exact(starts(3), n_steps)
    assert found.states.shape == truth.shape
    # Below the finest step, and in a few of them, all there is are splines.
    if sizes[0] == 1 or n_steps > 30:
        assert (largest(found.states, truth) < 1e-5).all()
    for taken in found.step_sizes:
        assert 0 <= taken.sum() - n_steps < sizes[0]


@pytest.mark.parametrize("n_steps", [3, 8, 70, 333])
def test_a_dense_finest_scale_fills_in_what_it_returns(n_steps: int):
    maps: dict[int, FlowMap] = {8: Turn(8, outputs=8), 16: Turn(16), 64: Turn(64)}
    found = step_to(maps, starts(4), n_steps, 1e-9, longest=16)
    assert (largest(found.states, exact(starts(4), n_steps)) < 1e-8).all()


def test_evaluations_are_those_that_were_made():
    maps = turns([1, 2, 4, 8, 16, 32], {32: lambda x: torch.where(x[:, :1] > 0, 0.01, 0.0) * x})
    found = step_to(maps, starts(7), 500, 1e-5)
    made = sum(m.rows for m in maps.values())  # type: ignore[misc]
    assert made == found.evaluations.sum()


def test_a_trajectory_does_not_depend_on_its_company():
    wrong = {
        8: lambda x: torch.where(x[:, :1] > 0.3, 1e-4, 0.0) * x,
        32: lambda x: torch.where(x[:, 1:] > 0, 1e-2, 0.0) * x,
    }
    start = starts(9)
    whole = step_to(turns([1, 2, 4, 8, 16, 32], wrong), start, 300, 1e-5)
    for part in ([4], [0, 8], [5, 1, 7]):
        alone = step_to(turns([1, 2, 4, 8, 16, 32], wrong), start[part], 300, 1e-5)
        np.testing.assert_allclose(alone.states, whole.states[part], atol=1e-12)
        np.testing.assert_array_equal(alone.evaluations, whole.evaluations[part])
        for k, i in enumerate(part):
            np.testing.assert_array_equal(alone.step_sizes[k], whole.step_sizes[i])


def test_a_trajectory_that_diverges_does_not_spoil_the_others():
    maps = turns([1, 4, 16], dict.fromkeys([1, 4, 16], lambda x: x * (x.abs() > 5)))
    start = np.array([[1.0, 0.0], [6.0, 0.0], [0.5, 1.0]])
    with pytest.raises(DivergenceError, match="trajectory 1"):
        step_to(maps, start, 320, 1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = step_to(maps, start, 320, 1e-4, on_divergence="return")
    assert np.isnan(found.states[1, -1]).all()
    assert (largest(found.states[[0, 2]], exact(start[[0, 2]], 320)) < 1e-4).all()
    assert list(found.met) == [True, False, True]


def test_scales_that_cannot_be_chosen_between_are_refused():
    with pytest.raises(ArgumentError, match="only step size 4"):
        step_to(turns([4]), starts(1), 8, 1e-3)
    maps: dict[int, FlowMap] = {1: Turn(1), 8: Turn(8, outputs=4)}
    with pytest.raises(ArgumentError, match=r"only the finest flow map may be dense.*8"):
        step_to(maps, starts(1), 8, 1e-3)


# On a fitted model


@pytest.fixture(scope="module")
def fitted() -> pyhits.HiTS:
    model = pyhits.HiTS(
        [1, 2, 4, 8, 16],
        flow_map=pyhits.Auto(dtype="float64"),
        n_jobs=1,
        random_state=0,
        verbose=False,
    )
    return model.fit(circles(12, 200, dt=0.05), validation=circles(4, 200, dt=0.05, seed=1))


def test_a_model_steps_to_a_tolerance(fitted: pyhits.HiTS):
    test = circles(3, 160, dt=0.05, seed=2)
    truth = test.to_array()
    spread = fitted.summary_.std
    for tol in (1e-2, 1e-4, 1e-6):
        states = fitted.forecast(test, 160, tol=tol)
        assert states.dtype == truth.dtype
        assert (largest(states / spread, truth / spread) < 2 * tol).all()
        np.testing.assert_array_equal(states[:, 0], truth[:, 0])
    told = fitted.adaptive_forecast(test, 160, tol=1e-6)
    np.testing.assert_array_equal(told.states, states)
    assert [s.sum() for s in told.step_sizes] == [160] * 3


def test_one_state_times_and_data_frames(fitted: pyhits.HiTS):
    start = np.array([0.3, -0.2])
    whole = fitted.forecast(start, 100, tol=1e-6)
    assert whole.shape == (101, 2)
    later = fitted.forecast(start[None], t=[5.0, 0.0, 1.25], tol=1e-6)
    np.testing.assert_allclose(later[0], whole[[100, 0, 25]], atol=1e-9)
    np.testing.assert_array_equal(later[0, 1], start)
    half = fitted.forecast(start, t=[1.125], tol=1e-6)
    assert half.shape == (1, 2)
    np.testing.assert_allclose(half[0], rotation(1.125) @ start, atol=1e-5)
    some = fitted.adaptive_forecast(start, 100, tol=1e-6, step_sizes=[1, 8])
    assert set(some.step_sizes[0]) <= {1, 8}
    ends = fitted.forecast_from(circles(2, 20, dt=0.05), 50, tol=1e-6)
    assert ends.shape == (2, 51, 2)


def test_disagreements_of_a_model(fitted: pyhits.HiTS):
    start = circles(5, 1, dt=0.05).initial_states
    found = fitted.disagreement(start, 100, step_sizes=[16, 8])
    assert found.shape == (5, 6)
    assert (found < 1e-4).all()
    states = fitted.forecast(start, 96, step_sizes=[16])[:, :96:16].reshape(-1, 2)
    apart = fitted.predict(states, step_size=16) - fitted.predict(
        fitted.predict(states, step_size=8), step_size=8
    )
    expected = np.sqrt(np.square(apart / fitted.summary_.std).mean(axis=1))
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-13)
    assert fitted.disagreement(start[0], 100).ndim == 1
    with pytest.raises(ArgumentError, match="not trained"):
        fitted.disagreement(start, 100, step_sizes=[32, 16])
    with pytest.raises(ArgumentError, match="holds no step of size 16"):
        fitted.disagreement(start, 10, step_sizes=[8, 16])


def test_saved_models_step_to_a_tolerance_bit_for_bit(fitted: pyhits.HiTS, tmp_path: Path):
    loaded = pyhits.load(fitted.save(tmp_path / "model.safetensors"))
    start = circles(4, 1, dt=0.05).initial_states
    first, second = (m.adaptive_forecast(start, 150, tol=1e-5) for m in (fitted, loaded))
    np.testing.assert_array_equal(first.states, second.states)
    np.testing.assert_array_equal(first.evaluations, second.evaluations)
    assert loaded.agreement == fitted.agreement_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 0.0}, "tol to be a positive number"),
        ({"tol": float("nan")}, "tol to be a positive number"),
        ({"tol": 1e-3, "interpolation": "linear"}, "tol and interpolation do not go together"),
        ({"tol": 1e-3, "method": "sequential"}, "tol and method do not go together"),
        ({"tol": 1e-3, "compile": True}, "tol and compile do not go together"),
        ({"tol": 1e-3, "out": "states.npy"}, "tol and out do not go together"),
        ({"tol": 1e-3, "step_sizes": [4]}, "only step size 4"),
        ({"tol": 1e-3, "step_sizes": [1, 3]}, "Step size 3 was not trained"),
        ({"tol": 1e-3, "t": [1.0]}, "Give either n_steps or the times t"),
    ],
)
def test_what_does_not_go_with_a_tolerance_is_refused(
    fitted: pyhits.HiTS, options: dict[str, Any], message: str
):
    with pytest.raises(ArgumentError, match=message):
        fitted.forecast([[0.1, 0.2]], 10, **options)


def test_the_command_line_takes_a_tolerance(fitted: pyhits.HiTS, tmp_path: Path):
    model, data, out = (tmp_path / n for n in ("m.safetensors", "test.npz", "out.npz"))
    fitted.save(model)
    test = circles(3, 40, dt=0.05)
    pyhits.write(test, data)
    words = ["forecast", str(model), "--from", str(data), "--steps", "40", "-o", str(out), "-q"]
    ran = CliRunner().invoke(app, [*words, "--tol", "1e-6"])
    assert ran.exit_code == 0, ran.output
    states = pyhits.read(out).to_array()
    np.testing.assert_array_equal(states, fitted.forecast(test, 40, tol=1e-6))
    refused = CliRunner().invoke(app, [*words, "--tol", "-1"])
    assert refused.exit_code != 0
    assert "positive" in refused.output + (refused.stderr or "")
