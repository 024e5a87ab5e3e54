"""Integrators: order of convergence, stiff decay, equal bits in any batch, adapters, bad input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from conftest import rotation

from pyhits import integrators, systems
from pyhits.errors import (
    ArgumentError,
    DataError,
    DivergenceError,
    MissingExtraError,
    PyHiTSError,
)
from pyhits.integrators import (
    LSODA,
    AdaptiveRungeKutta,
    ImplicitRungeKutta,
    Integrator,
    RungeKutta,
    Simulator,
    SolveIVP,
    Tableau,
    as_integrator,
)
from pyhits.integrators.righthandside import as_right_hand_side, check_features
from pyhits.integrators.tableaux import EXPLICIT, IMPLICIT

FIXED = [*EXPLICIT, *IMPLICIT]
LORENZ = systems.get("lorenz")


def swinging(t: Any, x: np.ndarray) -> np.ndarray:
    """x' = x cos t and y' = -y^2: explicit time, a nonlinear part, an exact solution."""
    return np.stack([x[..., 0] * np.cos(t), -(x[..., 1] ** 2)], axis=-1)


def swung(x: np.ndarray, t0: Any, t: np.ndarray) -> np.ndarray:
    """Exact solution of :func:`swinging`; ``(n, 2)`` and times ``(m,)`` to ``(n, m, 2)``."""
    begin = np.broadcast_to(t0, len(x))[:, None]
    first = x[:, :1] * np.exp(np.sin(begin + t) - np.sin(begin))
    return np.stack([first, x[:, 1:] / (1 + x[:, 1:] * t)], axis=-1)


def turning(t: Any, x: np.ndarray) -> np.ndarray:
    """:func:`swinging` with a harmonic oscillator as components 2 and 3."""
    return np.concatenate([swinging(t, x), x[..., 3:], -x[..., 2:3]], axis=-1)


STATES = np.array([[1.0, 0.5], [-2.0, 1.0], [0.3, 2.0]])


# Runge-Kutta methods


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("each", [False, True])
def test_order_of_convergence(name: str, each: bool) -> None:
    """The slope of log error against log step is the method's order; times one, or one a state."""
    t0 = np.array([0.3, 1.0, 2.5]) if each else 0.3
    start = np.array([[1.0, 0.5, 2, 0], [-1.0, 0.2, 0, 2], [0.3, 0.1, 1.2, 1.6]])
    method = as_integrator(name, turning)
    assert isinstance(method, (RungeKutta, ImplicitRungeKutta))
    coarsest = {"dop853": 2, "tsit5": 8, "radau5": 4, "radau3": 8}.get(name, 16)
    steps = coarsest * 2 ** np.arange(4)
    errors = []
    for n in steps.tolist():
        t = 2 / n * np.arange(1, n + 1)
        flow = np.stack([rotation(angle) for angle in t])
        turned = np.einsum("tij,nj->nti", flow, start[:, 2:])
        exact = np.concatenate([swung(start[:, :2], t0, t), turned], axis=2)
        errors.append(np.abs(method(start, 2 / n, n, t=t0) - exact).max())
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(method.tableau.order, rel=0.1)
    assert errors[-1] < {1: 0.2, 2: 1e-2, 3: 1e-4}.get(method.tableau.order, 1e-6)


@pytest.mark.parametrize("name", FIXED)
def test_tableaux_satisfy_the_order_conditions(name: str) -> None:
    """The quadrature conditions, and the first two of the trees that branch."""
    tableau = {**EXPLICIT, **IMPLICIT}[name]()
    A, b, c = tableau.A, tableau.b, tableau.c
    for q in range(1, tableau.order + 1):
        assert b @ c ** (q - 1) == pytest.approx(1 / q, abs=1e-13)
    if tableau.order >= 3:
        assert b @ A @ c == pytest.approx(1 / 6, abs=1e-13)
    if tableau.order >= 4:
        assert b @ (c * (A @ c)) == pytest.approx(1 / 8, abs=1e-13)
        assert b @ A @ A @ c == pytest.approx(1 / 24, abs=1e-13)
    assert tableau.is_explicit == (name in EXPLICIT)


@pytest.mark.parametrize("name", FIXED)
def test_a_state_has_equal_bits_in_any_batch(name: str) -> None:
    """Alone, with others, in blocks, with a time of its own, or stopped halfway."""
    method = as_integrator(name, LORENZ)
    x = np.random.default_rng(0).normal(0, 5, (7, 3))
    together = method(x, 0.01, 40)
    assert together.shape == (7, 40, 3)
    np.testing.assert_array_equal(method(x[4], 0.01, 40), together[4])
    np.testing.assert_array_equal(method(x[2:3], 0.01, 40)[0], together[2])
    assert method.restarts
    np.testing.assert_array_equal(method(together[:, 24], 0.01, 15), together[:, 25:])
    np.testing.assert_array_equal(method(x, 0.01, 40, t=np.arange(7.0)), together)
    cls, block = (RungeKutta, 6) if name in EXPLICIT else (ImplicitRungeKutta, 50)
    small = cls(LORENZ, name, block=block)
    assert small.rows(3, 40) < 7
    np.testing.assert_array_equal(small(x, 0.01, 40), together)


def test_long_solutions_come_in_pieces_that_fit_together() -> None:
    method = RungeKutta(LORENZ)
    x = np.random.default_rng(0).normal(0, 5, (400, 3))
    pieces = [piece.copy() for piece in method.integrate(x, 0.01, 80)]
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), method(x, 0.01, 80))


@pytest.mark.parametrize("cls", [RungeKutta, ImplicitRungeKutta])
def test_substeps_are_smaller_steps(cls: Any) -> None:
    fine = cls(swinging)(STATES, 0.05, 40)
    coarse = cls(swinging, substeps=4)(STATES, 0.2, 10)
    np.testing.assert_allclose(coarse, fine[:, 3::4], rtol=1e-13)


def test_any_tableau() -> None:
    ralston = Tableau([[0, 0], [2 / 3, 0]], [1 / 4, 3 / 4], order=2, name="Ralston")
    assert repr(RungeKutta(swinging, ralston)) == "Ralston (right-hand side)"
    np.testing.assert_allclose(
        RungeKutta(swinging, ralston)(STATES, 1e-3, 100)[:, -1:],
        swung(STATES, 0.0, np.array([0.1])),
        atol=1e-6,
    )
    with pytest.raises(ArgumentError, match=r"sum to 1, got 0\.9"):
        Tableau([[0.0]], [0.9])
    with pytest.raises(ArgumentError, match=r"got \(1, 1\) and \(2,\)"):
        Tableau([[0.0]], [0.5, 0.5])
    with pytest.raises(ArgumentError, match="implicit; give it to ImplicitRungeKutta"):
        RungeKutta(swinging, IMPLICIT["radau5"]())
    with pytest.raises(ArgumentError, match="not stiffly accurate"):
        ImplicitRungeKutta(swinging, Tableau([[0.5]], [1.0], name="implicit midpoint"))
    with pytest.raises(ArgumentError, match="did you mean 'rk4'"):
        RungeKutta(swinging, "rk44")


def test_a_right_hand_side_may_return_its_argument_or_one_buffer() -> None:
    buffer = np.empty((3, 2))

    def reused(t: float, x: np.ndarray) -> np.ndarray:
        buffer[:] = x
        return buffer

    exact = STATES[:, None] * np.exp(0.1 * np.arange(1, 11))[:, None]
    for function in (reused, lambda t, x: x):
        np.testing.assert_allclose(RungeKutta(function)(STATES, 0.1, 10), exact, rtol=1e-6)


# Stiff systems


@pytest.mark.parametrize("name", list(IMPLICIT))
def test_stiff_decay_is_damped_at_any_step(name: str) -> None:
    """L-stability: modes a million times faster than the step vanish in one."""

    def stiff(t: Any, x: np.ndarray) -> np.ndarray:
        return np.stack([-1e6 * (x[..., 0] - np.cos(x[..., 1])), np.ones_like(x[..., 0])], axis=-1)

    found = as_integrator(name, stiff)([[5.0, 0.0]], 0.1, 20)[0]
    np.testing.assert_allclose(found[1:, 0], np.cos(found[1:, 1]), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], 0.1 * np.arange(1, 21))
    with pytest.raises(DivergenceError, match=r"from state 0, \[5\. 0\.\]. Take smaller steps"):
        RungeKutta(stiff)([[5.0, 0.0]], 0.1, 200)


def test_a_stiff_reaction() -> None:
    """Robertson's: against the catalogue's simulator, mass kept, the Jacobian given or not."""
    system = systems.get("robertson")
    x = system.sample(20, 0)
    wanted = system.simulate(n_steps=50, initial_states=x, dt=0.2).to_array()[:, 1:]
    found = ImplicitRungeKutta(system, substeps=4)(x, 0.2, 50)
    np.testing.assert_allclose(found[:, 1:], wanted[:, 1:], atol=5e-6)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-12)
    rhs = as_right_hand_side(system)
    plain = ImplicitRungeKutta(rhs.function, substeps=4)(x, 0.2, 50)
    np.testing.assert_allclose(plain, found, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        as_right_hand_side(rhs.function).jacobians(0.0, x), rhs.jacobians(0.0, x), rtol=1e-3, atol=1
    )


def test_a_step_that_newton_does_not_solve_is_halved() -> None:
    """Relaxation oscillations, whose jumps are a thousandth of the step long."""
    system = systems.get("van-der-pol-stiff")
    x = system.sample(4, 0)
    found = ImplicitRungeKutta(system)(x, 0.005, 100)
    assert np.abs(found).max() < 3


def test_what_newton_cannot_reach_is_named() -> None:
    """x' = x^2 has no solution after t = 1 / x0; beside it one that has."""
    method = ImplicitRungeKutta(lambda t, x: x**2)
    with pytest.raises(DivergenceError, match=r"at step \d from state 1, \[1\.\]. Newton's") as bad:
        method([[0.1], [1.0]], 0.3, 10)
    assert bad.value.trajectory == 1
    assert 3 <= bad.value.step <= 5
    singular = ImplicitRungeKutta(lambda t, x: 10.0 * x, "implicit-euler")
    with pytest.raises(DivergenceError, match=r"from state 0, \[1\.\]"):
        ImplicitRungeKutta(lambda t, x: np.full_like(x, np.nan))([[1.0]], 0.1, 2)
    assert np.isfinite(singular([[1.0], [2.0]], 0.1, 1)).all()  # halved where I - h J is singular


def test_a_jacobian_of_another_shape_is_named() -> None:
    wrong = systems.System(
        name="wrong",
        rhs=swinging,
        region=[[0, 1], [0, 1]],
        dt=0.1,
        jacobian=lambda t, x: np.ones((2, 2)),
    )
    with pytest.raises(ArgumentError, match=r"The Jacobian of the right-hand side of wrong must"):
        ImplicitRungeKutta(wrong)(STATES, 0.1, 1)


# Adapters


@pytest.mark.parametrize("method", ["DOP853", "RK45", "RK23", "Radau", "BDF"])
def test_solve_ivp(method: str) -> None:
    solver = SolveIVP(swinging, method, rtol=1e-8, atol=1e-9)
    t0 = np.array([0.0, 1.0, 2.0])
    found = solver(STATES, 0.1, 12, t=t0)
    np.testing.assert_allclose(found, swung(STATES, t0, 0.1 * np.arange(1, 13)), atol=1e-5)
    np.testing.assert_allclose(solver(STATES[1], 0.1, 12, t=1.0), found[1], rtol=1e-10)


@pytest.mark.parametrize("cls", [AdaptiveRungeKutta, LSODA])
def test_accurate_solvers(cls: Any) -> None:
    """The solvers of the catalogue's systems, each state from a time of its own."""
    t0 = np.array([0.0, 1.0, 2.0])
    solver = cls(swinging)
    exact = swung(STATES, t0, 0.1 * np.arange(1, 13))
    np.testing.assert_allclose(solver(STATES, 0.1, 12, t=t0), exact, rtol=1e-11)
    np.testing.assert_allclose(solver(STATES[1], 0.1, 12, t=1.0), exact[1], rtol=1e-11)
    loose = cls(swinging, rtol=1e-5, atol=1e-6)(STATES, 0.1, 12, t=t0)
    assert 1e-11 < np.abs(loose - exact).max() < 1e-3


@pytest.mark.parametrize("cls", [AdaptiveRungeKutta, LSODA])
def test_solutions_that_end_leave_the_others_alone(cls: Any) -> None:
    """x' = x^2 reaches infinity at t = 1 / x0; x' = sqrt(x) is defined for x of 0 or more."""
    starts = np.array([[0.1], [1.0], [0.2], [2.0], [-0.5]])

    def solve(function: Any, dt: float, n_steps: int) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.concatenate(list(cls(function).integrate(starts, dt, n_steps)), axis=1)

    states, roots = solve(lambda t, x: x**2, 0.125, 15), solve(lambda t, x: np.sqrt(x), 0.1, 2)
    t = 0.125 * np.arange(1, 16)
    for k in (0, 2, 4):
        np.testing.assert_allclose(states[k, :, 0], starts[k] / (1 - starts[k] * t), rtol=1e-9)
    for k, steps in ((1, 7), (3, 3)):
        exact = starts[k] / (1 - starts[k] * t[:steps])
        np.testing.assert_allclose(states[k, :steps, 0], exact, rtol=1e-9)
        assert np.isnan(states[k, steps + 1 :]).all()
    assert np.isfinite(roots[:4]).all()
    assert np.isnan(roots[4]).all()
    with pytest.raises(DivergenceError, match=r"from state 1, \[1\.\]. The solution may end"):
        cls(lambda t, x: x**2)(starts, 0.125, 15)


def test_blocks_of_adaptive_steps_agree_within_the_tolerances() -> None:
    system = systems.get("cubic")
    states = system.sample(10, 0)
    together = AdaptiveRungeKutta(system)(states, 0.07, 300)
    in_turn = AdaptiveRungeKutta(system, block=3)(states, 0.07, 300)
    np.testing.assert_allclose(in_turn, together, rtol=0, atol=1e-11)


@pytest.mark.parametrize("n_jobs", [0, True, 1.5])
def test_numbers_of_processes_that_are_none(n_jobs: Any) -> None:
    with pytest.raises(ArgumentError, match="n_jobs to be a number of processes or -1"):
        LSODA(swinging, n_jobs=n_jobs)


def test_solve_ivp_where_it_gives_up() -> None:
    solver = SolveIVP(lambda t, x: x**2, n_jobs=2)
    with (
        joblib.parallel_config(backend="threading"),
        pytest.raises(DivergenceError, match=r"with DOP853.*state 1, \[1\.\]. The solver"),
    ):
        solver([[0.1], [1.0]], 0.3, 10)
    stiff = SolveIVP(systems.get("robertson"), "Radau")
    x = systems.get("robertson").sample(2, 0)
    np.testing.assert_allclose(stiff(x, 0.1, 3).sum(axis=2), 1, atol=1e-9)


def exponential(state: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
    """A simulator of x' = x."""
    return state * np.exp(dt * np.arange(1, n_steps + 1))[:, None]


def test_a_simulator_of_ones_own() -> None:
    exact = STATES[:, None] * np.exp(0.1 * np.arange(1, 6))[:, None]
    np.testing.assert_allclose(Simulator(exponential)(STATES, 0.1, 5), exact)
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_allclose(Simulator(exponential, n_jobs=2)(STATES, 0.1, 5), exact)
    assert repr(Simulator(exponential)) == "The simulator 'exponential'"

    def careless(state: np.ndarray, dt: float, n_steps: int) -> list[list[float]]:
        rows = []
        for _ in range(n_steps):
            state *= np.exp(dt)
            rows.append(state.tolist())
        return rows

    given = STATES.copy()
    np.testing.assert_allclose(Simulator(careless)(given, 0.1, 5), exact)
    np.testing.assert_array_equal(given, STATES)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x, dt, n: np.ones((n + 1, 2)), ArgumentError, r"got \(6, 2\).*Leave out the init"),
        (
            lambda x, dt, n: np.ones((2, n)),
            ArgumentError,
            r"shape \(5, 2\) for 5 steps, got \(2,",
        ),
        (lambda x, dt, n: None, ArgumentError, r"numbers of shape \(5, 2\), got None|got \(\)"),
        (lambda x, dt, n: "done", ArgumentError, r"numbers of shape \(5, 2\), got 'done' from st"),
        (lambda x, dt, n: 1 / 0, PyHiTSError, r"raised ZeroDivisionError from state \[1\.  0\.5\]"),
        (
            lambda x, dt, n: np.where(x[0] < 0, np.nan, np.ones((n, 2))),
            DivergenceError,
            r"came to \[nan nan\] at step 1 from state 1, \[-2\.  1\.\]. Look at what",
        ),
    ],
)
def test_what_a_simulator_does_wrong_is_named(
    function: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Simulator(function)(STATES, 0.1, 5)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_torchdiffeq(method: str) -> None:
    pytest.importorskip("torchdiffeq")
    solver = integrators.TorchDiffEq(swinging, method)
    for t0 in (0.5, np.array([0.0, 1.0, 2.0])):
        found = solver(STATES, 0.05, 12, t=t0)
        np.testing.assert_allclose(found, swung(STATES, t0, 0.05 * np.arange(1, 13)), atol=1e-4)
    assert as_integrator("torchdiffeq", swinging).integrate is not None


def test_torchdiffeq_with_a_module() -> None:
    pytest.importorskip("torchdiffeq")

    class Decay(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = torch.nn.Parameter(torch.ones(2))

        def forward(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return -self.rate * x

    found = integrators.TorchDiffEq(Decay())(STATES, 0.1, 10)
    exact = STATES[:, None] * np.exp(-0.1 * np.arange(1, 11))[:, None]
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_torchdiffeq_where_it_gives_up() -> None:
    pytest.importorskip("torchdiffeq")
    with pytest.raises(PyHiTSError, match="dopri5 gave up: underflow in dt"):
        integrators.TorchDiffEq(lambda t, x: x**2)([[1.0]], 0.5, 4)
    with pytest.raises(ArgumentError, match="torchdiffeq: Invalid method"):
        integrators.TorchDiffEq(swinging, "rk45")(STATES, 0.1, 2)


def test_torchdiffeq_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    with pytest.raises(MissingExtraError, match=r'pip install "pyhits\[torchdiffeq\]"'):
        as_integrator("torchdiffeq", swinging)


def test_an_integrator_of_ones_own() -> None:
    class Exact(Integrator):
        def integrate(
            self, states: np.ndarray, dt: float, n_steps: int, t: Any = 0.0
        ) -> Iterator[np.ndarray]:
            for k in range(1, n_steps + 1):
                yield states[:, None] * np.exp(dt * k)

    found = Exact()(STATES, 0.1, 5)
    np.testing.assert_allclose(found, Simulator(exponential)(STATES, 0.1, 5))
    Exact().check(STATES)


# What is asked for


def test_integrators_by_name() -> None:
    for name in integrators.names():
        if name != "torchdiffeq":
            assert isinstance(as_integrator(name, LORENZ), Integrator)
    assert isinstance(as_integrator("Solve_IVP", swinging), SolveIVP)
    assert isinstance(as_integrator(exponential), Simulator)
    method = RungeKutta(LORENZ)
    assert as_integrator(method) is method
    with pytest.raises(AttributeError, match="no attribute 'Eulr'"):
        integrators.Eulr  # noqa: B018


@pytest.mark.parametrize(
    ("given", "system", "message"),
    [
        ("rk5", LORENZ, "Unknown integrator 'rk5'; did you mean 'rk4'"),
        ("rk4", None, "needs a right-hand side: give system="),
        ("rk4", "lorenz", r"got 'lorenz': pyhits.systems.get\('lorenz'\) returns one"),
        ("rk4", 3, "Expected a System or a function .* got 3"),
        (exponential, LORENZ, "this one has its own"),
        (7, None, "Expected the name of an integrator .* got 7"),
    ],
)
def test_what_is_no_integrator(given: Any, system: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        as_integrator(given, system)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((STATES, 0.0, 5), ArgumentError, "dt to be a positive number"),
        ((STATES, 0.1, 0), ArgumentError, "n_steps to be at least 1"),
        ((STATES, 0.1, 1.5), ArgumentError, "n_steps to be a whole number"),
        (([[1.0, np.nan]], 0.1, 5), DataError, "finite states"),
        ((np.ones((2, 2, 2)), 0.1, 5), DataError, r"got shape \(2, 2, 2\)"),
        ((np.ones((0, 2)), 0.1, 5), DataError, r"got shape \(0, 2\)"),
        ((["a", "b"], 0.1, 5), DataError, "Expected numbers"),
    ],
)
def test_bad_states_and_steps(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RungeKutta(swinging)(*arguments)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t, x: [x[1], -x[0]], r"must return derivatives of shape \(3, 2\).*x\[\.\.\., 0\]"),
        (lambda t, x: x[..., 0], r"for states of that shape, got \(3,\)"),
        (lambda t, x: x if t < 1 else -x, "times of shape .* It raised ValueError"),
        (lambda t, x: x / x.sum(), "For 3 states at once it returned other values than for each"),
    ],
)
def test_right_hand_sides_that_do_not_vectorise(function: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RungeKutta(function).check(STATES)


def test_one_state_at_a_time_is_enough_for_solve_ivp() -> None:
    SolveIVP(lambda t, x: x if t < 1 else -x).check(STATES)


def test_features_are_the_components_by_position() -> None:
    rhs = as_right_hand_side(systems.get("van-der-pol"))
    for names in (("x", "y"), ("x0", "x1"), ("position", "velocity")):
        check_features(rhs, names)
    check_features(as_right_hand_side(swinging), ("b", "a"))
    with pytest.raises(ArgumentError, match=r"are x, y, the model's features y, x: 'x' is at"):
        check_features(rhs, ("y", "x"))
    with pytest.raises(ArgumentError, match="van-der-pol has 2 components, the model 3 features"):
        check_features(rhs, ("x", "y", "z"))
    with pytest.raises(ArgumentError, match="has dimension 2, not 3"):
        rhs.check(np.ones((4, 3)))
