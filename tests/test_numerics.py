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
