"""Regressions of changes on the terms of a vector field, and the numbers within its functions."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
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

#: Gauss-Newton steps of a function's numbers.
_SOLVER = GaussNewton(
    damping=1e-3, most_damping=100.0, max_steps=20, least_gain=1e-3, enough=-np.inf
)

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
    """A regression of the changes on some terms.

    Attributes
    ----------
    terms : Terms
    coefficients : Tensor, shape (terms, d)
    space : Tensor, shape (n, terms)
        Orthonormal, of the terms.
    rest : Tensor, shape (n, d)
        What is left of the changes.
    levels : Tensor, shape (d,)
        Logarithms of its root mean square, in standard deviations of the changes.
    """

    terms: Terms
    coefficients: Tensor
    space: Tensor
    rest: Tensor
    levels: Tensor

    @property
    def level(self) -> float:
        """The mean level."""
        return float(self.levels.mean())


class TermFits:
    """Fits terms to steps, along paths that follow from what fits.

    Numbers within functions are found by Gauss-Newton steps, from which coefficients follow
    (variable projection: Golub and Pereyra 1973, SIAM J. Numer. Anal. 10, 413).

    Parameters
    ----------
    data : Increments
    clock : Clock, optional
        Each regression is begun before it ends, or a TimeIsUpError is raised.

    Attributes
    ----------
    ranges : list of Range
        Of each column.
    changes : Tensor, shape (n, moving columns)
    steps : Steps
        Along the paths found last.
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
        self._scale = self.changes.std(dim=0)

    def copy(self) -> Self:
        """Return the same, whose paths are its own from here on."""
        return copy(self)

    def levels_of(self, rest: Tensor) -> Tensor:
        """Return the levels of what is left, ``(..., n, columns)`` to ``(..., columns)``."""
        size = rest.square().mean(dim=-2).sqrt() / self._scale
        return torch.log(size.clamp(min=NOTHING))

    def fit(self, terms: Terms) -> TermFit:
        """Return the regression on some terms along the paths so far."""
        self._clock.check()
        design = self.steps.with_terms(terms).design()
        size = design.norm(dim=0).clamp(min=1e-300)
        left, values, right = torch.linalg.svd(design / size, full_matrices=False)
        kept = values > NOTHING * values[0]
        left, values = left[:, kept], values[kept, None]
        inner = left.T @ self.changes / (1 + _PENALTY * (values[0] / values).square())
        coefficients = right[kept].T @ (inner / values) / size[:, None]
        rest = self.changes - left @ inner
        return TermFit(terms, coefficients, left, rest, self.levels_of(rest))

    def refined(self, terms: Terms, *, last_alone: bool = False) -> TermFit | None:
        """Return the fit with the functions' numbers, or those of the last, refined.

        None where there is none: terms that are no finite numbers.
        """
        first = len(terms.functions) - 1 if last_alone else 0
        chosen = list(enumerate(terms.functions))[first:]
        numbers = [(k, name) for k, one in chosen for name in KINDS[one.kind].refined]
        problem = _Numbers(self, terms, numbers)
        if numbers:
            _SOLVER(problem, problem.begin)
        else:
            problem.costs(problem.begin, np.zeros(1, dtype=np.int64))
        return problem.best

    def settled(self, fit: TermFit) -> TermFit:
        """Return the fit along the paths that it leads itself, and go on along these."""
        best = self.refined(fit.terms) or fit
        for _ in range(_ROUNDS):
            self._clock.check()
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

    def weights(self, fit: TermFit) -> Tensor:
        """Return by what the rest of each column is divided for all to count alike, inverted."""
        return 1 / (self._scale * torch.exp(fit.levels))

    def _all_columns(self, coefficients: Tensor) -> Tensor:
        """Return coefficients of columns that never change too."""
        every = coefficients.new_zeros(len(coefficients), len(self._moving))
        every[:, self._moving] = coefficients
        return every


class _Numbers:
    """The numbers within functions as unknowns of least squares.

    What falls is the mean level: all columns count alike.

    Attributes
    ----------
    begin : array, shape (1, n_numbers)
    best : TermFit or None
        The one that leaves least so far.
    """

    def __init__(self, fits: TermFits, terms: Terms, numbers: Sequence[tuple[int, str]]) -> None:
        self._fits, self._terms, self._numbers = fits, terms, numbers
        own = [getattr(terms.functions[k], name) for k, name in numbers]
        self.begin = np.array([own], dtype=np.float64)
        self.best: TermFit | None = None

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return the mean level with these numbers."""
        terms = self._with(x[0])
        if not all(one.is_sound for one in terms.functions):
            return np.array([np.inf])
        try:
            fit = self._fits.fit(terms)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return np.array([np.inf])
        if self.best is None or fit.level <= self.best.level:
            self.best = fit
        return np.array([fit.level])

    def linearise(self, x: np.ndarray, which: np.ndarray) -> NormalEquations:
        """Return the rest of the best fit as linear functions of the numbers."""
        fit = self.best
        assert fit is not None, "costs come first"
        weights = self._fits.weights(fit)
        slopes = torch.stack([self._slope(fit, x[0], k) for k in range(x.shape[1])], dim=-1)
        slopes = (slopes * weights[:, None]).flatten(0, 1)
        rest = (fit.rest * weights).flatten()
        return NormalEquations((slopes.T @ slopes).numpy()[None], (slopes.T @ rest).numpy()[None])

    def _with(self, values: np.ndarray) -> Terms:
        """Return the terms with these numbers."""
        functions = list(self._terms.functions)
        for (k, name), value in zip(self._numbers, values.tolist(), strict=True):
            one: Function = functions[k]
            numbers = {"rate": one.rate, "shift": one.shift, name: value}
            own = self._fits.ranges[one.column]
            functions[k] = KINDS[one.kind].on(one.column, own, **numbers)
        return Terms(self._terms.dimension, self._terms.degree, tuple(functions))

    def _slope(self, fit: TermFit, x: np.ndarray, k: int) -> Tensor:
        """Return how the changes depend on a number, beyond what coefficients make up for."""
        h = _SHIFT * max(abs(float(x[k])), _SHIFT**0.5)
        moved = np.repeat(x[None], 2, axis=0)
        moved[:, k] += (h, -h)
        ahead, behind = (self._fits.steps.with_terms(self._with(one)).design() for one in moved)
        slope: Tensor = (ahead - behind) / (2 * h) @ fit.coefficients
        return slope - fit.space @ (fit.space.T @ slope)
