"""Algorithm 1 against its definition, interpolation, divergence, and the choice of scales."""

from __future__ import annotations

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import rotation, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DivergenceError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.flowmaps.base import StepInto
from pyhits.hierarchy import (
    Batching,
    Candidate,
    Hierarchy,
    Selection,
    Stepper,
    chain,
    cost,
    fastest,
    ranges,
    resolution,
    select,
    sequential,
)
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


@given(
    ratios=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=3),
    n_steps=st.integers(1, 130),
    n=st.integers(1, 4),
    rows=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_dense_hierarchies_equal_their_definition(
    ratios: list[tuple[int, int]], n_steps: int, n: int, rows: int
) -> None:
    """For any nested step sizes with any number of outputs, horizon and block size."""
    maps: dict[int, FlowMap] = {}
    spacing = 1
    for k, (outputs, gap) in enumerate(ratios):
        size = spacing * outputs
        if size in maps or (maps and outputs == 1 and gap == 1):
            continue
        maps[size] = seeded(ResidualNet(2, (4,), "tanh", outputs=outputs).double(), k)
        spacing = size * (gap + (outputs == 1))
    start = torch.from_numpy(np.random.default_rng(0).standard_normal((n, 2)))
    both = [torch.full((n, n_steps + 1, 2), torch.nan, dtype=torch.float64) for _ in range(2)]
    for states in both:
        states[:, 0] = start
    stepper = Stepper(maps, rows_per_block=rows)
    stepper.fill(both[0])
    sequential(both[1], stepper)
    torch.testing.assert_close(both[0], both[1], atol=1e-12, rtol=0)


@pytest.mark.parametrize("maps", [{8: 8}, {8: 8, 16: 1, 64: 1}, {4: 2, 2: 2, 32: 8}])
@pytest.mark.parametrize("n_steps", [1, 8, 77, 333])
def test_exact_dense_maps_give_the_exact_solution(maps: dict[int, int], n_steps: int) -> None:
    dense: dict[int, FlowMap] = {}
    for size, outputs in maps.items():
        flow_map = PolynomialMap(2, 1, outputs).double()
        angles = 0.1 * size / outputs * np.arange(1, outputs + 1)
        flows = np.concatenate([rotation(a) - np.eye(2) for a in angles])
        flow_map.coefficients[:, 1:] = torch.from_numpy(flows)
        dense[size] = flow_map
    start = np.random.default_rng(0).standard_normal((7, 2))
    found = forecast(start, dense, identity(), n_steps)
    np.testing.assert_allclose(found, exact(start, 0.1 * np.arange(n_steps + 1)), atol=1e-11)


def test_scales_inside_a_dense_step_are_refused() -> None:
    net = ResidualNet(2, (4,), outputs=4)
    with pytest.raises(ArgumentError, match="4 lies inside the step of 8"):
        resolution({4: net, 8: ResidualNet(2, (4,), outputs=8)})
    with pytest.raises(ArgumentError, match="cannot hold 4 states"):
        resolution({6: net})
    assert resolution({8: net, 16: ResidualNet(2, (4,))}) == 2


def test_costs_are_those_of_the_forecast() -> None:
    """Evaluations counted while stepping; stages from the paper's order."""

    class Counted(FlowMap):
        def __init__(self, outputs: int = 1) -> None:
            super().__init__(2, outputs)
            self.calls = self.rows = 0

        def increment(self, states: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            self.rows += len(states)
            return states.new_zeros(len(states), 2 * self.outputs)

    for maps in ({1: 1}, {1: 1, 4: 1, 16: 1}, {8: 8}, {8: 8, 32: 1}, {2: 1, 16: 1}):
        for n_steps in (16, 64, 100):
            flow_maps: dict[int, FlowMap] = {s: Counted(o) for s, o in maps.items()}
            finest = resolution(flow_maps)
            Stepper(flow_maps).rollout(torch.zeros(1, 2), -(-n_steps // finest))
            found = cost(flow_maps, n_steps)
            assert found.evaluations == sum(f.rows for f in flow_maps.values())
            assert found.depth == sum(f.calls for f in flow_maps.values())
    assert cost({8: Counted(8), 64: Counted()}, 512).depth == 8 + 8


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

    states = Stepper({1: Count(0), 6: Count(1)}).rollout(torch.zeros(1, 2), 23)
    rows = np.arange(24)
    np.testing.assert_array_equal(states[0, :, 1].numpy(), rows // 6)
    np.testing.assert_array_equal(states[0, :, 0].numpy(), rows % 6)


def test_threads_and_blocks_do_not_change_the_result() -> None:
    everywhere = Batching(shared_work=1, shared_rows=(1, 1), shared_steps=1)
    assert Stepper({1: PolynomialMap(2, 1)}, batching=everywhere).shares(9, 100) == 18
    net = seeded(ResidualNet(2, (8,)), 0)
    maps = {1: net, 4: net, 16: net}
    start = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(forecast(start, maps, identity(), 100, batching=everywhere))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_batches_are_shared_among_threads_only_where_steps_have_rows_enough() -> None:
    net = seeded(ResidualNet(2, (64, 64, 64)), 0)
    one_by_one, coupled = {1: net}, {1: net, 16: net, 256: net}
    assert Stepper(one_by_one).shares(100, 5120) == 1
    assert Stepper(one_by_one).shares(100_000, 5120) > 1
    assert Stepper(coupled).shares(1, 256) == 1
    assert Stepper(coupled).shares(100, 5120) > 1
    polynomial = {1: PolynomialMap(2, 3)}
    assert Stepper(polynomial).shares(1000, 5120) == 1


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
    with pytest.raises(ArgumentError, match="lies inside the step of 8"):
        Stepper({2: PolynomialMap(2, 1), 8: PolynomialMap(2, 1, 4)})


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


def test_forecasts_larger_than_a_chunk() -> None:
    start = np.random.default_rng(0).standard_normal((11, 2))
    whole = forecast(start, exact_maps([1, 4]), identity(), 50)
    small = Batching(chunk_bytes=3 * 51 * 2 * 8)
    parts = forecast(start, exact_maps([1, 4]), identity(), 50, batching=small)
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
        (2, 4): 2.0, (4,): 6.0, (2,): 2.5, (8,): 7.0, (2, 4, 8): 0.1,
    }  # fmt: skip
    chosen = select([4, 1, 8, 2], lambda s: Candidate(s, errors[s]))
    assert chosen.step_sizes == (2, 4)
    assert chosen.error == 2.0
    tried = {c.step_sizes for c in chosen.path}
    assert tried == {(1,), (1, 2), (1, 2, 4), (1, 2, 4, 8), (2, 4), (4,), (2,), (8,)}
    assert [c.search for c in chosen.path].count("upper") == 4


def test_a_single_scale_that_beats_every_coupling_is_taken() -> None:
    errors = {(1,): 3.0, (2,): 0.5, (4,): 9.0, (1, 2): 4.0, (1, 2, 4): 5.0}
    chosen = select([1, 2, 4], lambda s: Candidate(s, errors[s]))
    assert chosen.step_sizes == (2,)
    assert [c.step_sizes for c in chosen.path if c.search == "single"] == [(2,), (4,)]


@given(st.lists(st.floats(0, 10), min_size=10, max_size=10), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_the_selection_is_never_worse_than_any_candidate(values: list[float], n: int) -> None:
    sizes = [2**k for k in range(n)]
    table = {
        tuple(sizes[a : b + 1]): values[k]
        for k, (a, b) in enumerate((a, b) for a in range(n) for b in range(a, n))
    }
    chosen = select(sizes, lambda s: Candidate(s, table[s]))
    assert chosen.error == min(c.error for c in chosen.path)


def test_diverged_candidates_lose() -> None:
    chosen = select([1, 2], lambda s: Candidate(s, np.nan if 2 in s else 3.0))
    assert chosen.step_sizes == (1,)


def test_the_front_holds_every_range_and_its_thinnings() -> None:
    found = ranges([1, 2, 4, 8, 16])
    assert len(found) == len(set(found))
    whole = {(1, 2, 4, 8, 16)[a:b] for a in range(5) for b in range(a + 1, 6)}
    assert whole < set(found)
    assert {(1, 4, 16), (1, 16), (2, 8)} <= set(found)
    assert all(chain(sizes) == list(sizes) for sizes in found)


def test_what_is_fast_is_chosen_within_the_tolerance() -> None:
    table = [((1,), 1e-9, 8.0), ((1, 4), 1e-6, 2.0), ((4,), 1e-5, 1.0), ((2, 4), 1e-6, 3.0)]
    front = [Candidate(s, error, nominal_seconds=t) for s, error, t in table]
    assert [c.step_sizes for c in fastest(front, 1e-6)] == [(1, 4), (2, 4), (1,)]
    assert fastest(front, 1e-12) == []
    best = Selection((1,), 1e-9, front=[*front, Candidate((8,), np.inf)]).best
    assert [c.step_sizes for c in best] == [(4,), (1, 4), (1,)]


def test_a_selection_survives_json() -> None:
    tried = [Candidate((1,), float("inf"), 0.1, "upper")]
    selection = Selection((1, 2), 0.5, tried, [Candidate((1, 2), 0.5, 0.1, "front", 3, 4, 5, 0.2)])
    assert Selection.from_dict(selection.as_dict()) == selection


def test_sequential_is_the_plain_definition() -> None:
    states = torch.ones(1, 8, 2, dtype=torch.float64)
    sequential(states, Stepper(exact_maps([1, 4])))
    wanted = exact(np.ones((1, 2)), 0.1 * np.arange(8))[0]
    np.testing.assert_allclose(states[0].numpy(), wanted, atol=1e-12)


# What is made once


def test_a_stepper_is_made_once_and_anew_where_weights_have_changed() -> None:
    hierarchy = Hierarchy({1: seeded(ResidualNet(2, (8,)), 0), 4: seeded(ResidualNet(2, (8,)), 1)})
    start = torch.ones(3, 2)
    before = hierarchy.stepper([4, 1])
    assert before.sizes == (1, 4)
    assert hierarchy.stepper() is before
    assert hierarchy.stepper([1]) is not before
    whole = before.rollout(start, 12)
    torch.testing.assert_close(before.rollout(start, 12), whole, rtol=0, atol=0)
    net = hierarchy.flow_maps[4]
    with torch.no_grad():
        next(net.parameters()).mul_(2.0)
    changed = hierarchy.stepper([1, 4]).rollout(start, 12)
    fresh = Stepper(hierarchy.flow_maps).rollout(start, 12)
    torch.testing.assert_close(changed, fresh, rtol=0, atol=0)
    assert not torch.equal(changed, whole)
    again = pickle.loads(pickle.dumps(hierarchy)).stepper([1, 4]).rollout(start, 12)
    torch.testing.assert_close(again, fresh, rtol=0, atol=0)
    with pytest.raises(ArgumentError, match="Step size 2 was not trained; there are 1, 4"):
        hierarchy.stepper([1, 2])


@given(rows=st.lists(st.integers(1, 40), min_size=1, max_size=4), n_steps=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_buffers_that_are_used_again_change_no_bit(rows: list[int], n_steps: int) -> None:
    polynomial = PolynomialMap(2, 3)
    polynomial.coefficients.normal_(0, 0.01, generator=torch.Generator().manual_seed(0))
    maps: dict[int, FlowMap] = {1: polynomial, 4: seeded(ResidualNet(2, (8,)), 1)}
    used = Stepper(maps)
    for n in rows:
        start = torch.from_numpy(0.1 * np.random.default_rng(n).standard_normal((n, 2))).float()
        fresh = Stepper(maps).rollout(start, n_steps)
        assert torch.equal(used.rollout(start, n_steps), fresh)


def test_one_step_is_that_of_the_coarsest_scale() -> None:
    dense = seeded(ResidualNet(2, (8,), outputs=4), 0)
    stepper = Stepper({4: dense})
    start = torch.ones(3, 2)
    assert stepper.spacing == 1
    inside = dense.within(start)
    torch.testing.assert_close(stepper.within(start), inside)
    torch.testing.assert_close(stepper.step(start), inside[:, -1])
    torch.testing.assert_close(stepper.steps(start, 3), stepper.rollout(start, 12)[:, 4::4])


def test_threads_may_step_with_one_stepper() -> None:
    stepper = Stepper({1: seeded(ResidualNet(2, (8,)), 0), 4: seeded(ResidualNet(2, (8,)), 1)})
    starts = [torch.full((n, 2), 0.1 * n) for n in (1, 2, 3, 5, 8)] * 8
    wanted = [stepper.rollout(start, 40) for start in starts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: stepper.rollout(start, 40), starts))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_second_forecast_makes_nothing_anew() -> None:
    class Counted(PolynomialMap):
        made = 0

        def stepper(self, max_rows: int) -> StepInto:
            type(self).made += 1
            return super().stepper(max_rows)

    hierarchy = Hierarchy({1: Counted(2, 1), 4: Counted(2, 1)})
    start = np.ones((1, 2))
    for _ in range(3):
        forecast(start, hierarchy, identity(), 8)
        forecast(start, hierarchy, identity(), 4, step_sizes=[4], at=np.array([4.0]))
    assert Counted.made == 3  # both coupled, and the coarse one alone
