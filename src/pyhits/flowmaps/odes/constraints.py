"""What all states keep to, as cosine and sine do: found as polynomials that are 0 on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.numerics.basis import Monomials

#: Degree of the constraints; states that they are looked for on, and for each monomial at least.
_DEGREE, _MOST_STATES, _EACH = 2, 2_000, 3

#: Root mean square of a polynomial of unit size that is 0.
_NOTHING = 1e-7

#: How far a state beside the constraints comes nearer to them within a step.
_PULL = 0.5


def pull(basis: Monomials, states: Tensor) -> Tensor | None:
    """Return a vector field that is 0 on all states and leads those beside them there.

    A vector field that was fitted to states on a surface says nothing of what lies beside it, and
    may lead away from there, so that rounding grows. Polynomials g of degree 2 that are 0 on all
    states are such a surface, and the gradient of the sum of their squares leads back (Baumgarte
    1972, Comput. Methods Appl. Mech. Eng. 1, 1).

    Parameters
    ----------
    basis : Monomials
        Of the vector field.
    states : Tensor, shape (n, d)
        Standardised.

    Returns
    -------
    Tensor, shape (terms, d), or None
        Coefficients; None where states keep to nothing, or the degree does not suffice.
    """
    quadratic = Monomials(basis.dimension, _DEGREE)
    if basis.degree < 2 * _DEGREE - 1 or len(states) < _EACH * quadratic.size:
        return None
    some = states[torch.from_numpy(evenly(len(states), _MOST_STATES))].numpy()
    terms = quadratic(some.T)
    found = _that_vanish(terms)
    if len(found) == 0:
        return None
    # The gradient of g is of degree 1: g times that is of degree 3.
    slopes = _slopes(quadratic, found)
    field = np.zeros((basis.size, basis.dimension))
    rows = _products(basis, quadratic)
    each = np.einsum("gq,gjl->qlj", found, slopes)
    np.add.at(field, rows.ravel(), each.reshape(-1, basis.dimension))
    linear = terms[: 1 + basis.dimension]
    steepest = np.einsum("gjl,ln->gjn", slopes, linear)
    squares = np.einsum("gjn,gkn->jk", steepest, steepest) / len(some)
    largest = float(np.linalg.eigvalsh(squares)[-1])
    return torch.from_numpy(-_PULL / largest * field) if largest > 0 else None


def _that_vanish(terms: np.ndarray) -> np.ndarray:
    """Return polynomials of unit size that are 0 on all states, ``(constraints, terms)``."""
    size = np.sqrt(np.mean(np.square(terms), axis=1))
    is_there = size > 0
    scaled = terms[is_there] / size[is_there, None]
    values, vectors = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])
    vanish = vectors[:, np.sqrt(np.maximum(values, 0.0)) < _NOTHING].T
    found = np.zeros((len(vanish), len(terms)))
    found[:, is_there] = vanish / size[is_there]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _slopes(quadratic: Monomials, found: np.ndarray) -> np.ndarray:
    """Return the gradients, of degree 1, ``(constraints, d, 1 + d)``."""
    d = quadratic.dimension
    slopes = np.zeros((len(found), d, 1 + d))
    for j in range(d):
        factor = quadratic.exponents[:, j]
        has = factor > 0
        lower = quadratic.quotients[has, j]
        np.add.at(slopes[:, j].T, lower, (found[:, has] * factor[has]).T)
    return slopes


def _products(basis: Monomials, quadratic: Monomials) -> np.ndarray:
    """Return the rows of quadratic times linear monomials, ``(terms, 1 + d)``."""
    row = {tuple(powers): k for k, powers in enumerate(basis.exponents.tolist())}
    linear = quadratic.exponents[: 1 + basis.dimension]
    sums = quadratic.exponents[:, None] + linear
    return np.array([[row[tuple(p)] for p in line] for line in sums.tolist()])
