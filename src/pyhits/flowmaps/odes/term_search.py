"""The search for functions that a vector field holds beside monomials."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pyhits.data.stretches import evenly
from pyhits.flowmaps.form import Increments
from pyhits.flowmaps.odes.functions import Function
from pyhits.flowmaps.odes.term_candidates import EACH, Candidates
from pyhits.flowmaps.odes.term_fit import STILL, FieldFit, TermFits
from pyhits.flowmaps.odes.terms import Terms
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock

#: Columns of a state at most, and different values of one of which there are functions.
_MOST_COLUMNS, _DIFFERENT = 8, 12

#: Steps that the search looks at, at most.
_STEPS = 500

#: Rows that columns are compared in, the part of these in which one that holds the other's past is
#: equal to it, and the part of its range up to which it is.
_COMPARED, _MOSTLY, _SAME = 64, 0.9, 1e-9

#: Functions at most, of fewer columns.
_MOST_FUNCTIONS = 6

#: Degrees of the polynomial beside the functions, the likeliest first: where that takes several
#: functions, another may take fewer.
_DEGREES = (2, 3, 1)

#: What is left of the changes, in their standard deviations: of a vector field that is right; of
#: one that another degree may make so; and what it may be at most.
_RIGHT, _NEARLY, _MOST_LEFT = 3e-8, 1e-3, 0.1

#: Factors, of what is left of all columns together, that a function or two must gain, one in the
#: place of another, and all of them.
_GAIN, _GAIN_OF_EXCHANGE, _GAIN_OF_ALL = 10.0, 3.0, 30.0

#: Factor that the best function must gain for two to be tried, and functions that these begin with,
#: each of another column.
_HINT, _FIRSTS = 1.2, 3

#: Functions that are exchanged for others, at most.
_EXCHANGES = 6

#: Multiple of their number of terms up to which as many monomials must do worse.
_AS_MANY = 1.25

#: Multiple of the least that is left up to which the fewest terms are taken.
_AS_GOOD = 10.0


class Discovery(NamedTuple):
    """Functions that were found, beside a polynomial."""

    degree: int
    functions: tuple[Function, ...]
    left: float  # of the changes, in their standard deviations; the geometric mean over columns
    is_right: bool  # whether nothing is left of any column
    n_terms: int


def find_functions(data: Increments, clock: Clock = UNLIMITED) -> Discovery | None:
    """Return the functions that leave least of the changes, beside the polynomial that suits.

    They are added one by one, or two where either alone explains nothing: those that leave least of
    all columns' changes. None where that gains little over monomials, as in noise, and of states
    that hold past rows, whose changes are no function that anybody would write down.

    Raises
    ------
    TimeIsUpError
    """
    if data.dimension > _MOST_COLUMNS or data.outputs > 1 or _hold_past(data):
        return None
    return _found(_Question.of(data.at_most(_STEPS), clock))


def _hold_past(data: Increments) -> bool:
    """Whether a column is another one some rows before, as of states of rows that lie apart."""
    states = (data.states.numpy() - data.units.zero) / data.units.size
    rows = evenly(len(states) // 2, _COMPARED)
    near = _SAME * np.ptp(states, axis=0)
    for now, past in itertools.permutations(np.flatnonzero(near), 2):
        later = np.abs(states[rows[0] + 1 : rows[-1] + 2, past] - states[rows[0], now])
        for lag in 1 + np.flatnonzero(later <= near[now]):
            apart = np.abs(states[rows + lag, past] - states[rows, now])
            if np.mean(apart <= near[now]) > _MOSTLY:
                return True
    return False


@dataclass(frozen=True)
class _Question:
    """What is asked; the same again where all numbers are: one fit asks several times."""

    digest: bytes
    data: Increments = field(compare=False)
    clock: Clock = field(compare=False)

    @classmethod
    def of(cls, data: Increments, clock: Clock) -> _Question:
        digest = hashlib.sha256()
        for values in (data.states.numpy(), data.changes.numpy(), data.units.zero):
            digest.update(np.ascontiguousarray(values).tobytes())
        return cls(digest.digest(), data, clock)


@lru_cache(maxsize=4)
def _found(asked: _Question) -> Discovery | None:
    """Return the best of all degrees."""
    data, clock, d = asked.data, asked.clock, asked.data.dimension
    columns = [k for k, x in enumerate(data.states.numpy().T) if len(np.unique(x)) >= _DIFFERENT]
    most, fewest = max(_MOST_FUNCTIONS, d), len(data) // EACH
    if fewest < n_monomials(d, min(_DEGREES)) + 1 + d:
        return None
    fits, found = TermFits(data, clock), list[Discovery]()
    for degree in _DEGREES:
        room = (fewest - n_monomials(d, degree)) // (1 + d)
        if room < 1:
            continue
        search = _Search(fits.copy(), Terms(d, degree), columns, clock)
        before = search.level
        own = search.run(min(most, room))
        if not own.is_right:
            before = min(before, _level_of_monomials(fits.copy(), d, int(_AS_MANY * own.n_terms)))
        gains = before - math.log(own.left) > math.log(_GAIN_OF_ALL)
        if gains:
            found.append(own)
        if not gains and own.left > _NEARLY:
            break
        if own.is_right:
            most, fewest = len(own.functions), own.n_terms - 1
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
        self._fits, self._candidates = fits, Candidates(fits, columns, clock)
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
        for _ in range(_EXCHANGES):
            self._add(most)
            if self.is_right or not self._exchange():
                break
        self._leave_out()
        terms = self._best.terms
        left = math.exp(self.level)
        return Discovery(terms.degree, terms.functions, left, self.is_right, terms.size)

    def _add(self, most: int) -> None:
        """Add functions as long as they gain much."""
        while len(self._best.terms.functions) < most and not self.is_right:
            fit = self._next(most)
            if fit is None or not self._takes(fit, _GAIN):
                break

    def _takes(self, fit: FieldFit, gain: float) -> bool:
        """Whether a fit gains so much along the paths that it leads itself; it is the best then."""
        before = self._fits.steps
        settled = self._fits.settled(fit)
        if self._gain(settled) > math.log(gain):
            self._best = settled
            return True
        self._fits.steps = before
        return False

    def _exchange(self) -> bool:
        """Put another function in the place of one, where that gains; return whether it does.

        The first ones were chosen when others that count for more were not there yet.
        """
        functions = self._best.terms.functions
        for function in functions:
            others = tuple(one for one in functions if one != function)
            without = self._fits.fit(self._best.terms.with_functions(others))
            better = [fit for fit in self._candidates.beside(without)[:1] if self._gain(fit) > 0]
            if better and self._takes(better[0], _GAIN_OF_EXCHANGE):
                return True
        return False

    def _leave_out(self) -> None:
        """Leave out functions that others have made up for since they were added."""
        for function in self._best.terms.functions:
            known = self._best.terms
            fewer = tuple(one for one in known.functions if one != function)
            fit = self._fits.refined(known.with_functions(fewer))
            enough = (self._best.levels + STILL).clamp(min=math.log(_RIGHT))
            if fit is not None and bool((fit.levels < enough).all()):
                self._best = self._fits.settled(fit)

    def _next(self, most: int) -> FieldFit | None:
        """Return the fit with the function that gains most, or with the two that only both do.

        Where two act on one column, either alone leaves most of it.
        """
        ones = self._candidates.beside(self._best)
        if not ones or not self._gain(ones[0]) > math.log(_HINT):
            return None
        if self._gain(ones[0]) > math.log(_GAIN):
            return ones[0]
        if len(self._best.terms.functions) + 2 > most:
            return None
        of_columns = {fit.functions[-1].column: fit for fit in reversed(ones)}
        firsts = sorted(of_columns.values(), key=lambda fit: fit.level)[:_FIRSTS]
        both = [fit for one in firsts for fit in self._candidates.beside(one)[:1]]
        return min([*ones[:1], *both], key=lambda fit: fit.level, default=None)

    def _gain(self, fit: FieldFit) -> float:
        """Return by how much less a fit leaves than the best, all columns' logarithms together."""
        return float((self._best.levels - fit.levels).sum())
