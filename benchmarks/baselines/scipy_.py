"""SciPy's solvers, one trajectory after another, as most users call them."""

from __future__ import annotations

import numpy as np
from scipy.integrate import odeint, solve_ivp

from benchmarks.problem import Slope


def solve_odeint(
    slope: Slope, initial_states: np.ndarray, times: np.ndarray, tolerance: float | None = None
) -> np.ndarray:
    """Integrate with LSODA through ``odeint``; ``(n, 2)`` to ``(n, len(times), 2)``.

    Parameters
    ----------
    tolerance : float, optional
        Relative and absolute; by default SciPy's own, 1.5e-8.
    """

    def rhs(state, t):  # type: ignore[no-untyped-def]
        x, y = state.tolist()
        return slope(x, y)

    return np.stack(
        [odeint(rhs, start, times, rtol=tolerance, atol=tolerance) for start in initial_states]
    )


def solve_each(
    slope: Slope, initial_states: np.ndarray, times: np.ndarray, method: str, tolerance: float
) -> np.ndarray:
    """Integrate with ``solve_ivp``; ``(n, 2)`` to ``(n, len(times), 2)``."""

    def rhs(t, state):  # type: ignore[no-untyped-def]
        x, y = state.tolist()
        return slope(x, y)

    span = (float(times[0]), float(times[-1]))
    return np.stack(
        [
            solve_ivp(rhs, span, start, method, times, rtol=tolerance, atol=tolerance).y.T
            for start in initial_states
        ]
    )
