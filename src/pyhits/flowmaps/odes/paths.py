"""Fitting a polynomial vector field to steps: a regression along the paths within them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.flowmaps.odes.functions import Function
from pyhits.flowmaps.odes.terms import Terms, block_of
from pyhits.numerics.ridge import Ridge
from pyhits.util.clock import UNLIMITED, Clock

#: Nodes within a step.
_NODES = 5

#: States that paths are first looked for of, at most, but for so many a monomial; and of all, whose
#: monomials at the nodes are so many numbers at most.
_FEW, _EACH, _MOST_NUMBERS = 1_000, 3, 20_000_000

#: Rounds of a regression and sweeps of few states, at most; sweeps of one round; and sweeps of all.
_ROUNDS, _SWEEPS, _SWEEPS_OF_ALL = 12, 2, 40

#: Change of the paths at which they are found; and part of the change before that goes on.
_FOUND, _SETTLED = 1e-11, 0.5

#: Penalty while paths are looked for.
_PENALTY = 1e-13


class Steps:
    """Steps that were recorded, and their paths as a vector field leads them.

    A step's change is the integral of the derivatives along its path, which is linear in the
    coefficients of its terms: these are a regression, if the path is known, at the nodes of
    Gauss and Legendre. It follows from the coefficients found last by sweeps of Picard's iteration,
    held to where the step was recorded to end; a straight line is the first. Where a step is short
    beside the times that it passes through, each sweep is closer by that factor.

    Arrays are laid out ``(d, nodes, n)``: one component of all states is contiguous.

    Parameters
    ----------
    bounds : pair of Tensor, shape (d,)
        Outside, the vector field is that of the nearest point of the box.
    starts, changes : Tensor, shape (n, d)
        Unit time lies between.
    clock : Clock, optional
        Each regression is begun before it ends, or a TimeIsUpError is raised.

    Attributes
    ----------
    states : Tensor, shape (d, nodes, n)
        Along the paths.
    """

    def __init__(
        self,
        terms: Terms,
        bounds: tuple[Tensor, Tensor],
        starts: Tensor,
        changes: Tensor,
        clock: Clock = UNLIMITED,
    ) -> None:
        self._terms, self._bounds, self._clock = terms, bounds, clock
        self._starts, self._changes = starts, changes
        self._nodes, self._weights, self._within = _gauss(_NODES)
        self.states = starts.T[:, None] + self._nodes[:, None] * changes.T[:, None]

    def at_most(self, count: int) -> Steps:
        """Return at most so many of them, evenly chosen."""
        if count >= len(self._starts):
            return self
        some = torch.from_numpy(evenly(len(self._starts), max(1, count)))
        return Steps(
            self._terms, self._bounds, self._starts[some], self._changes[some], self._clock
        )

    def with_terms(self, terms: Terms) -> Steps:
        """Return the same steps and paths, for another vector field."""
        other = copy(self)
        other._terms = terms
        return other

    def settle(self) -> None:
        """Move the paths to where the vector field leads that suits them best."""
        self._follow(self._followed(), _SWEEPS_OF_ALL)

    def follow(self, coefficients: Tensor) -> None:
        """Move the paths to where coefficients ``(terms, d)`` lead."""
        self._follow(coefficients, _SWEEPS_OF_ALL)

    def integrals(self, values: Tensor) -> Tensor:
        """Return integrals over the steps of values at their nodes, ``(..., nodes, n)``."""
        return torch.matmul(self._weights, values)

    def design(self) -> Tensor:
        """Return the integrals of all terms, ``(n, terms)``."""
        return self.integrals(self._values()).T

    def block(self, function: Function) -> Tensor:
        """Return the integrals of a function's terms, ``(n, terms)``."""
        return self.integrals(block_of(function, self._inside())).T

    def blocks(self, values: Tensor) -> Tensor:
        """Return the integrals of the terms of many functions; ``(many, nodes, n)``.

        Their shape is ``(many, 1 + d, n)``.
        """
        inside = self._inside()
        factors = self._weights[:, None] * torch.cat([torch.ones_like(inside[:1]), inside])
        blocks = values[:, None, 0] * factors[:, 0]
        for node in range(1, _NODES):
            blocks.addcmul_(values[:, None, node], factors[:, node])
        return blocks

    def coefficients(self, penalties: Sequence[float], near: Tensor | None = None) -> Tensor:
        """Return coefficients under each penalty, ``(penalties, terms, d)``.

        Parameters
        ----------
        penalties : sequence of float
            As those of :class:`~pyhits.numerics.ridge.Ridge`.
        near : Tensor, shape (terms, d), optional
            Coefficients that paths are about right for; by default few steps tell.
        """
        terms = self._terms.size
        near = self.at_most(max(_FEW, _EACH * terms))._followed(near)
        every = self.at_most(_MOST_NUMBERS // (_NODES * terms))
        every._follow(near, _SWEEPS_OF_ALL)
        every._follow(every._regression().solve(_PENALTY), _SWEEPS)
        return every._regression().path(penalties)

    def left(self, coefficients: Tensor) -> float:
        """Return the root mean square of what a vector field ``(terms, d)`` leaves of changes."""
        return float(self.left_of_each(coefficients).square().mean().sqrt())

    def left_of_each(self, coefficients: Tensor) -> Tensor:
        """Return the same of each column, ``(d,)``."""
        return self._missing(self._slopes(coefficients)).square().mean(dim=1).sqrt()

    def _values(self) -> Tensor:
        """Return the monomials at all nodes, ``(terms, nodes, n)``."""
        return self._terms.of_doubles(self._inside())

    def _inside(self) -> Tensor:
        """Return the states within the box."""
        low, high = (bound[:, None, None] for bound in self._bounds)
        return torch.clamp(self.states, low, high)

    def _slopes(self, coefficients: Tensor) -> Tensor:
        """Return the derivatives at all nodes, ``(d, nodes, n)``."""
        return (coefficients.T @ self._values().flatten(1)).view(self.states.shape)

    def _missing(self, slopes: Tensor) -> Tensor:
        """Return how far from their ends slopes lead, ``(d, n)``."""
        return self._changes.T - torch.einsum("q,dqn->dn", self._weights, slopes)

    def _regression(self) -> Ridge:
        self._clock.check()
        return Ridge(self.design(), self._changes, scaled=True)

    def _follow(self, coefficients: Tensor, sweeps: int) -> float:
        """Move the paths to where coefficients ``(terms, d)`` lead; return how far they moved."""
        before, least = self.states, np.inf
        for _ in range(sweeps):
            last, slopes = self.states, self._slopes(coefficients)
            inner = torch.einsum("pq,dqn->dpn", self._within, slopes)
            held = self._nodes[:, None] * self._missing(slopes)[:, None]
            self.states = self._starts.T[:, None] + inner + held
            moved = float((self.states - last).abs().max())
            if moved < _FOUND or not moved < least:
                break
            least = moved
        return float((self.states - before).square().mean().sqrt())

    def _followed(self, near: Tensor | None = None) -> Tensor:
        """Return coefficients ``(terms, d)`` that lead along the paths that they were found by.

        Parameters
        ----------
        near : Tensor, shape (terms, d), optional
            Coefficients to follow first, for longer.
        """
        if near is not None:
            self._follow(near, _SWEEPS_OF_ALL)
        best, least = self._regression().solve(_PENALTY), np.inf
        for _ in range(_ROUNDS):
            moved = self._follow(best, _SWEEPS)
            if not moved < least:
                break
            is_last = moved > _SETTLED * least or moved < _FOUND
            best, least = self._regression().solve(_PENALTY), moved
            if is_last:
                break
        return best


def _gauss(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes and weights of Gauss and Legendre in [0, 1], and weights up to each node."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    nodes, weights = (nodes + 1) / 2, weights / 2
    powers = np.arange(n)
    # Integrals of the polynomial through the nodes, from 0 to each of them.
    integrals = nodes[:, None] ** (powers + 1) / (powers + 1)
    within = integrals @ np.linalg.inv(nodes[:, None] ** powers)
    return torch.from_numpy(nodes), torch.from_numpy(weights), torch.from_numpy(within)
