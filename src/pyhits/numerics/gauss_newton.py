"""Nonlinear least squares by damped Gauss-Newton steps, for many problems at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Linearised(Protocol):
    """Residuals of k problems as linear functions of a step."""

    def step(self, damping: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return damped Gauss-Newton steps, and the sums of squares that should be left.

        Parameters
        ----------
        damping : array, shape (k,)
            The larger, the shorter the steps.

        Returns
        -------
        steps : array, shape (k, n_unknowns)
            Not finite where there is none.
        expected : array, shape (k,), or None
            By the linear functions. The damping then changes by how much of the expected gain there
            was (Nielsen 1999, "Damping parameter in Marquardt's method"), else by a factor of ten.
        """


class LeastSquares(Protocol):
    """Problems with the same number of unknowns; ``which`` (k,) says which of them are meant."""

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return sums of squared residuals; ``(k, n_unknowns)`` to ``(k,)``."""

    def linearise(self, x: np.ndarray, which: np.ndarray) -> Linearised:
        """Return the residuals as linear functions around ``x`` (k, n_unknowns)."""


@dataclass(frozen=True)
class NormalEquations:
    """Normal equations of k problems, each of a few unknowns."""

    matrix: np.ndarray  # (k, n_unknowns, n_unknowns): products of the derivatives of the residuals
    #: (k, n_unknowns): products of the derivatives with what is to be reached less what is.
    gradient: np.ndarray

    def step(self, damping: np.ndarray) -> tuple[np.ndarray, None]:
        """Return damped steps; 0 where the equations are not finite."""
        steps = np.zeros(self.gradient.shape)
        sound = np.isfinite(self.matrix).all(axis=(1, 2)) & np.isfinite(self.gradient).all(axis=1)
        matrix = damped(self.matrix[sound], damping[sound])
        steps[sound] = np.linalg.solve(matrix, self.gradient[sound, :, None])[..., 0]
        return steps, None


def damped(matrices: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Return normal matrices ``(k, n, n)`` with their diagonals enlarged (Marquardt 1963).

    By the part ``damping``, ``(k,)`` or a number, and by so little that no matrix is singular.
    """
    one = np.eye(matrices.shape[-1])
    size = np.trace(matrices, axis1=1, axis2=2)[:, None, None]
    enlarged = 1 + damping.reshape(-1, 1, 1) * one
    return np.asarray(matrices * enlarged + (1e-12 * size + 1e-300) * one)


@dataclass(frozen=True)
class LeastSquaresSolution:
    """Where Gauss-Newton steps have led."""

    x: np.ndarray  # (n, n_unknowns)
    #: (n,): sums of squared residuals; infinite where they were not finite at the start.
    costs: np.ndarray


@dataclass(frozen=True)
class GaussNewton:
    """Damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963).

    A step that does not make the sum of squares larger is taken, and the damping falls; otherwise
    it rises, and the step is tried again.
    """

    #: damping, least_damping, most_damping: Of the first step, and its bounds: a problem whose
    #: damping rises to the last is left.
    damping: float = 1e-4
    least_damping: float = 0.0
    most_damping: float = 1e6
    #: max_steps, max_trials: Steps taken, and steps tried, at most.
    max_steps: int = 100
    max_trials: int = 1_000
    #: least_gain, relative_gain: A problem is solved when a step gains no more than the first, and
    #: the second times the sum of squares.
    least_gain: float = 0.0
    relative_gain: float = 0.0
    enough: float = 0.0  # sum of squares at which a problem is solved
    #: Steps tried in which the sum of squares must fall to half; 0 for any number.
    patience: int = 0

    def __call__(
        self, problems: LeastSquares, x: np.ndarray, *, stop: Callable[[], bool] | None = None
    ) -> LeastSquaresSolution:
        """Solve problems from ``x`` (n, n_unknowns) on, as long as ``stop`` does not end it."""
        x = x.copy()
        costs = _finite(problems.costs(x, np.arange(len(x))))
        damping, growth = np.full(len(x), self.damping), np.full(len(x), 2.0)
        taken, history = np.zeros(len(x), dtype=np.int64), [costs.copy()]
        going = np.flatnonzero(np.isfinite(costs) & (costs > self.enough))
        linear: Linearised | None = None
        for _ in range(self.max_trials):
            if len(going) == 0 or (stop is not None and stop()):
                break
            linear = problems.linearise(x[going], going) if linear is None else linear
            steps, expected = linear.step(damping[going])
            trial, before = x[going] + steps, costs[going]
            now = _finite(problems.costs(trial, going))
            better = before - now >= 0
            ratio = None if expected is None else (before - now) / (before - expected)
            self._damp(damping, growth, going, better, ratio)
            x[going[better]], costs[going[better]] = trial[better], now[better]
            taken[going] += better
            history.append(costs.copy())
            gained = before - now > self.least_gain + self.relative_gain * before
            on = np.where(better, gained, damping[going] < self.most_damping)
            on &= (costs[going] > self.enough) & (taken[going] < self.max_steps)
            if self.patience and len(history) > self.patience:
                on &= costs[going] <= 0.5 * history[-1 - self.patience][going]
            if better.any() or not on.all():
                linear = None
            going = going[on]
        return LeastSquaresSolution(x, costs)

    def _damp(
        self,
        damping: np.ndarray,
        growth: np.ndarray,
        going: np.ndarray,
        better: np.ndarray,
        ratio: np.ndarray | None,
    ) -> None:
        """Change the damping of problems after a trial, in place."""
        if ratio is None:
            factor = np.where(better, 0.1, 10.0)
        else:
            factor = np.where(better, np.maximum(1 / 3, 1 - (2 * ratio - 1) ** 3), growth[going])
            growth[going] = np.where(better, 2.0, 2 * growth[going])
        damping[going] = np.maximum(damping[going] * factor, self.least_damping)


def _finite(costs: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(costs), costs, np.inf)
