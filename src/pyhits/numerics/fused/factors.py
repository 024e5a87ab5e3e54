"""Polynomials of many outputs as few sums of monomials, and the outputs of these."""

from __future__ import annotations

import numpy as np

from pyhits.numerics.basis import Monomials

#: Outputs from which on factors are looked for, and numbers that a decomposition may have.
_FEWEST, _MOST = 32, 1 << 17

#: Part of the products without factors that is left with them, at most.
_WORTH = 0.7

#: Roundings of the largest change that is left out, at most.
_ROUNDINGS = 8.0


def factored(
    basis: Monomials, coefficients: np.ndarray, low: np.ndarray, high: np.ndarray
) -> list[np.ndarray]:
    """Return factors whose product is as good as coefficients: equal up to rounding in a box.

    The outputs of a dense flow map are one smooth curve in time: 50 of them are made of 7 sums of
    the state's monomials as well as of all 55.

    Returns list of array: of the monomials, ``(rank, n_terms)``, and of these sums, ``(n, rank)``;
    the coefficients alone where factors would not save a third of the products.

    Parameters
    ----------
    coefficients : array, shape (n, n_terms)
        float32 or float64; its rounding counts.
    low, high : array, shape (d,)
        The box that states are held in.
    """
    n, n_terms = coefficients.shape
    if n < _FEWEST or n * 2 * n_terms > _MOST or not np.isfinite([low, high]).all():
        return [coefficients]
    exact = coefficients.astype(np.float64)
    points = np.random.default_rng(0).uniform(size=(basis.dimension, 2 * n_terms))
    values = exact @ basis(low[:, None] + points * (high - low)[:, None])
    outer, _, _ = np.linalg.svd(values, full_matrices=False)
    most = _ROUNDINGS * np.finfo(coefficients.dtype).eps * np.abs(values).max(initial=0.0)
    for rank in range(1, int(_WORTH * n * n_terms / (n + n_terms)) + 1):
        part = outer[:, :rank]
        if np.abs(values - part @ (part.T @ values)).max() <= most:
            return [a.astype(coefficients.dtype) for a in (part.T @ exact, part)]
    return [coefficients]
