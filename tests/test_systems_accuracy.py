"""Simulated rows against exact solutions, conserved quantities and tight references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import DOP853, Radau

from pyhits import systems

#: Horizon of the comparison where it is not the default one: a few Lyapunov times, or periods.
HORIZONS = {
    "lorenz": 2.56,
    "rossler": 28.0,
    "lorenz-96": 2.0,
    "double-pendulum": 5.0,
    "van-der-pol": 23.0,
    "fitzhugh-nagumo": 118.0,
}
STIFF = ["robertson", "van-der-pol-stiff"]
NAMES = [name for name in systems.names() if name not in STIFF]
#: Two by default, all with the slow tests.
FEW = [
    pytest.param(name, marks=[pytest.mark.slow] * (name not in ("lorenz", "van-der-pol")))
    for name in NAMES
]


def reference(system, state, times, method=DOP853, **options):
    """States at ``times``, from solver step to solver step without any interpolation."""
    states = [state]
    for begin, end in itertools.pairwise(times):
        solver = method(
            lambda t, x: system.rhs(t, x, **system.parameters), begin, states[-1], end, **options
        )
        while solver.status == "running":
            solver.step()
        states.append(solver.y)
    return np.array(states)


def some_rows(n_rows, count, seed=0):
    inner = np.random.default_rng(seed).choice(np.arange(1, n_rows - 1), count, replace=False)
    return np.concatenate([[0], np.sort(inner), [n_rows - 1]])


@pytest.mark.parametrize("name", FEW)
def test_rows_against_a_tight_reference(name):
    """Whether a state is integrated alone or among others."""
    system = systems.get(name)
    n_steps = round(HORIZONS.get(name, system.dt * system.n_steps) / system.dt)
    transient = min(system.transient, 10)
    starts = system.sample(40, random_state=7)
    many = system.simulate(initial_states=starts, n_steps=n_steps, transient=transient)
    alone = system.simulate(initial_states=many[39][:1], n_steps=n_steps, transient=0)
    rows = some_rows(int(many.lengths[0]), 30)
    states = reference(system, many[39][0], many.times()[rows], rtol=2.3e-14, atol=1e-16)
    for found in (many[39], alone[0]):
        np.testing.assert_allclose(found[rows], states, rtol=0, atol=1e-8)


def test_robertson_against_an_explicit_method():
    system = systems.get("robertson")
    data = system.simulate(1, 200, random_state=1)
    rows = some_rows(200, 10)
    states = reference(system, data[0][0], data.times()[rows], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(data[0][rows], states, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "name", ["robertson", pytest.param("van-der-pol-stiff", marks=pytest.mark.slow)]
)
def test_stiff_rows_against_another_implicit_method(name):
    system = systems.get(name)
    data = system.simulate(1, 850, random_state=3)
    rows = some_rows(850, 8)
    states = reference(
        system,
        data[0][0],
        data.times()[rows],
        method=Radau,
        rtol=3e-13,
        atol=1e-15,
        jac=lambda t, x: system.jacobian(t, x, **system.parameters),
    )
    slope = np.abs(system.field(states)).max(axis=1, keepdims=True)
    assert (np.abs(data[0][rows] - states) <= 1e-8 + 5e-12 * slope).all()


def test_robertson_against_published_values():
    # Hindmarsh, Serban, CVODE example cvRoberts_dns: values at t = 0.4, 4 and 40 to its tolerance.
    system = systems.get("robertson")
    rows = system.simulate(initial_states=[1.0, 0.0, 0.0], dt=0.4, n_steps=100).to_array()[0]
    published = [
        [9.8517e-1, 3.3864e-5, 1.4794e-2],
        [9.0553e-1, 2.2404e-5, 9.4452e-2],
        [7.1583e-1, 9.1851e-6, 2.8416e-1],
    ]
    np.testing.assert_allclose(rows[[1, 10, 100]], published, rtol=1e-4)


def test_harmonic_oscillator_is_a_rotation():
    data = systems.get("harmonic-oscillator").simulate(50, random_state=0)
    t = data.times()[None, :]
    x, y = data.initial_states.T[:, :, None]
    exact = np.stack([x * np.cos(t) + y * np.sin(t), y * np.cos(t) - x * np.sin(t)], axis=-1)
    np.testing.assert_allclose(data.to_array(), exact, rtol=0, atol=1e-11)


def test_hyperbolic_closed_form():
    system = systems.get("hyperbolic")
    mu, lam = system.parameters["mu"], system.parameters["lam"]
    data = system.simulate(50, random_state=0)
    t = data.times()[None, :]
    x, y = data.initial_states.T[:, :, None]
    slow = lam / (lam - 2 * mu) * x**2
    exact = np.stack(
        [x * np.exp(mu * t), slow * np.exp(2 * mu * t) + (y - slow) * np.exp(lam * t)], axis=-1
    )
    np.testing.assert_allclose(data.to_array(), exact, rtol=0, atol=1e-11)


def test_hopf_closed_form_in_polar_coordinates():
    system = systems.get("hopf").with_parameters(omega=1.3, A=0.7)
    data = system.simulate(50, random_state=0)
    t = data.times()[None, :]
    mu, x, y = data.initial_states.T[:, :, None]
    squared = x**2 + y**2
    growth = np.expm1(2 * mu * t)
    radius = np.sqrt(squared * (growth + 1) / (1 + 0.7 * squared * growth / mu))
    angle = np.arctan2(y, x) - 1.3 * t
    exact = np.stack([mu + 0 * t, radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    np.testing.assert_allclose(data.to_array(), exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", [n for n in systems.names() if systems.get(n).invariant])
def test_conserved_quantities_stay(name):
    system = systems.get(name)
    rows = system.simulate(5, system.n_steps // 4, random_state=0).to_array()
    values = system.invariant(rows, **system.parameters)
    assert np.abs(values - values[:, :1]).max() < 1e-9


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n == "van-der-pol-stiff"))
        for n in systems.names()
        if systems.get(n).period
    ],
)
def test_limit_cycles_close_after_a_period(name):
    system = systems.get(name)
    starts = system.sample(3, random_state=0)
    rows = system.simulate(
        initial_states=starts, n_steps=1, dt=system.period, transient=5 * system.period
    ).to_array()
    np.testing.assert_allclose(rows[:, 1], rows[:, 0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in systems.names() if systems.get(n).lyapunov])
def test_lyapunov_exponents(name):
    system = systems.get(name)
    # Neighbours separate e-fold in a Lyapunov time, on average over the attractor.
    near, horizon, n = 1e-9, 5 / system.lyapunov, 300
    loose = system.integrator(rtol=1e-8, atol=1e-10)  # the attractor is the same
    states = system.simulate(n, 1, random_state=0, integrator=loose).initial_states

    def after(starts):
        ends = system.simulate(initial_states=starts, n_steps=1, dt=horizon, integrator=loose)
        return ends.to_array()[:, 1]

    settled = after(np.concatenate([states, states + near]))
    # The first span turns the separation to the direction that grows; only the second counts.
    apart = settled[n:] - settled[:n]
    apart *= near / np.linalg.norm(apart, axis=1, keepdims=True)
    ends = after(np.concatenate([settled[:n], settled[:n] + apart]))
    grown = np.linalg.norm(ends[n:] - ends[:n], axis=1) / near
    assert np.log(grown).mean() / horizon == pytest.approx(system.lyapunov, rel=0.1)


def test_looser_tolerances_cost_accuracy_and_no_more():
    system = systems.get("van-der-pol")
    tight = system.simulate(20, 1000, random_state=0).values
    errors = []
    for r in (1e-5, 1e-7, 1e-9):
        loose = system.integrator(rtol=r, atol=r)
        rows = system.simulate(20, 1000, random_state=0, integrator=loose).values
        errors.append(np.abs(rows - tight).max())
    assert errors[0] > errors[1] > errors[2]
    assert all(e < 100 * r for e, r in zip(errors, (1e-5, 1e-7, 1e-9), strict=True))
