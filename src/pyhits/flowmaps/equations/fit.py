"""Solving for the coefficients of an equation on a grid, so that its integral meets the data.

One step of the integrator from each recorded state is compared with the next recorded state, by
Gauss-Newton steps: where the data are smooth, what is found is exact to their rounding.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.flowmaps.equations.columns import CHUNK, Points
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Equation, Scheme
from pyhits.flowmaps.equations.guess import guesses
from pyhits.flowmaps.equations.normal import Normal, cuts, learned_weights
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.flowmaps.equations.solution import Solution
from pyhits.flowmaps.equations.terms import Terms
from pyhits.numerics.exponential import phi
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Gauss-Newton steps, those of them with exact derivatives anew, and the part of the error that one
#: must leave for another to follow.
_MOST_STEPS, _MOST_FRESH, _GAIN = 16, 3, 0.9

#: Derivatives are kept for the next step, as long as one leaves at most this part of the error.
_SLOW = 0.5

#: Damping, as a part of the diagonal: the first, the least, and what it is multiplied by when a
#: step fails, so many times.
_DAMPING, _LEAST_DAMPING, _HARDER, _TRIES = 1e-10, 1e-14, 100.0, 6

#: By how much all terms that are dropped may raise the error, and the error that rounding has.
_DROP, _ROUNDING = 1.02, 1e-10

#: Numbers in the fields that coefficients are solved on, at most: while there are many, when those
#: that are not needed are dropped, and for weights; but for some fields at least, fewer of large
#: ones.
_NUMBERS, _NUMBERS_IN_THE_END, _NUMBERS_OF_ALL, _LEAST_FIELDS = 1 << 14, 1 << 17, 1 << 22, 3
_LARGE = 1 << 18

#: Error from which on an equation of many terms is none of the data, and is not refined.
_HOPELESS = 0.5

#: Order of the linear terms that are tried alone, where more of the changes than a part is left.
_LOW, _SMALL = 2, 1e-3

#: Coefficients whose exact derivatives are affordable, and the multiply-adds of all of them.
_MOST_EXACT, _WORK = 32, 1.5e10

#: What is left of a wave at all times tells of a source if it is so many times what chance leaves.
_TOLD = 9.0

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
        What is begun when it ends is left, and the best so far returned.
    """

    def __init__(
        self, edges: Edges, states: Tensor, later: Tensor, clock: Clock = UNLIMITED
    ) -> None:
        self.edges, self.clock = edges, clock
        self.shape, self.channels = edges.periodic, len(edges.level)
        each = self.channels * math.prod(self.shape)
        least = max(1, min(_LEAST_FIELDS, _LEAST_FIELDS * _LARGE // each))
        chosen = evenly(len(states), max(least, _NUMBERS_OF_ALL // each))
        both = (
            edges.continued(rows[chosen].view(-1, *edges.shape, self.channels).movedim(-1, 1))
            for rows in (states, later)
        )
        self.every = Pairs.of(*both)
        self.few = self.every.spread(max(min(2, least), _NUMBERS // each))
        self.pairs = self.every.spread(max(least, _NUMBERS_IN_THE_END // each))
        changes = later - states
        self.size = max(float(changes.square().mean().sqrt()), 1e-300)
        #: Channels that ever change; of the others, such as parameters, nothing is solved for.
        self.moves = changes.view(len(states), -1, self.channels).abs().amax((0, 1)) > 0

    def solve(self, terms: Terms, scheme: Scheme, *, sourced: bool = False) -> Solution:
        """Return the terms that are needed, and their coefficients.

        With ``sourced``, also what drives the fields at all times, by place. Where much is left,
        linear terms of low order are tried alone: of long waves higher ones are hardly told, and
        what is found for these may let short waves grow without end.
        """
        none = self.every.before.new_zeros(self.every.before.shape[1:]) if sourced else None
        found = self._solved(terms, scheme, none)
        lower = terms.up_to(_LOW)
        if found.error < _SMALL or lower == terms or self.clock.is_over:
            return found
        try:
            return min(found, self._solved(lower, scheme, none), key=lambda one: one.error)
        except TimeIsUpError:
            return found

    def _solved(self, terms: Terms, scheme: Scheme, source: Tensor | None = None) -> Solution:
        equation = self._equation(terms, scheme, source)
        points = self._points(equation)
        begins = guesses(equation, self.few, points, self.clock)
        best = min((self._rated(equation, self.few, x) for x in begins), key=lambda one: one.error)
        best = self._gauss_newton(equation, self.few, best, exact=False)
        if best.values.numel() <= _MOST_EXACT:
            best = self._gauss_newton(equation, self.few, best, exact=True)
        if not math.isfinite(best.error) or self.clock.is_over:
            return best
        try:
            linear, products = self._needed(equation, best)
        except TimeIsUpError:
            return best
        kept = [*linear, *(len(terms.linear) + j for j in products)]
        equation = self._equation(terms.kept(linear, products), scheme, best.source)
        fewer = self._rated(equation, self.pairs, best.values[:, kept])
        if best.error > _HOPELESS and fewer.values.numel() > _MOST_EXACT:
            return fewer
        return self._polished(equation, fewer)

    def _polished(self, equation: Equation, begin: Solution) -> Solution:
        """Return a solution improved on more fields."""
        found = self._gauss_newton(equation, self.pairs, begin, exact=False)
        return self._gauss_newton(equation, self.pairs, found, exact=True)

    def _points(self, equation: Equation) -> Points:
        n_terms = len(equation.terms.linear) + len(equation.terms.products)
        return Points.of(self.edges, n_terms * self.channels)

    def refined(
        self, terms: Terms, scheme: Scheme, values: Tensor, source: Tensor | None = None
    ) -> Solution:
        """Return coefficients of these terms that are near some, and a source near another."""
        equation = self._equation(terms, scheme, source)
        begin = self._rated(equation, self.pairs, values)
        return self._polished(equation, begin)

    def weighted(self, solution: Solution) -> Solution:
        """Return a solution whose integrator has learned its weights, if that does better."""
        few = len(self.every.after) < _FIELDS_FOR_WEIGHTS
        other = solution.scheme.substeps > 1 or solution.source is not None
        if other or few or self.clock.is_over:
            return solution
        schemes = cuts(solution.scheme, self.shape)
        tried = [solution, *(self.in_scheme(solution, scheme) for scheme in schemes)]
        solution = min(tried, key=lambda one: one.error)
        equation = self._equation(solution.terms, solution.scheme)
        weights = learned_weights(equation, self.every, solution.values, self.clock)
        error = self._error(equation, self.pairs, solution.values, weights)
        if not error < _GAIN * solution.error:
            return solution
        return replace(solution, weights=weights, error=error)

    def _equation(self, terms: Terms, scheme: Scheme, source: Tensor | None = None) -> Equation:
        return Equation(self.shape, self.channels, terms, scheme, self.pairs.after, source)

    def in_scheme(self, solution: Solution, scheme: Scheme) -> Solution:
        """Return a solution's coefficients in another scheme."""
        equation = self._equation(solution.terms, scheme, solution.source)
        return self._rated(equation, self.pairs, solution.values)

    def standing(self, solution: Solution) -> float:
        """Return the part of what is left that is the same at all times."""
        equation = self._equation(solution.terms, solution.scheme, solution.source)
        mean, squares = self._standing(equation, self.pairs, solution.values)
        return float(mean.square().sum()) * len(self.pairs.after) / max(squares, 1e-300)

    def _standing(self, equation: Equation, pairs: Pairs, values: Tensor) -> tuple[Tensor, float]:
        """Return what is left at all times, ``(channels, *shape)``, and the squares of all."""
        n = len(pairs.after)
        total = torch.zeros_like(pairs.before[0])
        energy, squares = torch.zeros_like(total.real), 0.0
        for some in pairs.chunks(8, CHUNK):
            left = some.after - equation.stepped(some.before, values)
            squares += float(left.square().sum())
            waves = equation.forward(left)
            total += waves.sum(0)
            energy += waves.abs().square().sum(0)
        mean = total / n
        scatter = (energy / n - mean.abs().square()).clamp(min=0) / max(1, n - 1)
        return equation.back(torch.where(mean.abs().square() > _TOLD * scatter, mean, 0.0)), squares

    def _with_source(self, equation: Equation, pairs: Pairs, values: Tensor) -> Solution:
        """Return a solution with the source that leaves nothing at all times."""
        assert equation.source is not None
        mean, squares = self._standing(equation, pairs, values)
        _, first, *_ = phi(equation.exponents(values[:, : len(equation.terms.linear)]))
        source = equation.source + equation.forward(mean) / first
        left = squares - len(pairs.after) * float(mean.square().sum())
        left = max(left, 0.0) / pairs.after.numel()
        error = math.sqrt(left) / self.size if math.isfinite(squares) else math.inf
        return Solution(equation.terms, equation.scheme, values, error, source=source)

    def _rated(self, equation: Equation, pairs: Pairs, values: Tensor) -> Solution:
        values = values * self.moves[:, None]
        if equation.source is not None:
            return self._with_source(equation, pairs, values)
        error = self._error(equation, pairs, values)
        return Solution(equation.terms, equation.scheme, values, error)

    def _error(
        self, equation: Equation, pairs: Pairs, values: Tensor, weights: Tensor | None = None
    ) -> float:
        squares = 0.0
        for some in pairs.chunks(8, CHUNK):
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
        if exact and best.values.numel() * self._work(equation, pairs) > _WORK:
            return best
        points, damping = self._points(equation), _DAMPING
        normal: Normal | None = None
        fresh = _MOST_FRESH if exact else _MOST_STEPS
        for _ in range(_MOST_STEPS):
            if self.clock.is_over or not math.isfinite(best.error) or not fresh + bool(normal):
                break
            known = normal
            fresh -= known is None
            try:
                if known is not None:
                    normal = known.around(equation, pairs, best.values)
                else:
                    normal = Normal.at(
                        equation, pairs, best.values, points,
                        moves=self.moves, exact=exact, clock=self.clock,
                    )  # fmt: skip
            except TimeIsUpError:
                break
            better, damping = self._improved(equation, pairs, best, normal, damping)
            part = better.error / max(best.error, 1e-300)
            best = better if part < 1 else best
            if best.source is not None:
                equation = self._equation(best.terms, best.scheme, best.source)
            if known is None and part > _GAIN:
                break
            if part > _SLOW or not normal.columns:
                normal = None
        return best

    def _work(self, equation: Equation, pairs: Pairs) -> float:
        """Return the multiply-adds of one step of some pairs, about."""
        scheme = equation.scheme
        stages = scheme.substeps * (4 if scheme.order == 4 else 2)
        transforms = len(equation.terms.features) + 2 * self.channels
        numbers = pairs.after.numel() / self.channels
        return stages * transforms * numbers * 3 * max(1.0, math.log2(numbers))

    def _improved(
        self, equation: Equation, pairs: Pairs, best: Solution, normal: Normal, damping: float
    ) -> tuple[Solution, float]:
        """Return the solution one damped step on, or the same, and the damping to go on with."""
        scaled, scale = normal.scaled()
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
        normal = Normal.at(
            equation, self.few, solution.values, self._points(equation),
            moves=self.moves, clock=self.clock,
        )  # fmt: skip
        matrix, scale = normal.scaled()
        n_terms, n_linear = solution.values.shape[1], len(equation.terms.linear)
        kept, dropped = list(range(n_terms)), 0.0
        if not bool(matrix.isfinite().all()):
            return kept[:n_linear], [t - n_linear for t in kept[n_linear:]]
        inverse = torch.linalg.pinv(matrix, hermitian=True)
        x = torch.where(scale.isfinite(), solution.values.flatten() * scale, 0.0)
        error = max(solution.error, _ROUNDING)
        square = normal.n_rows * (error * self.size) ** 2
        while len(kept) > 1:
            self.clock.check()
            if not bool(inverse.isfinite().all() and x.isfinite().all()):
                break  # terms that nothing tells apart: all of them stay
            which = torch.tensor(kept)[:, None] + n_terms * torch.arange(self.channels)
            costs = _costs(inverse, x, which)
            least = int(costs.argmin())
            dropped += float(costs[least])
            if square + dropped > _DROP**2 * square:
                break
            kept.pop(least)
            for k in which[least].tolist():
                inverse, x = _without(inverse, x, k)
        return [t for t in kept if t < n_linear], [t - n_linear for t in kept if t >= n_linear]


def _costs(inverse: Tensor, x: Tensor, which: Tensor) -> Tensor:
    """Return by how much the squared error rises without some unknowns, ``(n, k)`` of them."""
    own = x[which]
    if which.shape[1] == 1:
        return own[:, 0].square() / inverse.diagonal()[which[:, 0]].clamp(min=1e-300)
    blocks = inverse[which[:, :, None], which[:, None, :]]
    return torch.einsum("nk,nkl,nl->n", own, torch.linalg.pinv(blocks, hermitian=True), own)


def _without(inverse: Tensor, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return inverse and solution of normal equations with one unknown held at 0."""
    diagonal = inverse[k, k].clamp(min=1e-300)
    moved = x - inverse[:, k] * (x[k] / diagonal)
    reduced = inverse - torch.outer(inverse[:, k], inverse[k]) / diagonal
    moved[k] = 0.0
    reduced[k] = 0.0
    reduced[:, k] = 0.0
    return reduced, moved
