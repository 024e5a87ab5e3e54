"""A polynomial vector field, with its derivatives in the state and in its coefficients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


def exponents(dimension: int, degree: int) -> np.ndarray:
    """Return the exponents of all monomials up to a total degree, shape ``(m, d)``; 1 first."""
    found = [
        powers
        for total in range(degree + 1)
        for powers in itertools.product(range(total + 1), repeat=dimension)
        if sum(powers) == total
    ]
    return np.array(found, dtype=np.int64).reshape(-1, dimension)


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

    def __post_init__(self) -> None:
        place = {tuple(p): k for k, p in enumerate(self.powers.tolist())}
        recipe, lower = [], np.zeros(self.powers.shape, dtype=np.int64)
        for k, power in enumerate(self.powers.tolist()):
            for j, exponent in enumerate(power):
                if exponent:
                    less = list(power)
                    less[j] -= 1
                    lower[k, j] = place[tuple(less)]
            if k:
                j = next(j for j, e in enumerate(power) if e)
                recipe.append((k, int(lower[k, j]), j))
        object.__setattr__(self, "_recipe", recipe)
        d = self.powers.shape[1]
        slopes = np.zeros((d, d, len(self.powers)))
        for j in range(d):
            for a in range(d):
                np.add.at(slopes[a, j], lower[:, j], self.coefficients[:, a] * self.powers[:, j])
        object.__setattr__(self, "_slopes", slopes.reshape(d * d, -1))
        # For each component: the numbers of its free coefficients, and their terms.
        number = np.cumsum(self.active).reshape(self.active.shape) - 1
        free = [np.flatnonzero(self.active[:, a]) for a in range(d)]
        numbers = [(number[rows, a], rows) for a, rows in enumerate(free)]
        object.__setattr__(self, "_rows", numbers)

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
        for k, lower, j in self._recipe:  # type: ignore[attr-defined]
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
        jacobian = (self._slopes @ terms).reshape(d, d, n)  # type: ignore[attr-defined]
        out = np.empty_like(sensitivity)
        scratch = np.empty_like(sensitivity[0])
        for a in range(d):
            np.multiply(sensitivity[0], jacobian[a, 0], out=out[a])
            for j in range(1, d):
                out[a] += np.multiply(sensitivity[j], jacobian[a, j], out=scratch)
        first = sensitivity.shape[1] - len(self.free)
        for a, (which, rows) in enumerate(self._rows):  # type: ignore[attr-defined]
            out[a, first + which] += terms[rows]
        return self.coefficients.T @ terms, out
