"""The terms of a vector field: monomials, and functions of single columns times these columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pyhits.flowmaps.odes.functions import Function
from pyhits.numerics.basis import Monomials


@dataclass(frozen=True)
class Terms:
    """Monomials up to a degree, then each function, and its products with all columns."""

    #: dimension, degree: Of the monomials.
    dimension: int
    degree: int
    functions: tuple[Function, ...] = ()

    def with_functions(self, functions: tuple[Function, ...]) -> Terms:
        """Return the same monomials beside other functions."""
        return Terms(self.dimension, self.degree, functions)

    @cached_property
    def monomials(self) -> Monomials:
        """Return those of the polynomial part."""
        return Monomials(self.dimension, self.degree)

    @property
    def size(self) -> int:
        """Number of terms."""
        each = 1 + self.dimension
        return self.monomials.size + each * sum(one.n_values for one in self.functions)

    def of_tensor(self, states: Tensor) -> Tensor:
        """Return all terms; ``(d, n)`` to ``(size, n)``."""
        return self._joined(self.monomials.of_tensor(states), states)

    def of_doubles(self, states: Tensor) -> Tensor:
        """Return all terms in float64, without gradients; ``(d, ...)`` to ``(size, ...)``."""
        return self._joined(self.monomials.of_doubles(states), states)

    def _joined(self, monomials: Tensor, states: Tensor) -> Tensor:
        """Return monomials and functions."""
        if not self.functions:
            return monomials
        return torch.cat([monomials, *(block_of(one, states) for one in self.functions)])


def block_of(function: Function, states: Tensor) -> Tensor:
    """Return a function's terms: its values, and their products with all columns."""
    blocks: list[Tensor] = []
    for value in function.of(states):
        blocks += [value[None], value * states]
    return torch.cat(blocks)


class TermBuffer:
    """All terms written into one tensor again and again.

    Attributes
    ----------
    all : Tensor, shape (terms, n)
    variables : Tensor, shape (d, n)
        Where the variables are to be written.
    """

    def __init__(self, terms: Terms, room: Tensor) -> None:
        first, rest = terms.monomials.size, room[terms.monomials.size :]
        self.all, self._functions = room, terms.functions
        self._monomials = terms.monomials.within(room[:first])
        own = self._monomials.variables
        self.variables = own if len(own) else room.new_empty(terms.dimension, room.shape[1])
        self._blocks = rest.view(-1, 1 + terms.dimension, room.shape[1])

    def fill(self) -> None:
        """Write all terms of :attr:`variables`."""
        self._monomials.fill()
        values = (value for one in self._functions for value in one.of(self.variables))
        for value, block in zip(values, self._blocks, strict=True):
            block[0] = value
            torch.mul(value, self.variables, out=block[1:])
