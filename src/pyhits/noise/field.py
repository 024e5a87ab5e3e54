"""A polynomial vector field, with its derivatives in the state and in its coefficients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np


def exponents(dimension: int, degree: int) -> np.ndarray:
    """Return the exponents of all monomials up to a total degree, shape ``(m, d)``; 1 first.

    There are ``comb(dimension + degree, degree)`` of them, and making them
    takes no longer than writing them down.
    """
    found = []
    for total in range(degree + 1):
        # Which factors a monomial has, such as x x z: as many as its degree, in any combination.
        factors = itertools.combinations_with_replacement(range(dimension), total)
        chosen = np.array(list(factors), dtype=np.int64)
        powers = np.zeros((len(chosen), dimension), dtype=np.int64)
        np.add.at(powers, (np.arange(len(chosen))[:, None], chosen), 1)
        found.append(powers[::-1])
    return np.concatenate(found)


@dataclass(frozen=True)
class PolynomialField:
    """A right-hand side ``dx/dt = C^T phi(x)`` whose terms ``phi`` are monomials.

    Arrays of states are laid out ``(d, n)``: one component of all states is contiguous.

    Attributes
    ----------
    powers : array, shape (m, d)
        Exponents of all monomials up to a degree.
    coefficients : array, shape (m, d)
    active : array of bool, shape (m, d)
        Coefficients that are free; the others stay as they are.
    """

    powers: np.ndarray
    coefficients: np.ndarray
    active: np.ndarray

    @classmethod
    def zero(cls, dimension: int, degree: int) -> PolynomialField:
        """Return the field of a degree with all coefficients 0 and free."""
        powers = exponents(dimension, degree)
        return cls(powers, np.zeros(powers.shape), np.ones(powers.shape, dtype=bool))

    @cached_property
    def _lower(self) -> np.ndarray:
        """Row of each monomial divided by each variable, shape ``(m, d)``; 0 where it lacks it."""
        place = {tuple(powers): k for k, powers in enumerate(self.powers.tolist())}
        lower = np.zeros(self.powers.shape, dtype=np.int64)
        for (k, j), exponent in np.ndenumerate(self.powers):
            if exponent:
                less = self.powers[k].copy()
                less[j] -= 1
                lower[k, j] = place[tuple(less.tolist())]
        return lower

    @cached_property
    def _products(self) -> list[tuple[int, int, int]]:
        """How each monomial but 1 follows: its row, that of a lower one, and the variable."""
        variables = np.argmax(self.powers > 0, axis=1)
        lower = self._lower[np.arange(len(self.powers)), variables]
        return list(
            zip(range(1, len(lower)), lower[1:].tolist(), variables[1:].tolist(), strict=True)
        )

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Coefficients of the Jacobian's entries in the monomials, shape ``(d * d, m)``."""
        m, d = self.powers.shape
        slopes = np.zeros((d, d, m))
        for a in range(d):
            for j in range(d):
                weights = self.coefficients[:, a] * self.powers[:, j]
                np.add.at(slopes[a, j], self._lower[:, j], weights)
        return slopes.reshape(d * d, m)

    @cached_property
    def _rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Numbers of each component's free coefficients, and the rows of their terms."""
        number = np.cumsum(self.active).reshape(self.active.shape) - 1
        free = [np.flatnonzero(column) for column in self.active.T]
        return [(number[rows, a], rows) for a, rows in enumerate(free)]

    @property
    def dimension(self) -> int:
        """Number of components of a state."""
        return int(self.powers.shape[1])

    @property
    def degree(self) -> int:
        """Highest total degree."""
        return int(self.powers.sum(axis=1).max())

    @property
    def free(self) -> np.ndarray:
        """The free coefficients, shape ``(p,)``."""
        return np.asarray(self.coefficients[self.active])

    def with_free(self, values: np.ndarray) -> PolynomialField:
        """Return the field with other values of the free coefficients."""
        coefficients = self.coefficients.copy()
        coefficients[self.active] = values
        return PolynomialField(self.powers, coefficients, self.active)

    def with_all_free(self) -> PolynomialField:
        """Return the field with every coefficient free."""
        return PolynomialField(self.powers, self.coefficients, np.ones_like(self.active))

    def without(self, dropped: np.ndarray) -> PolynomialField:
        """Return the field with more coefficients fixed at 0; ``dropped`` bool, shape ``(p,)``."""
        active = self.active.copy()
        active[self.active] = ~dropped
        return PolynomialField(self.powers, np.where(active, self.coefficients, 0.0), active)

    def terms(self, states: np.ndarray) -> np.ndarray:
        """Return all monomials, ``(d, n)`` to ``(m, n)``."""
        out = np.empty((len(self.powers), states.shape[1]))
        out[0] = 1.0
        for k, lower, j in self._products:
            np.multiply(out[lower], states[j], out=out[k])
        return out

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Return the time derivatives, ``(d, n)`` to ``(d, n)``."""
        return np.asarray(self.coefficients.T @ self.terms(states))

    def slopes(self, states: np.ndarray, sensitivity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives and how they follow a change of state and coefficients.

        Parameters
        ----------
        states : array, shape (d, n)
        sensitivity : array, shape (d, q + p, n)
            Derivatives of the states in q other numbers and the p free coefficients.

        Returns
        -------
        array (d, n), array (d, q + p, n)
        """
        d, n = states.shape
        terms = self.terms(states)
        jacobian = (self._slopes @ terms).reshape(d, d, n)
        out = np.empty_like(sensitivity)
        scratch = np.empty_like(sensitivity[0])
        for a in range(d):
            np.multiply(sensitivity[0], jacobian[a, 0], out=out[a])
            for j in range(1, d):
                out[a] += np.multiply(sensitivity[j], jacobian[a, j], out=scratch)
        first = sensitivity.shape[1] - len(self.free)
        for a, (which, rows) in enumerate(self._rows):
            out[a, first + which] += terms[rows]
        return self.coefficients.T @ terms, out
