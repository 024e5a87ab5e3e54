"""The search for functions that a vector field holds beside monomials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.form import Increments
from pyhits.flowmaps.odes.functions import KINDS, Function, Kind
from pyhits.flowmaps.odes.term_fit import STILL, TermFit, TermFits
from pyhits.flowmaps.odes.terms import Terms
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock

#: Columns of a state at most, and different values of one of which there are functions.
_MOST_COLUMNS, _DIFFERENT = 8, 12

#: Steps that the search looks at, at most.
_STEPS = 500

#: Functions at most, of fewer columns, and steps for each term at least.
_MOST_FUNCTIONS, _EACH = 6, 4

#: Degrees of the polynomial beside the functions, the likeliest first: where that takes several
#: functions, another may take fewer.
_DEGREES = (2, 3, 1)

#: What is left of the changes, in their standard deviations: of a vector field that is right; of
#: one that another degree may make so; and what it may be at most.
_RIGHT, _NEARLY, _MOST_LEFT = 3e-8, 1e-3, 0.1

#: Factors, of what is left of all columns together, that a function and all of them must gain.
_GAIN, _GAIN_OF_ALL = 3.0, 30.0

#: Multiple of the least that is left up to which the fewest terms are taken.
_AS_GOOD = 10.0

#: Functions of a kind and a column that are refined, of all that are tried.
_REFINED = 8

#: Part of the squares of a function's terms that others do not hold, at least.
_NEW = 1e-12


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

    They are added one by one: the one that leaves least of all columns' changes. None where that
    gains little over monomials, as in noise.

    Raises
    ------
    TimeIsUpError
    """
    d, n = data.dimension, min(len(data), _STEPS)
    degrees = [k for k in _DEGREES if _EACH * (n_monomials(d, k) + 2 * (1 + d)) <= n]
    if d > _MOST_COLUMNS or data.outputs > 1 or not degrees:
        return None
    some = data.at_most(_STEPS)
    columns = [k for k, x in enumerate(some.states.numpy().T) if len(np.unique(x)) >= _DIFFERENT]
    fits = TermFits(some, clock)
    found: list[Discovery] = []
    most = max(_MOST_FUNCTIONS, d)
    for degree in degrees:
        search = _Search(fits.copy(), Terms(d, degree), columns, clock)
        before = search.level
        own = search.run(most)
        if not own.is_right:
            before = min(before, _level_of_monomials(fits.copy(), d, own.n_terms))
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


def _level_of_monomials(fits: TermFits, dimension: int, most: int) -> float:
    """Return what monomials leave, of the highest degree that has no more terms; as a logarithm."""
    degree = max(k for k in range(most) if n_monomials(dimension, k) <= most)
    return fits.settled(fits.fit(Terms(dimension, degree))).level


class _Search:
    """Adds functions to a polynomial, as long as that leaves much less of the changes."""

    def __init__(
        self, fits: TermFits, polynomial: Terms, columns: Sequence[int], clock: Clock
    ) -> None:
        self._fits, self._columns, self._clock = fits, columns, clock
        self._best = fits.fit(polynomial)

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
            self._best = self._fits.settled(fit)
        self._leave_out()
        terms = self._best.terms
        left = math.exp(self.level)
        return Discovery(terms.degree, terms.functions, left, self.is_right, terms.size)

    def _leave_out(self) -> None:
        """Leave out functions that others have made up for since they were added."""
        for function in self._best.terms.functions[:-1]:
            known = self._best.terms
            fewer = tuple(one for one in known.functions if one != function)
            fit = self._fits.refined(Terms(known.dimension, known.degree, fewer))
            enough = (self._best.levels + STILL).clamp(min=math.log(_RIGHT))
            if fit is not None and bool((fit.levels < enough).all()):
                self._best = self._fits.settled(fit)

    def _gain(self, fit: TermFit) -> float:
        """Return by how much less a fit leaves than the best, all columns' logarithms together."""
        return float((self._best.levels - fit.levels).sum())

    def _with_another(self) -> TermFit | None:
        """Return the fit with the function that gains most, refined."""
        known = self._best.terms
        best: TermFit | None = None
        for function in self._likely():
            self._clock.check()
            fit = self._fits.refined(self._adding(known, function), last_alone=True)
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
        own = self._fits.ranges[column]
        tried = torch.tensor(list(kind.tried(own)), dtype=torch.float64)
        known = self._best.terms
        size = known.size + kind.n_values * (1 + known.dimension)
        if len(tried) == 0 or _EACH * size > len(self._fits.changes):
            return
        rates, shifts = tried.T[:, :, None, None]
        levels = self._levels_with(kind.of(self._fits.steps.states[column], rates, shifts))
        gains = (self._best.levels - levels).sum(dim=1)
        gains = torch.where(torch.isfinite(gains), gains, -torch.inf)
        k = int(gains.argmax())
        if gains[k] > 0:
            rate, shift = tried[k].tolist()
            yield float(gains[k]), kind.on(column, own, rate, shift)

    def _levels_with(self, values: Sequence[Tensor]) -> Tensor:
        """Return the levels with each of many functions ``(many, nodes, n)``, ``(many, d)``."""
        states, space, rest = self._fits.steps.states, self._best.space, self._best.rest
        blocks = [self._fits.steps.integrals(value) for value in values]
        blocks += [self._fits.steps.integrals(value * x) for value in values for x in states]
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
        return torch.where(sound[:, None], self._fits.levels_of(rest), torch.inf)
