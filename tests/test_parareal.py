"""Parareal: exact on the first intervals, tolerances met, nothing poisoned by a bad flow map."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, rotation, rounding, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hybrid import DT, START, TURN, exact_model, fitted_with, linear_map, turned

import pyhits
from pyhits.errors import ArgumentError, DivergenceError, PyHiTSWarning
from pyhits.flowmaps import FlowMap, ResidualNet
from pyhits.integrators import ImplicitRungeKutta, RungeKutta, Simulator, SolveIVP


def nearly(size: int, error: float) -> FlowMap:
    """A flow map of the harmonic oscillator that turns and stretches a little too far."""
    return linear_map((1 + error) * rotation(size * DT + error))


def poor_hybrid(integrator: Any = "rk4", error: float = 0.05, **settings: Any) -> pyhits.Hybrid:
    system = TURN if isinstance(integrator, str) else None
    return pyhits.Hybrid(fitted_with({8: nearly(8, error)}), integrator, system=system, **settings)


def one_after_another(hybrid: pyhits.Hybrid, start: np.ndarray, n_steps: int) -> np.ndarray:
    """The fine solver alone, interval by interval; row 0 is the start."""
    states = np.empty((len(start), n_steps + 1, start.shape[1]))
    states[:, 0] = start
    for row in range(0, n_steps, hybrid.ratio):
        steps = min(hybrid.ratio, n_steps - row)
        found = hybrid.integrator(states[:, row], hybrid.dt, steps, t=hybrid.dt * row)
        states[:, row + 1 : row + 1 + steps] = found
    return states


def defect(hybrid: pyhits.Hybrid, states: np.ndarray) -> float:
    """Largest jump between the fine solver and the coarse states, from the states alone."""
    coarse = states[:, :: hybrid.ratio]
    worst = 0.0
    for j in range(coarse.shape[1] - 1):
        time = hybrid.dt * hybrid.ratio * j
        ends = hybrid.integrator(coarse[:, j], hybrid.dt, hybrid.ratio, t=time)[:, -1]
        worst = max(worst, np.abs((ends - coarse[:, j + 1]) / hybrid.model.scaling.scale_).max())
    return worst


# What the iteration promises


@pytest.mark.parametrize("integrator", ["rk4", "dop853", "radau5", SolveIVP(TURN)])
def test_k_corrections_are_exact_on_the_first_k_intervals(integrator: Any) -> None:
    """To the last bit, for each k; after as many as there are intervals everywhere."""
    hybrid = poor_hybrid(integrator, error=0.3)
    wanted = one_after_another(hybrid, START, 52)
    for k in range(7):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PyHiTSWarning)
            found = hybrid.parareal(START, 52, tolerance=1e-30, max_iterations=k)
        # k exact intervals, and the one that starts where they end
        np.testing.assert_array_equal(found.states[:, : 8 * k + 8], wanted[:, : 8 * k + 8])
        assert (found.iterations == k).all()
        assert found.converged.all() == (k == 6)
    np.testing.assert_array_equal(found.states, wanted)
    assert found.defect == 0


def test_it_is_the_fine_solver_in_one_piece() -> None:
    """Where a solution may be cut anywhere, intervals one after another are one."""
    hybrid = poor_hybrid()
    found = hybrid.parareal(START, 43, tolerance=1e-30)
    np.testing.assert_array_equal(found.states[:, 1:], RungeKutta(TURN)(START, DT, 43))


def test_one_correction_by_hand() -> None:
    hybrid = poor_hybrid()
    matrix = 1.05 * rotation(8 * DT + 0.05)

    def coarse(x: np.ndarray) -> np.ndarray:
        return x @ matrix.T

    def fine(x: np.ndarray) -> np.ndarray:
        return RungeKutta(TURN)(x, DT, 8)[:, -1]

    guess = [START]
    for _ in range(4):
        guess.append(coarse(guess[-1]))
    wanted = [START]
    for j in range(4):
        wanted.append(coarse(wanted[j]) + fine(guess[j]) - coarse(guess[j]))
    with pytest.warns(PyHiTSWarning, match=r"After 1 corrections the coarse states of 3 traj"):
        found = hybrid.parareal(START, 32, max_iterations=1)
    np.testing.assert_allclose(found.states[:, ::8], np.stack(wanted, axis=1), atol=1e-14)
    jumps = [
        max(np.abs(fine(states[j]) - states[j + 1]).max(axis=1).tolist()[0] for j in range(4))
        for states in (guess, wanted)
    ]
    np.testing.assert_allclose(found.jumps[0], jumps, atol=1e-14)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8, 1e-12])
def test_the_tolerance_is_met_by_the_states_returned(tolerance: float) -> None:
    hybrid = poor_hybrid(error=0.01)
    found = hybrid.parareal(START, 165, tolerance=tolerance)
    assert found.converged.all()
    assert found.defect <= tolerance
    assert found.defect == pytest.approx(defect(hybrid, found.states), abs=1e-16)
    last = found.jumps[np.arange(3), found.iterations]
    assert found.defect == last.max()
    alone = RungeKutta(TURN)(START, DT, 165)
    np.testing.assert_allclose(found.states[:, 1:], alone, atol=30 * tolerance)
    again = hybrid.forecast(START, 165, tolerance=tolerance)
    np.testing.assert_array_equal(again, found.states)


def test_the_unit_of_the_tolerance_is_the_standard_deviation() -> None:
    """The same system in units a thousand times smaller, far from zero, takes the same path."""
    model = fitted_with({8: nearly(8, 0.02)}, scale=1e-3, mean=7.0)

    def shifted(t: Any, x: np.ndarray) -> np.ndarray:
        away = x - 7.0
        return np.stack([away[..., 1], -away[..., 0]], axis=-1)

    small = pyhits.Hybrid(model, "rk4", system=shifted).parareal(7 + 1e-3 * START, 80)
    plain = poor_hybrid(error=0.02).parareal(START, 80)
    np.testing.assert_allclose((small.states - 7) * 1e3, plain.states, atol=1e-8)
    np.testing.assert_array_equal(small.iterations, plain.iterations)
    np.testing.assert_allclose(small.jumps, plain.jumps, rtol=1e-2, atol=1e-11)


def test_flow_maps_in_float32_reach_any_tolerance() -> None:
    """Their steps are taken in float64: the correction is a small difference of two of them."""
    maps = {8: nearly(8, 1e-4).float()}
    hybrid = pyhits.Hybrid(fitted_with(maps), "rk4", system=TURN)
    found = hybrid.parareal(START, 400, tolerance=1e-13)
    assert found.iterations.max() <= 5
    assert next(maps[8].buffers()).dtype == torch.float32


def test_better_flow_maps_take_fewer_corrections() -> None:
    counts = [
        int(poor_hybrid(error=e).parareal(START, 240).iterations.max()) for e in (0, 1e-4, 1e-2)
    ]
    assert counts[0] <= 1 < counts[1] < counts[2] < 30


def test_the_coupled_scales_make_the_first_guess() -> None:
    maps = {8: nearly(8, 0.1), 64: nearly(64, 0.0)}
    model = fitted_with(maps)
    both = pyhits.Hybrid(model, "rk4", system=TURN, step_sizes=[8, 64])
    one = pyhits.Hybrid(model, "rk4", system=TURN, step_sizes=[8])
    first, second = (h.parareal(START, 512) for h in (both, one))
    assert (first.jumps[:, 0] > 0.01).all()
    assert first.iterations.max() < second.iterations.max()
    np.testing.assert_allclose(first.states, second.states, atol=1e-6)


def test_a_dense_flow_map_propagates_by_its_first_output() -> None:
    maps: dict[int, FlowMap] = {16: seeded(ResidualNet(2, (4,), outputs=2).double(), 0)}
    hybrid = pyhits.Hybrid(fitted_with(maps), "rk4", system=TURN)
    assert hybrid.ratio == 8
    found = hybrid.parareal(START, 80)
    np.testing.assert_allclose(found.states[:, 1:], RungeKutta(TURN)(START, DT, 80), atol=1e-6)


@given(
    n=st.integers(1, 5),
    n_steps=st.integers(1, 90),
    error=st.floats(-0.5, 0.5),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_it_always_ends_at_the_fine_solution(n: int, n_steps: int, error: float, seed: int) -> None:
    """Whatever the flow map, horizons shorter than a coarse step among them."""
    hybrid = poor_hybrid(error=error)
    start = np.random.default_rng(seed).standard_normal((n, 2))
    found = hybrid.parareal(start, n_steps, tolerance=1e-9)
    assert found.states.shape == (n, n_steps + 1, 2)
    assert found.converged.all()
    assert found.defect <= 1e-9
    np.testing.assert_array_equal(found.states[:, 0], start)
    alone = RungeKutta(TURN)(start, DT, n_steps)
    np.testing.assert_allclose(found.states[:, 1:], alone, atol=1e-6)
    assert (found.iterations <= n_steps // 8).all()


# What it costs


def test_what_is_done_is_left_out() -> None:
    """Converged trajectories, and intervals whose start has not moved, are not integrated again."""
    calls: list[np.ndarray] = []

    def simulate(state: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
        calls.append(state)
        return turned(state[None], dt * np.arange(1, n_steps + 1))[0]

    hybrid = poor_hybrid(Simulator(simulate), error=0.1)
    start = np.array([[0.0, 0.0], [1.0, 0.0], [1e-4, 0.0]])
    found = hybrid.parareal(start, 40, tolerance=1e-6)
    np.testing.assert_array_equal(found.iterations[:1], [0])
    assert 0 < found.iterations[2] < found.iterations[1]
    np.testing.assert_array_equal(np.isfinite(found.jumps).sum(axis=1), found.iterations + 1)
    # After k corrections k + 1 starts are final: 5, then 4, 3, ... intervals of each trajectory.
    counts = [sum(5 - min(k, 5) for k in range(its + 1)) for its in found.iterations.tolist()]
    assert found.fine_evaluations == sum(counts) == len(calls)


def test_chunks_change_rounding_alone() -> None:
    """Products with a matrix round as the number of their rows has it on the processor."""
    start = np.random.default_rng(0).standard_normal((9, 2)) * 10.0 ** -np.arange(9)[:, None]
    hybrid = poor_hybrid()
    whole = hybrid.parareal(start, 100)
    # No jump is so close to the tolerance that rounding decides whether it is met.
    assert not (np.abs(whole.jumps / 1e-8 - 1) < 1e-3).any()
    parts = poor_hybrid(chunk_bytes=4096).parareal(start, 100)  # of 2 states in a coarse step
    # Twelve coarse steps of three terms, each stretching by 1.05, in up to twelve corrections.
    steps = 12 * 12 * 3 * 1.05**12
    for one, other, jumps, others in zip(
        parts.states, whole.states, parts.jumps, whole.jumps, strict=True
    ):
        within = rounding(round(steps), other)
        np.testing.assert_allclose(one, other, rtol=0, atol=within)
        np.testing.assert_allclose(jumps, others, rtol=0, atol=within)
    np.testing.assert_array_equal(parts.iterations, whole.iterations)
    assert parts.fine_evaluations == whole.fine_evaluations
    assert len(set(whole.iterations.tolist())) > 2


# What may go wrong


class Wild(FlowMap):
    """Right inside the unit disc, anything outside it."""

    def __init__(self, outside: float) -> None:
        super().__init__(2)
        self.outside = outside
        self.register_buffer("matrix", torch.from_numpy(rotation(8 * DT)) * 1.02)

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        later = states @ self.matrix.T
        inside = states.square().sum(dim=1, keepdim=True) < 1
        return torch.where(inside, later, torch.full_like(later, self.outside)) - states


@pytest.mark.parametrize("outside", [np.nan, np.inf, 1e300, 50.0])
def test_a_flow_map_that_blows_up_poisons_nothing(outside: float) -> None:
    model = fitted_with({8: Wild(outside)})
    start = np.array([[0.5, 0.0], [0.99, 0.0], [0.0, 3.0]])
    for integrator in (RungeKutta(TURN), ImplicitRungeKutta(TURN)):
        hybrid = pyhits.Hybrid(model, integrator)
        found = hybrid.parareal(start, 80)
        assert found.converged.all()
        assert found.defect <= 1e-8
        np.testing.assert_allclose(found.states[:, 1:], integrator(start, DT, 80), atol=1e-6)
        assert found.iterations[0] < 10


def cubed(t: Any, x: np.ndarray) -> np.ndarray:
    """Solutions from |x| > 1 end in finite time, those from within go to 0."""
    return x**3 - x


def test_a_fine_solution_that_ends_is_named_or_cut() -> None:
    model = fitted_with({8: linear_map(0.8 * np.eye(1))}, dimension=1)
    hybrid = pyhits.Hybrid(model, "rk4", system=cubed)
    start = np.array([[0.5], [1.2], [0.9]])
    with pytest.raises(DivergenceError, match=r"trajectory 1 diverged at step \d+, integr"):
        hybrid.parareal(start, 80)
    found = hybrid.parareal(start, 80, on_divergence="return")
    np.testing.assert_array_equal(found.converged, [True, False, True])
    finite = np.isfinite(found.states[1, :, 0])
    end = int(finite.sum())
    assert finite[:end].all()
    assert 4 <= end < 30
    alone = RungeKutta(cubed)(start[1:2], DT, end - 1)[0]
    np.testing.assert_array_equal(found.states[1, 1:end], alone)
    np.testing.assert_allclose(found.states[[0, 2], 1:], RungeKutta(cubed)(start[[0, 2]], DT, 80),
                               atol=1e-7)  # fmt: skip
    assert not found.defect <= 1e-8


def test_fine_solutions_from_a_bad_guess_may_fail() -> None:
    """The guess leaves the region where solutions exist; the true ones stay in it."""
    model = fitted_with({8: linear_map(3.0 * np.eye(1))}, dimension=1)
    for name in ("rk4", "radau5"):
        hybrid = pyhits.Hybrid(model, name, system=cubed)
        found = hybrid.parareal([[0.5], [0.9]], 80)
        assert found.converged.all()
        alone = hybrid.integrator([[0.5], [0.9]], DT, 80)
        np.testing.assert_allclose(found.states[:, 1:], alone, atol=1e-7)


def test_times_of_the_intervals() -> None:
    def forced(t: Any, x: np.ndarray) -> np.ndarray:
        return np.stack([x[..., 1], np.cos(2 * t) - x[..., 0]], axis=-1)

    hybrid = pyhits.Hybrid(fitted_with({8: nearly(8, 0.0)}), "rk4", system=forced)
    found = hybrid.parareal(START, 90, tolerance=1e-10)
    np.testing.assert_allclose(found.states[:, 1:], RungeKutta(forced)(START, DT, 90), atol=1e-8)


def test_too_few_corrections_are_said() -> None:
    hybrid = poor_hybrid()
    with pytest.warns(PyHiTSWarning, match=r"still jump by up to .* of 1e-08: allow more"):
        found = hybrid.parareal(START, 80, max_iterations=2)
    assert not found.converged.any()
    assert found.defect > 1e-8
    assert found.jumps.shape == (3, 3)
    with pytest.warns(PyHiTSWarning, match="After 0 corrections"):
        none = hybrid.forecast(START, 80, tolerance=1e-8, max_iterations=0)
    np.testing.assert_allclose(none, hybrid.forecast(START, 80), atol=1e-14)


def test_results_in_other_forms() -> None:
    hybrid = poor_hybrid()
    whole = hybrid.parareal(START, 40)
    one = hybrid.parareal(START[1], 40)
    assert (one.states.shape, one.iterations.shape) == ((1, 41, 2), (1,))
    within = rounding(5 * 5 * 3, whole.states[1])  # five coarse steps, corrected up to five times
    np.testing.assert_allclose(one.states[0], whole.states[1], rtol=0, atol=within)
    low = hybrid.forecast(START.astype(np.float32), 40, tolerance=1e-8)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, whole.states, atol=1e-6)
    at = hybrid.forecast(START, t=[0.0, 1.0, 3.97], tolerance=1e-8)
    np.testing.assert_allclose(at[:, 1], whole.states[:, 10], atol=1e-12)
    with pytest.raises(AttributeError):
        whole.defect = 0.0  # type: ignore[misc]


def test_an_evaluation_of_corrected_forecasts() -> None:
    hybrid = poor_hybrid("dop853")
    test = circles(5, 80)
    assert hybrid.evaluate(test).mse > 1e-3
    corrected = hybrid.evaluate(test, tolerance=1e-10)
    assert corrected.mse < 1e-18
    assert corrected.step_sizes == (8,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, "tolerance to be a positive number"),
        ({"tolerance": np.nan}, "tolerance to be a positive number"),
        ({"max_iterations": -1}, "max_iterations to be at least 0"),
        ({"on_divergence": "ignore"}, "Unknown on_divergence"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        poor_hybrid().parareal(START, 40, **arguments)
    with pytest.raises(ArgumentError, match="n_steps to be at least 1"):
        poor_hybrid().parareal(START, 0)


def test_exact_flow_maps_need_no_correction() -> None:
    hybrid = pyhits.Hybrid(exact_model([8]), "dop853", system=TURN)
    found = hybrid.parareal(START, 400)
    assert (found.iterations == 0).all()
    assert found.fine_evaluations == 3 * 50
