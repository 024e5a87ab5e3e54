"""Monomials of several variables up to a total degree: exponents, number and values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def n_monomials(dimension: int, degree: int) -> int:
    """Return the number of monomials of ``dimension`` variables up to a degree, 1 included."""
    return comb(dimension + degree, degree)


#: ``(first, last, variable, begin)``: the rows from ``begin`` on are the rows ``first:last`` times
#: that variable. Row 0 is the constant, the next ones are the variables.
Block = tuple[int, int, int, int]


@dataclass(frozen=True)
class Monomials:
    """All monomials of some variables up to a total degree, in graded lexicographic order.

    Of two variables these are 1, x, y, x^2, xy, y^2, x^3 and so on. They are made as products of
    whole blocks: the ``dimension * (degree - 1)`` array operations do not grow with the number of
    monomials. Variables and monomials are rows, so that one of all points is contiguous.
    """

    dimension: int  # number of variables d
    degree: int  # highest total degree, 0 or more

    @cached_property
    def size(self) -> int:
        """Number of monomials."""
        return n_monomials(self.dimension, self.degree)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """How the monomials of degree 2 and more follow from lower ones."""
        return _blocks(self.dimension, self.degree)

    @cached_property
    def exponents(self) -> np.ndarray:
        """Power of each variable in each monomial, int64, shape ``(n_monomials, d)``."""
        powers = np.zeros((self.size, self.dimension), dtype=np.int64)
        if self.degree:
            powers[1 : 1 + self.dimension] = np.eye(self.dimension, dtype=np.int64)
        for first, last, variable, begin in self.blocks:
            powers[begin : begin + last - first] = powers[first:last]
            powers[begin : begin + last - first, variable] += 1
        return powers

    @cached_property
    def quotients(self) -> np.ndarray:
        """Row of each monomial over each variable, ``(n_monomials, d)``; 0 where it lacks it."""
        row = {tuple(powers): k for k, powers in enumerate(self.exponents.tolist())}
        lower = np.zeros(self.exponents.shape, dtype=np.int64)
        for k, j in zip(*np.nonzero(self.exponents), strict=True):
            less = self.exponents[k].copy()
            less[j] -= 1
            lower[k, j] = row[tuple(less.tolist())]
        return lower

    def __call__(self, variables: np.ndarray) -> np.ndarray:
        """Return all monomials in float64; ``(d, ...)`` to ``(n_monomials, ...)``."""
        out = np.empty((self.size, *variables.shape[1:]))
        out[0] = 1.0
        if self.degree:
            out[1 : 1 + self.dimension] = variables
        for first, last, variable, begin in self.blocks:
            np.multiply(out[first:last], variables[variable], out=out[begin : begin + last - first])
        return out

    def of_rows(self, states: np.ndarray) -> np.ndarray:
        """Return all monomials in float64; ``(..., d)`` to ``(..., n_monomials)``."""
        last = states.ndim - 1
        terms = self(states.transpose(last, *range(last)))
        return terms.transpose(*range(1, last + 1), 0)

    def of_doubles(self, variables: Tensor) -> Tensor:
        """Return all monomials; ``(d, ...)`` to ``(n_monomials, ...)``, float64, no gradients."""
        import torch

        return torch.from_numpy(self(variables.numpy()))

    def of_tensor(self, variables: Tensor) -> Tensor:
        """Return all monomials; ``(d, n)`` to ``(n_monomials, n)``.

        They are joined, not written in place, so that autograd and exporters can follow.
        """
        import torch

        terms = torch.ones_like(variables[:1])
        if self.degree:
            terms = torch.cat([terms, variables])
        for k in range(0, len(self.blocks), self.dimension):
            blocks = self.blocks[k : k + self.dimension]
            higher = [terms[first:last] * variables[j] for first, last, j, _ in blocks]
            terms = torch.cat([terms, *higher])
        return terms

    def within(self, terms: Tensor) -> MonomialBuffer:
        """Return what writes the monomials into a given tensor, shape ``(n_monomials, n)``."""
        return MonomialBuffer(self, terms)


class MonomialBuffer:
    """Monomials written into one tensor again and again.

    Views into it are made once: of few points, making them takes longer than the products.

    Attributes
    ----------
    variables : Tensor, shape (d, n)
        Where the variables are to be written; empty for degree 0.
    """

    def __init__(self, basis: Monomials, terms: Tensor) -> None:
        self.terms = terms
        self.variables = terms[1 : 1 + basis.dimension] if basis.degree else terms[:0]
        self._products = [
            (terms[first:last], self.variables[variable], terms[begin : begin + last - first])
            for first, last, variable, begin in basis.blocks
        ]

    def fill(self) -> Tensor:
        """Return the tensor, all monomials of :attr:`variables` written into it."""
        import torch

        self.terms[0].fill_(1)
        for lower, variable, higher in self._products:
            torch.mul(lower, variable, out=higher)
        return self.terms


@lru_cache(maxsize=256)
def _blocks(dimension: int, degree: int) -> tuple[Block, ...]:
    blocks = []
    # starts[j]: first row, in the previous degree, of the monomials free of variables before j.
    starts = list(range(1, dimension + 1))
    end = dimension + 1
    for _ in range(degree - 1):
        begin, next_starts = end, []
        for j in range(dimension):
            next_starts.append(begin)
            blocks.append((starts[j], end, j, begin))
            begin += end - starts[j]
        starts, end = next_starts, begin
    return tuple(blocks)
