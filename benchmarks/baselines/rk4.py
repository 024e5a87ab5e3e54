"""The classical Runge-Kutta method of order 4 at the recorded step: NumPy over the batch, Numba."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.problem import Slope


def numpy_rk4(slope: Slope, initial_states: np.ndarray, n_steps: int, dt: float) -> np.ndarray:
    """Step all trajectories together; ``(n, 2)`` to ``(n, n_steps + 1, 2)``."""
    out = np.empty((n_steps + 1, 2, len(initial_states)))
    out[0] = initial_states.T
    x, y = out[0]
    half = 0.5 * dt
    for k in range(1, n_steps + 1):
        a, b = slope(x, y)
        c, d = slope(x + half * a, y + half * b)
        e, f = slope(x + half * c, y + half * d)
        g, h = slope(x + dt * e, y + dt * f)
        np.add(x, dt / 6 * (a + 2 * (c + e) + g), out=out[k, 0])
        np.add(y, dt / 6 * (b + 2 * (d + f) + h), out=out[k, 1])
        x, y = out[k]
    return np.ascontiguousarray(out.transpose(2, 0, 1))


def numba_rk4(
    slope: Slope, *, parallel: bool, fastmath: bool
) -> Callable[[np.ndarray, int, float], np.ndarray]:
    """Return a compiled ``solve(initial_states, n_steps, dt)``, one trajectory after another.

    Parameters
    ----------
    parallel : bool
        Share the trajectories among Numba's threads.
    fastmath : bool
        Let the compiler reorder sums.
    """
    import numba

    f = numba.njit(inline="always")(slope)

    @numba.njit(parallel=parallel, fastmath=fastmath)
    def solve(initial_states, n_steps, dt):  # type: ignore[no-untyped-def]
        n = initial_states.shape[0]
        out = np.empty((n, n_steps + 1, 2), initial_states.dtype)
        half = 0.5 * dt
        for i in numba.prange(n):
            x, y = initial_states[i, 0], initial_states[i, 1]
            out[i, 0, 0], out[i, 0, 1] = x, y
            for k in range(1, n_steps + 1):
                a, b = f(x, y)
                c, d = f(x + half * a, y + half * b)
                p, q = f(x + half * c, y + half * d)
                g, h = f(x + dt * p, y + dt * q)
                x += dt / 6 * (a + 2 * (c + p) + g)
                y += dt / 6 * (b + 2 * (d + q) + h)
                out[i, k, 0], out[i, k, 1] = x, y
        return out

    return solve
