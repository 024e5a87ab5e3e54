"""Algorithm 1 against its definition, interpolation, divergence, and the choice of scales."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import rotation, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DivergenceError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.hierarchy import Candidate, Selection, chain, fill, select, sequential
from pyhits.hierarchy.forecast import forecast
from pyhits.hierarchy.interpolate import interpolate


def linear_map(matrix: np.ndarray) -> PolynomialMap:
    """A flow map that multiplies by a matrix."""
    flow_map = PolynomialMap(len(matrix), 1).double()
    flow_map.coefficients[:, 1:] = torch.from_numpy(matrix - np.eye(len(matrix)))
    return flow_map


def exact_maps(step_sizes: list[int], dt: float = 0.1) -> dict[int, FlowMap]:
    return {s: linear_map(rotation(s * dt)) for s in step_sizes}


def identity() -> Standardise:
    return Standardise().set_statistics(np.zeros(2), np.ones(2))


def exact(start: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.einsum("tij,nj->nti", np.stack([rotation(t) for t in times]), start)


@given(
    ratios=st.lists(st.integers(2, 5), max_size=3),
    finest=st.integers(1, 3),
    n_steps=st.integers(1, 130),
    n=st.integers(1, 4),
    rows=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_vectorised_equals_sequential(
    ratios: list[int], finest: int, n_steps: int, n: int, rows: int
) -> None:
    """For any nested step sizes, horizon and block size."""
    sizes = list(itertools.accumulate([finest, *ratios], lambda a, b: a * b))
    maps: dict[int, FlowMap] = {}
    for k, size in enumerate(sizes):
        net = ResidualNet(2, (4,), "tanh").double()
        maps[size] = seeded(net, k)
    start = np.random.default_rng(0).standard_normal((n, 2))
    both = [
        forecast(start, maps, identity(), n_steps, method=method, rows_per_block=rows)
        for method in ("vectorised", "sequential")
    ]
    assert both[0].shape == (n, n_steps + 1, 2)
    np.testing.assert_allclose(both[0], both[1], atol=1e-12)


@pytest.mark.parametrize("sizes", [[1], [1, 2, 4, 8], [1, 5, 25], [1, 64]])
def test_exact_flow_maps_give_the_exact_solution(sizes: list[int]) -> None:
    """The flow property: any coupling of exact maps is exact."""
    start = np.random.default_rng(0).standard_normal((7, 2))
    found = forecast(start, exact_maps(sizes), identity(), 333)
    np.testing.assert_allclose(found, exact(start, 0.1 * np.arange(334)), atol=1e-11)


def test_every_row_comes_from_the_coarsest_step_that_divides_it() -> None:
    """With maps that count how often they were used, the counts tell the path."""

    class Count(FlowMap):
        def __init__(self, slot: int) -> None:
            super().__init__(2)
            self.slot = slot

        def increment(self, states: torch.Tensor) -> torch.Tensor:
            change = torch.zeros_like(states)
            change[:, self.slot] = 1
            return change

    states = torch.zeros(1, 24, 2)
    fill(states, {1: Count(0), 6: Count(1)})
    rows = np.arange(24)
    np.testing.assert_array_equal(states[0, :, 1].numpy(), rows // 6)
    np.testing.assert_array_equal(states[0, :, 0].numpy(), rows % 6)


def test_threads_and_blocks_do_not_change_the_result() -> None:
    net = seeded(ResidualNet(2, (8,)), 0)
    maps = {1: net, 4: net, 16: net}
    start = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(forecast(start, maps, identity(), 100))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_step_sizes_must_nest() -> None:
    assert chain([8, 1, 4]) == [1, 4, 8]
    for bad, message in (
        ([1, 4, 6], "4 does not divide the next coarser, 6"),
        ([2, 2], "given twice"),
        ([], "at least one step size"),
        ([0, 1], "at least 1"),
        ([1.5], "whole number"),
        (3, "Expected step sizes such as"),
    ):
        with pytest.raises(ArgumentError, match=message):
            chain(bad)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="finest step size to fill with must be 1"):
        fill(torch.zeros(1, 5, 2), exact_maps([2]))


@pytest.mark.parametrize(("method", "order"), [("linear", 2), ("cubic", 4)])
def test_interpolation_converges_at_its_order(method: str, order: int) -> None:
    """Halving the step of one coarse scale divides the error by 2**order."""
    start = np.array([[1.0, 0.0]])
    errors = []
    for size in (16, 8, 4):
        found = forecast(start, exact_maps([size], 0.02), identity(), 640, interpolation=method)
        errors.append(np.abs(found - exact(start, 0.02 * np.arange(641))).max())
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    assert slopes == pytest.approx(order, abs=0.4)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 5, 7, 9, 10, 11])
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_horizons_short_of_a_coarse_step(n_steps: int, method: str) -> None:
    start = np.array([[1.0, 0.0], [0.3, 0.4]])
    maps = exact_maps([5], 0.01)
    found = forecast(start, maps, identity(), n_steps, interpolation=method)
    assert found.shape == (2, n_steps + 1, 2)
    np.testing.assert_allclose(found, exact(start, 0.01 * np.arange(n_steps + 1)), atol=2e-3)


def test_times_in_any_order() -> None:
    start = np.array([[1.0, 0.0]])
    at = np.array([7.5, 0.0, 3.0, 12.25])
    found = forecast(start, exact_maps([1, 4]), identity(), 13, at=at)
    np.testing.assert_allclose(found, exact(start, 0.1 * at), atol=1e-5)
    np.testing.assert_allclose(found[0, 1:3], exact(start, np.array([0.0, 0.3]))[0], atol=1e-12)


def test_interpolation_of_a_diverged_trajectory_leaves_the_rest_alone() -> None:
    states = np.cumsum(np.ones((2, 9, 1)), axis=1)
    states[0, 5:] = np.nan
    found = interpolate(states, np.arange(17) / 2, "cubic")
    assert np.isnan(found[0, 9:]).all()
    assert np.isfinite(found[0, :9]).all()
    np.testing.assert_allclose(found[1, :, 0], 1 + np.arange(17) / 2)


def blowing_up() -> dict[int, FlowMap]:
    return {1: linear_map(2.0 * np.eye(2))}


def test_divergence_names_trajectory_and_step() -> None:
    start = np.array([[0.0, 0.0], [1.0, 0.0], [1e-9, 0.0]])
    with pytest.raises(DivergenceError, match="trajectory 1 diverged at step 14") as caught:
        forecast(start, blowing_up(), identity(), 30)
    assert (caught.value.trajectory, caught.value.step) == (1, 14)
    rest = forecast(start, blowing_up(), identity(), 30, on_divergence="return")
    assert np.isfinite(rest[[0, 2]]).all()
    assert np.isfinite(rest[1, :14]).all()
    assert np.isnan(rest[1, 14:]).all()


def test_divergence_of_a_coarse_scale_counts_in_dt() -> None:
    with pytest.raises(DivergenceError) as caught:
        forecast(np.ones((1, 2)), {3: linear_map(2.0 * np.eye(2))}, identity(), 90)
    assert caught.value.step == 3 * 14


def test_forecasts_larger_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    start = np.random.default_rng(0).standard_normal((11, 2))
    whole = forecast(start, exact_maps([1, 4]), identity(), 50)
    monkeypatch.setattr("pyhits.hierarchy.forecast._CHUNK_BYTES", 3 * 51 * 2 * 8)
    parts = forecast(start, exact_maps([1, 4]), identity(), 50)
    np.testing.assert_allclose(parts, whole, atol=1e-14)


def test_a_large_offset_costs_no_accuracy_in_float32() -> None:
    """Stepping happens in standardised coordinates: 101325 +- 1 keeps its digits."""
    encoder = Standardise().set_statistics(np.array([101325.0, 0.0]), np.ones(2))
    maps = {s: m.float() for s, m in exact_maps([1, 8]).items()}
    start = np.array([[1.0, 0.0]])
    found = forecast(encoder.inverse_transform(start), maps, encoder, 400)
    wanted = encoder.inverse_transform(exact(start, 0.1 * np.arange(401)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-4)


# Section 2.3


def test_the_greedy_rule_follows_the_paper() -> None:
    """First the best upper bound, then the best lower bound below it."""
    errors = {
        (1,): 9.0, (1, 2): 5.0, (1, 2, 4): 3.0, (1, 2, 4, 8): 4.0,
        (2, 4): 2.0, (4,): 6.0, (2,): 0.1, (2, 4, 8): 0.1,
    }  # fmt: skip
    chosen = select([4, 1, 8, 2], lambda s: (errors[s], 0.5))
    assert chosen.step_sizes == (2, 4)
    assert chosen.error == 2.0
    tried = {c.step_sizes for c in chosen.path}
    assert tried == {(1,), (1, 2), (1, 2, 4), (1, 2, 4, 8), (2, 4), (4,)}
    assert [c.search for c in chosen.path].count("upper") == 4


@given(st.lists(st.floats(0, 10), min_size=10, max_size=10), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_the_selection_is_never_worse_than_any_candidate(values: list[float], n: int) -> None:
    sizes = [2**k for k in range(n)]
    table = {
        tuple(sizes[a : b + 1]): values[k]
        for k, (a, b) in enumerate((a, b) for a in range(n) for b in range(a, n))
    }
    chosen = select(sizes, lambda s: (table[s], 0.0))
    assert chosen.error == min(c.error for c in chosen.path)


def test_diverged_candidates_lose() -> None:
    chosen = select([1, 2], lambda s: (np.nan if 2 in s else 3.0, 0.0))
    assert chosen.step_sizes == (1,)


def test_a_selection_survives_json() -> None:
    selection = Selection((1, 2), 0.5, [Candidate((1,), float("inf"), 0.1, "upper")])
    assert Selection.from_dict(selection.as_dict()) == selection


def test_sequential_is_the_plain_definition() -> None:
    states = torch.ones(1, 8, 2, dtype=torch.float64)
    sequential(states, exact_maps([1, 4]))
    wanted = exact(np.ones((1, 2)), 0.1 * np.arange(8))[0]
    np.testing.assert_allclose(states[0].numpy(), wanted, atol=1e-12)
