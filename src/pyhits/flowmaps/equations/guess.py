"""Coefficients of an equation to begin from, by linear regressions alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyhits.flowmaps.equations.columns import Points, approximate_columns, middle_columns
from pyhits.flowmaps.equations.equation import Equation
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.numerics.exponential import phi
from pyhits.numerics.fourier import DERIVATIVE, wavenumbers
from pyhits.util.clock import UNLIMITED, Clock

#: A wavenumber tells its exponent where this part of its energy is linear, and it holds this part
#: of the most energetic one's.
_COHERENT, _ENERGETIC = 0.5, 1e-10

#: Part of the largest column's size up to which another is rounding.
NOTHING = 1e-13

#: Smallest part of the diagonal that regressions add to it.
_RIDGE = 1e-13


def guesses(
    equation: Equation, pairs: Pairs, points: Points, clock: Clock = UNLIMITED
) -> list[Tensor]:
    """Return coefficients ``(channels, n_terms)``: by the trapezoidal rule, and by logarithms.

    Raises TimeIsUpError.
    """
    before, after = pairs.before, equation.forward(pairs.after)
    n_axes = len(equation.shape)
    changes = points.at(pairs.after - equation.back(before), n_axes)
    middle = middle_columns(equation, pairs, points, clock)
    if equation.source is not None:
        changes = changes - changes.mean(0)
    plain = [least_squares(columns.T, changes[:, c].flatten()) for c, columns in enumerate(middle)]
    found = [torch.stack(plain)]
    if equation.source is not None:
        return found
    fitted = [_logarithms(equation, before[:, c], after[:, c]) for c in range(equation.channels)]
    exponents = [None if own is None else equation.exponents(own[None])[0] for own in fitted]
    known = [one for one in exponents if one is not None]
    if len(known) < equation.channels:
        return found
    stacked = torch.stack(known)
    columns = approximate_columns(equation, pairs, stacked, points, clock)
    left = points.at(pairs.after - equation.back(phi(stacked)[0] * before), n_axes)
    steps = []
    for c, (own, begin) in enumerate(zip(columns, fitted, strict=True)):
        assert begin is not None
        step = least_squares(own.T, left[:, c].flatten())
        step[: len(begin)] += begin
        steps.append(step)
    return [*found, torch.stack(steps)]


def least_squares(matrix: Tensor, right: Tensor) -> Tensor:
    """Return the solution of columns that are scaled alike, with a ridge far below them."""
    scale = matrix.norm(dim=0)
    scale = torch.where(scale > NOTHING * scale.max(), scale, torch.inf)
    scaled = matrix / scale
    normal = scaled.T @ scaled + _RIDGE * torch.eye(len(scale), dtype=matrix.dtype)
    found: Tensor = torch.linalg.solve(normal, scaled.T @ right) / scale
    return found


def _logarithms(equation: Equation, before: Tensor, after: Tensor) -> Tensor | None:
    """Return linear coefficients by the factor that multiplies each wavenumber; None without one.

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
    return _unwrapped(equation.linear[:, good].T[order], factor[good][order].log())


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
