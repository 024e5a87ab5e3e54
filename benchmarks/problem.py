"""The problem that everything is measured on: the paper's Van der Pol oscillator.

Time steps of 0.01, test states from [-2, 2]^2 as in the published code, truth from an order-8
method at tolerance 1e-12.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pyhits

#: ``slope(x, y) -> (dx, dy)`` of a planar system, on numbers or arrays of any library.
Slope = Callable[[Any, Any], tuple[Any, Any]]

#: Step sizes of the full hierarchy.
SCALES = tuple(2**k for k in range(11))


@dataclass(frozen=True)
class Problem:
    """Initial states of a planar system and their true futures.

    Attributes
    ----------
    slope : callable
    truth : array, shape (n, n_steps + 1, 2)
        Row 0 of a trajectory is its initial state.
    dt : float
    """

    slope: Slope
    truth: np.ndarray
    dt: float

    @property
    def initial_states(self) -> np.ndarray:
        """Where the trajectories start, ``(n, 2)``."""
        return np.ascontiguousarray(self.truth[:, 0])

    @property
    def n_steps(self) -> int:
        """Steps of ``dt`` a trajectory."""
        return int(self.truth.shape[1]) - 1

    @property
    def times(self) -> np.ndarray:
        """Times of the rows, ``(n_steps + 1,)``."""
        return self.dt * np.arange(self.n_steps + 1)

    @property
    def n_states(self) -> int:
        """States that a solution computes."""
        return len(self.truth) * self.n_steps

    def first(self, n: int) -> Problem:
        """Return the problem of the first ``n`` trajectories alone."""
        return Problem(self.slope, self.truth[:n], self.dt)

    def mse(self, states: np.ndarray) -> float:
        """Return the mean squared error of a solution, the given initial states left out."""
        n = len(states)
        error = np.square(np.subtract(states[:, 1:], self.truth[:n, 1:], dtype=np.float64))
        return float(error.mean())


def slope(x: Any, y: Any) -> tuple[Any, Any]:
    """Van der Pol's equation with mu = 2."""
    return y, 2.0 * (1.0 - x * x) * y - x


def narrow_slope(x: Any, y: Any) -> tuple[Any, Any]:
    """Return :func:`slope` without constants, which would make float64 of float32 in Numba."""
    return y, y + y - (x + x) * x * y - x


@functools.cache
def van_der_pol(n: int = 320, n_steps: int = 5120) -> Problem:
    """Return the test problem."""
    system = pyhits.systems.get("van-der-pol").with_region([[-2, 2], [-2, 2]])
    data = system.simulate(n_trajectories=n, n_steps=n_steps, random_state=3)
    return Problem(slope, data.to_array(), data.dt)


@functools.cache
def training_data(n: int = 800, n_steps: int = 5120, seed: int = 1) -> pyhits.Trajectories:
    """Return trajectories to learn from (or, with another seed, to validate on)."""
    return pyhits.systems.get("van-der-pol").simulate(
        n_trajectories=n, n_steps=n_steps, random_state=seed
    )
