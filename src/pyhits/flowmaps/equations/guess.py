"""Coefficients of an equation to begin from, by linear regressions alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyhits.flowmaps.equations.equation import Equation
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.numerics.exponential import phi
from pyhits.numerics.fourier import DERIVATIVE, wavenumbers

#: A wavenumber tells its exponent where this part of its energy is linear, and it holds this part
#: of the most energetic one's.
_COHERENT, _ENERGETIC = 0.5, 1e-10

#: Part of the largest column's size up to which another is rounding.
NOTHING = 1e-13

#: Smallest part of the diagonal that regressions add to it.
_RIDGE = 1e-13


def guesses(equation: Equation, pairs: Pairs) -> list[Tensor]:
    """Return coefficients ``(channels, n_terms)``: by the trapezoidal rule, and by logarithms."""
    after = equation.forward(pairs.after)
    products = middle_products(equation, pairs.before, after)
    halfway = (pairs.before + after) / 2
    plain, logarithmic = [], []
    for c in range(equation.channels):
        own = [halfway[:, c] * o for o in equation.linear]
        rows = _Rows(equation.shape[-1])
        matrix = rows.stack([*own, *products.unbind(1)])
        plain.append(least_squares(matrix, rows.real(after[:, c] - pairs.before[:, c])))
        logarithmic.append(_by_logarithms(equation, pairs.before[:, c], after[:, c], products))
    known = [one for one in logarithmic if one is not None]
    found = [torch.stack(plain)]
    return [*found, torch.stack(known)] if len(known) == len(plain) else found


def middle_products(equation: Equation, before: Tensor, after: Tensor) -> Tensor:
    """Return the mean products at both ends of a step, ``(n, n_products, *transform)``."""
    return (equation.each_product(before) + equation.each_product(after)) / 2


def approximate_columns(equation: Equation, pairs: Pairs, values: Tensor) -> Tensor:
    """Return about how fields one step later change with each coefficient, ``(n_values, ...)``.

    Each channel's coefficients change that channel alone, as if its products were their mean over
    the step.
    """
    n_linear = len(equation.terms.linear)
    products = middle_products(equation, pairs.before, equation.forward(pairs.after))
    grown, first, *_ = phi(equation.exponents(values[:, :n_linear]))
    size = (len(pairs.after), *equation.shape)
    columns = pairs.after.new_zeros(equation.channels, values.shape[1], *pairs.after.shape)
    for c in range(equation.channels):
        for a in range(n_linear):
            change = grown[c] * pairs.before[:, c] * equation.linear[a]
            columns[c, a, :, c] = equation.back(change).view(size)
        for j in range(values.shape[1] - n_linear):
            columns[c, n_linear + j, :, c] = equation.back(first[c] * products[:, j]).view(size)
    return columns.flatten(2).flatten(0, 1)


def least_squares(matrix: Tensor, right: Tensor) -> Tensor:
    """Return the solution of columns that are scaled alike, with a ridge far below them."""
    scale = matrix.norm(dim=0)
    scale = torch.where(scale > NOTHING * scale.max(), scale, torch.inf)
    scaled = matrix / scale
    normal = scaled.T @ scaled + _RIDGE * torch.eye(len(scale), dtype=matrix.dtype)
    found: Tensor = torch.linalg.solve(normal, scaled.T @ right) / scale
    return found


class _Rows:
    """Fourier coefficients as real rows, whose sums of squares are those of the fields."""

    def __init__(self, n: int) -> None:
        counts = torch.full((n // 2 + 1,), 2.0, dtype=torch.float64)
        counts[0] = 1.0
        if n % 2 == 0:
            counts[-1] = 1.0
        self._weight = counts.sqrt()

    def real(self, x: Tensor) -> Tensor:
        weighted = x * self._weight
        return torch.cat([weighted.real.flatten(), weighted.imag.flatten()])

    def stack(self, columns: list[Tensor]) -> Tensor:
        return torch.stack([self.real(x) for x in columns], dim=1)


def _by_logarithms(
    equation: Equation, before: Tensor, after: Tensor, products: Tensor
) -> Tensor | None:
    """Return a guess from the factor by which each wavenumber is multiplied; None without one.

    Its logarithm is known but for turns, which the longer waves tell of the shorter ones.
    """
    linear = equation.terms.linear
    if not linear or any(o[0] != DERIVATIVE for o in linear):
        return None
    energy = before.abs().square().sum(0)
    factor = (before.conj() * after).sum(0) / energy.clamp(min=1e-300)
    left = after.abs().square().sum(0).clamp(min=1e-300)
    far: Tensor = sum(k.abs() for k in wavenumbers(equation.shape))  # type: ignore[assignment]
    good = (energy > _ENERGETIC * energy.max()) & (far > 0)
    good &= factor.abs().square() * energy > _COHERENT * left
    if int(good.sum()) < len(linear):
        return None
    order = far[good].argsort()
    fitted = _unwrapped(equation.linear[:, good].T[order], factor[good][order].log())
    grown, first, *_ = phi(equation.exponents(fitted[None])[0])
    columns = [grown * before * o for o in equation.linear]
    columns += [first * p for p in products.unbind(1)]
    rows = _Rows(equation.shape[-1])
    step = least_squares(rows.stack(columns), rows.real(after - grown * before))
    step[: len(fitted)] += fitted
    return step


def _unwrapped(basis: Tensor, logarithms: Tensor) -> Tensor:
    """Return the real coefficients of exponents, the turns of each told by those of longer waves.

    Parameters
    ----------
    basis : Tensor, shape (n, n_terms)
        Longer waves first, lower orders first.
    logarithms : Tensor, shape (n,)
    """
    n, n_terms = basis.shape
    known = logarithms.clone()
    seen = min(n, max(4, n_terms // 2))
    while True:
        columns = min(n_terms, max(2, seen // 2))
        rows = torch.cat([basis[:seen, :columns].real, basis[:seen, :columns].imag])
        found = least_squares(rows, torch.cat([known[:seen].real, known[:seen].imag]))
        if seen == n:
            return torch.cat([found, found.new_zeros(n_terms - columns)])
        farther = min(n, seen + max(1, seen // 8))
        guess = (basis[seen:farther, :columns] @ found.to(basis.dtype)).imag
        turns = torch.round((guess - known[seen:farther].imag) / (2 * math.pi))
        known[seen:farther] += 2j * math.pi * turns
        seen = farther
