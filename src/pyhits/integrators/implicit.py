"""Implicit Runge-Kutta methods for stiff systems, with Newton's method on all states at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import RightHandSide, Time, as_right_hand_side
from pyhits.integrators.tableaux import IMPLICIT, Tableau
from pyhits.util.checks import as_choice, as_count, as_positive

#: Newton iterations before a step is given up, and how often it is then halved.
_MOST, _HALVINGS = 50, 20

#: A component this small beside the largest is not asked to be exact to its own digits.
_FLOOR = 1e-6


class ImplicitRungeKutta(Integrator):
    """A Radau IIA method with a fixed step: L-stable, for stiff systems.

    The stage equations are solved by Newton's method for every state by itself, in array
    operations on all of them, with the Jacobian at each stage renewed in every iteration. A step
    of one state that does not converge is halved, up to twenty times.

    Parameters
    ----------
    system : System or callable
        As in :class:`~pyhits.integrators.RungeKutta`. A System's Jacobian is used; otherwise
        finite differences are.
    method : {"radau5", "radau3", "implicit-euler"} or Tableau
        Orders 5, 3 and 1. A tableau of your own must be stiffly accurate: b is the last row of A.
    substeps : int
        Steps of the method in one step that is asked for.
    newton_tolerance : float
        Size of the last Newton correction relative to the state.
    block : int
        Numbers in the Jacobians of the states that are solved together.

    Raises
    ------
    ArgumentError
        The method is unknown, or its tableau not stiffly accurate.
    """

    restarts: ClassVar[bool] = True
    advice: str = (
        "Newton's method did not converge, or the solution ends there: take smaller steps "
        "(substeps=...)."
    )

    def __init__(
        self,
        system: Any,
        method: str | Tableau = "radau5",
        *,
        substeps: int = 1,
        newton_tolerance: float = 1e-12,
        block: int = 1 << 18,
    ) -> None:
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        if not isinstance(method, Tableau):
            method = IMPLICIT[as_choice(method, "method", IMPLICIT)]()
        if not np.array_equal(method.A[-1], method.b):
            raise ArgumentError(
                f"{method.name} is not stiffly accurate: the last row of A must be b."
            )
        self.tableau = method
        self.substeps = as_count(substeps, "substeps")
        self.block = as_count(block, "block")
        self.newton_tolerance = as_positive(newton_tolerance, "newton_tolerance")

    def __repr__(self) -> str:
        return f"{self.tableau.name} ({self.right_hand_side.name})"

    def rows(self, dimension: int, n_steps: int) -> int:
        """Return how many states to integrate at once."""
        return max(1, self.block // (len(self.tableau.b) * dimension) ** 2)

    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield states step by step; see :meth:`Integrator.integrate`."""
        h = dt / self.substeps
        for k in range(n_steps * self.substeps):
            states = self._step(t + k * h, states, h, _HALVINGS)
            if (k + 1) % self.substeps == 0:
                yield states[:, None]

    def _step(self, t: Time, y: np.ndarray, h: float, halvings: int) -> np.ndarray:
        """Return the states ``(n, d)`` one step later, NaN where even the shortest steps fail."""
        later = self._newton(t, y, h)
        failed = np.flatnonzero(np.isnan(later).any(axis=1) & np.isfinite(y).all(axis=1))
        if len(failed) and halvings:
            time = t[failed] if isinstance(t, np.ndarray) else t
            middle = self._step(time, y[failed], h / 2, halvings - 1)
            later[failed] = self._step(time + h / 2, middle, h / 2, halvings - 1)
        return later

    def _newton(self, t: Time, y: np.ndarray, h: float) -> np.ndarray:
        """Return the states ``(n, d)`` one step later, NaN where Newton's method fails."""
        n, d = y.shape
        s = len(self.tableau.b)
        result = np.full((n, d), np.nan)
        todo = np.flatnonzero(np.isfinite(y).all(axis=1))
        change = np.zeros((len(todo), s, d))  # of the state, from the step's start to each stage
        for _ in range(_MOST):
            if len(todo) == 0:
                break
            start, time = y[todo], t[todo] if isinstance(t, np.ndarray) else t
            residual = h * (self.tableau.A @ self._slopes(time, start, change, h)) - change
            matrix = self._matrix(time, start, change, h)
            correction = _solved(matrix, residual.reshape(-1, s * d, 1)).reshape(change.shape)
            change += correction
            reached = np.abs(start[:, None] + change)
            size = np.maximum(reached, _FLOOR * reached.max(axis=(1, 2), keepdims=True))
            error = np.abs(correction) / np.maximum(size, np.finfo(float).tiny)
            done = (error <= self.newton_tolerance).all(axis=(1, 2))
            result[todo[done]] = start[done] + change[done, -1]
            going = ~done & np.isfinite(correction).all(axis=(1, 2))
            todo, change = todo[going], change[going]
        return result

    def _slopes(self, t: Time, start: np.ndarray, change: np.ndarray, h: float) -> np.ndarray:
        """Return the right-hand side at all stages, shape ``(m, s, d)``."""
        slopes = np.empty(change.shape)
        for k, c in enumerate(self.tableau.c):
            # Component by component in memory: rounding is then the same for any number of states.
            stage = np.ascontiguousarray((start + change[:, k]).T)
            slopes[:, k] = self.right_hand_side(t + c * h, stage.T)
        return slopes

    def _matrix(self, t: Time, start: np.ndarray, change: np.ndarray, h: float) -> np.ndarray:
        """Return Newton's matrix of each state, shape ``(m, s d, s d)``."""
        m, s, d = change.shape
        blocks = np.empty((m, s, d, s, d))
        for j, c in enumerate(self.tableau.c):
            jacobian = self.right_hand_side.jacobians(t + c * h, start + change[:, j])
            for i, weight in enumerate(self.tableau.A[:, j]):
                blocks[:, i, :, j] = -h * weight * jacobian
        return blocks.reshape(m, s * d, s * d) + np.eye(s * d)


def _solved(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve ``(m, k, k)`` linear systems for ``(m, k, 1)``; NaN where a matrix is singular."""
    try:
        return np.asarray(np.linalg.solve(matrices, right))
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right, np.nan)
        pairs = zip(matrices, right, strict=True)
        return np.concatenate([_solved(matrix[None], b[None]) for matrix, b in pairs])
