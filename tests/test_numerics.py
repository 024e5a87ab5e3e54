"""Numerics: monomials, ridge regression, damped Gauss-Newton steps."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhits.numerics import local_polynomials
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.numerics.gauss_newton import GaussNewton, NormalEquations
from pyhits.numerics.ridge import Ridge

Function = Callable[[np.ndarray], np.ndarray]

# Monomials

SIZES = pytest.mark.parametrize(
    ("dimension", "degree"), [(1, 0), (1, 5), (2, 3), (3, 1), (4, 0), (5, 4), (40, 2)]
)


@given(dimension=st.integers(1, 5), degree=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_exponents_are_all_of_them_once_in_graded_lexicographic_order(
    dimension: int, degree: int
) -> None:
    every = itertools.product(range(degree + 1), repeat=dimension)
    fitting = [powers for powers in every if sum(powers) <= degree]
    graded = sorted(fitting, key=lambda powers: (sum(powers), [-k for k in powers]))
    basis = Monomials(dimension, degree)
    assert basis.exponents.tolist() == [list(powers) for powers in graded]
    assert basis.size == len(graded) == n_monomials(dimension, degree)


@SIZES
def test_values_are_products_of_powers(dimension: int, degree: int) -> None:
    basis = Monomials(dimension, degree)
    x = np.random.default_rng(0).standard_normal((dimension, 7))
    expected = np.prod(x.T[:, None] ** basis.exponents, axis=2).T
    np.testing.assert_allclose(basis(x), expected, rtol=1e-13)
    np.testing.assert_array_equal(basis(x[:, 0]), basis(x)[:, 0])
    np.testing.assert_array_equal(basis(x[:, :6].reshape(-1, 2, 3)).reshape(-1, 6), basis(x)[:, :6])


@SIZES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_tensors_and_buffers_hold_the_same(
    dimension: int, degree: int, dtype: torch.dtype
) -> None:
    basis = Monomials(dimension, degree)
    x = torch.randn(dimension, 9, dtype=dtype, generator=torch.Generator().manual_seed(0))
    joined = basis.of_tensor(x)
    assert joined.dtype == dtype
    # A buffer may have more rows, which stay; and it is written again and again.
    buffer = basis.within(torch.full((basis.size + 2, 9), 5.0, dtype=dtype))
    for variables in (x + 1, x):
        if degree:
            buffer.variables.copy_(variables)
        terms = buffer.fill()
    assert torch.equal(terms[: basis.size], joined)
    assert (terms[basis.size :] == 5).all()
    if dtype == torch.float64:
        np.testing.assert_array_equal(joined.numpy(), basis(x.numpy()))


@SIZES
def test_quotients_times_the_variable_are_the_monomial(dimension: int, degree: int) -> None:
    basis = Monomials(dimension, degree)
    x = np.random.default_rng(1).uniform(1, 2, dimension)
    values = basis(x)
    holds = basis.exponents > 0
    products = values[basis.quotients] * x
    np.testing.assert_allclose(
        products[holds], np.broadcast_to(values[:, None], holds.shape)[holds]
    )
    assert (basis.quotients[~holds] == 0).all()


def test_monomials_are_counted_without_making_them() -> None:
    begin = time.perf_counter()
    assert Monomials(1000, 50).size > 10**80
    assert time.perf_counter() - begin < 0.1
    basis = Monomials(200, 1)
    assert pickle.loads(pickle.dumps(basis)) == basis


# Ridge regression


def problem(rows: int, terms: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng([rows, terms, seed])
    return tuple(torch.from_numpy(rng.standard_normal((rows, k))) for k in (terms, 3))  # type: ignore[return-value]


def direct(design: torch.Tensor, targets: torch.Tensor, penalty: float) -> np.ndarray:
    """Least squares of the design with the root of the penalty below it, and zeros to be met."""
    h, y = design.numpy(), targets.numpy()
    below = penalty**0.5 * np.linalg.norm(h, 2) * np.eye(h.shape[1])
    stacked = np.vstack([h, below]), np.vstack([y, np.zeros((h.shape[1], y.shape[1]))])
    return np.asarray(np.linalg.lstsq(*stacked, rcond=None)[0])


@pytest.mark.parametrize(("rows", "terms"), [(30, 50), (50, 30), (3000, 40)])
@pytest.mark.parametrize("products", [False, True])
def test_a_path_of_penalties_is_solved_as_each_alone(rows: int, terms: int, products: bool) -> None:
    design, targets = problem(rows, terms)
    ridge = Ridge(design, targets, products=products)
    penalties = (1e-1, 1e-4, 1e-8)
    path = ridge.path(penalties)
    assert path.shape == (3, terms, 3)
    for penalty, weights in zip(penalties, path, strict=True):
        expected = direct(design, targets, penalty)
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(ridge.solve(penalty), weights, rtol=1e-12, atol=1e-12)
    exact = np.linalg.pinv(design.numpy()) @ targets.numpy()
    np.testing.assert_allclose(ridge.solve(0.0).numpy(), exact, rtol=1e-7, atol=1e-9)
    values = np.linalg.svd(design.numpy(), compute_uv=False)
    np.testing.assert_allclose(np.sort(ridge.values.numpy())[-20:], np.sort(values)[-20:])


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("rows", [4, 90])
def test_many_regressions_at_once_are_each_by_itself(
    products: bool, scaled: bool, rows: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    designs = torch.randn(3, rows, 6, generator=generator, dtype=torch.float64)
    targets = torch.randn(3, rows, 2, generator=generator, dtype=torch.float64)
    designs[1] *= 1e3
    penalties = (1e-2, 1e-5)
    together = Ridge(designs, targets, scaled=scaled, products=products).path(penalties)
    for k in range(3):
        alone = Ridge(designs[k], targets[k], scaled=scaled, products=products).path(penalties)
        torch.testing.assert_close(together[:, k], alone, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rows", [40, 5000])
def test_an_exact_linear_law_is_recovered(rows: int) -> None:
    design, _ = problem(rows, 20)
    law = torch.from_numpy(np.random.default_rng(1).standard_normal((20, 2)))
    found = Ridge(design, design @ law).solve(0.0)
    torch.testing.assert_close(found, law, rtol=1e-11, atol=1e-11)


def test_blocks_are_solved_as_all_rows_at_once() -> None:
    design, targets = problem(200, 30)
    whole = Ridge(design, targets)
    for size in (7, 64, 500):
        blocks = zip(torch.split(design, size), torch.split(targets, size), strict=True)
        parts = Ridge.of_blocks(blocks)
        for penalty in (0.0, 1e-6, 1e-1):
            expected = whole.solve(penalty)
            torch.testing.assert_close(parts.solve(penalty), expected, rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="one block of rows at least"):
        Ridge.of_blocks([])


def test_scaled_columns_are_penalised_alike_and_empty_ones_have_no_say() -> None:
    design, targets = problem(60, 5)
    size = torch.tensor([1.0, 1e6, 1e-6, 3.0, 0.0], dtype=torch.float64)
    found = Ridge(design * size, targets, scaled=True).path((0.0, 1e-3))
    unit = design[:, :4] / design[:, :4].square().mean(dim=0).sqrt()
    expected = Ridge(unit, targets).path((0.0, 1e-3))
    expected = expected / (design[:, :4].square().mean(dim=0).sqrt() * size[:4])[:, None]
    torch.testing.assert_close(found[:, :4], expected, rtol=1e-9, atol=0.0)
    assert (found[:, 4] == 0).all()


def test_directions_below_the_cutoff_are_left_out() -> None:
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 4)))[0] for n in (30, 4))
    design = torch.from_numpy(left @ np.diag([1.0, 0.1, 1e-5, 1e-18]) @ right.T)
    targets = torch.from_numpy(rng.standard_normal((30, 2)))
    for cutoff, rcond in ((None, 1e-15), (1e-3, 1e-3)):
        found = Ridge(design, targets, cutoff=cutoff).solve(0.0)
        expected = np.linalg.pinv(design.numpy(), rcond=rcond) @ targets.numpy()
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8)
    assert not Ridge(torch.zeros(5, 2).double(), targets[:5]).path((0.0, 1e-3)).any()


# Damped Gauss-Newton steps


class Residuals:
    """Least squares of a function with its Jacobian, one problem a row; counts what is asked."""

    def __init__(self, function: Function, jacobian: Function) -> None:
        self.function, self.jacobian = function, jacobian
        self.asked, self.linearised = 0, 0

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        self.asked += 1
        with np.errstate(all="ignore"):
            return np.asarray(np.square(self.function(x)).sum(axis=1))

    def linearise(self, x: np.ndarray, which: np.ndarray) -> NormalEquations:
        self.linearised += 1
        slopes, residual = self.jacobian(x), self.function(x)
        across = slopes.transpose(0, 2, 1)
        return NormalEquations(across @ slopes, -(across @ residual[:, :, None])[..., 0])


def rosenbrock() -> Residuals:
    """Residuals 10 (y - x^2) and 1 - x, which vanish at (1, 1)."""

    def function(x: np.ndarray) -> np.ndarray:
        return np.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]], axis=1)

    def jacobian(x: np.ndarray) -> np.ndarray:
        ten, zero = np.full(len(x), 10.0), np.zeros(len(x))
        rows = [[-20 * x[:, 0], ten], [zero - 1, zero]]
        return np.stack([np.stack(row, axis=1) for row in rows], axis=1)

    return Residuals(function, jacobian)


def test_steps_converge_quadratically_where_nothing_is_left() -> None:
    """The intersection of a circle and a hyperbola."""

    def function(x: np.ndarray) -> np.ndarray:
        return np.stack([(x**2).sum(axis=1) - 4, x[:, 0] * x[:, 1] - 1], axis=1)

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.stack([2 * x, x[:, ::-1]], axis=1)

    start = np.array([[2.05, 0.4]])
    exact = np.array([np.sqrt(2 + np.sqrt(3)), np.sqrt(2 - np.sqrt(3))])
    problem = Residuals(function, jacobian)
    errors = [
        np.abs(GaussNewton(damping=1e-12, max_steps=k)(problem, start).x - exact).max()
        for k in (1, 2, 3)
    ]
    order = np.log(errors[2] / errors[1]) / np.log(errors[1] / errors[0])
    assert order == pytest.approx(2, abs=0.25), errors


@pytest.mark.parametrize("settings", [{}, {"least_damping": 1e-9}])
def test_many_problems_are_solved_as_each_alone(settings: dict[str, float]) -> None:
    starts = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    solver = GaussNewton(relative_gain=1e-9, enough=1e-24, **settings)  # type: ignore[arg-type]
    together = solver(rosenbrock(), starts)
    np.testing.assert_allclose(together.x, 1.0, atol=1e-9)
    for start, x, cost in zip(starts, together.x, together.costs, strict=True):
        alone = solver(rosenbrock(), start[None])
        np.testing.assert_allclose(alone.x[0], x, rtol=1e-12)
        assert alone.costs[0] == pytest.approx(cost, abs=1e-24)


def test_the_sum_of_squares_never_grows() -> None:
    start = np.array([[-1.2, 1.0]])
    trials = range(0, 90, 3)
    costs = [GaussNewton(max_trials=k)(rosenbrock(), start).costs[0] for k in trials]
    assert costs[0] == pytest.approx(24.2)
    assert (np.diff(costs) <= 0).all()
    assert costs[-1] < 1e-20


def test_a_linear_problem_with_noise_ends_at_least_squares() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((9, 30, 4)), rng.standard_normal((9, 30))
    problems = Residuals(
        lambda x: np.einsum("kij,kj->ki", a, x) - b, lambda x: a
    )  # fmt: skip
    solved = GaussNewton(damping=1e-3, relative_gain=1e-14)(problems, np.zeros((9, 4)))
    for k in range(9):
        expected = np.linalg.lstsq(a[k], b[k], rcond=None)
        np.testing.assert_allclose(solved.x[k], expected[0], rtol=1e-6)
        assert solved.costs[k] == pytest.approx(float(expected[1][0]), rel=1e-12)


def test_what_is_not_finite_is_not_stepped_into() -> None:
    """The root of log(x) from afar: an undamped step would leave the function's domain."""
    problems = Residuals(np.log, lambda x: (1 / x)[:, :, None])
    starts = np.array([[20.0], [-1.0], [0.1]])
    with np.errstate(invalid="ignore"):
        solved = GaussNewton(enough=1e-20)(problems, starts)
    np.testing.assert_allclose(solved.x[[0, 2]], 1.0, atol=1e-9)
    assert solved.x[1] == -1.0
    assert np.isinf(solved.costs[1])


def test_a_search_ends_where_it_leads_nowhere() -> None:
    flat = Residuals(lambda x: 1 + 0 * x, lambda x: 0 * x[:, :, None])
    assert GaussNewton()(flat, np.ones((1, 1))).x == 1
    assert flat.asked <= 2
    # Derivatives of the wrong sign: every step is refused, and linearised once.
    wrong = Residuals(lambda x: x - 3, lambda x: -np.ones((len(x), 1, 1)))
    assert GaussNewton(most_damping=1e2)(wrong, np.zeros((1, 1))).x == 0
    assert (wrong.linearised, wrong.asked) == (1, 1 + 6)
    slow = Residuals(lambda x: 1 + np.exp(-x), lambda x: -np.exp(-x)[:, :, None])
    GaussNewton(damping=1e3, least_damping=1e3, patience=5)(slow, np.zeros((1, 1)))
    assert slow.asked == 1 + 5
    stopped = rosenbrock()
    GaussNewton()(stopped, np.zeros((1, 2)), stop=lambda: stopped.asked > 3)
    assert stopped.asked == 4


@pytest.mark.parametrize(("width", "degree"), [(1, 0), (3, 2), (7, 4), (49, 2)])
def test_local_polynomials_give_back_polynomials_and_average_noise(width: int, degree: int) -> None:
    t = 0.1 * np.arange(60)
    rows = np.stack([1 + t, 2 - 0.5 * t**degree], axis=1)
    slopes = np.stack([np.ones(60), -0.5 * degree * t ** max(0, degree - 1)], axis=1)
    found = local_polynomials.smoothed(rows[None], width, degree)[0]
    if degree:
        assert np.allclose(found, rows, rtol=0, atol=1e-10)
        found = local_polynomials.smoothed(rows, width, degree, 1, 0.1)
        assert np.allclose(found, slopes, rtol=0, atol=1e-9)
    weights = local_polynomials.weights(width, degree)
    assert np.isclose(weights.sum(), 1)
    assert np.allclose(weights, weights[::-1])
    # The weight of a row in its own value is the sum of squares, as of every projection.
    assert np.isclose(weights[width // 2], np.square(weights).sum())
