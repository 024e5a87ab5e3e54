"""Solving for the coefficients of an equation on a grid, so that its integral meets the data.

One step of the integrator from each recorded state is compared with the next recorded state, by
Gauss-Newton steps: where the data are smooth, what is found is exact to their rounding.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Equation, Scheme
from pyhits.flowmaps.equations.guess import NOTHING, approximate_columns, guesses
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.flowmaps.equations.solution import Solution
from pyhits.flowmaps.equations.terms import Terms
from pyhits.flowmaps.equations.weights import cuts, learned_weights
from pyhits.util.clock import UNLIMITED, Clock

#: Gauss-Newton steps, and the part of the error that one must leave for another to follow.
_MOST_STEPS, _GAIN = 16, 0.9

#: Error below which derivatives are kept for the next step, as long as one leaves no more than a
#: part of it.
_NEAR, _SLOW = 0.1, 0.5

#: Damping, as a part of the diagonal: the first, the least, and what it is multiplied by when a
#: step fails, so many times.
_DAMPING, _LEAST_DAMPING, _HARDER, _TRIES = 1e-10, 1e-14, 100.0, 6

#: By how much all terms that are dropped may raise the error, and the error that rounding has.
_DROP, _ROUNDING = 1.02, 1e-10

#: Numbers in the fields that coefficients are solved on, at most: while there are many, when those
#: that are not needed are dropped, and for weights; but for some fields at least.
_NUMBERS, _NUMBERS_IN_THE_END, _NUMBERS_OF_ALL, _LEAST_FIELDS = 1 << 14, 1 << 17, 1 << 22, 3

#: Error from which on an equation of many terms is none of the data, and is not refined.
_HOPELESS = 0.5

#: Part of the fields by which a difference changes them, about, and the most that it changes a
#: coefficient.
_DIFFERENCE, _MOST_DIFFERENT = 1e-6, 1e-2

#: Order of the linear terms that are tried alone, where more of the changes than a part is left.
_LOW, _SMALL = 2, 1e-3

#: Coefficients whose exact derivatives are affordable before some are dropped.
_MOST_EXACT = 32

#: Numbers in the derivatives of a chunk of states, at most, and in all that are kept.
_CHUNK, _KEPT = 1 << 22, 1 << 25

#: Fields from which on each wavenumber's weights are learned.
_FIELDS_FOR_WEIGHTS = 40


class EquationFit:
    """Fits the coefficients of an equation's terms.

    Parameters
    ----------
    edges : Edges
        Of the grid.
    states, later : Tensor, shape (n, d)
        Rows, and those one step later, float64; evenly chosen ones of them are fitted to.
    clock : Clock, optional
        No step is begun after it.
    """

    def __init__(
        self,
        edges: Edges,
        states: Tensor,
        later: Tensor,
        clock: Clock = UNLIMITED,
    ) -> None:
        self.edges, self.clock = edges, clock
        self.shape, self.channels = edges.periodic, len(edges.level)
        each = self.channels * math.prod(self.shape)
        chosen = evenly(len(states), max(_LEAST_FIELDS, _NUMBERS_OF_ALL // each))
        both = (
            edges.continued(rows[chosen].view(-1, *edges.shape, self.channels).movedim(-1, 1))
            for rows in (states, later)
        )
        self.every = Pairs.of(*both)
        self.few = self.every.spread(max(_LEAST_FIELDS, _NUMBERS // each))
        self.pairs = self.every.spread(max(_LEAST_FIELDS, _NUMBERS_IN_THE_END // each))
        changes = later - states
        self.size = max(float(changes.square().mean().sqrt()), 1e-300)
        #: Channels that ever change; of the others, such as parameters, nothing is solved for.
        self.moves = changes.view(len(states), -1, self.channels).abs().amax((0, 1)) > 0

    def solve(self, terms: Terms, scheme: Scheme) -> Solution:
        """Return the terms that are needed, and their coefficients.

        Where much is left, linear terms of low order are tried alone: of long waves higher ones are
        hardly told, and what is found for these may let short waves grow without end.
        """
        found = self._solved(terms, scheme)
        lower = terms.up_to(_LOW)
        if found.error < _SMALL or lower == terms:
            return found
        return min(found, self._solved(lower, scheme), key=lambda one: one.error)

    def _solved(self, terms: Terms, scheme: Scheme) -> Solution:
        equation = self._equation(terms, scheme)
        found = [self._rated(equation, self.few, x) for x in guesses(equation, self.few)]
        best = min(found, key=lambda one: one.error)
        best = self._gauss_newton(equation, self.few, best, exact=False)
        if best.values.numel() <= _MOST_EXACT:
            best = self._gauss_newton(equation, self.few, best, exact=True)
        if not math.isfinite(best.error):
            return best
        linear, products = self._needed(equation, best)
        kept = [*linear, *(len(terms.linear) + j for j in products)]
        equation = self._equation(terms.kept(linear, products), scheme)
        fewer = self._rated(equation, self.pairs, best.values[:, kept])
        if best.error > _HOPELESS and fewer.values.numel() > _MOST_EXACT:
            return fewer
        return self._gauss_newton(equation, self.pairs, fewer, exact=True)

    def refined(self, terms: Terms, scheme: Scheme, values: Tensor) -> Solution:
        """Return coefficients of these terms that are near some."""
        equation = self._equation(terms, scheme)
        begin = self._rated(equation, self.pairs, values)
        return self._gauss_newton(equation, self.pairs, begin, exact=True)

    def weighted(self, solution: Solution) -> Solution:
        """Return a solution whose integrator has learned its weights, if that does better."""
        if solution.scheme.substeps > 1 or len(self.every.after) < _FIELDS_FOR_WEIGHTS:
            return solution
        schemes = cuts(solution.scheme, self.shape)
        tried = [solution, *(self.in_scheme(solution, scheme) for scheme in schemes)]
        solution = min(tried, key=lambda one: one.error)
        equation = self._equation(solution.terms, solution.scheme)
        weights = learned_weights(equation, self.every, solution.values)
        error = self._error(equation, self.pairs, solution.values, weights)
        if not error < _GAIN * solution.error:
            return solution
        return replace(solution, weights=weights, error=error)

    def _equation(self, terms: Terms, scheme: Scheme) -> Equation:
        return Equation(self.shape, self.channels, terms, scheme, self.pairs.after)

    def in_scheme(self, solution: Solution, scheme: Scheme) -> Solution:
        """Return a solution's coefficients in another scheme."""
        return self._rated(self._equation(solution.terms, scheme), self.pairs, solution.values)

    def _rated(self, equation: Equation, pairs: Pairs, values: Tensor) -> Solution:
        values = values * self.moves[:, None]
        error = self._error(equation, pairs, values)
        return Solution(equation.terms, equation.scheme, values, error)

    def _error(
        self, equation: Equation, pairs: Pairs, values: Tensor, weights: Tensor | None = None
    ) -> float:
        squares = 0.0
        for some in pairs.chunks(8, _CHUNK):
            after = equation.stepped(some.before, values, weights)
            squares += float((some.after - after).square().sum())
        mean = squares / pairs.after.numel()
        return math.sqrt(mean) / self.size if math.isfinite(mean) else math.inf

    def _gauss_newton(
        self, equation: Equation, pairs: Pairs, best: Solution, *, exact: bool
    ) -> Solution:
        """Return a solution improved by damped steps, as long as they gain.

        Derivatives that are not exact are those of the trapezoidal rule, which many terms afford.
        """
        damping = _DAMPING
        normal: _Normal | None = None
        for _ in range(_MOST_STEPS):
            if self.clock.is_over or not math.isfinite(best.error):
                break
            known = normal
            if known is None:
                normal = _normal(equation, pairs, best.values, self.moves, exact=exact)
            else:
                normal = known.around(equation, pairs, best.values)
            better, damping = self._improved(equation, pairs, best, normal, damping)
            part = better.error / max(best.error, 1e-300)
            best = better if part < 1 else best
            if known is None and part > _GAIN:
                break
            if part > _SLOW or best.error > _NEAR or not normal.columns:
                normal = None
        return best

    def _improved(
        self,
        equation: Equation,
        pairs: Pairs,
        best: Solution,
        normal: _Normal,
        damping: float,
    ) -> tuple[Solution, float]:
        """Return the solution one damped step on, or the same, and the damping to go on with."""
        scaled, scale = _scaled(normal.matrix)
        if not bool(scaled.isfinite().all()):
            return best, damping
        values, vectors = torch.linalg.eigh(scaled)
        turned = vectors.T @ (normal.right / scale)
        for _ in range(_TRIES):
            floor = damping + _LEAST_DAMPING * float(values[-1])
            step = vectors @ (turned / (values.clamp(min=0) + floor)) / scale
            found = self._rated(equation, pairs, best.values + step.view_as(best.values))
            if found.error < best.error:
                return found, max(damping / _HARDER, _LEAST_DAMPING)
            damping *= _HARDER
        return best, damping

    def _needed(self, equation: Equation, solution: Solution) -> tuple[list[int], list[int]]:
        """Return the linear terms and products that are needed, by any channel.

        The others together leave the error what it is, but for little; the cheapest go first.
        """
        matrix, scale = _scaled(_normal(equation, self.few, solution.values, self.moves).matrix)
        inverse = torch.linalg.pinv(matrix, hermitian=True)
        x = torch.where(scale.isfinite(), solution.values.flatten() * scale, 0.0)
        error = max(solution.error, _ROUNDING)
        square = self.few.after.numel() * (error * self.size) ** 2
        n_terms, n_linear = solution.values.shape[1], len(equation.terms.linear)
        kept, dropped = list(range(n_terms)), 0.0
        while len(kept) > 1:
            which = [[c * n_terms + t for c in range(self.channels)] for t in kept]
            costs = [_cost(inverse, x, of) for of in which]
            least = min(range(len(kept)), key=costs.__getitem__)
            dropped += costs[least]
            if square + dropped > _DROP**2 * square:
                break
            kept.pop(least)
            for k in which[least]:
                inverse, x = _without(inverse, x, k)
        return [t for t in kept if t < n_linear], [t - n_linear for t in kept if t >= n_linear]


class _Normal(NamedTuple):
    """Normal equations around some values.

    Attributes
    ----------
    matrix, right : Tensor
    columns : list of Tensor, float32
        Derivatives of each chunk of pairs; none where they are too many to be kept.
    """

    matrix: Tensor
    right: Tensor
    columns: list[Tensor]

    def around(self, equation: Equation, pairs: Pairs, values: Tensor) -> _Normal:
        """Return those of other values nearby, as if the derivatives were the same."""
        right = torch.zeros_like(self.right)
        for some, columns in zip(pairs.chunks(len(right), _CHUNK), self.columns, strict=True):
            right += (columns @ _missed(equation, some, values).float()).double()
        return self._replace(right=right)


def _normal(
    equation: Equation, pairs: Pairs, values: Tensor, moves: Tensor, *, exact: bool = False
) -> _Normal:
    """Return the normal equations around some values, of channels that move."""
    n = values.numel()
    found = _Normal(values.new_zeros(n, n), values.new_zeros(n), [])
    make = _derivatives if exact else approximate_columns
    for some in pairs.chunks(n, _CHUNK):
        columns = make(equation, some, values)
        columns *= moves.repeat_interleave(values.shape[1])[:, None]
        found.matrix.add_(columns @ columns.T)
        found.right.add_(columns @ _missed(equation, some, values))
        if n * pairs.after.numel() <= _KEPT:
            found.columns.append(columns.float())
    return found


def _missed(equation: Equation, pairs: Pairs, values: Tensor) -> Tensor:
    """Return what is left of the fields one step later."""
    return (pairs.after - equation.stepped(pairs.before, values)).flatten()


def _derivatives(equation: Equation, pairs: Pairs, values: Tensor) -> Tensor:
    """Return how the fields one step later change with each coefficient, ``(n_values, ...)``.

    By differences, each of about the same change of the fields: six digits, with no error that
    grows over Gauss-Newton steps.
    """
    n_linear = len(equation.terms.linear)
    same = equation.steps(values[:, :n_linear])  # whatever the products are multiplied by
    here = equation.stepped(pairs.before, values, steps=same)
    sizes = approximate_columns(equation, pairs, values).square().mean(dim=1).sqrt()
    steps = _DIFFERENCE * float(pairs.after.square().mean().sqrt()) / sizes.clamp(min=1e-300)
    columns = []
    for k, step in enumerate(steps.clamp(max=_MOST_DIFFERENT).tolist()):
        moved = values.flatten().clone()
        moved[k] += step
        is_linear = k % values.shape[1] < n_linear
        there = equation.stepped(
            pairs.before, moved.view_as(values), steps=None if is_linear else same
        )
        columns.append((there - here).flatten() / step)
    return torch.stack(columns)


def _scaled(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return normal equations with a diagonal of ones, and what the unknowns were multiplied by.

    What only rounding tells of, as of the slope of a constant, is multiplied by infinity.
    """
    scale = matrix.diagonal().sqrt()
    scale = torch.where(scale > NOTHING * scale.max(), scale, torch.inf)
    return matrix / (scale[:, None] * scale), scale


def _cost(inverse: Tensor, x: Tensor, which: list[int]) -> float:
    """Return by how much the squared error rises without some unknowns."""
    own = x[which]
    if len(which) == 1:
        return float(own[0] ** 2 / inverse[which[0], which[0]].clamp(min=1e-300))
    block = torch.linalg.pinv(inverse[which][:, which], hermitian=True)
    return float(own @ block @ own)


def _without(inverse: Tensor, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return inverse and solution of normal equations with one unknown held at 0."""
    diagonal = inverse[k, k].clamp(min=1e-300)
    moved = x - inverse[:, k] * (x[k] / diagonal)
    reduced = inverse - torch.outer(inverse[:, k], inverse[k]) / diagonal
    moved[k] = 0.0
    reduced[k] = 0.0
    reduced[:, k] = 0.0
    return reduced, moved
