"""Tabulated flow maps: exactness, order, refinement, stepping, files, coupling, exporting."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import rotation

from pyhits.errors import ArgumentError
from pyhits.flowmaps import CellMap, create
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.flowmaps.tabulate import StepFunction, tabulate
from pyhits.hierarchy import Stepper, sequential
from pyhits.numerics.basis import Monomials
from pyhits.util.tensorfile import read_tensors, write_tensors

LOW, HIGH = np.full(2, -1.0), np.full(2, 1.0)


def square(n: int, d: int = 2, seed: int = 0) -> np.ndarray:
    """States drawn evenly from [-1, 1]^d."""
    return np.random.default_rng(seed).uniform(-1, 1, (n, d))


def spiral(time: float) -> StepFunction:
    """Exact flow of ``r' = r - r^3``, turning by one radian a unit of time.

    It spreads the unstable origin over the whole disc: by ``exp(time)``.
    """

    def step(x: np.ndarray) -> np.ndarray:
        growth = np.exp(2 * time)
        squared = (x**2).sum(axis=1, keepdims=True)
        return x @ rotation(time).T * np.sqrt(growth / (1 + (growth - 1) * squared))

    return step


def error(flow_map: CellMap, step: StepFunction, states: np.ndarray) -> float:
    """Mean squared error of one step."""
    after = flow_map(torch.from_numpy(states).to(flow_map.low.dtype)).double().numpy()
    return float(np.mean((after - step(states)) ** 2))


@pytest.fixture(scope="module")
def sharp() -> CellMap:
    """Cells of many sizes, some found by descending."""
    return tabulate(spiral(7.0), square(4000), LOW, HIGH, tolerance=1e-9, degree=5)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_polynomial_is_reproduced_exactly(dimension: int) -> None:
    rng = np.random.default_rng(1)
    powers = Monomials(dimension, 4).exponents
    weights = rng.standard_normal((len(powers), dimension))

    def step(x: np.ndarray) -> np.ndarray:
        return x + (x[:, None] ** powers).prod(axis=2) @ weights

    low, high = np.full(dimension, -1.3), np.full(dimension, 0.9)
    population = rng.uniform(low, high, (500, dimension))
    flow_map = tabulate(step, population, low, high, tolerance=1e-20, degree=4)
    # The cells that it begins with are enough.
    assert flow_map.n_leaves == 4**dimension
    assert error(flow_map, step, population) < 1e-26


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_uniform_cells_converge_at_their_order(degree: int) -> None:
    """Halving every cell divides the error by 2 to the power of the degree plus one."""
    found = [
        error(
            tabulate(np.sin, square(9000, 1), LOW[:1], HIGH[:1], tolerance=1e-99, degree=degree,
                     max_leaves=n),
            np.sin,
            square(5000, 1, seed=1),
        )
        for n in (8, 32)
    ]  # fmt: skip
    order = np.log2(found[0] / found[1]) / 4
    assert order == pytest.approx(degree + 1, abs=0.35)


def test_refinement_goes_where_the_map_is_sharp(sharp: CellMap) -> None:
    step, states = spiral(7.0), square(20_000, seed=2)
    # Among the smallest cells are those at the origin, far smaller than the largest.
    half = 1 / sharp.per_half.max(dim=1).values
    assert sharp.centre[half.argmin()].abs().max() < 0.05
    assert half.max() / half.min() > 100
    assert error(sharp, step, states) < 1e-8

    # As many cells of one size: a population with the origin cut out asks for none there.
    far = states[(states**2).sum(axis=1) > 0.25]
    smooth = tabulate(
        spiral(0.5), far, LOW, HIGH, tolerance=1e-99, degree=5, max_leaves=sharp.n_leaves
    )
    uniform = copy.deepcopy(smooth)
    nodes = _evaluation_points(5)
    basis = (nodes[:, None] ** Monomials(2, 5).exponents).prod(axis=2)
    half_lengths, centre = 1 / uniform.per_half.numpy(), uniform.centre.numpy()
    points = centre[:, None] + half_lengths[:, None] * nodes
    change = (step(points.reshape(-1, 2)) - points.reshape(-1, 2)).reshape(points.shape)
    uniform.coefficients.copy_(torch.from_numpy((np.linalg.pinv(basis) @ change).swapaxes(1, 2)))
    assert error(sharp, step, states) < 1e-3 * error(uniform, step, states)


def _evaluation_points(degree: int) -> np.ndarray:
    line = np.polynomial.legendre.leggauss(degree + 1)[0]
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def test_the_tolerance_is_met() -> None:
    """The error estimated from the fits is the error on the population."""
    step, states = spiral(4.0), square(4000)
    counts: list[int] = []
    estimates: list[float] = []

    def report(n_leaves: int, estimate: float) -> None:
        counts.append(n_leaves)
        estimates.append(estimate)

    for tolerance in (1e-6, 1e-9):
        begin = len(counts)
        flow_map = tabulate(step, states, LOW, HIGH, tolerance=tolerance, progress=report)
        assert counts[-1] == flow_map.n_leaves
        assert counts[begin:] == sorted(counts[begin:])
        assert estimates[-1] <= tolerance < estimates[-2]
        assert estimates[-1] / 5 < error(flow_map, step, states) < 5 * estimates[-1]


def test_no_more_cells_than_allowed() -> None:
    flow_map = tabulate(spiral(4.0), square(500), LOW, HIGH, tolerance=1e-20, max_leaves=51)
    assert flow_map.n_leaves == 51


def test_tabulating_is_deterministic() -> None:
    one, other = (
        tabulate(spiral(4.0), square(500), LOW, HIGH, tolerance=1e-6).state_dict() for _ in range(2)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 7, 300])
def test_the_stepper_equals_the_module(sharp: CellMap, dtype: torch.dtype, n: int) -> None:
    """Also outside the box, and close to the origin where cells are smallest."""
    flow_map = copy.deepcopy(sharp).to(dtype)
    scale = np.random.default_rng(3).choice([1e-4, 1e-2, 1.0, 3.0], (n, 1))
    states = torch.from_numpy(square(n, seed=4) * scale).to(dtype)
    before = states.clone()
    out = torch.empty_like(states)
    with torch.inference_mode():
        flow_map.stepper(max(n, 1))(states, out)
        many = torch.empty_like(states)
        flow_map.stepper(500)(states, many)
        expected = flow_map(states)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance)
    assert torch.equal(out, many)
    assert torch.equal(states, before)
    assert flow_map.depth > 2


def test_float32_is_as_good_as_its_states(sharp: CellMap) -> None:
    """Rounding of the smallest cells' bounds adds nothing to that of the state itself."""
    states = square(3000, seed=5) * np.geomspace(1e-4, 1, 3000)[:, None]
    single = torch.from_numpy(states).float()
    coarse = copy.deepcopy(sharp).float()
    same = coarse.cells(single) == sharp.cells(single.double())
    difference = coarse(single).double() - sharp(single.double())
    assert float(difference[same].abs().max()) < 2e-6
    # A state on the bound of two cells may take either.
    assert same.double().mean() > 0.998


def test_every_state_lies_in_its_cell(sharp: CellMap) -> None:
    states = torch.from_numpy(square(5000, seed=6) * np.geomspace(1e-4, 1, 5000)[:, None])
    leaf = sharp.cells(states)
    local = (states - sharp.centre[leaf]) * sharp.per_half[leaf]
    assert float(local.abs().max()) <= 1


def test_outside_the_box_the_nearest_point_decides(sharp: CellMap) -> None:
    states = torch.tensor([[5.0, 0.3], [-9.0, -2.0], [torch.inf, 0.0]], dtype=torch.float64)
    inside = states.clamp(-1, 1)
    assert torch.equal(sharp.increment(states), sharp.increment(inside))


def test_a_state_that_is_no_number_stays_none(sharp: CellMap) -> None:
    states = torch.full((3, 2), torch.nan, dtype=torch.float64)
    out = torch.zeros_like(states)
    sharp.stepper(3)(states, out)
    assert out.isnan().all()


@pytest.mark.parametrize("spread", [1.0, 1e-9, 0.0])
def test_a_constant_feature_stays_exactly_constant(spread: float) -> None:
    """A parameter among the states, varied a lot or hardly at all."""
    rng = np.random.default_rng(7)
    states = np.concatenate([1.7 + spread * rng.uniform(-1, 1, (2000, 1)), square(2000)], axis=1)

    def step(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:, :1], x[:, 1:] * np.exp(-x[:, :1])], axis=1)

    low, high = states.min(axis=0), states.max(axis=0)
    flow_map = tabulate(step, states, low, high, tolerance=1e-12)
    out = torch.empty(2000, 3, dtype=torch.float64)
    flow_map.stepper(2000)(torch.from_numpy(states), out)
    assert (out[:, 0].numpy() == states[:, 0]).all()
    assert float(np.mean((out.numpy() - step(states)) ** 2)) < 1e-11


def test_where_the_step_fails_nothing_is_learned() -> None:
    def step(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, :1] > 0.5, np.nan, 0.5 * x)

    states = square(500)
    states = states[states[:, 0] < 0.3]
    flow_map = tabulate(step, states, LOW, HIGH, tolerance=1e-12)
    assert flow_map.coefficients.isfinite().all()
    assert error(flow_map, step, states) < 1e-12


def test_files_keep_every_bit(sharp: CellMap, tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    write_tensors(path, sharp.state(), FLOW_MAPS.plain(sharp))
    read, about = read_tensors(path, what="a flow map")
    again = FLOW_MAPS.from_stored(about, read)
    states = torch.from_numpy(square(100))
    assert again.config() == sharp.config()
    assert torch.equal(again(states), sharp(states))
    rebuilt = create("cells", sharp.config())
    assert rebuilt.state_dict().keys() == sharp.state_dict().keys()


def test_cells_couple() -> None:
    """Algorithm 1 with tables of three exact flows meets the exact flow."""
    flows = {size: spiral(0.2 * size) for size in (1, 4, 16)}
    maps = {
        size: tabulate(flow, square(4000), LOW, HIGH, tolerance=1e-12)
        for size, flow in flows.items()
    }
    states = torch.zeros(50, 33, 2, dtype=torch.float64)
    states[:, 0] = torch.from_numpy(square(50, seed=8))
    slow = states.clone()
    stepper = Stepper(maps)
    stepper.fill(states)
    sequential(slow, stepper)
    torch.testing.assert_close(states, slow, atol=1e-12, rtol=1e-12)
    exact = spiral(0.2 * 32)(states[:, 0].numpy())
    np.testing.assert_allclose(states[:, 32], exact, atol=1e-3)


def test_gradients_and_exporters_follow(sharp: CellMap) -> None:
    states = torch.from_numpy(square(5, seed=9)).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda x: sharp(x).sum(0), states)
    shift = torch.tensor([1e-6, 0.0], dtype=torch.float64)
    slope = (sharp(states + shift) - sharp(states - shift)) / 2e-6
    torch.testing.assert_close(jacobian[:, :, 0].T, slope, atol=1e-4, rtol=1e-4)
    rows = torch.export.Dim("n")
    program = torch.export.export(sharp, (states.detach(),), dynamic_shapes=({0: rows},))
    many = torch.from_numpy(square(40, seed=10))
    torch.testing.assert_close(program.module()(many), sharp(many))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CellMap(2, 3, grid=(4,)), "Expected 2 grid sizes, got 1"),
        (lambda: CellMap(2, 0), "degree to be at least 1"),
        (lambda: tabulate(np.sin, square(9, 4), LOW, HIGH, tolerance=1), r"population \(n, 2\)"),
        (lambda: tabulate(np.sin, square(9), HIGH, LOW, tolerance=1), "corners of a box"),
        (
            lambda: tabulate(np.sin, square(9), LOW, HIGH, tolerance=1, max_leaves=3),
            "at least 16",
        ),
        (
            lambda: tabulate(np.sin, square(9, 4), np.zeros(4), np.ones(4), tolerance=1),
            "1 to 3 features, not 4",
        ),
    ],
)
def test_errors_name_what_was_expected(call: Callable[[], CellMap], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_a_damaged_tree_ends() -> None:
    """Nodes that lead back to themselves, as a damaged file may hold, are no endless walk."""
    table = CellMap(1, 1, n_leaves=1, n_nodes=3, depth=2)
    table.child.copy_(torch.tensor([0, 0, 0]))
    table.threshold.fill_(torch.inf)
    table.leaf.copy_(torch.tensor([-1, 0, -1]))
    with pytest.raises((IndexError, RuntimeError)):
        table.stepper(4)(torch.zeros(4, 1), torch.empty(4, 1))
