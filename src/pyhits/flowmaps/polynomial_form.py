"""Polynomials as closed forms for few points: which degrees are tried."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.form import Form, Increments, Moves, Steps, Trials, closed_form
from pyhits.flowmaps.polynomial import PolynomialMap
from pyhits.numerics.basis import n_monomials
from pyhits.numerics.ridge import Ridge

#: Monomials at most, alone and as a share of the states, and of linear maps.
_MOST_OF_FEW, _SHARE, _SHARE_OF_LINEAR = 512, 0.6, 0.8

#: Degree beyond which one must be better by so much and have fewer monomials, and how many may
#: fail to be: where motion is symmetric, every other one adds nothing.
_HIGH, _GAIN, _SHARE_OF_HIGH, _FAILURES = 6, 0.7, 0.1, 2

#: They hold this far beyond the states they were fitted to, in their range, on each side, as few
#: points leave much of a system's region unseen; but no further than polynomials of their degree
#: that are 1 within grow to so much.
_MARGIN, _GROWTH = 1.0, 1e4


@closed_form("polynomial")
@dataclass(frozen=True)
class PolynomialForm(Form):
    """A polynomial for few points; penalties as those of :class:`~pyhits.numerics.ridge.Ridge`."""

    in_every_search: ClassVar[bool] = True

    # Its work is linear in them, and where motion is fast but for moments, few states miss these.
    most_states: ClassVar[tuple[int, int]] = (4_000, 20_000)

    penalties: ClassVar[tuple[float, ...]] = tuple(10.0**k for k in range(-15, 0, 2))

    @classmethod
    def affords(cls, data: Increments, degree: int, share: float = _SHARE) -> bool:
        """Whether a degree has few monomials, at most ``share`` of the states."""
        return n_monomials(data.dimension, degree) <= min(_MOST_OF_FEW, share * len(data))

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Try rising degrees."""
        failures = 0
        for degree in range(trials.max_degree + 1):
            is_high = degree > _HIGH
            share = _SHARE_OF_LINEAR if degree == 1 else _SHARE_OF_HIGH if is_high else _SHARE
            if degree and not cls.affords(trials.data, degree, share):
                break
            gained = trials(cls(degree), gain=_GAIN if is_high else 1.0)
            failures = 0 if gained or not is_high else failures + 1
            if trials.settled or failures == _FAILURES:
                break

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the form with all penalties, and how they step."""
        empty, coefficients = self._solutions(data)
        last = coefficients[:, -empty.dimension :]

        def steps(states: Tensor) -> Tensor:
            terms = empty.basis.of_doubles(empty.boxed(states).permute(2, 0, 1))
            return states + torch.einsum("rdt,trn->rnd", last, terms)

        return [replace(self, penalty=penalty) for penalty in self.penalties], steps

    def solve(self, data: Increments) -> PolynomialMap:
        """Return the polynomial, float64."""
        empty, coefficients = self._solutions(data)
        solved = copy.deepcopy(empty)
        solved.coefficients.copy_(coefficients[self.penalties.index(self.penalty)])
        return solved

    def _solutions(self, data: Increments) -> tuple[PolynomialMap, Tensor]:
        """Return an empty polynomial, and coefficients ``(penalties, outputs * d, terms)``."""

        def make() -> tuple[PolynomialMap, Tensor]:
            empty = PolynomialMap(data.dimension, self.degree, data.outputs).double()
            empty.set_bounds(data.states.numpy(), margin=_margin(self.degree))
            terms = empty.basis.of_doubles(empty.boxed(data.states).T)
            ridge = Ridge(terms.T, data.changes, scaled=True)
            found = ridge.path(self.penalties).mT.contiguous()
            if data.moves is not None and self.degree > 0:
                _move_on(found, data.moves)
            return empty, found

        return data.once((self.kind, self.degree), make)


def _margin(degree: int) -> float:
    """Return how far beyond their range states of a polynomial may lie, by Chebyshev's."""
    if degree < 2:
        return _MARGIN
    return min(_MARGIN, (math.cosh(math.acosh(_GROWTH) / degree) - 1) / 2)


def _move_on(coefficients: Tensor, moves: Moves) -> None:
    """Set ``(..., d, terms)`` so that coordinates become the others that they are known to."""
    to, source = torch.from_numpy(moves.to), torch.from_numpy(moves.source)
    coefficients[..., to, :] = 0.0
    coefficients[..., to, 0] = torch.from_numpy(moves.shift)
    coefficients[..., to, 1 + source] += torch.from_numpy(moves.factor)
    coefficients[..., to, 1 + to] -= 1.0
