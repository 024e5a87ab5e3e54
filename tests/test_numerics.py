"""Numerics: monomials, ridge regression, damped Gauss-Newton steps."""

from __future__ import annotations

import itertools
import pickle
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.numerics.ridge import Ridge

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
