"""Regressions of changes on the terms of a vector field, and the numbers within its functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.form import Increments
from pyhits.flowmaps.odes.functions import KINDS, Function, Range
from pyhits.flowmaps.odes.paths import Steps
from pyhits.flowmaps.odes.terms import Terms
from pyhits.numerics.basis import n_monomials
from pyhits.numerics.gauss_newton import GaussNewton, NormalEquations
from pyhits.util.clock import UNLIMITED, Clock

#: Monomials whose vector field leads the first paths, at most, and their degree.
_LEADING, _MOST_DEGREE = 60, 5

#: What is left of the changes, in their standard deviations: all that numbers can tell.
NOTHING = 1e-12

#: Gauss-Newton steps of functions' numbers; and of one among many that may be added.
_SOLVER = GaussNewton(
    damping=1e-3, most_damping=100.0, max_steps=20, least_gain=1e-3, enough=-np.inf
)
_FIRST_SOLVER = replace(_SOLVER, least_gain=0.05)

#: Part of a number that derivatives are found by.
_SHIFT = 1e-6

#: Rounds in which paths and functions are found in turn, and the gain that is none.
_ROUNDS, STILL = 12, 0.2

#: Penalty of regressions, the least that vector fields are solved with: functions that only great
#: numbers of opposite signs make much of, as of a power next to a monomial, are worth what they
#: leave then.
_PENALTY = 1e-15


@dataclass(frozen=True)
class TermFit:
    """A regression of the changes on some terms."""

    functions: tuple[Function, ...]  # whose numbers may be refined
    blocks: Sequence[Tensor]  # each of, (terms, d): coefficients of their terms
    space: Tensor  # (n, terms): orthonormal, of all terms
    rest: Tensor  # (n, d): what is left of the changes
    #: (d,): logarithms of its root mean square, in standard deviations of the changes.
    levels: Tensor

    @property
    def level(self) -> float:
        """The mean level."""
        return float(self.levels.mean())


@dataclass(frozen=True)
class FieldFit(TermFit):
    """A regression on all terms of a vector field."""

    terms: Terms
    coefficients: Tensor  # (terms, d)


class TermFits:
    """Fits terms to steps, along paths that follow from what fits.

    Numbers within functions are found by Gauss-Newton steps, from which coefficients follow
    (variable projection: Golub and Pereyra 1973, SIAM J. Numer. Anal. 10, 413).

    Parameters
    ----------
    clock : Clock, optional
        Each regression is begun before it ends, or a TimeIsUpError is raised.

    Attributes
    ----------
    ranges : list of Range
        Of each column.
    changes : Tensor, shape (n, moving columns)
    steps : Steps
        Along the paths found last.
    scale : Tensor, shape (moving columns,)
        Standard deviations of the changes.
    """

    def __init__(self, data: Increments, clock: Clock = UNLIMITED) -> None:
        self._clock, self._moving = clock, data.changes.std(dim=0) > 0
        low, high = data.states.amin(dim=0), data.states.amax(dim=0)
        every = zip(low.tolist(), high.tolist(), data.units.zero.tolist(), strict=True)
        self.ranges = [Range(*own) for own in every]
        d, bounds = data.dimension, (low - (high - low), high + (high - low))
        degree = max(k for k in range(1, _MOST_DEGREE + 1) if n_monomials(d, k) <= _LEADING)
        self.steps = Steps(Terms(d, degree), bounds, data.states, data.changes, clock)
        self.steps.settle()
        self.changes = data.changes[:, self._moving]
        self.scale = self.changes.std(dim=0)

    def copy(self) -> Self:
        """Return the same, whose paths are its own from here on."""
        return copy(self)

    def levels_of(self, rest: Tensor) -> Tensor:
        """Return the levels of what is left, ``(..., n, columns)`` to ``(..., columns)``."""
        size = rest.square().mean(dim=-2).sqrt() / self.scale
        return torch.log(size.clamp(min=NOTHING))

    def fit(self, terms: Terms) -> FieldFit:
        """Return the regression on all terms along the paths so far."""
        design = self.steps.with_terms(terms).design()
        size = design.norm(dim=0).clamp(min=1e-300)
        scaled, space, rest = self._solved(design / size, self.changes)
        coefficients = scaled / size[:, None]
        sizes = [(1 + terms.dimension) * one.n_values for one in terms.functions]
        blocks = torch.split(coefficients[terms.monomials.size :], sizes)
        levels = self.levels_of(rest)
        return FieldFit(terms.functions, blocks, space, rest, levels, terms, coefficients)

    def refined(self, terms: Terms) -> FieldFit | None:
        """Return the fit of all terms, with the numbers of all functions refined.

        None where there is none: terms that are no finite numbers.
        """
        monomials = Terms(terms.dimension, terms.degree)
        found = _Numbers(self, lambda own: self.fit(monomials.with_functions(own)))
        fit = found.refined(terms.functions)
        assert fit is None or isinstance(fit, FieldFit)
        return fit

    def added(self, known: FieldFit, function: Function) -> FieldFit | None:
        """Return the fit with another function, whose own numbers are refined a little."""

        def fit(own: tuple[Function, ...]) -> TermFit:
            block = self.steps.block(own[0])
            size = block.norm(dim=0).clamp(min=1e-300)
            block = block / size
            for _ in range(2):
                block = block - known.space @ (known.space.T @ block)
            coefficients, left, rest = self._solved(block, known.rest, known.space.shape[1])
            space = torch.cat([known.space, left], dim=1)
            return TermFit(own, [coefficients / size[:, None]], space, rest, self.levels_of(rest))

        found = _Numbers(self, fit, _FIRST_SOLVER).refined((function,))
        if found is None:
            return None
        return self.fit(known.terms.with_functions((*known.terms.functions, *found.functions)))

    def settled(self, fit: FieldFit) -> FieldFit:
        """Return the fit along the paths that it leads itself, and go on along these."""
        best = self.refined(fit.terms) or fit
        for _ in range(_ROUNDS):
            before, self.steps = self.steps, self.steps.with_terms(best.terms)
            self.steps.follow(self._all_columns(best.coefficients))
            trial = self.refined(best.terms)
            if trial is None or not trial.level < best.level + STILL:
                self.steps = before
                break
            gained, best = best.level - trial.level, trial
            if gained < STILL:
                break
        return best

    def _solved(
        self, design: Tensor, changes: Tensor, n_others: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return coefficients of terms ``(n, terms)``, an orthonormal basis of these, and the rest.

        Terms are of norm 1, or the part of this that other terms, so many, do not hold.
        """
        self._clock.check()
        left, values, right = torch.linalg.svd(design, full_matrices=False)
        largest = values[0] if n_others == 0 else n_others**0.5
        kept = values > NOTHING * largest
        left, values = left[:, kept], values[kept, None]
        inner = left.T @ changes / (1 + _PENALTY * (largest / values).square())
        coefficients: Tensor = right[kept].T @ (inner / values)
        return coefficients, left, changes - left @ inner

    def _all_columns(self, coefficients: Tensor) -> Tensor:
        """Return coefficients of columns that never change too."""
        every = coefficients.new_zeros(len(coefficients), len(self._moving))
        every[:, self._moving] = coefficients
        return every


class _Numbers:
    """The numbers within functions as unknowns of least squares.

    What falls is the mean level: all columns count alike.
    """

    def __init__(
        self,
        fits: TermFits,
        fit: Callable[[tuple[Function, ...]], TermFit],
        solver: GaussNewton = _SOLVER,
    ) -> None:
        self._fits, self._fit, self._solver = fits, fit, solver
        self._begin: tuple[Function, ...] = ()
        self._numbers: list[tuple[int, str]] = []
        self._best: TermFit | None = None

    def refined(self, functions: tuple[Function, ...]) -> TermFit | None:
        """Return the fit that leaves least, from the numbers of functions on; None without any."""
        self._begin, self._best = functions, None
        self._numbers = [
            (k, name) for k, one in enumerate(functions) for name in KINDS[one.kind].refined
        ]
        begin = [getattr(functions[k], name) for k, name in self._numbers]
        if begin:
            self._solver(self, np.array([begin], dtype=np.float64))
        else:
            self.costs(np.zeros((1, 0)), np.zeros(1, dtype=np.int64))
        return self._best

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return the mean level with these numbers."""
        functions = self._with(x[0])
        if not all(one.is_sound for one in functions):
            return np.array([np.inf])
        try:
            fit = self._fit(functions)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return np.array([np.inf])
        if self._best is None or fit.level <= self._best.level:
            self._best = fit
        return np.array([fit.level])

    def linearise(self, x: np.ndarray, which: np.ndarray) -> NormalEquations:
        """Return the rest of the best fit as linear functions of the numbers."""
        fit = self._best
        assert fit is not None, "costs come first"
        weights = 1 / (self._fits.scale * torch.exp(fit.levels))
        slopes = torch.stack([self._slope(fit, *number) for number in self._numbers], dim=-1)
        slopes = (slopes * weights[:, None]).flatten(0, 1)
        rest = (fit.rest * weights).flatten()
        return NormalEquations((slopes.T @ slopes).numpy()[None], (slopes.T @ rest).numpy()[None])

    def _with(self, values: np.ndarray) -> tuple[Function, ...]:
        """Return the functions with these numbers."""
        functions = list(self._begin)
        for (k, name), value in zip(self._numbers, values.tolist(), strict=True):
            functions[k] = self._moved(functions[k], name, value)
        return tuple(functions)

    def _moved(self, one: Function, name: str, value: float) -> Function:
        numbers = {"rate": one.rate, "shift": one.shift, name: value}
        return KINDS[one.kind].on(one.column, self._fits.ranges[one.column], **numbers)

    def _slope(self, fit: TermFit, k: int, name: str) -> Tensor:
        """Return how the changes depend on a number, beyond what coefficients make up for."""
        one = fit.functions[k]
        value = getattr(one, name)
        h = _SHIFT * max(abs(value), _SHIFT**0.5)
        ahead, behind = (
            self._fits.steps.block(self._moved(one, name, value + own)) for own in (h, -h)
        )
        slope: Tensor = (ahead - behind) / (2 * h) @ fit.blocks[k]
        return slope - fit.space @ (fit.space.T @ slope)
