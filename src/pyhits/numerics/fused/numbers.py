"""What flow maps hand over to be stepped by machine code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal, Protocol

import numpy as np


@dataclass(frozen=True)
class Numbers:
    """The shape of a flow map, its own numbers, and the bounds within which these alone step it."""

    #: Function of :mod:`pyhits.numerics.fused.steps` that makes its code.
    kind: Literal["polynomial", "cells", "ode"]
    dimension: int
    degree: int
    #: As that function wants them, contiguous, of one dtype where they are real.
    arrays: Sequence[np.ndarray]
    #: low, high: (d,); states strictly between them, the sum of whose squares is at most
    #: ``squares``, are what the flow map returns; beyond, it must step itself.
    low: np.ndarray
    high: np.ndarray
    squares: float = np.inf
    #: Kinds and columns of what vector fields hold beside polynomials.
    functions: tuple[tuple[str, int], ...] = ()
    #: Sums of monomials that a polynomial's outputs are made of; 0 where each has its own.
    rank: int = 0

    @classmethod
    def unbounded(
        cls,
        kind: Literal["polynomial", "cells", "ode"],
        dimension: int,
        degree: int,
        arrays: Sequence[np.ndarray],
        functions: Sequence[tuple[str, int]] = (),
        rank: int = 0,
    ) -> Numbers:
        """Return those of a flow map that keeps to no bounds."""
        far = np.full(dimension, np.inf)
        return cls(
            kind, dimension, degree, arrays, -far, far, functions=tuple(functions), rank=rank
        )

    @property
    def n_terms(self) -> int:
        """How many terms the polynomials have, which their code spells out."""
        return comb(self.dimension + self.degree, self.degree)

    @property
    def is_bounded(self) -> bool:
        """Whether there are bounds."""
        return bool(np.isfinite([*self.low, *self.high, self.squares]).any())


#: Variables and terms of polynomials up to which their code is not too long.
_FEW, _FEW_TERMS = 16, 1024


def spells_out(dimension: int, degree: int) -> bool:
    """Return whether code may spell out polynomials of so many variables and such a degree."""
    return dimension <= _FEW and comb(dimension + degree, degree) <= _FEW_TERMS


#: Tensors of a table in the order in which its code takes them: real ones, and int32.
CELLS = dict.fromkeys(("low", "high", "origin", "per_box", "last_box"), "real")
CELLS |= dict.fromkeys(("strides", "table", "child", "axis", "leaf"), "whole")
CELLS |= dict.fromkeys(("threshold", "centre", "per_half", "coefficients"), "real")


class HasNumbers(Protocol):
    """A flow map, as far as machine code is concerned."""

    def numbers(self) -> Numbers | None:
        """Return what machine code steps it with, if it does."""


def numbers_of(flow_maps: Mapping[int, HasNumbers]) -> dict[int, Numbers]:
    """Return the numbers of all flow maps; nothing if one has none, or dimensions differ."""
    each = {size: flow_map.numbers() for size, flow_map in flow_maps.items()}
    known = {size: numbers for size, numbers in each.items() if numbers is not None}
    alike = len({numbers.dimension for numbers in known.values()}) == 1
    return known if alike and len(known) == len(each) else {}
