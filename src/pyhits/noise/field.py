"""A polynomial vector field, with its derivatives in the state and in its coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyhits.numerics.basis import Monomials


@dataclass(frozen=True)
class PolynomialField:
    """A right-hand side ``dx/dt = C^T phi(x)`` whose terms ``phi`` are monomials.

    Arrays of states are laid out ``(d, n)``: one component of all states is contiguous.
    """

    basis: Monomials  # all m monomials up to a degree
    coefficients: np.ndarray  # (m, d)
    active: np.ndarray  # bool, (m, d): coefficients that are free; the others stay as they are

    @classmethod
    def zero(cls, dimension: int, degree: int) -> PolynomialField:
        """Return the field of a degree with all coefficients 0 and free."""
        basis = Monomials(dimension, degree)
        shape = basis.size, dimension
        return cls(basis, np.zeros(shape), np.ones(shape, dtype=bool))

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Coefficients of the Jacobian's entries in the monomials, shape ``(d * d, m)``."""
        m, d = self.coefficients.shape
        slopes = np.zeros((d, d, m))
        for a in range(d):
            for j in range(d):
                weights = self.coefficients[:, a] * self.basis.exponents[:, j]
                np.add.at(slopes[a, j], self.basis.quotients[:, j], weights)
        return slopes.reshape(d * d, m)

    @cached_property
    def _rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Numbers of each component's free coefficients, and the rows of their terms."""
        number = np.cumsum(self.active).reshape(self.active.shape) - 1
        free = [np.flatnonzero(column) for column in self.active.T]
        return [(number[rows, a], rows) for a, rows in enumerate(free)]

    @property
    def free(self) -> np.ndarray:
        """The free coefficients, shape ``(p,)``."""
        return np.asarray(self.coefficients[self.active])

    def with_free(self, values: np.ndarray) -> PolynomialField:
        """Return the field with other values of the free coefficients."""
        coefficients = self.coefficients.copy()
        coefficients[self.active] = values
        return PolynomialField(self.basis, coefficients, self.active)

    def with_all_free(self) -> PolynomialField:
        """Return the field with every coefficient free."""
        return PolynomialField(self.basis, self.coefficients, np.ones_like(self.active))

    def with_none_free(self) -> PolynomialField:
        """Return the field with every coefficient fixed."""
        return PolynomialField(self.basis, self.coefficients, np.zeros_like(self.active))

    def without(self, dropped: np.ndarray) -> PolynomialField:
        """Return the field with more coefficients fixed at 0; ``dropped`` bool, shape ``(p,)``."""
        active = self.active.copy()
        active[self.active] = ~dropped
        return PolynomialField(self.basis, np.where(active, self.coefficients, 0.0), active)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Return the time derivatives, ``(d, n)`` to ``(d, n)``."""
        return np.asarray(self.coefficients.T @ self.basis(states))

    def slopes(self, states: np.ndarray, sensitivity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives and how they follow a change of state and coefficients.

        Parameters
        ----------
        states : array, shape (d, n)
        sensitivity : array, shape (d, q + p, n)
            Derivatives of the states in q other numbers and the p free coefficients.
        """
        d, n = states.shape
        terms = self.basis(states)
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
