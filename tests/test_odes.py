"""Polynomial vector fields: integrated, found from steps, coupled, stored and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import quick

import pyhits
from pyhits.encoders import DelayEmbedding
from pyhits.errors import ArgumentError
from pyhits.flowmaps import Increments, ODEMap, bare
from pyhits.flowmaps.odes import ODEForm
from pyhits.flowmaps.odes.form import pull
from pyhits.flowmaps.odes.functions import Function
from pyhits.integrators import AdaptiveRungeKutta
from pyhits.modelfiles.described import read_described
from pyhits.modelfiles.export import export_model
from pyhits.numerics.basis import Monomials

#: dx/dt = y, dy/dt = -x - y + x y: terms 1, x, y, x^2, x y, y^2.
RATES = np.array([[0, 0, 1, 0, 0, 0], [0, -1, -1, 0, 1, 0.0]])


def made(substeps: int, outputs: int = 1, step: float = 0.3) -> ODEMap:
    found = ODEMap(2, 2, substeps, outputs).double()
    found.coefficients.copy_(torch.from_numpy(step * RATES))
    return found


def lorenz(n: int, n_steps: int, dt: float = 0.02, seed: int = 0) -> pyhits.Trajectories:
    system = pyhits.systems.get("lorenz")
    accurate = system.integrator(rtol=1e-12, atol=1e-12)
    return system.simulate(
        n, n_steps=n_steps, dt=dt, random_state=seed, integrator=accurate, transient=3
    )


def chain(n: int, masses: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Masses on springs that grow stiffer, between walls."""

    def slopes(t: object, x: np.ndarray) -> np.ndarray:
        q, p = x[:, :masses], x[:, masses:]
        gaps = np.diff(np.pad(q, ((0, 0), (1, 1))), axis=1)
        return np.concatenate([p, np.diff(gaps + 0.5 * gaps**3, axis=1)], axis=1)

    starts = 0.7 * np.random.default_rng(seed).standard_normal((n, 2 * masses))
    solved = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)
    return list(solved(starts, n_steps=100, dt=0.1))


def test_steps_converge_with_the_order_of_the_scheme() -> None:
    states = torch.tensor([[0.7, -0.4], [-0.3, 0.9]], dtype=torch.float64)
    exact = made(64)(states)
    errors = [float((made(n)(states) - exact).abs().max()) for n in (1, 2, 4)]
    assert np.log2(errors[0] / errors[1]) > 4.8
    assert np.log2(errors[1] / errors[2]) > 4.8


def test_outputs_lie_within_a_step_and_buffers_change_nothing() -> None:
    states = torch.tensor([[0.7, -0.4], [-0.3, 0.9], [0.1, 0.2]], dtype=torch.float64)
    dense, one = made(2, outputs=3), made(2)
    now, every = states, dense.within(states)
    for k in range(3):
        now = one(now)
        torch.testing.assert_close(every[:, k], now)
    out = torch.empty(3, 6, dtype=torch.float64)
    dense.stepper(5)(states, out)
    torch.testing.assert_close(out.view(3, 3, 2), every)
    torch.testing.assert_close(dense(states), now)


def test_outside_the_box_the_field_is_that_of_its_edge() -> None:
    bounded = made(4)
    bounded.low.fill_(-1.0)
    bounded.high.fill_(1.0)
    far = torch.tensor([[1e6, 1e6]], dtype=torch.float64)
    assert float(bounded.increment(far).abs().max()) < 1


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_vector_field_is_found_from_steps_alone(outputs: int) -> None:
    rng = np.random.default_rng(0)
    states = rng.uniform(-1, 1, (300, 2))
    changes = made(32, outputs, step=0.6)(torch.from_numpy(states)).numpy() - states
    if outputs > 1:
        within = made(32, outputs, step=0.6).within(torch.from_numpy(states)).numpy()
        changes = (within - states[:, None]).reshape(300, -1)
    data = Increments(states, changes)
    found = ODEForm(2, penalty=1e-15).solve(data)
    np.testing.assert_allclose(found.coefficients, 0.6 * RATES, atol=1e-8)
    again = ODEForm(2, penalty=1e-15).solve_again(data, lambda: found)
    np.testing.assert_allclose(again.coefficients, 0.6 * RATES, atol=1e-8)


def test_lorenz_is_identified_and_written_down(tmp_path: Path) -> None:
    data = lorenz(4, 300)
    model = quick(flow_map="ode", step_sizes=[1, 4]).fit(data).stepper_
    assert model is not None
    fresh = lorenz(3, 100, seed=5)
    ahead = model.forecast(fresh, 100)
    assert np.abs(ahead - fresh.to_array()).max() < 1e-4
    once, four = (bare(model.flow_maps[size]) for size in (1, 4))
    states = model.coordinates.scaling.transform(fresh.to_array()[:, 50])
    now = torch.from_numpy(states)
    for _ in range(4):
        now = once(now)
    torch.testing.assert_close(four(torch.from_numpy(states)), now, rtol=0, atol=1e-7)
    assert any(note.startswith("Equations: dx/dt = -10 x + 10 y; dy/dt") for note in model.notes)
    x, y, z, *_ = model.equations().splitlines()
    assert x.startswith("dx/dt = -10 x + 10 y")
    for term, line in (("28 x", y), ("- x z", y), ("2.667 z", z), ("x y", z)):
        assert term in line
    again = pyhits.load(model.save(tmp_path / "lorenz.safetensors"))
    np.testing.assert_array_equal(again.forecast(fresh, 100), ahead)
    assert read_described(tmp_path / "lorenz.safetensors").has_code


@pytest.mark.slow
def test_defaults_find_what_polynomials_of_the_state_cannot_hold() -> None:
    model = quick(step_sizes=[1], flow_map="closed").fit(chain(10), dt=0.1).stepper_
    assert model is not None
    assert isinstance(bare(model.flow_maps[1]), ODEMap)
    truth = np.stack(chain(6, seed=9))
    ahead = model.forecast(truth[:, 0], truth.shape[1] - 1)
    assert np.abs(ahead - truth).max() < 1e-4


def test_parameters_of_each_trajectory_act_on_the_field() -> None:
    rates = np.linspace(0.2, 2.0, 12)
    data = [
        np.array([1.0, 0.5]) @ _rotation(rate, 0.2 * np.arange(60)[:, None, None]) for rate in rates
    ]
    given = [np.full((60, 1), rate) for rate in rates]
    model = quick(flow_map="ode", step_sizes=[1]).fit(data, dt=0.2, inputs=given).stepper_
    assert model is not None
    turned = np.array([1.0, 0.5]) @ _rotation(1.1, 0.2 * np.arange(51)[:, None, None])
    ahead = model.forecast(turned[0], 50, inputs=np.full((50, 1), 1.1))
    assert np.abs(ahead - turned).max() < 1e-4


def _rotation(rate: float, t: np.ndarray) -> np.ndarray:
    c, s = np.cos(rate * t), np.sin(rate * t)
    return np.block([[c, s], [-s, c]])


def test_noise_leaves_coefficients_near() -> None:
    rng = np.random.default_rng(2)
    states = rng.uniform(-1, 1, (2000, 2))
    changes = made(32)(torch.from_numpy(states)).numpy() - states
    noisy = Increments(states, changes + 1e-3 * rng.standard_normal(changes.shape))
    found = ODEForm(2, penalty=1e-12).solve(noisy)
    np.testing.assert_allclose(found.coefficients, 0.3 * RATES, atol=1e-3)
    assert Monomials(2, 2).size == found.coefficients.shape[1]


@pytest.mark.slow
def test_columns_that_never_change_keep_no_equation_away() -> None:
    data = [np.column_stack([one, np.full(len(one), 3.7)]) for one in chain(6, masses=2)]
    model = quick(step_sizes=[1], flow_map="closed").fit(data, dt=0.1).stepper_
    assert model is not None
    assert isinstance(bare(model.flow_maps[1]), ODEMap)


@pytest.mark.slow
def test_equations_that_were_asked_for_are_of_single_rows() -> None:
    """Without their speeds no row tells of masses what comes next, and defaults take several."""
    places = [one[:60, :3] for one in chain(4)]
    model = quick(flow_map="ode", step_sizes=[1]).fit(places).stepper_
    assert model is not None
    assert model.encoder is None


@pytest.mark.parametrize("kind", ["short", "delays", "grid", "degree"])
def test_what_equations_cannot_serve_is_said_in_one_sentence(kind: str) -> None:
    rows = np.random.default_rng(0).standard_normal((6 if kind == "short" else 60, 6)).cumsum(0)
    settings: dict[str, Any] = {"step_sizes": [1]}
    if kind == "delays":
        settings["encoder"] = DelayEmbedding(2)
    if kind == "degree":
        settings["polynomial_degree"] = 0
    with pytest.raises(ArgumentError, match="single rows, without delays or a grid"):
        quick(flow_map="ode", **settings).fit(rows, grid="ring" if kind == "grid" else None)


def test_states_beside_a_surface_are_led_back_to_it() -> None:
    """To cosines and sines of two phases; a cloud of states keeps to nothing."""
    rng = np.random.default_rng(3)
    phases = rng.uniform(0, 2 * np.pi, (400, 2))
    states = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
    basis = Monomials(4, 3)
    field = pull(basis, torch.from_numpy(states))
    assert field is not None

    def slopes(at: np.ndarray) -> np.ndarray:
        return np.asarray(basis(at.T).T @ field.numpy())

    assert np.abs(slopes(states)).max() < 1e-12
    beside = states * rng.uniform(0.8, 1.2, (400, 1))
    for _ in range(60):
        beside = beside + slopes(beside)
    assert np.abs(np.square(beside[:, :2]) + np.square(beside[:, 2:]) - 1).max() < 1e-6
    assert pull(basis, torch.from_numpy(rng.standard_normal((400, 4)))) is None
    assert pull(Monomials(4, 2), torch.from_numpy(states)) is None


@pytest.mark.parametrize("flow_map", ["ode", pytest.param("closed", marks=pytest.mark.slow)])
def test_inputs_act_within_steps_of_all_sizes(flow_map: str) -> None:
    """A coarse step holds the inputs of each step within, more variables than the finest."""
    rng = np.random.default_rng(4)
    given = [np.repeat(rng.uniform(-1, 1, 9), 5)[:41] for _ in range(8)]
    data = [forced(inputs, rng.uniform(-1, 1, 2)) for inputs in given]
    model = quick(flow_map=flow_map, step_sizes=[1, 2, 4]).fit(data, dt=0.1, inputs=given).stepper_
    assert model is not None
    assert {type(bare(flow_map)) for flow_map in model.flow_maps.values()} == {ODEMap}
    fresh = np.sin(0.3 * np.arange(41))
    truth = forced(fresh, np.array([0.3, -0.5]))
    ahead = model.forecast(truth[0], 40, inputs=fresh[:40, None])
    assert np.abs(ahead - truth).max() < 1e-6


def forced(inputs: np.ndarray, start: np.ndarray, dt: float = 0.1) -> np.ndarray:
    """An oscillator whose spring grows stiffer, each input held over a step."""
    states = [start]
    for force in inputs[:-1].tolist():

        def slopes(t: object, x: np.ndarray, force: float = force) -> np.ndarray:
            q, p = x[:, 0], x[:, 1]
            return np.stack([p, force - q - q**3 - 0.2 * p], axis=1)

        solved = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)
        states.append(np.asarray(solved(states[-1][None], n_steps=1, dt=dt))[0, -1])
    return np.array(states)


def test_inputs_stay_where_states_are_led_back() -> None:
    """On a circle whose radius an input tells: states come to it, the input does not."""
    rng = np.random.default_rng(5)
    radius, phase = rng.uniform(0.5, 1.0, 400), rng.uniform(0, 2 * np.pi, 400)
    turned = phase + 0.3 * np.cos(phase)
    now, then = (
        np.stack([radius * np.cos(at), radius * np.sin(at), radius], axis=1)
        for at in (phase, turned)
    )
    found = ODEForm(3, penalty=1e-12).solve(Increments(now, then - now))
    beside = torch.tensor([[0.6, 0.5, 0.9]], dtype=torch.float64)
    after = found(beside)
    assert float(after[0, 2]) == 0.9
    squares = [float(at[0, :2].square().sum()) for at in (beside, after)]
    assert abs(squares[1] - 0.81) < 0.9 * abs(squares[0] - 0.81)


@pytest.mark.slow
def test_coarse_steps_stay_those_of_the_finest_when_fitted_again() -> None:
    """To all rows, and to new ones: over such steps no path is found by itself."""
    system = pyhits.systems.get("van-der-pol")
    data, fresh = (system.simulate(6, n_steps=80, dt=0.2, random_state=seed) for seed in (0, 1))
    model = quick(flow_map="ode", step_sizes=[1, 24], selection="all").fit(data).stepper_
    assert model is not None
    for fitted in (model, model.updated(fresh)):
        once, many = (bare(fitted.flow_maps[size]) for size in (1, 24))
        now = states = torch.from_numpy(fitted.coordinates.scaling.transform(fresh.to_array()[0]))
        for _ in range(24):
            now = once(now)
        torch.testing.assert_close(many(states), now, rtol=0, atol=1e-9)
    with pytest.raises(ArgumentError, match="export a finer step size"):
        export_model(model, "step.onnx", step_size=24)


def test_a_stepper_serves_any_numbers_of_states_in_turn() -> None:
    flow_map = ODEMap(2, 2, 3, functions=[Function("sine", 1, 0.5)]).double()
    random = torch.Generator().manual_seed(0)
    flow_map.coefficients.copy_(0.1 * torch.randn(flow_map.coefficients.shape, generator=random))
    step_into = flow_map.stepper(100)
    for n in (5, 3, 100, 5, 1, 100):
        states = torch.randn(n, 2, dtype=torch.float64, generator=random)
        out = torch.empty_like(states)
        step_into(states, out)
        torch.testing.assert_close(out, flow_map(states), rtol=1e-13, atol=1e-13)
