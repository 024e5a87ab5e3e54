"""Machine code steps like torch, up to rounding, and torch steps without it."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from pyhits import TimeStepper, Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import DataError, DivergenceError
from pyhits.flowmaps import CellMap, FlowMap, ODEMap, PolynomialMap, ResidualNet
from pyhits.flowmaps.bounded import BoundedMap, Bounds
from pyhits.hierarchy import Batching, Stepper
from pyhits.hierarchy.forecast import forecast
from pyhits.numerics import fused

needs_llvm = pytest.mark.skipif(not fused.is_installed(), reason="needs the extra fast")

ALWAYS, NEVER = Batching(fused_seconds=0.0), Batching(fused_seconds=np.inf)


def contraction(d: int, degree: int, outputs: int = 1, dtype: str = "float64") -> PolynomialMap:
    """A polynomial map of random coefficients that takes states nearer to 0."""
    flow_map = PolynomialMap(d, degree, outputs).to(getattr(torch, dtype))
    generator = torch.Generator().manual_seed(degree)
    terms = flow_map.coefficients.shape[1]
    noise = torch.randn(outputs * d, terms, generator=generator, dtype=torch.float64)
    flow_map.coefficients.copy_(0.05 / terms * noise)
    if degree:
        flow_map.coefficients[:, 1 : d + 1] -= 0.1 * torch.eye(d).repeat(outputs, 1)
    flow_map.set_bounds(np.array([[-1.5] * d, [1.5] * d]))
    return flow_map


def curve(d: int, degree: int, outputs: int, dtype: str = "float64") -> PolynomialMap:
    """A dense map whose states lie on straight lines in time."""
    flow_map = contraction(d, degree, outputs, dtype)
    share = torch.linspace(0, 1, outputs + 1, dtype=torch.float64)[1:]
    end = contraction(d, degree).coefficients
    flow_map.coefficients.copy_((share[:, None, None] * end).flatten(0, 1))
    return flow_map


def spiral(d: int, degree: int, substeps: int, outputs: int = 1, dtype: str = "float64") -> ODEMap:
    """A vector field of random coefficients that leads nearer to 0."""
    flow_map = ODEMap(d, degree, substeps, outputs).to(getattr(torch, dtype))
    flow_map.coefficients.copy_(contraction(d, degree).coefficients)
    flow_map.low.fill_(-1.5)
    flow_map.high.fill_(1.5)
    return flow_map


def table(dtype: str) -> CellMap:
    """Six boxes, one of which has three cells: halved once, and one half again."""
    flow_map = CellMap(2, 3, n_leaves=8, n_nodes=10, grid=(2, 3), depth=2).double()
    whole = torch.tensor
    values = {
        "low": whole([-1.2, -1.5]), "high": whole([1.2, 1.4]), "origin": whole([-1.2, -1.5]),
        "per_box": whole([1 / 1.2, 1.0]),
        "table": whole([0, 1, 2, 3, 4, 5]),
        "child": whole([0, 1, 2, 3, 6, 5, 6, 8, 8, 9]),
        "axis": whole([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
        "leaf": whole([0, 1, 2, 3, -1, 4, 5, -1, 6, 7]),
        "centre": 0.1 * torch.randn(8, 2, generator=torch.Generator().manual_seed(0)),
        "per_half": torch.full((8, 2), 0.7),
        "coefficients": 0.1 * torch.randn(8, 2, 10, generator=torch.Generator().manual_seed(1)),
    }  # fmt: skip
    for name, value in values.items():
        getattr(flow_map, name).copy_(value)
    flow_map.threshold[4], flow_map.threshold[7] = 0.1, 0.6
    assert flow_map.fault() is None
    return flow_map.to(getattr(torch, dtype))


def starts(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(n).uniform(-1.8, 1.8, (n, d))


def scaling(d: int) -> Standardise:
    return Standardise().set_statistics(np.linspace(-3, 100, d), np.linspace(0.5, 2, d))


def both(maps: Mapping[int, FlowMap], states: np.ndarray, n_steps: int, **settings: object):
    """Return forecasts by machine code and by torch."""
    d = states.shape[1]
    rows = scaling(d).inverse_transform(states).astype(states.dtype)
    return [
        forecast(rows, maps, scaling(d), n_steps, batching=batching, **settings)
        for batching in (ALWAYS, NEVER)
    ]


MAPS = {
    "constant": lambda dtype: {1: contraction(1, 0, dtype=dtype)},
    "linear": lambda dtype: {1: contraction(3, 1, dtype=dtype)},
    "degrees": lambda dtype: {2**k: contraction(2, 3 + 2 * k, dtype=dtype) for k in range(4)},
    "dense": lambda dtype: {4: contraction(3, 2, 4, dtype), 8: contraction(3, 3, dtype=dtype)},
    "factors": lambda dtype: {20: curve(3, 4, 20, dtype)},
    "coarse": lambda dtype: {5: contraction(2, 3, dtype=dtype), 15: contraction(2, 2, dtype=dtype)},
    "table": lambda dtype: {1: contraction(2, 3, dtype=dtype), 8: table(dtype)},
    "odes": lambda dtype: {1: spiral(3, 2, 2, dtype=dtype), 4: spiral(3, 3, 1, 2, dtype)},
}


@needs_llvm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAPS)
def test_machine_code_equals_torch(name: str, dtype: str) -> None:
    maps = MAPS[name](dtype)
    d = next(iter(maps.values())).dimension
    atol = 2e-4 if dtype == "float32" else 1e-12
    for n, n_steps in ((1, 23), (33, 90), (70, 16)):
        for result in ("float32", "float64"):
            found, expected = both(maps, starts(n, d).astype(result), n_steps)
            assert found.dtype == expected.dtype == result
            tolerance = 2e-4 if result == "float32" else atol
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_outputs_on_a_curve_are_made_of_few_sums() -> None:
    for dtype in ("float32", "float64"):
        numbers = curve(3, 4, 20, dtype).numbers()
        assert numbers is not None
        assert 3 <= numbers.rank <= 4
        # No box, no rounding to compare with.
        open_end = curve(3, 4, 20, dtype)
        open_end.high[0] = torch.inf
        for other in (contraction(3, 4, 20, dtype), open_end):
            assert other.numbers().rank == 0


@needs_llvm
def test_a_trajectory_does_not_depend_on_those_beside_it() -> None:
    maps = MAPS["degrees"]("float32")
    rows = starts(70, 2)
    every = forecast(rows, maps, scaling(2), 300, batching=ALWAYS)
    for k in (0, 40, 69):
        alone = forecast(rows[k : k + 1], maps, scaling(2), 300, batching=ALWAYS)
        np.testing.assert_array_equal(alone[0], every[k])


@needs_llvm
def test_long_trajectories_go_through_segments_and_long_splines() -> None:
    for sizes in ([1, 4], [4, 16]):
        maps = {size: contraction(2, 2) for size in sizes}
        found, expected = both(maps, starts(2, 2), 20_001)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@needs_llvm
@pytest.mark.parametrize(
    "asked",
    [
        {"at": np.array([0.0, 2.5, 7.0, 31.0])},
        {"at": np.array([0.0, 15.0, 20.0])},
        {"interpolation": "linear"},
    ],
)
def test_what_is_asked_for_between_the_steps_is_the_same(asked: dict[str, object]) -> None:
    found, expected = both(MAPS["coarse"]("float64"), starts(5, 2), 31, **asked)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@needs_llvm
def test_what_diverges_is_named_and_blanked_as_by_torch() -> None:
    growing = PolynomialMap(1, 1).double()
    growing.coefficients[0, 1] = 0.5
    states = np.array([[0.0], [1.0], [-2.0]])
    found, expected = both({1: growing}, states, 60, on_divergence="return")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for batching in (ALWAYS, NEVER):
        with pytest.raises(DivergenceError, match=r"trajectory 1 .* step 23"):
            forecast(states, {1: growing}, Standardise(False).fit(states), 60, batching=batching)


@needs_llvm
def test_states_that_are_no_numbers_stay_so() -> None:
    for maps in (MAPS["degrees"]("float64"), MAPS["table"]("float64")):
        states = torch.from_numpy(starts(40, 2))
        states[3, 0], states[7, 1], states[9] = np.nan, np.inf, -np.inf
        rows = torch.empty(2, 40, 20, 2, dtype=torch.float64)
        rows[:, :, 0] = states
        stepper = Stepper(maps)
        stepper.fill(rows[0], engine=stepper.engine)
        stepper.fill(rows[1])
        good = torch.isfinite(rows[1])
        assert (torch.isfinite(rows[0]) == good).all()
        torch.testing.assert_close(rows[0][good], rows[1][good], rtol=0, atol=1e-12)


@needs_llvm
def test_bounds_are_kept_by_the_flow_map_itself() -> None:
    inner = contraction(2, 2)
    inner.coefficients[0, 1] = 0.1  # grows
    bounds = Bounds(np.array([-1.0, -3.0]), np.array([2.0, 3.0]), 10.0, np.zeros(2, dtype=bool))
    maps = {1: BoundedMap.around(inner, bounds)}
    for states in (np.array([[0.1, 1.0], [0.05, -2.0]]), np.array([[0.1, 1.0], [0.5, -2.0]])):
        for n_steps in (5, 60):
            found, expected = both(maps, states, n_steps, on_divergence="return")
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    held = np.isnan(expected).any(axis=(1, 2))
    assert held.any()


@needs_llvm
def test_nets_and_little_work_are_left_to_torch() -> None:
    net = ResidualNet(2, (4,))
    assert Stepper({1: net}, batching=ALWAYS).fused(1000, 1000) is None
    assert Stepper({1: contraction(17, 1)}, batching=ALWAYS).fused(1000, 1000) is None
    few = Stepper({1: contraction(2, 3)})
    assert few.fused(1, 10) is None
    assert few.fused(10_000, 10_000) is few.engine is not None


def test_torch_steps_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "is_installed", lambda: False)
    maps = MAPS["degrees"]("float64")
    assert Stepper(maps, batching=ALWAYS).fused(1000, 1000) is None
    found, expected = both(maps, starts(3, 2), 20)
    np.testing.assert_array_equal(found, expected)


def test_a_prepared_stepper_answers_like_its_model() -> None:
    maps = {1: contraction(2, 3), 4: contraction(2, 2)}
    data = Trajectories(starts(30, 2)[None], 0.1)
    model = TimeStepper.from_flow_maps(maps, data)
    prepared, states = model.prepared(), starts(3, 2)
    for size in (None, 4):
        expected = model.predict(states, step_size=size)
        np.testing.assert_allclose(prepared.predict(states, size), expected, rtol=0, atol=1e-14)
    expected = model.forecast(states, 21)
    np.testing.assert_allclose(prepared.forecast(states, 21), expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(
        prepared.forecast(states, 21)[1], prepared.forecast(states[1], 21)
    )
    np.testing.assert_array_equal(prepared.predict(states[0]), prepared.predict(states)[0])
    again = pickle.loads(pickle.dumps(prepared))
    np.testing.assert_array_equal(again.forecast(states, 21), prepared.forecast(states, 21))
    with pytest.raises(DataError, match="shape"):
        prepared.predict(np.zeros(3))


@needs_llvm
def test_threads_that_begin_together_share_one_code() -> None:
    """Code that a thread uses must not be freed when another has made the same."""
    from pyhits.numerics.fused.code import once

    together, made = Barrier(4), []

    @once
    def make(name: str) -> object:
        made.append(name)
        return object()

    def ask(_: int) -> object:
        together.wait()
        return make("code")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == len(made) == 1


def test_a_prepared_stepper_of_many_features_takes_little_memory() -> None:
    maps = {1: contraction(300, 1), 4096: contraction(300, 1)}
    model = TimeStepper.from_flow_maps(maps, Trajectories(starts(30, 300)[None], 0.1))
    tracemalloc.start()
    model.prepared()
    assert tracemalloc.get_traced_memory()[1] < 8e6  # 16,385 rows would be 39 MB
    tracemalloc.stop()


@needs_llvm
def test_long_code_is_made_for_much_to_do_alone() -> None:
    long = Stepper({1: contraction(8, 4)})
    assert long.fused(100, 100) is None
