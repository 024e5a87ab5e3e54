"""How fields one step later change with each coefficient of an equation, at some of their points.

No more is held at a time than a chunk of fields, and columns of so many points as memory is for,
whatever the number of terms and the size of the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Equation
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.numerics.exponential import phi
from pyhits.util.clock import UNLIMITED, Clock

#: Numbers in the columns of one chunk of fields, at most, and in the fields of it.
CHUNK = 1 << 22

#: Points that are compared, at least, where columns are many.
_LEAST_POINTS = 256

#: Part of the fields by which a difference changes them, about, and the most that it changes a
#: coefficient.
_DIFFERENCE, _MOST_DIFFERENT = 1e-6, 1e-2


@dataclass(frozen=True)
class Points:
    """Points at which fields are compared."""

    #: Int, (n_points,): their places in a field of the continued grid, which is flat.
    chosen: Tensor

    @classmethod
    def of(cls, edges: Edges, n_columns: int) -> Points:
        """Return those between walls, or as many of them as so many columns leave memory for."""
        inside = edges.inside
        most = max(_LEAST_POINTS, CHUNK // (max(1, n_columns) * len(edges.level)))
        if len(inside) <= most:
            return cls(inside)
        order = torch.randperm(len(inside), generator=torch.Generator().manual_seed(0))
        return cls(inside[order[:most].sort().values])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.chosen)

    def at(self, fields: Tensor, n_axes: int) -> Tensor:
        """Return fields ``(..., *shape)`` there, ``(..., n_points)``."""
        return fields.flatten(fields.dim() - n_axes).index_select(-1, self.chosen)


def approximate_columns(
    equation: Equation, pairs: Pairs, exponents: Tensor, points: Points, clock: Clock = UNLIMITED
) -> list[Tensor]:
    """Return about how fields one step later change with each coefficient.

    Each channel's coefficients change that channel alone, as if its products were their mean at
    both ends of the step.

    Raises TimeIsUpError.

    Parameters
    ----------
    exponents : Tensor, complex, shape (channels, *transform)
        Of the linear part over the step.

    Returns
    -------
    columns : list of Tensor, shape (n_terms, n * n_points)
        By channel.
    """
    grown, first, *_ = phi(exponents)
    n_linear, n_axes = len(equation.terms.linear), len(equation.shape)
    n_terms = n_linear + len(equation.terms.products)
    found = [
        pairs.after.new_empty(n_terms, len(pairs.after) * len(points))
        for _ in range(equation.channels)
    ]
    for c, columns in enumerate(found):
        own = grown[c] * pairs.before[:, c]
        for a, operator in enumerate(equation.terms.linear):
            change = equation.back(own * equation.operator(operator))
            columns[a] = points.at(change, n_axes).flatten()
    begin, end = equation.factors(pairs.before), equation.factors(equation.forward(pairs.after))
    for j in range(len(equation.terms.products)):
        clock.check()
        mean = (equation.product(begin, j) + equation.product(end, j)) / 2
        transformed = equation.outer(equation.forward(mean), j)
        for c, columns in enumerate(found):
            change = equation.back(first[c] * transformed)
            columns[n_linear + j] = points.at(change, n_axes).flatten()
    return found


def middle_columns(
    equation: Equation, pairs: Pairs, points: Points, clock: Clock = UNLIMITED
) -> list[Tensor]:
    """Return the means of all terms at both ends of a step, as :func:`approximate_columns` does."""
    n_axes = len(equation.shape)
    after = equation.forward(pairs.after)
    begin, end = equation.factors(pairs.before), equation.factors(after)
    products = []
    for j in range(len(equation.terms.products)):
        clock.check()
        mean = (equation.product(begin, j) + equation.product(end, j)) / 2
        if equation.after is not None or any(equation.terms.products[j][0][1:]):
            mean = equation.back(equation.outer(equation.forward(mean), j))
        products.append(points.at(mean, n_axes).flatten())
    found = []
    for c in range(equation.channels):
        halfway = (pairs.before[:, c] + after[:, c]) / 2
        linear = [
            points.at(equation.back(halfway * equation.operator(o)), n_axes).flatten()
            for o in equation.terms.linear
        ]
        found.append(torch.stack([*linear, *products]))
    return found


def exact_columns(
    equation: Equation,
    pairs: Pairs,
    values: Tensor,
    points: Points,
    moves: Tensor,
    clock: Clock = UNLIMITED,
) -> Tensor:
    """Return how fields one step later change with each coefficient, ``(n_values, ...)``.

    By differences, each of about the same change of the fields: six digits, with no error that
    grows over Gauss-Newton steps. Columns are of all channels at some points.

    Raises TimeIsUpError.
    """
    n_linear, n_axes = len(equation.terms.linear), len(equation.shape)
    same = equation.steps(values[:, :n_linear])  # whatever the products are multiplied by
    here = points.at(equation.stepped(pairs.before, values, steps=same), n_axes)
    about = approximate_columns(
        equation, pairs, equation.exponents(values[:, :n_linear]), points, clock
    )
    sizes = torch.cat([columns.square().mean(1).sqrt() for columns in about])
    sizes = sizes / math.sqrt(equation.channels)  # of the fields of all channels
    steps = _DIFFERENCE * float(pairs.after.square().mean().sqrt()) / sizes.clamp(min=1e-300)
    found = here.new_zeros(values.numel(), here.numel())
    for k, step in enumerate(steps.clamp(max=_MOST_DIFFERENT).tolist()):
        if not moves[k // values.shape[1]]:
            continue
        clock.check()
        moved = values.flatten().clone()
        moved[k] += step
        is_linear = k % values.shape[1] < n_linear
        there = equation.stepped(
            pairs.before, moved.view_as(values), steps=None if is_linear else same
        )
        found[k] = ((points.at(there, n_axes) - here) / step).flatten()
    return found
