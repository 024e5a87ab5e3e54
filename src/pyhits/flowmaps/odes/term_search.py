"""The search for functions that a vector field holds beside monomials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.form import Increments
from pyhits.flowmaps.odes.functions import KINDS, Function, Kind, Range
from pyhits.flowmaps.odes.paths import Steps
from pyhits.flowmaps.odes.terms import Terms
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock

#: Columns of a state at most, and different values of one of which there are functions.
_MOST_COLUMNS, _DIFFERENT = 8, 12

#: Steps that the search looks at, and monomials whose vector field leads the first paths, at most.
_STEPS, _LEADING = 500, 60

#: Functions at most, of fewer columns, and steps for each term at least.
_MOST_FUNCTIONS, _EACH = 6, 4

#: Degrees of the polynomial beside the functions, the likeliest first: where that takes several
#: functions, another may take fewer.
_DEGREES = (2, 3, 1)

#: What is left of the changes, in their standard deviations: all that numbers can tell; of a vector
#: field that is right; of one that another degree may make so; and what it may be at most.
_NOTHING, _RIGHT, _NEARLY, _MOST_LEFT = 1e-12, 3e-8, 1e-3, 0.1

#: Factors, of what is left of all columns together, that a function and all of them must gain.
_GAIN, _GAIN_OF_ALL = 3.0, 30.0

#: Multiple of the least that is left up to which the fewest terms are taken.
_AS_GOOD = 10.0

#: Functions of a kind and a column that are refined, of all that are tried.
_REFINED = 8

#: Gauss-Newton steps, trials of each; damping at first, and its factors; and the gain that is none.
_MOST_STEPS, _MOST_TRIALS, _DAMPING, _LESS, _MORE, _LEAST_GAIN = 20, 5, 1e-3, 0.1, 10.0, 1e-3

#: Part of a number that derivatives are found by.
_SHIFT = 1e-6

#: Rounds in which paths and functions are found in turn, and the gain that is none.
_ROUNDS, _STILL = 12, 0.2

#: Part of the squares of a function's terms that others do not hold, at least.
_NEW = 1e-12

#: Penalty of regressions, the least that vector fields are solved with: functions that only great
#: numbers of opposite signs make much of, as of a power next to a monomial, are worth what they
#: leave then.
_PENALTY = 1e-15


class Discovery(NamedTuple):
    """Functions that were found, beside a polynomial.

    Attributes
    ----------
    degree : int
    functions : tuple of Function
    left : float
        Of the changes, in their standard deviations; the geometric mean over columns.
    is_right : bool
        Whether nothing is left of any column.
    n_terms : int
    """

    degree: int
    functions: tuple[Function, ...]
    left: float
    is_right: bool
    n_terms: int


def find_functions(data: Increments, clock: Clock = UNLIMITED) -> Discovery | None:
    """Return the functions that leave least of the changes, beside the polynomial that suits.

    They are added one by one: the one that leaves least of all columns' changes, its numbers found
    by Gauss-Newton steps (variable projection: coefficients follow from them; Golub and Pereyra
    1973, SIAM J. Numer. Anal. 10, 413). None where that gains little over monomials, as in noise.

    Raises
    ------
    TimeIsUpError
    """
    if data.dimension > _MOST_COLUMNS or data.outputs > 1:
        return None
    found: list[Discovery] = []
    most = max(_MOST_FUNCTIONS, data.dimension)
    for degree in _DEGREES:
        search = _Search.of(data, degree, clock)
        if search is None:
            continue
        before = search.level
        own = search.run(most)
        if not own.is_right:
            before = min(before, _level_of_monomials(data, own.n_terms, clock))
        if before - math.log(own.left) > math.log(_GAIN_OF_ALL):
            found.append(own)
        if own.left > _NEARLY or (own.is_right and len(own.functions) <= 1):
            break
        if own.is_right:
            most = len(own.functions)
    if not found:
        return None
    least = min(one.left for one in found)
    best = min(found, key=lambda one: one.n_terms if one.left < _AS_GOOD * least else math.inf)
    return best if best.left < _MOST_LEFT else None


def _level_of_monomials(data: Increments, most: int, clock: Clock) -> float:
    """Return what monomials leave, of the highest degree that has no more terms; as a logarithm."""
    degree = max(k for k in range(most) if n_monomials(data.dimension, k) <= most)
    search = _Search.of(data, degree, clock)
    return math.inf if search is None else search.settled().level


@dataclass
class _Fit:
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


class _Search:
    """Adds functions to a polynomial, as long as that leaves much less of the changes."""

    def __init__(self, data: Increments, degree: int, clock: Clock) -> None:
        some = data.at_most(_STEPS)
        self._clock, self._moving = clock, some.changes.std(dim=0) > 0
        low, high = some.states.amin(dim=0), some.states.amax(dim=0)
        every = zip(low.tolist(), high.tolist(), data.units.zero.tolist(), strict=True)
        self._ranges = [Range(*own) for own in every]
        different = [len(np.unique(column)) for column in some.states.numpy().T]
        self._columns = [k for k, n in enumerate(different) if n >= _DIFFERENT]
        bounds = low - (high - low), high + (high - low)
        leading = max(k for k in range(1, 6) if n_monomials(data.dimension, k) <= _LEADING)
        paths = Steps(Terms(data.dimension, leading), bounds, some.states, some.changes, clock)
        paths.settle()
        self._steps = paths.with_terms(Terms(data.dimension, degree))
        self._changes = some.changes[:, self._moving]
        self._scale = self._changes.std(dim=0)
        self._best = self._fit(Terms(data.dimension, degree))

    @classmethod
    def of(cls, data: Increments, degree: int, clock: Clock) -> _Search | None:
        """Return a search, if there are steps enough for the polynomial and a function."""
        d = data.dimension
        size = n_monomials(d, degree) + 2 * (1 + d)
        return cls(data, degree, clock) if _EACH * size <= min(len(data), _STEPS) else None

    def settled(self) -> Self:
        """Return itself, along the paths that what was found so far leads."""
        self._best = self._settled(self._best)
        return self

    @property
    def level(self) -> float:
        """Logarithm of what is left so far."""
        return self._best.level

    @property
    def is_right(self) -> bool:
        """Whether nothing is left of any column."""
        return bool((self._best.levels < math.log(_RIGHT)).all())

    def run(self, most: int) -> Discovery:
        """Return what was found, if only the polynomial; at most so many functions."""
        while len(self._best.terms.functions) < most:
            if self.is_right:
                break
            fit = self._with_another()
            if fit is None or not self._gain(fit) > math.log(_GAIN):
                break
            self._best = self._settled(fit)
        self._leave_out()
        terms = self._best.terms
        left = math.exp(self.level)
        return Discovery(terms.degree, terms.functions, left, self.is_right, terms.size)

    def _leave_out(self) -> None:
        """Leave out functions that others have made up for since they were added."""
        for function in self._best.terms.functions[:-1]:
            known = self._best.terms
            fewer = tuple(one for one in known.functions if one != function)
            fit = self._refined(Terms(known.dimension, known.degree, fewer))
            enough = (self._best.levels + _STILL).clamp(min=math.log(_RIGHT))
            if fit is not None and bool((fit.levels < enough).all()):
                self._best = self._settled(fit)

    def _gain(self, fit: _Fit) -> float:
        """Return by how much less a fit leaves than the best, all columns' logarithms together."""
        return float((self._best.levels - fit.levels).sum())

    def _with_another(self) -> _Fit | None:
        """Return the fit with the function that gains most, refined."""
        known = self._best.terms
        best: _Fit | None = None
        for function in self._likely():
            self._clock.check()
            fit = self._refined(self._adding(known, function), last_alone=True)
            if fit is not None and (best is None or fit.level < best.level):
                best = fit
        return best

    @staticmethod
    def _adding(known: Terms, function: Function) -> Terms:
        return Terms(known.dimension, known.degree, (*known.functions, function))

    def _likely(self) -> list[Function]:
        """Return the functions that gain most unrefined, one of each kind and column."""
        gains: list[tuple[float, Function]] = []
        for column in self._columns:
            for kind in KINDS.values():
                gains += self._best_of(kind, column)
        gains.sort(key=lambda pair: -pair[0])
        return [function for _, function in gains[:_REFINED]]

    def _best_of(self, kind: Kind, column: int) -> Iterator[tuple[float, Function]]:
        """Yield the function of a kind and column that gains most, with its gain."""
        self._clock.check()
        own = self._ranges[column]
        tried = torch.tensor(list(kind.tried(own)), dtype=torch.float64)
        known = self._best.terms
        size = known.size + kind.n_values * (1 + known.dimension)
        if len(tried) == 0 or _EACH * size > len(self._changes):
            return
        rates, shifts = tried.T[:, :, None, None]
        levels = self._levels_with(kind.of(self._steps.states[column], rates, shifts))
        gains = (self._best.levels - levels).sum(dim=1)
        gains = torch.where(torch.isfinite(gains), gains, -torch.inf)
        k = int(gains.argmax())
        if gains[k] > 0:
            rate, shift = tried[k].tolist()
            yield float(gains[k]), kind.on(column, own, rate, shift)

    def _levels_with(self, values: Sequence[Tensor]) -> Tensor:
        """Return the levels with each of many functions ``(many, nodes, n)``, ``(many, d)``."""
        states, space, rest = self._steps.states, self._best.space, self._best.rest
        blocks = [self._steps.integrals(value) for value in values]
        blocks += [self._steps.integrals(value * x) for value in values for x in states]
        block = torch.stack(blocks, dim=-1)
        sound = torch.isfinite(block).all(dim=1).all(dim=1)
        block = torch.where(sound[:, None, None], block, 0.0)
        block = block / block.norm(dim=1, keepdim=True).clamp(min=1e-300)
        for _ in range(2):
            block = block - space @ (space.T @ block)
        # By products, several times faster: of functions that are refined all digits count.
        squares, vectors = torch.linalg.eigh(block.mT @ block)
        left = block @ (vectors / squares.clamp(min=_NEW).sqrt()[:, None])
        left = torch.where(squares[:, None] > _NEW, left, 0.0)
        rest = rest - left @ (left.mT @ rest)
        return torch.where(sound[:, None], self._level_of(rest), torch.inf)

    def _level_of(self, rest: Tensor) -> Tensor:
        size = rest.square().mean(dim=-2).sqrt() / self._scale
        return torch.log(size.clamp(min=_NOTHING))

    def _fit(self, terms: Terms) -> _Fit:
        """Return the regression on some terms along the paths so far."""
        self._clock.check()
        design = self._steps.with_terms(terms).design()
        size = design.norm(dim=0).clamp(min=1e-300)
        left, values, right = torch.linalg.svd(design / size, full_matrices=False)
        kept = values > _NOTHING * values[0]
        left, values = left[:, kept], values[kept, None]
        inner = left.T @ self._changes / (1 + _PENALTY * (values[0] / values).square())
        coefficients = right[kept].T @ (inner / values) / size[:, None]
        rest = self._changes - left @ inner
        return _Fit(terms, coefficients, left, rest, self._level_of(rest))

    def _refined(self, terms: Terms, *, last_alone: bool = False) -> _Fit | None:
        """Return the fit with the functions' numbers found by Gauss-Newton steps, or of the last.

        None where there is none to be found.
        """
        first = len(terms.functions) - 1 if last_alone else 0
        numbers = [
            (k, name)
            for k, one in enumerate(terms.functions)
            if k >= first
            for name in KINDS[one.kind].refined
        ]
        try:
            best, damping = self._fit(terms), _DAMPING
            for _ in range(_MOST_STEPS if numbers else 0):
                better, damping = self._stepped(best, numbers, damping)
                if better is None:
                    break
                gained = best.level - better.level
                best = better
                if gained < _LEAST_GAIN:
                    break
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return None  # terms that are no finite numbers
        return best

    def _stepped(
        self, best: _Fit, numbers: Sequence[tuple[int, str]], damping: float
    ) -> tuple[_Fit | None, float]:
        """Return a fit that leaves less, or None, and the damping to go on with."""
        weights = 1 / (self._scale * torch.exp(best.levels))
        slopes = torch.stack([self._slope(best, *number) for number in numbers], dim=-1)
        slopes = (slopes * weights[:, None]).flatten(0, 1)
        rest = (best.rest * weights).flatten()
        square, gradient = slopes.T @ slopes, slopes.T @ rest
        if not bool(torch.isfinite(square).all()):
            return None, damping
        steepest = torch.diag(torch.diag(square).clamp(min=1e-300))
        for _ in range(_MOST_TRIALS):
            step = torch.linalg.solve(square + damping * steepest, gradient)
            moved = self._moved(best.terms, numbers, step.tolist())
            if all(one.is_sound for one in moved.functions):
                trial = self._fit(moved)
                if trial.level < best.level:
                    return trial, damping * _LESS
            damping *= _MORE
        return None, damping

    def _moved(
        self, terms: Terms, numbers: Sequence[tuple[int, str]], step: Sequence[float]
    ) -> Terms:
        """Return terms whose functions' numbers are changed."""
        functions = list(terms.functions)
        for (k, name), change in zip(numbers, step, strict=True):
            one = functions[k]
            values = {"rate": one.rate, "shift": one.shift}
            values[name] += change
            functions[k] = KINDS[one.kind].on(one.column, self._ranges[one.column], **values)
        return Terms(terms.dimension, terms.degree, tuple(functions))

    def _slope(self, fit: _Fit, k: int, name: str) -> Tensor:
        """Return how the changes depend on a number, beyond what coefficients make up for."""
        one = fit.terms.functions[k]
        h = _SHIFT * max(abs(getattr(one, name)), _SHIFT**0.5)
        ahead, behind = (
            self._steps.with_terms(self._moved(fit.terms, [(k, name)], [sign * h])).design()
            for sign in (1, -1)
        )
        slope: Tensor = (ahead - behind) / (2 * h) @ fit.coefficients
        return slope - fit.space @ (fit.space.T @ slope)

    def _settled(self, fit: _Fit) -> _Fit:
        """Return the fit along the paths that it leads itself."""
        best = self._refined(fit.terms) or fit
        for _ in range(_ROUNDS):
            self._clock.check()
            paths = self._steps.with_terms(best.terms)
            paths.follow(self._all_columns(best.coefficients))
            trial_steps, self._steps = self._steps, paths
            trial = self._refined(best.terms)
            if trial is None or not trial.level < best.level + _STILL:
                self._steps = trial_steps
                break
            gained, best = best.level - trial.level, trial
            if gained < _STILL:
                break
        return best

    def _all_columns(self, coefficients: Tensor) -> Tensor:
        """Return coefficients of columns that never change too."""
        every = coefficients.new_zeros(len(coefficients), len(self._moving))
        every[:, self._moving] = coefficients
        return every
