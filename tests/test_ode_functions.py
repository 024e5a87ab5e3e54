"""Vector fields with functions of one column: found from steps, stepped, stored, written down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import quick

import pyhits
from pyhits.errors import ArgumentError
from pyhits.flowmaps import Increments, ODEMap, bare
from pyhits.flowmaps.form import Units
from pyhits.flowmaps.odes import ODEForm
from pyhits.flowmaps.odes import form as odes_form
from pyhits.flowmaps.odes.functions import KINDS, Function
from pyhits.flowmaps.odes.term_search import find_functions
from pyhits.hierarchy.batching import Batching
from pyhits.hierarchy.stepper import Stepper
from pyhits.integrators import AdaptiveRungeKutta
from pyhits.modelfiles.described import read_described
from pyhits.numerics import fused
from pyhits.util.clock import TimeIsUpError

Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: dx/dt and dy/dt by what they hold beside monomials, and its rate or shift; where states begin;
#: the length of a step.
FIELDS: dict[str, tuple[Field, float, tuple[float, float], float]] = {
    "sine": (lambda x, y: (y, -np.sin(1.3 * x) - 0.1 * y), 1.3, (-1.8, 1.8), 0.1),
    "pole": (lambda x, y: (x * (1 - x) - x * y / (x + 0.4), x * y / (x + 0.4) - 0.3 * y),
             -0.4, (0.2, 1.0), 0.3),
    "exponential": (lambda x, y: (y, 1 - np.exp(1.5 * x) - 0.1 * y), 1.5, (-0.9, 0.7), 0.1),
    "step": (lambda x, y: (y, -np.tanh(2.0 * x) - 0.1 * y), 2.0, (-1.5, 1.5), 0.1),
    "bell": (lambda x, y: (y, -x * np.exp(-((0.9 * x) ** 2)) - 0.1 * x), 0.9, (-1.2, 1.2), 0.1),
    "logarithm": (lambda x, y: (-x * np.log(x) - 0.2 * x * y, 0.5 * x - 0.4 * y),
                  0.0, (0.3, 2.0), 0.15),
    "hill4": (lambda x, y: (1 / (1 + (2 * y) ** 4) - 0.3 * x, x - y), 2.0, (0.05, 1.2), 0.15),
    "power": (lambda x, y: (0.5 - x**0.5 * 0.7, x**0.5 * 0.7 - 0.5 * y), 0.5, (0.1, 2.0), 0.1),
}  # fmt: skip


def recorded(kind: str, n: int = 8, n_steps: int = 60, seed: int = 0) -> np.ndarray:
    field, _, (low, high), dt = FIELDS[kind]

    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        return np.stack(field(*states.T), axis=1)

    starts = np.random.default_rng(seed).uniform(low, high, (n, 2))
    return np.asarray(
        AdaptiveRungeKutta(slopes, rtol=1e-12, atol=1e-12)(starts, n_steps=n_steps, dt=dt)
    )


def increments(rows: np.ndarray) -> Increments:
    return Increments(rows[:, :-1].reshape(-1, 2), np.diff(rows, axis=1).reshape(-1, 2))


@pytest.mark.parametrize("kind", FIELDS)
def test_the_function_is_found_from_steps_alone(kind: str) -> None:
    found = find_functions(increments(recorded(kind)))
    assert found is not None
    assert found.left < 1e-7
    assert [(one.kind, len(found.functions)) for one in found.functions] == [(kind, 1)]
    (one,) = found.functions
    number = one.shift if KINDS[kind].refined == ("shift",) else one.rate
    assert abs(number) == pytest.approx(abs(FIELDS[kind][1]), rel=1e-4, abs=1e-6)


def test_kinks_are_found_but_for_the_steps_they_lie_in() -> None:
    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        x, y = states.T
        return np.stack([y, -np.abs(x - 0.3) * x - 0.1 * y], axis=1)

    starts = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    rows = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)(starts, n_steps=100, dt=0.05)
    found = find_functions(increments(np.asarray(rows)))
    assert found is not None
    assert found.left < 1e-4
    assert [one.kind for one in found.functions] == ["kink"]
    assert found.functions[0].shift == pytest.approx(0.3, abs=1e-3)


def test_nothing_is_found_where_monomials_do_or_noise_hides_it() -> None:
    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        x, y = states.T
        return np.stack([y, -x + 0.3 * x * y], axis=1)

    starts = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    solved = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)(starts, n_steps=60, dt=0.1)
    assert find_functions(increments(np.asarray(solved))) is None
    rows = recorded("pole")
    noisy = rows + 0.02 * np.random.default_rng(1).standard_normal(rows.shape)
    assert find_functions(increments(noisy)) is None


def test_defaults_find_a_saturating_system_and_write_it_down(tmp_path: Path) -> None:
    rows = recorded("pole", 10)
    model = quick(step_sizes=[1], flow_map="closed").fit(list(rows), dt=0.3).stepper_
    assert model is not None
    fresh = recorded("pole", 4, 200, seed=7)
    n_steps = fresh.shape[1] - 1
    ahead = model.forecast(fresh[:, 0], n_steps)
    assert np.abs(ahead - fresh).max() < 1e-6
    first, second, _ = model.equations().splitlines()
    assert first.endswith("= 1 x0 - 1 x1 - 1 x0^2 + 0.4 x1 (x0 + 0.4)^-1".replace("1 x", "x"))
    assert second.endswith("= 0.7 x1 - 0.4 x1 (x0 + 0.4)^-1")
    assert any(note.startswith("Equations: dx0/dt = ") for note in model.notes)
    path = model.save(tmp_path / "saturating.safetensors")
    np.testing.assert_array_equal(pyhits.load(path).forecast(fresh[:, 0], n_steps), ahead)
    assert read_described(path).has_code


@pytest.mark.slow
def test_time_that_ends_while_functions_are_looked_for_leaves_monomials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: object) -> None:
        raise TimeIsUpError

    monkeypatch.setattr(odes_form, "find_functions", late)
    model = quick(step_sizes=[1], flow_map="closed").fit(list(recorded("pole")), dt=0.3).stepper_
    assert model is not None
    assert not model.history[1].form.get("functions")


@pytest.mark.slow
def test_two_genes_that_repress_each_other_are_written_down() -> None:
    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        return 1.5 / (1 + states[:, ::-1] ** 4) - 0.5 * states

    starts = np.random.default_rng(0).uniform(0, 3, (10, 2))
    rows = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-12)(starts, n_steps=60, dt=0.2)
    model = quick(step_sizes=[1], flow_map="ode").fit(list(rows), dt=0.2).stepper_
    assert model is not None
    first, second, _ = model.equations().splitlines()
    assert first == "dx0/dt = -0.5 x0 + 1.5 (1 + x1^4)^-1"
    assert second == "dx1/dt = -0.5 x1 + 1.5 (1 + x0^4)^-1"


@pytest.mark.parametrize(
    ("kind", "far", "said"),
    [
        ("pole", 1e4, r" \(heat \(K\) - 9999\.6\)\^-1"),
        ("logarithm", 0.0, r" log\(heat \(K\)( [+-] \S+)?\)"),
        ("sine", 1e4, r" sin\(1\.(3|30000\d+|29999\d+) heat \(K\)\)"),
        ("step", 50.0, r" tanh\(2 \(heat \(K\) - 50\)\)"),
        ("hill4", 0.0, r" \(1 \+ \(2 y\)\^4\)\^-1"),
    ],
)
def test_functions_are_said_to_as_many_digits_as_the_column_needs(
    kind: str, far: float, said: str
) -> None:
    rows = recorded(kind, 10) + np.array([far, 0.0])
    data = pyhits.Trajectories(list(rows), FIELDS[kind][3], feature_names=["heat (K)", "y"])
    model = quick(step_sizes=[1], flow_map="ode").fit(data).stepper_
    assert model is not None
    assert re.search(said, model.equations())


def test_two_functions_of_one_equation_are_found_together() -> None:
    """Neither alone explains anything: what the other one does hides it."""

    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        x, y = states.T
        return np.stack([y, -np.sin(x) - 0.4 * np.tanh(3 * y)], axis=1)

    starts = np.random.default_rng(1).uniform(-2, 2, (10, 2))
    rows = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)(starts, n_steps=60, dt=0.1)
    found = find_functions(increments(np.asarray(rows)))
    assert found is not None
    assert found.left < 1e-8
    assert {(one.kind, one.column) for one in found.functions} == {("step", 1), ("sine", 0)}


@pytest.mark.slow
def test_monomials_of_a_higher_degree_go_before_functions_that_do_no_better() -> None:
    def slopes(t: object, states: np.ndarray) -> np.ndarray:
        x, y = states.T
        return np.stack([y, 5 * (1 - x**2) * y - x], axis=1)

    starts = np.random.default_rng(0).uniform(-2, 2, (10, 2))
    steep = AdaptiveRungeKutta(slopes, rtol=1e-11, atol=1e-11)(starts, n_steps=100, dt=0.3)
    assert find_functions(increments(np.asarray(steep))) is None


@pytest.mark.parametrize("n", [7, 13])
def test_powers_next_to_monomials_stand_for_no_logarithm(n: int) -> None:
    found = find_functions(increments(recorded("logarithm", n)))
    assert found is not None
    assert [one.kind for one in found.functions] == ["logarithm"]
    assert found.functions[0].shift == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_users_units_say_the_same_function(kind: str) -> None:
    units = Units(np.array([0.0, -2.0]), np.array([1.0, 0.5]))
    one = Function(kind, 1, 1.2, 0.0 if kind == "sine" else -3.0, -2.9, 4.0)
    states = torch.linspace(-2.5, 2.5, 40, dtype=torch.float64).expand(2, -1)
    in_units = one.decoded(units)
    users = (states + 2.0) / 0.5
    basis = torch.stack([*in_units.of(users), torch.ones(40, dtype=torch.float64)], dim=1)
    own = torch.stack(one.of(states), dim=1)
    left = own - basis @ torch.linalg.lstsq(basis, own).solution
    assert float(left.abs().max()) < 1e-10
    again = in_units.encoded(units)
    np.testing.assert_allclose(again[2:], one[2:], rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(not fused.is_installed(), reason="needs the extra fast")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_machine_code_steps_as_torch_does(kind: str, dtype: torch.dtype) -> None:
    functions = [Function(kind, 0, 1.3, -3.0, -2.5, 0.0), Function("sine", 1, 0.7)]
    flow_map = ODEMap(2, 2, 3, functions=functions).to(dtype)
    rng = np.random.default_rng(0)
    size = flow_map.coefficients.shape
    flow_map.coefficients.copy_(torch.from_numpy(0.02 * rng.standard_normal(size)))
    flow_map.low.fill_(-3.0)
    flow_map.high.fill_(3.0)
    states = torch.from_numpy(rng.standard_normal((40, 2))).to(dtype)
    ahead = [
        Stepper({1: flow_map}, batching=Batching(fused_seconds=seconds))
        for seconds in (0.0, np.inf)
    ]
    by_code, by_torch = (np.empty((40, 11, 2), dtype=states.numpy().dtype) for _ in ahead)
    for stepper, out in zip(ahead, (by_code, by_torch), strict=True):
        out[:, 0] = states
        engine = stepper.fused(40, 10)
        assert (engine is not None) == (out is by_code)
        stepper.fill(torch.from_numpy(out), engine=engine)
    few = 1e-12 if dtype == torch.float64 else 2e-5
    np.testing.assert_allclose(by_code, by_torch, rtol=few, atol=few)


def test_forms_survive_as_plain_values() -> None:
    form = ODEForm(2, 1e-9, functions=(Function("pole", 1, 1.0, -0.4, -0.2, 5.0),))
    again = ODEForm.from_dict(json.loads(json.dumps(form.as_dict())))
    assert again == form
    assert hash(again) == hash(form)


def test_functions_of_columns_that_are_not_there_are_refused() -> None:
    with pytest.raises(ArgumentError, match="one of 2 columns"):
        ODEMap(2, 1, functions=[Function("sine", 2)])
    for one in (
        Function("pole", 0, 1.0, 0.0, -1.0, 1.0),
        Function("power", 0, 0.5, 0.0, -1.0, 1.0),
        Function("logarithm", 0, 1.0, 0.5, 0.0, 1.0),
        Function("sine", 0, 1.0, 0.0, 1.0, -1.0),
    ):
        with pytest.raises(ArgumentError, match="beyond any pole"):
            ODEMap(2, 1, functions=[one])
    made = ODEMap(2, 1, functions=[Function("sine", 1, 0.5)])
    assert bare(made).config()["functions"][0]["rate"] == 0.5
